"""ConverseStream frames into events.

The frame that comes hundreds of times, a delta of text, tool input or reasoning, is decoded straight into a struct that
knows exactly its members. Whatever does not fit that struct takes the generic way, where every known member becomes its
event and every unknown one an `UnknownEvent`: nothing is lost, and nobody pays for it on each delta.

Text, reasoning and citation blocks have no start event; blocks are keyed by `contentBlockIndex`. `metadata` follows
`messageStop`. The top-level `p` is padding against traffic analysis and is dropped.
Source: ConverseStreamOutput in the Bedrock Runtime service model, and recorded traffic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ...errors import InvalidFrame
from ...eventstream import Frame, HeaderValue
from ...types.events import (
    BlockStop,
    CacheDetail,
    CitationDelta,
    Event,
    ImageDelta,
    ImageStart,
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
from ..payloads import decode_object, failure, keep, members, pop, pop_if, present, take, take_in
from ..tool_input import ToolInputs
from .blocks import read_citation

__all__ = ("ConverseReader", "read_metadata", "read_stop")

_Wire = dict[str, Any]


class _ToolUseDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    input: str


class _ReasoningDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    text: str | None = None
    signature: str | None = None
    redacted: bytes | None = msgspec.field(default=None, name="redactedContent")


class _Delta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    text: str | None = None
    tool: _ToolUseDelta | None = msgspec.field(default=None, name="toolUse")
    reasoning: _ReasoningDelta | None = msgspec.field(default=None, name="reasoningContent")


class _BlockDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    index: int = msgspec.field(name="contentBlockIndex")
    delta: _Delta
    p: str = ""


_decode_delta = msgspec.json.Decoder(_BlockDelta).decode


class ConverseReader(ToolInputs):
    """Reads one stream."""

    __slots__ = ("_delta_headers", "complete", "ended")

    has_end_marker = True

    def __init__(self) -> None:
        super().__init__()
        self._delta_headers: Mapping[str, HeaderValue] | None = None
        self.ended: bool = False
        self.complete: bool = False

    def feed(self, frames: Iterable[Frame], events: deque[Event]) -> None:
        """See `dialects.Reader`."""
        for frame in frames:
            headers = frame.headers
            if headers is self._delta_headers or self._announces_delta(headers):
                try:
                    wire = _decode_delta(frame.payload)
                except ValueError:  # rare, new or broken: the generic way tells which
                    pass
                else:
                    delta = wire.delta
                    if delta.text is not None:
                        events.append(TextDelta(wire.index, delta.text))
                    if delta.tool is not None:
                        self.add_tool_input(wire.index, delta.tool.input, events)
                    if delta.reasoning is not None:
                        _reasoning_delta(wire.index, delta.reasoning, events)
                    continue
            self._feed_any(frame, events)

    def _announces_delta(self, headers: Mapping[str, HeaderValue]) -> bool:
        """One look tells the next hundred: the decoder gives the same object for the same header block."""
        if headers.get(":event-type") != "contentBlockDelta" or headers.get(":message-type") != "event":
            return False
        self._delta_headers = headers
        return True

    def _feed_any(self, frame: Frame, events: deque[Event]) -> None:
        headers, payload = frame.headers, frame.payload
        kind = headers.get(":event-type")
        if headers.get(":message-type", "event") != "event" or not isinstance(kind, str):
            raise failure(frame)
        wire = decode_object(payload, f"the payload of a {kind} event")
        wire.pop("p", None)
        handle = _HANDLERS.get(kind)
        if handle is None:
            events.append(UnknownEvent(kind, wire))
            return
        try:
            handle(self, wire, events)
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            raise InvalidFrame(f"a {kind} event is not as the service describes it: {error!r}") from None
        if wire:
            events.append(UnknownEvent(kind, wire))

    # Each handler takes what it knows out of `wire`; what stays behind is passed on as unknown.

    def _message_start(self, wire: _Wire, events: deque[Event]) -> None:
        events.append(MessageStart(pop(wire, "role", str)))

    def _block_start(self, wire: _Wire, events: deque[Event]) -> None:
        index, start = pop(wire, "contentBlockIndex", int), members(wire, "start")
        if "toolUse" in start:
            tool = members(start, "toolUse")
            kind = tool.get("type")
            call = ToolCallStart(index, pop(tool, "toolUseId", str), pop(tool, "name", str), kind == "server_tool_use")
            self.start_tool(call, events)
            if kind in ("tool_use", "server_tool_use"):
                del tool["type"]
            keep(start, "toolUse", tool)
        if "toolResult" in start:
            result = members(start, "toolResult")
            kind, status = pop_if(result, "type", str), pop_if(result, "status", str)
            events.append(ToolResultStart(index, pop(result, "toolUseId", str), kind, status))
            keep(start, "toolResult", result)
        if "image" in start:
            image = members(start, "image")
            events.append(ImageStart(index, pop(image, "format", str)))
            keep(start, "image", image)
        if start:
            wire.update(contentBlockIndex=index, start=start)

    def _block_delta(self, wire: _Wire, events: deque[Event]) -> None:
        index, delta = pop(wire, "contentBlockIndex", int), members(wire, "delta")
        if "text" in delta:
            events.append(TextDelta(index, pop(delta, "text", str)))
        if "toolUse" in delta:
            tool = members(delta, "toolUse")
            self.add_tool_input(index, pop(tool, "input", str), events)
            keep(delta, "toolUse", tool)
        if "reasoningContent" in delta:
            reasoning = members(delta, "reasoningContent")
            known = {key: reasoning.pop(key) for key in _ReasoningDelta.__struct_encode_fields__ if key in reasoning}
            _reasoning_delta(index, msgspec.convert(known, _ReasoningDelta), events)
            keep(delta, "reasoningContent", reasoning)
        if "toolResult" in delta:
            events.append(ToolResultDelta(index, pop(delta, "toolResult", list)))
        if "citation" in delta:
            events.append(CitationDelta(index, read_citation(delta.pop("citation"))))
        if "image" in delta:
            image = members(delta, "image")
            events.append(_image_delta(index, image))
            keep(delta, "image", image)
        if delta:
            wire.update(contentBlockIndex=index, delta=delta)

    def _block_stop(self, wire: _Wire, events: deque[Event]) -> None:
        index = pop(wire, "contentBlockIndex", int)
        self.stop_tool(index, events)
        events.append(BlockStop(index))

    def _message_stop(self, wire: _Wire, events: deque[Event]) -> None:
        stop = read_stop(wire)
        self.stop_tools(events)
        events.append(stop)
        self.ended = True

    def _metadata(self, wire: _Wire, events: deque[Event]) -> None:
        events.append(read_metadata(wire))
        wire.clear()
        self.complete = self.ended


_HANDLERS: dict[str, Callable[[ConverseReader, _Wire, deque[Event]], None]] = {
    "messageStart": ConverseReader._message_start,
    "contentBlockStart": ConverseReader._block_start,
    "contentBlockDelta": ConverseReader._block_delta,
    "contentBlockStop": ConverseReader._block_stop,
    "messageStop": ConverseReader._message_stop,
    "metadata": ConverseReader._metadata,
}


def read_stop(wire: _Wire) -> MessageStop:
    """Take stop reason and additional fields out of a `messageStop` event or a whole answer."""
    reason = pop(wire, "stopReason", str)
    return MessageStop(reason, additional_fields=wire.pop("additionalModelResponseFields", None))


def read_metadata(wire: _Wire) -> Metadata:
    """A `metadata` event, or what a whole answer says about itself."""
    extra = present(wire)
    usage = take(extra, "usage", dict)
    return Metadata(
        usage=None if usage is None else _usage(present(usage)),
        latency_ms=take_in(extra, "metrics", "latencyMs", int),
        trace=take(extra, "trace", dict),
        performance=take_in(extra, "performanceConfig", "latency", str),
        service_tier=take_in(extra, "serviceTier", "type", str),
        extra=extra,
    )


_USAGE = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "totalTokens": "total_tokens",
    "cacheReadInputTokens": "cache_read_tokens",
    "cacheWriteInputTokens": "cache_write_tokens",
}


def _usage(wire: _Wire) -> Usage:
    counts = {name: take(wire, key, int) for key, name in _USAGE.items()}
    details = wire.get("cacheDetails")
    if isinstance(details, list) and all(map(_is_cache_detail, details)):
        details = [CacheDetail(detail["ttl"], detail["inputTokens"]) for detail in wire.pop("cacheDetails")]
    else:
        details = ()
    return Usage(**counts, cache_details=tuple(details), extra=wire)


def _is_cache_detail(wire: Any) -> bool:
    match wire:
        case {"ttl": str(), "inputTokens": int(), **rest}:
            return not rest
    return False


def _reasoning_delta(index: int, delta: _ReasoningDelta, events: deque[Event]) -> None:
    if delta.text is not None or delta.signature is not None or delta.redacted is not None:
        events.append(ReasoningDelta(index, delta.text, delta.signature, delta.redacted))


def _image_delta(index: int, image: _Wire) -> ImageDelta:
    source, error = pop_if(image, "source", dict) or {}, pop_if(image, "error", dict)
    data = pop_if(source, "bytes", str)
    event = ImageDelta(
        index,
        data=None if data is None else msgspec.convert(data, bytes),
        s3_location=pop_if(source, "s3Location", dict),
        error=None if error is None else pop_if(error, "message", str) or "",
    )
    keep(image, "source", source)
    keep(image, "error", error or {})
    return event
