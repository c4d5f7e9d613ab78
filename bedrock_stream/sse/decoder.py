"""Incremental decoder of `text/event-stream`, by the rules of the WHATWG HTML standard. Pure: no I/O, no clock.

A line ends with LF, CR or CRLF and is a field (`name: value`) or a comment (`: words`); a blank line ends an event. An
event that the input does not end with a blank line is never returned. After an error the decoder stays in the error
state.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..errors import BedrockStreamError, FrameSizeError, InvalidFrame, StreamInterrupted

__all__ = ("MAX_EVENT", "SSEDecoder", "ServerSentEvent")

MAX_EVENT = 24 * 1024 * 1024
"""Maximum length of an event in bytes, the same as of a frame of the AWS event stream."""

_BOM = b"\xef\xbb\xbf"
_MESSAGE = "message"

# A stream repeats a dozen lines that name its events. Their names are cached for all decoders of the process. The cache
# is bounded, because a peer may send a different name with each event.
_MEMO_ENTRIES = 256
_MEMO_LINE = 100
_names: dict[bytes, str] = {}  # complete line -> name of the event


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream of server-sent events."""

    event: str
    """The name of the event; `message` if the stream names none."""
    data: bytes
    """The values of its data fields, joined with line feeds. Bytes as received: they may be invalid UTF-8."""
    id: str = ""
    """The last id that the stream set, in this event or in an earlier one; empty if none is set."""


class SSEDecoder:
    """Incremental decoder of server-sent events. Any split of the same bytes into pieces yields the same events.

    `max_event` limits the length of one event in bytes, without its comments and the ends of its lines.

    >>> decoder = SSEDecoder()
    >>> decoder.feed(b'event: ping\\ndata: {"type"')
    []
    >>> decoder.feed(b': "ping"}\\n\\n')
    [ServerSentEvent(event='ping', data=b'{"type": "ping"}', id='')]
    >>> decoder.finish()
    """

    __slots__ = ("_after_cr", "_data", "_id", "_max_event", "_name", "_size", "_start", "_tail", "error")

    def __init__(self, *, max_event: int = MAX_EVENT) -> None:
        self._max_event = max_event
        self._start = True  # a byte order mark may follow
        self._after_cr = False  # an LF that follows belongs to the end of the last line
        self._tail = bytearray()  # the received part of an incomplete line; of a comment, its colon alone
        self._data: bytes | bytearray | None = None  # of the incomplete event; None until its first data field
        self._name = _MESSAGE
        self._size = 0  # bytes in the complete lines of the incomplete event
        self._id = ""
        self.error: BedrockStreamError | None = None
        """The error that ended decoding, or None. Events before it were returned; every later call raises it."""

    def feed(self, data: bytes | bytearray | memoryview) -> list[ServerSentEvent]:
        """Add the next bytes and return the events that they complete, oldest first.

        Raises `InvalidFrame` for an event that is too long. If events precede it in `data`, these are returned, `error`
        is set, and the next call raises. The buffer can be reused after the call.
        """
        if self.error is not None:
            raise self.error
        if type(data) is not bytes:
            data = bytes(data)
        if self._start or self._after_cr or b"\r" in data:
            data = self._normalize(data)
        lines = data.split(b"\n")
        rest = lines.pop()
        events: list[ServerSentEvent] = []
        try:
            if lines:
                if self._tail:
                    self._tail += lines[0]
                    lines[0] = bytes(self._tail)
                    self._tail.clear()
                self._walk(lines, events)
            if rest:
                self._keep(rest)
        except InvalidFrame as error:
            self.error = error
            self._tail.clear()
            self._data, self._size = None, 0
            # Events before the failure are delivered first; the caller then finds `error` set.
            if not events:
                raise
        return events

    def finish(self) -> None:
        """Mark the end of the input. Raises `error` if set, or `StreamInterrupted` if it ends inside an event."""
        if self.error is None and (pending := self.pending):
            self.error = StreamInterrupted(f"the stream ended inside a server-sent event: got {pending} bytes of it")
        if self.error is not None:
            raise self.error

    @property
    def pending(self) -> int:
        """Number of bytes received of an incomplete event, without comments and the ends of lines."""
        return self._size if self._tail.startswith(b":") else self._size + len(self._tail)

    def _walk(self, lines: Iterable[bytes], events: list[ServerSentEvent]) -> None:
        """Append every event that these complete lines end to `events`."""
        # Locals, because this loop runs for each line of each stream.
        names, max_event = _names, self._max_event
        data, name, size = self._data, self._name, self._size
        for line in lines:
            if not line:
                # A name without data is forgotten.
                if data is not None:
                    events.append(ServerSentEvent(name, data if type(data) is bytes else bytes(data), self._id))
                    data = None
                name, size = _MESSAGE, 0
                continue
            if data is None and line.startswith(b"data: "):
                data = line[6:]
            elif (known := names.get(line)) is not None:
                name = known
            elif line.startswith(b":"):
                continue
            else:
                data, name = self._field(line, data, name)
            size += len(line)
            if size > max_event:
                raise self._too_long()
        self._data, self._name, self._size = data, name, size

    def _field(self, line: bytes, data: bytes | bytearray | None, name: str) -> tuple[bytes | bytearray | None, str]:
        """Return the data and the name of the incomplete event after this line."""
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            if data is None:
                return value, name
            data = bytearray(data) if type(data) is bytes else data
            data += b"\n"
            data += value
        elif field == b"event":
            name = value.decode("utf-8", "replace") or _MESSAGE
            if len(line) <= _MEMO_LINE:
                if len(_names) >= _MEMO_ENTRIES:
                    _names.clear()
                _names[line] = name
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        # Other fields are ignored. So is `retry`, the delay before a reconnection: there is none here.
        return data, name

    def _keep(self, rest: bytes) -> None:
        """Keep the beginning of a line, unless it is a comment."""
        tail = self._tail
        if not (tail or rest).startswith(b":"):
            tail += rest
            if self._size + len(tail) > self._max_event:
                raise self._too_long()
        elif not tail:
            tail += b":"

    def _normalize(self, data: bytes) -> bytes:
        """Return the bytes without a byte order mark at the start, and with LF as the only end of a line."""
        if self._start:
            data = bytes(self._tail) + data
            self._tail.clear()
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._tail += data
                return b""
            self._start = False
            data = data.removeprefix(_BOM)
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        # The line ends with its CR, so that its event is not held back until the next byte.
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _too_long(self) -> FrameSizeError:
        return FrameSizeError(f"a server-sent event has more than {self._max_event} bytes, the maximum")
