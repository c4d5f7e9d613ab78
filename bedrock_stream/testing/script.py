"""The functions of a script: each returns one step of an answer.

    Emulator(script=[http_error(429, "ThrottlingException"), [text("Hello"), tool_call("get_time", {"city": "Oslo"})]])

The emulator adds what a script leaves out: `messageStart` before the first content, the stop of each block before the
next one, and `messageStop` and `metadata` at the end, or what the called API has in their place. Faults take effect at
their position in the script. The steps work on every route; only those that say so are for SSE bodies (Messages, Chat
Completions, Responses), and `raw_frame` is for event streams. If the response is one JSON document, `stream_error`,
`unmodeled_error` and `typeless_error` become HTTP errors, and every `cut` truncates the body.
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
from .service.vendor_errors import UNKNOWN_OPERATION, wrong_route_message

__all__ = (
    "SIGNATURE",
    "citation",
    "comment",
    "content_type",
    "cut",
    "delay",
    "double_answer",
    "end_block",
    "event",
    "expired_signature",
    "flip_bit",
    "garbage_chunk",
    "hang_before_headers",
    "headers",
    "http_error",
    "late_fin",
    "line_ends",
    "metadata",
    "no_done",
    "raw_frame",
    "raw_lines",
    "reasoning",
    "rechunk",
    "replay",
    "reset",
    "response_failed",
    "slow_body",
    "stall",
    "start",
    "stop",
    "stream_error",
    "text",
    "tool_call",
    "typeless_error",
    "unknown_operation",
    "unmodeled_error",
    "unscripted",
    "unsolicited",
    "wrong_content_type",
    "wrong_route",
)

SIGNATURE = "RW11bGF0b3JTaWduYXR1cmU="
"""The default signature of reasoning blocks."""

_PAGE = "<!DOCTYPE html><title>Sign in</title><p>This network wants to know who you are.</p>"
_BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head></html>\r\n"
_OTHER_ANSWER = b'{"message":"This answers another request."}'
_CITATION_MEMBERS = frozenset({"title", "source", "sourceContent", "location"})

# ------------------------------------------------------------------------------------------------------------ message


def text(content: str | Sequence[str], *, joined: bool = False) -> steps.Text:
    """Send a text block. A str is split into token-sized deltas; of a sequence each str is one delta.

    With `joined=True` the deltas belong to the open text block, if there is one, instead of a new block.
    """
    return steps.Text(_pieces(content), joined)


def reasoning(
    content: str | Sequence[str] = "", *, signature: str | None = SIGNATURE, redacted: bytes | None = None
) -> steps.Reasoning:
    """Send a reasoning block: text (split into deltas as in `text`) and then its signature.

    `signature=None` sends no signature. `redacted` sends redacted bytes instead of text and signature.
    """
    return steps.Reasoning(_pieces(content), signature, redacted)


def tool_call(
    name: str,
    input: dict[str, Any] | str = "",
    *,
    id: str | None = None,
    fragments: int | Sequence[str] | None = None,
) -> steps.ToolUse:
    """Send a tool call.

    `input` is an object, or raw text that need not be valid JSON; "" sends no input deltas. `fragments` is the number
    of deltas that the text is split into, or the deltas themselves (`input` is ignored then); None makes token-sized
    deltas. `id` is the tool use id; None derives one from the call's position in the conversation.
    """
    raw = input if isinstance(input, str) else json.dumps(input, ensure_ascii=False)
    if fragments is None:
        parts = split(raw) if raw else ()
    elif isinstance(fragments, int):
        parts = _split_evenly(raw, fragments)
    else:
        parts = tuple(fragments)
    return steps.ToolUse(name, parts, id)


def citation(**members: Any) -> steps.Citation:
    """Send a citation of the text before it.

    `members` are Converse's `title`, `source`, `sourceContent` and `location`. Any other name is a member of the
    location: `citation(title="Report", documentChar={"documentIndex": 0, "start": 0, "end": 9})`.
    """
    plain = {name: value for name, value in members.items() if name in _CITATION_MEMBERS}
    location = {name: value for name, value in members.items() if name not in _CITATION_MEMBERS}
    if location:
        plain["location"] = {**plain.get("location", {}), **location}
    return steps.Citation(plain)


def start() -> steps.Start:
    """Send `messageStart` at this position, even if no content follows."""
    return steps.Start()


def end_block() -> steps.EndBlock:
    """Send `contentBlockStop` at this position, to end the open block."""
    return steps.EndBlock()


def stop(reason: str = "end_turn", *, fields: Any = None) -> steps.Stop:
    """Send `messageStop` at this position, with a stop reason. `fields` are the `additionalModelResponseFields`."""
    return steps.Stop(reason, fields)


class _Unset:
    """The default of `usage`, distinct from None, which means no metadata."""


_UNSET = _Unset()


def metadata(
    usage: dict[str, Any] | _Unset | None = _UNSET, *, latency_ms: int | None = None, **extra: Any
) -> steps.Metadata:
    """Set the content of the `metadata` event; `metadata(None)` sends no metadata.

    `usage` is Converse's object of token counts, `latency_ms` the latency in milliseconds. Both are computed if they
    are left out. `extra` adds members to the event, as `trace`.
    """
    if isinstance(usage, _Unset):
        return steps.Metadata(None, latency_ms, extra)
    return steps.Metadata(usage, latency_ms, extra, absent=usage is None)


def event(name: str, payload: dict[str, Any] | bytes) -> steps.Event:
    """Send any event. A dict is sent as JSON with padding, like all events; bytes are the payload, sent unchanged.

    On a native stream a dict is the document of one chunk, and the name is not sent. In an SSE body it is the data of
    one event; on Chat Completions the name is not sent. On every route the names `messageStart`, `messageStop` and
    `metadata` (in Claude's format also `message_start`, `message_delta` and `message_stop`, on Responses
    `response.created` and `response.completed`) replace the event that the emulator would send.
    """
    return steps.Event(name, payload)


def raw_frame(frame: Frame) -> steps.RawFrame:
    """Send any frame, unchanged."""
    return steps.RawFrame(frame)


# ------------------------------------------------------------------------------------------------- before the headers


def http_error(
    status: int, code: str | None, message: str = "", headers: dict[str, str] | None = None
) -> steps.HttpError:
    """Answer with an HTTP error: `code` in the header `x-amzn-ErrorType`, `message` in the JSON body.

    `code=None` omits the header, as some proxies do. `headers` are additional response headers. On Messages, Chat
    Completions and Responses the body has the vendor's form, without that header: names of AWS become the vendor's
    words, any other `code` stays as it is.
    """
    return steps.HttpError(status, code, message, headers or {})


def wrong_route(model: str, *, status: Literal[400, 401] = 400) -> steps.HttpError:
    """Refuse a model as bedrock-mantle does on a path that does not serve it: with 400, or with a misleading 401."""
    if status == 401:
        return steps.HttpError(401, "AccessDeniedException", f"The model '{model}' is not enabled for your account.")
    return steps.HttpError(400, "ValidationException", wrong_route_message(model))


def unknown_operation() -> steps.ContentType:
    """Answer with HTTP 200 and an error document, as bedrock-runtime does on a path that it does not have."""
    return steps.ContentType("application/json", UNKNOWN_OPERATION, 200)


def headers(values: dict[str, str]) -> steps.Headers:
    """Add response headers."""
    return steps.Headers(values)


def content_type(value: str, body: bytes | None = None, *, status: int = 200) -> steps.ContentType:
    """Send another `Content-Type`. With `body`, send that body with `status` instead of the answer."""
    return steps.ContentType(value, body, status)


def hang_before_headers(seconds: float | None = None) -> steps.HangBeforeHeaders:
    """Send nothing, not even the status line, for `seconds`; None waits until the client disconnects."""
    return steps.HangBeforeHeaders(seconds)


def wrong_content_type(value: str = "text/html", body: str | bytes = _PAGE) -> steps.ContentType:
    """Answer with HTTP 200 and a body of another type, like the login page of a proxy."""
    return steps.ContentType(value, body.encode() if isinstance(body, str) else body, 200)


def expired_signature(skew_seconds: float = 600) -> steps.ExpiredSignature:
    """Check the signature's date against a clock that is `skew_seconds` ahead (negative: behind).

    If the date differs by more than 300 seconds (the service's limit), the client gets HTTP 403
    `InvalidSignatureException`, with that clock's time in the `Date` header. Requests with a bearer key have no date,
    so they are not affected.
    """
    return steps.ExpiredSignature(skew_seconds)


def replay(
    recorded: str | PathLike[str] | bytes, *, pace: Literal["recorded"] | None = None
) -> steps.Replay | steps.Recorded:
    """Answer with a recording. A str is a path; the file is read at once. Bytes are a raw body.

    A `.jsonl` file is a recording made with `record`: its status, headers and frames are sent, and if the answer was
    interrupted, the body is cut there. `pace="recorded"` sends the frames at their recorded times. Any other file is a
    raw body. Raises `ConfigurationError` if the file is not a recording, or for `pace` with a raw body.
    """
    if isinstance(recorded, bytes) or Path(recorded).suffix != ".jsonl":
        if pace is not None:
            raise ConfigurationError("pace", "a raw body has no recorded times", "pass a .jsonl recording")
        return steps.Replay(recorded if isinstance(recorded, bytes) else Path(recorded).read_bytes())
    return steps.Recorded(read_recording(recorded), paced=pace == "recorded")


# ------------------------------------------------------------------------------------------------------------- faults


def stream_error(code: str, message: str, **extra: Any) -> steps.StreamError:
    """Send an exception frame and end the body.

    `code` is the exception's name, `extra` are members of the payload next to `message`, as `originalStatusCode`. In an
    SSE body it is an error event in the vendor's form: names of AWS become the vendor's words.
    """
    return steps.StreamError(code, message, extra)


def unmodeled_error(code: str, message: str) -> steps.UnmodeledError:
    """Send a frame of the `error` message type, which is not in the service model, and end the body.

    In an SSE body it is an error event with `code` as it is; on Responses in the flat form, without `error` around it.
    """
    return steps.UnmodeledError(code, message)


def typeless_error(message: str) -> steps.TypelessError:
    """Send an SSE event that is only `{"message": ...}` and end the body, which many clients take for a normal end."""
    return steps.TypelessError(message)


def response_failed(
    message: str = "The request timed out before the model produced a response.", code: str = "server_error"
) -> steps.ResponseFailed:
    """Fail an answer of Responses: `response.failed` at this position, or HTTP 200 with the status `failed`."""
    return steps.ResponseFailed(code, message)


def cut(*, torn: bool | Literal["chunk"] = False, inside: int | None = None) -> steps.Cut:
    """End the body here, or `inside` bytes into the next frame.

    By default the HTTP body ends correctly, so only the missing events show the loss. `torn=True` closes the connection
    without the last HTTP chunk; `torn="chunk"` closes it inside an HTTP chunk, before the chunk's announced length.
    """
    return steps.Cut(torn, inside)


def reset(*, after: int = 0, before_headers: bool = False) -> steps.Reset:
    """Reset the connection (RST) here, after `after` more bytes of the body, or before the headers.

    A body that is shorter than `after` is reset at its end.
    """
    return steps.Reset(after, before_headers)


def stall(seconds: float | None = None) -> steps.Stall:
    """Send nothing for `seconds` while the connection stays open; None waits until the client disconnects."""
    return steps.Stall(seconds)


def delay(seconds: float) -> steps.Delay:
    """Wait for `seconds`."""
    return steps.Delay(seconds)


def late_fin(seconds: float | None = None) -> steps.LateFin:
    """Send the whole message, then nothing: the body and the connection end `seconds` later, or never with None.

    The message is that of the script, so `metadata(None)` leaves out the usage. Without an end, the connection stays
    open until the client disconnects. A JSON document ends with its length, so it is not affected.
    """
    return steps.LateFin(seconds)


def garbage_chunk(data: bytes = _BAD_GATEWAY) -> steps.GarbageChunk:
    """Write `data` here instead of an HTTP chunk, like the error page of a proxy, and then the rest of the body.

    In a JSON document, `data` is in the middle.
    """
    return steps.GarbageChunk(data)


def double_answer(body: bytes = _OTHER_ANSWER, *, status: int = 200) -> steps.DoubleAnswer:
    """Send a second HTTP response, JSON with `status`, in one write with the end of the body.

    Behind a JSON document, which ends with its length, it is a write of its own.
    """
    return steps.DoubleAnswer(body, status)


def unsolicited(seconds: float = 0.0, body: bytes = _OTHER_ANSWER, *, status: int = 200) -> steps.Unsolicited:
    """Send a second HTTP response, JSON with `status`, on the idle connection, `seconds` after the end of the answer.

    The emulator is not idle before it has sent that response.
    """
    return steps.Unsolicited(seconds, body, status)


def flip_bit(bit: int) -> steps.FlipBit:
    """Flip one bit of the next frame: 0 is the lowest bit of its first byte, -1 the highest of its last."""
    return steps.FlipBit(bit)


def rechunk(size: int) -> steps.Rechunk:
    """Write the body from here on in HTTP chunks of `size` bytes, regardless of frame boundaries."""
    return steps.Rechunk(size)


def slow_body(seconds: float) -> steps.SlowBody:
    """Spread each frame from here on over `seconds`, a few bytes at a time."""
    return steps.SlowBody(seconds)


# ------------------------------------------------------------------------------------------------------------------ SSE


def comment(content: str = "keep-alive", *, inside: bool = False) -> steps.Comment:
    """Send a comment, which an SSE reader ignores, between two events; with `inside`, between lines of the next one."""
    return steps.Comment(content, inside)


def line_ends(end: Literal["\n", "\r\n", "\r"]) -> steps.LineEnds:
    """End the lines of an SSE body with `end` from here on. Raises `ConfigurationError` for any other text."""
    if end not in ("\n", "\r\n", "\r"):
        raise ConfigurationError("end", f"expected '\\n', '\\r\\n' or '\\r', got {end!r}")
    return steps.LineEnds(end)


def no_done() -> steps.NoDone:
    """Leave out the `[DONE]` of a Chat Completions stream. Other answers have none, so they are not affected."""
    return steps.NoDone()


def raw_lines(data: str | bytes) -> steps.RawLines:
    """Send any bytes in an SSE body, unchanged."""
    return steps.RawLines(data.encode() if isinstance(data, str) else data)


# ---------------------------------------------------------------------------------------------------------- unscripted


def unscripted(*faults: steps.Step, at: float = 0.0) -> steps.Unscripted:
    """Send the unscripted answer with `faults` in it: `unscripted(cut(), at=0.5)`.

    `at` is their position in the content: 0 is before it, 1 after it. Raises `ConfigurationError` if it is not in
    that range.
    """
    if not 0 <= at <= 1:
        raise ConfigurationError("at", f"expected a number from 0 to 1, got {at!r}")
    return steps.Unscripted(faults, at)


def _pieces(content: str | Sequence[str]) -> tuple[str, ...]:
    return split(content) if isinstance(content, str) else tuple(content)


def _split_evenly(raw: str, parts: int) -> tuple[str, ...]:
    return tuple(raw[len(raw) * i // parts : len(raw) * (i + 1) // parts] for i in range(parts))
