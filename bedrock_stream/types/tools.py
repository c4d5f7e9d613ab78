"""Tools that a model may call: a name, what it is for, and the JSON Schema of its input.

A tool can be written out, or made from a Python function or from a pydantic or msgspec model. Schemas come from msgspec
and pydantic; nothing of them is written again here.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from ..errors import ConfigurationError

__all__ = ("Tool", "ToolLike", "read_foreign", "read_tools", "signature_model")

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """One tool."""

    name: str
    """1 to 64 of `a-z A-Z 0-9 _ -`."""
    description: str = ""
    """When and how to use it: what the model goes by."""
    input_schema: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON Schema of the input, an object."""
    strict: bool | None = None
    """Whether the service holds the model to the schema, where the family can."""
    function: Callable[..., Any] | None = None
    """What to run when the model calls it."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            problem = f"{self.name!r} cannot be a tool's name" if self.name else "a tool needs a name"
            raise ConfigurationError("Tool.name", problem, "use 1 to 64 of a-z A-Z 0-9 _ -")
        if not isinstance(self.input_schema, dict):
            raise ConfigurationError(
                f"Tool({self.name!r}).input_schema",
                f"a {type(self.input_schema).__name__} is no JSON Schema",
                "use a dict",
            )

    @classmethod
    def from_function(cls, function: Callable[..., Any], *, name: str = "", description: str = "") -> Tool:
        """A tool of a function: annotations give the types, the docstring's first paragraph the description.

        `Annotated[str, "what it means"]` describes a parameter. A parameter without an annotation takes any JSON value.

        >>> def add(a: int, b: int = 1) -> int:
        ...     "Add two numbers."
        ...     return a + b
        >>> tool = Tool.from_function(add)
        >>> tool.name, tool.description, tool.input_schema["required"]
        ('add', 'Add two numbers.', ['a'])
        """
        model = signature_model(function)
        return cls(
            name=name or model.__name__,
            description=description or _first_paragraph(inspect.getdoc(function) or ""),
            input_schema=_schema(model),
            function=function,
        )

    @classmethod
    def from_model(cls, model: type, *, name: str = "", description: str = "") -> Tool:
        """A tool whose input is a pydantic model, a msgspec struct, a dataclass or a TypedDict."""
        schema = _schema(model)
        # Not the docstring: without one of its own, a model has that of its base class.
        description = description or _first_paragraph(schema.get("description", ""))
        return cls(name=name or model.__name__, description=description, input_schema=schema)


def signature_model(function: Callable[..., Any]) -> type[msgspec.Struct]:
    """A struct with a field for each parameter. Raises `ConfigurationError` for a signature that JSON cannot fill."""
    called = getattr(function, "__name__", "") or type(function).__name__
    if isinstance(function, functools.partial):
        # Its annotations are nobody's: typing finds none or an empty table, by what the process has looked at before.
        problem = f"{called}: it has neither a name nor annotations of its own"
        raise ConfigurationError("tools", problem, "give a function with annotations")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except (NameError, TypeError, ValueError) as error:
        raise ConfigurationError("tools", f"{called}: {error}", "give a function with annotations") from None
    fields: list[Any] = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError("tools", f"{called}() takes *{parameter.name}", "name each parameter")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ConfigurationError("tools", f"{called}() takes {parameter.name} by place only", "drop the /")
        annotation = _described(hints.get(parameter.name, Any))
        required = parameter.default is parameter.empty
        fields.append((parameter.name, annotation) if required else (parameter.name, annotation, parameter.default))
    try:
        return msgspec.defstruct(called, fields, kw_only=True)
    except TypeError as error:  # a mutable default
        raise ConfigurationError("tools", f"{called}: {error}", "default to None") from None


def read_foreign(kind: Any, value: Any) -> Any:
    """For msgspec where it meets a pydantic model; pydantic's errors are ValueErrors, which msgspec makes its own."""
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value)
    raise NotImplementedError(kind)


ToolLike: TypeAlias = Tool | Mapping[str, Any] | Callable[..., Any]
"""A Tool; a dict (`name`, `description`, `input_schema`, or Converse's own shape); a function; a model class."""


def read_tools(tools: Any) -> tuple[Tool | dict[str, Any], ...]:
    """Every accepted form of `tools=`. A dict in Converse's own shape stays as it came."""
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Iterable):
        raise ConfigurationError("tools", f"a {type(tools).__name__} is no list of tools", "give a list")
    return tuple(_read_tool(tool, f"tools[{place}]") for place, tool in enumerate(tools))


def _read_tool(tool: Any, place: str) -> Tool | dict[str, Any]:
    if isinstance(tool, Tool):
        return tool
    if isinstance(tool, Mapping):
        return _read_dict(dict(tool), place)
    if isinstance(tool, type):
        return Tool.from_model(tool)
    if callable(tool):
        return Tool.from_function(tool)
    raise ConfigurationError(place, f"a {type(tool).__name__} is no tool", "use Tool, a dict, a function or a model")


def _read_dict(tool: dict[str, Any], place: str) -> Tool | dict[str, Any]:
    if len(tool) == 1 and isinstance(next(iter(tool.values())), Mapping):
        if "toolSpec" in tool and not tool["toolSpec"].get("name"):
            raise ConfigurationError(f"{place}.toolSpec.name", "a tool needs a name", "use 1 to 64 of a-z A-Z 0-9 _ -")
        return tool
    unknown = set(tool) - set(Tool.__struct_fields__)
    if unknown or not tool.get("name"):
        problem = f"unknown key {min(unknown, key=str)!r}" if unknown else "a tool needs a name"
        raise ConfigurationError(place, problem, "use name, description, input_schema")
    return Tool(**tool)


def _described(annotation: Any) -> Any:
    """`Annotated[T, "text"]` with the text where msgspec looks for descriptions."""
    metadata = getattr(annotation, "__metadata__", ())
    text = next((item for item in metadata if isinstance(item, str)), None)
    if text is None:
        return annotation
    return typing.Annotated[annotation.__origin__, *metadata, msgspec.Meta(description=text)]


def _first_paragraph(text: str) -> str:
    return re.split(r"\n\s*\n", text)[0].replace("\n", " ")


def _schema(model: type) -> dict[str, Any]:
    """The JSON Schema of a type, its own object at the top."""
    definitions: dict[str, Any] = {}

    def foreign(kind: type) -> dict[str, Any]:
        """A pydantic model; what it refers to moves to the top, where its references look for it."""
        if not hasattr(kind, "model_json_schema"):
            raise NotImplementedError(kind)
        found: dict[str, Any] = kind.model_json_schema()
        definitions.update(found.pop("$defs", {}))
        return found

    try:
        (schema,), components = msgspec.json.schema_components(
            [model], schema_hook=foreign, ref_template="#/$defs/{name}"
        )
    except TypeError as error:
        reason = str(error).splitlines()[-1]
        raise ConfigurationError(
            "tools", f"{model.__name__}: {reason}", "annotate with types that JSON can hold"
        ) from None
    definitions.update(components)
    # An input schema must be an object at the top, not a reference to one.
    if reference := schema.get("$ref", ""):
        name = reference.rpartition("/")[2]
        schema = dict(definitions[name])
        if repr(reference) not in repr(definitions):  # only a recursive model is needed twice
            del definitions[name]
    if schema.get("type") != "object":
        raise ConfigurationError("tools", f"{model.__name__} is no object in JSON", "use a model with fields")
    if definitions:
        schema["$defs"] = definitions
    return schema
