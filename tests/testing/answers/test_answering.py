"""The unscripted answer."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.testing import Emulator
from bedrock_stream.testing.answers.answering import answer
from bedrock_stream.testing.answers.facts import Facts
from bedrock_stream.testing.answers.inputs import make_input
from bedrock_stream.testing.answers.rendering import EventComposer, answer_document
from bedrock_stream.testing.answers.tokens import split
from tests.support.emulator_client import MODEL, post


def request(prompt: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"text": prompt}]}], **more}


def tool(name: str, description: str = "", **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"toolSpec": {"name": name, "description": description, "inputSchema": {"json": schema}}}


def response(body: dict[str, Any]) -> dict[str, Any]:
    return answer_document(answer(body, MODEL), Facts.of(body))


def content(body: dict[str, Any]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = response(body)["output"]["message"]["content"]
    return blocks


def text_of(body: dict[str, Any]) -> str:
    return "".join(block.get("text", "") for block in content(body))


def calls(body: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(use["name"], use["input"]) for block in content(body) if (use := block.get("toolUse"))]


WEATHER = tool("get_weather", "The weather of a city, now", city={"type": "string"})
TIME = tool("get_time", "What the clock shows somewhere", zone={"type": "string"}, hours={"type": "integer"})


# ---------------------------------------------------------------------------------------------------------------- text


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(split(text)) == text


async def test_a_prompt_always_gets_the_same_answer_with_one_token_per_delta() -> None:
    async with Emulator() as emulator:
        first, second = await post(emulator, request("Hello there")), await post(emulator, request("Hello there"))
    assert first.body == second.body
    deltas = [payload["delta"]["text"] for name, payload in first.events if name == "contentBlockDelta"]
    assert len(deltas) > 10
    assert "Hello there" in "".join(deltas)
    assert "".join(deltas).count(". ") >= 2
    assert first.events[-1][1]["usage"]["outputTokens"] == len(deltas)


def test_the_stream_and_the_document_report_the_same_usage() -> None:
    body = request("What is the weather in Oslo?", toolConfig={"tools": [WEATHER]})
    steps, facts = answer(body, MODEL), Facts.of(body)
    composer = EventComposer(steps, facts)
    events = [event for step in steps for event in composer.compose(step)] + list(composer.finish())
    usage = answer_document(steps, facts)["usage"]
    last = events[-1].payload
    assert isinstance(last, dict)
    assert last["usage"] == usage
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]


def test_long_prompts_are_quoted_in_part() -> None:
    assert "x" * 200 + "..." in text_of(request("x" * 1000))


def test_settings_are_echoed() -> None:
    document = response(request("Hi", performanceConfig={"latency": "optimized"}, serviceTier={"type": "flex"}))
    assert document["performanceConfig"] == {"latency": "optimized"}
    assert document["serviceTier"] == {"type": "flex"}


def test_an_output_schema_is_answered_in_json() -> None:
    schema = json.dumps({"type": "object", "properties": {"city": {"type": "string"}}})
    config = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema}}}}
    assert json.loads(text_of(request("Tell me of Oslo", outputConfig=config))) == {"city": "Oslo"}


# --------------------------------------------------------------------------------------------------------------- tools


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("What is the weather in Oslo?", [("get_weather", {"city": "Oslo"})]),
        ("please GET WEATHER for 'New York'", [("get_weather", {"city": "New York"})]),
        ("call get_time now, 3 hours", [("get_time", {"zone": "zone", "hours": 3})]),
        ("Look at the clock in Rome", [("get_time", {"zone": "Rome", "hours": 1})]),
        (
            "use get_weather and get_time",
            [("get_weather", {"city": "city"}), ("get_time", {"zone": "zone", "hours": 1})],
        ),
        ("Write a poem", []),
    ],
)
def test_a_tool_is_called_if_the_prompt_mentions_it(prompt: str, expected: list[tuple[str, Any]]) -> None:
    body = request(prompt, toolConfig={"tools": [WEATHER, TIME, {"systemTool": {"name": "x"}}]})
    assert calls(body) == expected
    assert response(body)["stopReason"] == ("tool_use" if expected else "end_turn")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [({"any": {}}, ["get_weather"]), ({"tool": {"name": "get_time"}}, ["get_time"]), ({"auto": {}}, [])],
)
def test_a_tool_choice_forces_a_call(choice: dict[str, Any], expected: list[str]) -> None:
    body = request("Write a poem", toolConfig={"tools": [WEATHER, TIME], "toolChoice": choice})
    assert [name for name, _ in calls(body)] == expected
    assert bool(text_of(body)) is not bool(expected)


def test_results_are_quoted() -> None:
    use = {"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {}}}
    for result, expected in (
        ({"content": [{"text": "rain"}, {"json": {"c": 3}}]}, 'get_weather says: rain, {"c": 3}.'),
        ({"content": [{"text": "no such city"}], "status": "error"}, "get_weather failed: no such city."),
        ({"content": [{"image": {}}]}, "get_weather says: [image]."),
        ({"content": []}, "get_weather says: nothing."),
    ):
        body = request("weather?", toolConfig={"tools": [WEATHER]})
        turn = {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", **result}}]}
        body["messages"] += [{"role": "assistant", "content": [use]}, turn]
        assert (text_of(body), calls(body)) == (expected, [])


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "enum": ["hot", "Rome"]}, "Rome"),
        ({"enum": ["x", "y"]}, "x"),
        ({"const": 4}, 4),
        ({"type": "string", "default": "d"}, "d"),
        ({"type": "string", "format": "date"}, "2025-07-01"),
        ({"type": "string", "maxLength": 2, "minLength": 2}, "Ro"),
        ({"type": "integer", "minimum": 10}, 10),
        ({"type": "number"}, 7.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/City"}]}, {"name": "Rome"}),
        ({"properties": {"a": {"type": "boolean"}}}, {"a": True}),
        ({"$ref": "#/$defs/Missing"}, "Rome"),
        (True, "Rome"),
    ],
)
def test_inputs_follow_the_schema(schema: Any, value: Any) -> None:
    city = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    root = {"type": "object", "properties": {"v": schema}, "$defs": {"City": city}}
    assert make_input(root, "From Rome, 7.5 or so") == {"v": value}


def test_inputs_have_the_required_properties_and_a_limited_depth() -> None:
    schema = {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["b"]}
    assert make_input(schema, "") == {"b": 1}
    assert make_input({}, "x") == {}
    assert make_input({"properties": {"query": {"type": "string"}}}, "find it") == {"query": "find it"}
    recursive = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert json.dumps(make_input(recursive, "")).count("next") < 20
    assert make_input({"$ref": "#"}, "") == {}


# ------------------------------------------------------------------------------------------------ reasoning, citations


@pytest.mark.parametrize(
    ("fields", "enabled"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, True),
        ({"thinking": {"type": "adaptive"}}, True),
        ({"reasoning_config": {"type": "enabled", "budget_tokens": 2000}}, True),
        ({"reasoning_config": "high"}, True),
        ({"reasoningConfig": {"type": "enabled"}}, True),
        ({"reasoning_effort": "low"}, True),
        ({"thinking": {"type": "disabled"}}, False),
        ({"top_k": 3}, False),
    ],
)
def test_reasoning_is_sent_if_enabled(fields: dict[str, Any], enabled: bool) -> None:
    first, *rest = content(request("Why?", additionalModelRequestFields=fields))
    assert ("reasoningContent" in first) is enabled
    assert bool(rest) is enabled
    if enabled:
        assert first["reasoningContent"]["reasoningText"]["signature"]


def document(name: str, source: dict[str, Any], form: str = "txt") -> dict[str, Any]:
    return {"document": {"name": name, "format": form, "source": source, "citations": {"enabled": True}}}


def test_documents_are_cited_if_enabled() -> None:
    body = request("Sum up")
    body["messages"][0]["content"] += [
        document("A", {"bytes": b64encode(b"First line.\nSecond.").decode()}),
        document("B", {"bytes": "AAAA"}, "pdf"),
        document("C", {"text": "Plain."}),
        document("D", {"content": [{"text": "Parts"}, {"text": "of it."}]}),
        {"document": {"name": "E", "source": {"text": "Uncited."}}},
    ]
    citations = [block["citationsContent"]["citations"][0] for block in content(body)]
    assert [(cited["title"], cited["sourceContent"][0]["text"]) for cited in citations] == [
        ("A", "First line."),
        ("B", "the first page of B"),
        ("C", "Plain."),
        ("D", "Parts of it."),
    ]
    assert citations[0]["location"] == {"documentChar": {"documentIndex": 0, "start": 0, "end": 11}}
    assert citations[1]["location"] == {"documentPage": {"documentIndex": 1, "start": 1, "end": 2}}


# -------------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("limit", [1, 3, 12, 30])
async def test_max_tokens_is_a_number_of_deltas(limit: int) -> None:
    thinking = {"thinking": {"type": "adaptive"}}
    body = request("weather in Oslo", toolConfig={"tools": [WEATHER]}, additionalModelRequestFields=thinking)
    body["inferenceConfig"] = {"maxTokens": limit}
    async with Emulator() as emulator:
        answer = await post(emulator, body, model="us.anthropic.claude-sonnet-4-6")
    deltas = [payload["delta"] for name, payload in answer.events if name == "contentBlockDelta"]
    assert len([delta for delta in deltas if "signature" not in delta.get("reasoningContent", {})]) == limit
    assert answer.events[-2][1]["stopReason"] == "max_tokens"
    assert answer.events[-1][1]["usage"]["outputTokens"] == limit


def test_a_high_limit_does_not_cut_the_answer() -> None:
    assert response(request("Hi", inferenceConfig={"maxTokens": 1000}))["stopReason"] == "end_turn"


def test_a_tool_call_can_be_cut_by_the_limit() -> None:
    body = request("get_weather", toolConfig={"tools": [WEATHER]}, inferenceConfig={"maxTokens": 10})
    ((_, value),) = calls(body)
    assert value.startswith('{"')
    assert response(body)["stopReason"] == "max_tokens"


def test_stop_sequences_end_the_text_before_them() -> None:
    body = request("one two three", inferenceConfig={"stopSequences": ["three", "two"]})
    assert text_of(body) == 'You said: "one '
    assert response(body)["stopReason"] == "stop_sequence"
    body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    assert response(body)["additionalModelResponseFields"] == {"stop_sequence": "two"}
    body["inferenceConfig"]["stopSequences"] = ["absent"]
    assert response(body)["stopReason"] == "end_turn"
    body["inferenceConfig"]["stopSequences"] = ["You"]
    assert content(body) == []
