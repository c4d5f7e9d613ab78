"""Rendering of an answer as the events of ConverseStream or as the JSON document of Converse.

Both are made from the same steps and counts, so a message that is assembled from the stream equals the document.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from ..service.refusal import Refusal
from ..steps import (
    Citation,
    Comment,
    Content,
    EndBlock,
    Event,
    LineEnds,
    Metadata,
    NoDone,
    RawFrame,
    RawLines,
    Reasoning,
    ResponseFailed,
    Start,
    Step,
    Stop,
    Text,
    ToolUse,
    TypelessError,
)
from .facts import Facts, last_metadata, stop_of
from .frames import EVENT_STREAM, FrameWriter, Writer

__all__ = ("CONVERSE", "Composer", "EventComposer", "Form", "WireEvent", "answer_document", "check_supported")

_SCRIPT_NAMES = {
    Citation: "citation", Comment: "comment", LineEnds: "line_ends", NoDone: "no_done", RawFrame: "raw_frame",
    RawLines: "raw_lines", Reasoning: "reasoning", ResponseFailed: "response_failed", ToolUse: "tool_call",
    TypelessError: "typeless_error",
}  # fmt: skip
_OF_SSE = (Comment, LineEnds, NoDone, RawLines, ResponseFailed, TypelessError)


class WireEvent(NamedTuple):
    """One event, before it is encoded as a frame."""

    name: str
    payload: dict[str, Any] | bytes
    is_delta: bool = False
    """True for a piece of content; the emulator's `pace` applies before it."""


class Composer(Protocol):
    """The conversion of the steps of one answer to events, in order."""

    def compose(self, step: Step) -> Iterator[WireEvent]:
        """Yield the events of a step that is part of the message; nothing for other steps."""

    def finish(self) -> Iterator[WireEvent]:
        """Yield the events that are still missing for a complete message."""


class Form(NamedTuple):
    """The format of an answer on one route."""

    composer: Callable[[Sequence[Step], Facts], Composer]
    """Create the composer of the stream's events."""
    document: Callable[[Sequence[Step], Facts], dict[str, Any]]
    """Build the JSON document."""
    document_headers: Callable[[Sequence[Step], Facts], dict[str, str]] = lambda steps, facts: {}
    """Build the additional response headers of the document."""
    stream_headers: tuple[tuple[str, str], ...] = ()
    """Additional response headers of the stream."""
    unsupported: Callable[[Step], bool] = lambda step: False
    """Return True for a step that the format cannot express."""
    writer: Callable[[Callable[[bytes], int]], Writer] = FrameWriter
    """Create the writer of the stream from a function that computes checksums."""
    content_type: str = EVENT_STREAM
    """The content type of the stream."""
    streamed: bool = False
    """True if the body asks for a stream, on a path that has streams and documents."""
    prepare: Callable[[list[Step]], list[Step]] = lambda steps: steps
    """Return the steps with what only this format decides."""


def check_supported(steps: Sequence[Step], form: Form, operation: str, model: str) -> None:
    """Check that the form can express every step. Raises `Refusal`."""
    for step in steps:
        foreign = RawFrame if form.content_type != EVENT_STREAM else _OF_SSE
        if isinstance(step, foreign) or form.unsupported(step):
            name = _SCRIPT_NAMES[type(step)]
            message = f"the script contains {name}(...), which {model} does not support in {operation}"
            # 501: the script is wrong, so clients must not retry.
            raise Refusal(501, "ScriptError", message)


def _redacted(data: bytes) -> dict[str, Any]:
    return {"redactedContent": b64encode(data).decode()}


# ------------------------------------------------------------------------------------------------------------ events


