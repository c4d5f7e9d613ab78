"""Structured output: the form of the schema in the request for each model, and parsing of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import pydantic
import pytest

from bedrock_stream import Message, Response, Tool, ToolCall
from bedrock_stream.request.models import describe
from bedrock_stream.request.output_schema import TOOL_NAME, OutputSchema
from bedrock_stream.types.options import Options, read_options
from tests.support.refusals import refused

NATIVE = describe("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
CLAUDE = describe("anthropic.claude-sonnet-4-20250514-v1:0")
GPT_OSS = describe("openai.gpt-oss-20b-1:0")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


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


def ask(model: Any, schema: Any = SCHEMA, **options: Any) -> Options:
    return OutputSchema(schema, model).ask(read_options(options), model)


# ---------------------------------------------------------------------------------------------------------- the request


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-haiku-4-5-20251001-v1:0",
        "us.anthropic.claude-opus-4-5-20251101-v1:0",
        "anthropic.claude-opus-4-6-v1",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "anthropic.claude-sonnet-4-6",
        "qwen.qwen3-32b-v1:0",
    ],
)
def test_a_model_with_native_structured_output_receives_the_schema(model: str) -> None:
    options = ask(describe(model), tools=[Tool(name="f")], extra={"a": 1})
    form = options.extra["outputConfig"]["textFormat"]
    assert form["type"] == "json_schema"
    described = form["structure"]["jsonSchema"]
    assert described["name"] == TOOL_NAME
    assert msgspec.json.decode(described["schema"]) == SCHEMA
    assert options.extra["a"] == 1
    assert options.tools == (Tool(name="f"),)


def test_the_callers_own_output_config_takes_precedence() -> None:
    assert ask(NATIVE, extra={"outputConfig": {"a": 1}}).extra == {"outputConfig": {"a": 1}}


@pytest.mark.parametrize(
    ("model", "choice"),
    [
        (CLAUDE, TOOL_NAME),
        (describe("amazon.nova-lite-v1:0"), TOOL_NAME),
        (describe("mistral.mistral-large-2402-v1:0"), TOOL_NAME),
        (GPT_OSS, None),
        (describe("newcomer.model-v1"), None),
    ],
)
def test_other_models_are_offered_a_tool_and_forced_to_call_it_if_possible(model: Any, choice: Any) -> None:
    options = ask(model)
    (tool,) = options.tools
    assert isinstance(tool, Tool)
    assert (tool.name, tool.input_schema) == (TOOL_NAME, SCHEMA)
    assert options.tool_choice == choice


@pytest.mark.parametrize(("reasoning", "choice"), [("high", None), (2048, None), ("none", TOOL_NAME)])
def test_thinking_is_never_combined_with_a_forced_tool(reasoning: Any, choice: Any) -> None:
    assert ask(CLAUDE, reasoning=reasoning).tool_choice == choice


def test_the_synthetic_tool_cannot_be_combined_with_other_tools() -> None:
    with refused("output_schema", f"{CLAUDE.id!r} supports it only as a synthetic tool", "drop the tools"):
        ask(CLAUDE, tools=[Tool(name="f")])


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
    call, other = ToolCall("c", TOOL_NAME, {"city": "Rome"}), ToolCall("d", "f")
    read = OutputSchema(SCHEMA, CLAUDE).read(called(call, other))
    assert read.message == Message.assistant("Here:", '{"city":"Rome"}', other)
    assert read.tool_calls == (other,)


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
