"""A place where an identity was found, before anything is asked for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeAlias

import msgspec

from .credentials import Credentials
from .sources import Source

__all__ = ("ApiKeySource", "Place", "Provider")

Provider: TypeAlias = Credentials | Source | Callable[[], "Credentials | Awaitable[Credentials]"]
"""What gives IAM keys: the keys, a source such as `AssumeRole`, or an (async) callable that returns them."""

ApiKeySource: TypeAlias = str | Callable[[], "str | Awaitable[str]"]
"""An API key, or a callable that is asked for it before each request."""


class Place(msgspec.Struct, frozen=True):
    """Where an identity was found."""

    name: str
    """The place in words, never its content."""
    scheme: str
    """`bearer` or `sigv4`."""
    source: Any
    """An identity, a source, or a callable that gives the key or the credentials."""
    key: Hashable = None
    """Tells one source of the client from another, so that each one's keys are kept."""
    region: str | None = None
    """The region that was put beside the keys."""

    def __repr__(self) -> str:
        return f"Place({self.scheme}, {self.name})"
