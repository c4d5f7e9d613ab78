"""Compare a value with a JSON Schema as far as models go astray: types, members, allowed values, local references.

Other keywords (`pattern`, `minimum`, `format`, ...) are not compared. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..types.checks import is_integer, is_number

__all__ = ("first_mismatch",)

_MOST_STEPS = 100  # nested references; a schema may refer to itself

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: is_integer(value) or (isinstance(value, float) and value.is_integer()),
    "number": is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def first_mismatch(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Return where a value first differs from a schema, and how; None if it matches.

    >>> first_mismatch({"age": "6"}, {"type": "object", "properties": {"age": {"type": "integer"}}})
    '$.age: expected integer, got str'
    """
    return next(_mismatches(value, schema, schema, "$", 0), None)


def _mismatches(value: Any, schema: Any, root: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
    if schema is False:
        yield f"{path}: nothing is allowed here"
    if not isinstance(schema, Mapping) or depth > _MOST_STEPS:
        return
    if isinstance(reference := schema.get("$ref"), str):
        yield from _mismatches(value, _resolve(reference, root), root, path, depth + 1)
    yield from _of_value(value, schema, path)
    for part in schema.get("allOf", ()):
        yield from _mismatches(value, part, root, path, depth + 1)
    for word in ("anyOf", "oneOf"):
        parts = schema.get(word)
        if parts and all(any(_mismatches(value, part, root, path, depth + 1)) for part in parts):
            yield f"{path}: matches no part of {word}"
    if isinstance(value, dict):
        yield from _of_members(value, schema, root, path, depth)
    elif isinstance(value, list) and (items := schema.get("items")) is not None:
        for index, item in enumerate(value):
            yield from _mismatches(item, items, root, f"{path}[{index}]", depth + 1)


def _of_value(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if kinds and not any(kind not in _TYPES or _TYPES[kind](value) for kind in kinds):
        yield f"{path}: expected {' or '.join(kinds)}, got {type(value).__name__}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r:.100} is not one of the allowed values"
    if "const" in schema and value != schema["const"]:
        yield f"{path}: expected {schema['const']!r:.100}, got {value!r:.100}"


def _of_members(
    value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], path: str, depth: int
) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}: {name!r} is missing"
    rest = schema.get("additionalProperties", True)
    for name, member in value.items():
        if name in properties:
            yield from _mismatches(member, properties[name], root, f"{path}.{name}", depth + 1)
        elif rest is False and "patternProperties" not in schema:
            yield f"{path}: {name!r} is not allowed"
        elif rest is not False:
            yield from _mismatches(member, rest, root, f"{path}.{name}", depth + 1)


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    """Return the part of the schema that a local reference such as `#/$defs/Item` names; anything else is ignored."""
    found: Any = root
    for name in reference.removeprefix("#").split("/")[1:] if reference.startswith("#") else ["?"]:
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found
