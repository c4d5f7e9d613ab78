"""A recorded answer in a file that people can read: one JSON object a line.

    {"operation":"ConverseStream","model":"...","region":"us-east-1","body":{...}}
    {"status":200,"headers":{"Content-Type":"application/vnd.amazon.eventstream"}}
    {"ms":12,"headers":{":event-type":"messageStart",...},"json":{"role":"assistant","p":"abc"}}
    {"cut":"StreamInterrupted: ..."}

What was asked, what the answer's headers said, every frame with the milliseconds since the beginning, and a last line
only where the answer broke off. A payload is written in the most readable form out of which the same bytes can be made
again: `json`, `chunk` (a native stream's document out of its base64), `text`, `base64`.

No secret gets in: nothing that proves who asked is handed to this module, and what looks like an account or a key in
what was said is masked, in the same length, on every line.
"""

from __future__ import annotations

import re
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

__all__ = ("RecordedFrame", "Recording", "read_recording", "write_recording")

_REMEDY = "record it again"
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError, InvalidFrame)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class RecordedFrame(msgspec.Struct, frozen=True):
    """A frame and when it came."""

    ms: int
    """Milliseconds since the recording began."""
    frame: Frame


class Recording(msgspec.Struct, frozen=True):
    """One answer and what it answers."""

    request: dict[str, Any]
    """`operation`, `model`, `region`, `body`."""
    status: int | None = None
    """None where no answer came at all."""
    headers: dict[str, str] = {}
    """The response headers that say something about the answer."""
    body: bytes | None = None
    """What came in place of an event stream."""
    frames: tuple[RecordedFrame, ...] = ()
    cut: str | None = None
    """Why the answer broke off; None where it came to its end."""


def write_recording(recording: Recording, path: str | PathLike[str]) -> None:
    """Write the file, masked. Raises `OSError`."""
    lines = (_masked(msgspec.json.encode(line)) + b"\n" for line in _lines(recording))
    Path(path).write_bytes(b"".join(lines))


def read_recording(path: str | PathLike[str]) -> Recording:
    """Read a file back. Raises `ConfigurationError` for one that is no recording, `OSError` for one that is not there.

    Integers in frame headers come back as 32 or 64 bits, whatever they were: all that a decoded frame knows.
    """
    facts = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        with _told(path, number):
            facts.append(msgspec.json.decode(line, type=dict[str, Any]))
    if len(facts) < 2:
        raise ConfigurationError("recording", f"{path} has {len(facts)} lines of at least 2", _REMEDY)
    request, answer, *rest = facts
    with _told(path, len(facts)):
        cut = msgspec.convert(rest.pop()["cut"], str) if rest and "cut" in rest[-1] else None
    with _told(path, 2):
        status = msgspec.convert(answer["status"], int | None)
        headers = msgspec.convert(answer["headers"], dict[str, str])
        body = _read_bytes(answer["body"]) if "body" in answer else None
    frames = []
    for number, line_facts in enumerate(rest, 3):
        with _told(path, number):
            frames.append(_read_frame(line_facts))
    return Recording(request, status, headers, body, tuple(frames), cut)


@contextmanager
def _told(path: str | PathLike[str], number: int) -> Iterator[None]:
    """Whatever a line lacks is told with its place."""
    try:
        yield
    except _UNREADABLE as error:
        problem = f"line {number} of {path} is not what record() writes: {error}"
        raise ConfigurationError("recording", problem, _REMEDY) from None


def _lines(recording: Recording) -> Iterator[dict[str, Any]]:
    yield recording.request
    body = {} if recording.body is None else {"body": _readable(recording.body)}
    yield {"status": recording.status, "headers": recording.headers, **body}
    for recorded in recording.frames:
        yield {
            "ms": recorded.ms,
            "headers": {name: _plain(value) for name, value in recorded.frame.headers.items()},
            **_readable(recorded.frame.payload),
        }
    if recording.cut is not None:
        yield {"cut": recording.cut}


def _read_frame(facts: dict[str, Any]) -> RecordedFrame:
    frame = Frame({name: _value(plain) for name, plain in facts["headers"].items()}, _read_bytes(facts))
    encode_frame(frame)  # what cannot be played is told while the line is known
    return RecordedFrame(msgspec.convert(facts["ms"], int), frame)


