"""`bedrock-stream decode`: a recorded event stream, frame by frame, and the place where it breaks.

The library's `Decoder` says what is true; sizes and offsets are read from the same bytes beside it.
"""

from __future__ import annotations

import binascii
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from struct import Struct
from typing import Any, BinaryIO

import msgspec
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from ..errors import BedrockStreamError, ConfigurationError
from ..eventstream import Decoder, Frame, HeaderValue
from .exit_codes import FAILED, complain
from .terminal import make_console, visible

__all__ = ("decode",)

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_WIDE = 110  # JSON longer than this is shown over several lines
_INDENT = "    "
_HEX_SHOWN = 64
_NOTHING = object()


def decode(source: str, *, as_json: bool) -> int:
    """Show every frame; return the exit code. Raises `ConfigurationError` where the file cannot be opened."""
    page = _JsonPage() if as_json else _TextPage(make_console(sys.stdout))
    with _opened(source) as file:
        recording = _Recording(file)
        try:
            for found in recording:
                page.show(found)
        except BedrockStreamError as error:
            page.show_break(recording, error)
            return complain(_broken(recording, error), FAILED)
    page.end(recording)
    return 0


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(source, "rb")  # noqa: SIM115 - only opening it may be the caller's mistake
    except OSError as error:
        raise ConfigurationError("FILE", f"{source} cannot be read: {error.strerror}") from None
    with file:
        yield file


class _Found(msgspec.Struct, frozen=True):
    """A frame and where it lay. Sizes in bytes."""

    number: int
    offset: int
    total: int
    headers_length: int
    prelude_crc: int
    message_crc: int
    frame: Frame


class _Recording:
    """Frames out of a file, as they arrive. After a failure, `offset` is where the broken frame begins."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.rest = bytearray()
        self.offset = 0
        self.count = 0

    def __iter__(self) -> Iterator[_Found]:
        decoder = Decoder()
        # read1 gives what has arrived, so a pipe is shown live
        while data := self._file.read1(1 << 16):  # type: ignore[attr-defined]
            self.rest += data
            for frame in decoder.feed(data):
                yield self._locate(frame)
            if decoder.error is not None:
                raise decoder.error
        decoder.finish()

    def _locate(self, frame: Frame) -> _Found:
        total, headers_length, prelude_crc = _PRELUDE.unpack_from(self.rest)
        (message_crc,) = _CRC.unpack_from(self.rest, total - 4)
        found = _Found(self.count, self.offset, total, headers_length, prelude_crc, message_crc, frame)
        del self.rest[:total]
        self.offset += total
        self.count += 1
        return found


def _broken(recording: _Recording, error: BedrockStreamError) -> str:
    # The library's sentence may name the offset too; once is enough.
    reason = str(error).removesuffix(f" (frame at byte {recording.offset} of the stream)")
    return f"broken at byte {recording.offset}, after {_frames(recording.count)}: {reason}"


def _frames(count: int) -> str:
    return f"{count} frame{'' if count == 1 else 's'}"


# ------------------------------------------------------------------------------------------------------------- payloads


def _parsed(payload: bytes | str) -> Any:
    """The JSON value, or `_NOTHING` where it is none."""
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _NOTHING


def _chunk(value: Any) -> bytes | None:
    """What a native chunk carries: base64 in its `bytes` member."""
    if isinstance(value, dict) and isinstance(value.get("bytes"), str):
        try:
            return b64decode(value["bytes"], validate=True)
        except (binascii.Error, ValueError):
            return None
    return None


# ---------------------------------------------------------------------------------------------------------------- JSON


class _JsonPage:
    """Each frame as one line of JSON; a break as the last one."""

    def show(self, found: _Found) -> None:
        frame = found.frame
        line = {
            "offset": found.offset,
            "total_length": found.total,
            "headers_length": found.headers_length,
            "payload_length": len(frame.payload),
            "crc": "ok",
            "headers": frame.headers,
        }
        value = _parsed(frame.payload)
        if value is not _NOTHING:
            line["payload"] = value
        elif frame.payload:
            line["payload_base64"] = frame.payload
        chunk = _chunk(value)
        if chunk is not None and (inner := _parsed(chunk)) is not _NOTHING:
            line["chunk"] = inner
        self._write(line)

    def show_break(self, recording: _Recording, error: BedrockStreamError) -> None:
        self._write({"offset": recording.offset, "error": type(error).__name__, "message": str(error)})

    def end(self, recording: _Recording) -> None:
        pass

    def _write(self, line: dict[str, Any]) -> None:
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()


# ---------------------------------------------------------------------------------------------------------------- text


class _TextPage:
    """Each frame as a heading, its headers, its payload."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._highlight = JSONHighlighter()

    def show(self, found: _Found) -> None:
        frame = found.frame
        self._print(_heading(found))
        width = max((len(name) for name in frame.headers), default=0)
        for name, value in frame.headers.items():
            text = Text(_INDENT).append(visible(name).ljust(width), "cyan").append("  ")
            self._print(text.append(_header(value)))
        self._show_payload(frame.payload)
        self._print(Text())

    def show_break(self, recording: _Recording, error: BedrockStreamError) -> None:
        heading = Text(f"#{recording.count}", "bold").append("  broken", "bold red").append(_at(recording.offset))
        self._print(heading.append(f"  {type(error).__name__}", "red"))
        self._print(Text(_INDENT + _hex(recording.rest), "dim"))

    def end(self, recording: _Recording) -> None:
        self._print(Text(f"{_frames(recording.count)}, {recording.offset} bytes, ").append("intact", "green"))

    def _show_payload(self, payload: bytes) -> None:
        value = _parsed(payload)
        if value is _NOTHING:
            if payload:
                self._print(Text(_INDENT + _hex(payload), "dim"))
            return
        chunk = _chunk(value)
        if chunk is None:
            self._show_json(payload)
            return
        self._show_json(msgspec.json.encode({**value, "bytes": f"<{len(chunk)} bytes, decoded below>"}))
        if _parsed(chunk) is _NOTHING:
            self._print(Text(_INDENT + _hex(chunk), "dim"))
        else:
            self._show_json(chunk, "bytes = ")

    def _show_json(self, data: bytes, label: str = "") -> None:
        text = msgspec.json.format(data, indent=0).decode(errors="replace")
        if len(text) > _WIDE:
            text = msgspec.json.format(data, indent=2).decode(errors="replace").replace("\n", "\n" + _INDENT)
        shown = self._highlight(Text(visible(text)))
        self._print(Text(_INDENT).append(label, "dim").append_text(shown))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def _heading(found: _Found) -> Text:
    headers = found.frame.headers
    kind = headers.get(":message-type", "frame")
    name = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code") or kind
    heading = Text(f"#{found.number}", "bold")
    heading.append(f"  {visible(str(name))}", "bold red" if kind in ("exception", "error") else "bold")
    heading.append(_at(found.offset))
    heading.append(f"  {found.total} bytes (headers {found.headers_length}, payload {len(found.frame.payload)})")
    return heading.append("  crc ok", "green").append(f" {found.prelude_crc:08x} {found.message_crc:08x}", "dim")


def _at(offset: int) -> str:
    return f"  at byte {offset}"


def _header(value: HeaderValue) -> str:
    return visible(value) if isinstance(value, str) else f"{type(value).__name__} {value!s}"


def _hex(data: bytes | bytearray) -> str:
    shown = bytes(data[:_HEX_SHOWN])
    more = f" ... {len(data)} bytes in all" if len(data) > _HEX_SHOWN else ""
    readable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in shown)
    return f"{shown.hex(' ')}{more}  |{readable}|"
