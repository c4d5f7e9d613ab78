"""The `Response`, and its assembly from events.

Blocks are collected by index, because they may interleave and text blocks have no start event. Deltas are joined while
they are received, so a long response needs memory for its text and not for one object per delta. Blank text blocks are
left out of the message, because the service rejects them in the next request; events and `Response.text` contain them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic

import msgspec

from ..errors import ConfigurationError, ToolInputError
from . import Value
from .events import (
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    ImageDelta,
    ImageStart,
    MessageStop,
    Metadata,
    ReasoningDelta,
    StopReason,
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

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Parsed = TypeVar("Parsed", default=Any, covariant=True)
    Schema = TypeVar("Schema", default=Any)
else:
    from typing import TypeVar

    # The defaults need Python 3.13, and only type checkers use them.
    Parsed = TypeVar("Parsed", covariant=True)
    Schema = TypeVar("Schema")

__all__ = ("Assembly", "Parsed", "Response", "Schema", "Timing", "build_response", "tool_input_error", "whole_response")


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """When the parts of a response were received, in seconds from the start of the call's first attempt.

    The waits between attempts are part of it, and the time that the caller takes between two reads. The response of a
    tool run has the times of its last round.
    """

    first_event: float | None = None
    """The first event, which is usually the message's start. None for a response that was not streamed."""
    first_content: float | None = None
    """The first event after the message's start: text, reasoning, a tool call. None if it was not streamed."""
    total: float | None = None
    """The end, complete or not; None while the stream is open."""


class Response(Value, msgspec.Struct, Generic[Parsed], frozen=True, kw_only=True):
    """A response of the model; in the `partial` of an error or a stream, the part received so far.

    For type checkers, `output_schema=City` gives a `Response[City]`; a plain `Response` is a `Response[Any]`.
    """

    message: Message
    """The message, to send back as history in the next turn."""
    text: str = ""
    """The text of all blocks, joined."""
    reasoning: str = ""
    """The readable reasoning of all blocks, joined."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Complete tool calls for the caller to run. Incomplete calls are in `broken_tool_calls`."""
    broken_tool_calls: tuple[ToolCallEnd, ...] = ()
    """Tool calls whose input is truncated or not a JSON object: `raw` is the text received, and `input` stays None."""
    citations: tuple[Citation, ...] = ()
    """Citations of all text blocks, with the `start` and `end` of the citing block in `text`."""
    stop_reason: StopReason | None = None
    """Converse's stop reason, such as `end_turn`; None if the message is not complete."""
    raw_stop_reason: str | None = None
    """The model's own stop reason, if the dialect has other names."""
    usage: Usage | None = None
    """Token counts; None if the service did not report them."""
    cost: float | None = None
    """Cost by the client's price table, in its currency; without a table by genai-prices, in US dollars, if that is
    installed. None if a price or a count is unknown. See `client.pricing`."""
    latency_ms: int | None = None
    """Latency measured by the service, in milliseconds."""
    additional_fields: Any = None
    """The response fields requested with `response_field_paths`."""
    trace: dict[str, Any] | None = None
    """Guardrail and prompt-router traces, as received."""
    performance: str | None = None
    """The latency mode that was used: `standard` or `optimized`."""
    service_tier: str | None = None
    """The service tier that was used."""
    parsed: Parsed | None = None
    """The value that matches `output_schema`; None without a schema, or if the response does not match it."""
    parse_error: str | None = None
    """Why the response does not match `output_schema`; `text` and `message` are unchanged."""
    extra: dict[str, Any] = {}
    """Members of the response that this version does not know, as received."""
    request_id: str | None = None
    """The service's request id."""
    model: str | None = None
    """The model id or ARN as sent."""
    route: str | None = None
    """The API that was used: `converse`, `invoke`, `messages`, `chat` or `responses`."""
    timing: Timing | None = None
    """When the response was received, by this machine's clock; None before anything is sent."""

    def to_history(self) -> tuple[Message, ...]:
        """Return the turns to append to the history, valid before the next user turn wherever the answer was stopped.

        They are `message`, without what the service would refuse in it, and where it calls tools, a user turn with an
        error result for each call, which says that the tool was not run. Empty if nothing that was received can be
        sent back. Of a complete response without tool calls it is `message` alone.
        """
        from .stopped import turns_of

        return turns_of(self.message, whole=self.stop_reason is not None)


class _TextBuffer:
    """A text that grows by fragments, which are joined in batches of 1000."""

    __slots__ = ("_joined", "_recent")

    def __init__(self) -> None:
        self._joined: list[str] = []
        self._recent: list[str] = []

    def add(self, fragment: str) -> None:
        recent = self._recent
        recent.append(fragment)
        if len(recent) >= 1000:
            self._joined.append("".join(recent))
            recent.clear()

    def __bool__(self) -> bool:
        return bool(self._joined or self._recent)

    def __str__(self) -> str:
        return "".join(self._joined) + "".join(self._recent)


