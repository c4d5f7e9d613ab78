"""The comparison of an answer with its schema."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream.cli.schema_match import check_schema, first_mismatch
from bedrock_stream.errors import ConfigurationError

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
        ({"name": "a", "parts": [{}]}, TREE, "$.parts[0]: 'name' is a required property"),
        ({"name": 1}, TREE, "$.name: 1 is not of type 'string'"),
        (0, {"minimum": 1}, "$: 0 is less than the minimum of 1"),
        (1, {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}, "$: 1 is not of type 'string'"),
    ],
)
def test_mismatches(value: Any, schema: dict[str, Any], expected: str | None) -> None:
    assert first_mismatch(value, schema) == expected


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/schema", "#/nothing", "#"])
def test_a_reference_that_cannot_be_resolved_is_a_mismatch(reference: str) -> None:
    mismatch = first_mismatch(1, {"$ref": reference})
    assert mismatch is not None
    assert mismatch.startswith("the schema cannot be applied: ")


def test_a_schema_is_checked() -> None:
    check_schema(TREE)
    with pytest.raises(ConfigurationError, match=r"schema: is not a JSON Schema: .*'a type of the future'"):
        check_schema({"type": "a type of the future"})
