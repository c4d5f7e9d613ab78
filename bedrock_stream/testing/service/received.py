"""What arrived: one request as the emulator saw it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from multidict import CIMultiDictProxy

__all__ = ("ReceivedRequest",)


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request, refused or not."""

    method: str
    target: str
    """The target exactly as it stood on the request line."""
    headers: CIMultiDictProxy[str] = field(repr=False)
    """Every header, in the order it came."""
    body: bytes = field(repr=False)
    """The raw body."""
    json: Any = field(repr=False)
    """The body parsed, or None where it is not JSON."""
    operation: str | None
    """The service's name of it, as `ConverseStream`, or None where the target names nothing that is served."""
    model: str | None
    """The model id, percent-decoded."""
    auth: Literal["sigv4", "bearer"] | None
    """How the caller proved who they are; None where they did not."""
    access_key_id: str | None = None
    """The key that a good signature was made with."""
    region: str | None = None
    """The region of the signature's scope."""
