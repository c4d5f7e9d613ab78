"""Server-sent events: the encoding of answers of Messages, Chat Completions and Responses.

The three differ in the order of the lines of an event, and in the form of an error. The emulator writes events itself,
so that it shares no mistake with a reader.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import msgspec

from ..service.refusal import status_of
from ..service.vendor_errors import error_of
from ..steps import Comment, LineEnds, RawLines, Step, StreamError, TypelessError, UnmodeledError
from .rendering import WireEvent

__all__ = ("SSE", "ChatWriter", "Documents", "MessagesWriter", "ResponsesWriter", "SseWriter")

SSE = "text/event-stream"


class Documents:
    """The part of a composer that sends each document as an event of its own."""

    def wire(self, document: dict[str, Any], *, is_delta: bool = False, name: str | None = None) -> WireEvent:
        """Return the event that carries a document; `name` is that of a script."""
        return WireEvent(document.get("type", "") if name is None else name, document, is_delta)


class SseWriter(ABC):
    """The writer of one answer's events."""

    def __init__(self, _checksum: Callable[[bytes], int]) -> None:
        self._end = b"\n"
        self._inside: list[bytes] = []  # comments for the next event

    @abstractmethod
    def lines(self, name: str, data: list[bytes]) -> list[bytes]:
        """Return the lines of an event. The name may be empty."""

    @abstractmethod
    def error(self, step: StreamError | UnmodeledError) -> dict[str, Any]:
        """Return the document of an error event."""

    def document(self, payload: dict[str, Any]) -> bytes:
        """Encode a document."""
        return msgspec.json.encode(payload)

    def event(self, name: str, payload: dict[str, Any] | bytes) -> bytes:
        """See `Writer`."""
        data = payload if isinstance(payload, bytes) else self.document(payload)
        first, *rest = self.lines(name, [b"data: " + line for line in data.split(b"\n")])
        lines, self._inside = [first, *self._inside, *rest], []
        return self._end.join(lines) + 2 * self._end

    def step(self, step: Step) -> bytes | None:
        """See `Writer`."""
        match step:
            case StreamError() | UnmodeledError():
                return self.event("error", self.error(step))
            case TypelessError():
                return self.event("", {"message": step.message})
            case Comment(inside=True):
                self._inside.append(_comment(step))
                return b""
            case Comment():
                return _comment(step) + 2 * self._end
            case LineEnds():
                self._end = step.end.encode()
                return b""
            case RawLines():
                return step.data
        return None


def _comment(step: Comment) -> bytes:
    return b": " + step.text.encode()


def _event_line(name: str) -> list[bytes]:
    return [b"event: " + name.encode()] if name else []


class MessagesWriter(SseWriter):
    """The writer of Messages: the event's name comes first."""

    def lines(self, name: str, data: list[bytes]) -> list[bytes]:
        """See `SseWriter`."""
        return [*_event_line(name), *data]

    def error(self, step: StreamError | UnmodeledError) -> dict[str, Any]:
        """See `SseWriter`."""
        return {"type": "error", "error": {**_error("anthropic", step)}}


class ChatWriter(SseWriter):
    """The writer of Chat Completions: events have no names."""

    def lines(self, name: str, data: list[bytes]) -> list[bytes]:
        """See `SseWriter`."""
        return data

    def error(self, step: StreamError | UnmodeledError) -> dict[str, Any]:
        """See `SseWriter`."""
        return {"error": _error("openai", step)}


class ResponsesWriter(SseWriter):
    """The writer of Responses: data comes before the event's name, keys are sorted, and events are numbered."""

    def __init__(self, checksum: Callable[[bytes], int]) -> None:
        super().__init__(checksum)
        self._number = 0

    def lines(self, name: str, data: list[bytes]) -> list[bytes]:
        """See `SseWriter`."""
        return [*data, *_event_line(name)]

    def document(self, payload: dict[str, Any]) -> bytes:
        """See `SseWriter`."""
        number = {"sequence_number": self._number} if "type" in payload else {}
        self._number += 1
        return msgspec.json.encode({**number, **payload}, order="sorted")

    def error(self, step: StreamError | UnmodeledError) -> dict[str, Any]:
        """See `SseWriter`."""
        if isinstance(step, UnmodeledError):
            return {"type": "error", "code": step.code, "message": step.message, "param": None}
        return {"type": "error", "error": _error("openai", step)}


def _error(vendor: Any, step: StreamError | UnmodeledError) -> dict[str, Any]:
    if isinstance(step, StreamError):
        return {**error_of(vendor, step.code, step.message, status=status_of(step.code)), **step.extra}
    code = {} if vendor == "anthropic" else {"code": step.code, "param": None}
    return {"type": step.code, "message": step.message, **code}
