"""Bedrock's rules for a whole conversation: fix what can be fixed without loss, and reject the rest with its path.

Fixed: tool-use ids with characters that the service does not accept (the same way in calls and results), and a history
with tool calls whose tools are no longer offered. Rejected: results without a call, documents without a text in the
same message, and more attachments than the service accepts in one message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from ..errors import ConfigurationError
from ..types.media import Document, Image
from ..types.messages import Block, CitedText, Message, Raw, Text, ToolCall, ToolResult
from ..types.options import Options
from ..types.tools import Tool

__all__ = ("check_sizes", "normalize_conversation", "uses_tools")

# The pattern of `toolUseId` in the Bedrock Runtime service model.
_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_MAX_IMAGES = 20
_MAX_DOCUMENTS = 5
_MEBIBYTE = 1024 * 1024
# In mebibytes, from the documentation of Converse. The native formats have limits of their own.
_MAX_SIZES = {Image: 3.75, Document: 4.5}


def uses_tools(messages: Sequence[Message]) -> bool:
    """Return whether the history contains tool calls or results."""
    return any(True for _, block in _all_blocks(messages) if (_call_id(block), _result_id(block)) != (None, None))


def normalize_conversation(messages: tuple[Message, ...], options: Options) -> tuple[tuple[Message, ...], Options]:
    """Return the conversation in a form that Bedrock accepts. Raises `ConfigurationError` for what cannot be fixed."""
    _check_results(messages)
    _check_attachments(messages)
    messages = tuple(_with_safe_ids(message) for message in messages)
    if not options.tools and uses_tools(messages) and "toolConfig" not in options.extra:
        # Tool blocks in the history require a `toolConfig`, even if no tool may be called again.
        options = msgspec.structs.replace(options, tools=tuple(_stubs(messages)))
    return messages, options


def _stubs(messages: Sequence[Message]) -> Iterator[Tool]:
    names = {name: None for _, block in _all_blocks(messages) if (name := _call_name(block)) is not None}
    # A raw call may lack its name, but `toolConfig` needs at least one tool.
    for name in names or {"unknown_tool": None}:
        yield Tool(name=name, description="Used earlier in this conversation; not available any more.")


def _check_results(messages: Sequence[Message]) -> None:
    """Raise `ConfigurationError` for a result that no earlier call has the id of."""
    called: set[str] = set()
    for path, block in _all_blocks(messages):
        if (call_id := _call_id(block)) is not None:
            called.add(call_id)
        result_id = _result_id(block)
        if result_id is not None and result_id not in called:
            raise ConfigurationError(
                path,
                f"the tool result for {result_id!r} has no preceding tool call",
                "put the assistant message with the call before it",
            )


def _check_attachments(messages: Sequence[Message]) -> None:
    """Source: the restrictions of Message.content in the Bedrock Runtime service model."""
    for number, message in enumerate(messages):
        images = documents = 0
        has_text = any(_is_text(block) for block in message.content)
        for index, block in enumerate(message.content):
            path = f"messages[{number}].content[{index}]"
            if _is_kind(block, Image, "image"):
                images += 1
                _check_count(path, images, _MAX_IMAGES, "image")
            if _is_kind(block, Document, "document"):
                documents += 1
                _check_count(path, documents, _MAX_DOCUMENTS, "document")
                # The text may be anywhere in the same message, but not in another one.
                if not has_text:
                    raise ConfigurationError(
                        path, "a document requires a text block in the same message", "add a Text to the message"
                    )


def check_sizes(messages: Sequence[Message]) -> None:
    """Raise `ConfigurationError` for an image or a document that is too large for Converse."""
    for path, block in _all_blocks(messages):
        limit = _MAX_SIZES.get(type(block))
        # An attachment in S3 has no data here. The service checks its size.
        data = getattr(block, "data", None)
        if limit is not None and data is not None and len(data) > limit * _MEBIBYTE:
            kind = type(block).__name__.lower()
            problem = f"the {kind} has {len(data)} bytes, Converse accepts at most {limit:g} MB"
            raise ConfigurationError(path, problem, "make it smaller, or upload it to S3")


def _check_count(path: str, count: int, limit: int, kind: str) -> None:
    if count > limit:
        problem = f"expected at most {limit} {kind}s in a message, this is number {count}"
        raise ConfigurationError(path, problem, "send fewer in one message")


def _with_safe_ids(message: Message) -> Message:
    blocks = tuple(_with_safe_id(block) for block in message.content)
    return message if blocks == message.content else Message(message.role, blocks)


def _with_safe_id(block: Block) -> Block:
    if isinstance(block, ToolCall | ToolResult) and not _ID.fullmatch(block.id):
        return msgspec.structs.replace(block, id=_safe_id(block.id))
    if isinstance(block, Raw):  # a typed result may refer to a raw call, and vice versa
        for key, read in (("toolUse", _raw_call), ("toolResult", _raw_result)):
            raw_id = read(block)
            if raw_id is not None and not _ID.fullmatch(raw_id):
                return Raw({**block.value, key: {**block.value[key], "toolUseId": _safe_id(raw_id)}})
    return block


def _safe_id(id: str) -> str:
    """Map an id to one that the service accepts: equal ids stay equal, different ids stay different."""
    from hashlib import sha256

    digest = sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
    # 48 readable characters, `_` and 12 digits of the hash: 61 of the 64 that are allowed.
    return f"{re.sub(r'[^a-zA-Z0-9_.:-]', '_', id)[:48]}_{digest[:12]}"


def _all_blocks(messages: Sequence[Message]) -> Iterator[tuple[str, Block]]:
    for number, message in enumerate(messages):
        for index, block in enumerate(message.content):
            yield f"messages[{number}].content[{index}]", block


def _raw_reader(key: str, member: str) -> Callable[[Block], str | None]:
    """Return a reader of one str in a raw block, which yields None for blocks of another kind or shape."""

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


def _call_id(block: Block) -> str | None:
    return block.id if isinstance(block, ToolCall) else _raw_call(block)


def _call_name(block: Block) -> str | None:
    return block.name if isinstance(block, ToolCall) else _raw_name(block)


def _result_id(block: Block) -> str | None:
    return block.id if isinstance(block, ToolResult) else _raw_result(block)


def _is_text(block: Block) -> bool:
    return isinstance(block, Text | CitedText) or (isinstance(block, Raw) and "text" in block.value)


def _is_kind(block: Block, kind: type, key: str) -> bool:
    return isinstance(block, kind) or (isinstance(block, Raw) and key in block.value)
