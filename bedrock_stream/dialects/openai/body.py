"""The request body of Chat Completions: turns of plain text, calls beside them, tool results as turns of their own.

Whatever this form cannot say is refused by name and never left out, but for what these models do not take back: their
own reasoning, and the status of a tool's result.
Source: OpenAI's Chat Completions reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ...errors import ConfigurationError
from ...types.messages import Block, CitedText, Json, Message, Raw, Reasoning, Text, ToolCall, ToolResult
from ...types.options import Options
from ...types.tools import Tool
from ..texts import first_unsupported, joined_text, raise_refusal, system_text, system_texts, with_fields

__all__ = ("unsupported", "write_body")

_Wire = dict[str, Any]


def unsupported(messages: Sequence[Message], options: Options) -> str | None:
    """Why this conversation cannot be said in this form; None where it can."""
    if found := first_unsupported(messages, _can_write):
        place, kind = found
        return f"{place}: Chat Completions has no form for a {kind}"
    if None in system_texts(options):
        return "system: Chat Completions takes text only"
    if None in map(_tool, options.tools):
        return "tools: Chat Completions takes functions only"
    if isinstance(options.tool_choice, dict) and _tool_choice(options.tool_choice) is None:
        return f"tool_choice: Chat Completions knows no {', '.join(options.tool_choice)}"
    return None


def write_body(messages: Sequence[Message], options: Options) -> _Wire:
    """The body; `extra` has the last word. Raises `UnsupportedOperation` for what cannot be said."""
    raise_refusal(unsupported(messages, options))
    turns = [wire for message in messages for wire in _message(message)]
    if system := system_text(options):
        turns.insert(0, {"role": "system", "content": system})
    fields = {
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "stop": list(options.stop_sequences),
        "tools": [_tool(tool) for tool in options.tools],
        "tool_choice": _tool_choice(options.tool_choice) if options.tools else None,
    }
    return with_fields({"messages": turns}, fields, options)


def _can_write(block: Block, role: str) -> bool:
    if isinstance(block, ToolCall):
        return role == "assistant" and not block.server
    if isinstance(block, ToolResult):
        return (
            role == "user"
            and block.kind is None
            and all(isinstance(_result_item(item), Text | Json) for item in block.content)
        )
    return isinstance(block, Text | CitedText | Reasoning)


def _message(message: Message) -> Iterator[_Wire]:
    """A turn as its messages. Results answer the turn before, so they go first.

    Reasoning stays behind, since these models do not take their own back, and a turn of nothing else goes with it. So
    does a result's status: what went wrong is told by its text.
    """
    for block in message.content:
        if isinstance(block, ToolResult):
            items = [_result_item(item) for item in block.content]
            texts = [item.text if isinstance(item, Text) else _json(item.value) for item in items]
            yield {"role": "tool", "tool_call_id": block.id, "content": "\n".join(texts)}
    text = joined_text(message.content, message.role)
    calls = [_call(block) for block in message.content if isinstance(block, ToolCall)]
    wire: _Wire = {"role": message.role, "content": text} if text else {"role": message.role}
    if calls:
        wire["tool_calls"] = calls
    if text or calls:
        yield wire


def _call(block: ToolCall) -> _Wire:
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": _json(block.input)}}


def _result_item(item: Any) -> Any:
    """An item of a tool's result; what stayed in Converse's shape is typed where it is text or JSON."""
    match item:
        case Raw({"text": str(text), **rest}) if not rest:
            return Text(text)
        case Raw({"json": value, **rest}) if not rest:
            return Json(value)
    return item


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ConfigurationError(
            "prompt", f"a {type(value).__name__} in it cannot become JSON: {error}", "use JSON values"
        ) from None


def _tool(tool: Tool | _Wire) -> _Wire | None:
    """A function; None for what is none in Converse's own shape."""
    function: _Wire
    match tool:
        case Tool(name=name, input_schema=schema):
            function = {"name": name, "description": tool.description or None, "parameters": schema}
            function["strict"] = tool.strict
        case {"toolSpec": {"name": str(name), "inputSchema": {"json": dict(schema)}, **rest}}:
            function = {"name": name, **{str(key): value for key, value in rest.items()}, "parameters": schema}
        case _:
            return None
    return {"type": "function", "function": {key: value for key, value in function.items() if value is not None}}


def _tool_choice(choice: str | _Wire | None) -> str | _Wire | None:
    match choice:
        case "auto" | "none" | None:
            return choice
        case "any" | {"any": _}:
            return "required"
        case {"auto": _}:
            return "auto"
        case str(name) | {"tool": {"name": str(name)}}:
            return {"type": "function", "function": {"name": name}}
    return None
