"""Reads ConverseStream.

The most frequent frame, a delta of text, tool input or reasoning, is decoded directly to a struct that has exactly its
members. Any other frame is parsed generically: each known member becomes its event, unknown members an `UnknownEvent`.

Text, reasoning and citation blocks have no start event, so blocks are keyed by `contentBlockIndex`. `metadata` follows
`messageStop`. The top-level `p` is padding against traffic analysis and is dropped.
Source: ConverseStreamOutput in the Bedrock Runtime service model, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableSequence
from typing import Any

import msgspec

from ...errors import InvalidFrame
from ...eventstream import Frame
from ...types.events import (
    BlockStop,
    CacheDetail,
    CitationDelta,
    Event,
    ImageDelta,
    ImageStart,
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
from ..base import BaseReader
from ..payloads import (
    decode_object,
    frame_error,
    pop,
    pop_object,
    pop_optional,
    put_back,
    take,
    take_nested,
    unknown_event,
    without_nulls,
)
from .blocks import read_citation

__all__ = ("ConverseReader", "read_metadata", "read_stop")

_Wire = dict[str, Any]


class _ToolUseDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    input: str


class _ReasoningDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    text: str | None = None
    signature: str | None = None
    redacted: bytes | None = msgspec.field(default=None, name="redactedContent")  # base64, decoded once by msgspec


class _Delta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    text: str | None = None
    tool: _ToolUseDelta | None = msgspec.field(default=None, name="toolUse")
    reasoning: _ReasoningDelta | None = msgspec.field(default=None, name="reasoningContent")


class _BlockDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    index: int = msgspec.field(name="contentBlockIndex")
    delta: _Delta
    p: str = ""  # padding of random length, which hides token lengths from traffic analysis


_decode_delta = msgspec.json.Decoder(_BlockDelta).decode


class ConverseReader(BaseReader):
    """Reader of one ConverseStream."""

    __slots__ = ()

    frequent_event = "contentBlockDelta"

    def feed(self, frames: Iterable[Frame], events: MutableSequence[Event]) -> None:
        """See `dialects.Reader`."""
        for frame in frames:
            headers = frame.headers
            if (headers is self._frequent_headers or self._is_frequent(headers)) and not self.ended:
                try:
                    wire = _decode_delta(frame.payload)
                except ValueError:  # a rare delta, an unknown member, or malformed: parsed generically
                    pass
                else:
                    delta = wire.delta
                    # The first delta opens a block of text or reasoning. A delta may have several members.
                    if delta.text is not None:
                        events.append(TextDelta(wire.index, delta.text))
                    if delta.tool is not None:
                        self.add_tool_input(wire.index, delta.tool.input, events)
                    if delta.reasoning is not None:
                        _reasoning_delta(wire.index, delta.reasoning, events)
                    continue
            self._feed_any(frame, events)

    def _feed_any(self, frame: Frame, events: MutableSequence[Event]) -> None:
        headers, payload = frame.headers, frame.payload
        kind = headers.get(":event-type")
        if headers.get(":message-type", "event") != "event" or not isinstance(kind, str):
            raise frame_error(frame)
        handle = _HANDLERS.get(kind)
        if handle is None:
            events.append(unknown_event(kind, payload))
            return
        if kind != "metadata":  # it follows the end, also in parts
            self.check_open(f"a {kind} event")
        wire = decode_object(payload, f"the payload of a {kind} event")
        wire.pop("p", None)  # padding: any event may have it
        try:
            handle(self, wire, events)
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            raise InvalidFrame(f"a {kind} event does not match the API's format: {error!r}") from None
        if wire:
            events.append(UnknownEvent(kind, wire))

    # Each handler removes the members that it knows from `wire`. The rest is passed on as unknown.

    def _message_start(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.start_message(pop(wire, "role", str), events)

    def _block_start(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        # Only tool calls, tool results and images have a start event.
        index, start = pop(wire, "contentBlockIndex", int), pop_object(wire, "start")
        if "toolUse" in start:
            tool = pop_object(start, "toolUse")
            kind = tool.get("type")
            call = ToolCallStart(index, pop(tool, "toolUseId", str), pop(tool, "name", str), kind == "server_tool_use")
            self.start_tool(call, events)
            # The service model lists only `server_tool_use`, but Claude and Nova also send `tool_use`.
            if kind in ("tool_use", "server_tool_use"):
                del tool["type"]
            put_back(start, "toolUse", tool)
        if "toolResult" in start:
            result = pop_object(start, "toolResult")
            kind, status = pop_optional(result, "type", str), pop_optional(result, "status", str)
            events.append(ToolResultStart(index, pop(result, "toolUseId", str), kind, status))
            put_back(start, "toolResult", result)
        if "image" in start:
            image = pop_object(start, "image")
            events.append(ImageStart(index, pop(image, "format", str)))
            put_back(start, "image", image)
        if start:
            wire.update(contentBlockIndex=index, start=start)

    def _block_delta(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        index, delta = pop(wire, "contentBlockIndex", int), pop_object(wire, "delta")
        # A delta is a union, but several members are accepted. A member of another type is an error, not unknown.
        if "text" in delta:
            events.append(TextDelta(index, pop(delta, "text", str)))
        if "toolUse" in delta:
            tool = pop_object(delta, "toolUse")
            self.add_tool_input(index, pop(tool, "input", str), events)
            put_back(delta, "toolUse", tool)
        if "reasoningContent" in delta:
            reasoning = pop_object(delta, "reasoningContent")
            known = {key: reasoning.pop(key) for key in _ReasoningDelta.__struct_encode_fields__ if key in reasoning}
            _reasoning_delta(index, msgspec.convert(known, _ReasoningDelta), events)
            put_back(delta, "reasoningContent", reasoning)
        if "toolResult" in delta:
            events.append(ToolResultDelta(index, pop(delta, "toolResult", list)))
        if "citation" in delta:  # belongs to the text of the same block
            events.append(CitationDelta(index, read_citation(delta.pop("citation"))))
        if "image" in delta:
            image = pop_object(delta, "image")
            events.append(_image_delta(index, image))
            put_back(delta, "image", image)
        if delta:
            wire.update(contentBlockIndex=index, delta=delta)

    def _block_stop(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        index = pop(wire, "contentBlockIndex", int)
        self.stop_tool(index, events)
        events.append(BlockStop(index))

    def _message_stop(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        stop = read_stop(wire)
        self.stop_tools(events)  # a message that reaches its limit may leave calls open
        events.append(stop)
        self.ended = True

    def _metadata(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        events.append(read_metadata(wire))
        wire.clear()  # unknown members are in `Metadata.extra`
        self.complete: bool = self.ended  # `metadata` is the last event, after messageStop


_HANDLERS: dict[str, Callable[[ConverseReader, _Wire, MutableSequence[Event]], None]] = {
    "messageStart": ConverseReader._message_start,
    "contentBlockStart": ConverseReader._block_start,
    "contentBlockDelta": ConverseReader._block_delta,
    "contentBlockStop": ConverseReader._block_stop,
    "messageStop": ConverseReader._message_stop,
    "metadata": ConverseReader._metadata,
}


def read_stop(wire: _Wire) -> MessageStop:
    """Remove the stop reason and the additional fields from a `messageStop` event or a response and return them."""
    reason = pop(wire, "stopReason", str)  # not validated: the service sends reasons that its model does not list
    return MessageStop(reason, additional_fields=wire.pop("additionalModelResponseFields", None))


def read_metadata(wire: _Wire) -> Metadata:
    """Return the metadata of a `metadata` event or a response. Unknown members become `extra`."""
    extra = without_nulls(wire)
    usage = take(extra, "usage", dict)
    return Metadata(
        usage=None if usage is None else _usage(without_nulls(usage)),
        latency_ms=take_nested(extra, "metrics", "latencyMs", int),
        trace=take(extra, "trace", dict),
        performance=take_nested(extra, "performanceConfig", "latency", str),
        service_tier=take_nested(extra, "serviceTier", "type", str),
        extra=extra,
    )


# The input count excludes cache reads and writes.
_USAGE = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "totalTokens": "total_tokens",
    "cacheReadInputTokens": "cache_read_tokens",
    "cacheWriteInputTokens": "cache_write_tokens",
}


def _usage(wire: _Wire) -> Usage:
    counts = {name: take(wire, key, int) for key, name in _USAGE.items()}
    # Some models send counts that the service model does not list: they remain in `extra`.
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


def _reasoning_delta(index: int, delta: _ReasoningDelta, events: MutableSequence[Event]) -> None:
    if delta.text is not None or delta.signature is not None or delta.redacted is not None:
        events.append(ReasoningDelta(index, delta.text, delta.signature, delta.redacted))


def _image_delta(index: int, image: _Wire) -> ImageDelta:
    source, error = pop_optional(image, "source", dict) or {}, pop_optional(image, "error", dict)
    data = pop_optional(source, "bytes", str)
    event = ImageDelta(
        index,
        data=None if data is None else msgspec.convert(data, bytes),
        s3_location=pop_optional(source, "s3Location", dict),
        error=None if error is None else pop_optional(error, "message", str) or "",
    )
    put_back(image, "source", source)
    put_back(image, "error", error or {})
    return event
