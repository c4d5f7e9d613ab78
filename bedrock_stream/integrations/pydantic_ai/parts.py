"""Answers of this library as pydantic-ai's parts: whole ones, and streams event by event."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    FinishReason,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.usage import RequestUsage

from ...client.stream import Stream
from ...errors import BedrockStreamError, ToolInputError
from ...types import events
from ...types import messages as own
from ...types.media import Image
from ...types.response import Response
from ..usage import total_input_tokens
from .errors import model_errors
from .messages import REDACTED, REDACTED_BASE64

__all__ = ("StreamOfParts", "read_response")

# Of the words that Converse has, and that models add.
_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_call",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}


def read_response(response: Response, model: Model[Any]) -> ModelResponse:
    """Return a whole response."""
    parts = [part for block in response.message.content if (part := _part(block, model.system)) is not None]
    # Pydantic-ai tells the model what is wrong with these.
    parts += [ToolCallPart(call.name, call.raw, call.id) for call in response.broken_tool_calls]
    return ModelResponse(
        parts=parts,
        usage=_usage(response.usage),
        model_name=model.model_name,
        provider_name=model.system,
        provider_response_id=response.request_id,
        provider_details=_details(response.stop_reason, response.trace),
        finish_reason=_FINISH.get(response.stop_reason or ""),
        canonical_system=_stamp(model),
    )


def _part(block: own.Block, system: str) -> ModelResponsePart | None:
    match block:
        case own.Text(text=text):
            return TextPart(text)
        case own.CitedText(citations=citations):
            return TextPart(block.text, provider_name=system, provider_details=_citations(citations))
        case own.Reasoning(redacted=bytes(data)):
            signature, part_id = _redacted(data)
            return ThinkingPart(block.text, id=part_id, signature=signature, provider_name=system)
        case own.Reasoning(text=text, signature=signature):
            return ThinkingPart(text, signature=signature, provider_name=system if signature else None)
        case own.ToolCall(server=False):
            return ToolCallPart(block.name, block.input, block.id)
        case Image(data=bytes(data)):
            return FilePart(BinaryContent(data, media_type=f"image/{block.format}"), provider_name=system)
    return None  # what the service ran itself is not for pydantic-ai to run


def _redacted(data: bytes) -> tuple[str, str]:
    """Return redacted reasoning as a signature, with the id of its part."""
    try:
        return data.decode(), REDACTED
    except UnicodeDecodeError:
        return b64encode(data).decode(), REDACTED_BASE64


def _citations(citations: Any) -> dict[str, Any] | None:
    return {"citations": msgspec.to_builtins([*citations])} if citations else None


def _usage(usage: events.Usage | None) -> RequestUsage:
    """Return the counts; pydantic-ai counts cached tokens as input, and marks a response without counts."""
    if usage is None or usage.input_tokens is None:
        return RequestUsage(unmeasured_requests=1)
    details = {"reasoning_tokens": reasoning} if (reasoning := getattr(usage, "reasoning_tokens", None)) else {}
    return RequestUsage(
        input_tokens=total_input_tokens(usage) or 0,
        output_tokens=usage.output_tokens or 0,
        cache_read_tokens=usage.cache_read_tokens or 0,
        cache_write_tokens=usage.cache_write_tokens or 0,
        details=details,
    )


def _details(reason: str | None, trace: Any) -> dict[str, Any]:
    return {"finish_reason": reason, **({} if trace is None else {"trace": trace})}


def _stamp(model: Model[Any]) -> str | None:
    """Return who verifies the signatures, where that is not the provider."""
    return None if model.canonical_system == model.system else model.canonical_system


class StreamOfParts(StreamedResponse):
    """A stream as pydantic-ai reads it. The one who opened it closes it."""

    def __init__(self, parameters: ModelRequestParameters, stream: Stream, model: Model[Any]) -> None:
        super().__init__(parameters)
        self._stream = stream
        self._model = model
        self._timestamp = datetime.now(UTC)
        self._calls: dict[int, str] = {}  # the ids of the open tool calls
        self._citations: dict[int, list[events.Citation]] = {}
        self._images: dict[int, tuple[str, list[bytes]]] = {}
        self._usage = _usage(None)
        self.provider_response_id: str | None = stream.request_id
        self.provider_details: dict[str, Any] | None = None
        self.finish_reason: FinishReason | None = None
        self.canonical_system: str | None = _stamp(model)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        with model_errors(self._model.model_name):
            try:
                async for event in self._stream:
                    for made in self._read(event):
                        yield made
            except ToolInputError:
                pass  # the text of the input has been delivered, and pydantic-ai tells the model what is wrong

    def _read(self, event: events.Event) -> Iterator[ModelResponseStreamEvent]:
        parts, system = self._parts_manager, self._model.system
        match event:
            case events.TextDelta(index=index, text=text):
                if text:
                    yield from parts.handle_text_delta(vendor_part_id=index, content=text)
            case events.ReasoningDelta(index=index, redacted=bytes(data)):
                signature, part_id = _redacted(data)
                yield from parts.handle_thinking_delta(
                    vendor_part_id=index, id=part_id, signature=signature, provider_name=system
                )
            case events.ReasoningDelta(index=index, text=text, signature=signature):
                yield from parts.handle_thinking_delta(
                    vendor_part_id=index,
                    content=text,
                    signature=signature,
                    provider_name=system if signature else None,
                )
            case events.ToolCallStart(index=index, server=False):
                self._calls[index] = event.id
                yield from self._call(index, name=event.name)
            case events.ToolCallDelta(index=index, input_json=fragment) if index in self._calls:
                yield from self._call(index, arguments=fragment)
            case events.CitationDelta(index=index, citation=citation):
                self._citations.setdefault(index, []).append(citation)
            case events.ImageStart(index=index, format=format):
                self._images[index] = (format, [])
            case events.ImageDelta(index=index, data=bytes(data)) if index in self._images:
                self._images[index][1].append(data)
            case events.BlockStop(index=index):
                yield from self._stop(index)
            case events.MessageStop(stop_reason=reason):
                self.finish_reason = _FINISH.get(reason or "")
                self.provider_details = _details(reason, None)
            case events.Metadata(usage=usage, trace=trace):
                if usage is not None:
                    self._usage = _usage(usage)
                if trace is not None:
                    self.provider_details = {**(self.provider_details or {}), "trace": trace}

    def _call(
        self, index: int, *, name: str | None = None, arguments: str | None = None
    ) -> Iterator[ModelResponseStreamEvent]:
        made = self._parts_manager.handle_tool_call_delta(
            vendor_part_id=index, tool_name=name, args=arguments, tool_call_id=self._calls[index]
        )
        if made is not None:
            yield made

    def _stop(self, index: int) -> Iterator[ModelResponseStreamEvent]:
        """Yield what is known of a block only at its end."""
        if citations := self._citations.pop(index, None):
            yield from self._parts_manager.handle_text_delta(
                vendor_part_id=index,
                content="",
                provider_name=self._model.system,
                provider_details=_citations(citations),
            )
        if image := self._images.pop(index, None):
            content = BinaryContent(b"".join(image[1]), media_type=f"image/{image[0]}")
            part = FilePart(content, provider_name=self._model.system)
            yield self._parts_manager.handle_part(vendor_part_id=index, part=part)

    async def close_stream(self) -> None:
        """Close the connection at once."""
        await self._stream.aclose()

    def get_stream_cancel_errors(self) -> tuple[type[BaseException], ...]:
        """Return what reading raises once the stream has been closed."""
        return (BedrockStreamError,)

    @property
    def model_name(self) -> str:
        """The model id as it was sent."""
        return self._model.model_name

    @property
    def provider_name(self) -> str:
        """The provider's name."""
        return self._model.system

    @property
    def provider_url(self) -> str | None:
        """The origin that the request was sent to."""
        return self._stream.target.endpoint_url

    @property
    def timestamp(self) -> datetime:
        """When the stream was opened."""
        return self._timestamp