class EventComposer:
    """The composer of ConverseStream. It adds the start and stop events that a script leaves out."""

    def __init__(self, steps: Sequence[Step], facts: Facts) -> None:
        self._steps = steps
        self._facts = facts
        self._index = -1
        self._open: type[Content] | None = None
        self._started = self._stopped = self._finished = False

    def compose(self, step: Step) -> Iterator[WireEvent]:
        """See `Composer`."""
        match step:
            case Start():
                yield from self._start()
            case Text() | Citation() | Reasoning() | ToolUse():
                yield from self._start()
                yield from self._block(step)
            case EndBlock():
                yield from self._end_block()
            case Stop():
                yield from self._stop(step)
            # Before `messageStop` the step only sets the content of the event, which `finish` sends.
            case Metadata() if self._stopped:
                yield from self._metadata(step)
            case Event():
                self.note(step.name)
                yield WireEvent(step.name, step.payload)

    def finish(self) -> Iterator[WireEvent]:
        """See `Composer`."""
        if not self._stopped:
            yield from self._stop(stop_of(self._steps))
        # `metadata` is the last event of a stream.
        if not self._finished:
            yield from self._metadata(last_metadata(self._steps))

    def note(self, name: str) -> None:
        """Note that a script sent an event of this name itself, so that it is not added."""
        self._started |= name == "messageStart"
        self._stopped |= name == "messageStop"
        self._finished |= name == "metadata"

    def _start(self) -> Iterator[WireEvent]:
        if not self._started:
            self._started = True
            yield WireEvent("messageStart", {"role": "assistant"})

    def _stop(self, step: Stop) -> Iterator[WireEvent]:
        yield from self._start()
        yield from self._end_block()
        self._stopped = True
        fields = {} if step.fields is None else {"additionalModelResponseFields": step.fields}
        yield WireEvent("messageStop", {"stopReason": step.reason, **fields})

    def _metadata(self, step: Metadata) -> Iterator[WireEvent]:
        self._finished = True
        if not step.absent:
            yield WireEvent("metadata", self._facts.metadata(self._steps, step))

    def _block(self, step: Content) -> Iterator[WireEvent]:
        continues = isinstance(step, Citation) or (isinstance(step, Text) and step.joined)
        if not (continues and self._open is Text):
            yield from self._end_block()
            self._index += 1
            # A citation without text before it opens a text block, because citations belong to text blocks.
            self._open = Text if isinstance(step, Citation) else type(step)
            # Converse sends `contentBlockStart` for tool calls only.
            if isinstance(step, ToolUse):
                identity = {"toolUseId": self._facts.tool_use_id(step, self._index), "name": step.name}
                yield WireEvent("contentBlockStart", {"contentBlockIndex": self._index, "start": {"toolUse": identity}})
        for delta in _deltas(step):
            yield WireEvent("contentBlockDelta", {"contentBlockIndex": self._index, "delta": delta}, is_delta=True)

    def _end_block(self) -> Iterator[WireEvent]:
        if self._open is not None:
            self._open = None
            yield WireEvent("contentBlockStop", {"contentBlockIndex": self._index})


def _deltas(step: Content) -> Iterator[dict[str, Any]]:
    match step:
        case Text():
            yield from ({"text": piece} for piece in step.pieces)
        case Citation():
            yield {"citation": step.members}
        case ToolUse():
            yield from ({"toolUse": {"input": fragment}} for fragment in step.fragments)
        case Reasoning(redacted=bytes() as data):
            yield {"reasoningContent": _redacted(data)}
        case Reasoning():
            yield from ({"reasoningContent": {"text": piece}} for piece in step.pieces)
            if step.signature is not None:
                yield {"reasoningContent": {"signature": step.signature}}


# ---------------------------------------------------------------------------------------------------------- document


def answer_document(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    """Build the body of a Converse response."""
    stop = stop_of(steps)
    answer: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": _blocks(steps, facts)}},
        "stopReason": stop.reason,
    }
    if stop.fields is not None:
        answer["additionalModelResponseFields"] = stop.fields
    return answer | facts.metadata(steps, last_metadata(steps))


def _blocks(steps: Sequence[Step], facts: Facts) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for step in steps:
        last = blocks[-1] if blocks else {}
        match step:
            case Text() if step.joined and (text := _open_text(last)):
                text["text"] += "".join(step.pieces)
            case Text():
                blocks.append({"text": "".join(step.pieces)})
            case Citation():
                _cite(blocks, step)
            case ToolUse():
                blocks.append({"toolUse": _tool_use(step, facts.tool_use_id(step, len(blocks)))})
            case Reasoning():
                blocks.append({"reasoningContent": _reasoning(step)})
    return blocks


def _open_text(block: dict[str, Any]) -> dict[str, Any] | None:
    """Return the part that joined text is appended to: the block, or the last cited content in it."""
    if "citationsContent" in block:
        content: list[dict[str, Any]] = block["citationsContent"]["content"]
        return content[-1] if content else None
    return block if "text" in block else None


def _cite(blocks: list[dict[str, Any]], step: Citation) -> None:
    # Converse wraps cited text: `{citationsContent: {content, citations}}` instead of `{text}`.
    last = blocks[-1] if blocks else {}
    if "citationsContent" not in last:
        content = [{"text": blocks.pop()["text"]}] if "text" in last else []
        last = {"citationsContent": {"content": content, "citations": []}}
        blocks.append(last)
    last["citationsContent"]["citations"].append(step.members)


def _tool_use(step: ToolUse, identity: str) -> dict[str, Any]:
    raw = "".join(step.fragments)
    try:
        value = json.loads(raw) if raw.strip() else {}
    except ValueError:
        value = raw  # the text itself, if it is truncated or was never JSON
    return {"toolUseId": identity, "name": step.name, "input": value}


def _reasoning(step: Reasoning) -> dict[str, Any]:
    if step.redacted is not None:
        return _redacted(step.redacted)
    signature = {} if step.signature is None else {"signature": step.signature}
    return {"reasoningText": {"text": "".join(step.pieces), **signature}}


CONVERSE = Form(EventComposer, answer_document)
"""Converse and ConverseStream."""
