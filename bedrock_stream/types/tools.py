"""Tools that a model may call: name, description and JSON Schema of the input.

A tool is written out, or made from a function, a pydantic model or a msgspec struct. msgspec and pydantic generate the
schemas.
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

__all__ = ("SystemTool", "Tool", "ToolLike", "read_foreign", "read_tools", "signature_model")

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # the pattern of the service model
_NAME_RULE = "1 to 64 characters of a-z A-Z 0-9 _ -"


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the model may call. Raises `ConfigurationError` for an invalid name or schema."""

    name: str
    """1 to 64 characters of `a-z A-Z 0-9 _ -`."""
    description: str = ""
    """When and how to use the tool, for the model."""
    input_schema: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON Schema of the input, which must be an object: a missing `type` is added. Default: without properties."""
    strict: bool | None = None
    """True if the input must follow the schema, for models that support it; then the schema is fitted to what they
    take. False is the same as None: the member is not sent."""
    function: Callable[..., Any] | None = None
    """The function that `run_tools` runs when the model calls the tool."""
    extra: dict[str, Any] = {}
    """Members to merge into the tool as it is sent, such as `cache_control` or `defer_loading`. Claude gets such a tool
    in its native format, since Converse defines no such members."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigurationError("Tool.name", f"expected {_NAME_RULE}, got {self.name!r}")
        if not isinstance(self.input_schema, dict):
            problem = f"expected a dict with JSON Schema, got {type(self.input_schema).__name__}"
            raise ConfigurationError(f"Tool({self.name!r}).input_schema", problem)
        if not isinstance(self.extra, dict) or not all(isinstance(key, str) for key in self.extra):
            problem = f"expected a dict with str keys, got {self.extra!r:.200}"
            raise ConfigurationError(f"Tool({self.name!r}).extra", problem)
        msgspec.structs.force_setattr(self, "input_schema", _with_type(self.input_schema))

    @classmethod
    def from_function(cls, function: Callable[..., Any], *, name: str = "", description: str = "") -> Tool:
        """Make a tool from a function.

        The annotations define the schema, and the first paragraph of the docstring is the description.
        `Annotated[str, "text"]` describes a parameter, as do `msgspec.Meta` and pydantic's `Field`; else the docstring
        does, in Google's, NumPy's or Sphinx's style (needs the extra `docstrings`, without which a `DocstringWarning`
        is issued once). A parameter without an annotation accepts any JSON value. Raises `ConfigurationError` for
        parameters that a JSON object cannot provide, and for types without a JSON form.

        >>> def add(a: int, b: int = 1) -> int:
        ...     "Add two numbers."
        ...     return a + b
        >>> tool = Tool.from_function(add)
        >>> tool.name, tool.description, tool.input_schema["required"]
        ('add', 'Add two numbers.', ['a'])
        """
        from .docstrings import read_docstring

        read = read_docstring(inspect.getdoc(function) or "", f"{_name_of(function)}()")
        model = signature_model(function, read.parameters)
        return cls(
            name=name or model.__name__,
            description=description or read.description,
            input_schema=_schema(model),
            function=function,
        )

    @classmethod
    def from_model(cls, model: type, *, name: str = "", description: str = "") -> Tool:
        """Make a tool whose input is a pydantic model, a msgspec struct, a dataclass or a TypedDict.

        The description defaults to the first paragraph of the model's own docstring, whose descriptions of attributes
        are read as those of a function's parameters are. Raises `ConfigurationError` for a type without a JSON Schema,
        or one that is not an object.
        """
        from .docstrings import read_docstring

        schema = _schema(model)
        # Not `inspect.getdoc`: for a model without a docstring it returns that of the base class.
        text = schema.get("description", "")
        read = read_docstring(text if hasattr(model, "model_json_schema") else inspect.cleandoc(text), model.__name__)
        if read.parameters:
            schema = _with_descriptions(schema, read.description, read.parameters)
        return cls(name=name or model.__name__, description=description or read.description, input_schema=schema)


class SystemTool(msgspec.Struct, frozen=True):
    """A tool that Bedrock defines and runs itself, such as `nova_code_interpreter` or `nova_grounding` (Converse only).

    Raises `ConfigurationError` for an invalid name.
    """

    name: str
    """1 to 64 characters of `a-z A-Z 0-9 _ -`."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigurationError("SystemTool.name", f"expected {_NAME_RULE}, got {self.name!r}")


def signature_model(
    function: Callable[..., Any], descriptions: Mapping[str, str] | None = None
) -> type[msgspec.Struct]:
    """Return a struct with a field for each parameter. Raises `ConfigurationError` for unsupported parameters.

    `descriptions`: those of the docstring, for parameters whose annotation has none.
    """
    name = _name_of(function)
    if isinstance(function, functools.partial):
        # `typing.get_type_hints` fails or returns an empty dict for a partial, depending on earlier calls.
        problem = f"{name}: has neither a name nor annotations of its own"
        raise ConfigurationError("tools", problem, "pass a function with annotations")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except (NameError, TypeError, ValueError) as error:
        raise ConfigurationError("tools", f"{name}: {error}", "pass a function with annotations") from None
    fields: list[Any] = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError("tools", f"{name}() has the parameter *{parameter.name}", "name each parameter")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            problem = f"{name}() has the positional-only parameter {parameter.name}"
            raise ConfigurationError("tools", problem, "remove the /")
        annotation = _described(hints.get(parameter.name, Any), (descriptions or {}).get(parameter.name))
        required = parameter.default is parameter.empty
        fields.append((parameter.name, annotation) if required else (parameter.name, annotation, parameter.default))
    try:
        return msgspec.defstruct(name, fields, kw_only=True)
    except TypeError as error:  # a mutable default
        raise ConfigurationError("tools", f"{name}: {error}", "use None as the default") from None


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", "") or type(function).__name__


def read_foreign(kind: Any, value: Any) -> Any:
    """Decode a pydantic model, as a `dec_hook` of msgspec. Raises `NotImplementedError` for other types.

    pydantic's errors are ValueErrors, which msgspec turns into its own.
    """
    if hasattr(kind, "model_validate"):
        return kind.model_validate(value)
    raise NotImplementedError(kind)


ToolLike: TypeAlias = Tool | SystemTool | Mapping[str, Any] | Callable[..., Any]
"""A `Tool`, a `SystemTool`, a function, a model class, or a dict: `name`, `description`, `input_schema`, or Converse's
own format, or one of Claude's own tools, which has a `type`."""


