"""Calls: all options are in the right headers and body members on both APIs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bedrock_stream import CachePoint, Message, Reasoning, Tool, ToolCall, ToolResult
from tests.support import planning
from tests.support.planning import Planned
from tests.support.refusals import refused

CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"
EVENTS = "application/vnd.amazon.eventstream"
GUARDRAIL = {
    "guardrailIdentifier": "g",
    "guardrailVersion": "1",
    "trace": "enabled",
    "streamProcessingMode": "async",
}
SETTINGS: dict[str, Any] = {
    "guardrail": GUARDRAIL,
    "performance": "optimized",
    "service_tier": "flex",
    "request_metadata": {"team": "a"},
}


def plan(prompt: Any = "hi", /, model: str = CLAUDE, *, streaming: bool = True, **options: Any) -> Planned:
    return planning.plan(model, prompt, streaming=streaming, **options)


@pytest.mark.parametrize(
    ("stream", "options", "operation", "headers"),
    [
        (
            True,
            {},
            "invoke-with-response-stream",
            (("Accept", EVENTS), ("X-Amzn-Bedrock-Accept", "application/json")),
        ),
        (False, {}, "invoke", (("Accept", "application/json"),)),
        (True, {"use_converse": True}, "converse-stream", (("Accept", EVENTS),)),
        (False, {"use_converse": True}, "converse", (("Accept", "application/json"),)),
    ],
)
def test_each_route_has_its_operation_and_headers(
    stream: bool, options: dict[str, Any], operation: str, headers: Any
) -> None:
    planned = plan(streaming=stream, **options)
    assert (planned.call.operation, planned.headers) == (operation, headers)
    assert planned.call.model.id == CLAUDE
    assert planned.call.output is None


def test_request_settings_are_headers_on_the_native_route() -> None:
    planned = plan(**SETTINGS)
    assert dict(planned.headers) == {
        "Accept": EVENTS,
        "X-Amzn-Bedrock-Accept": "application/json",
        "X-Amzn-Bedrock-GuardrailIdentifier": "g",
        "X-Amzn-Bedrock-GuardrailVersion": "1",
        "X-Amzn-Bedrock-Trace": "ENABLED",
        "X-Amzn-Bedrock-PerformanceConfig-Latency": "optimized",
        "X-Amzn-Bedrock-Service-Tier": "flex",
        "X-Amzn-Bedrock-Request-Metadata": '{"team": "a"}',
    }
    assert planned.body == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "amazon-bedrock-guardrailConfig": {"streamProcessingMode": "async"},
    }


@pytest.mark.parametrize("streaming", [True, False])
def test_a_project_is_a_header_or_a_member_of_the_body(streaming: bool) -> None:
    header = "X-Amzn-Bedrock-ProjectIdentifier"
    native = plan(project="proj_1", streaming=streaming)
    assert dict(native.headers)[header] == "proj_1"
    assert "projectIdentifier" not in native.body
    converse = plan(project="proj_1", streaming=streaming, use_converse=True)
    assert header not in dict(converse.headers)
    assert converse.body["projectIdentifier"] == "proj_1"


def test_vendor_options_are_members_of_a_native_body() -> None:
    body = plan(reasoning="low", anthropic_beta=["b"]).body
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert body["anthropic_beta"] == ["b"]
    assert body["max_tokens"] == 4096 + 1024


def test_a_conversation_is_normalized_before_the_route_is_chosen() -> None:
    planned = plan(
        [
            Message.user("Look."),
            Message.assistant(Reasoning("hm", "sig"), ToolCall("call|1", "f", {"a": 1})),
            Message.user(ToolResult("call|1", {"x": 1})),
        ]
    )
    assert [tool.name for tool in planned.options.tools if isinstance(tool, Tool)] == ["f"]
    _, assistant, result = planned.body["messages"]
    assert assistant["content"][1]["toolUse"]["toolUseId"] == result["content"][0]["toolResult"]["toolUseId"]
    assert "|" not in result["content"][0]["toolResult"]["toolUseId"]


@pytest.mark.parametrize("schema", [{"type": "object"}, type("Answer", (msgspec.Struct,), {})])
def test_an_output_schema_is_part_of_the_call(schema: Any) -> None:
    planned = plan(output_schema=schema)
    assert planned.call.output is not None
    assert planned.body["toolConfig"]["toolChoice"] == {"tool": {"name": "structured_output"}}


def test_too_many_cache_points_are_refused_counting_automatic_ones() -> None:
    points = Message.user("a", CachePoint(), "b", CachePoint(), "c", CachePoint())
    with refused("messages[0].content[5]", "at most 4 cache points", "remove a cache point"):
        plan([points], system="a", tools=[Tool(name="f")], anthropic_prompt_cache=True)


def test_an_invalid_model_or_option_is_refused() -> None:
    with refused("model", "'a b' contains white space", "remove them"):
        plan(model="a b")
    with refused("max_tokns", "unknown option", "did you mean max_tokens?"):
        plan(max_tokns=5)
