"""Reads Claude's native stream.

Unlike on Converse, each block has a start event, text too. Counts are in three places (message_start, message_delta and
Bedrock's own metrics on message_stop) and become one `Metadata` after the message's end. A block of an unknown type is
joined with its deltas and passed on by `BlockStop`, so that it can be sent back.
Source: Anthropic's streaming reference, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from typing import Any

import msgspec

from ...types.events import (
    BlockStop,
    CacheDetail,
    CitationDelta,
    Event,
    MessageStop,
    Metadata,
    ReasoningDelta,
    TextDelta,
    ToolCallStart,
    ToolResultDelta,
    ToolResultStart,
    UnknownEvent,
    Usage,
)
from ..documents import DocumentReader, message_stop, take_metrics, with_total
from ..payloads import (
    decode_object,
    pop,
    pop_object,
    pop_optional,
    put_back,
    take,
    take_nested,
    without_nulls,
)
from ..tool_input import parse_input
from .blocks import read_citation

__all__ = ("AnthropicReader", "read_stop", "read_usage")

_Wire = dict[str, Any]


# The most frequent chunk, a delta of text, tool input or thinking, is decoded directly to these structs. A chunk with
# any other member does not fit and is parsed generically, so that unknown members are passed on.
class _TextDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag="text_delta"):
    text: str


class _ToolDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag="input_json_delta"):
    partial_json: str


class _ThinkingDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag="thinking_delta"):
    thinking: str


class _BlockDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag="content_block_delta"):
    index: int
    delta: _TextDelta | _ToolDelta | _ThinkingDelta


_decode_delta = msgspec.json.Decoder(_BlockDelta).decode

# Blocks with events of their own. One that lacks a required member is not sent back, since Claude would reject it.
_TYPED = frozenset({"text", "thinking", "redacted_thinking", "tool_use", "server_tool_use"})
# Chunks that may follow the end of the message.
_AFTER_END = frozenset({"ping", "error"})
# Members of `message_start` without information that callers need.
_ENVELOPE = frozenset({"id", "model", "stop_reason", "stop_sequence", "type"})
# Other reasons have the same name on Converse, or are passed on unchanged.
_STOPS = {"refusal": "content_filtered"}
_USAGE = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
# Converse lists the writes to the one-hour cache first.
_TTLS = (("1h", "ephemeral_1h_input_tokens"), ("5m", "ephemeral_5m_input_tokens"))


class _UnknownBlock:
    """An open block of an unknown type, with the deltas received so far.

    Claude rejects a conversation whose blocks are missing or changed, so the block must be sent back as it was. A delta
    extends the member with its name: text and lists grow, any other value replaces the member. Two members have other
    names in a delta, for each type of block: `partial_json` is input as JSON text, `citation` an item of a list.
    """

    __slots__ = ("_block", "_input", "_texts")

    def __init__(self, block: _Wire) -> None:
        self._block = dict(block)
        self._input: list[str] = []
        self._texts: dict[str, list[str]] = {}  # fragments of the members that are text

    def add(self, delta: _Wire) -> None:
        """Add a delta, without its type."""
        for name, value in without_nulls(delta).items():
            if name == "partial_json" and isinstance(value, str):
                self._input.append(value)
            elif name == "citation":
                self._extend("citations", [value])
            elif isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
            elif isinstance(value, list):
                self._extend(name, value)
            else:
                self._block[name] = value

    def _extend(self, name: str, items: list[Any]) -> None:
        known = self._block.get(name)
        self._block[name] = [*known, *items] if isinstance(known, list) else items

    def joined(self) -> _Wire | None:
        """Return the complete block; None if its input is truncated, since Claude would reject it."""
        block = self._block
        for name, fragments in self._texts.items():
            start = block.get(name)
            block[name] = "".join([start if isinstance(start, str) else "", *fragments])
        # Without fragments, or with empty ones, the input is that of the block's start.
        if raw := "".join(self._input).strip():
            block["input"] = parse_input(raw)
        return None if raw and block["input"] is None else block


class AnthropicReader(DocumentReader):
    """Reader of the documents of one Messages stream, in frames or in server-sent events."""

    __slots__ = ("_stop", "_unknown")

    def __init__(self) -> None:
        super().__init__()
        self._stop: _Wire = {}
        self._unknown: dict[int, _UnknownBlock] = {}  # open blocks whose events do not contain all of them

    def read(self, document: bytes, events: MutableSequence[Event]) -> None:
        """See `DocumentReader.read`."""
        try:
            wire = _decode_delta(document)
        except ValueError:  # another type of chunk, an unknown member, or malformed
            self._read_any(self.decode(document), events)
            return
        delta = wire.delta
        if self.ended:
            self.check_open("a content_block_delta")
        if self._unknown and wire.index in self._unknown:  # its deltas belong to the block, whatever their type
            self._read_any(self.decode(document), events)
        elif isinstance(delta, _TextDelta):
            events.append(TextDelta(wire.index, delta.text))
        elif isinstance(delta, _ToolDelta):
            self.add_tool_input(wire.index, delta.partial_json, events)
        else:
            events.append(ReasoningDelta(wire.index, delta.thinking))

    def decode(self, document: bytes) -> _Wire:
        """Decode a document of any type. Raises `InvalidFrame`."""
        return decode_object(document, "a chunk")

    def _read_any(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.take_guardrail(wire)
        kind = wire.get("type")
        handle = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handle is None:
            events.append(UnknownEvent(str(kind or "chunk"), wire))
            return
        if kind not in _AFTER_END:
            self.check_open(f"a {kind}")
        del wire["type"]
        handle(self, wire, events)
        if rest := without_nulls(wire):
            events.append(UnknownEvent(str(kind), rest))

    # Each handler removes the members that it knows from `wire`. The rest is passed on as unknown.

    def _message_start(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        message = pop_object(wire, "message")
        self._count(message)
        self.start_message(pop(message, "role", str), events)
        rest = {key: value for key, value in message.items() if key not in _ENVELOPE and value != []}  # empty `content`
        put_back(wire, "message", rest)

    def _block_start(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        index, complete_block = pop(wire, "index", int), wire["content_block"]
        block = rest = pop_object(wire, "content_block")
        match block:
            case {"type": "text", "text": str(text), **rest}:
                if text:  # usually empty: the text follows in deltas
                    events.append(TextDelta(index, text))
                for citation in pop_optional(rest, "citations", list) or ():
                    events.append(CitationDelta(index, read_citation(citation)))
            case {"type": "thinking", "thinking": str(text), **rest}:
                if text:
                    events.append(ReasoningDelta(index, text))
                if signature := pop_optional(rest, "signature", str):
                    events.append(ReasoningDelta(index, signature=signature))
            case {"type": "redacted_thinking", "data": str(data), **rest}:  # complete here; it has no deltas
                events.append(ReasoningDelta(index, redacted=data.encode()))
            case {"type": "tool_use" | "server_tool_use" as kind, "id": str(id), "name": str(name), **extra}:
                complete, rest = extra.pop("input", None), {}
                self.start_tool(ToolCallStart(index, id, name, kind == "server_tool_use", extra), events)
                # Usually `{}`, and the input follows in deltas of JSON text.
                if complete not in (None, {}):
                    self.add_tool_input(index, msgspec.json.encode(complete).decode(), events)
            # The result of a tool that the service ran is complete here, under a type for each tool.
            case {"type": str(kind), "tool_use_id": str(id), "content": content, **rest}:
                events.append(ToolResultStart(index, id, kind))
                events.append(ToolResultDelta(index, [{"json": content}]))
                if rest or kind == "mcp_tool_result":
                    self._unknown[index] = _UnknownBlock(complete_block)
            case {"type": str(kind)} if kind not in _TYPED:
                self._unknown[index] = _UnknownBlock(complete_block)
        if rest:
            wire.update(index=index, content_block=rest)

    def _block_delta(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        index, delta = pop(wire, "index", int), pop_object(wire, "delta")
        kind = pop(delta, "type", str)
        if (unknown := self._unknown.get(index)) is not None:
            unknown.add(delta)
            wire.update(index=index, delta={"type": kind, **delta})
            return
        match kind:
            case "text_delta":
                events.append(TextDelta(index, pop(delta, "text", str)))
            case "input_json_delta":
                self.add_tool_input(index, pop(delta, "partial_json", str), events)
            case "thinking_delta":
                events.append(ReasoningDelta(index, pop(delta, "thinking", str)))
            case "signature_delta":
                events.append(ReasoningDelta(index, signature=pop(delta, "signature", str)))
            case "citations_delta":
                events.append(CitationDelta(index, read_citation(delta.pop("citation"))))
            case _:  # unknown: passed on with its type
                delta["type"] = kind
        if delta:
            wire.update(index=index, delta=delta)

    def _block_stop(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        index = pop(wire, "index", int)
        self.stop_tool(index, events)
        unknown = self._unknown.pop(index, None)
        events.append(BlockStop(index, None if unknown is None else unknown.joined()))

    def _message_delta(self, wire: _Wire, _events: MutableSequence[Event]) -> None:
        # The stop reason is here, not on message_stop, and the counts are cumulative.
        self._stop.update(without_nulls(pop_optional(wire, "delta", dict) or {}))
        self._count(wire)

    def _message_stop(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.stop_tools(events)
        self.metadata = self.metadata.merged(take_metrics(wire))  # Bedrock's counts take precedence over Claude's
        events.append(read_stop(self._stop, blocked=self.blocked))
        events.append(with_total(self.metadata))
        self.ended = self.complete = True  # message_stop is the last chunk

    def _ping(self, _wire: _Wire, _events: MutableSequence[Event]) -> None:
        """Ignore a keep-alive."""

    def _error(self, wire: _Wire, _events: MutableSequence[Event]) -> None:
        from ..error_documents import foreign_error

        raise foreign_error({**wire, "type": "error"}, mid_stream=True)

    def _count(self, wire: _Wire) -> None:
        if usage := take(wire, "usage", dict):
            self.metadata: Metadata = self.metadata.merged(Metadata(usage=read_usage(usage)))


_HANDLERS: dict[str, Callable[[AnthropicReader, _Wire, MutableSequence[Event]], None]] = {
    "message_start": AnthropicReader._message_start,
    "content_block_start": AnthropicReader._block_start,
    "content_block_delta": AnthropicReader._block_delta,
    "content_block_stop": AnthropicReader._block_stop,
    "message_delta": AnthropicReader._message_delta,
    "message_stop": AnthropicReader._message_stop,
    "ping": AnthropicReader._ping,
    "error": AnthropicReader._error,
}


def read_stop(wire: _Wire, *, blocked: bool = False) -> MessageStop:
    """Return the stop of a `message_delta` or of a response. Other members become `additional_fields`."""
    fields = without_nulls(wire)
    stop = message_stop("stop_reason", pop_optional(fields, "stop_reason", str), _STOPS, blocked=blocked)
    return msgspec.structs.replace(stop, additional_fields=fields or None)


def read_usage(wire: _Wire) -> Usage:
    """Return Claude's counts, with None for counts that are absent or null."""
    extra = without_nulls(wire)
    counts = {name: take(extra, key, int) for key, name in _USAGE.items()}
    details = [
        CacheDetail(ttl, count) for ttl, key in _TTLS if (count := take_nested(extra, "cache_creation", key, int))
    ]
    reasoning = take_nested(extra, "output_tokens_details", "thinking_tokens", int)
    return Usage(**counts, cache_details=tuple(details), extra=extra, reasoning_tokens=reasoning)
