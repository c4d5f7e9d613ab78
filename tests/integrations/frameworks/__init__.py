"""Unmodified programs of agent frameworks, before and after the one argument that moves them to a `Client`."""
