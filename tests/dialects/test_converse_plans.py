"""Plans of calls by Converse: whole bodies, held against the service's own model."""

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


def accepted(made: Planned) -> Any:
    """The body as it arrives, which the service's own model accepts as it stands."""
    arrived = json.loads(msgspec.json.encode(made.body))
    assert written_by_botocore(made.body, "ConverseStream") == arrived
    return arrived


def test_what_surrounds_a_call_stands_in_the_body_on_converse() -> None:
    made = plan(
        use_converse=True,
        guardrail=GUARDRAIL,
        performance="optimized",
        service_tier="flex",
        request_metadata={"team": "a"},
    )
    assert made.headers == (("Accept", "application/vnd.amazon.eventstream"),)
    assert accepted(made) == {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "guardrailConfig": GUARDRAIL,
        "performanceConfig": {"latency": "optimized"},
        "serviceTier": {"type": "flex"},
        "requestMetadata": {"team": "a"},
    }


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
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "hi", {"output_schema": {"type": "object"}, "reasoning": 2000}),
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
        ("meta.llama3-8b-instruct-v1:0", HISTORY, {"response_field_paths": ["/a"]}),
        (CLAUDE, "hi", {"prompt_variables": {"a": "b"}}),
    ],
)
def test_converse_bodies_are_what_the_services_own_model_accepts(
    model: str, prompt: Any, options: dict[str, Any]
) -> None:
    made = plan(prompt, model, **options)
    assert made.call.route.dialect.route == "converse"
    assert accepted(made)["messages"]


def test_options_of_a_family_are_additional_fields() -> None:
    body = accepted(plan(use_converse=True, reasoning="low", anthropic_beta=["b"]))
    assert body["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "anthropic_beta": ["b"],
    }
