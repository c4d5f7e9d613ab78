"""The comparison of an answer with its schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.cli.schema_match import first_mismatch

TREE: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "parts": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        ({"name": "a", "parts": [{"name": "b"}]}, TREE, None),
        ({"name": "a", "parts": [{}]}, TREE, "$.parts[0]: 'name' is missing"),
        ({"name": 1}, TREE, "$.name: expected string, got int"),
        ({"name": "a", "age": 1}, TREE, "$: 'age' is not allowed"),
        ([], TREE, "$: expected object, got list"),
        (1.0, {"type": "integer"}, None),
        (True, {"type": "integer"}, "$: expected integer, got bool"),
        (None, {"type": ["string", "null"]}, None),
        ("c", {"enum": ["a", "b"]}, "$: 'c' is not one of the allowed values"),
        ("c", {"const": "b"}, "$: expected 'b', got 'c'"),
        (1, {"anyOf": [{"type": "string"}, {"type": "null"}]}, "$: matches no part of anyOf"),
        (1, {"oneOf": [{"type": "string"}, {"type": "number"}]}, None),
        (1, {"allOf": [{"type": "number"}, {"const": 2}]}, "$: expected 2, got 1"),
        ({"a": 1}, {"additionalProperties": {"type": "string"}}, "$.a: expected string, got int"),
        ({"a": 1}, {"properties": {"a": False}}, "$.a: nothing is allowed here"),
        (1, {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}, "$: expected string, got int"),
        (1, {"$ref": "https://example.com/schema"}, None),
        (1, {"$ref": "#"}, None),
        (1, {"type": "a type of the future"}, None),
    ],
)
def test_mismatches(value: Any, schema: dict[str, Any], expected: str | None) -> None:
    assert first_mismatch(value, schema) == expected


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(value=_JSON, schema=st.dictionaries(st.sampled_from(["enum", "const", "title"]), st.lists(_JSON, max_size=3)))
def test_any_value_is_compared(value: Any, schema: dict[str, Any]) -> None:
    first_mismatch(value, schema)
