"""The words of a script: what the emulator answers, said step by step.

    Emulator(script=[http_error(429, "ThrottlingException"), [text("Hello"), tool_call("get_time", {"city": "Oslo"})]])

`messageStart` comes in front of the first content, a block ends where the next one begins, and the message's stop and
metadata follow at the end unless a step said them before. Faults act where they stand. Every word works on every
route; where an answer is one JSON document, what a frame would carry becomes an HTTP error, and each cut is torn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from ..errors import ConfigurationError
from ..eventstream import Frame
from . import steps
from .answers.tokens import split
from .recording import read_recording

__all__ = (
    "SIGNATURE",
    "citation",
    "content_type",
    "cut",
    "delay",
    "end_block",
    "event",
    "expired_signature",
    "flip_bit",
    "hang_before_headers",
    "headers",
    "http_error",
    "metadata",
    "raw_frame",
    "reasoning",
    "rechunk",
    "replay",
    "reset",
    "slow_body",
    "stall",
    "start",
    "stop",
    "stream_error",
    "text",
    "tool_call",
    "unmodeled_error",
    "unscripted",
    "wrong_content_type",
)

SIGNATURE = "RW11bGF0b3JTaWduYXR1cmU="
"""The signature that reasoning carries unless told otherwise."""

_PAGE = "<!DOCTYPE html><title>Sign in</title><p>This network wants to know who you are.</p>"
_CITATION_MEMBERS = frozenset({"title", "source", "sourceContent", "location"})

# -------------------------------------------------------------------------------------------------------- the message


def text(content: str | Sequence[str], *, joined: bool = False) -> steps.Text:
    """A text block: a str in token-sized deltas, or the given pieces. `joined` goes on in the open text block."""
    return steps.Text(_pieces(content), joined)


def reasoning(
    content: str | Sequence[str] = "", *, signature: str | None = SIGNATURE, redacted: bytes | None = None
) -> steps.Reasoning:
    """A reasoning block: text and its signature (None: unsigned), or `redacted` bytes instead of both."""
    return steps.Reasoning(_pieces(content), signature, redacted)


def tool_call(
    name: str,
    input: dict[str, Any] | str = "",
    *,
    id: str | None = None,
    fragments: int | Sequence[str] | None = None,
) -> steps.ToolUse:
    """A tool call. `input` is an object, or raw text that need not be JSON; "" sends no input at all.

    `fragments` is how many deltas the text is cut into, or the very deltas (then `input` is not looked at).
    """
    raw = input if isinstance(input, str) else json.dumps(input, ensure_ascii=False)
    if fragments is None:
        parts = split(raw) if raw else ()
    elif isinstance(fragments, int):
        parts = _cut_evenly(raw, fragments)
    else:
        parts = tuple(fragments)
    return steps.ToolUse(name, parts, id)


def citation(**members: Any) -> steps.Citation:
    """A citation of the text before it: `title`, `source`, `sourceContent`, `location`, or a kind of location itself.

    `citation(title="Report", documentChar={"documentIndex": 0, "start": 0, "end": 9})`
    """
    plain = {name: value for name, value in members.items() if name in _CITATION_MEMBERS}
    location = {name: value for name, value in members.items() if name not in _CITATION_MEMBERS}
    if location:
        plain["location"] = {**plain.get("location", {}), **location}
    return steps.Citation(plain)


def start() -> steps.Start:
    """`messageStart` now, though no content follows yet."""
    return steps.Start()


def end_block() -> steps.EndBlock:
    """`contentBlockStop` now."""
    return steps.EndBlock()


def stop(reason: str = "end_turn", *, fields: Any = None) -> steps.Stop:
    """`messageStop` now. `fields` are the `additionalModelResponseFields`."""
    return steps.Stop(reason, fields)


class _Unset:
    """Told apart from None, which means no metadata."""


_UNSET = _Unset()


def metadata(
    usage: dict[str, Any] | _Unset | None = _UNSET, *, latency_ms: int | None = None, **extra: Any
) -> steps.Metadata:
    """What the metadata says. `metadata(None)` sends none; what is left out is counted. `extra` adds members."""
    if isinstance(usage, _Unset):
        return steps.Metadata(None, latency_ms, extra)
    return steps.Metadata(usage, latency_ms, extra, absent=usage is None)


def event(name: str, payload: dict[str, Any] | bytes) -> steps.Event:
    """Any event. A dict gets padding as all events do; bytes are the payload as it is.

    On a native stream a dict is one chunk's document and the name is not sent. On every route the names `messageStart`,
    `messageStop` and `metadata` (on Claude's also `message_start`, `message_delta`, `message_stop`) take the place of
    the emulator's own.
    """
    return steps.Event(name, payload)


def raw_frame(frame: Frame) -> steps.RawFrame:
    """Any frame."""
    return steps.RawFrame(frame)


# -------------------------------------------------------------------------------------- decided before the headers


def http_error(
    status: int, code: str | None, message: str = "", headers: dict[str, str] | None = None
) -> steps.HttpError:
    """An HTTP error. `code` None leaves out the type header, as some proxies do."""
    return steps.HttpError(status, code, message, headers or {})


def headers(values: dict[str, str]) -> steps.Headers:
    """Further response headers."""
    return steps.Headers(values)


def content_type(value: str, body: bytes | None = None, *, status: int = 200) -> steps.ContentType:
    """A wrong content type; with `body`, that body and status instead of an answer."""
    return steps.ContentType(value, body, status)


def hang_before_headers(seconds: float | None = None) -> steps.HangBeforeHeaders:
    """No status line: for `seconds`, or until the client leaves."""
    return steps.HangBeforeHeaders(seconds)


def wrong_content_type(value: str = "text/html", body: str | bytes = _PAGE) -> steps.ContentType:
    """HTTP 200 with something else in it, as a proxy's login page."""
    return steps.ContentType(value, body.encode() if isinstance(body, str) else body, 200)


def expired_signature(skew_seconds: float = 600) -> steps.ExpiredSignature:
    """A front door whose clock is that many seconds ahead, or behind: 403 `InvalidSignatureException`, and its `Date`.

    Like the service it minds more than 300 seconds only. A request with a bearer key bears no date, so nothing happens.
    """
    return steps.ExpiredSignature(skew_seconds)


def replay(
    recorded: str | PathLike[str] | bytes, *, pace: Literal["recorded"] | None = None
) -> steps.Replay | steps.Recorded:
    """A recorded answer. A str is a path; the file is read here.

    A `.jsonl` file is what `record` wrote: status, headers, every frame, and the break where it broke off; with
    `pace="recorded"` as slowly as it came. Anything else is a body as it is. Raises `ConfigurationError`.
    """
    if isinstance(recorded, bytes) or Path(recorded).suffix != ".jsonl":
        if pace is not None:
            raise ConfigurationError("pace", "a body as it is tells no times", "give a .jsonl recording")
        return steps.Replay(recorded if isinstance(recorded, bytes) else Path(recorded).read_bytes())
    return steps.Recorded(read_recording(recorded), paced=pace == "recorded")


# ------------------------------------------------------------------------------------------------------------- faults


def stream_error(code: str, message: str, **extra: Any) -> steps.StreamError:
    """An exception frame; the body ends behind it. `extra` are members beside the message, as `originalStatusCode`."""
    return steps.StreamError(code, message, extra)


def unmodeled_error(code: str, message: str) -> steps.UnmodeledError:
    """A frame of the `error` message type; the body ends behind it."""
    return steps.UnmodeledError(code, message)


def cut(*, torn: bool | Literal["chunk"] = False, inside: int | None = None) -> steps.Cut:
    """The body ends here, or `inside` bytes into the next frame.

    It ends as HTTP bodies should, which alone hides the loss; `torn=True` closes the connection without a last chunk,
    `torn="chunk"` in the middle of an HTTP chunk, whose promised length never comes.
    """
    return steps.Cut(torn, inside)


def reset(*, after: int = 0, before_headers: bool = False) -> steps.Reset:
    """The connection is reset (RST): here, `after` so many more bytes of the body, or before the headers.

    A body that ends before that is reset in place of its end.
    """
    return steps.Reset(after, before_headers)


def stall(seconds: float | None = None) -> steps.Stall:
    """Silence in the open answer: for `seconds`, or until the client leaves."""
    return steps.Stall(seconds)


def delay(seconds: float) -> steps.Delay:
    """A pause of `seconds`."""
    return steps.Delay(seconds)


def flip_bit(bit: int) -> steps.FlipBit:
    """Turn one bit of the next frame: 0 is the lowest of its first byte, -1 the highest of its last."""
    return steps.FlipBit(bit)


def rechunk(size: int) -> steps.Rechunk:
    """From here on, write the body in pieces of `size` bytes wherever the frames begin."""
    return steps.Rechunk(size)


def slow_body(seconds: float) -> steps.SlowBody:
    """From here on the body trickles: each frame takes `seconds` to arrive, a few bytes at a time."""
    return steps.SlowBody(seconds)


# --------------------------------------------------------------------------------------------- the emulator's own words


def unscripted(*faults: steps.Step, at: float = 0.0) -> steps.Unscripted:
    """The answer that the emulator would give by itself, with `faults` in it: `unscripted(cut(), at=0.5)`.

    They happen `at` a part of its content: 0 is in front of it, 1 behind all of it.
    """
    if not 0 <= at <= 1:
        raise ConfigurationError("at", f"{at!r} is no part of an answer", "give a number from 0 to 1")
    return steps.Unscripted(faults, at)


def _pieces(content: str | Sequence[str]) -> tuple[str, ...]:
    return split(content) if isinstance(content, str) else tuple(content)


def _cut_evenly(raw: str, parts: int) -> tuple[str, ...]:
    return tuple(raw[len(raw) * i // parts : len(raw) * (i + 1) // parts] for i in range(parts))
