"""The record of a request that the emulator received."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from multidict import CIMultiDictProxy

__all__ = ("ReceivedRequest",)


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request that the emulator received, answered or refused."""

    method: str
    target: str
    """The raw target of the request line."""
    headers: CIMultiDictProxy[str] = field(repr=False)
    """All headers, in the order in which they were received."""
    body: bytes = field(repr=False)
    """The raw body."""
    json: Any = field(repr=False)
    """The parsed body, None if it is not JSON."""
    operation: str | None
    """The operation's name in the service model, as `ConverseStream`, or `Messages`, `ChatCompletions`, `Responses`,
    `CountMessageTokens`; None if the target is unknown."""
    model: str | None
    """The model id of the path, percent-decoded, or of the body."""
    auth: Literal["sigv4", "bearer"] | None
    """The kind of authentication, None if it failed."""
    access_key_id: str | None = None
    """The access key of a valid signature."""
    region: str | None = None
    """The region in the credential scope of a valid signature."""
    service: str | None = None
    """The service in the credential scope of a valid signature."""
