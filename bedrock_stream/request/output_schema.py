"""Structured output: a JSON Schema, or a pydantic, msgspec or dataclass type.

Models with native structured output receive the schema, fitted to what their decoder takes. The others are offered one
synthetic tool whose input is the answer, with as much of a forced tool choice as they take. `Response.parsed` holds the
value. If the answer does not match the schema, `Response.parse_error` holds the reason and the text is left unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import BedrockStreamError, ConfigurationError, ValidationFailed
from ..types.messages import Block, Message, Text, ToolCall
from ..types.options import Options
from ..types.response import Response
from ..types.tools import Tool, read_foreign
from .models import Model
from .reasoning import reasons
from .schema_subset import fit_schema, inline_definitions
from .surfaces import choose_surface
from .unsupported import Refusals

__all__ = ("TOOL_NAME", "OutputSchema", "fit_tools", "note_refusal")

TOOL_NAME = "structured_output"
"""The synthetic tool's name."""

_FORCED = "Gives the final answer."
_OFFERED = "Gives the final answer. Always call this tool, exactly once, to answer; never answer in text."

# The service's words where a model has no native structured output, through Claude's own API or Converse's.
_NO_NATIVE_SCHEMA = re.compile(
    r"output_config\.format: Extra inputs are not permitted|doesn't support the outputConfig"
)
_refused: set[str] = set()  # ids of the models that answered so, in this process
_MAX_REFUSED = 1024  # models that are named call by call must not pile up

# Fields that turn reasoning on, in the words of the families.
_REASONING_FIELDS = ("thinking", "reasoning", "reasoning_config", "reasoning_effort", "reasoningConfig")


class OutputSchema:
    """An output schema and its form in the request for one model."""

    __slots__ = ("_type", "native", "schema")

    def __init__(self, schema: Mapping[str, Any] | type, model: Model) -> None:
        self._type: Any = None if isinstance(schema, Mapping) else schema
        # The schema of a class is the same for an answer as for the input of a tool.
        self.schema: dict[str, Any] = (
            dict(schema) if isinstance(schema, Mapping) else Tool.from_model(schema).input_schema
        )
        self.native: bool = model.facts.native_schema and model.id not in _refused
        """Whether the model is sent the schema itself, instead of a tool."""

    @staticmethod
    def can_be_tool(model: Model, options: Options) -> bool:
        """Return whether the schema can be sent as a tool: the model takes tools, and the call has none."""
        return model.facts.tools and not options.tools

    def ask(self, options: Options, model: Model, refusals: Refusals) -> Options:
        """Return the options with the schema added.

        Raises `ConfigurationError` if they already contain tools where the schema must be one, and for a schema that
        cannot be expressed. Raises `UnsupportedOperation` for a model that takes neither schemas nor tools.
        """
        if self.native:
            return self._with_schema(options, model, refusals)
        if options.tools:
            raise ConfigurationError(
                "output_schema",
                f"{model.id!r} supports it only as a synthetic tool, which cannot be combined with other tools",
                "drop the tools",
            )
        problem = f"{model.id!r} takes neither a schema nor tools"
        if not model.facts.tools and refusals.drops("output_schema", problem, "describe the JSON in the prompt"):
            return options
        if model.facts.native_schema:
            refusals.changed("output_schema is sent as a tool, since the service refused the schema of this model")
        choice = _forced_choice(model, options)
        description = _FORCED if choice else _OFFERED
        tool = Tool(name=TOOL_NAME, description=description, input_schema=inline_definitions(self.schema))
        return msgspec.structs.replace(options, tools=(tool,), tool_choice=choice)

    def _with_schema(self, options: Options, model: Model, refusals: Refusals) -> Options:
        contains = model.facts.schema_contains
        schema = fit_schema(self.schema, option="output_schema", contains=contains, changes=refusals.changes)
        api = choose_surface(model, options).api
        if api in ("chat", "responses"):
            form = {"name": TOOL_NAME, "schema": schema, "strict": _is_strict(schema)}
            if api == "chat":
                return _with_extra(options, "response_format", {"type": "json_schema", "json_schema": form})
            return _with_extra(options, "text", {"format": {"type": "json_schema", **form}})
        if api == "messages" or _uses_native_format(model, options):
            return _with_extra(options, "output_config", {"format": {"type": "json_schema", "schema": schema}})
        # Here the schema is JSON text, while a tool's `inputSchema.json` is an object.
        text = msgspec.json.encode(schema).decode()
        structure = {"jsonSchema": {"schema": text, "name": TOOL_NAME}}
        return _with_extra(options, "outputConfig", {"textFormat": {"type": "json_schema", "structure": structure}})

    def read(self, response: Response) -> Response:
        """Return the response with the value in `parsed`, and without the call of the synthetic tool."""
        call = next((call for call in response.tool_calls if call.name == TOOL_NAME), None)
        raw: Any = response.text if call is None else call.input
        others = tuple(call for call in response.tool_calls if call.name != TOOL_NAME)
        try:
            parsed, error = self.convert(msgspec.json.decode(raw) if isinstance(raw, str) else raw), None
        except (ValueError, RecursionError) as problem:  # msgspec's and pydantic's errors are subclasses of ValueError
            parsed, error = None, str(problem)
        # The service rejects a history with a call that has no result, so the call becomes text.
        message = Message(response.message.role, [_as_text(block) for block in response.message.content])
        return msgspec.structs.replace(response, message=message, parsed=parsed, parse_error=error, tool_calls=others)

    def convert(self, value: Any) -> Any:
        """Return a JSON value as the schema's type, or as it is without one. Raises `ValueError` if it does not fit."""
        if self._type is None:
            return value
        if hasattr(self._type, "model_validate"):
            return self._type.model_validate(value)
        return msgspec.convert(value, self._type, dec_hook=read_foreign)


