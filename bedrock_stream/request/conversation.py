"""What Bedrock demands of a whole conversation, mended where that loses nothing and refused where it would.

Mended: tool ids with characters that the service does not take (the same way in calls and results), and a history with
tool calls whose tools are not offered any more. Refused, with the place: results for calls that nobody made, documents
without a text beside them, more attachments than the service takes in one message.
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

_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_MOST_IMAGES = 20
_MOST_DOCUMENTS = 5
_MEBIBYTE = 1024 * 1024
# In mebibytes, by the documentation of Converse; the native forms have limits of their own.
_LARGEST = {Image: 3.75, Document: 4.5}


def uses_tools(messages: Sequence[Message]) -> bool:
    """Whether the history holds tool calls or results."""
    return any(True for _, block in _all_blocks(messages) if (_call_id(block), _result_id(block)) != (None, None))


def normalize_conversation(messages: tuple[Message, ...], options: Options) -> tuple[tuple[Message, ...], Options]:
    """The conversation as Bedrock takes it."""
    _check_results(messages)
    _check_attachments(messages)
    messages = tuple(_with_safe_ids(message) for message in messages)
    if not options.tools and uses_tools(messages) and "toolConfig" not in options.extra:
        # Bedrock demands the tools of a history that used some, whether or not they may be used again.
        options = msgspec.structs.replace(options, tools=tuple(_stubs(messages)))
    return messages, options


def _stubs(messages: Sequence[Message]) -> Iterator[Tool]:
    names = {name: None for _, block in _all_blocks(messages) if (name := _call_name(block)) is not None}
    for name in names or {"unknown_tool": None}:
        yield Tool(name=name, description="Used earlier in this conversation; not available any more.")


def _check_results(messages: Sequence[Message]) -> None:
    """A result follows the call of its id."""
    called: set[str] = set()
    for place, block in _all_blocks(messages):
        if (made := _call_id(block)) is not None:
            called.add(made)
        answered = _result_id(block)
        if answered is not None and answered not in called:
            raise ConfigurationError(
                place,
                f"a tool result for {answered!r}, which no call before it made",
                "put the assistant's message before it",
            )


def _check_attachments(messages: Sequence[Message]) -> None:
    """Source: the restrictions of Message.content in the Bedrock Runtime service model."""
    for number, message in enumerate(messages):
        images = documents = 0
        has_text = any(_is_text(block) for block in message.content)
        for index, block in enumerate(message.content):
            place = f"messages[{number}].content[{index}]"
            if _is(block, Image, "image"):
                images += 1
                _limit(place, images, _MOST_IMAGES, "image")
            if _is(block, Document, "document"):
                documents += 1
                _limit(place, documents, _MOST_DOCUMENTS, "document")
                if not has_text:
                    raise ConfigurationError(place, "a document without a text beside it", "add a Text to the message")


def check_sizes(messages: Sequence[Message]) -> None:
    """Refuse an attachment that is too large for Converse."""
    for place, block in _all_blocks(messages):
        largest = _LARGEST.get(type(block))
        data = getattr(block, "data", None)
        if largest is not None and data is not None and len(data) > largest * _MEBIBYTE:
            kind = type(block).__name__.lower()
            problem = f"the {kind} has {len(data)} bytes; {largest:g} MB are the most that Converse takes"
            raise ConfigurationError(place, problem, "make it smaller, or put it into S3")


def _limit(place: str, count: int, most: int, what: str) -> None:
    if count > most:
        raise ConfigurationError(place, f"it is {what} number {count} of the message", f"{most} are the most")


def _with_safe_ids(message: Message) -> Message:
    blocks = tuple(_with_safe_id(block) for block in message.content)
    return message if blocks == message.content else Message(message.role, blocks)


def _with_safe_id(block: Block) -> Block:
    if isinstance(block, ToolCall | ToolResult) and not _ID.fullmatch(block.id):
        return msgspec.structs.replace(block, id=_safe_id(block.id))
    if isinstance(block, Raw):  # a typed result may answer a raw call, and the other way round
        for key, read in (("toolUse", _raw_call), ("toolResult", _raw_result)):
            raw = read(block)
            if raw is not None and not _ID.fullmatch(raw):
                return Raw({**block.value, key: {**block.value[key], "toolUseId": _safe_id(raw)}})
    return block


def _safe_id(id: str) -> str:
    """Another id, the same for the same, and still different for different ones."""
    from hashlib import sha256

    digest = sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{re.sub(r'[^a-zA-Z0-9_.:-]', '_', id)[:48]}_{digest[:12]}"


def _all_blocks(messages: Sequence[Message]) -> Iterator[tuple[str, Block]]:
    for number, message in enumerate(messages):
        for index, block in enumerate(message.content):
            yield f"messages[{number}].content[{index}]", block


def _of_raw(key: str, member: str) -> Callable[[Block], str | None]:
    def read(block: Block) -> str | None:
        inner: Any = block.value.get(key) if isinstance(block, Raw) else None
        value = inner.get(member) if isinstance(inner, dict) else None
        return value if isinstance(value, str) else None

    return read


_raw_call, _raw_name, _raw_result = (
    _of_raw("toolUse", "toolUseId"),
    _of_raw("toolUse", "name"),
    _of_raw("toolResult", "toolUseId"),
)


def _call_id(block: Block) -> str | None:
    return block.id if isinstance(block, ToolCall) else _raw_call(block)


def _call_name(block: Block) -> str | None:
    return block.name if isinstance(block, ToolCall) else _raw_name(block)


def _result_id(block: Block) -> str | None:
    return block.id if isinstance(block, ToolResult) else _raw_result(block)


def _is_text(block: Block) -> bool:
    return isinstance(block, Text | CitedText) or (isinstance(block, Raw) and "text" in block.value)


def _is(block: Block, kind: type, key: str) -> bool:
    return isinstance(block, kind) or (isinstance(block, Raw) and key in block.value)
