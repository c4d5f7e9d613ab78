"""Structured output: the form of the schema in the request for each model, and parsing of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import pydantic
import pytest

from bedrock_stream import Message, Response, Tool, ToolCall
from bedrock_stream.request.call import plan_call
from bedrock_stream.request.models import Model, describe
from bedrock_stream.request.output_schema import TOOL_NAME, OutputSchema, fit_tools
from bedrock_stream.request.unsupported import Refusals, Unsupported
from bedrock_stream.types.model_facts import ModelFacts
from bedrock_stream.types.options import Options, read_options
from tests.support.planning import DESTINATION
from tests.support.refusals import refused

CLAUDE = describe("anthropic.claude-sonnet-4-20250514-v1:0", ModelFacts(family="claude", native="anthropic"))
NATIVE = describe(
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ModelFacts(family="claude", native="anthropic", native_schema=True, strict_tools=True, schema_contains=False),
)
OTHER = "some.model-v1"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CLOSED = {**SCHEMA, "additionalProperties": False}


class Trip(msgspec.Struct):
    city: str
    day: date | None = None


class PydanticTrip(pydantic.BaseModel):
    city: str
    day: date | None = None


@dataclass
class DataTrip:
    city: str
    day: date | None = None


class Journey(msgspec.Struct):
    trips: list[PydanticTrip]


ROME = {"city": "Rome", "day": "2026-01-02"}
KINDS: list[Any] = [Trip, PydanticTrip, DataTrip]


def ask(model: Model, schema: Any = SCHEMA, mode: Unsupported = "error", **options: Any) -> Options:
    return OutputSchema(schema, model).ask(read_options(options), model, Refusals(model.id, mode))


def other(**facts: Any) -> Model:
    return describe(OTHER, ModelFacts(family="other", **facts))


def text_format(options: Options) -> Any:
    return options.extra["outputConfig"]["textFormat"]


# ---------------------------------------------------------------------------------------------------------- the request


def test_a_model_with_native_structured_output_receives_the_fitted_schema() -> None:
    options = ask(NATIVE, tools=[Tool(name="f")], extra={"a": 1})
    form = text_format(options)
    assert form["type"] == "json_schema"
    described = form["structure"]["jsonSchema"]
    assert described["name"] == TOOL_NAME
    assert msgspec.json.decode(described["schema"]) == CLOSED
    assert options.extra["a"] == 1
    assert options.tools == (Tool(name="f"),)


def test_the_callers_own_output_config_is_merged() -> None:
    own = {"effort": "low", "textFormat": "own"}
    assert ask(NATIVE, extra={"outputConfig": {"effort": "low"}}).extra["outputConfig"].keys() == {
        "effort",
        "textFormat",
    }
    assert ask(NATIVE, extra={"outputConfig": own}).extra == {"outputConfig": own}


def native_config(**options: Any) -> Any:
    read = read_options({"output_schema": SCHEMA, **options})
    call = plan_call(NATIVE.id, "hi", read, DESTINATION, streaming=True, known=NATIVE.facts)
    assert call.dialect.route == "invoke"
    return msgspec.json.decode(call.request.body.data)["output_config"]


def test_a_native_request_has_the_schema_beside_the_effort() -> None:
    form = {"type": "json_schema", "schema": CLOSED}
    fields = {"output_config": {"effort": "high"}}
    config = native_config(use_converse=False, additional_model_request_fields=fields)
    assert config == {"effort": "high", "format": form}
    own = {"output_config": {"effort": "low"}}
    assert native_config(extra=own) == {"effort": "low", "format": form}
    assert native_config(extra=own, additional_model_request_fields=fields) == {"effort": "low", "format": form}
    assert native_config(extra={"output_config": {"format": "own"}}) == {"format": "own"}
    assert native_config(
        output_schema=None, extra=own, additional_model_request_fields={"output_config": {"a": 1}}
    ) == {
        "a": 1,
        "effort": "low",
    }
    assert "outputConfig" in ask(NATIVE, extra=own, use_converse=True).extra
    assert "outputConfig" in ask(NATIVE, extra=own, tools=[Tool(name="f")]).extra


@pytest.mark.parametrize(("use_converse", "route"), [(None, "converse"), (False, "invoke"), (True, "converse")])
def test_the_schema_has_the_form_of_the_route(use_converse: bool | None, route: str) -> None:
    options = read_options({"output_schema": SCHEMA, "use_converse": use_converse})
    call = plan_call(NATIVE.id, "hi", options, DESTINATION, streaming=True, known=NATIVE.facts)
    assert call.dialect.route == route
    body = msgspec.json.decode(call.request.body.data)
    if route == "invoke":
        assert body["output_config"] == {"format": {"type": "json_schema", "schema": CLOSED}}
    else:
        assert set(body) == {"messages", "outputConfig"}


@pytest.mark.parametrize(
    ("model", "choice"),
    [
        (CLAUDE, TOOL_NAME),
        (other(tool_choices=("auto", "any", "tool")), TOOL_NAME),
        (other(tool_choices=("auto", "any")), "any"),
        (other(tool_choices=("auto",)), None),
        (other(tool_choices=()), None),
        (describe("newcomer.model-v1"), None),
    ],
)
def test_other_models_are_offered_a_tool_and_forced_to_call_it_if_possible(model: Model, choice: str | None) -> None:
    options = ask(model)
    (tool,) = options.tools
    assert isinstance(tool, Tool)
    assert (tool.name, tool.input_schema) == (TOOL_NAME, SCHEMA)
    assert options.tool_choice == choice
    assert ("Always call this tool" in tool.description) is (choice is None)


@pytest.mark.parametrize(
    ("options", "choice"),
    [
        ({"reasoning": "high"}, None),
        ({"reasoning": 2048}, None),
        ({"reasoning": "none"}, TOOL_NAME),
        ({}, TOOL_NAME),
        ({"additional_model_request_fields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}, None),
        ({"additional_model_request_fields": {"thinking": {"type": "disabled"}}, "reasoning": "none"}, TOOL_NAME),
        ({"additional_model_request_fields": {"reasoning_effort": "high"}}, None),
        ({"additional_model_request_fields": {"reasoning": {"effort": "none"}}}, TOOL_NAME),
        ({"extra": {"thinking": {"type": "adaptive"}}}, None),
    ],
)
def test_thinking_is_not_combined_with_a_forced_tool_where_that_is_refused(options: Any, choice: str | None) -> None:
    assert ask(other(forced_with_thinking=False), **options).tool_choice == choice
    assert ask(other(), **options).tool_choice == TOOL_NAME


def test_a_model_that_thinks_by_default_is_not_forced_where_that_is_refused() -> None:
    model = other(forced_with_thinking=False, thinking_default=True, thinking_off="never")
    assert ask(model).tool_choice is None
    assert ask(model, reasoning="none").tool_choice is None


def test_the_synthetic_tool_cannot_be_combined_with_other_tools() -> None:
    with refused("output_schema", f"{CLAUDE.id!r} supports it only as a synthetic tool", "drop the tools"):
        ask(CLAUDE, tools=[Tool(name="f")])


def test_a_model_without_tools_and_native_schemas_takes_none() -> None:
    model = other(tools=False)
    with refused("output_schema", f"{OTHER!r} takes neither a schema nor tools", "describe the JSON in the prompt"):
        ask(model)
    assert ask(model, mode="drop") == Options()
    assert ask(model, mode="send").tools


def test_only_a_native_schema_must_be_expressible() -> None:
    schema = {"properties": {"a": {"additionalProperties": {"type": "integer"}}}, "$defs": {"A": {}}}
    with refused("output_schema", "properties.a: additionalProperties as a schema", "use a list of objects"):
        ask(NATIVE, schema)
    (tool,) = ask(CLAUDE, schema).tools
    assert isinstance(tool, Tool)
    assert tool.input_schema == {"type": "object", "properties": schema["properties"]}


# ---------------------------------------------------------------------------------------------------------------- tools

BOUNDED = {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}, "$defs": {"N": {"minimum": 1}}}
FITTED = {"type": "object", "properties": {"n": {"description": "At least 1"}}, "additionalProperties": False}


def tools_of(model: Model, tool: Any, mode: Unsupported = "error") -> Any:
    options = read_options({"tools": [tool]})
    return fit_tools(model, options, Refusals(model.id, mode)).tools[0]


def spec(strict: bool | None, schema: Any) -> dict[str, Any]:
    member = {} if strict is None else {"strict": strict}
    return {"toolSpec": {"name": "f", **member, "inputSchema": {"json": schema}}}


def written(strict: bool | None, schema: Any) -> Tool:
    return Tool(name="f", strict=strict, input_schema=schema)


@pytest.mark.parametrize("form", [spec, written])
def test_the_schema_of_a_strict_tool_is_fitted(form: Callable[[bool | None, Any], Any]) -> None:
    assert tools_of(other(strict_tools=True), form(True, BOUNDED)) == form(True, FITTED)
    assert tools_of(describe(OTHER), form(True, BOUNDED)) == form(True, FITTED)
    assert tools_of(other(strict_tools=True), form(None, BOUNDED)) == form(None, BOUNDED)


@pytest.mark.parametrize("form", [spec, written])
def test_strict_is_refused_or_dropped_where_it_is_not_taken(form: Callable[[bool | None, Any], Any]) -> None:
    model = other(strict_tools=False)
    with refused("tools[0].strict", f"not supported by {OTHER!r}", "omit it"):
        tools_of(model, form(True, BOUNDED))
    assert tools_of(model, form(True, BOUNDED), "drop") == form(None, BOUNDED)
    assert tools_of(model, form(True, BOUNDED), "send") == form(True, FITTED)


@pytest.mark.parametrize("form", [spec, written])
@pytest.mark.parametrize("model", [NATIVE, other(), describe(OTHER)], ids=["strict", "not strict", "unknown"])
def test_a_tool_that_is_not_strict_does_not_say_so(form: Callable[[bool | None, Any], Any], model: Model) -> None:
    assert tools_of(model, form(False, BOUNDED)) == form(None, BOUNDED)


def test_a_strict_tool_that_cannot_be_expressed_is_refused() -> None:
    tool = written(True, {"properties": {"a": {"additionalProperties": {"type": "integer"}}}})
    with refused("tools[0].input_schema", "properties.a: additionalProperties as a schema", "use a list of objects"):
        tools_of(NATIVE, tool)


@pytest.mark.parametrize("form", [spec, written])
def test_definitions_are_inlined_where_the_model_does_not_see_them(form: Callable[[bool | None, Any], Any]) -> None:
    inlined = {"type": "object", "properties": {"n": {"minimum": 1}}}
    assert tools_of(other(inline_defs=True), form(None, BOUNDED)) == form(None, inlined)


def test_other_tools_are_unchanged() -> None:
    for tool in ({"cachePoint": {"type": "default"}}, {"systemTool": {"name": "nova_grounding"}}):
        assert tools_of(NATIVE, tool) == tool


# ------------------------------------------------------------------------------------------------------------ the class


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_of_a_class_is_generated(kind: Any) -> None:
    schema = OutputSchema(kind, CLAUDE).schema
    assert schema["type"] == "object"
    assert schema["required"] == ["city"]
    assert set(schema["properties"]) == {"city", "day"}


# --------------------------------------------------------------------------------------------------------- the response


def answered(text: str) -> Response:
    return Response(message=Message.assistant(text), text=text, stop_reason="end_turn")


def called(*calls: ToolCall) -> Response:
    return Response(message=Message.assistant("Here:", *calls), text="Here:", tool_calls=calls)


@pytest.mark.parametrize("kind", [*KINDS, SCHEMA])
@pytest.mark.parametrize(
    "response",
    [answered('{"city": "Rome", "day": "2026-01-02"}'), called(ToolCall("c", TOOL_NAME, ROME))],
    ids=["text", "tool"],
)
def test_an_answer_is_parsed_into_the_callers_type(kind: Any, response: Response) -> None:
    read = OutputSchema(kind, CLAUDE).read(response)
    expected = ROME if kind is SCHEMA else kind(city="Rome", day=date(2026, 1, 2))
    assert read.parsed == expected
    assert read.parse_error is None
    assert read.text == response.text
    assert read.tool_calls == ()


def test_pydantic_models_inside_other_types_are_parsed_too() -> None:
    read = OutputSchema(Journey, CLAUDE).read(answered('{"trips": [{"city": "Rome"}]}'))
    assert read.parsed == Journey([PydanticTrip(city="Rome")])
    assert OutputSchema(Journey, CLAUDE).read(answered('{"trips": [{}]}')).parse_error


def test_the_synthetic_call_becomes_text_in_the_history() -> None:
    call, second = ToolCall("c", TOOL_NAME, {"city": "Rome"}), ToolCall("d", "f")
    read = OutputSchema(SCHEMA, CLAUDE).read(called(call, second))
    assert read.message == Message.assistant("Here:", '{"city":"Rome"}', second)
    assert read.tool_calls == (second,)


@pytest.mark.parametrize("kind", [*KINDS, SCHEMA])
@pytest.mark.parametrize(
    "text", ["Sorry, I cannot.", "", '{"city": "Ro', "[" * 100_000, '{"city": "\ud800"}'], ids=ascii
)
def test_an_answer_that_does_not_match_keeps_its_text(kind: Any, text: str) -> None:
    response = Response(message=Message("assistant", ()), text=text, stop_reason="max_tokens")
    read = OutputSchema(kind, NATIVE).read(response)
    assert read.parsed is None
    assert read.parse_error
    assert read.text == text
    assert read.message == response.message
    assert read.stop_reason == "max_tokens"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("response", [answered('{"city": 5}'), called(ToolCall("c", TOOL_NAME, {}))])
def test_an_object_of_another_shape_has_a_parse_error(kind: Any, response: Response) -> None:
    read = OutputSchema(kind, CLAUDE).read(response)
    assert read.parsed is None
    assert read.parse_error is not None
    assert "city" in read.parse_error
