"""The emulator's service: routes, authentication and validation, as Bedrock does them."""
