"""The request body of Chat Completions: turns of plain text with tool calls, and tool results as separate messages.

Unsupported content is named in an error and never dropped, except for what these models do not accept back: their own
reasoning, and the status of a tool result.
Source: OpenAI's Chat Completions reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...types.messages import Block, CitedText, Json, Message, Raw, Reasoning, Text, ToolCall, ToolResult
from ...types.options import Options
from ...types.tools import Tool
from ..encoding import encode_text
from ..native import with_fields
from ..texts import first_unsupported, joined_text, raise_unsupported, system_text, system_texts

__all__ = ("unsupported", "write_body")

_Wire = dict[str, Any]


def unsupported(messages: Sequence[Message], options: Options) -> str | None:
    """See `dialects.Native`."""
    if block := first_unsupported(messages, _can_write):
        path, kind = block
        return f"{path}: Chat Completions does not support {kind}"
    if None in system_texts(options):
        return "Chat Completions supports only text in system"
    if None in map(_tool, options.tools):
        return "Chat Completions supports only functions in tools"
    if isinstance(options.tool_choice, dict) and _tool_choice(options.tool_choice) is None:
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
        "tools": [_tool(tool) for tool in options.tools],
        "tool_choice": _tool_choice(options.tool_choice) if options.tools else None,  # requires tools
    }
    return with_fields({"messages": turns}, fields, options)


def _can_write(block: Block, role: str) -> bool:
    if isinstance(block, ToolCall):  # this API has no calls that the service ran
        return role == "assistant" and not block.server
    if isinstance(block, ToolResult):
        return (
            role == "user"
            and block.kind is None
            and all(isinstance(_result_item(item), Text | Json) for item in block.content)
        )
    return isinstance(block, Text | CitedText | Reasoning)


def _message(message: Message) -> Iterator[_Wire]:
    """Yield the messages of a turn. Tool results belong to the calls of the turn before, so they are first.

    These models do not accept their own reasoning back: it is omitted, and so is a turn that holds nothing else. A
    `tool` message has no status: the text of the result describes a failure.
    """
    for block in message.content:
        if isinstance(block, ToolResult):
            items = [_result_item(item) for item in block.content]
            texts = [item.text if isinstance(item, Text) else encode_text(item.value) for item in items]
            # Without `name`, which Bedrock rejects in a tool message.
            yield {"role": "tool", "tool_call_id": block.id, "content": "\n".join(texts)}
    text = joined_text(message.content, message.role)
    calls = [_call(block) for block in message.content if isinstance(block, ToolCall)]
    wire: _Wire = {"role": message.role, "content": text} if text else {"role": message.role}
    if calls:
        wire["tool_calls"] = calls
    if text or calls:
        yield wire


def _call(block: ToolCall) -> _Wire:
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": encode_text(block.input)}}


def _result_item(item: Any) -> Any:
    """Return an item of a tool result. Text and JSON in Converse's format become typed."""
    match item:
        case Raw({"text": str(text), **rest}) if not rest:
            return Text(text)
        case Raw({"json": value, **rest}) if not rest:
            return Json(value)
    return item


def _tool(tool: Tool | _Wire) -> _Wire | None:
    """Return a function, or None for a tool in Converse's format that is not a function."""
    function: _Wire
    match tool:
        case Tool(name=name, input_schema=schema):
            function = {"name": name, "description": tool.description or None, "parameters": schema}
            function |= {"strict": tool.strict, **tool.extra}
        case {"toolSpec": {"name": str(name), "inputSchema": {"json": dict(schema)}, **rest}}:
            function = {"name": name, **{str(key): value for key, value in rest.items()}, "parameters": schema}
        case _:
            return None
    return {"type": "function", "function": {key: value for key, value in function.items() if value is not None}}


def _tool_choice(choice: str | _Wire | None) -> str | _Wire | None:
    match choice:
        case "auto" | "none" | None:
            return choice
        case "any" | {"any": _}:  # the option, or in Converse's format
            return "required"
        case {"auto": _}:
            return "auto"
        case str(name) | {"tool": {"name": str(name)}}:
            return {"type": "function", "function": {"name": name}}
    return None
