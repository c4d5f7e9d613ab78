"""The subset of JSON Schema that constrained decoding takes, for structured output."""

from __future__ import annotations

import json
import re
from typing import Any

from .refusal import invalid, malformed

__all__ = ("check_schema", "parse_schema")

# `minLength` and `maxLength` pass, though the documentation says that they do not.
_REFUSED = ("exclusiveMaximum", "exclusiveMinimum", "maxItems", "maximum", "minimum", "multipleOf")
# Lookaround, backreferences and escaped digits are refused; character classes such as `\d` are not.
_PATTERN = re.compile(r"\(\?[=!<]|\\\d")
_SCHEMAS = ("properties", "$defs", "definitions")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")


def parse_schema(output: dict[str, Any]) -> Any:
    """Return the schema of an `outputConfig`. Raises `Refusal`."""
    text = output.get("textFormat", {}).get("structure", {}).get("jsonSchema", {}).get("schema")
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        raise malformed("Unexpected type for member 'outputConfig': a schema as JSON text is expected.") from None


def check_schema(schema: Any, prefix: str) -> None:
    """Check a schema against the subset. Raises `Refusal`, its message beginning with `prefix`."""
    if isinstance(schema, dict):
        _check(schema, prefix)


def _check(schema: dict[str, Any], prefix: str) -> None:
    kind = schema.get("type")
    is_object = kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema
    if is_object and schema.get("additionalProperties") is not False:
        raise invalid(f"{prefix}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    for name in _REFUSED:
        if name in schema:
            raise invalid(f"{prefix}: For '{kind}' type, property '{name}' is not supported")
    if schema.get("minItems", 0) > 1:
        raise invalid(f"{prefix}: For 'array' type, 'minItems' values other than 0 or 1 are not supported")
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and _PATTERN.search(pattern):
        raise invalid(f"{prefix}: pattern {pattern!r} is not supported")
    for inner in _inner(schema):
        _check(inner, prefix)


def _inner(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner: list[Any] = [schema.get("items"), schema.get("not")]
    for name in _SCHEMAS:
        inner += (schema.get(name) or {}).values()
    for name in _LISTS:
        inner += schema.get(name) or ()
    return [item for item in inner if isinstance(item, dict)]
