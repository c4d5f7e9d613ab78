"""The emulator's HTTP service: routing, authentication and validation, as in Bedrock Runtime."""