class _BlockBuilder:
    """A block under construction. The members that are set determine its kind."""

    __slots__ = (
        "call",
        "citations",
        "fragments",
        "image",
        "image_format",
        "image_location",
        "raw",
        "reasoning",
        "redacted",
        "result",
        "signature",
        "text",
        "tool",
    )

    def __init__(self) -> None:
        self.text = _TextBuffer()
        self.citations: list[Citation] = []
        self.reasoning = _TextBuffer()
        self.signature = _TextBuffer()
        self.redacted: bytearray | None = None
        self.call: ToolCallStart | None = None
        self.fragments = _TextBuffer()
        self.tool: ToolCallEnd | None = None
        self.result: tuple[ToolResultStart | None, list[Any]] | None = None
        self.image_format = ""
        self.image: bytearray | None = None
        self.image_location: dict[str, Any] = {}
        self.raw: dict[str, Any] | None = None

    def block(self) -> Block | None:
        """Return the block, or None if there is nothing to send back in the next turn."""
        if self.raw is not None:  # the other events of this block do not contain all of it
            return Raw(self.raw)
        if self.tool is not None:
            tool, extra = self.tool, self.call.extra if self.call is not None else {}
            return None if tool.input is None else ToolCall(tool.id, tool.name, tool.input, tool.server, extra)
        if self.call is not None:  # a call without an end is truncated: see `broken`
            return None
        if self.result is not None:
            start, content = self.result
            return None if start is None else _tool_result(start, content)
        if self.reasoning or self.signature or self.redacted is not None:
            signature = str(self.signature) if self.signature else None
            return Reasoning(str(self.reasoning), signature, _bytes(self.redacted))
        if self.image is not None or self.image_location:
            return _image(_bytes(self.image), self.image_location, self.image_format)
        text = str(self.text)
        return CitedText((text,), tuple(self.citations)) if self.citations else Text(text)

    def broken(self, index: int) -> ToolCallEnd | None:
        """Return the tool call if its input is truncated or not a JSON object."""
        if self.tool is not None:
            return self.tool if self.tool.input is None else None
        if self.call is None:
            return None
        return ToolCallEnd(index, self.call.id, self.call.name, None, str(self.fragments), self.call.server)


def _bytes(data: bytearray | None) -> bytes | None:
    return None if data is None else bytes(data)


def _added(data: bytearray | None, part: bytes | None) -> bytearray | None:
    """Append a part in place, so that the time for all parts grows with their size."""
    if part is None:
        return data
    if data is None:
        return bytearray(part)
    data += part
    return data


def _tool_result(start: ToolResultStart, content: list[Any]) -> Block:
    # The items are kept in the service's own format, so that they can be sent back unchanged.
    status: Any = start.status
    try:
        items = [Raw(item) if isinstance(item, dict) else Json(item) for item in content]
        return ToolResult(start.id, items, status, start.kind)
    except ConfigurationError:  # a status that this version does not know
        kind = {"type": start.kind} if start.kind else {}
        return Raw({"toolResult": {"toolUseId": start.id, "content": content, "status": status, **kind}})


def _image(data: bytes | None, location: dict[str, Any], format: str) -> Image | None:
    try:
        return Image(data, format, location.get("uri"), location.get("bucketOwner"))
    except ConfigurationError:  # a format that this version does not know; the events contain the image
        return None


