"""`bedrock-stream decode`: print the frames or server-sent events of a recorded stream, and where it breaks.

Whether a file has frames or server-sent events is read from its first bytes.
"""

from __future__ import annotations

import binascii
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import msgspec
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from ..errors import BedrockStreamError, ConfigurationError
from ..eventstream import HeaderValue
from .exit_codes import FAILURE, print_error
from .recordings import LocatedEvent, LocatedFrame, Recording, read_recording
from .terminal import make_console, visible

__all__ = ("decode",)

_WIDE = 110  # characters; longer JSON is printed over several lines
_INDENT = "    "
_HEX_SHOWN = 64
_NOT_JSON = object()


def decode(source: str, *, as_json: bool) -> int:
    """Print every frame or event and return the exit code. Raises `ConfigurationError` if the file cannot be opened."""
    printer = _JsonPrinter() if as_json else _TextPrinter(make_console(sys.stdout))
    with _open(source) as file:
        recording = read_recording(file)
        try:
            for located in recording:
                printer.show(located)
        except BedrockStreamError as error:
            printer.show_break(recording, error)
            return print_error(_describe_break(recording, error), FAILURE)
    printer.finish(recording)
    return 0


@contextmanager
def _open(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(source, "rb")  # noqa: SIM115 - only errors from opening it are usage errors
    except OSError as error:
        raise ConfigurationError("FILE", f"cannot read {source}: {error.strerror}") from None
    with file:
        yield file


def _describe_break(recording: Recording, error: BedrockStreamError) -> str:
    # The library's message may already contain the offset.
    reason = str(error).removesuffix(f" (frame at byte {recording.offset} of the stream)")
    return f"broken at byte {recording.offset}, after {_counted(recording)}: {reason}"


def _counted(recording: Recording) -> str:
    return f"{recording.count} {recording.noun}{'' if recording.count == 1 else 's'}"


# ------------------------------------------------------------------------------------------------------------- payloads


def _parse_json(payload: bytes | str) -> Any:
    """Return the JSON value, or `_NOT_JSON`."""
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _NOT_JSON


def _decode_chunk(value: Any) -> bytes | None:
    """Return the bytes of an InvokeModel chunk: its payload is JSON with base64 in the member `bytes`."""
    if isinstance(value, dict) and isinstance(value.get("bytes"), str):
        try:
            return b64decode(value["bytes"], validate=True)
        except (binascii.Error, ValueError):
            return None
    return None


# ---------------------------------------------------------------------------------------------------------------- JSON


class _JsonPrinter:
    """Frames or events as lines of JSON; an error is the last line."""

    def show(self, located: LocatedFrame | LocatedEvent) -> None:
        if isinstance(located, LocatedEvent):
            self._show_event(located)
            return
        frame = located.frame
        line = {
            "offset": located.offset,
            "total_length": located.total,
            "headers_length": located.headers_length,
            "payload_length": len(frame.payload),
            "crc": "ok",
            "headers": frame.headers,
        }
        value = _parse_json(frame.payload)
        if value is not _NOT_JSON:
            line["payload"] = value
        elif frame.payload:
            line["payload_base64"] = frame.payload
        chunk = _decode_chunk(value)
        if chunk is not None and (inner := _parse_json(chunk)) is not _NOT_JSON:
            line["chunk"] = inner
        self._write(line)

    def _show_event(self, located: LocatedEvent) -> None:
        event = located.event
        line: dict[str, Any] = {"offset": located.offset, "total_length": located.total}
        line |= {"data_length": len(event.data), "event": event.event, "id": event.id}
        value = _parse_json(event.data)
        if value is not _NOT_JSON:
            line["data"] = value
        else:
            line["data_base64"] = event.data
        self._write(line)

    def show_break(self, recording: Recording, error: BedrockStreamError) -> None:
        self._write({"offset": recording.offset, "error": type(error).__name__, "message": str(error)})

    def finish(self, recording: Recording) -> None:
        pass

    def _write(self, line: dict[str, Any]) -> None:
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()


# ---------------------------------------------------------------------------------------------------------------- text


class _TextPrinter:
    """Frames or events as text: a heading, the headers and the payload."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._highlight = JSONHighlighter()

    def show(self, located: LocatedFrame | LocatedEvent) -> None:
        if isinstance(located, LocatedEvent):
            self._show_event(located)
            return
        frame = located.frame
        self._print(_heading(located))
        width = max((len(name) for name in frame.headers), default=0)
        for name, value in frame.headers.items():
            text = Text(_INDENT).append(visible(name).ljust(width), "cyan").append("  ")
            self._print(text.append(_header(value)))
        self._show_payload(frame.payload)
        self._print(Text())

    def _show_event(self, located: LocatedEvent) -> None:
        event = located.event
        name = event.event
        heading = Text(f"#{located.number}", "bold")
        heading.append(f"  {visible(name)}", "bold red" if name == "error" else "bold").append(_at(located.offset))
        self._print(heading.append(f"  {located.total} bytes (data {len(event.data)})"))
        if event.id:
            self._print(Text(_INDENT).append("id", "cyan").append(f"  {visible(event.id)}"))
        if _parse_json(event.data) is _NOT_JSON:
            self._print(Text(_INDENT + visible(event.data.decode(errors="replace"))))
        else:
            self._show_json(event.data)
        self._print(Text())

    def show_break(self, recording: Recording, error: BedrockStreamError) -> None:
        heading = Text(f"#{recording.count}", "bold").append("  broken", "bold red").append(_at(recording.offset))
        self._print(heading.append(f"  {type(error).__name__}", "red"))
        self._print(Text(_INDENT + _hex(recording.rest), "dim"))

    def finish(self, recording: Recording) -> None:
        self._print(Text(f"{_counted(recording)}, {recording.offset} bytes, ").append("intact", "green"))

    def _show_payload(self, payload: bytes) -> None:
        value = _parse_json(payload)
        if value is _NOT_JSON:
            if payload:
                self._print(Text(_INDENT + _hex(payload), "dim"))
            return
        chunk = _decode_chunk(value)
        if chunk is None:
            self._show_json(payload)
            return
        self._show_json(msgspec.json.encode({**value, "bytes": f"<{len(chunk)} bytes, decoded below>"}))
        if _parse_json(chunk) is _NOT_JSON:
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


def _heading(located: LocatedFrame) -> Text:
    headers = located.frame.headers
    # Events, exceptions and errors name their type in different headers.
    kind = headers.get(":message-type", "frame")
    name = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code") or kind
    heading = Text(f"#{located.number}", "bold")
    heading.append(f"  {visible(str(name))}", "bold red" if kind in ("exception", "error") else "bold")
    heading.append(_at(located.offset))
    heading.append(f"  {located.total} bytes (headers {located.headers_length}, payload {len(located.frame.payload)})")
    return heading.append("  crc ok", "green").append(f" {located.prelude_crc:08x} {located.message_crc:08x}", "dim")


def _at(offset: int) -> str:
    return f"  at byte {offset}"


def _header(value: HeaderValue) -> str:
    return visible(value) if isinstance(value, str) else f"{type(value).__name__} {value!s}"


def _hex(data: bytes | bytearray) -> str:
    shown = bytes(data[:_HEX_SHOWN])
    more = f" ... {len(data)} bytes total" if len(data) > _HEX_SHOWN else ""
    readable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in shown)
    return f"{shown.hex(' ')}{more}  |{readable}|"