def note_refusal(model: Model, error: BedrockStreamError) -> bool:
    """Return whether the service refused the native schema of a model, and remember it for the process."""
    if not isinstance(error, ValidationFailed) or not _NO_NATIVE_SCHEMA.search(str(error)):
        return False
    if len(_refused) < _MAX_REFUSED:
        _refused.add(model.id)
    return model.id in _refused


def fit_tools(model: Model, options: Options, refusals: Refusals) -> Options:
    """Return the options with the schemas of strict tools fitted, and without `strict` where it is not taken.

    Where `$defs` are invisible to the model, they are inlined. Raises `UnsupportedOperation` for a strict tool if
    `refusals` does not drop it, and `ConfigurationError` for a schema that cannot be expressed.
    """
    tools = tuple(_fit_tool(model, tool, f"tools[{index}]", refusals) for index, tool in enumerate(options.tools))
    return msgspec.structs.replace(options, tools=tools) if tools != options.tools else options


# ----------------------------------------------------------------------------------------------------------- internals


def _fit_tool(model: Model, tool: Tool | dict[str, Any], path: str, refusals: Refusals) -> Tool | dict[str, Any]:
    if isinstance(tool, Tool):
        strict, schema = _fit_input(model, tool.strict, tool.input_schema, path, refusals)
        if strict is tool.strict and schema is tool.input_schema:
            return tool
        return msgspec.structs.replace(tool, strict=strict, input_schema=schema)
    match tool:
        case {"toolSpec": {"inputSchema": {"json": dict(written)} as form} as spec}:
            strict, schema = _fit_input(model, spec.get("strict"), written, path, refusals)
            rest = {key: value for key, value in spec.items() if key != "strict" or strict is not None}
            return {"toolSpec": {**rest, "inputSchema": {**form, "json": schema}}}
    return tool


def _fit_input(
    model: Model, strict: Any, schema: dict[str, Any], path: str, refusals: Refusals
) -> tuple[bool | None, dict[str, Any]]:
    """Return `strict` and the schema of a tool as they are sent."""
    facts = model.facts
    if strict and not facts.strict_tools and facts.family is not None:  # nothing is known to be refused without one
        strict = None if refusals.drops(f"{path}.strict", f"not supported by {model.id!r}") else True
    if strict:
        contains = facts.schema_contains
        return True, fit_schema(schema, option=f"{path}.input_schema", contains=contains, changes=refusals.changes)
    # `strict: false` is the default, and models that do not know the member refuse it in any value.
    return None, inline_definitions(schema) if facts.inline_defs else schema


def _forced_choice(model: Model, options: Options) -> str | None:
    """Return the tool choice that comes closest to the synthetic tool; None leaves the choice to the model."""
    facts = model.facts
    if facts.family is None or (not facts.forced_with_thinking and _reasons(model, options)):
        return None
    if "tool" in facts.tool_choices:
        return TOOL_NAME
    return "any" if "any" in facts.tool_choices else None


def _reasons(model: Model, options: Options) -> bool:
    """Return whether the model will reason, by the option, by its own fields, or by default."""
    fields = {**(options.additional_model_request_fields or {}), **options.extra}
    for name in _REASONING_FIELDS:
        value = fields.get(name)
        if value is not None:
            word = value.get("type") or value.get("effort") if isinstance(value, dict) else value
            return word not in ("disabled", "none")
    return reasons(model, options)


def _is_strict(schema: Any) -> bool:
    """Return whether OpenAI's APIs can hold an answer to a schema: all its objects are closed and complete."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        if schema.get("additionalProperties") is not False:
            return False
        if set(properties or ()) != set(schema.get("required") or ()):
            return False
    return all(map(_is_strict, schema.values()))


def _uses_native_format(model: Model, options: Options) -> bool:
    """Return whether the schema is a member of Claude's native format; every other call with one uses Converse."""
    if model.native != "anthropic" or options.use_converse:
        return False
    # Claude's own tools, and additional members of tools, move the call to its native format; other tools to Converse,
    # which has no member `output_config`.
    if options.use_converse is False or any(_is_native(tool) for tool in options.tools):
        return True
    return "output_config" in options.extra and not options.tools


def _is_native(tool: Tool | dict[str, Any]) -> bool:
    return isinstance(tool.get("type"), str) if isinstance(tool, dict) else bool(getattr(tool, "extra", None))


def _with_extra(options: Options, name: str, value: dict[str, Any]) -> Options:
    """Return the options with an object in the body; the caller's own members of it take precedence."""
    merged = {**value, **_dict(options.extra.get(name))}
    return msgspec.structs.replace(options, extra={**options.extra, name: merged})


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_text(block: Block) -> Block:
    """Replace a call of the synthetic tool by its input as JSON text."""
    if isinstance(block, ToolCall) and block.name == TOOL_NAME:
        return Text(msgspec.json.encode(block.input).decode())
    return block
