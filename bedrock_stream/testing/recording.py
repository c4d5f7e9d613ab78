"""Recordings: one answer in a readable file with one JSON object per line.

    {"operation":"ConverseStream","model":"...","region":"us-east-1","body":{...}}
    {"status":200,"headers":{"Content-Type":"application/vnd.amazon.eventstream"}}
    {"ms":12,"headers":{":event-type":"messageStart",...},"json":{"role":"assistant","p":"abc"}}
    {"cut":"StreamInterrupted: ..."}

The lines are the request, the response's status and headers, each frame with its time in milliseconds since the start,
and a last line only if the answer was interrupted. A payload is written in the first of these forms that restores the
same bytes: `chunk` (the decoded document of a native stream), `json`, `text`, `base64`. A body of server-sent events
has pieces instead of frames, without headers: each has the lines of one event or of several.

A recording contains no credentials: this module never gets any, and it masks everything in the content that looks like
an account id or a key with zeros, in the same length.
"""

from __future__ import annotations

import os
import re
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from ..errors import ConfigurationError, InvalidFrame
from ..eventstream import Frame, HeaderValue, encode_frame

__all__ = ("RecordedFrame", "RecordedPiece", "Recording", "read_recording", "write_recording")

_REMEDY = "record it again"
# The errors that a malformed line can cause.
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError, InvalidFrame)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class RecordedFrame(msgspec.Struct, frozen=True):
    """A frame and the time at which it was received."""

    ms: int
    """Milliseconds since the recording began."""
    frame: Frame


class RecordedPiece(msgspec.Struct, frozen=True):
    """Bytes of a body without frames, and the time at which they were received."""

    ms: int
    """Milliseconds since the recording began."""
    data: bytes


class Recording(msgspec.Struct, frozen=True):
    """One answer and its request."""

    request: dict[str, Any]
    """`operation`, `model`, `region`, `body`."""
    status: int | None = None
    """The HTTP status, None if there was no response."""
    headers: dict[str, str] = {}
    """The recorded response headers."""
    body: bytes | None = None
    """The body of a response that is not an event stream."""
    frames: tuple[RecordedFrame, ...] = ()
    cut: str | None = None
    """The reason for which the answer was interrupted, None if it is complete."""
    pieces: tuple[RecordedPiece, ...] = ()
    """What was received of a body of server-sent events, which has no frames."""


def write_recording(recording: Recording, path: str | PathLike[str]) -> None:
    """Write a recording to a file that only its owner can read, with secrets masked. Raises `OSError`."""
    lines = (_mask(msgspec.json.encode(line)) + b"\n" for line in _lines(recording))
    content = b"".join(lines)
    with open(path, "wb", opener=_open_private) as file:
        file.write(content)


def _open_private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, 0o600)
    # An existing file keeps its mode when it is overwritten. Devices such as /dev/null are left as they are.
    if os.name == "posix" and stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)
    return descriptor


def read_recording(path: str | PathLike[str]) -> Recording:
    """Read a recording. Raises `ConfigurationError` if the file is not a recording, `OSError` if it cannot be read.

    Integers in frame headers become 32-bit or 64-bit integers, because a decoded frame does not keep their width.
    """
    lines = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        with _line_of(path, number):
            lines.append(msgspec.json.decode(line, type=dict[str, Any]))
    if len(lines) < 2:
        raise ConfigurationError("recording", f"expected at least 2 lines in {path}, got {len(lines)}", _REMEDY)
    request, answer, *rest = lines
    with _line_of(path, len(lines)):
        cut = msgspec.convert(rest.pop()["cut"], str) if rest and "cut" in rest[-1] else None
    with _line_of(path, 2):
        status = msgspec.convert(answer["status"], int | None)
        headers = msgspec.convert(answer["headers"], dict[str, str])
        body = _read_bytes(answer["body"]) if "body" in answer else None
    frames, pieces = [], []
    for number, values in enumerate(rest, 3):
        with _line_of(path, number):
            if "headers" in values:
                frames.append(_read_frame(values))
            else:
                pieces.append(_read_piece(values))
    return Recording(request, status, headers, body, tuple(frames), cut, tuple(pieces))


@contextmanager
def _line_of(path: str | PathLike[str], number: int) -> Iterator[None]:
    """Convert the errors of a malformed line to `ConfigurationError` with the line's number."""
    try:
        yield
    except _UNREADABLE as error:
        problem = f"line {number} of {path} is not in the format of record(): {error}"
        raise ConfigurationError("recording", problem, _REMEDY) from None


def _lines(recording: Recording) -> Iterator[dict[str, Any]]:
    yield recording.request
    body = {} if recording.body is None else {"body": _readable(recording.body)}
    yield {"status": recording.status, "headers": recording.headers, **body}
    for piece in recording.pieces:
        yield {"ms": piece.ms, **_readable(piece.data)}
    for recorded in recording.frames:
        yield {
            "ms": recorded.ms,
            "headers": {name: _to_json(value) for name, value in recorded.frame.headers.items()},
            **_readable(recorded.frame.payload),
        }
    if recording.cut is not None:
        yield {"cut": recording.cut}


