"""The forms in which a browser reads an answer: events in, server-sent events out; pure.

A writer is made for one answer. A cut answer never looks finished: what marks the end comes from `end` alone, which is
asked only after the message's own end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from ...errors import BedrockStreamError
from ...types.events import Event
from ...types.messages import ToolResult
from ..http_errors import Problem

__all__ = ("HEARTBEAT", "Said", "Writer", "server_sent")

Said: TypeAlias = Event | ToolResult
"""What a stream or a tool run yields."""

HEARTBEAT = b": still here\n\n"
"""A comment, which every reader of server-sent events passes over."""


class Writer(Protocol):
    """One answer in one form."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What the form demands of the answer's headers."""

    @property
    def request_id_headers(self) -> tuple[str, ...]:
        """The headers in which the service's id of the request is told."""

    def event(self, event: Said) -> bytes:
        """An event; nothing where the form has no words for it."""

    def end(self) -> bytes:
        """The message is whole."""

    def failed(self, error: BedrockStreamError) -> bytes:
        """It is not, and never will be."""

    def refusal(self, problem: Problem) -> bytes:
        """The JSON body of an HTTP error, where nothing was sent yet."""


def server_sent(data: bytes, event: str = "") -> bytes:
    """One server-sent event. `data` holds no line breaks, as JSON never does."""
    name = b"event: %s\n" % event.encode() if event else b""
    return b"%sdata: %s\n\n" % (name, data)
