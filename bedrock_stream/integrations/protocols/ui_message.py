"""The `ui-message` protocol: the AI SDK's UI message stream, version 1, read by front ends that use Vercel's AI SDK.

The parsers of AI SDK 5 are strict: an unknown part or member ends the stream. So only parts and members that every
version since 5.0.7 knows are written; the finish reason, which version 6 introduced, is omitted. Versions before 5.0.7
do not know `tool-input-error` and fail on a tool call with invalid input, which is better than running it.

`start` has the id of the message, if one was passed. With `include_usage`, the metadata of `finish` has `usage`, with
the AI SDK's names, and `stopReason`. A message that this program stopped ends with `abort`, any other incomplete one
with `error`. Source: the AI SDK's documentation of stream protocols, and the schema of its UI message chunks.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from ...errors import BedrockStreamError, ToolInputError
from ...types.events import (
    BlockStop,
    Citation,
    CitationDelta,
    ImageDelta,
    ImageStart,
    MessageStart,
    MessageStop,
    Metadata,
    ReasoningDelta,
    Retrying,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResultDelta,
    ToolResultStart,
    Usage,
)
from ...types.messages import Json, Text, ToolResult
from ..http_errors import ErrorDetails, error_details
from ..usage import usage_of_ui
from . import DONE, StreamItem, server_sent
from .plain import error_json

__all__ = ("UIMessageParts",)

_Part: TypeAlias = tuple[str, dict[str, Any]]
"""A part's type and its other members."""


class _Block:
    """An open block of the message."""

    def __init__(self, kind: str) -> None:
        self.kind = kind  # text, reasoning, result, image
        self.id = ""
        self.signature = ""
        self.format = ""
        self.data = b""  # an image's, or redacted reasoning
        self.failed = False
        self.content: list[Any] = []


class _Counter:
    """What is known of a message: its usage, as the sum of all steps, and why its last step ended."""

    def __init__(self) -> None:
        self._past: Usage | None = None  # of the steps before the last one
        self._last = Metadata()
        self._stop_reason: str | None = None

    def begin_step(self) -> None:
        """Begin the next step."""
        self._past, self._last, self._stop_reason = self._usage(), Metadata(), None

    def add(self, event: MessageStop | Metadata) -> None:
        """Add what the step reports."""
        if isinstance(event, Metadata):
            self._last = self._last.merged(event)
        else:
            self._stop_reason = event.stop_reason

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the message."""
        usage = usage_of_ui(self._usage())
        known = {"usage": usage or None, "stopReason": self._stop_reason}
        return {name: value for name, value in known.items() if value is not None}

    def _usage(self) -> Usage:
        last = self._last.usage or Usage()
        return last if self._past is None else self._past + last


class UIMessageParts:
    """The writer of the `ui-message` protocol."""

    # The AI SDK recognizes the protocol and its version by this header.
    headers: Mapping[str, str] = {"x-vercel-ai-ui-message-stream": "v1"}
    request_id_headers: tuple[str, ...] = ("x-amzn-requestid",)
    writes_abort = True

    def __init__(self, *, message_id: str | None = None, include_usage: bool = False) -> None:
        """`message_id`: the id of the message on the page, which keeps its own without one. `include_usage`: whether
        the metadata of the message has its usage and its stop reason."""
        self.message_id = message_id
        self._counter = _Counter() if include_usage else None
        self._encode = msgspec.json.Encoder().encode
        self._open: dict[tuple[int, str], _Block] = {}
        self._steps = 0
        self._sources = 0

    def event(self, event: StreamItem) -> bytes:
        """See `Writer`."""
        return b"".join(self._part(*part) for part in self._parts(event))

    def end(self) -> bytes:
        """See `Writer`."""
        metadata = self._counter.metadata() if self._counter is not None else {}
        finish = {"messageMetadata": metadata} if metadata else {}
        parts: list[_Part] = [*self._close_all(), ("finish-step", {}), ("finish", finish)]
        return b"".join(self._part(*part) for part in parts) + DONE

    def failed(self, error: BedrockStreamError) -> bytes:
        """See `Writer`."""
        if isinstance(error, ToolInputError):
            return self.end()  # the message is complete, and `tool-input-error` has reported the call
        # A truncated message has no `finish`; [DONE] only ends the stream.
        if error.closed:
            return self._part("abort", {}) + DONE
        return self._part("error", {"errorText": error_details(error).message}) + DONE

    def refusal(self, details: ErrorDetails) -> bytes:
        """See `Writer`."""
        return self._encode(error_json(details))

    def _part(self, type: str, members: Mapping[str, Any]) -> bytes:
        return server_sent(self._encode({"type": type, **members}))

    def _parts(self, event: StreamItem) -> Iterator[_Part]:
        match event:
            case TextDelta(index=index, text=text):
                yield from self._start(index, "text")
                yield "text-delta", {"id": self._id(index), "delta": text}
            case MessageStart():
                yield from self._next_step()
            case ReasoningDelta():
                yield from self._reason(event)
            case ToolCallStart() | ToolCallDelta() | ToolCallEnd():
                yield from _call(event, self._open_call(event))
            case ToolResult():
                yield _tool_output(event.id, event.status == "error", _tool_result(event))
            case CitationDelta(citation=citation):
                self._sources += 1
                yield _source(citation, f"source-{self._sources}")
            case BlockStop(index=index):
                yield from self._close(index)
            case ToolResultStart() | ToolResultDelta() | ImageStart() | ImageDelta():
                self._collect(event)
            case MessageStop() | Metadata() if self._counter is not None:
                self._counter.add(event)
            case Retrying():
                # The AI SDK hands a transient part to `onData` and keeps it out of the message; it may come before
                # `start`.
                data = {"attempt": event.attempt, "wait": event.wait, "reason": event.reason}
                yield "data-retrying", {"data": data, "transient": True}

    def _next_step(self) -> Iterator[_Part]:
        """Start a step. The whole run of tools is one message, with a step for each response of the model."""
        if self._steps:
            yield from self._close_all()
            yield "finish-step", {}
            if self._counter is not None:
                self._counter.begin_step()
        else:
            yield "start", {} if self.message_id is None else {"messageId": self.message_id}
        self._steps += 1
        yield "start-step", {}

    def _id(self, index: int) -> str:
        # Unique in the message: block indexes start from 0 in each step.
        return f"{self._steps}-{index}"

    def _block(self, index: int, kind: str) -> _Block:
        return self._open.setdefault((index, kind), _Block(kind))

    def _start(self, index: int, kind: str) -> Iterator[_Part]:
        # Bedrock has no start event for text and reasoning blocks, so their first delta starts them.
        if (index, kind) not in self._open:
            self._block(index, kind)
            yield f"{kind}-start", {"id": self._id(index)}

    def _reason(self, event: ReasoningDelta) -> Iterator[_Part]:
        yield from self._start(event.index, "reasoning")
        block = self._block(event.index, "reasoning")
        block.signature += event.signature or ""
        block.data += event.redacted or b""
        if event.text:
            yield "reasoning-delta", {"id": self._id(event.index), "delta": event.text}

    def _open_call(self, event: ToolCallStart | ToolCallDelta | ToolCallEnd) -> str:
        """Track the open tool calls and return the event's call id, which the deltas do not carry."""
        block = self._block(event.index, "call")
        if isinstance(event, ToolCallStart):
            block.id = event.id
        elif isinstance(event, ToolCallEnd):
            del self._open[event.index, "call"]
        return block.id

    def _collect(self, event: ToolResultStart | ToolResultDelta | ImageStart | ImageDelta) -> None:
        """Collect the fragments of blocks that the protocol has no deltas for."""
        match event:
            case ToolResultStart(index=index, id=id, status=status):
                block = self._block(index, "result")
                block.id, block.failed = id, status == "error"
            case ToolResultDelta(index=index, content=content):
                self._block(index, "result").content.extend(content)
            case ImageStart(index=index, format=format):
                self._block(index, "image").format = format
            case ImageDelta(index=index, data=data):
                self._block(index, "image").data += data or b""

    def _close(self, index: int) -> Iterator[_Part]:
        """Yield the last part of each open block at an index."""
        for key in [key for key in self._open if key[0] == index]:
            block = self._open.pop(key)
            match block.kind:
                case "text":
                    yield "text-end", {"id": self._id(index)}
                case "reasoning":
                    yield "reasoning-end", {"id": self._id(index), **_reasoning_metadata(block)}
                # A result without a start event has no call id, and the protocol requires one.
                case "result" if block.id:
                    kind, members = _tool_output(block.id, block.failed, block.content)
                    yield kind, {**members, "providerExecuted": True}
                case "image" if block.data:
                    media = f"image/{block.format}"
                    url = f"data:{media};base64,{b64encode(block.data).decode()}"
                    yield "file", {"url": url, "mediaType": media}

    def _close_all(self) -> list[_Part]:
        return [part for index in sorted({key[0] for key in self._open}) for part in self._close(index)]


