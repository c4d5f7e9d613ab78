"""The request body of the Messages API as Bedrock takes it: no model, no stream flag, betas inside the body.

Bedrock refuses members that it does not know, so nothing is written that the caller did not ask for but the version and
`max_tokens`, which Claude requires.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...types.messages import Block, CachePoint, Message, Reasoning, Text, ToolResult
from ...types.options import Options
from ...types.tools import Tool
from .blocks import can_write, write_block

__all__ = ("DEFAULT_MAX_TOKENS", "unsupported", "write_body")

VERSION = "bedrock-2023-05-31"
DEFAULT_MAX_TOKENS = 4096
"""Sent where the caller gives none: Claude's native form requires a limit, and every model takes this one."""


def unsupported(messages: Sequence[Message], options: Options) -> str | None:
    """Why this conversation cannot be said in this form; None where it can."""
    for place, message in enumerate(messages):
        if message.role == "system":
            return f"messages[{place}] is a system message, which Claude's own form does not take"
        for index, block in enumerate(message.content):
            name = f"messages[{place}].content[{index}]"
            if isinstance(block, CachePoint):
                if index == 0 or isinstance(message.content[index - 1], Reasoning):
                    return f"{name} is a cache point with no block before it that Claude could mark"
            elif not can_write(block):
                return f"{name} is a {type(block).__name__} that Claude's own form does not take"
    for tool in options.tools:
        if isinstance(tool, dict) and set(tool) != {"cachePoint"}:
            return f"a tool in Converse's shape ({', '.join(tool)}) has no place in Claude's own form"
    if any(isinstance(item, dict) for item in options.system):
        return "a system block in Converse's shape has no place in Claude's own form"
    for name, items in (("tools", options.tools), ("system", options.system)):
        if items and not isinstance(items[0], Tool | Text):
            return f"{name}[0] is a cache point with nothing before it"
    choice = options.tool_choice
    if isinstance(choice, dict) and not _is_choice(choice):
        return f"tool_choice: Claude's own form knows no {choice!r}"
    return None


def _is_choice(choice: dict[str, Any]) -> bool:
    match choice:
        case {"auto": {}, **rest} | {"any": {}, **rest} | {"tool": {"name": str()}, **rest}:
            return not rest
    return False


def write_body(messages: Sequence[Message], options: Options) -> dict[str, Any]:
    """The body; `extra` has the last word."""
    body: dict[str, Any] = {
        "anthropic_version": VERSION,
        "max_tokens": options.max_tokens or _default_max_tokens(options),
        "messages": _messages(messages),
    }
    if options.system:
        body["system"] = _blocks(item for item in options.system if not isinstance(item, dict))
    if tools := _tools(options):
        body["tools"] = tools
        if choice := _tool_choice(options.tool_choice):
            body["tool_choice"] = choice
    if options.temperature is not None:
        body["temperature"] = options.temperature
    if options.top_p is not None:
        body["top_p"] = options.top_p
    if options.stop_sequences:
        body["stop_sequences"] = options.stop_sequences
    return {**body, **(options.additional_model_request_fields or {}), **options.extra}


def _default_max_tokens(options: Options) -> int:
    """Room for an answer behind whatever thinking was asked for."""
    thinking = (options.additional_model_request_fields or {}).get("thinking")
    budget = thinking.get("budget_tokens", 0) if isinstance(thinking, dict) else 0
    return DEFAULT_MAX_TOKENS + (budget if isinstance(budget, int) else 0)


def _messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """The turns; tool results that follow each other share one user turn, as Claude demands."""
    written: list[dict[str, Any]] = []
    results_open = False
    for message in messages:
        content = _blocks(message.content)
        results = message.role == "user" and all(isinstance(b, ToolResult | CachePoint) for b in message.content)
        if results and results_open:
            written[-1]["content"] += content
        else:
            written.append({"role": message.role, "content": content})
        results_open = results
    return written


def _blocks(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """Blocks, with a cache point as a mark on the block before it."""
    written: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, CachePoint):
            written[-1]["cache_control"] = _cache_control(block.ttl)
        else:
            written.append(write_block(block))
    return written


def _tools(options: Options) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    for tool in options.tools:
        if isinstance(tool, Tool):
            written.append(_tool(tool))
        else:
            written[-1]["cache_control"] = _cache_control(tool["cachePoint"].get("ttl"))
    return written


def _tool(tool: Tool) -> dict[str, Any]:
    wire: dict[str, Any] = {"name": tool.name, "input_schema": tool.input_schema}
    if tool.description:
        wire["description"] = tool.description
    if tool.strict is not None:
        wire["strict"] = tool.strict
    return wire


def _tool_choice(choice: str | dict[str, Any] | None) -> dict[str, Any] | None:
    if isinstance(choice, dict):  # Converse's shape
        ((kind, value),) = choice.items()
        return {"type": kind, **value}
    if choice in (None, "auto", "any", "none"):
        return None if choice is None else {"type": choice}
    return {"type": "tool", "name": choice}


def _cache_control(ttl: str | None) -> dict[str, str]:
    return {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}
