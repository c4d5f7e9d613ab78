"""Credentials and request signing: where credentials are looked up, how they are refreshed, and SigV4."""