def read_tools(tools: Any) -> tuple[Tool | dict[str, Any], ...]:
    """Return any form of `tools=` as tools; dicts in Converse's and in Claude's own format are kept as they are.

    Raises `ConfigurationError` with the path of an invalid tool.
    """
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Iterable):
        raise ConfigurationError("tools", f"expected a list of tools, got {type(tools).__name__}")
    return tuple(_read_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools))


def _read_tool(tool: Any, path: str) -> Tool | dict[str, Any]:
    if isinstance(tool, Tool):
        return tool
    if isinstance(tool, SystemTool):
        return {"systemTool": {"name": tool.name}}
    if isinstance(tool, Mapping):
        return _read_dict(dict(tool), path)
    if isinstance(tool, type):
        return Tool.from_model(tool)
    if callable(tool):
        return Tool.from_function(tool)
    raise ConfigurationError(path, f"expected a Tool, a dict, a function or a model class, got {type(tool).__name__}")


def _read_dict(tool: dict[str, Any], path: str) -> Tool | dict[str, Any]:
    # Converse's Tool is a union: one key (toolSpec, systemTool, cachePoint) whose value is an object.
    if len(tool) == 1 and isinstance(next(iter(tool.values())), Mapping):
        if "toolSpec" in tool and not (name := tool["toolSpec"].get("name")):
            raise ConfigurationError(f"{path}.toolSpec.name", f"expected {_NAME_RULE}, got {name!r}")
        return _with_typed_schema(tool)
    # Claude's own tools have a dated type, e.g. `web_search_20250305`; `function` is a tool in OpenAI's format.
    if isinstance(tool.get("type"), str) and tool["type"] not in ("", "function"):
        return tool
    unknown = set(tool) - set(Tool.__struct_fields__)
    if unknown or not tool.get("name"):
        problem = f"unknown key {min(unknown, key=str)!r}" if unknown else "has no name"
        raise ConfigurationError(path, problem, "use name, description, input_schema")
    return Tool(**tool)


def _with_type(schema: dict[str, Any]) -> dict[str, Any]:
    # The service requires the member: "tools.0.custom.input_schema.type: Input should be 'object'".
    return schema if "type" in schema else {"type": "object", **schema}


def _with_typed_schema(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool in Converse's format with the type of its schema; unchanged if it has no schema."""
    match tool:
        case {"toolSpec": {"inputSchema": {"json": dict(schema)} as form} as spec} if "type" not in schema:
            return {"toolSpec": {**spec, "inputSchema": {**form, "json": _with_type(schema)}}}
    return tool


def _described(annotation: Any, documented: str | None) -> Any:
    """Return an annotation with its description where msgspec reads it; `documented` is used where it has none."""
    metadata = getattr(annotation, "__metadata__", ())
    # A str of its own takes precedence over the description of `msgspec.Meta` or of pydantic's `Field`.
    texts = [*metadata, *(getattr(item, "description", None) for item in metadata), documented]
    text = next((item for item in texts if isinstance(item, str)), None)
    return annotation if text is None else typing.Annotated[annotation, msgspec.Meta(description=text)]


def _with_descriptions(schema: dict[str, Any], description: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return a model's schema with the descriptions of its docstring, and without that docstring."""
    properties = {
        name: {**value, "description": parameters[name]} if name in parameters and "description" not in value else value
        for name, value in schema.get("properties", {}).items()
    }
    return {**schema, "description": description, "properties": properties}


def _schema(model: type) -> dict[str, Any]:
    """Return the JSON Schema of a type, with the object itself at the top level."""
    definitions: dict[str, Any] = {}

    def foreign(kind: type) -> dict[str, Any]:
        """Return the schema of a pydantic model; its `$defs` move to the top level, where its references point."""
        if not hasattr(kind, "model_json_schema"):
            raise NotImplementedError(kind)
        nested: dict[str, Any] = kind.model_json_schema()
        definitions.update(nested.pop("$defs", {}))
        return nested

    try:
        (schema,), components = msgspec.json.schema_components(
            [model], schema_hook=foreign, ref_template="#/$defs/{name}"
        )
    except TypeError as error:
        reason = str(error).splitlines()[-1]
        raise ConfigurationError("tools", f"{model.__name__}: {reason}", "use types that have a JSON Schema") from None
    definitions.update(components)
    # The service requires an object at the top level of an input schema, not a reference.
    if reference := schema.get("$ref", ""):
        name = reference.rpartition("/")[2]
        schema = dict(definitions[name])
        if repr(reference) not in repr(definitions):  # a recursive model still refers to its definition
            del definitions[name]
    if schema.get("type") != "object":
        raise ConfigurationError("tools", f"{model.__name__} is not a JSON object", "use a model with fields")
    if definitions:
        schema["$defs"] = definitions
    return schema
