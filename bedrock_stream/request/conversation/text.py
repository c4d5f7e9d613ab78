"""Blank text: the service refuses it in messages, tool results and system, so it is never sent.

Blank blocks are left out. White space between the parts of a cited text joins its neighbor, so that no text is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ...errors import ConfigurationError
from ...types.events import Citation
from ...types.media import Document
from ...types.messages import Block, CitedText, Message, Raw, Text, ToolResult
from ...types.options import Options
from ..unsupported import Refusals
from .blocks import is_blank, is_kind, is_point, with_content

__all__ = ("NO_CONTENT", "strip_last_text", "system_without_blanks", "without_blanks")

NO_CONTENT = "(no content)"
"""What a tool result without content says: the service refuses blank text and an empty list."""


def without_blanks(messages: tuple[Message, ...], refusals: Refusals) -> tuple[Message, ...]:
    """Return the messages without blank text, and with a text in each empty tool result.

    Raises `ConfigurationError` for a user message of blank text: without it, the conversation would be another one.
    """
    kept = []
    for number, message in enumerate(messages):
        path = f"messages[{number}].content"
        blocks = []
        for index, block in enumerate(message.content):
            fixed = _fixed(block, f"{path}[{index}]", refusals)
            if fixed is None and _is_separator(message.content, index):
                fixed = block
            if fixed is None:
                refusals.changed(f"blank text was left out: {path}[{index}]")
            else:
                blocks.append(fixed)
        if message.role == "user" and all(map(is_point, blocks)) and not all(map(is_point, message.content)):
            raise ConfigurationError(path, "has only blank text, which the service refuses", "omit the message")
        if blocks:
            kept.append(with_content(message, blocks))
    return tuple(kept)


def _is_separator(blocks: Sequence[Block], index: int) -> bool:
    """Return whether white space parts a document from a cache point: the service takes it there (recorded)."""
    if not 0 < index < len(blocks) - 1 or not is_point(blocks[index + 1]):
        return False
    match blocks[index]:
        case Text(text) | Raw({"text": str(text)}):
            return bool(text) and is_kind(blocks[index - 1], Document, "document")
    return False


def system_without_blanks(options: Options, refusals: Refusals) -> Options:
    """Return the options without blank text in `system`."""
    kept = tuple(item for item in options.system if not _is_blank_item(item))
    if len(kept) == len(options.system):
        return options
    refusals.changed("blank text was left out: system")
    return msgspec.structs.replace(options, system=kept)


def strip_last_text(messages: tuple[Message, ...], refusals: Refusals) -> tuple[Message, ...]:
    """Return the messages without white space at the end of the assistant's text that the model is to continue."""
    if not messages or messages[-1].role != "assistant":
        return messages
    blocks = list(messages[-1].content)
    at = next((index for index in reversed(range(len(blocks))) if not is_point(blocks[index])), None)
    if at is None:
        return messages
    match blocks[at]:
        case Text(text) if text != text.rstrip():
            blocks[at] = Text(text.rstrip())
        case CitedText((*rest, last)) as cited if last != last.rstrip():
            blocks[at] = msgspec.structs.replace(cited, texts=(*rest, last.rstrip()))
        case Raw({"text": str(text)} as value) if text != text.rstrip():
            blocks[at] = Raw({**value, "text": text.rstrip()})
        case _:
            return messages
    refusals.changed("white space at the end of the assistant's last text was left out")
    return (*messages[:-1], Message("assistant", blocks))


def _fixed(block: Block, path: str, refusals: Refusals) -> Block | None:
    """Return a block without blank text, None if nothing is left of it."""
    match block:
        case Text(text):
            return None if is_blank(text) else block
        case CitedText():
            return _cited(block, path, refusals)
        case ToolResult(kind=None):  # the content of other kinds is the service's own and is sent back unchanged
            content = _result_content(block.content, path, refusals)
            return block if content == block.content else msgspec.structs.replace(block, content=content)
        case Raw({"toolResult": {"content": list(items)} as result}) if "type" not in result:
            content = _result_content(tuple(map(Raw, items)), path, refusals)
            wires = [{"text": item.text} if isinstance(item, Text) else item.value for item in content]
            return block if wires == items else Raw({**block.value, "toolResult": {**result, "content": wires}})
        case Raw():
            value = _wire(block.value)
            return None if value is None else block if value is block.value else Raw(value)
    return block


def _result_content(items: tuple[Any, ...], path: str, refusals: Refusals) -> tuple[Any, ...]:
    kept = tuple(fixed for item in items if (fixed := _fixed(item, path, refusals)) is not None)
    if not kept:
        refusals.changed(f"an empty tool result says {NO_CONTENT!r}: {path}")
        return (Text(NO_CONTENT),)
    if len(kept) < len(items):
        refusals.changed(f"blank text was left out: {path}")
    return kept


def _cited(block: CitedText, path: str, refusals: Refusals) -> CitedText | None:
    texts = _joined(block.texts)
    if not texts:
        return None
    citations = tuple(map(_with_joined_source, block.citations))
    if (texts, citations) == (block.texts, block.citations):
        return block
    refusals.changed(f"blank parts of a cited text were joined with the parts beside them: {path}")
    return CitedText(texts, citations)


def _with_joined_source(citation: Citation) -> Citation:
    content = _joined(citation.source_content)
    return citation if content == citation.source_content else msgspec.structs.replace(citation, source_content=content)


def _joined(parts: Iterable[str]) -> tuple[str, ...]:
    """Return the parts with blank ones joined to a neighbor; nothing if all are blank."""
    joined: list[str] = []
    leading = ""
    for part in parts:
        if not is_blank(part):
            joined.append(leading + part)
            leading = ""
        elif joined:
            joined[-1] += part
        else:
            leading += part
    return tuple(joined)


def _wire(value: dict[str, Any]) -> dict[str, Any] | None:
    """Return a block in the wire's format without blank text, None if nothing is left. The same object if unchanged."""
    match value:
        case {"text": str(text)} | {"guardContent": {"text": {"text": str(text)}}}:
            return None if is_blank(text) else value
        case {"citationsContent": {"content": list(items)} as inner}:
            key = "citationsContent"
        case {"searchResult": {"content": list(items)} as inner}:
            key = "searchResult"
        case _:
            return value
    kept = [item for item in items if not _is_blank_item(item)]
    if len(kept) == len(items):
        return value
    return {**value, key: {**inner, "content": kept}} if kept else None


def _is_blank_item(item: Any) -> bool:
    if isinstance(item, Text):
        return is_blank(item.text)
    return isinstance(item, dict) and _wire(item) is None