def _reasoning_metadata(block: _Block) -> dict[str, Any]:
    """Return what the page sends back with the reasoning; nothing without it, since the schema does not allow null."""
    metadata = {"signature": block.signature, "redactedData": b64encode(block.data).decode()}
    known = {name: text for name, text in metadata.items() if text}
    return {"providerMetadata": {"bedrock": known}} if known else {}


def _call(event: ToolCallStart | ToolCallDelta | ToolCallEnd, id: str) -> Iterator[_Part]:
    if isinstance(event, ToolCallDelta):
        yield "tool-input-delta", {"toolCallId": id, "inputTextDelta": event.input_json}
        return
    call = {"toolCallId": event.id, "toolName": event.name}
    # With `providerExecuted`, the front end does not run the tool.
    server = {"providerExecuted": True} if event.server else {}
    if isinstance(event, ToolCallStart):
        yield "tool-input-start", {**call, **server}
    elif event.input is not None:
        yield "tool-input-available", {**call, "input": event.input, **server}
    else:
        error = {"input": event.raw, "errorText": "The tool's input is not a JSON object."}
        yield "tool-input-error", {**call, **error, **server}


def _tool_output(id: str, failed: bool, output: Any) -> _Part:
    if not failed:
        return "tool-output-available", {"toolCallId": id, "output": output}
    text = output if isinstance(output, str) else msgspec.json.encode(output).decode()
    return "tool-output-error", {"toolCallId": id, "errorText": text}


def _tool_result(result: ToolResult) -> Any:
    """Return a tool's result: a single text or JSON value as it is, other content as a list of blocks."""
    match result.content:
        case (Text(text=text),):
            return text
        case (Json(value=value),):
            return value
    return msgspec.to_builtins(result.content)


def _source(citation: Citation, id: str) -> _Part:
    title = {"title": citation.title} if citation.title else {}
    web = (citation.location or {}).get("web")
    url = web.get("url") if isinstance(web, dict) else None
    if isinstance(url, str):
        return "source-url", {"sourceId": id, "url": url, **title}
    # `mediaType` and `title` are required. A citation has no media type; its passages are text.
    return "source-document", {"sourceId": id, "mediaType": "text/plain", "title": citation.title or "document"}
