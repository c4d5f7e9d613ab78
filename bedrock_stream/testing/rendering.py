"""One answer, two forms: the events of ConverseStream, or the whole JSON of Converse.

Both are made of the same steps and the same counts, so a client must assemble from the stream what the other says.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from .steps import Citation, Content, EndBlock, Event, Metadata, Reasoning, Start, Step, Stop, Text, ToolUse
from .tokens import count_input

__all__ = ("EventComposer", "Facts", "WireEvent", "whole_answer")

_COUNTED = ("messages", "system", "toolConfig")
_ECHOED = ("performanceConfig", "serviceTier")
_FIRST_TOKEN_MS, _TOKEN_MS = 100, 10  # latency is made up, so that answers repeat exactly


class WireEvent(NamedTuple):
    """One event before it becomes a frame."""

    name: str
    payload: dict[str, Any] | bytes


class Facts(NamedTuple):
    """What an answer says about its request."""

    input_tokens: int
    turn: int
    """How many messages the conversation has; ids of tool calls differ from turn to turn by it."""
    echoed: dict[str, Any]

    @classmethod
    def of(cls, body: dict[str, Any]) -> Facts:
        """Read them off a request body."""
        echoed = {name: body[name] for name in _ECHOED if name in body}
        return cls(sum(count_input(body.get(name)) for name in _COUNTED), len(body.get("messages", ())), echoed)

    def tool_use_id(self, call: ToolUse, index: int) -> str:
        """The id of a call: the scripted one, or one that follows from its place."""
        if call.id is not None:
            return call.id
        return "tooluse_" + sha256(f"{self.turn}/{index}/{call.name}".encode()).hexdigest()[:22]

    def metadata(self, steps: Sequence[Step], said: Metadata) -> dict[str, Any]:
        """The last event's payload; what the script did not say is counted."""
        output = sum(_tokens(step) for step in steps)
        counted = {
            "inputTokens": self.input_tokens,
            "outputTokens": output,
            "totalTokens": self.input_tokens + output,
        }
        latency = _FIRST_TOKEN_MS + _TOKEN_MS * output if said.latency_ms is None else said.latency_ms
        usage = counted if said.usage is None else said.usage
        return {"usage": usage, "metrics": {"latencyMs": latency}, **self.echoed, **said.extra}


def _tokens(step: Step) -> int:
    match step:
        case Text() | Reasoning():
            return len(step.pieces)
        case ToolUse():
            return len(step.fragments)
    return 0


def _last_metadata(steps: Sequence[Step]) -> Metadata:
    said = [step for step in steps if isinstance(step, Metadata)]
    return said[-1] if said else Metadata()


def _natural_stop(steps: Sequence[Step]) -> Stop:
    return Stop("tool_use" if any(isinstance(step, ToolUse) for step in steps) else "end_turn")


def _redacted(data: bytes) -> dict[str, Any]:
    return {"redactedContent": b64encode(data).decode()}


# --------------------------------------------------------------------------------------------------------- as events


class EventComposer:
    """Turns steps into events one after the other, adding the starts and stops that a script leaves out."""

    def __init__(self, steps: Sequence[Step], facts: Facts) -> None:
        self._steps = steps
        self._facts = facts
        self._index = -1
        self._open: type[Content] | None = None
        self._started = self._stopped = self._finished = False

    def compose(self, step: Step) -> Iterator[WireEvent]:
        """The events of one step of content or facts; none for other steps."""
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
            case Metadata() if self._stopped:
                yield from self._metadata(step)
            case Event():
                yield from self._event(step)

    def finish(self) -> Iterator[WireEvent]:
        """Whatever the message still lacks."""
        if not self._stopped:
            yield from self._stop(_natural_stop(self._steps))
        if not self._finished:
            yield from self._metadata(_last_metadata(self._steps))

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

    def _event(self, step: Event) -> Iterator[WireEvent]:
        self._started |= step.name == "messageStart"
        self._stopped |= step.name == "messageStop"
        self._finished |= step.name == "metadata"
        yield WireEvent(step.name, step.payload)

    def _block(self, step: Content) -> Iterator[WireEvent]:
        goes_on = isinstance(step, Citation) or (isinstance(step, Text) and step.joined)
        if not (goes_on and self._open is Text):
            yield from self._end_block()
            self._index += 1
            # A citation with no text before it opens a text block, since that is the kind of block it belongs to.
            self._open = Text if isinstance(step, Citation) else type(step)
            if isinstance(step, ToolUse):
                identity = {"toolUseId": self._facts.tool_use_id(step, self._index), "name": step.name}
                yield WireEvent("contentBlockStart", {"contentBlockIndex": self._index, "start": {"toolUse": identity}})
        for delta in _deltas(step):
            yield WireEvent("contentBlockDelta", {"contentBlockIndex": self._index, "delta": delta})

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


# ---------------------------------------------------------------------------------------------------------- as JSON


def whole_answer(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    """The body of a Converse answer."""
    said = [step for step in steps if isinstance(step, Stop)]
    stop = said[-1] if said else _natural_stop(steps)
    answer: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": _blocks(steps, facts)}},
        "stopReason": stop.reason,
    }
    if stop.fields is not None:
        answer["additionalModelResponseFields"] = stop.fields
    return answer | facts.metadata(steps, _last_metadata(steps))


def _blocks(steps: Sequence[Step], facts: Facts) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for step in steps:
        last = blocks[-1] if blocks else {}
        match step:
            case Text() if step.joined and (opened := _open_text(last)):
                opened["text"] += "".join(step.pieces)
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
    """Where text that goes on belongs: the block itself, or the cited content in it."""
    if "citationsContent" in block:
        content: list[dict[str, Any]] = block["citationsContent"]["content"]
        return content[-1] if content else None
    return block if "text" in block else None


def _cite(blocks: list[dict[str, Any]], step: Citation) -> None:
    """Converse wraps cited text: `{citationsContent: {content, citations}}` instead of `{text}`."""
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
        value = raw  # an input that was cut, or was never JSON: the text itself, since `{}` would be a lie
    return {"toolUseId": identity, "name": step.name, "input": value}


def _reasoning(step: Reasoning) -> dict[str, Any]:
    if step.redacted is not None:
        return _redacted(step.redacted)
    signature = {} if step.signature is None else {"signature": step.signature}
    return {"reasoningText": {"text": "".join(step.pieces), **signature}}
