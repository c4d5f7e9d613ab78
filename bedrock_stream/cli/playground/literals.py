"""Values as Python source: JSON values, and the structs of messages with the names of their classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = ("WIDTH", "indented", "literal", "quoted")

WIDTH = 100
"""Characters of a line, if its values can be broken."""


def literal(value: Any, names: set[str], indent: int = 0) -> str:
    """Return a value as Python. The names of classes that it needs are added to `names`."""
    flat = _join(value, [literal(part, names) for part in _parts(value)], names)
    if len(flat) + indent <= WIDTH or not _parts(value):
        return flat
    return _join(value, [literal(part, names, indent + 4) for part in _parts(value)], names, indent)


def _parts(value: Any) -> list[Any]:
    match value:
        case msgspec.Struct():
            return list(_set_fields(value).values())
        case dict():
            return list(value.values())
        case list() | tuple():
            return list(value)
    return []


def _join(value: Any, parts: list[str], names: set[str], indent: int | None = None) -> str:
    match value:
        case msgspec.Struct():
            names.add(type(value).__name__)
            fields = [f"{name}={part}" for name, part in zip(_set_fields(value), parts, strict=True)]
            return f"{type(value).__name__}({_row(fields, indent)})"
        case dict():
            return f"{{{_row((f'{quoted(name)}: {part}' for name, part in zip(value, parts, strict=True)), indent)}}}"
        case list() | tuple():
            return f"[{_row(parts, indent)}]"
        case str():
            return quoted(value)
    return repr(value)


def quoted(text: str) -> str:
    """Return a string literal with double quotes, unless that needs more escapes."""
    return repr(text) if '"' in text or "'" in text or "\\" in repr(text) else f'"{text}"'


def _row(items: Iterable[str], indent: int | None) -> str:
    return ", ".join(items) if indent is None else indented(items, indent)


def indented(items: Iterable[str], indent: int) -> str:
    """Return items with one on each line, four characters deeper than `indent`."""
    inner = " " * (indent + 4)
    return "\n" + "".join(f"{inner}{item},\n" for item in items) + " " * indent


def _set_fields(value: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a struct that differ from their defaults."""
    kept = {}
    for field in msgspec.structs.fields(type(value)):
        current = getattr(value, field.name)
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        if default is msgspec.NODEFAULT or current != default:
            kept[field.name] = current
    return kept
