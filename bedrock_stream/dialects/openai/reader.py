"""Reads a Chat Completions stream.

This API has no content blocks: a new one begins where the kind of content changes, and with each tool call. The most
frequent chunk, one choice with text only, is decoded directly to a struct that has exactly its members; any other chunk
is parsed generically. Reasoning, which is tagged text here, becomes the same events as on other routes.
Source: OpenAI's Chat Completions reference, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from ...types.events import (
    BlockStop,
    Event,
    MessageStop,
    Metadata,
    ReasoningDelta,
    TextDelta,
    ToolCallStart,
    UnknownEvent,
)
from ..documents import ACTION, METRICS, TRACE, DocumentReader
from ..payloads import decode_object, pop_as, raise_if_failed
from .facts import read_stop, rest_of, rest_of_choice, take_counts
from .tags import PlainText, TagSplitter

__all__ = ("OpenAIReader",)

_Wire = dict[str, Any]


class _Delta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: str | None = None
    content: str | None = None


class _Choice(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    delta: _Delta
    index: Literal[0] = 0
    finish_reason: None = None
    logprobs: None = None


_UNREAD = msgspec.Raw()


class _Chunk(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    choices: tuple[_Choice]
    id: str | None = None
    object: msgspec.Raw = _UNREAD
    created: msgspec.Raw = _UNREAD
    model: msgspec.Raw = _UNREAD
    service_tier: msgspec.Raw = _UNREAD
    system_fingerprint: msgspec.Raw = _UNREAD
    obfuscation: msgspec.Raw = _UNREAD
    usage: None = None
    action: Literal["NONE"] | None = msgspec.field(default=None, name=ACTION)


_decode_delta = msgspec.json.Decoder(_Chunk).decode


class _Call(msgspec.Struct):
    index: int
    """The index of its block."""
    id: str = ""
    name: str = ""
    pending: list[str] = []
    """The fragments of input received before id and name were known."""
    started: bool = False


class OpenAIReader(DocumentReader):
    """Reader of the documents of one Chat Completions stream, in frames or in server-sent events."""

    __slots__ = ("_calls", "_id", "_index", "_kind", "_next", "_tags")

    take_counts: ClassVar[staticmethod[[_Wire], Metadata]] = staticmethod(take_counts)
    """Removes the token counts from a chunk and returns them."""

    def __init__(self, *, tagged: bool = True) -> None:
        super().__init__()
        self._tags: TagSplitter | PlainText = TagSplitter() if tagged else PlainText()
        self._id: Any = None  # of the message, which each of its chunks has
        self._kind: type[ReasoningDelta] | type[TextDelta] | None = None  # of the open block
        self._index = 0  # of the open block
        self._next = 0
        self._calls: dict[int, _Call] = {}  # by the call's own index on the wire

    def read(self, document: bytes, events: MutableSequence[Event]) -> None:
        """See `DocumentReader.read`."""
        if not self.ended:
            try:
                chunk = _decode_delta(document)
            except ValueError:  # a rare chunk, an unknown member, or malformed: parsed generically
                pass
            else:
                delta = chunk.choices[0].delta
                # Only the first chunk must have a role.
                if not self._message_started or delta.role is not None:
                    self._start(delta.role, chunk.id, events)
                if delta.content:  # empty in the first chunk
                    self._add_content(self._tags.feed(delta.content), events)
                return
        wire = decode_object(document, "a chunk")
        raise_if_failed(wire, mid_stream=True)
        self._read_any(wire, events)

    def _read_any(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        # Bedrock adds metrics and trace to the last chunk: the one with the finish reason, or the extra one without
        # choices that `include_usage` asks for.
        last = METRICS in wire or TRACE in wire
        blocked = self.take_guardrail(wire)
        self.metadata: Metadata = self.metadata.merged(self.take_counts(wire))
        message_id = wire.get("id")
        choices = [self._choice(choice, message_id, events) for choice in pop_as(wire, "choices", list[_Wire]) or ()]
        if rest := rest_of(wire, choices):
            events.append(UnknownEvent("chunk", rest))
        if blocked and last and not self.ended:  # a guardrail's answer that replaces the model's may have no reason
            self._finish(None, events)
        self.emit_metadata(events)

    def _choice(self, choice: _Wire, message_id: Any, events: MutableSequence[Event]) -> _Wire:
        """Remove the known members of a choice and return the rest.

        The rest is all of it for choices after the end and for further choices (`n`), which are passed on as unknown.
        """
        if choice.get("index") not in (0, None):
            return choice
        if self.ended:
            late = choice.get("delta")
            delta: _Wire = late if isinstance(late, dict) else {}
            content = bool(delta.get("content") or delta.get("tool_calls"))
            self.note_late(starts=delta.get("role") is not None, content=content)
            self.note_late(ends=choice.get("finish_reason") is not None)
            return choice
        delta = pop_as(choice, "delta", _Wire) or {}
        self._start(pop_as(delta, "role", str), message_id, events)
        self._take_content(delta, events)
        fragments = [self._tool_fragment(wire, events) for wire in pop_as(delta, "tool_calls", list[_Wire]) or ()]
        if any(fragments):
            delta["tool_calls"] = fragments
        if reason := pop_as(choice, "finish_reason", str):
            self._finish(reason, events)
        return rest_of_choice(choice, "delta", delta)

    def _take_content(self, delta: _Wire, events: MutableSequence[Event]) -> None:
        """Remove the content from a delta and add it."""
        if content := pop_as(delta, "content", str):
            self._add_content(self._tags.feed(content), events)

    def _call_id(self, call_id: str | None) -> str | None:
        """Return the id of a call as callers receive it."""
        return call_id

    def _stop(self, reason: str | None) -> MessageStop:
        return read_stop(reason, blocked=self.blocked)

    def _start(self, role: str | None, message_id: Any, events: MutableSequence[Event]) -> None:
        if not self._message_started:
            self.start_message(role or "assistant", events)
            self._id = message_id
        elif role is not None and message_id and self._id and message_id != self._id:  # some models repeat the role
            self.start_message(role, events)

    def _add_content(self, pieces: Sequence[tuple[bool, str]], events: MutableSequence[Event]) -> None:
        for reasoning, text in pieces:
            kind = ReasoningDelta if reasoning else TextDelta
            if kind is not self._kind:  # pieces of reasoning with a pair of tags each are one block
                self._stop_block(events)
                self._kind, self._index = kind, self._next_index()
            events.append(kind(self._index, text))

    def _next_index(self) -> int:
        self._next += 1
        return self._next - 1

    def _stop_block(self, events: MutableSequence[Event]) -> None:
        # Nothing on the wire marks the end of a block, so it ends where the next one or the message's end begins.
        if self._kind is not None:
            self._kind = None
            events.append(BlockStop(self._index))

    def _tool_fragment(self, wire: _Wire, events: MutableSequence[Event]) -> _Wire:
        """Add a fragment of a call and return its unknown members.

        Only a call's first fragment has id and name. A call has no end of its own, so it ends with the message.
        """
        key = msgspec.convert(wire.pop("index"), int)
        call = self._calls.get(key)
        if call is None:
            self._add_content(self._tags.finish(), events)
            self._stop_block(events)
            call = self._calls[key] = _Call(self._next_index())
        function = pop_as(wire, "function", _Wire) or {}
        call.id = self._call_id(pop_as(wire, "id", str)) or call.id
        call.name = pop_as(function, "name", str) or call.name
        fragment = pop_as(function, "arguments", str) or ""
        if not call.started and call.id and call.name:
            call.started = True
            self.start_tool(ToolCallStart(call.index, call.id, call.name), events)
            fragment = "".join([*call.pending, fragment])
            call.pending.clear()
        if not call.started:
            call.pending.append(fragment)
        elif fragment:
            self.add_tool_input(call.index, fragment, events)
        if wire.get("type") == "function":
            del wire["type"]
        return {**wire, "function": function} if function else wire

    def _finish(self, reason: str | None, events: MutableSequence[Event]) -> None:
        self._start(None, None, events)
        self._add_content(self._tags.finish(), events)
        self._stop_block(events)
        for call in self._calls.values():
            if not call.started:
                raise ValueError(f"tool call without id or name: id {call.id!r}, name {call.name!r}")
        for call in self._calls.values():
            self.stop_tool(call.index, events)
            events.append(BlockStop(call.index))
        events.append(self._stop(reason))
        self.ended = True
