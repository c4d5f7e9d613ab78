"""What was said, in the conventions' JSON. Media are told by kind, format and size alone.

Recorded only where that was asked for: see the package.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from ...dialects.converse.blocks import read_block
from ...errors import InvalidFrame
from ...types.media import Attachment
from ...types.messages import Block, CachePoint, CitedText, Json, Message, Raw, Reasoning, Text, ToolCall, ToolResult
from ...types.options import Options
from ...types.response import Response

__all__ = ("input_messages", "output_messages", "system_instructions")


def input_messages(messages: Iterable[Message]) -> str:
    """The conversation as it is sent."""
    return _json([_message(message) for message in messages])


def system_instructions(options: Options) -> str:
    """What stands before the conversation; the conventions take text alone here."""
    parts = _parts(Raw(item) if isinstance(item, dict) else item for item in options.system)
    return _json([part for part in parts if part["type"] == "text"])


def output_messages(response: Response) -> str:
    """The answer, whole or as far as it came."""
    return _json([_message(response.message)])


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _message(message: Message) -> dict[str, Any]:
    parts = _parts(message.content)
    # Bedrock lets the user bring a tool's result; the conventions have a role for it.
    is_tool = bool(parts) and all(part["type"] == "tool_call_response" for part in parts)
    return {"role": "tool" if is_tool else message.role, "parts": parts}


def _parts(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    return [part for block in blocks if (part := _part(_typed(block))) is not None]


def _typed(block: Block) -> Block:
    """A block in Converse's own shape read, as far as it can be."""
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
            called = {"type": block.name, "input": block.input}
            return {"type": "server_tool_call", "id": block.id, "name": block.name, "server_tool_call": called}
        case ToolCall():
            return {"type": "tool_call", "id": block.id, "name": block.name, "arguments": block.input}
        case ToolResult(kind=None):
            return {"type": "tool_call_response", "id": block.id, "response": _result(block)}
        case ToolResult():
            answer = {"type": block.kind, "content": _result(block)}
            return {"type": "server_tool_call_response", "id": block.id, "server_tool_call_response": answer}
        case Attachment():
            return _medium(block)
        case Raw(value):
            return {"type": next(iter(value), "unknown")}  # nobody knows what of it would be media
        case CachePoint():
            return None


def _medium(medium: Attachment) -> dict[str, Any]:
    kind = type(medium).__name__.lower()
    if medium.data is None:
        return {"type": "uri", "modality": kind, "format": medium.format, "uri": medium.s3_uri}
    return {"type": kind, "format": medium.format, "byte_size": len(medium.data)}


def _result(result: ToolResult) -> Any:
    """A tool's answer: the value itself where it is one alone."""
    items = [_item(item) for item in result.content]
    return items[0] if len(items) == 1 else items


def _item(item: Any) -> Any:
    match item:
        case Json(value) | Raw({"json": value}):
            return value
        case Text(said) | Raw({"text": str(said)}):
            return said
    return _part(_typed(item))
