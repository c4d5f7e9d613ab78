"""Message content as the conventions' JSON. Of media, only kind, format and size are recorded.

Used only if content capture is enabled: see the package.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from ...dialects.converse.blocks import read_block
from ...errors import InvalidFrame
from ...types.media import Attachment, Document, Image
from ...types.messages import (
    Block,
    CachePoint,
    CitedText,
    Guarded,
    Json,
    Message,
    Raw,
    Reasoning,
    SearchResult,
    Text,
    ToolCall,
    ToolResult,
)
from ...types.options import Options
from ...types.response import Response

__all__ = ("input_messages", "output_messages", "system_instructions")


def input_messages(messages: Iterable[Message]) -> str:
    """Return the JSON of the conversation in the request."""
    return _json([_message(message) for message in messages])


def system_instructions(options: Options) -> str:
    """Return the JSON of the system prompt."""
    parts = _parts(Raw(item) if isinstance(item, dict) else item for item in options.system)
    # The conventions define only text parts here.
    return _json([part for part in parts if part["type"] == "text"])


def output_messages(response: Response) -> str:
    """Return the JSON of the response, which may be incomplete."""
    return _json([_message(response.message)])


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _message(message: Message) -> dict[str, Any]:
    parts = _parts(message.content)
    # In Bedrock, tool results are content of the user; the conventions have the role "tool".
    is_tool = bool(parts) and all(part["type"] == "tool_call_response" for part in parts)
    return {"role": "tool" if is_tool else message.role, "parts": parts}


def _parts(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    return [part for block in blocks if (part := _part(_typed(block))) is not None]


def _typed(block: Block) -> Block:
    """Parse a block that the caller passed in Converse's JSON format; return it unchanged if that fails."""
    if isinstance(block, Raw):
        with suppress(InvalidFrame, ValueError, RecursionError):
            return read_block(block.value)
    return block


def _part(block: Block) -> dict[str, Any] | None:
    match block:
        case Text() | CitedText():
            return {"type": "text", "content": block.text}
        case Reasoning():
            return {"type": "reasoning", "content": block.text}
        case ToolCall(server=True):
            call = {"type": block.name, "input": block.input}
            return {"type": "server_tool_call", "id": block.id, "name": block.name, "server_tool_call": call}
        case ToolCall():
            return {"type": "tool_call", "id": block.id, "name": block.name, "arguments": block.input}
        case ToolResult(kind=None):
            return {"type": "tool_call_response", "id": block.id, "response": _result(block)}
        case ToolResult():
            response = {"type": block.kind, "content": _result(block)}
            return {"type": "server_tool_call_response", "id": block.id, "server_tool_call_response": response}
        case Attachment():
            return _media_part(block)
        case Guarded(content):
            return _media_part(content) if isinstance(content, Image) else {"type": "text", "content": content}
        case SearchResult():
            return {"type": "search_result", "source": block.source, "title": block.title, "content": block.content}
        case Raw(value):
            return {"type": next(iter(value), "unknown")}  # its content may be media, so only its type is recorded
        case CachePoint():
            return None  # a marker without content


def _media_part(attachment: Attachment) -> dict[str, Any]:
    modality = type(attachment).__name__.lower()
    if isinstance(attachment, Document) and attachment.text is not None:
        return {"type": modality, "format": attachment.format, "byte_size": len(attachment.text.encode())}
    if attachment.data is None:
        return {"type": "uri", "modality": modality, "format": attachment.format, "uri": attachment.s3_uri}
    return {"type": modality, "format": attachment.format, "byte_size": len(attachment.data)}


def _result(result: ToolResult) -> Any:
    """Return a tool's result: the value itself if there is one, a list of values otherwise."""
    items = [_item(item) for item in result.content]
    return items[0] if len(items) == 1 else items


def _item(item: Any) -> Any:
    match item:
        case Json(value) | Raw({"json": value}):
            return value
        case Text(text) | Raw({"text": str(text)}):
            return text
    return _part(_typed(item))
