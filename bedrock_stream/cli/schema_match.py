"""Compare a value with a JSON Schema. References to other documents are not fetched. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError

__all__ = ("check_schema", "first_mismatch")


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` for a schema that is not JSON Schema."""
    from jsonschema import SchemaError  # loaded only by commands that take a schema

    try:
        _validator(schema).check_schema(schema)
    except (SchemaError, RecursionError) as error:
        raise ConfigurationError("schema", f"is not a JSON Schema: {_reason(error)}") from None


def first_mismatch(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Return where a value differs most plainly from a schema, and how; None if it matches.

    >>> first_mismatch({"age": "6"}, {"type": "object", "properties": {"age": {"type": "integer"}}})
    "$.age: '6' is not of type 'integer'"
    """
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        error = best_match(_validator(schema).iter_errors(value))
    except (Unresolvable, RecursionError) as failure:
        return f"the schema cannot be applied: {_reason(failure)}"
    return None if error is None else f"{error.json_path}: {_reason(error)}"


def _validator(schema: Mapping[str, Any]) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from referencing import Registry

    # The default registry fetches references to other documents from the network.
    return validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())


def _reason(error: Exception) -> str:
    return str(getattr(error, "message", error))[:300]
