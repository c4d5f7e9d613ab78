"""Events in, a `Response` out: what the stream added up to.

Blocks are keyed by their index from start, delta and stop, since blocks may interleave and text blocks have no start.
Parts are compacted as they come, so a long answer costs its text and not one object a delta. Blank text blocks stay out
of the message, since the next turn would be refused for them; the events and `Response.text` keep them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..errors import ConfigurationError, ToolInputError
from .events import (
    Citation,
    CitationDelta,
    Event,
    ImageDelta,
    ImageStart,
    MessageStop,
    Metadata,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResultDelta,
    ToolResultStart,
    Usage,
)
from .media import Image
from .messages import Block, CitedText, Json, Message, Raw, Reasoning, Text, ToolCall, ToolResult

__all__ = ("Assembly", "Response", "build_response", "tool_input_error", "whole_response")


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, whole or (in an error's or a stream's `partial`) as far as it came."""

    message: Message
    """Goes straight back as the next turn's history."""
    text: str = ""
    """All text, joined."""
    reasoning: str = ""
    """All readable reasoning, joined."""
    tool_calls: tuple[ToolCall, ...] = ()
    """The calls that the caller is asked to run. Only complete ones: a call that was cut is in `broken_tool_calls`."""
    broken_tool_calls: tuple[ToolCallEnd, ...] = ()
    """Calls whose input was cut, or is not a JSON object; their `input` is None, `raw` is what came."""
    citations: tuple[Citation, ...] = ()
    stop_reason: str | None = None
    """Why it ended; None while it has not."""
    raw_stop_reason: str | None = None
    usage: Usage | None = None
    """None where the service did not say."""
    cost: float | None = None
    """By the client's price table; None where anything that it needs is unknown."""
    latency_ms: int | None = None
    """The service's own measure, in milliseconds."""
    additional_fields: Any = None
    trace: dict[str, Any] | None = None
    performance: str | None = None
    service_tier: str | None = None
    parsed: Any = None
    """The value that `output_schema` asked for; None where there is none."""
    parse_error: str | None = None
    """Why the answer does not fit `output_schema`; `text` and `message` are as they came."""
    extra: dict[str, Any] = {}
    """Members of the answer that this version does not know, as they came."""
    request_id: str | None = None
    model: str | None = None
    route: str | None = None
    """`converse` or `invoke`."""


class _Pieces:
    """Text in pieces, joined every thousand."""

    __slots__ = ("_joined", "_recent")

    def __init__(self) -> None:
        self._joined: list[str] = []
        self._recent: list[str] = []

    def add(self, piece: str) -> None:
        recent = self._recent
        recent.append(piece)
        if len(recent) >= 1000:
            self._joined.append("".join(recent))
            recent.clear()

    def __bool__(self) -> bool:
        return bool(self._joined or self._recent)

    def __str__(self) -> str:
        return "".join(self._joined) + "".join(self._recent)


class _Part:
    """A block while it grows. Which members are set says what kind it is."""

    __slots__ = (
        "call",
        "citations",
        "fragments",
        "image",
        "image_format",
        "image_place",
        "reasoning",
        "redacted",
        "result",
        "signature",
        "text",
        "tool",
    )

    def __init__(self) -> None:
        self.text = _Pieces()
        self.citations: list[Citation] = []
        self.reasoning = _Pieces()
        self.signature = _Pieces()
        self.redacted: bytes | None = None
        self.call: ToolCallStart | None = None
        self.fragments = _Pieces()
        self.tool: ToolCallEnd | None = None
        self.result: tuple[ToolResultStart | None, list[Any]] | None = None
        self.image_format = ""
        self.image: bytes | None = None
        self.image_place: dict[str, Any] = {}

    def block(self) -> Block | None:
        """The block, or None where there is nothing that could go back."""
        if self.tool is not None:
            return (
                None
                if self.tool.input is None
                else ToolCall(self.tool.id, self.tool.name, self.tool.input, self.tool.server)
            )
        if self.call is not None:
            return None
        if self.result is not None:
            start, content = self.result
            return None if start is None else _tool_result(start, content)
        if self.reasoning or self.signature or self.redacted is not None:
            return Reasoning(str(self.reasoning), str(self.signature) if self.signature else None, self.redacted)
        if self.image is not None or self.image_place:
            return _image(self.image, self.image_place, self.image_format)
        text = str(self.text)
        return CitedText((text,), tuple(self.citations)) if self.citations else Text(text)

    def broken(self, index: int) -> ToolCallEnd | None:
        """The call, where its input was cut or is not a JSON object."""
        if self.tool is not None:
            return self.tool if self.tool.input is None else None
        if self.call is None:
            return None
        return ToolCallEnd(index, self.call.id, self.call.name, None, str(self.fragments), self.call.server)


def _tool_result(start: ToolResultStart, content: list[Any]) -> Block:
    """Its items in the service's own shape, as they came."""
    try:
        items = [Raw(item) if isinstance(item, dict) else Json(item) for item in content]
        return ToolResult(start.id, items, start.status, start.kind)
    except ConfigurationError:  # a status of tomorrow
        kind = {"type": start.kind} if start.kind else {}
        return Raw({"toolResult": {"toolUseId": start.id, "content": content, "status": start.status, **kind}})


