"""The steps of an answer, as values. The functions of `script` create them; `player` plays them.

There are three kinds: the parts of the message, steps that take effect before the response headers are sent, and faults
of the response body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from ..eventstream import Frame
from .recording import Recording
from .service.received import ReceivedRequest

__all__ = (
    "Answer",
    "Citation",
    "Comment",
    "Content",
    "ContentType",
    "Cut",
    "Delay",
    "EndBlock",
    "Event",
    "ExpiredSignature",
    "FlipBit",
    "HangBeforeHeaders",
    "Headers",
    "HttpError",
    "LineEnds",
    "Metadata",
    "NoDone",
    "RawFrame",
    "RawLines",
    "Reasoning",
    "Rechunk",
    "Recorded",
    "Replay",
    "Reset",
    "ResponseFailed",
    "SlowBody",
    "Stall",
    "Start",
    "Step",
    "Stop",
    "StreamError",
    "Text",
    "ToolUse",
    "TypelessError",
    "UnmodeledError",
    "Unscripted",
)

# ------------------------------------------------------------------------------------------------------------ message


class Text(Struct, frozen=True):
    """Text, one delta per piece; a new block, or with `joined` a part of the open text block."""

    pieces: tuple[str, ...]
    joined: bool = False


class Reasoning(Struct, frozen=True):
    """A reasoning block: pieces of text and a signature, or redacted bytes."""

    pieces: tuple[str, ...]
    signature: str | None = None
    redacted: bytes | None = None


class ToolUse(Struct, frozen=True):
    """A tool call. The JSON text of its input is sent in fragments, one delta each."""

    name: str
    fragments: tuple[str, ...]
    id: str | None = None
    """The id of the call; None derives one from its position in the conversation."""


class Citation(Struct, frozen=True):
    """A citation of the open text block."""

    members: dict[str, Any]


class Start(Struct, frozen=True):
    """`messageStart` at this position, instead of before the first content."""


class EndBlock(Struct, frozen=True):
    """`contentBlockStop` at this position, instead of before the next block or the end."""


class Stop(Struct, frozen=True):
    """`messageStop` at this position, with a stop reason."""

    reason: str
    fields: Any = None
    """The `additionalModelResponseFields`."""


class Metadata(Struct, frozen=True):
    """The content of the `metadata` event; a member that is left out (None) is computed."""

    usage: dict[str, Any] | None = None
    latency_ms: int | None = None
    extra: dict[str, Any] = {}
    absent: bool = False
    """Send no metadata at all."""


class Event(Struct, frozen=True):
    """Any event. Bytes are sent unchanged, a dict as JSON with padding."""

    name: str
    payload: dict[str, Any] | bytes


class RawFrame(Struct, frozen=True):
    """Any frame, sent unchanged."""

    frame: Frame


# ------------------------------------------------------------------------------------------------- before the headers


class HttpError(Struct, frozen=True):
    """An HTTP error instead of an answer."""

    status: int
    code: str | None
    message: str
    headers: dict[str, str] = {}


class Headers(Struct, frozen=True):
    """Additional response headers."""

    values: dict[str, str]


class ContentType(Struct, frozen=True):
    """Another content type; with a body, that body instead of the answer."""

    value: str
    body: bytes | None = None
    status: int = 200


class HangBeforeHeaders(Struct, frozen=True):
    """A pause before the headers: for some seconds, or until the client disconnects."""

    seconds: float | None = None


class ExpiredSignature(Struct, frozen=True):
    """A server clock that is this many seconds ahead of the caller's."""

    skew_seconds: float


# -------------------------------------------------------------------------------------------------------------- faults


class StreamError(Struct, frozen=True):
    """A frame with a modelled exception, or an error event, then the end of the body."""

    code: str
    message: str
    extra: dict[str, Any] = {}


class UnmodeledError(Struct, frozen=True):
    """A frame of the `error` message type, or an error event with this code as it is, then the end of the body."""

    code: str
    message: str


class TypelessError(Struct, frozen=True):
    """An SSE event with a message and no type, then the end of the body."""

    message: str


class ResponseFailed(Struct, frozen=True):
    """A Responses answer with the status `failed`, then the end of the body."""

    code: str
    message: str


class Comment(Struct, frozen=True):
    """An SSE comment at this position, or between the lines of the next event."""

    text: str
    inside: bool = False


class LineEnds(Struct, frozen=True):
    """Another end of the lines of all SSE events from here on."""

    end: str


class NoDone(Struct, frozen=True):
    """No `[DONE]` at the end of a Chat Completions stream."""


class RawLines(Struct, frozen=True):
    """Any bytes of an SSE body, sent unchanged."""

    data: bytes


class Cut(Struct, frozen=True):
    """The end of the body at this position, or some bytes into the next frame."""

    torn: bool | Literal["chunk"] = False
    inside: int | None = None


class Reset(Struct, frozen=True):
    """A connection reset (RST)."""

    after: int = 0
    """The bytes of the body that are sent first, counted from this position."""
    before_headers: bool = False


class Stall(Struct, frozen=True):
    """A pause: for some seconds, or until the client disconnects."""

    seconds: float | None = None


class Delay(Struct, frozen=True):
    """A pause of some seconds."""

    seconds: float


class LateFin(Struct, frozen=True):
    """A pause behind the whole message, for some seconds or until the client disconnects, then a torn end."""

    seconds: float | None = None


class GarbageChunk(Struct, frozen=True):
    """Bytes in the body that do not form an HTTP chunk."""

    data: bytes


class DoubleAnswer(Struct, frozen=True):
    """A second HTTP response, in one write with the end of the answer."""

    body: bytes
    status: int = 200


class Unsolicited(Struct, frozen=True):
    """A second HTTP response, some seconds after the end of the answer."""

    seconds: float
    body: bytes
    status: int = 200


class FlipBit(Struct, frozen=True):
    """A flipped bit in the next frame."""

    bit: int


class Rechunk(Struct, frozen=True):
    """Chunks of this many bytes for the rest of the body."""

    size: int


class SlowBody(Struct, frozen=True):
    """A slow rest of the body: each frame takes this many seconds, a few bytes at a time."""

    seconds: float


class Replay(Struct, frozen=True):
    """A raw recorded body instead of an answer."""

    body: bytes


class Recorded(Struct, frozen=True):
    """A recorded answer (status, headers and frames) instead of an answer."""

    recording: Recording
    paced: bool = False
    """True to send the frames at the recorded times."""


class Unscripted(Struct, frozen=True):
    """The unscripted answer, with faults inside."""

    faults: tuple[Any, ...] = ()  # steps
    at: float = 0.0
    """The position of the faults: 0 is before the content, 1 after it."""


Content: TypeAlias = Text | Reasoning | ToolUse | Citation
Step: TypeAlias = (
    Content
    | Start
    | EndBlock
    | Stop
    | Metadata
    | Event
    | RawFrame
    | HttpError
    | Headers
    | ContentType
    | HangBeforeHeaders
    | ExpiredSignature
    | StreamError
    | UnmodeledError
    | TypelessError
    | ResponseFailed
    | Comment
    | LineEnds
    | NoDone
    | RawLines
    | Cut
    | Reset
    | Stall
    | Delay
    | LateFin
    | GarbageChunk
    | DoubleAnswer
    | Unsolicited
    | FlipBit
    | Rechunk
    | SlowBody
    | Replay
    | Recorded
    | Unscripted
)
Answer: TypeAlias = Step | Sequence[Step] | Callable[[ReceivedRequest], Step | Sequence[Step] | None] | None
"""One answer of a script: a step, a sequence of steps, None (unscripted), or a function from the request to these."""
