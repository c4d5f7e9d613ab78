"""The steps of an answer, as values. `script` has the words that make them; `player` carries them out.

Three kinds: content and facts, which are the message itself; the opening, which is decided before the headers leave;
and faults, which happen to the bytes.
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
    "Metadata",
    "RawFrame",
    "Reasoning",
    "Rechunk",
    "Recorded",
    "Replay",
    "Reset",
    "SlowBody",
    "Stall",
    "Start",
    "Step",
    "Stop",
    "StreamError",
    "Text",
    "ToolUse",
    "UnmodeledError",
    "Unscripted",
)

# ------------------------------------------------------------------------------------------------- the message itself


class Text(Struct, frozen=True):
    """Text, one delta a piece, in a block of its own unless `joined` to the open one."""

    pieces: tuple[str, ...]
    joined: bool = False


class Reasoning(Struct, frozen=True):
    """A reasoning block: readable pieces and a signature, or redacted bytes."""

    pieces: tuple[str, ...]
    signature: str | None = None
    redacted: bytes | None = None


class ToolUse(Struct, frozen=True):
    """A tool call whose input's JSON text arrives in fragments."""

    name: str
    fragments: tuple[str, ...]
    id: str | None = None
    """None: one is made from the place of the call in the conversation."""


class Citation(Struct, frozen=True):
    """A citation of the text block that is open."""

    members: dict[str, Any]


class Start(Struct, frozen=True):
    """`messageStart` now, instead of in front of the first content."""


class EndBlock(Struct, frozen=True):
    """`contentBlockStop` now, instead of in front of whatever comes next."""


class Stop(Struct, frozen=True):
    """`messageStop` now, with this reason."""

    reason: str
    fields: Any = None
    """The `additionalModelResponseFields`."""


class Metadata(Struct, frozen=True):
    """What the last event says; members that are None are computed."""

    usage: dict[str, Any] | None = None
    latency_ms: int | None = None
    extra: dict[str, Any] = {}
    absent: bool = False
    """Send no metadata at all."""


class Event(Struct, frozen=True):
    """An event as it is; bytes are sent untouched, a dict as JSON with padding."""

    name: str
    payload: dict[str, Any] | bytes


class RawFrame(Struct, frozen=True):
    """A frame as it is."""

    frame: Frame


# ----------------------------------------------------------------------------------------- decided before the headers


class HttpError(Struct, frozen=True):
    """An HTTP error in place of an answer."""

    status: int
    code: str | None
    message: str
    headers: dict[str, str] = {}


class Headers(Struct, frozen=True):
    """Further response headers."""

    values: dict[str, str]


class ContentType(Struct, frozen=True):
    """Another content type; with a body, that body in place of the answer."""

    value: str
    body: bytes | None = None
    status: int = 200


class HangBeforeHeaders(Struct, frozen=True):
    """Silence before the headers: for some seconds, or until the client leaves."""

    seconds: float | None = None


class ExpiredSignature(Struct, frozen=True):
    """The front door's clock is this many seconds ahead of the caller's."""

    skew_seconds: float


# ------------------------------------------------------------------------------------------ what happens to the bytes


class StreamError(Struct, frozen=True):
    """A modelled exception frame, and the end of the body."""

    code: str
    message: str
    extra: dict[str, Any] = {}


class UnmodeledError(Struct, frozen=True):
    """A frame of the `error` message type, and the end of the body."""

    code: str
    message: str


class Cut(Struct, frozen=True):
    """The body ends here, or some bytes into the next frame."""

    torn: bool | Literal["chunk"] = False
    inside: int | None = None


class Reset(Struct, frozen=True):
    """The connection is reset."""

    after: int = 0
    """Bytes of the body that are written first, counted from here."""
    before_headers: bool = False


class Stall(Struct, frozen=True):
    """Silence: for some seconds, or until the client leaves."""

    seconds: float | None = None


class Delay(Struct, frozen=True):
    """A pause."""

    seconds: float


class FlipBit(Struct, frozen=True):
    """One bit of the next frame is turned."""

    bit: int


class Rechunk(Struct, frozen=True):
    """From here on the body is written in pieces of this many bytes."""

    size: int


class SlowBody(Struct, frozen=True):
    """From here on each frame takes this many seconds to arrive, a few bytes at a time."""

    seconds: float


class Replay(Struct, frozen=True):
    """A recorded body as it is, in place of an answer."""

    body: bytes


class Recorded(Struct, frozen=True):
    """A recorded answer, headers and frames, in place of one."""

    recording: Recording
    paced: bool = False
    """Whether the frames come as slowly as they came."""


class Unscripted(Struct, frozen=True):
    """The emulator's own answer, with faults somewhere in it."""

    faults: tuple[Any, ...] = ()  # steps
    at: float = 0.0
    """The place of the faults: 0 is in front of the content, 1 behind it."""


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
    | Cut
    | Reset
    | Stall
    | Delay
    | FlipBit
    | Rechunk
    | SlowBody
    | Replay
    | Recorded
    | Unscripted
)
Answer: TypeAlias = Step | Sequence[Step] | Callable[[ReceivedRequest], Step | Sequence[Step] | None] | None
"""One answer of a script: a step, several, None for the unscripted one, or a function of the request giving these."""