def _read_piece(values: dict[str, Any]) -> RecordedPiece:
    return RecordedPiece(msgspec.convert(values["ms"], int), _read_bytes(values))


def _read_frame(values: dict[str, Any]) -> RecordedFrame:
    headers = {name: _from_json(value) for name, value in values["headers"].items()}
    frame = Frame(headers, _read_bytes(values))
    encode_frame(frame)  # raises now, while the line's number is known, if the frame cannot be replayed
    return RecordedFrame(msgspec.convert(values["ms"], int), frame)


# ----------------------------------------------------------------------------------------------------------- payloads


def _readable(data: bytes) -> dict[str, Any]:
    """Return the first form of a masked payload that restores the same bytes."""
    data = _ENCODED.sub(_mask_inside, _mask(data))
    for form in (_as_chunk, _as_json, _as_text):
        try:
            values = form(data)
            if _read_bytes(values) == data:
                return values
        except (KeyError, TypeError, ValueError, RecursionError):
            continue
    return {"base64": b64encode(data).decode()}


def _as_chunk(data: bytes) -> dict[str, Any]:
    others = msgspec.json.decode(data, type=dict[str, Any])
    chunk = _readable(b64decode(others["bytes"], validate=True))
    if next(iter(others)) == "bytes":
        del others["bytes"]
    else:
        others["bytes"] = None  # keeps the position of the member, if padding precedes it
    return {"chunk": chunk, "beside": others}


def _as_json(data: bytes) -> dict[str, Any]:
    return {"json": msgspec.json.decode(data)}


def _as_text(data: bytes) -> dict[str, Any]:
    return {"text": data.decode()}


def _read_bytes(values: Mapping[str, Any]) -> bytes:
    """Restore the bytes of a payload. Raises `KeyError`, `TypeError`, `ValueError`."""
    for name, read in _FORMS.items():
        if name in values:
            return read(values)
    raise KeyError(f"expected one of {', '.join(_FORMS)}")


def _from_chunk(values: Mapping[str, Any]) -> bytes:
    encoded, others = b64encode(_read_bytes(values["chunk"])).decode(), values["beside"]
    document = {**others, "bytes": encoded} if "bytes" in others else {"bytes": encoded, **others}
    return msgspec.json.encode(document)


_FORMS: dict[str, Callable[[Mapping[str, Any]], bytes]] = {
    "chunk": _from_chunk,
    "json": lambda values: msgspec.json.encode(values["json"]),
    "text": lambda values: msgspec.convert(values["text"], str).encode(),
    "base64": lambda values: b64decode(msgspec.convert(values["base64"], str), validate=True),
}

# ------------------------------------------------------------------------------------------------------------ headers


def _to_json(value: HeaderValue) -> Any:
    # Types that JSON lacks are objects with the type's name as their key.
    match value:
        case bytes():
            return {"bytes": b64encode(value).decode()}
        case datetime():
            return {"timestamp": (value - _EPOCH) // _MILLISECOND}
        case UUID():
            return {"uuid": str(value)}
    return value


def _from_json(value: Any) -> HeaderValue:
    match value:
        case {"bytes": str(data)}:
            return b64decode(data, validate=True)
        case {"timestamp": int(milliseconds)}:
            return _EPOCH + milliseconds * _MILLISECOND
        case {"uuid": str(text)}:
            return UUID(text)
        case bool() | int() | str():
            return value
    raise ValueError(f"{value!r} is not a header value")


# ------------------------------------------------------------------------------------------------------------- secrets

# Account ids in ARNs and in the members that are known to have one.
_ACCOUNT = re.compile(
    rb"""(  arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:
         |  \\*"(?:bucketOwner|accountId|account)\\*":\s*\\*"
         )[0-9]{12}""",
    re.VERBOSE,
)
# Access key ids, and long-term and short-term Bedrock API keys, by their prefixes.
_KEY = re.compile(rb"((?:AKIA|ASIA)(?=[A-Z0-9]{16})|ABSK(?=[A-Za-z0-9+/=]{16})|bedrock-api-key-)([A-Za-z0-9+/=_-]+)")
_ENCODED = re.compile(rb"""(?<="bytes")(\s*:\s*")([A-Za-z0-9+/]+={0,2})(?=")""")  # a native chunk's document


def _mask_inside(match: re.Match[bytes]) -> bytes:
    try:
        return match[1] + b64encode(_mask(b64decode(match[2], validate=True)))
    except ValueError:
        return match[0]


def _mask(line: bytes) -> bytes:
    line = _ACCOUNT.sub(rb"\g<1>000000000000", line)
    return _KEY.sub(lambda match: match[1] + b"0" * len(match[2]), line)
