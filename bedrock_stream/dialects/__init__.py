"""The wire dialects: each writes request bodies, reads the frames of a stream, and parses complete responses.

All dialects produce the same events and the same `Response`, so consumers do not depend on the route.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from typing import Any, Protocol

from ..eventstream import Frame
from ..types.events import Event, ToolCallEnd, Usage
from ..types.messages import Message
from ..types.options import Options
from ..types.response import Response
from .base import NO_HEADERS

__all__ = ("Dialect", "Native", "Reader")


class Reader(Protocol):
    """Reader of the frames of one stream."""

    ended: bool
    """True once the message's end has been read."""
    complete: bool
    """True once nothing more is expected after the message's end."""
    has_end_marker: bool
    """False if this API does not mark the end of a message: then the end of the body is the end."""
    broken_tool: ToolCallEnd | None
    """The first tool call whose input is not a JSON object."""
    raw_usage: Usage | None
    """The token counts so far, if the events are documents of the family's own; else None."""

    def is_start(self, event: Any) -> bool:
        """Return whether an event only says that a message starts, so that the call can still be retried."""

    def take_headers(self, headers: Mapping[str, str]) -> None:
        """Take the HTTP headers of the response, before its first frame."""

    def feed(self, frames: Iterable[Frame], events: MutableSequence[Event]) -> None:
        """Append the events of these frames.

        Raises `ServiceError` for an exception frame and `InvalidFrame` for a payload that does not match its headers,
        after the events of the preceding frames have been appended.
        """


class Dialect(Protocol):
    """One API for talking to a model."""

    route: str
    """`converse` or `invoke`."""
    operation: str
    """The last path segment for a complete response."""
    stream_operation: str
    """The last path segment for a stream."""

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """Return the request body before it is encoded as JSON. `extra` takes precedence over all other members."""

    def reader(self) -> Reader:
        """Return a reader for one stream."""

    def answer(
        self,
        body: bytes,
        *,
        request_id: str | None,
        model: str,
        family: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Response:
        """Parse the body of a complete response, with the HTTP headers that came with it.

        Raises `InvalidFrame` for a body that does not match the API, and `ToolInputError` as a stream does.
        """


class Native(Dialect, Protocol):
    """A model family's native format. It does not support everything that Converse supports."""

    def unsupported(self, messages: Sequence[Message], options: Options) -> str | None:
        """Return why this format does not support the request, or None if it does."""
