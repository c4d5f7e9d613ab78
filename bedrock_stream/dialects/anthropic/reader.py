"""Chunks of Claude's native stream into events.

Every block has a start here, text too; counts come in three places (message_start, message_delta and Bedrock's own
metrics on message_stop) and leave as one `Metadata` after the message's end.
Source: Anthropic's streaming reference, and recorded traffic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from ...errors import service_error
from ...types.events import (
    BlockStop,
    CacheDetail,
    CitationDelta,
    Event,
    MessageStart,
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
from ..chunks import ChunkReader, close_metadata, metrics_of, stop_of
from ..payloads import decode_object, keep, members, pop, pop_if, present, take, take_in
from .blocks import read_citation

__all__ = ("AnthropicReader", "read_stop", "read_usage")

_Wire = dict[str, Any]


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

# Anthropic's names of errors inside a stream -> the service's.
_ERRORS = {
    "api_error": "InternalServerException",
    "authentication_error": "AccessDeniedException",
    "invalid_request_error": "ValidationException",
    "not_found_error": "ResourceNotFoundException",
    "overloaded_error": "ServiceUnavailableException",
    "permission_error": "AccessDeniedException",
    "rate_limit_error": "ThrottlingException",
    "request_too_large": "ValidationException",
    "timeout_error": "ModelTimeoutException",
}

# Members of `message_start` that say nothing which a caller lacks.
_ENVELOPE = frozenset({"id", "model", "stop_reason", "stop_sequence", "type"})
_STOPS = {"refusal": "content_filtered"}
_USAGE = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
_TTLS = (("1h", "ephemeral_1h_input_tokens"), ("5m", "ephemeral_5m_input_tokens"))


class AnthropicReader(ChunkReader):
    """Reads one stream."""

    __slots__ = ("_stop",)

    def __init__(self) -> None:
        super().__init__()
        self._stop: _Wire = {}

    def read(self, document: bytes, events: deque[Event]) -> None:
        """See `ChunkReader.read`."""
        try:
            wire = _decode_delta(document)
        except ValueError:  # every other chunk, and what is new or broken
            self._read_any(decode_object(document, "a chunk"), events)
            return
        delta = wire.delta
        if isinstance(delta, _TextDelta):
            events.append(TextDelta(wire.index, delta.text))
        elif isinstance(delta, _ToolDelta):
            self.add_tool_input(wire.index, delta.partial_json, events)
        else:
            events.append(ReasoningDelta(wire.index, delta.thinking))

    def _read_any(self, wire: _Wire, events: deque[Event]) -> None:
        self.take_guardrail(wire)
        kind = wire.get("type")
        handle = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handle is None:
            events.append(UnknownEvent(str(kind or "chunk"), wire))
            return
        del wire["type"]
        handle(self, wire, events)
        if rest := present(wire):
            events.append(UnknownEvent(str(kind), rest))

    # Each handler takes what it knows out of `wire`; what stays behind is passed on as unknown.

    def _message_start(self, wire: _Wire, events: deque[Event]) -> None:
        message = members(wire, "message")
        self._count(message)
        events.append(MessageStart(pop(message, "role", str)))
        keep(wire, "message", {key: value for key, value in message.items() if key not in _ENVELOPE and value != []})

    def _block_start(self, wire: _Wire, events: deque[Event]) -> None:
        index, block = pop(wire, "index", int), members(wire, "content_block")
        rest = block
        match block:
            case {"type": "text", "text": str(text), **rest}:
                if text:
                    events.append(TextDelta(index, text))
                for citation in pop_if(rest, "citations", list) or ():
                    events.append(CitationDelta(index, read_citation(citation)))
            case {"type": "thinking", "thinking": str(text), **rest}:
                if text:
                    events.append(ReasoningDelta(index, text))
                if signature := pop_if(rest, "signature", str):
                    events.append(ReasoningDelta(index, signature=signature))
            case {"type": "redacted_thinking", "data": str(data), **rest}:
                events.append(ReasoningDelta(index, redacted=data.encode()))
            case {"type": "tool_use" | "server_tool_use" as kind, "id": str(id), "name": str(name), **rest}:
                self.start_tool(ToolCallStart(index, id, name, kind == "server_tool_use"), events)
                if (whole := rest.pop("input", None)) not in (None, {}):  # where the model has it already
                    self.add_tool_input(index, msgspec.json.encode(whole).decode(), events)
            case {"type": str(kind), "tool_use_id": str(id), "content": content, **rest}:
                events.append(ToolResultStart(index, id, kind))
                events.append(ToolResultDelta(index, [{"json": content}]))
        if rest:
            wire.update(index=index, content_block=rest)

    def _block_delta(self, wire: _Wire, events: deque[Event]) -> None:
        index, delta = pop(wire, "index", int), members(wire, "delta")
        kind = pop(delta, "type", str)
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
            case _:
                delta["type"] = kind
        if delta:
            wire.update(index=index, delta=delta)

    def _block_stop(self, wire: _Wire, events: deque[Event]) -> None:
        index = pop(wire, "index", int)
        self.stop_tool(index, events)
        events.append(BlockStop(index))

    def _message_delta(self, wire: _Wire, _events: deque[Event]) -> None:
        self._stop.update(present(pop_if(wire, "delta", dict) or {}))
        self._count(wire)

    def _message_stop(self, wire: _Wire, events: deque[Event]) -> None:
        self.stop_tools(events)
        self.metadata = self.metadata.merged(metrics_of(wire) or Metadata())
        events.append(read_stop(self._stop, blocked=self.blocked))
        events.append(close_metadata(self.metadata))
        self.ended = self.complete = True

    def _ping(self, _wire: _Wire, _events: deque[Event]) -> None:
        """Says only that the connection lives."""

    def _error(self, wire: _Wire, _events: deque[Event]) -> None:
        error = wire.get("error")
        if not isinstance(error, dict):
            error = {"message": error}
        kind = str(error.get("type") or "")
        raise service_error(_ERRORS.get(kind, kind), str(error.get("message") or ""), mid_stream=True, extra=error)

    def _count(self, wire: _Wire) -> None:
        if usage := take(wire, "usage", dict):
            self.metadata = self.metadata.merged(Metadata(usage=read_usage(usage)))


_HANDLERS: dict[str, Callable[[AnthropicReader, _Wire, deque[Event]], None]] = {
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
    """The stop of a `message_delta` or of a whole answer, in Converse's words, its other members beside it."""
    fields = present(wire)
    stop = stop_of("stop_reason", pop_if(fields, "stop_reason", str), _STOPS, blocked=blocked)
    return msgspec.structs.replace(stop, additional_fields=fields or None)


def read_usage(wire: _Wire) -> Usage:
    """Claude's counts. Nulls are unknowns."""
    extra = present(wire)
    counts = {name: take(extra, key, int) for key, name in _USAGE.items()}
    details = [CacheDetail(ttl, count) for ttl, key in _TTLS if (count := take_in(extra, "cache_creation", key, int))]
    return Usage(**counts, cache_details=tuple(details), extra=extra)
