"""ConverseStream frames into events.

The frame that comes hundreds of times, a text or tool-input delta, is decoded straight into a struct that knows exactly
its members. Whatever does not fit that struct takes the generic way, where every known member becomes its event and
every unknown one an `UnknownEvent`: nothing is lost, and nobody pays for it on each delta.

Text, reasoning and citation blocks have no start event; blocks are keyed by `contentBlockIndex`. `metadata` follows
`messageStop`. The top-level `p` is padding against traffic analysis and is dropped.
Source: ConverseStreamOutput in the Bedrock Runtime service model, and recorded traffic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ...errors import InvalidFrame, service_error
from ...events import (
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
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResultDelta,
    ToolResultStart,
    UnknownEvent,
    Usage,
)
from ...eventstream import Frame
from ...tool_input import ToolInputs
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
_decode_any = msgspec.json.Decoder().decode


class ConverseReader:
    """Reads one stream."""

    __slots__ = ("_tools", "broken_tool", "ended", "settled")

    def __init__(self) -> None:
        self._tools = ToolInputs()
        self.ended = False
        self.settled = False
        self.broken_tool: ToolCallEnd | None = None

    def feed(self, frames: Iterable[Frame], events: deque[Event]) -> None:
        """See `dialects.Reader`."""
        for frame in frames:
            headers = frame.headers
            kind = headers.get(":event-type")
            if kind == "contentBlockDelta" and headers.get(":message-type") == "event":
                try:
                    wire = _decode_delta(frame.payload)
                except msgspec.DecodeError:  # rare, new or broken: the generic way tells which
                    pass
                else:
                    if (text := wire.delta.text) is not None:
                        events.append(TextDelta(wire.index, text))
                        continue
                    if wire.delta.tool is not None:
                        self._tool_delta(wire.index, wire.delta.tool.input, events)
                        continue
            self._feed_any(frame, kind, events)

    def _feed_any(self, frame: Frame, kind: object, events: deque[Event]) -> None:
        headers, payload = frame.headers, frame.payload
        if headers.get(":message-type", "event") != "event" or not isinstance(kind, str):
            raise _failure(frame)
        wire = _object(payload, kind)
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
        events.append(MessageStart(_pop(wire, "role", str)))

    def _block_start(self, wire: _Wire, events: deque[Event]) -> None:
        index, start = _pop(wire, "contentBlockIndex", int), _pop(wire, "start", dict)
        if "toolUse" in start:
            tool = _pop(start, "toolUse", dict)
            server = tool.get("type") == "server_tool_use"
            event = ToolCallStart(index, _pop(tool, "toolUseId", str), _pop(tool, "name", str), server)
            self._tools.start(event)
            events.append(event)
            if tool.get("type") in ("tool_use", "server_tool_use"):
                del tool["type"]
            if tool:
                start["toolUse"] = tool
        if "toolResult" in start:
            result = _pop(start, "toolResult", dict)
            events.append(
                ToolResultStart(index, _get(result, "toolUseId", str), result.get("type"), result.get("status"))
            )
        if "image" in start:
            events.append(ImageStart(index, _get(start.pop("image"), "format", str)))
        if start:
            wire.update(contentBlockIndex=index, start=start)

    def _block_delta(self, wire: _Wire, events: deque[Event]) -> None:
        index, delta = _pop(wire, "contentBlockIndex", int), _pop(wire, "delta", dict)
        if "text" in delta:
            events.append(TextDelta(index, _pop(delta, "text", str)))
        if "toolUse" in delta:
            tool = _pop(delta, "toolUse", dict)
            self._tool_delta(index, _pop(tool, "input", str), events)
            if tool:
                delta["toolUse"] = tool
        if "reasoningContent" in delta:
            reasoning = msgspec.convert(delta.pop("reasoningContent"), _ReasoningDelta)
            events.append(ReasoningDelta(index, reasoning.text, reasoning.signature, reasoning.redacted))
        if "toolResult" in delta:
            events.append(ToolResultDelta(index, _pop(delta, "toolResult", list)))
        if "citation" in delta:
            events.append(CitationDelta(index, read_citation(delta.pop("citation"))))
        if "image" in delta:
            events.append(_image_delta(index, _pop(delta, "image", dict)))
        if delta:
            wire.update(contentBlockIndex=index, delta=delta)

    def _block_stop(self, wire: _Wire, events: deque[Event]) -> None:
        index = _pop(wire, "contentBlockIndex", int)
        end = self._tools.stop(index)
        if end is not None:
            self._tool_end(end, events)
        events.append(BlockStop(index))

    def _message_stop(self, wire: _Wire, events: deque[Event]) -> None:
        stop = read_stop(wire)
        for end in self._tools.stop_all():
            self._tool_end(end, events)
        events.append(stop)
        self.ended = True

    def _metadata(self, wire: _Wire, events: deque[Event]) -> None:
        events.append(read_metadata(wire))
        wire.clear()
        self.settled = self.ended

    def _tool_delta(self, index: int, fragment: str, events: deque[Event]) -> None:
        if not self._tools.add(index, fragment):
            raise InvalidFrame(f"tool input came for block {index}, which no tool call opened")
        events.append(ToolCallDelta(index, fragment))

    def _tool_end(self, end: ToolCallEnd, events: deque[Event]) -> None:
        if end.input is None and not end.server and self.broken_tool is None:
            self.broken_tool = end
        events.append(end)


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
    reason = _pop(wire, "stopReason", str)
    return MessageStop(reason, additional_fields=wire.pop("additionalModelResponseFields", None))


def read_metadata(wire: _Wire) -> Metadata:
    """A `metadata` event, or what a whole answer says about itself."""
    extra = dict(wire)
    usage, metrics = extra.pop("usage", None), extra.pop("metrics", None)
    performance, tier = extra.pop("performanceConfig", None), extra.pop("serviceTier", None)
    return Metadata(
        usage=_usage(usage) if isinstance(usage, dict) else None,
        latency_ms=metrics.get("latencyMs") if isinstance(metrics, dict) else None,
        trace=extra.pop("trace", None),
        performance=performance.get("latency") if isinstance(performance, dict) else None,
        service_tier=tier.get("type") if isinstance(tier, dict) else None,
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
    counts = {name: wire[key] for key, name in _USAGE.items() if isinstance(wire.get(key), int)}
    details = msgspec.convert(
        [{"ttl": d["ttl"], "input_tokens": d["inputTokens"]} for d in wire.get("cacheDetails") or ()],
        tuple[CacheDetail, ...],
    )
    extra = {key: value for key, value in wire.items() if key not in _USAGE and key != "cacheDetails"}
    return Usage(**counts, cache_details=details, extra=extra)


def _image_delta(index: int, image: _Wire) -> ImageDelta:
    error = image.get("error")
    source = image.get("source") or {}
    return ImageDelta(
        index,
        data=msgspec.convert(source["bytes"], bytes) if "bytes" in source else None,
        s3_location=source.get("s3Location"),
        error=None if error is None else str(error.get("message", error)),
    )


def _object(payload: bytes, kind: str) -> _Wire:
    try:
        wire = _decode_any(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidFrame(f"the payload of a {kind} event is not JSON: {error}") from None
    if not isinstance(wire, dict):
        raise InvalidFrame(f"the payload of a {kind} event is a {type(wire).__name__}, not an object")
    return wire


def _get(wire: _Wire, key: str, kind: type) -> Any:
    value = wire[key]
    if not isinstance(value, kind):
        raise TypeError(f"{key} is a {type(value).__name__}")
    return value


def _pop(wire: _Wire, key: str, kind: type) -> Any:
    value = _get(wire, key, kind)
    del wire[key]
    return value


def _failure(frame: Frame) -> Exception:
    """An exception or error frame as the exception that it stands for."""
    headers = frame.headers
    try:
        body = msgspec.json.decode(frame.payload) if frame.payload else {}
    except (msgspec.DecodeError, RecursionError):
        body = {"message": frame.payload[:200].decode("utf-8", "replace")}
    if not isinstance(body, dict):
        body = {"message": str(body)[:200]}
    code = headers.get(":exception-type") or headers.get(":error-code")
    message = headers.get(":error-message") or body.get("message") or body.get("Message") or ""
    if code is None and headers.get(":message-type") not in ("exception", "error"):
        return InvalidFrame(f"a frame names no event: its headers are {dict(headers)!r}")
    return service_error(str(code or ""), str(message), mid_stream=True, extra=body)