def _image(data: bytes | None, place: dict[str, Any], format: str) -> Image | None:
    try:
        return Image(data, format, place.get("uri"), place.get("bucketOwner"))
    except ConfigurationError:  # a format that this version does not know: the events had it
        return None


class Assembly:
    """Takes events as they come; `response()` is the answer so far."""

    __slots__ = ("_metadata", "_parts", "_stop")

    def __init__(self) -> None:
        self._parts: dict[int, _Part] = {}
        self._stop: MessageStop | None = None
        self._metadata = Metadata()

    def extend(self, events: Iterable[Event]) -> None:
        """Take the next events."""
        parts = self._parts
        for event in events:
            if type(event) is TextDelta:
                part = parts.get(event.index)
                if part is None:
                    part = parts[event.index] = _Part()
                part.text.add(event.text)
            else:
                self._add(event)

    def _add(self, event: Event) -> None:
        match event:
            case ReasoningDelta():
                self._add_reasoning(self._part(event.index), event)
            case ToolCallStart():
                self._part(event.index).call = event
            case ToolCallDelta():
                self._part(event.index).fragments.add(event.input_json)
            case ToolCallEnd():
                self._part(event.index).tool = event
            case CitationDelta():
                self._part(event.index).citations.append(event.citation)
            case ToolResultStart():
                self._part(event.index).result = (event, [])
            case ToolResultDelta():
                part = self._part(event.index)
                part.result = part.result or (None, [])
                part.result[1].extend(event.content)
            case ImageStart():
                self._part(event.index).image_format = event.format
            case ImageDelta(data=data, s3_location=place):
                part = self._part(event.index)
                part.image = part.image if data is None else (part.image or b"") + data
                part.image_place = place or part.image_place
            case MessageStop():
                self._stop = event
            case Metadata():
                self._metadata = self._metadata.merged(event)
            case _:
                pass  # what this version does not know has no place in a message

    def _part(self, index: int) -> _Part:
        part = self._parts.get(index)
        if part is None:
            part = self._parts[index] = _Part()
        return part

    def _add_reasoning(self, part: _Part, event: ReasoningDelta) -> None:
        if event.text is not None:
            part.reasoning.add(event.text)
        if event.signature is not None:
            part.signature.add(event.signature)
        if event.redacted is not None:
            part.redacted = (part.redacted or b"") + event.redacted

    def response(self, **call: str | None) -> Response:
        """The answer so far; `stop_reason` is None while the message has not ended. `call` as in `build_response`."""
        ordered = sorted(self._parts.items())
        broken = tuple(end for index, part in ordered if (end := part.broken(index)) is not None)
        blocks = [block for _, part in ordered if (block := part.block()) is not None]
        return build_response(blocks, self._stop, self._metadata, broken=broken, **call)


def build_response(
    blocks: Iterable[Block],
    stop: MessageStop | None,
    metadata: Metadata,
    *,
    broken: tuple[ToolCallEnd, ...] = (),
    request_id: str | None = None,
    model: str | None = None,
    route: str | None = None,
) -> Response:
    """A `Response` of an answer's blocks, its end, and what the service says about it."""
    blocks = tuple(blocks)
    texts = [block for block in blocks if isinstance(block, Text | CitedText)]
    message = Message("assistant", [b for b in blocks if not isinstance(b, Text | CitedText) or b.text.strip()])
    return Response(
        message=message,
        text="".join(block.text for block in texts),
        reasoning="".join(block.text for block in blocks if isinstance(block, Reasoning)),
        tool_calls=message.tool_calls,
        broken_tool_calls=broken,
        citations=tuple(citation for block in texts if isinstance(block, CitedText) for citation in block.citations),
        stop_reason=None if stop is None else stop.stop_reason,
        raw_stop_reason=None if stop is None else stop.raw_stop_reason,
        additional_fields=None if stop is None else stop.additional_fields,
        usage=metadata.usage,
        latency_ms=metadata.latency_ms,
        trace=metadata.trace,
        performance=metadata.performance,
        service_tier=metadata.service_tier,
        extra=metadata.extra,
        request_id=request_id,
        model=model,
        route=route,
    )


def whole_response(
    blocks: Iterable[Block | ToolCallEnd], stop: MessageStop | None, metadata: Metadata, **call: str | None
) -> Response:
    """A `Response` of an answer that came whole, in which a broken call stands as its `ToolCallEnd`.

    Raises `ToolInputError` for a broken call of the caller's, as a stream does at its end.
    """
    blocks = tuple(blocks)
    broken = tuple(block for block in blocks if isinstance(block, ToolCallEnd))
    sound = [block for block in blocks if not isinstance(block, ToolCallEnd)]
    response = build_response(sound, stop, metadata, broken=broken, **call)
    for end in broken:
        if not end.server:
            raise tool_input_error(end, response)
    return response


def tool_input_error(call: ToolCallEnd, response: Response | None) -> ToolInputError:
    """The error for a call whose input is not a JSON object, once its message has ended."""
    stop_reason, usage = (None, None) if response is None else (response.stop_reason, response.usage)
    error = ToolInputError(call.name, call.id, call.raw, stop_reason, usage)
    error.partial = response
    return error
