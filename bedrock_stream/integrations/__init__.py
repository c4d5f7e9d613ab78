"""Adapters for third-party frameworks. Each module requires the extra of the same name, and no other module of the
library imports them, except for the gateway.
"""
