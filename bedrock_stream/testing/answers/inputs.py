"""Tool inputs: an object with the properties that a JSON Schema requires, filled with values from the prompt.

Strings and numbers are the quoted words, names and numbers of the prompt in order, else values that the schema allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf
from typing import Any

__all__ = ("make_input",)

_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|(?<!\w)'([^']+)'(?!\w)")
_NAMED = re.compile(r"(?<=[\w,] )[A-Z][\w-]*(?: [A-Z][\w-]*)*")  # capitalized words inside a sentence
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)")
# Properties that take the complete prompt if it has no quoted words or names.
_PROMPT_PROPERTIES = frozenset({"input", "message", "prompt", "query", "question", "text"})
_FORMATS = {
    "date": "2025-07-01",
    "date-time": "2025-07-01T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_MAX_DEPTH = 8  # a schema can refer to itself


def make_input(schema: dict[str, Any], prompt: str) -> dict[str, Any]:
    """Build an input for a schema. The same schema and prompt always give the same input."""
    value = _Filler(schema, prompt).fill(schema, "input", _MAX_DEPTH)
    return value if isinstance(value, dict) else {}


class _Filler:
    def __init__(self, root: dict[str, Any], prompt: str) -> None:
        self._root = root
        self._prompt = prompt
        quoted = ["".join(groups) for groups in _QUOTED.findall(prompt)]
        self._words: Iterator[str] = iter(quoted or _NAMED.findall(prompt))
        self._numbers = iter(_NUMBER.findall(prompt))

    def fill(self, schema: Any, name: str, depth: int) -> Any:
        schema = self._resolve(schema)
        if depth == 0:
            return None
        for keyword in ("const", "default"):
            if keyword in schema:
                return schema[keyword]
        if schema.get("enum"):
            return self._choose(schema["enum"])
        match _kind(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return [self.fill(schema.get("items", {}), name, depth - 1)] * max(1, schema.get("minItems", 1))
            case "integer":
                return int(self._number(schema))
            case "number":
                return self._number(schema)
            case "boolean":
                return True
            case "null":
                return None
        return self._string(schema, name)

    def _resolve(self, schema: Any) -> dict[str, Any]:
        for _ in range(_MAX_DEPTH):
            if not isinstance(schema, dict):
                return {}
            if isinstance(schema.get("$ref"), str):
                schema = self._follow(schema["$ref"])
                continue
            options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
            if not options:
                return schema
            schema = next((option for option in options if option != {"type": "null"}), {})
        return {}

    def _follow(self, reference: str) -> Any:
        target: Any = self._root
        for part in reference.removeprefix("#").split("/"):
            if part:
                # JSON Pointer escapes `/` as `~1` and `~` as `~0`.
                target = target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
        return target

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties: dict[str, Any] = schema.get("properties", {})
        names = schema.get("required") or list(properties)
        return {name: self.fill(properties.get(name, {}), name, depth - 1) for name in names}

    def _choose(self, values: list[Any]) -> Any:
        prompt = self._prompt.lower()
        return next((value for value in values if str(value).lower() in prompt), values[0])

    def _number(self, schema: dict[str, Any]) -> float:
        value = float(next(self._numbers, schema.get("minimum", 1)))
        value = float(min(max(value, schema.get("minimum", -inf)), schema.get("maximum", inf)))
        return int(value) if value.is_integer() else value

    def _string(self, schema: dict[str, Any], name: str) -> str:
        value = _FORMATS.get(schema.get("format", ""))
        if value is None:
            default = self._prompt if name.lower() in _PROMPT_PROPERTIES and self._prompt else name
            value = next(self._words, default)
        value = value[: schema.get("maxLength", len(value))]
        return str(value.ljust(schema.get("minLength", 0), "x"))


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((option for option in kind if option != "null"), "null")
    return kind if isinstance(kind, str) else "object" if "properties" in schema else "string"
