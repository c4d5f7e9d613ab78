"""The request body of Chat Completions: turns of text and attachments with tool calls, tool results as messages.

Unsupported content is named in an error and never dropped, except for reasoning, which this API does not take back, and
the status of a tool result. Attachments are `data:` URLs.
Source: OpenAI's Chat Completions reference, and what clients of Bedrock send.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...types.media import Audio, Document, Image
from ...types.messages import Block, CitedText, Json, Message, Raw, Reasoning, Text, ToolCall, ToolResult
from ...types.options import Options
from ...types.tools import Tool
from ..encoding import blob
from ..native import native_body, with_fields
from ..openai.attachments import can_attach, file_data, file_name, image_url
from ..openai.requests import is_own, raise_refused, refused_option
from ..openai.tools import result_item, result_texts, write_call, write_choice, write_tool
from ..texts import first_unsupported, joined_text, system_text

__all__ = ("unsupported", "write_body")

_NAME = "Chat Completions"
_Wire = dict[str, Any]


def unsupported(messages: Sequence[Message], options: Options) -> str | None:
    """See `dialects.Native`."""
    if block := first_unsupported(messages, _can_write):
        path, kind = block
        return f"{path}: {_NAME} does not support {kind}"
    if options.request_metadata is not None:
        return f"{_NAME} does not support request_metadata"
    return refused_option(_NAME, options, _tool)


def write_body(messages: Sequence[Message], options: Options) -> _Wire:
    """See `dialects.Dialect.body`. Raises `UnsupportedOperation` for what `unsupported` names."""
    raise_refused(unsupported(messages, options))
    turns = [wire for message in messages for wire in _message(message)]
    if system := system_text(options):  # the system prompt is the first message
        turns.insert(0, {"role": "system", "content": system})
    choice = options.tool_choice
    fields = {
        "max_completion_tokens": options.max_tokens,  # newer models refuse `max_tokens`
        "temperature": options.temperature,
        "top_p": options.top_p,
        "stop": list(options.stop_sequences),
        "tools": [_tool(tool) for tool in options.tools],
        "tool_choice": (choice if is_own(choice) else write_choice(choice)) if options.tools else None,
        "service_tier": options.service_tier,
    }
    return native_body(with_fields({"messages": turns}, fields, options), options)


def _can_write(block: Block, role: str) -> bool:
    match block:
        case ToolCall():  # this API has no calls that the service ran
            return role == "assistant" and not block.server
        case ToolResult():
            texts = all(isinstance(result_item(item), Text | Json) for item in block.content)
            return role == "user" and block.kind is None and texts
        case Image() | Document():
            return role == "user" and can_attach(block)
        case Audio():
            return role == "user" and block.data is not None
        case Raw():
            return role == "user" and is_own(block.value)
    return isinstance(block, Text | CitedText | Reasoning)


def _message(message: Message) -> Iterator[_Wire]:
    """Yield the messages of a turn. Tool results belong to the calls of the turn before, so they are first."""
    for block in message.content:
        if isinstance(block, ToolResult):
            # Without `name`, which Bedrock rejects in a tool message.
            yield {"role": "tool", "tool_call_id": block.id, "content": "\n".join(result_texts(block))}
    calls = [write_call(block) for block in message.content if isinstance(block, ToolCall)]
    content = _content(message)
    if content or calls:
        wire: _Wire = {"role": message.role}
        if content:
            wire["content"] = content
        if calls:
            wire["tool_calls"] = calls
        yield wire


def _content(message: Message) -> str | list[_Wire]:
    """Return the content of a turn: a text if it has nothing else, since not all models take a list of parts."""
    blocks = [b for b in message.content if not isinstance(b, Reasoning | ToolCall | ToolResult)]
    if all(isinstance(block, Text | CitedText) for block in blocks):
        return joined_text(blocks, message.role)
    return [_part(block) for block in blocks]


def _part(block: Block) -> _Wire:
    match block:
        case Text(text):
            return {"type": "text", "text": text}
        case Image():
            return {"type": "image_url", "image_url": {"url": image_url(block)}}
        case Document():
            return {"type": "file", "file": {"filename": file_name(block), "file_data": file_data(block)}}
        case Audio():
            return {"type": "input_audio", "input_audio": {"data": blob(block.data or b""), "format": block.format}}
        case Raw(value):
            return dict(value)
        case CitedText():
            return {"type": "text", "text": block.text}
    raise AssertionError(block)  # `unsupported` has named it


def _tool(tool: Tool | _Wire) -> _Wire | None:
    return dict(tool) if isinstance(tool, dict) and is_own(tool) else write_tool(tool)
