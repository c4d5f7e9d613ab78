"""Recorded response bodies, read piece by piece: the frames or the server-sent events in them, and their positions.

The library's decoders validate the bytes; sizes and offsets are read from the same bytes. All are in bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import BinaryIO, TypeAlias

import msgspec

from ..eventstream import Decoder, Frame
from ..sse import ServerSentEvent, SSEDecoder

__all__ = ("EventRecording", "FrameRecording", "LocatedEvent", "LocatedFrame", "Recording", "read_recording")

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_READ = 1 << 16
_BOM = b"\xef\xbb\xbf"
_STARTS = (b":", b"data:", b"event:", b"id:", b"retry:")  # of a first line of server-sent events
_LONGEST_START = max(map(len, _STARTS))


class LocatedFrame(msgspec.Struct, frozen=True):
    """A frame with its position in the file."""

    number: int
    offset: int
    total: int
    headers_length: int
    prelude_crc: int
    message_crc: int
    frame: Frame


class LocatedEvent(msgspec.Struct, frozen=True):
    """A server-sent event with its position in the file, from its first field to the blank line that ends it."""

    number: int
    offset: int
    total: int
    event: ServerSentEvent


class _Body:
    """A recorded body while it is read; `head` was read before."""

    def __init__(self, file: BinaryIO, head: bytes) -> None:
        self._file = file
        self._head = head
        self.rest: bytearray = bytearray()
        self.offset: int = 0
        self.count: int = 0

    def _number(self) -> int:
        """Return the number of the next part, and count it."""
        self.count += 1
        return self.count - 1

    def _pass(self, size: int) -> None:
        """Pass over the next `size` bytes."""
        del self.rest[:size]
        self.offset += size


class FrameRecording(_Body):
    """Iterator over the frames of a file. After an error, `offset` is the start of the broken frame."""

    noun: str = "frame"

    def __iter__(self) -> Iterator[LocatedFrame]:
        decoder = Decoder()
        for data in _pieces(self._file, self._head):
            self.rest.extend(data)
            for frame in decoder.feed(data):
                yield self._locate(frame)
            if decoder.error is not None:
                raise decoder.error
        decoder.finish()

    def _locate(self, frame: Frame) -> LocatedFrame:
        total, headers_length, prelude_crc = _PRELUDE.unpack_from(self.rest)
        (message_crc,) = _CRC.unpack_from(self.rest, total - 4)  # the last four bytes of a frame
        located = LocatedFrame(self._number(), self.offset, total, headers_length, prelude_crc, message_crc, frame)
        self._pass(total)
        return located


class EventRecording(_Body):
    """Iterator over the server-sent events of a file. After an error, `offset` is the start of the broken event."""

    noun: str = "event"

    def __iter__(self) -> Iterator[LocatedEvent]:
        decoder = SSEDecoder()
        for data in _pieces(self._file, self._head):
            # Fed line by line, so that the offset of each event is known. `splitlines` of bytes knows LF, CR and CRLF.
            for line in data.splitlines(keepends=True):
                self.rest.extend(line)
                for event in decoder.feed(line):
                    yield LocatedEvent(self._number(), self.offset, len(self.rest), event)
                if not decoder.pending:
                    self._pass(len(self.rest))  # comments and blank lines between events belong to none
        decoder.finish()


Recording: TypeAlias = FrameRecording | EventRecording


def read_recording(file: BinaryIO) -> Recording:
    """Return the frames of the file, or its server-sent events if it begins with a line of them."""
    head = b""
    for data in _pieces(file):
        head += data
        if len(_first_line(head)) >= _LONGEST_START or len(head) >= _READ:
            break
    events = _first_line(head).startswith(_STARTS)
    return EventRecording(file, head) if events else FrameRecording(file, head)


def _first_line(head: bytes) -> bytes:
    return head.removeprefix(_BOM).lstrip(b"\r\n")


def _pieces(file: BinaryIO, head: bytes = b"") -> Iterator[bytes]:
    if head:
        yield head
    # read1 returns as soon as any data is available, so what a pipe delivers is printed as it arrives.
    while data := file.read1(_READ):  # type: ignore[attr-defined]
        yield data
