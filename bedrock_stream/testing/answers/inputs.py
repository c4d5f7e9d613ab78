"""An input for an offered tool: what its JSON Schema requires, filled with what the prompt offers.

Not a model's guess, only a stable one: quoted words, names and numbers of the prompt in their order, else a value that
the schema allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf
from typing import Any

__all__ = ("make_input",)

_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|(?<!\w)'([^']+)'(?!\w)")
_NAMED = re.compile(r"(?<=[\w,] )[A-Z][\w-]*(?: [A-Z][\w-]*)*")  # capitals that do not begin a sentence
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w)")
_WHOLE_PROMPT = frozenset({"input", "message", "prompt", "query", "question", "text"})
_FORMATS = {
    "date": "2025-07-01",
    "date-time": "2025-07-01T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_DEEPEST = 8  # a schema may refer to itself


def make_input(schema: dict[str, Any], prompt: str) -> dict[str, Any]:
    """The same schema and prompt always give the same input."""
    value = _Filler(schema, prompt).fill(schema, "input", _DEEPEST)
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
        for word in ("const", "default"):
            if word in schema:
                return schema[word]
        if schema.get("enum"):
            return self._chosen(schema["enum"])
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
        for _ in range(_DEEPEST):
            if not isinstance(schema, dict):
                return {}
            if isinstance(schema.get("$ref"), str):
                schema = self._referred(schema["$ref"])
                continue
            options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
            if not options:
                return schema
            schema = next((option for option in options if option != {"type": "null"}), {})
        return {}

    def _referred(self, reference: str) -> Any:
        target: Any = self._root
        for part in reference.removeprefix("#").split("/"):
            if part:
                target = target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) else None
        return target

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties: dict[str, Any] = schema.get("properties", {})
        wanted = schema.get("required") or list(properties)
        return {name: self.fill(properties.get(name, {}), name, depth - 1) for name in wanted}

    def _chosen(self, values: list[Any]) -> Any:
        prompt = self._prompt.lower()
        return next((value for value in values if str(value).lower() in prompt), values[0])

    def _number(self, schema: dict[str, Any]) -> float:
        value = float(next(self._numbers, schema.get("minimum", 1)))
        value = float(min(max(value, schema.get("minimum", -inf)), schema.get("maximum", inf)))
        return int(value) if value.is_integer() else value

    def _string(self, schema: dict[str, Any], name: str) -> str:
        known = _FORMATS.get(schema.get("format", ""))
        if known is None:
            known = next(self._words, self._prompt if name.lower() in _WHOLE_PROMPT and self._prompt else name)
        cut = known[: schema.get("maxLength", len(known))]
        return str(cut.ljust(schema.get("minLength", 0), "x"))


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((option for option in kind if option != "null"), "null")
    return kind if isinstance(kind, str) else "object" if "properties" in schema else "string"
