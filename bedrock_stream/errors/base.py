"""The base class of all errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..types.response import Response

__all__ = ("BedrockStreamError", "sentence")


class BedrockStreamError(Exception):
    """Base class of every error that this library raises.

    Errors raised after the response headers were received carry the details known at that time.
    """

    request_id: str | None = None
    """The service's request id, to quote to AWS support."""
    model: str | None = None
    """The model id or ARN as sent."""
    region: str | None = None
    """The region that the request was signed for."""
    events_received: int = 0
    """Number of events delivered to the caller."""
    partial: Response | None = None
    """The `Response` assembled so far, or None if nothing was assembled."""
    retryable: bool = False
    """True if the same request may succeed later."""
    retry_after: float | None = None
    """Seconds to wait before a retry, as requested by the service."""
    closed = False
    """True if this program closed the stream, the tool run or the client, so that nothing failed."""

    def __reduce__(self) -> tuple[Any, ...]:
        from .nesting import reduce_error

        return reduce_error(self)


def sentence(start: str, rest: str) -> str:
    """Join the start of a message and the words of another program, which may be missing."""
    return f"{start}: {rest}" if rest.strip() else start
