"""Frames as the page shows them: offset, content, and both checksums computed again from the frame's bytes.

The inspector observes a stream and decodes its bytes a second time, so a stream that is not inspected pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from struct import Struct
from typing import Any
from zlib import crc32

import msgspec

from ...client.base_stream import BaseStream
from ...dialects.base import SERVER_SENT_EVENTS
from ...errors import BedrockStreamError, InvalidHeader
from ...eventstream import Decoder, Frame, decode_headers
from ...observing import Attempt, Ending, Subject
from ...types.events import Event

__all__ = ("Checksum", "FrameInspector", "FrameView", "HeaderView", "inspect", "view")

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_RAW_SHOWN = 64 * 1024  # an image has frames of megabytes, too long to read as hex
_TYPES = ("true", "false", "int8", "int16", "int32", "int64", "bytes", "string", "timestamp", "uuid")
_SIZES = (0, 0, 1, 2, 4, 8, None, None, 8, 16)


class Checksum(msgspec.Struct, frozen=True):
    """A CRC-32 as received and as computed, in hex."""

    received: str
    computed: str
    matches: bool


class HeaderView(msgspec.Struct, frozen=True):
    """One header."""

    name: str
    type: str
    value: str


class FrameView(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="frame"):
    """One frame, intact or not. Sizes and offsets in bytes; None where the frame broke off before."""

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
    """The decoder's error."""
    raw: bytes
    """The frame's bytes, as far as they are shown."""
    size: int
    """How many of its bytes were received."""


def inspect(stream: BaseStream[Any], report: Callable[[FrameView], None], round: int) -> None:
    """Report every frame of a stream before its events. Raises `ConfigurationError` once the stream has begun."""
    stream.observe(FrameInspector(report, round))


def view(raw: bytes, *, round: int = 1, number: int = 0, offset: int = 0, problem: str | None = None) -> FrameView:
    """Describe a frame's bytes, however few or damaged."""
    position: dict[str, Any] = {"round": round, "number": number, "offset": offset}
    shown: dict[str, Any] = {"problem": problem, "raw": raw[:_RAW_SHOWN], "size": len(raw)}
    if len(raw) < _PRELUDE.size:
        return FrameView(**position, **shown)
    total, headers_length, crc = _PRELUDE.unpack_from(raw)
    shown |= {"total": total, "headers_length": headers_length, "prelude_crc": _checksum(crc, crc32(raw[:8]))}
    if total >= 16 + headers_length and len(raw) >= total:
        (crc,) = _CRC.unpack_from(raw, total - 4)
        shown["message_crc"] = _checksum(crc, crc32(raw[: total - 4]))
        shown["payload_length"] = total - headers_length - 16
        shown["headers"] = tuple(_headers(raw[12 : 12 + headers_length]))
    return FrameView(**position, **shown)


def _checksum(received: int, computed: int) -> Checksum:
    return Checksum(f"{received:08x}", f"{computed:08x}", received == computed)


def _headers(block: bytes) -> Iterator[HeaderView]:
    try:
        values = decode_headers(block)
    except InvalidHeader:
        return
    position = 0
    for name, value in values.items():  # in the order of the block, so walking along it finds the type of each value
        position += 1 + block[position]
        kind = block[position]
        size = _SIZES[kind]
        position += 1 + (2 + int.from_bytes(block[position + 1 : position + 3]) if size is None else size)
        yield HeaderView(name, _TYPES[kind], value.hex(" ") if isinstance(value, bytes) else str(value))


class FrameInspector:
    """Observes one call and reports each frame of its response, and the one that broke it."""

    def __init__(self, report: Callable[[FrameView], None], round: int) -> None:
        self._report = report
        self._round = round
        self.responded()

    def watch(self, subject: Subject) -> FrameInspector:
        """See `observing.Observer`; it observes this call itself."""
        return self

    def began(self) -> None:
        """See `observing.Observation`."""

    def first(self, attempt: Attempt) -> None:
        """See `observing.Observation`."""

    def came(self, events: Iterable[Event]) -> None:
        """See `observing.Observation`."""

    def failed(self, attempt: Attempt) -> None:
        """See `observing.Observation`."""

    def responded(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Begin a new response: offsets count from its first byte. One in server-sent events has no frames."""
        kind = (headers or {}).get("Content-Type", "")
        self._has_frames = not kind.lower().startswith(SERVER_SENT_EVENTS)
        self._decoder = Decoder()
        self._rest = b""
        self._offset = 0
        self._count = 0

    def received(self, data: bytes) -> None:
        """Report the frames that are complete with these bytes."""
        if self._decoder.error is not None or not self._has_frames:
            return
        self._rest += data
        frames: list[Frame] = []
        with suppress(BedrockStreamError):  # it stays in the decoder, too
            frames = self._decoder.feed(data)
        for _ in frames:
            self._report_next(_PRELUDE.unpack_from(self._rest)[0])
        if self._decoder.error is not None:
            self._report_broken(self._decoder.error)

    def ended(self, ending: Ending) -> None:
        """Report the frame that a response broke off in."""
        if ending.way == "failed":
            self.finish()

    def finish(self) -> None:
        """Take the end of the body, which may be inside a frame."""
        try:
            self._decoder.finish()
        except BedrockStreamError as error:
            self._report_broken(error)

    def _report_next(self, length: int, problem: str | None = None) -> None:
        raw, self._rest = self._rest[:length], self._rest[length:]
        self._report(view(raw, round=self._round, number=self._count, offset=self._offset, problem=problem))
        self._offset += length
        self._count += 1

    def _report_broken(self, error: BedrockStreamError) -> None:
        """Report the frame that broke the stream, once; the bytes behind it belong to no frame."""
        if self._rest:
            self._report_next(_length_of_broken(self._rest), f"{type(error).__name__}: {error}")
            self._rest = b""


def _length_of_broken(rest: bytes) -> int:
    """Return how many of these bytes belong to the damaged frame, as far as its length can be trusted."""
    if len(rest) < _PRELUDE.size:
        return len(rest)
    total, _, crc = _PRELUDE.unpack_from(rest)
    return int(total) if crc == crc32(rest[:8]) and total >= 16 else len(rest)
