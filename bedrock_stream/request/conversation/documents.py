"""Names of documents in Converse: legal, and unique over the whole request.

A name depends only on the document and those before it, so it stays the same while the conversation grows: another name
would miss the prompt cache, and the model would not know the document any more.
Source: DocumentBlock in the Bedrock Runtime service model; "Messages can't contain duplicate document names."
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unicodedata import combining, normalize

import msgspec

from ...types.media import Document
from ...types.messages import Message, Raw, ToolResult
from ..unsupported import Refusals
from .blocks import with_content

__all__ = ("with_document_names",)

_MAX_LENGTH = 200
_DEFAULT = "document"
# The service takes `_` too, though the service model does not list it.
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_()\[\]\s-]", re.ASCII)
_ILLEGAL = re.compile(r"\s\s|[^a-zA-Z0-9_()\[\]\s-]", re.ASCII)


def with_document_names(messages: tuple[Message, ...], refusals: Refusals) -> tuple[Message, ...]:
    """Return the messages with a legal and unique name for each document, in tool results too."""
    names = _Names(refusals)
    return tuple(with_content(message, [names.named(block) for block in message.content]) for message in messages)


class _Names:
    """The names that a request has so far."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._taken: set[str] = set()

    def named(self, block: Any) -> Any:
        """Return a block with the names of its documents."""
        match block:
            case Document(name=name):
                new = self._name(name)
                return block if new == name else msgspec.structs.replace(block, name=new)
            case ToolResult(content=items):
                content = tuple(map(self.named, items))
                return block if content == items else msgspec.structs.replace(block, content=content)
            case Raw(value):
                wire = self._wire(value)
                return block if wire == value else Raw(wire)
        return block

    def _wire(self, value: dict[str, Any]) -> dict[str, Any]:
        match value:
            case {"document": dict(document)}:
                return {**value, "document": {**document, "name": self._name(document.get("name"))}}
            case {"toolResult": {"content": list(items)} as result}:
                content = [self._wire(item) if isinstance(item, dict) else item for item in items]
                return {**value, "toolResult": {**result, "content": content}}
        return value

    def _name(self, given: Any) -> str:
        base = _legal(given) if isinstance(given, str) else _DEFAULT
        name = next(name for name in _variants(base) if name not in self._taken)
        self._taken.add(name)
        if name != given:
            self._refusals.changed(f"the document name {given!r} became {name!r}")
        return name


def _variants(base: str) -> Iterator[str]:
    yield base
    number = 2
    while True:
        suffix = f" ({number})"
        yield f"{base[: _MAX_LENGTH - len(suffix)].rstrip()}{suffix}"
        number += 1


def _legal(name: str) -> str:
    """Return the name with single spaces in place of characters that the service refuses, accents removed."""
    if len(name) <= _MAX_LENGTH and name.strip() and not _ILLEGAL.search(name):
        return name
    letters = "".join(char for char in normalize("NFKD", name) if not combining(char))
    return " ".join(_NOT_IN_NAMES.sub(" ", letters).split())[:_MAX_LENGTH].strip() or _DEFAULT
