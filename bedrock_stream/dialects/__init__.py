"""The wire dialects: each builds a request's body, reads a stream's frames, and reads a whole answer.

All of them yield the same events and the same `Response`, so a change of route never changes a consumer's code.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ..eventstream import Frame
from ..types.events import Event, ToolCallEnd
from ..types.messages import Message
from ..types.options import Options
from ..types.response import Response

__all__ = ("Dialect", "Native", "Reader")


class Reader(Protocol):
    """Reads the frames of one stream."""

    ended: bool
    """The message's own end has been seen."""
    complete: bool
    """Nothing more is expected after it."""
    has_end_marker: bool
    """Whether this API marks the end of a message; where it does not, the end of the body is the end."""
    broken_tool: ToolCallEnd | None
    """The first tool call whose input is not a JSON object."""

    def feed(self, frames: Iterable[Frame], events: deque[Event]) -> None:
        """Append the events of these frames.

        Raises `ServiceError` for an exception frame and `InvalidFrame` for a payload that is not what its headers
        promise; the events of the frames before it have been appended by then.
        """


class Dialect(Protocol):
    """One way of talking to a model."""

    route: str
    """`converse` or `invoke`."""
    operation: str
    """The last segment of the path for a whole answer."""
    stream_operation: str
    """The last segment of the path for a stream."""

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """The request's body, before it becomes JSON."""

    def reader(self) -> Reader:
        """A reader for one stream."""

    def answer(self, body: bytes, *, request_id: str | None, model: str) -> Response:
        """A whole answer's body. Raises `ToolInputError` as a stream would."""


class Native(Dialect, Protocol):
    """A family's own form, which has no words for some of what Converse can say."""

    def unsupported(self, messages: Sequence[Message], options: Options) -> str | None:
        """Why this conversation cannot be said in this form; None where it can."""
