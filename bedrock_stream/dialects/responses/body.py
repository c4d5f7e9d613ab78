"""The request body of the Responses API: a list of items, where calls, results and reasoning are items of their own.

The service keeps conversations for 30 days unless it is told not to, so `store` is false if the caller leaves it out;
reasoning then comes encrypted, and goes back in the next turn. Unsupported content is named in an error.
Source: OpenAI's Responses reference, the Bedrock user guide, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...types.media import Document, Image
from ...types.messages import Block, CitedText, Json, Message, Raw, Reasoning, Text, ToolCall, ToolResult
from ...types.options import Options
from ...types.tools import Tool
from ..native import with_fields
from ..openai.attachments import can_attach
from ..openai.requests import is_own, raise_refused, refused_option
from ..openai.tools import result_item, write_choice, write_function
from ..texts import first_unsupported, system_text
from .items import write_items

__all__ = ("unsupported", "write_body")

_NAME = "the Responses API"
_ENCRYPTED = "reasoning.encrypted_content"
_Wire = dict[str, Any]


def unsupported(messages: Sequence[Message], options: Options) -> str | None:
    """See `dialects.Native`."""
    if block := first_unsupported(messages, _can_write):
        path, kind = block
        return f"{path}: {_NAME} does not support {kind}"
    for option in ("stop_sequences", "guardrail"):
        if getattr(options, option):
            return f"{_NAME} does not support {option}"
    return refused_option(_NAME, options, _tool)


def write_body(messages: Sequence[Message], options: Options) -> _Wire:
    """See `dialects.Dialect.body`. Raises `UnsupportedOperation` for what `unsupported` names."""
    raise_refused(unsupported(messages, options))
    stored = bool(options.store)
    choice = options.tool_choice
    fields = {
        "instructions": system_text(options) or None,
        "previous_response_id": options.previous_response_id,
        "max_output_tokens": options.max_tokens,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "tools": [_tool(tool) for tool in options.tools],
        "tool_choice": (choice if is_own(choice) else write_choice(choice, flat=True)) if options.tools else None,
        "metadata": options.request_metadata,
        "service_tier": options.service_tier,
        "include": [] if stored else [_ENCRYPTED],
    }
    items = write_items(messages, options.previous_response_id, stored=stored)
    return with_fields({"input": items, "store": stored}, fields, options)


def _can_write(block: Block, role: str) -> bool:
    match block:
        case ToolCall():  # calls that the service ran are items of their own: `Raw`
            return role == "assistant" and not block.server
        case ToolResult():
            items = map(result_item, block.content)
            return role == "user" and block.kind is None and all(_is_result(item) for item in items)
        case Image() | Document():
            return role == "user" and can_attach(block)
        case Raw():
            return is_own(block.value)
    return isinstance(block, Text | CitedText | Reasoning)


def _is_result(item: Any) -> bool:
    return isinstance(item, Text | Json) or can_attach(item)


def _tool(tool: Tool | _Wire) -> _Wire | None:
    if isinstance(tool, dict) and is_own(tool):
        return dict(tool)
    function = write_function(tool)
    # Without `strict`, the service makes a function strict, and refuses schemas that do not fit.
    return None if function is None else {"type": "function", "strict": False, **function}
