"""Conversion of a conversation to items of the Responses API.

Each turn of text is a `message`; calls, results and reasoning are items beside it, in the order of the blocks.
Reasoning belongs to the item behind it: alone, the service refuses it.
Source: OpenAI's Responses reference, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...types.media import Document, Image
from ...types.messages import Block, CitedText, Json, Message, Raw, Reasoning, Text, ToolCall, ToolResult
from ..encoding import encode_text
from ..openai.attachments import file_data, file_name, image_url
from ..openai.ids import unqualified
from ..openai.tools import result_item, result_texts
from ..reasoning_items import unpack_item
from ..texts import joined_text

__all__ = ("write_items",)

_Wire = dict[str, Any]

# Blocks in this API's own words that are a part of a message; those of any other type are items.
_PARTS = ("input_", "output_text", "refusal")


def write_items(messages: Sequence[Message], previous: str | None, *, stored: bool) -> list[_Wire]:
    """Return the items of a conversation; `previous` is the id of the answer that the service continues.

    If the answers are `stored`, reasoning may be without its content: the service finds it by its id.
    """
    items: list[_Wire] = []
    for message in messages:
        items += _without_last_reasoning(_Turn(message.role, previous, stored=stored).items(message.content))
    return items


class _Turn:
    """The items of one message."""

    def __init__(self, role: str, previous: str | None, *, stored: bool) -> None:
        self._role = role
        self._previous = previous
        self._stored = stored
        self._items: list[_Wire] = []
        self._blocks: list[Block] = []  # of the message that is being collected

    def items(self, content: Sequence[Block]) -> list[_Wire]:
        for block in content:
            match block:
                case ToolCall():
                    members = {"name": block.name, "arguments": encode_text(block.input)}
                    self._add({"type": "function_call", "call_id": self._call_id(block.id), **members})
                case ToolResult():
                    output = _write_output(block)
                    self._add({"type": "function_call_output", "call_id": self._call_id(block.id), "output": output})
                case Reasoning():
                    if (item := self._reasoning(block)) is not None:
                        self._add(item)
                case Raw(value) if not value["type"].startswith(_PARTS):
                    self._add(dict(value))
                case _:
                    self._blocks.append(block)
        self._end_message()
        return self._items

    def _add(self, item: _Wire) -> None:
        self._end_message()
        self._items.append(item)

    def _end_message(self) -> None:
        blocks, self._blocks = self._blocks, []
        if not blocks:
            return
        content: str | list[_Wire]
        if all(isinstance(block, Text | CitedText) for block in blocks):
            content = joined_text(blocks, self._role)
        else:
            content = [_part(block, self._role) for block in blocks]
        self._items.append({"role": self._role, "content": content})

    def _call_id(self, call_id: str) -> str:
        """Return a call's id as the service knows it: an answer that it has kept has its own."""
        return call_id if self._previous is None else unqualified(self._previous, call_id)

    def _reasoning(self, block: Reasoning) -> _Wire | None:
        """Return the item of this API, or None for reasoning that is not one, or that nobody could find."""
        item = unpack_item(block.redacted)
        if item is None or not (self._stored or item.get("encrypted_content") or item.get("content")):
            return None
        return item


def _without_last_reasoning(items: list[_Wire]) -> list[_Wire]:
    while items and items[-1].get("type") == "reasoning":
        del items[-1]
    return items


def _part(block: Block | Json, role: str) -> _Wire:
    match block:
        case Text() | CitedText():
            return {"type": "output_text" if role == "assistant" else "input_text", "text": block.text}
        case Json(value):
            return {"type": "input_text", "text": encode_text(value)}
        case Image():
            return {"type": "input_image", "image_url": image_url(block)}
        case Document():
            return {"type": "input_file", "filename": file_name(block), "file_data": file_data(block)}
        case Raw(value):
            return dict(value)
    raise AssertionError(block)  # `unsupported` has named it


def _write_output(block: ToolResult) -> str | list[_Wire]:
    """Return the result of a call. It has no status: its text describes a failure."""
    items = [result_item(item) for item in block.content]
    if all(isinstance(item, Text | Json) for item in items):
        return "\n".join(result_texts(block))
    return [_part(item, "user") for item in items]
