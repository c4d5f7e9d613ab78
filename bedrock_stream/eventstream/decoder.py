"""Incremental decoder of `application/vnd.amazon.eventstream`. Pure: no I/O, no clock, no asyncio.

    total length (4) | headers length (4) | CRC of those 8 bytes (4) | headers | payload | CRC of all before it (4)

All integers are big-endian. No length is trusted before its checksum has been verified. After an error the decoder
stays in the error state; it never searches for the next plausible frame, which could drop data silently.
"""

from __future__ import annotations

from struct import Struct
from typing import TypeAlias
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
"""Maximum length of a frame in bytes, checksums included: the limit of AWS's own parsers."""
MAX_HEADERS = 128 * 1024
"""Maximum length of a header block in bytes."""

_unpack_prelude = Struct(">III").unpack_from
_unpack_crc = Struct(">I").unpack_from
_SMALLEST = 16  # prelude (12) and message checksum (4), without headers and payload

# A stream repeats a few hundred heads (prelude and header block), made of a few dozen header blocks. Heads that were
# checked and parsed once are cached for all decoders of the process. The cache is bounded, because a peer may send a
# different head with each frame.
_MEMO_ENTRIES = 1024
_MEMO_BLOCK = 512
_Head: TypeAlias = tuple[int, int, bytes, int, Headers | None]
_heads: dict[bytes, _Head] = {}  # prelude -> frame length, head length, head, checksum of the head, parsed headers
_blocks: dict[bytes, Headers] = {}  # header block -> parsed headers, one object for each distinct block


def _remember(head: _Head, block: bytes, headers: Headers) -> None:
    # Both are cleared together: otherwise equal header blocks could end up with two `Headers` objects.
    if max(len(_heads), len(_blocks)) >= _MEMO_ENTRIES:
        _heads.clear()
        _blocks.clear()
    length, head_length, data, checksum, _ = head
    _heads[data[:12]] = (length, head_length, data, checksum, headers)
    _blocks[block] = headers


class Decoder:
    """Incremental decoder of frames. Any split of the same bytes into pieces yields the same frames.

    `max_frame` and `max_headers` limit the lengths that a prelude may declare, in bytes.

    >>> from bedrock_stream.eventstream import Frame, encode_frame
    >>> data = encode_frame(Frame({":event-type": "chunk"}, b"{}"))
    >>> decoder = Decoder()
    >>> decoder.feed(data[:20])
    []
    >>> decoder.feed(data[20:])
    [Frame(headers={':event-type': 'chunk'}, payload=b'{}')]
    >>> decoder.finish()
    """

    __slots__ = ("_max_frame", "_max_head", "_needed", "_offset", "_tail", "error")

    def __init__(self, *, max_frame: int = MAX_FRAME, max_headers: int = MAX_HEADERS) -> None:
        self._max_frame = max_frame
        self._max_head = 12 + max_headers
        self._tail = bytearray()  # the received part of an incomplete frame
        self._needed = 0  # minimum length of the tail before it is parsed again
        self._offset = 0  # bytes of the complete frames decoded so far
        self.error: BedrockStreamError | None = None
        """The error that ended decoding, or None. Frames before it were returned; every later call raises it."""

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        """Add the next bytes and return the frames that they complete, oldest first.

        Raises `InvalidFrame` for bytes that violate the format. If valid frames precede them in `data`, these are
        returned, `error` is set, and the next call raises. The buffer can be reused after the call.
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
            # Valid frames before the damage are delivered first; the caller then finds `error` set.
            if not frames:
                raise
            return frames
        self._offset += position
        if position < len(data):
            tail += memoryview(data)[position:]
        return frames

    def finish(self) -> None:
        """Mark the end of the input. Raises `error` if set, or `StreamInterrupted` if the input ends inside a frame."""
        # The format has no end frame: a stream may end after any frame.
        if self.error is None and self._tail:
            self.error = StreamInterrupted(
                f"the stream ended inside a frame: got {len(self._tail)} bytes, expected at least {self._needed}"
            )
        if self.error is not None:
            raise self.error

    @property
    def pending(self) -> int:
        """Number of bytes received of an incomplete frame."""
        return len(self._tail)

    def _walk(self, data: bytes, frames: list[Frame]) -> int:
        """Append every complete frame in `data` to `frames`; return the position of the remaining bytes."""
        # Locals, because this loop runs once for each event of each stream.
        heads, max_frame, max_head, unpack_crc = _heads, self._max_frame, self._max_head, _unpack_crc
        size = len(data)
        position = 0
        while size - position >= 12:
            # The prelude alone is the key: hashing a complete head takes longer than comparing it.
            known = heads.get(data[position : position + 12])
            if known is None or not data.startswith(known[2], position):
                known = self._check_prelude(data, position)
            length, head_length, _, checksum, headers = known
            # Checked for cached heads too: the decoder that cached this one may have had other limits.
            if length > max_frame or head_length > max_head:
                raise self._bad_size(length, head_length - 12, position)
            end = position + length
            if end > size:
                self._needed = length
                return position
            payload = data[position + head_length : end - 4]
            # The message checksum covers prelude, headers and payload; the head's checksum is continued.
            computed = crc32(payload, checksum)
            (expected,) = unpack_crc(data, end - 4)
            if computed != expected:
                raise ChecksumMismatch("message", expected, computed, offset=self._offset + position)
            frames.append(Frame(self._parse(known, position) if headers is None else headers, payload))
            position = end
        self._needed = 12
        return position

    def _check_prelude(self, data: bytes, position: int) -> _Head:
        length, headers_length, expected = _unpack_prelude(data, position)
        # The checksum is verified first, so that a damaged length is rejected before bytes are buffered for it.
        computed = crc32(data[position : position + 8])
        if computed != expected:
            raise ChecksumMismatch("prelude", expected, computed, offset=self._offset + position)
        if length < _SMALLEST or headers_length > length - _SMALLEST:
            raise self._bad_size(length, headers_length, position)
        head_length = 12 + headers_length
        head = data[position : position + head_length]
        return length, head_length, head, crc32(head), None

    def _parse(self, head: _Head, position: int) -> Headers:
        block = head[2][12:]
        headers = _blocks.get(block)
        if headers is None:
            try:
                headers = decode_headers(block)
            except InvalidHeader as error:
                raise InvalidHeader(str(error), offset=self._offset + position) from None
        # Bedrock's header blocks are about 90 bytes long; longer ones are not worth their memory.
        if len(block) <= _MEMO_BLOCK:
            _remember(head, block, headers)
        return headers

    def _bad_size(self, length: int, headers_length: int, position: int) -> FrameSizeError:
        offset = self._offset + position
        if length < _SMALLEST:
            return FrameSizeError(f"a frame declares {length} bytes; the minimum is {_SMALLEST}", offset=offset)
        if length > self._max_frame:
            return FrameSizeError(f"a frame declares {length} bytes; the maximum is {self._max_frame}", offset=offset)
        limit = min(length - _SMALLEST, self._max_head - 12)
        return FrameSizeError(
            f"a frame of {length} bytes declares {headers_length} bytes of headers; the maximum is {limit}",
            offset=offset,
        )
