"""The request body of Chat Completions: turns of plain text with tool calls, and tool results as separate messages.

Unsupported content is named in an error and never dropped, except for what these models do not accept back: their own
reasoning, and the status of a tool result.
Source: OpenAI's Chat Completions reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...types.messages import Block, CitedText, Json, Message, Reasoning, Text, ToolCall, ToolResult
from ...types.options import Options
from ..native import with_fields
from ..texts import first_unsupported, joined_text, raise_unsupported, system_text, system_texts
from .tools import result_item, result_texts, write_call, write_choice, write_tool

__all__ = ("unsupported", "write_body")

_Wire = dict[str, Any]


def unsupported(messages: Sequence[Message], options: Options) -> str | None:
    """See `dialects.Native`."""
    if block := first_unsupported(messages, _can_write):
        path, kind = block
        return f"{path}: Chat Completions does not support {kind}"
    if None in system_texts(options):
        return "Chat Completions supports only text in system"
    if None in map(write_tool, options.tools):
        return "Chat Completions supports only functions in tools"
    if isinstance(options.tool_choice, dict) and write_choice(options.tool_choice) is None:
        return f"Chat Completions does not support tool_choice {options.tool_choice!r}"
    return None


def write_body(messages: Sequence[Message], options: Options) -> _Wire:
    """See `dialects.Dialect.body`. Raises `UnsupportedOperation` for what `unsupported` names."""
    raise_unsupported(unsupported(messages, options))
    turns = [wire for message in messages for wire in _message(message)]
    if system := system_text(options):  # the system prompt is the first message
        turns.insert(0, {"role": "system", "content": system})
    fields = {
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "stop": list(options.stop_sequences),
        "tools": [write_tool(tool) for tool in options.tools],
        "tool_choice": write_choice(options.tool_choice) if options.tools else None,  # requires tools
    }
    return with_fields({"messages": turns}, fields, options)


def _can_write(block: Block, role: str) -> bool:
    if isinstance(block, ToolCall):  # this API has no calls that the service ran
        return role == "assistant" and not block.server
    if isinstance(block, ToolResult):
        return (
            role == "user"
            and block.kind is None
            and all(isinstance(result_item(item), Text | Json) for item in block.content)
        )
    return isinstance(block, Text | CitedText | Reasoning)


def _message(message: Message) -> Iterator[_Wire]:
    """Yield the messages of a turn. Tool results belong to the calls of the turn before, so they are first.

    These models do not accept their own reasoning back: it is omitted, and so is a turn that holds nothing else. A
    `tool` message has no status: the text of the result describes a failure.
    """
    for block in message.content:
        if isinstance(block, ToolResult):
            # Without `name`, which Bedrock rejects in a tool message.
            yield {"role": "tool", "tool_call_id": block.id, "content": "\n".join(result_texts(block))}
    text = joined_text(message.content, message.role)
    calls = [write_call(block) for block in message.content if isinstance(block, ToolCall)]
    wire: _Wire = {"role": message.role, "content": text} if text else {"role": message.role}
    if calls:
        wire["tool_calls"] = calls
    if text or calls:
        yield wire
