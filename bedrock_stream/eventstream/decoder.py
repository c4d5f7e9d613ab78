"""Bytes in, frames out: the incremental reader of `application/vnd.amazon.eventstream`.

    total length (4) | headers length (4) | CRC of those 8 bytes (4) | headers | payload | CRC of all before it (4)

Three verbs: `feed` bytes and get the frames they complete, look at `error`, `finish` when the input ends. Any split of
the bytes gives the same frames. Nothing is believed before its checksum: the prelude is checked as soon as its twelve
bytes are in, so a false length is refused before anything is collected for it. After a failure the decoder stays
broken; it never looks for the next plausible frame, since what lies between would be lost in silence.

Pure: no I/O, no clock, no asyncio.
"""

from __future__ import annotations

from struct import Struct
from zlib import crc32

from ..errors import (
    BedrockStreamError,
    ChecksumMismatch,
    FrameSizeError,
    InvalidFrame,
    InvalidHeader,
    StreamInterrupted,
)
from .frame import Frame, Headers
from .headers import decode_headers

__all__ = ("MAX_FRAME", "MAX_HEADERS", "Decoder")

MAX_FRAME = 24 * 1024 * 1024
"""The longest frame that AWS's own parsers take, in bytes."""
MAX_HEADERS = 128 * 1024
"""The longest header block, in bytes."""

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_SMALLEST = 16  # prelude and message checksum, with nothing between

# A stream repeats a handful of header blocks, so each is parsed once. Bounded, since a peer may never repeat one.
_CACHED_BLOCKS = 256
_CACHED_BLOCK_SIZE = 512


class Decoder:
    """Reads frames out of a byte stream that arrives in arbitrary pieces.

    `max_frame` and `max_headers` are limits in bytes on what a prelude may declare.
    """

    __slots__ = ("_blocks", "_max_frame", "_max_headers", "_needed", "_offset", "_tail", "error")

    def __init__(self, *, max_frame: int = MAX_FRAME, max_headers: int = MAX_HEADERS) -> None:
        self._max_frame = max_frame
        self._max_headers = max_headers
        self._tail = bytearray()  # the beginning of a frame whose rest has not come
        self._needed = 0  # how long the tail must grow before looking at it again is worth it
        self._offset = 0  # bytes of whole frames behind us
        self._blocks: dict[bytes, Headers] = {}
        self.error: BedrockStreamError | None = None
        """What broke the stream. Frames in front of the damage were delivered; every later call raises this."""

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        """Take the next bytes and return the frames that they complete, oldest first.

        Raises `InvalidFrame` on damage, unless intact frames come before it in these bytes: then those are returned,
        `error` is set, and the next call raises.
        """
        if self.error is not None:
            raise self.error
        tail = self._tail
        if tail:
            tail += data
            if len(tail) < self._needed:
                return []
            data = bytes(tail)
            tail.clear()
        elif type(data) is not bytes:
            data = bytes(data)
        frames: list[Frame] = []
        position = 0
        try:
            position = self._walk(data, frames)
        except InvalidFrame as error:
            self.error = error
            if not frames:
                raise
            return frames
        self._offset += position
        if position < len(data):
            tail += memoryview(data)[position:]
        return frames

    def finish(self) -> None:
        """Say that the input has ended. Raises `error`, or `StreamInterrupted` where it ended inside a frame."""
        if self.error is None and self._tail:
            self.error = StreamInterrupted(
                f"the stream ended inside a frame: {len(self._tail)} bytes of it came, {self._needed} are needed"
            )
        if self.error is not None:
            raise self.error

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._tail)

    def _walk(self, data: bytes, frames: list[Frame]) -> int:
        """Append every whole frame in `data`; return where the rest begins."""
        size = len(data)
        position = 0
        blocks = self._blocks
        view = memoryview(data)
        while size - position >= 12:
            length, headers_length, expected = _PRELUDE.unpack_from(data, position)
            computed = crc32(view[position : position + 8])
            if computed != expected:
                raise ChecksumMismatch("prelude", expected, computed, offset=self._offset + position)
            room = min(length - _SMALLEST, self._max_headers)
            if length > self._max_frame or not 0 <= headers_length <= room:
                raise self._bad_size(length, headers_length, position)
            end = position + length
            if end > size:
                self._needed = length
                return position
            # The prelude's checksum covers the first eight bytes, so the message's goes on from there.
            computed = crc32(view[position + 8 : end - 4], expected)
            (expected,) = _CRC.unpack_from(data, end - 4)
            if computed != expected:
                raise ChecksumMismatch("message", expected, computed, offset=self._offset + position)
            payload_start = position + 12 + headers_length
            block = data[position + 12 : payload_start]
            headers = blocks.get(block)
            if headers is None:
                headers = self._parse(block, position)
            frames.append(Frame(headers, data[payload_start : end - 4]))
            position = end
        self._needed = 12
        return position

    def _parse(self, block: bytes, position: int) -> Headers:
        try:
            headers = decode_headers(block)
        except InvalidHeader as error:
            raise InvalidHeader(str(error), offset=self._offset + position) from None
        if len(block) <= _CACHED_BLOCK_SIZE and len(self._blocks) < _CACHED_BLOCKS:
            self._blocks[block] = headers
        return headers

    def _bad_size(self, length: int, headers_length: int, position: int) -> FrameSizeError:
        offset = self._offset + position
        if length < _SMALLEST:
            return FrameSizeError(f"a frame declares {length} bytes; {_SMALLEST} is the least", offset=offset)
        if length > self._max_frame:
            return FrameSizeError(f"a frame declares {length} bytes; the limit is {self._max_frame}", offset=offset)
        limit = min(length - _SMALLEST, self._max_headers)
        return FrameSizeError(
            f"a frame of {length} bytes declares {headers_length} bytes of headers; {limit} is the most", offset=offset
        )
