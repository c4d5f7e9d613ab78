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
from typing import TypeVar
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

_T = TypeVar("_T")

_PRELUDE = Struct(">III")
_unpack_lengths = Struct(">II").unpack_from
_unpack_crc = Struct(">I").unpack_from
_SMALLEST = 16  # prelude and message checksum, with nothing between

# Streams repeat a few hundred heads, of a few dozen header blocks, for hours. What was checked and parsed once is
# remembered by its bytes, for all decoders together, so that a stream costs no memory for it. Bounded, since a peer may
# never repeat one.
_MEMO_ENTRIES = 1024
_MEMO_HEAD = 512
_heads: dict[bytes, tuple[int, Headers]] = {}  # prelude and header block, both sound -> checksum up to there, headers
_blocks: dict[bytes, Headers] = {}  # header block -> headers, the same object for the same block


def _remember(memo: dict[bytes, _T], key: bytes, value: _T) -> None:
    if len(memo) >= _MEMO_ENTRIES:
        memo.clear()
    memo[key] = value


class Decoder:
    """Reads frames out of a byte stream that arrives in arbitrary pieces.

    `max_frame` and `max_headers` are limits in bytes on what a prelude may declare.

    >>> from bedrock_stream.eventstream import Frame, encode_frame
    >>> data = encode_frame(Frame({":event-type": "chunk"}, b"{}"))
    >>> decoder = Decoder()
    >>> decoder.feed(data[:20])
    []
    >>> decoder.feed(data[20:])
    [Frame(headers={':event-type': 'chunk'}, payload=b'{}')]
    >>> decoder.finish()
    """

    __slots__ = ("_max_frame", "_max_headers", "_needed", "_offset", "_tail", "error")

    def __init__(self, *, max_frame: int = MAX_FRAME, max_headers: int = MAX_HEADERS) -> None:
        self._max_frame = max_frame
        self._max_headers = max_headers
        self._tail = bytearray()  # the beginning of a frame whose rest has not come
        self._needed = 0  # how long the tail must grow before looking at it again is worth it
        self._offset = 0  # bytes of whole frames behind us
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
                f"the stream ended inside a frame: {len(self._tail)} bytes of it came, "
                f"at least {self._needed} are needed"
            )
        if self.error is not None:
            raise self.error

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._tail)

    def _walk(self, data: bytes, frames: list[Frame]) -> int:
        """Append every whole frame in `data`; return where the rest begins."""
        # Locals, since this loop runs once for every event of every stream.
        heads, max_frame, max_headers, unpack_lengths, unpack_crc = (
            _heads,
            self._max_frame,
            self._max_headers,
            _unpack_lengths,
            _unpack_crc,
        )
        size = len(data)
        position = 0
        while size - position >= 12:
            length, headers_length = unpack_lengths(data, position)
            payload_start = position + 12 + headers_length
            head = data[position:payload_start]
            known = heads.get(head)
            if known is None:
                self._check_prelude(data[position : position + 12], position)
            if length > max_frame or headers_length > max_headers:
                raise self._bad_size(length, headers_length, position)
            end = position + length
            if end > size:
                self._needed = length
                return position
            payload = data[payload_start : end - 4]
            computed = crc32(payload, crc32(head) if known is None else known[0])
            (expected,) = unpack_crc(data, end - 4)
            if computed != expected:
                raise ChecksumMismatch("message", expected, computed, offset=self._offset + position)
            frames.append(Frame(self._parse(head, position) if known is None else known[1], payload))
            position = end
        self._needed = 12
        return position

    def _check_prelude(self, prelude: bytes, position: int) -> None:
        length, headers_length, expected = _PRELUDE.unpack(prelude)
        computed = crc32(prelude[:8])
        if computed != expected:
            raise ChecksumMismatch("prelude", expected, computed, offset=self._offset + position)
        if length < _SMALLEST or headers_length > length - _SMALLEST:
            raise self._bad_size(length, headers_length, position)

    def _parse(self, head: bytes, position: int) -> Headers:
        block = head[12:]
        headers = _blocks.get(block)
        if headers is None:
            try:
                headers = decode_headers(block)
            except InvalidHeader as error:
                raise InvalidHeader(str(error), offset=self._offset + position) from None
        if len(head) <= _MEMO_HEAD:
            _remember(_blocks, block, headers)
            _remember(_heads, head, (crc32(head), headers))
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
