"""Plans: everything a caller says, in its place in headers and body on either route."""

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
AROUND: dict[str, Any] = {
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
    made = plan(streaming=stream, **options)
    assert (made.call.operation, made.headers) == (operation, headers)
    assert made.call.model.id == CLAUDE
    assert made.call.output is None


def test_what_surrounds_a_call_stands_in_headers_on_the_native_route() -> None:
    made = plan(**AROUND)
    assert dict(made.headers) == {
        "Accept": EVENTS,
        "X-Amzn-Bedrock-Accept": "application/json",
        "X-Amzn-Bedrock-GuardrailIdentifier": "g",
        "X-Amzn-Bedrock-GuardrailVersion": "1",
        "X-Amzn-Bedrock-Trace": "ENABLED",
        "X-Amzn-Bedrock-PerformanceConfig-Latency": "optimized",
        "X-Amzn-Bedrock-Service-Tier": "flex",
        "X-Amzn-Bedrock-Request-Metadata": '{"team": "a"}',
    }
    assert made.body == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "amazon-bedrock-guardrailConfig": {"streamProcessingMode": "async"},
    }


def test_options_of_a_family_stand_in_a_native_body_itself() -> None:
    body = plan(reasoning="low", anthropic_beta=["b"]).body
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert body["anthropic_beta"] == ["b"]
    assert body["max_tokens"] == 4096 + 1024


def test_what_a_conversation_lacks_is_mended_before_the_route_is_chosen() -> None:
    made = plan(
        [
            Message.user("Look."),
            Message.assistant(Reasoning("hm", "sig"), ToolCall("call|1", "f", {"a": 1})),
            Message.user(ToolResult("call|1", {"x": 1})),
        ]
    )
    assert [tool.name for tool in made.options.tools if isinstance(tool, Tool)] == ["f"]
    _, assistant, result = made.body["messages"]
    assert assistant["content"][1]["toolUse"]["toolUseId"] == result["content"][0]["toolResult"]["toolUseId"]
    assert "|" not in result["content"][0]["toolResult"]["toolUseId"]


@pytest.mark.parametrize("wanted", [{"type": "object"}, type("Answer", (msgspec.Struct,), {})])
def test_a_wanted_shape_goes_with_the_plan(wanted: Any) -> None:
    made = plan(output_schema=wanted)
    assert made.call.output is not None
    assert made.body["toolConfig"]["toolChoice"] == {"tool": {"name": "structured_output"}}


def test_too_many_cache_points_are_refused_with_those_that_were_set() -> None:
    points = Message.user("a", CachePoint(), "b", CachePoint(), "c", CachePoint())
    with refused("messages[0].content[5]", "at most 4 cache points", "remove a cache point"):
        plan([points], system="a", tools=[Tool(name="f")], anthropic_prompt_cache=True)


def test_what_is_wrong_with_the_model_or_an_option_is_said_first() -> None:
    with refused("model", "'a b' contains white space", "remove them"):
        plan(model="a b")
    with refused("max_tokns", "unknown option", "did you mean max_tokens?"):
        plan(max_tokns=5)