# ----------------------------------------------------------------------------------------------------------- payloads


def _readable(data: bytes) -> dict[str, Any]:
    """The first form that gives the same bytes again, what is secret in them masked."""
    data = _ENCODED.sub(_masked_inside, _masked(data))
    for form in (_as_chunk, _as_json, _as_text):
        try:
            facts = form(data)
            if _read_bytes(facts) == data:
                return facts
        except (KeyError, TypeError, ValueError, RecursionError):
            continue
    return {"base64": b64encode(data).decode()}


def _as_chunk(data: bytes) -> dict[str, Any]:
    beside = msgspec.json.decode(data, type=dict[str, Any])
    chunk = _readable(b64decode(beside["bytes"], validate=True))
    if next(iter(beside)) == "bytes":
        del beside["bytes"]
    else:
        beside["bytes"] = None  # its place, where padding stands in front of it
    return {"chunk": chunk, "beside": beside}


def _as_json(data: bytes) -> dict[str, Any]:
    return {"json": msgspec.json.decode(data)}


def _as_text(data: bytes) -> dict[str, Any]:
    return {"text": data.decode()}


def _read_bytes(facts: Mapping[str, Any]) -> bytes:
    """The bytes that a form stands for. Raises `KeyError`, `TypeError`, `ValueError`."""
    for name, read in _FORMS.items():
        if name in facts:
            return read(facts)
    raise KeyError(f"none of {', '.join(_FORMS)} is there")


def _of_chunk(facts: Mapping[str, Any]) -> bytes:
    encoded, beside = b64encode(_read_bytes(facts["chunk"])).decode(), facts["beside"]
    document = {**beside, "bytes": encoded} if "bytes" in beside else {"bytes": encoded, **beside}
    return msgspec.json.encode(document)


_FORMS: dict[str, Callable[[Mapping[str, Any]], bytes]] = {
    "chunk": _of_chunk,
    "json": lambda facts: msgspec.json.encode(facts["json"]),
    "text": lambda facts: msgspec.convert(facts["text"], str).encode(),
    "base64": lambda facts: b64decode(msgspec.convert(facts["base64"], str), validate=True),
}

# ------------------------------------------------------------------------------------------------------------ headers


def _plain(value: HeaderValue) -> Any:
    """A header's value as JSON: what JSON lacks is an object that names its kind."""
    match value:
        case bytes():
            return {"bytes": b64encode(value).decode()}
        case datetime():
            return {"timestamp": (value - _EPOCH) // _MILLISECOND}
        case UUID():
            return {"uuid": str(value)}
    return value


def _value(plain: Any) -> HeaderValue:
    match plain:
        case {"bytes": str(data)}:
            return b64decode(data, validate=True)
        case {"timestamp": int(moment)}:
            return _EPOCH + moment * _MILLISECOND
        case {"uuid": str(text)}:
            return UUID(text)
        case bool() | int() | str():
            return plain
    raise ValueError(f"{plain!r} is no header's value")


# ------------------------------------------------------------------------------------------------------------- secrets

_ACCOUNT = re.compile(
    rb"""(  arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:
         |  \\*"(?:bucketOwner|accountId|account)\\*":\s*\\*"
         )[0-9]{12}""",
    re.VERBOSE,
)
_KEY = re.compile(rb"((?:AKIA|ASIA)(?=[A-Z0-9]{16})|ABSK(?=[A-Za-z0-9+/=]{16})|bedrock-api-key-)([A-Za-z0-9+/=_-]+)")


_ENCODED = re.compile(rb"""(?<="bytes")(\s*:\s*")([A-Za-z0-9+/]+={0,2})(?=")""")  # a native chunk's document


def _masked_inside(found: re.Match[bytes]) -> bytes:
    try:
        return found[1] + b64encode(_masked(b64decode(found[2], validate=True)))
    except ValueError:
        return found[0]


def _masked(line: bytes) -> bytes:
    line = _ACCOUNT.sub(rb"\g<1>000000000000", line)
    return _KEY.sub(lambda found: found[1] + b"0" * len(found[2]), line)
