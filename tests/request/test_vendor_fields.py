"""Options that each model family spells differently, and combinations that a family rejects."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream import Tool
from bedrock_stream.errors import UnsupportedOperation
from bedrock_stream.request.models import describe
from bedrock_stream.request.vendor_fields import with_vendor_fields
from bedrock_stream.types.options import read_options
from tests.support.refusals import refused

CLAUDE = "us.anthropic.claude-sonnet-4-20250514-v1:0"
GPT_OSS = "openai.gpt-oss-20b-1:0"
ADDITIONAL = "omit it, or use additional_model_request_fields"


def fields(model: str, **options: Any) -> Any:
    return with_vendor_fields(describe(model), read_options(options)).additional_model_request_fields


def test_options_that_all_families_share_are_unchanged() -> None:
    options = read_options({"max_tokens": 5, "additional_model_request_fields": {"a": 1}})
    assert with_vendor_fields(describe(CLAUDE), options) is options


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        (CLAUDE, {"top_k": 5}),
        ("mistral.mistral-large-2402-v1:0", {"top_k": 5}),
        ("qwen.qwen3-32b-v1:0", {"top_k": 5}),
        ("deepseek.r1-v1:0", {"top_k": 5}),
        ("cohere.command-r-v1:0", {"k": 5}),
        ("amazon.nova-lite-v1:0", {"inferenceConfig": {"topK": 5}}),
    ],
)
def test_top_k_is_sent_under_the_name_of_each_family(model: str, sent: Any) -> None:
    assert fields(model, top_k=5) == sent


@pytest.mark.parametrize(
    ("model", "option"),
    [
        (GPT_OSS, {"top_k": 5}),
        ("meta.llama3-8b-instruct-v1:0", {"top_k": 5}),
        ("meta.llama3-8b-instruct-v1:0", {"reasoning": "low"}),
        ("mistral.mistral-large-2402-v1:0", {"reasoning": "none"}),
        ("newcomer.model-v1", {"reasoning": 2000}),
    ],
)
def test_an_option_that_a_family_is_not_known_to_support_is_refused(model: str, option: dict[str, Any]) -> None:
    (name,) = option
    with refused(name, f"not known to be supported by {model!r}", ADDITIONAL) as caught:
        fields(model, **option)
    assert isinstance(caught.value, UnsupportedOperation)


def test_betas_are_for_claude_only() -> None:
    assert fields(CLAUDE, anthropic_beta=["a", "b"]) == {"anthropic_beta": ["a", "b"]}
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1"
    assert fields(profile, anthropic_beta=["a"]) == {"anthropic_beta": ["a"]}
    with refused("anthropic_beta", "is not an Anthropic model", "omit it") as caught:
        fields(GPT_OSS, anthropic_beta=["a"])
    assert isinstance(caught.value, UnsupportedOperation)


def test_the_callers_own_fields_take_precedence() -> None:
    own = {"top_k": 9, "thinking": {"type": "disabled"}, "new": 1}
    assert fields(CLAUDE, top_k=5, anthropic_beta=["a"], additional_model_request_fields=own) == {
        "top_k": 9,
        "thinking": {"type": "disabled"},
        "new": 1,
        "anthropic_beta": ["a"],
    }
    assert fields(CLAUDE, reasoning="low", additional_model_request_fields={"thinking": 1}) == {"thinking": 1}


# ------------------------------------------------------------------------------------------------------------ reasoning


@pytest.mark.parametrize(
    ("effort", "budget"),
    [
        ("minimal", 1024),
        ("low", 1024),
        ("medium", 2048),
        ("high", 4096),
        ("xhigh", 8192),
        ("max", 16384),
        (1024, 1024),
        (30_000, 30_000),
    ],
)
def test_an_effort_becomes_a_budget_for_claude(effort: Any, budget: int) -> None:
    assert fields(CLAUDE, reasoning=effort) == {"thinking": {"type": "enabled", "budget_tokens": budget}}


@pytest.mark.parametrize("model", [CLAUDE, "anthropic.claude-opus-4-6-v1"])
def test_thinking_can_be_disabled_for_claude(model: str) -> None:
    assert fields(model, reasoning="none", temperature=0.5, top_k=5) == {
        "thinking": {"type": "disabled"},
        "top_k": 5,
    }


@pytest.mark.parametrize(
    ("model", "adaptive"),
    [
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", False),
        ("anthropic.claude-sonnet-4-20250514-v1:0", False),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", False),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", False),
        ("anthropic.claude-opus-4-1-20250805-v1:0", False),
        ("anthropic.claude-instant-v1", False),
        ("anthropic.claude-v2:1", False),
        ("anthropic.claude-sonnet-20270101-v1:0", False),
        ("anthropic.claude-opus-4-6-v1", True),
        ("global.anthropic.claude-opus-4-6-v1:0", True),
        ("anthropic.claude-opus-4-8", True),
        ("anthropic.claude-opus-4-10-20270101-v1:0", True),
        ("anthropic.claude-sonnet-5", True),
        ("anthropic.claude-sonnet-5:0", True),
        ("anthropic.claude-sonnet-5-20270101-v1:0", True),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-5-v1:0", True),
    ],
)
def test_newer_claude_uses_adaptive_thinking(model: str, adaptive: bool) -> None:
    assert (fields(model, reasoning="high")["thinking"]["type"] == "adaptive") == adaptive


@pytest.mark.parametrize(("effort", "sent"), [("minimal", "low"), ("low", "low"), ("max", "max")])
def test_newer_claude_receives_an_effort(effort: str, sent: str) -> None:
    assert fields("anthropic.claude-opus-4-6-v1", reasoning=effort) == {
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": sent},
    }


def test_newer_claude_accepts_a_budget_too() -> None:
    assert fields("anthropic.claude-opus-4-6-v1", reasoning=2000) == {
        "thinking": {"type": "enabled", "budget_tokens": 2000}
    }


@pytest.mark.parametrize("model", [CLAUDE, "anthropic.claude-opus-4-6-v1"])
@pytest.mark.parametrize(
    ("options", "argument", "value", "remedy"),
    [
        ({"temperature": 0.5}, "temperature", "expected 1 or None with reasoning, got 0.5", "omit one"),
        ({"top_p": 0.5}, "top_p", "expected at least 0.95 with reasoning, got 0.5", "pass 0.95 or more"),
        ({"top_k": 5}, "top_k", "expected None with reasoning, got 5", "omit one"),
        ({"tool_choice": "any"}, "tool_choice", "'any' cannot be combined with reasoning", 'use "auto"'),
        ({"tool_choice": "f"}, "tool_choice", "'f' cannot be combined with reasoning", 'use "auto"'),
        ({"tool_choice": {"tool": {"name": "f"}}}, "tool_choice", "cannot be combined with reasoning", 'use "auto"'),
    ],
)
def test_options_that_exclude_thinking_are_refused(
    model: str, options: dict[str, Any], argument: str, value: str, remedy: str
) -> None:
    with refused(argument, value, remedy):
        fields(model, reasoning="high", tools=[Tool(name="f")], **options)


def test_a_budget_outside_the_limits_is_refused() -> None:
    with refused("reasoning", "expected a budget of at least 1024 tokens, got 1023", "pass 1024 or more"):
        fields(CLAUDE, reasoning=1023)
    problem = "expected more than the reasoning budget of 4096 tokens, got 4096"
    with refused("max_tokens", problem, "pass more than 4096"):
        fields(CLAUDE, reasoning="high", max_tokens=4096)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1},
        {"top_p": 0.95},
        {"max_tokens": 4097},
        {"tool_choice": "auto", "tools": [Tool(name="f")]},
        {"tool_choice": "none", "tools": [Tool(name="f")]},
        {"tool_choice": {"auto": {}}, "tools": [Tool(name="f")]},
    ],
)
def test_options_that_thinking_allows_are_accepted(options: dict[str, Any]) -> None:
    assert fields(CLAUDE, reasoning="high", **options) == {"thinking": {"type": "enabled", "budget_tokens": 4096}}


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        (GPT_OSS, "high", {"reasoning_effort": "high"}),
        ("amazon.nova-2-lite-v1:0", "low", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        ("qwen.qwen3-32b-v1:0", "high", {"reasoning_config": "high"}),
    ],
)
def test_other_families_accept_an_effort(model: str, effort: str, sent: Any) -> None:
    assert fields(model, reasoning=effort) == sent


@pytest.mark.parametrize(
    ("model", "supported"),
    [
        (GPT_OSS, "low, medium, high"),
        ("amazon.nova-2-lite-v1:0", "low, medium, high"),
        ("qwen.qwen3-32b-v1:0", "low, high"),
    ],
)
@pytest.mark.parametrize("effort", ["none", "max", 2048])
def test_an_effort_that_a_family_does_not_support_is_refused(model: str, supported: str, effort: Any) -> None:
    with refused("reasoning", f"{effort!r} is not supported by {model!r}", f"use {supported}"):
        fields(model, reasoning=effort)