class Assembly:
    """Collector of events. `response()` returns the response so far, at any time."""

    __slots__ = ("_blocks", "_extra", "_metadata", "_stop", "_usage_extra")

    def __init__(self) -> None:
        self._blocks: dict[int, _BlockBuilder] = {}
        self._stop: MessageStop | None = None
        self._metadata = Metadata()
        # The unknown members of the metadata and its usage, apart from them: merging them would copy them each time.
        self._extra: dict[str, Any] = {}
        self._usage_extra: dict[str, Any] = {}

    def extend(self, events: Iterable[Event]) -> None:
        """Add the next events."""
        blocks = self._blocks
        for event in events:
            if type(event) is TextDelta:  # nearly all events are text, so they take the short path
                block = blocks.get(event.index)
                if block is None:
                    block = blocks[event.index] = _BlockBuilder()
                block.text.add(event.text)
            else:
                self._add(event)

    def _add(self, event: Event) -> None:
        match event:
            case ReasoningDelta():
                self._add_reasoning(self._block(event.index), event)
            case ToolCallStart():
                self._block(event.index).call = event
            case ToolCallDelta():
                self._block(event.index).fragments.add(event.input_json)
            case ToolCallEnd():
                self._block(event.index).tool = event
            case CitationDelta():
                self._block(event.index).citations.append(event.citation)
            case ToolResultStart():
                self._block(event.index).result = (event, [])
            case ToolResultDelta():
                block = self._block(event.index)
                block.result = block.result or (None, [])
                block.result[1].extend(event.content)
            case ImageStart():
                self._block(event.index).image_format = event.format
            case ImageDelta(data=data, s3_location=location):
                block = self._block(event.index)
                block.image = _added(block.image, data)
                block.image_location = location or block.image_location
            case BlockStop(index, dict(block)):
                self._block(index).raw = block
            case MessageStop():
                self._stop = event
            case Metadata():
                self._add_metadata(event)
            case _:
                pass  # unknown events, and those that add nothing to the message

    def _block(self, index: int) -> _BlockBuilder:
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = _BlockBuilder()
        return block

    def _add_reasoning(self, block: _BlockBuilder, event: ReasoningDelta) -> None:
        if event.text is not None:
            block.reasoning.add(event.text)
        if event.signature is not None:
            block.signature.add(event.signature)
        block.redacted = _added(block.redacted, event.redacted)

    def _add_metadata(self, event: Metadata) -> None:
        usage = event.usage
        if usage is not None and usage.extra:
            self._usage_extra |= usage.extra
            usage = msgspec.structs.replace(usage, extra={})
        self._extra |= event.extra
        self._metadata = self._metadata.merged(msgspec.structs.replace(event, usage=usage, extra={}))

    def _all_metadata(self) -> Metadata:
        usage = self._metadata.usage
        if usage is not None:
            usage = msgspec.structs.replace(usage, extra=dict(self._usage_extra))
        return msgspec.structs.replace(self._metadata, usage=usage, extra=dict(self._extra))

    def response(self, **call: str | None) -> Response:
        """Return the response so far; without `stop_reason` until the message is complete.

        `call` are the keywords `request_id`, `model`, `route` and `family` of `build_response`.
        """
        ordered = sorted(self._blocks.items())
        broken = tuple(end for index, builder in ordered if (end := builder.broken(index)) is not None)
        blocks = [block for _, builder in ordered if (block := builder.block()) is not None]
        return build_response(blocks, self._stop, self._all_metadata(), broken=broken, **call)


def build_response(
    blocks: Iterable[Block],
    stop: MessageStop | None,
    metadata: Metadata,
    *,
    broken: tuple[ToolCallEnd, ...] = (),
    request_id: str | None = None,
    model: str | None = None,
    route: str | None = None,
    family: str | None = None,
) -> Response:
    """Build a `Response` from the content blocks, the end of the message and its metadata.

    `family` is noted on reasoning, which goes back only to the family of models that wrote it.
    """
    blocks = tuple(
        msgspec.structs.replace(block, family=family) if isinstance(block, Reasoning) else block for block in blocks
    )
    texts = [block for block in blocks if isinstance(block, Text | CitedText)]
    # The service rejects blank text in a request, so the message must not contain it.
    message = Message("assistant", [b for b in blocks if not isinstance(b, Text | CitedText) or b.text.strip()])
    return Response(
        message=message,
        text="".join(block.text for block in texts),
        reasoning="".join(block.text for block in blocks if isinstance(block, Reasoning)),
        tool_calls=message.tool_calls,
        broken_tool_calls=broken,
        citations=tuple(_located_citations(texts)),
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


def _located_citations(texts: Iterable[Text | CitedText]) -> Iterator[Citation]:
    """Yield the citations with the position of their block: a citation applies to the text of its whole block."""
    start = 0
    for block in texts:
        end = start + len(block.text)
        if isinstance(block, CitedText):
            for citation in block.citations:
                yield msgspec.structs.replace(citation, start=start, end=end)
        start = end


def whole_response(
    blocks: Iterable[Block | ToolCallEnd], stop: MessageStop | None, metadata: Metadata, **call: str | None
) -> Response:
    """Build the `Response` of a call without streaming. A tool call with invalid input is passed as its `ToolCallEnd`.

    Raises `ToolInputError` for such a call if the caller has to run it, as a stream does at its end.
    """
    blocks = tuple(blocks)
    broken = tuple(block for block in blocks if isinstance(block, ToolCallEnd))
    valid = [block for block in blocks if not isinstance(block, ToolCallEnd)]
    response = build_response(valid, stop, metadata, broken=broken, **call)
    for end in broken:
        if not end.server:
            raise tool_input_error(end, response)
    return response


def tool_input_error(call: ToolCallEnd, response: Response | None) -> ToolInputError:
    """Build the error for a tool call whose input is not a JSON object, to raise after the end of the message."""
    stop_reason, usage = (None, None) if response is None else (response.stop_reason, response.usage)
    error = ToolInputError(call.name, call.id, call.raw, stop_reason, usage)
    error.partial = response
    return error
