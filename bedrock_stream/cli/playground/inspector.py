"""Frames as the page shows them: where each lay, what it holds, and both checksums computed anew from its bytes.

A stream is tapped by giving it a decoder that also tells. That is done here and nowhere else, so a stream that nobody
inspects pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any
from zlib import crc32

import msgspec

from ...client.stream import BaseStream
from ...errors import BedrockStreamError, InvalidHeader
from ...eventstream import Decoder, Frame, decode_headers

__all__ = ("Checksum", "FrameView", "HeaderView", "tap", "view")

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_RAW_SHOWN = 64 * 1024  # an image comes in frames of megabytes, which nobody reads as hex
_TYPES = ("true", "false", "int8", "int16", "int32", "int64", "bytes", "string", "timestamp", "uuid")
_SIZES = (0, 0, 1, 2, 4, 8, None, None, 8, 16)


class Checksum(msgspec.Struct, frozen=True):
    """A CRC-32 as it came and as it should be, in hex."""

    received: str
    computed: str
    matches: bool


class HeaderView(msgspec.Struct, frozen=True):
    """One header."""

    name: str
    type: str
    value: str


class FrameView(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="frame"):
    """One frame, intact or not. Sizes and places in bytes; None where the bytes do not reach that far."""

    round: int
    number: int
    offset: int
    total: int | None = None
    headers_length: int | None = None
    payload_length: int | None = None
    headers: tuple[HeaderView, ...] = ()
    prelude_crc: Checksum | None = None
    message_crc: Checksum | None = None
    problem: str | None = None
    """What the decoder says against it."""
    raw: bytes
    """The bytes themselves, as far as they are shown."""
    size: int
    """How many bytes of it came."""


def tap(stream: BaseStream[Any], tell: Callable[[FrameView], None], round: int) -> None:
    """Have every frame of a stream told. Only before anything of it was read."""
    stream._decoder = _TellingDecoder(tell, round)


def view(raw: bytes, *, round: int = 1, number: int = 0, offset: int = 0, problem: str | None = None) -> FrameView:
    """Describe a frame's bytes, however few or damaged."""
    place: dict[str, Any] = {"round": round, "number": number, "offset": offset}
    shown: dict[str, Any] = {"problem": problem, "raw": raw[:_RAW_SHOWN], "size": len(raw)}
    if len(raw) < _PRELUDE.size:
        return FrameView(**place, **shown)
    total, headers_length, crc = _PRELUDE.unpack_from(raw)
    shown |= {"total": total, "headers_length": headers_length, "prelude_crc": _checksum(crc, crc32(raw[:8]))}
    if total >= 16 + headers_length and len(raw) >= total:
        (crc,) = _CRC.unpack_from(raw, total - 4)
        shown["message_crc"] = _checksum(crc, crc32(raw[: total - 4]))
        shown["payload_length"] = total - headers_length - 16
        shown["headers"] = tuple(_headers(raw[12 : 12 + headers_length]))
    return FrameView(**place, **shown)


def _checksum(received: int, computed: int) -> Checksum:
    return Checksum(f"{received:08x}", f"{computed:08x}", received == computed)


def _headers(block: bytes) -> Iterator[HeaderView]:
    try:
        values = decode_headers(block)
    except InvalidHeader:
        return
    position = 0
    for name, value in values.items():  # in the order of the block, so each value's type is found by walking along
        position += 1 + block[position]
        kind = block[position]
        size = _SIZES[kind]
        position += 1 + (2 + int.from_bytes(block[position + 1 : position + 3]) if size is None else size)
        yield HeaderView(name, _TYPES[kind], value.hex(" ") if isinstance(value, bytes) else str(value))


class _TellingDecoder(Decoder):
    """A decoder that tells of each frame, and of the one that broke the stream."""

    __slots__ = ("_count", "_place", "_rest", "_round", "_tell")

    def __init__(self, tell: Callable[[FrameView], None], round: int) -> None:
        super().__init__()
        self._tell = tell
        self._round = round
        self._rest = b""
        self._place = 0
        self._count = 0

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        if self.error is None:
            self._rest += data
        try:
            frames = super().feed(data)
        except BedrockStreamError as error:
            self._tell_broken(error)
            raise
        for _ in frames:
            self._tell_next(_PRELUDE.unpack_from(self._rest)[0])
        if self.error is not None:
            self._tell_broken(self.error)
        return frames

    def finish(self) -> None:
        try:
            super().finish()
        except BedrockStreamError as error:
            self._tell_broken(error)
            raise

    def _tell_next(self, length: int, problem: str | None = None) -> None:
        raw, self._rest = self._rest[:length], self._rest[length:]
        self._tell(view(raw, round=self._round, number=self._count, offset=self._place, problem=problem))
        self._place += length
        self._count += 1

    def _tell_broken(self, error: BedrockStreamError) -> None:
        """Tell of the frame that broke the stream, once; what lies behind it is nobody's."""
        if self._rest:
            self._tell_next(_length_of_broken(self._rest), f"{type(error).__name__}: {error}")
            self._rest = b""


def _length_of_broken(rest: bytes) -> int:
    """How much of the rest is the damaged frame, as far as its length can still be believed."""
    if len(rest) < _PRELUDE.size:
        return len(rest)
    total, _, crc = _PRELUDE.unpack_from(rest)
    return int(total) if crc == crc32(rest[:8]) and total >= 16 else len(rest)
