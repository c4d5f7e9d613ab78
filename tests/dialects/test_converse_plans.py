"""Plans of Converse calls: complete bodies, validated against the service model."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from bedrock_stream import CachePoint, Document, Message, Reasoning, Tool, ToolCall, ToolResult
from tests.support import planning
from tests.support.botocore_oracle import written_by_botocore
from tests.support.planning import Planned

CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"
NOVA = "amazon.nova-lite-v1:0"
GUARDRAIL = {
    "guardrailIdentifier": "g",
    "guardrailVersion": "1",
    "trace": "enabled",
    "streamProcessingMode": "async",
}


def plan(prompt: Any = "hi", /, model: str = CLAUDE, **options: Any) -> Planned:
    return planning.plan(model, prompt, **options)


def accepted_body(plan: Planned) -> Any:
    """Return the body as received. Asserts that the service model accepts it unchanged."""
    received = json.loads(msgspec.json.encode(plan.body))
    assert written_by_botocore(plan.body, "ConverseStream") == received
    return received


def test_request_settings_are_in_the_body_on_converse() -> None:
    planned = plan(
        use_converse=True,
        guardrail=GUARDRAIL,
        performance="optimized",
        service_tier="flex",
        request_metadata={"team": "a"},
    )
    assert planned.headers == (("Accept", "application/vnd.amazon.eventstream"),)
    assert accepted_body(planned) == {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "guardrailConfig": GUARDRAIL,
        "performanceConfig": {"latency": "optimized"},
        "serviceTier": {"type": "flex"},
        "requestMetadata": {"team": "a"},
    }


CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
HISTORY = [
    Message.user("Look.", Document(b"a,b", "csv", name="d", citations=True)),
    Message.assistant(Reasoning("hm", "sig"), ToolCall("call|1", "f", {"a": 1})),
    Message.user(ToolResult("call|1", {"x": 1})),
]


@pytest.mark.parametrize(
    ("model", "prompt", "options"),
    [
        (CLAUDE, HISTORY, {}),
        (CLAUDE, HISTORY, {"tools": [Tool(name="f"), {"cachePoint": {"type": "default"}}], "tool_choice": "auto"}),
        (CLAUDE, "hi", {"use_converse": True, "reasoning": "high", "anthropic_beta": ["b"]}),
        (CLAUDE, "hi", {"output_schema": {"type": "object"}}),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "hi", {"output_schema": CITY, "reasoning": 2000}),
        (
            CLAUDE,
            [Message.user("hi", CachePoint("1h"))],
            {
                "use_converse": True,
                "anthropic_prompt_cache": True,
                "anthropic_prompt_cache_ttl": "1h",
                "tools": [Tool(name="f")],
                "system": "a",
            },
        ),
        (NOVA, "hi", {"top_k": 5, "stop_sequences": ["x"], "system": ["a", CachePoint()]}),
        (NOVA, "hi", {"output_schema": {"type": "object"}, "max_tokens": 5, "temperature": 0.1, "top_p": 0.2}),
        ("openai.gpt-oss-20b-1:0", HISTORY, {"reasoning": "low"}),
        ("meta.llama3-1-8b-instruct-v1:0", HISTORY, {"response_field_paths": ["/a"]}),
        (CLAUDE, "hi", {"prompt_variables": {"a": "b"}}),
    ],
)
def test_converse_bodies_are_valid_for_the_service_model(model: str, prompt: Any, options: dict[str, Any]) -> None:
    planned = plan(prompt, model, **options)
    assert planned.call.dialect.route == "converse"
    assert accepted_body(planned)["messages"]


def test_vendor_options_are_additional_fields() -> None:
    body = accepted_body(plan(use_converse=True, reasoning="low", anthropic_beta=["b"]))
    assert body["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "anthropic_beta": ["b"],
    }
