"""The request body of the Messages API on Bedrock: without model and stream flag, with betas in the body.

Bedrock rejects unknown members. So the body has only what the caller asked for, and the two members that are required:
`anthropic_version` and `max_tokens`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...types.messages import Block, CachePoint, Guarded, Message, Reasoning, Text
from ...types.options import Options
from ...types.tools import Tool
from ..native import with_fields
from .blocks import can_write, write_block

__all__ = ("DEFAULT_MAX_TOKENS", "unsupported", "write_body")

_FORMAT = "Claude's native format"
VERSION = "bedrock-2023-05-31"
DEFAULT_MAX_TOKENS = 4096
"""The default limit: the Messages API requires one, and all models accept this one."""


def unsupported(messages: Sequence[Message], options: Options) -> str | None:
    """See `dialects.Native`."""
    if reason := _unsupported_message(messages):
        return reason
    for tool in options.tools:
        if isinstance(tool, dict) and set(tool) != {"cachePoint"} and not _is_native(tool):
            return f"{_FORMAT} does not support tools in Converse's format ({', '.join(tool)})"
    if any(isinstance(item, dict) for item in options.system):
        return f"{_FORMAT} does not support system blocks in Converse's format"
    if any(isinstance(item, Guarded) for item in options.system):
        return f"{_FORMAT} does not support Guarded in system"
    for name, items in (("tools", options.tools), ("system", options.system)):
        if items and not (isinstance(items[0], Tool | Text) or _is_native(items[0])):
            return f"{name}[0]: {_FORMAT} requires an item before a cache point"
    choice = options.tool_choice
    if isinstance(choice, dict) and not _is_choice(choice):
        return f"{_FORMAT} does not support tool_choice {choice!r}"
    return None


def _unsupported_message(messages: Sequence[Message]) -> str | None:
    for index, message in enumerate(messages):
        if message.role == "system":
            return f"messages[{index}]: {_FORMAT} does not support system messages"
        for position, block in enumerate(message.content):
            path = f"messages[{index}].content[{position}]"
            if isinstance(block, CachePoint):
                # A cache point is a mark on the block before it, and thinking blocks cannot be marked.
                if position == 0 or isinstance(message.content[position - 1], Reasoning):
                    return f"{path}: {_FORMAT} requires a block other than reasoning before a cache point"
            elif not can_write(block):
                return f"{path}: {_FORMAT} does not support this {type(block).__name__}"
    return None


def _is_native(tool: Any) -> bool:
    """Return whether a tool is one of Claude's own, such as web search. Converse's tools have no `type`."""
    return isinstance(tool, dict) and isinstance(tool.get("type"), str)


def _is_choice(choice: dict[str, Any]) -> bool:
    match choice:
        case {"auto": {}, **rest} | {"any": {}, **rest} | {"tool": {"name": str()}, **rest}:
            return not rest
    return False


def write_body(messages: Sequence[Message], options: Options) -> dict[str, Any]:
    """See `dialects.Dialect.body`."""
    body: dict[str, Any] = {
        "anthropic_version": VERSION,  # in the body on Bedrock, a header on Anthropic's own API
        "max_tokens": options.max_tokens or _default_max_tokens(options),
        "messages": [{"role": message.role, "content": _blocks(message.content)} for message in messages],
    }
    if options.system:
        body["system"] = _blocks(item for item in options.system if not isinstance(item, dict))
    if tools := _tools(options):
        body["tools"] = tools
        if choice := _tool_choice(options.tool_choice):  # requires tools
            body["tool_choice"] = choice
    # The additional fields include `top_k`, `thinking` and `anthropic_beta`, which is a header on Anthropic's own API.
    fields = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "stop_sequences": list(options.stop_sequences),
    }
    return with_fields(body, fields, options)


def _default_max_tokens(options: Options) -> int:
    """Return a limit that leaves the default for text: thinking tokens count towards `max_tokens`."""
    thinking = (options.additional_model_request_fields or {}).get("thinking")
    budget = thinking.get("budget_tokens", 0) if isinstance(thinking, dict) else 0
    return DEFAULT_MAX_TOKENS + (budget if isinstance(budget, int) else 0)


def _blocks(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """Return blocks. This API has no cache points: `cache_control` is a member of the block before one."""
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
        elif _is_native(tool):
            written.append(dict(tool))  # a copy, since a cache point may add a member
        else:
            written[-1]["cache_control"] = _cache_control(tool["cachePoint"].get("ttl"))
    return written


def _tool(tool: Tool) -> dict[str, Any]:
    wire: dict[str, Any] = {"name": tool.name, "input_schema": tool.input_schema}
    if tool.description:
        wire["description"] = tool.description
    if tool.strict is not None:
        wire["strict"] = tool.strict
    return {**wire, **tool.extra}


def _tool_choice(choice: str | dict[str, Any] | None) -> dict[str, Any] | None:
    if isinstance(choice, dict):  # in Converse's format, where the kind is the key
        ((kind, value),) = choice.items()
        return {"type": kind, **value}
    if choice in (None, "auto", "any", "none"):
        return None if choice is None else {"type": choice}
    return {"type": "tool", "name": choice}


def _cache_control(ttl: str | None) -> dict[str, str]:
    return {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}
