"""Read what the rules need from typed blocks and from a caller's blocks in Converse's own format alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...types.messages import Block, CachePoint, CitedText, Message, Raw, Reasoning, Text, ToolCall, ToolResult

__all__ = (
    "all_blocks", "call_id", "call_name", "is_blank", "is_item", "is_kind", "is_plain_text", "is_point", "is_reasoning",
    "is_result", "is_text", "is_tool_block", "result_id", "with_content",
)  # fmt: skip


def is_blank(text: str) -> bool:
    """Return whether the service refuses a text: it is empty or white space."""
    return not text or text.isspace()


def is_plain_text(messages: Sequence[Message]) -> bool:
    """Return whether every message has text that is not blank and nothing else: most rules are about other blocks."""
    for message in messages:
        if not message.content:
            return False
        for block in message.content:
            if type(block) is not Text or is_blank(block.text):
                return False
    return True


def all_blocks(messages: Sequence[Message]) -> Iterator[tuple[str, Block]]:
    """Yield each block with its path."""
    for number, message in enumerate(messages):
        for index, block in enumerate(message.content):
            yield f"messages[{number}].content[{index}]", block


def _raw_reader(key: str, member: str) -> Callable[[Block], str | None]:
    """Return a reader of one str in a raw block, which returns None for blocks of another kind or shape."""

    def read(block: Block) -> str | None:
        inner: Any = block.value.get(key) if isinstance(block, Raw) else None
        value = inner.get(member) if isinstance(inner, dict) else None
        return value if isinstance(value, str) else None

    return read


_raw_call, _raw_name, _raw_result = (
    _raw_reader("toolUse", "toolUseId"),
    _raw_reader("toolUse", "name"),
    _raw_reader("toolResult", "toolUseId"),
)


def call_id(block: Block) -> str | None:
    """Return the id of a tool call, None for another block."""
    return block.id if isinstance(block, ToolCall) else _raw_call(block)


def call_name(block: Block) -> str | None:
    """Return the name in a tool call, None for another block."""
    return block.name if isinstance(block, ToolCall) else _raw_name(block)


def result_id(block: Block) -> str | None:
    """Return the id in a tool result, None for another block."""
    return block.id if isinstance(block, ToolResult) else _raw_result(block)


def is_result(block: Block) -> bool:
    """Return whether a block is a tool result."""
    return is_kind(block, ToolResult, "toolResult")


def is_tool_block(block: Block) -> bool:
    """Return whether a block is a tool call or a tool result, with an id."""
    return call_id(block) is not None or result_id(block) is not None


def is_point(item: Any) -> bool:
    """Return whether an item of messages, system or tools is a cache point."""
    wire = item.value if isinstance(item, Raw) else item
    return isinstance(item, CachePoint) or (isinstance(wire, dict) and isinstance(wire.get("cachePoint"), dict))


def is_reasoning(block: Block) -> bool:
    """Return whether a block is reasoning. The types of raw blocks are those of the Messages API."""
    if isinstance(block, Raw):
        return "reasoningContent" in block.value or block.value.get("type") in ("thinking", "redacted_thinking")
    return isinstance(block, Reasoning)


# Of tools that the service runs, and of the caller's own that are not functions; no type of Claude's ends like this.
_ITEM = re.compile(r"\w+_(call|call_output|list_tools|approval_request|approval_response)")


def is_item(block: Block) -> bool:
    """Return whether a raw block is an item of the Responses API that has no typed form."""
    kind = block.value.get("type") if isinstance(block, Raw) else None
    if kind == "compaction":  # Claude has a block of this type as well, with readable content
        return isinstance(block, Raw) and "encrypted_content" in block.value
    return isinstance(kind, str) and _ITEM.fullmatch(kind) is not None


def is_text(block: Block) -> bool:
    """Return whether a block is text that is not blank."""
    if isinstance(block, Text | CitedText):
        return not is_blank(block.text)
    text = block.value.get("text") if isinstance(block, Raw) else None
    return isinstance(text, str) and not is_blank(text)


def is_kind(block: Block, kind: type, key: str) -> bool:
    """Return whether a block is of this type, or has this key in Converse's format."""
    return isinstance(block, kind) or (isinstance(block, Raw) and key in block.value)


def with_content(message: Message, content: Sequence[Block]) -> Message:
    """Return a message with these blocks; the same object if they are equal."""
    blocks = tuple(content)
    return message if blocks == message.content else Message(message.role, blocks)
