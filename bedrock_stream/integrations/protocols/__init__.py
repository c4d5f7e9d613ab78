"""Protocols in which a browser reads a response: events in, server-sent events out. Pure.

A writer is created for one response. A truncated response never looks complete: only `Writer.end` writes what marks the
end, and it is called after the message's own end only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

from ...errors import BedrockStreamError
from ...types.events import Event
from ...types.messages import ToolResult
from ..http_errors import ErrorDetails

__all__ = ("DONE", "HEARTBEAT", "StreamItem", "Writer", "request_id_headers", "server_sent")

StreamItem: TypeAlias = Event | ToolResult
"""An item of a stream or of a tool run."""

HEARTBEAT = b": still here\n\n"
"""A comment, which readers of server-sent events ignore."""

DONE = b"data: [DONE]\n\n"
"""The end of the stream in the OpenAI and AI SDK protocols. It is not JSON."""


class Writer(Protocol):
    """The encoder of one response in one protocol."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers that the protocol requires."""

    @property
    def request_id_headers(self) -> tuple[str, ...]:
        """Names of the response headers that carry the service's request id."""

    def event(self, event: StreamItem) -> bytes:
        """Encode an event; return nothing if the protocol has no equivalent."""

    def end(self) -> bytes:
        """Encode the end of a complete message."""

    def failed(self, error: BedrockStreamError) -> bytes:
        """Encode the error that ends an incomplete message."""

    def refusal(self, details: ErrorDetails) -> bytes:
        """Encode the JSON body of an HTTP error, which is sent if the response has not started."""


def server_sent(data: bytes, event: str = "") -> bytes:
    """Encode one server-sent event. `data` must not contain line breaks; encoded JSON never does."""
    # Source: the HTML standard, "Server-sent events". A blank line ends an event.
    name = b"event: %s\n" % event.encode() if event else b""
    return b"%sdata: %s\n\n" % (name, data)


def request_id_headers(names: Iterable[str], request_id: str | None) -> dict[str, str]:
    """Return the headers that carry the service's request id; none if it is unknown."""
    return {} if request_id is None else dict.fromkeys(names, request_id)
