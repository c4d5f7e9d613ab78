"""`ui-message`: the UI message stream, version 1, which front ends made with Vercel's AI SDK read.

The readers of AI SDK 5 are strict: a part or a member that their version does not know ends the stream. So only what
every version since 5.0.7 knows is written; the finish reason, which version 6 brought, is not among it. Before 5.0.7
nobody knew `tool-input-error`: such a reader fails at a call whose input is broken, which is better than running it. A
block opens by its first delta and closes by its stop, or at the latest at the answer's end. Source: the AI SDK's page
on stream protocols and the schema of its UI message chunks.
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
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResultDelta,
    ToolResultStart,
)
from ...types.messages import Json, Text, ToolResult
from ..http_errors import Problem, problem_of
from . import Said, server_sent
from .plain import problem_json

__all__ = ("UIMessageParts",)

_DONE = b"data: [DONE]\n\n"

_Part: TypeAlias = tuple[str, dict[str, Any]]
"""A part's type and its other members."""


class _Block:
    """What is open at one place of the message."""

    def __init__(self, kind: str) -> None:
        self.kind = kind  # text, reasoning, result, image
        self.id = ""
        self.proof: dict[str, str] = {}
        self.format = ""
        self.data = b""
        self.failed = False
        self.content: list[Any] = []


class UIMessageParts:
    """The writer."""

    headers: Mapping[str, str] = {"x-vercel-ai-ui-message-stream": "v1"}
    request_id_headers: tuple[str, ...] = ("x-amzn-requestid",)

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._open: dict[tuple[int, str], _Block] = {}
        self._steps = 0
        self._sources = 0

    def event(self, event: Said) -> bytes:
        """See `Writer`."""
        return b"".join(self._part(*part) for part in self._parts(event))

    def end(self) -> bytes:
        """See `Writer`."""
        parts: list[_Part] = [*self._close_all(), ("finish-step", {}), ("finish", {})]
        return b"".join(self._part(*part) for part in parts) + _DONE

    def failed(self, error: BedrockStreamError) -> bytes:
        """See `Writer`."""
        if isinstance(error, ToolInputError):
            return self.end()  # the message is whole, and `tool-input-error` has told of the call
        return self._part("error", {"errorText": problem_of(error).message}) + _DONE

    def refusal(self, problem: Problem) -> bytes:
        """See `Writer`."""
        return self._encode(problem_json(problem))

    def _part(self, type: str, members: Mapping[str, Any]) -> bytes:
        return server_sent(self._encode({"type": type, **members}))

    def _parts(self, event: Said) -> Iterator[_Part]:
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
                yield _tool_output(event.id, event.status == "error", _told(event))
            case CitationDelta(citation=citation):
                self._sources += 1
                yield _source(citation, f"source-{self._sources}")
            case BlockStop(index=index):
                yield from self._close(index)
            case ToolResultStart() | ToolResultDelta() | ImageStart() | ImageDelta():
                self._collect(event)

    def _next_step(self) -> Iterator[_Part]:
        """Each answer of a tool run is a step of one message."""
        if self._steps:
            yield from self._close_all()
            yield "finish-step", {}
        else:
            yield "start", {}
        self._steps += 1
        yield "start-step", {}

    def _id(self, index: int) -> str:
        return f"{self._steps}-{index}"

    def _block(self, index: int, kind: str) -> _Block:
        return self._open.setdefault((index, kind), _Block(kind))

    def _start(self, index: int, kind: str) -> Iterator[_Part]:
        if (index, kind) not in self._open:
            self._block(index, kind)
            yield f"{kind}-start", {"id": self._id(index)}

    def _reason(self, event: ReasoningDelta) -> Iterator[_Part]:
        yield from self._start(event.index, "reasoning")
        proof = self._block(event.index, "reasoning").proof
        if event.signature is not None:
            proof["signature"] = proof.get("signature", "") + event.signature
        if event.redacted is not None:
            proof["redactedData"] = b64encode(event.redacted).decode()
        if event.text:
            yield "reasoning-delta", {"id": self._id(event.index), "delta": event.text}

    def _open_call(self, event: ToolCallStart | ToolCallDelta | ToolCallEnd) -> str:
        """The call's id, which fragments do not carry."""
        block = self._block(event.index, "call")
        if isinstance(event, ToolCallStart):
            block.id = event.id
        elif isinstance(event, ToolCallEnd):
            del self._open[event.index, "call"]
        return block.id

    def _collect(self, event: ToolResultStart | ToolResultDelta | ImageStart | ImageDelta) -> None:
        """What the protocol takes only whole."""
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
        for key in [key for key in self._open if key[0] == index]:
            block = self._open.pop(key)
            match block.kind:
                case "text":
                    yield "text-end", {"id": self._id(index)}
                case "reasoning":
                    proof = {"providerMetadata": {"bedrock": block.proof}} if block.proof else {}
                    yield "reasoning-end", {"id": self._id(index), **proof}
                case "result" if block.id:
                    kind, members = _tool_output(block.id, block.failed, block.content)
                    yield kind, {**members, "providerExecuted": True}
                case "image" if block.data:
                    media = f"image/{block.format}"
                    url = f"data:{media};base64,{b64encode(block.data).decode()}"
                    yield "file", {"url": url, "mediaType": media}

    def _close_all(self) -> list[_Part]:
        return [part for index in sorted({key[0] for key in self._open}) for part in self._close(index)]


def _call(event: ToolCallStart | ToolCallDelta | ToolCallEnd, id: str) -> Iterator[_Part]:
    if isinstance(event, ToolCallDelta):
        yield "tool-input-delta", {"toolCallId": id, "inputTextDelta": event.input_json}
        return
    who = {"toolCallId": event.id, "toolName": event.name}
    server = {"providerExecuted": True} if event.server else {}
    if isinstance(event, ToolCallStart):
        yield "tool-input-start", {**who, **server}
    elif event.input is not None:
        yield "tool-input-available", {**who, "input": event.input, **server}
    else:
        told = {"input": event.raw, "errorText": "The tool's input is not a JSON object."}
        yield "tool-input-error", {**who, **told, **server}


def _tool_output(id: str, failed: bool, output: Any) -> _Part:
    if not failed:
        return "tool-output-available", {"toolCallId": id, "output": output}
    text = output if isinstance(output, str) else msgspec.json.encode(output).decode()
    return "tool-output-error", {"toolCallId": id, "errorText": text}


def _told(result: ToolResult) -> Any:
    """What a tool returned, as plainly as it goes."""
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
    # A citation names no media type; its passages are text.
    return "source-document", {"sourceId": id, "mediaType": "text/plain", "title": citation.title or "document"}
