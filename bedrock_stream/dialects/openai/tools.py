"""Tools, calls and results in OpenAI's words, which Chat Completions and the Responses API share.

A function is an object of its own in Chat Completions; the Responses API has its members beside the `type`.
Source: OpenAI's references of both APIs.
"""

from __future__ import annotations

from typing import Any

from ...types.messages import Json, Raw, Text, ToolCall, ToolResult
from ...types.tools import Tool
from ..encoding import encode_text

__all__ = ("result_item", "result_texts", "write_call", "write_choice", "write_function", "write_tool")

_Wire = dict[str, Any]


def write_call(block: ToolCall) -> _Wire:
    """Return a tool call of Chat Completions."""
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": encode_text(block.input)}}


def result_item(item: Any) -> Any:
    """Return an item of a tool result. Text and JSON in Converse's format become typed."""
    match item:
        case Raw({"text": str(text), **rest}) if not rest:
            return Text(text)
        case Raw({"json": value, **rest}) if not rest:
            return Json(value)
    return item


def result_texts(block: ToolResult) -> list[str]:
    """Return the items of a tool result that has only text and JSON, as texts."""
    items = map(result_item, block.content)
    return [item.text if isinstance(item, Text) else encode_text(item.value) for item in items]


def write_function(tool: Tool | _Wire) -> _Wire | None:
    """Return the members of a function, or None for a tool in Converse's format that is not a function."""
    function: _Wire
    match tool:
        case Tool(name=name, input_schema=schema):
            function = {"name": name, "description": tool.description or None, "parameters": schema}
            function |= {"strict": tool.strict, **tool.extra}
        case {"toolSpec": {"name": str(name), "inputSchema": {"json": dict(schema)}, **rest}}:
            function = {"name": name, **{str(key): value for key, value in rest.items()}, "parameters": schema}
        case _:
            return None
    return {key: value for key, value in function.items() if value is not None}


def write_tool(tool: Tool | _Wire) -> _Wire | None:
    """Return a tool of Chat Completions, or None for a tool in Converse's format that is not a function."""
    function = write_function(tool)
    return None if function is None else {"type": "function", "function": function}


def write_choice(choice: str | _Wire | None, *, flat: bool = False) -> str | _Wire | None:
    """Return a tool choice, or None for one that is not known; `flat` is the form of the Responses API."""
    match choice:
        case "auto" | "none" | None:
            return choice
        case "any" | {"any": _}:  # the option, or in Converse's format
            return "required"
        case {"auto": _}:
            return "auto"
        case str(name) | {"tool": {"name": str(name)}}:
            return {"type": "function", "name": name} if flat else {"type": "function", "function": {"name": name}}
    return None
