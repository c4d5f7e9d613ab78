"""Values as types in pydantic models and FastAPI endpoints. Imported by `Value` when pydantic asks for it.

Input is a value, or its JSON form as dicts, whose bytes are base64; output is the JSON form. Both are msgspec's: what
`Message.to_json` writes and what an SSE endpoint sends. The JSON Schema contains no references, because those of
msgspec and pydantic do not fit together.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Annotated, Any

import msgspec
from pydantic import TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError, core_schema, to_jsonable_python

__all__ = ("core_schema_of",)

_REFERENCE = "#/$defs/{name}"


def core_schema_of(cls: type[Any], source: Any, handler: Any) -> core_schema.CoreSchema:
    """Return the core schema of a class; `source` is the class or, for a generic one, the class with its parameter."""
    name = getattr(source, "__name__", cls.__name__)

    def read(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        try:
            return msgspec.convert(value, source, dec_hook=_read_foreign)
        except (ValueError, RecursionError) as error:
            problem = {"name": name, "problem": str(error)}
            raise PydanticCustomError("bedrock_stream", "Input should be a valid {name}: {problem}", problem) from None

    described = handler(Annotated[Any, WithJsonSchema(json_schema(source))])
    return core_schema.no_info_before_validator_function(
        read,
        described,
        ref=f"{cls.__module__}.{name}:{id(source)}",
        serialization=core_schema.plain_serializer_function_ser_schema(_write, return_schema=described),
    )


def _read_foreign(kind: type[Any], value: Any) -> Any:
    """Read what only pydantic can read in a value, such as the model in a `Response[City]`."""
    return TypeAdapter(kind).validate_python(value)


def _write(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=to_jsonable_python)


def json_schema(source: Any) -> dict[str, Any]:
    """Return the JSON Schema of a value's type, without references."""
    definitions: dict[str, Any] = {}

    def foreign(kind: type) -> dict[str, Any]:
        if not hasattr(kind, "model_json_schema"):
            return {}  # any value
        schema: dict[str, Any] = kind.model_json_schema()
        definitions.update(schema.pop("$defs", {}))
        return schema

    (schema,), components = msgspec.json.schema_components([source], schema_hook=foreign, ref_template=_REFERENCE)
    inlined = _inline(schema, {**definitions, **components}, ())
    assert isinstance(inlined, dict)  # noqa: S101 - as the schema of a struct is
    return inlined


def _inline(node: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:
    """Replace references by what they refer to; inside of itself, a type is any value."""
    if isinstance(node, list):
        return [_inline(item, definitions, inside) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        return {} if name in inside else _inline(definitions[name], definitions, (*inside, name))
    # The mapping of a discriminator consists of references.
    inlined = {key: _inline(value, definitions, inside) for key, value in node.items() if key != "discriminator"}
    if isinstance(inlined.get("description"), str):
        inlined["description"] = cleandoc(inlined["description"])
    return inlined
