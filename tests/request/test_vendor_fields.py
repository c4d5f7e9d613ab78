"""Options that every family spells its own way, and what each family excludes."""

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
ADDITIONAL = "leave it out, or use additional_model_request_fields"


def fields(model: str, **options: Any) -> Any:
    return with_vendor_fields(describe(model), read_options(options)).additional_model_request_fields


def test_options_that_are_the_same_for_all_stay_as_they_are() -> None:
    options = read_options({"max_tokens": 5, "additional_model_request_fields": {"a": 1}})
    assert with_vendor_fields(describe(CLAUDE), options) is options


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (CLAUDE, {"top_k": 5}),
        ("mistral.mistral-large-2402-v1:0", {"top_k": 5}),
        ("qwen.qwen3-32b-v1:0", {"top_k": 5}),
        ("deepseek.r1-v1:0", {"top_k": 5}),
        ("cohere.command-r-v1:0", {"k": 5}),
        ("amazon.nova-lite-v1:0", {"inferenceConfig": {"topK": 5}}),
    ],
)
def test_top_k_has_each_familys_name(model: str, said: Any) -> None:
    assert fields(model, top_k=5) == said


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
def test_what_a_family_is_not_known_to_take_is_refused(model: str, option: dict[str, Any]) -> None:
    (name,) = option
    with refused(name, f"{model!r} is not known to take it", ADDITIONAL) as caught:
        fields(model, **option)
    assert isinstance(caught.value, UnsupportedOperation)


def test_betas_are_claudes_alone() -> None:
    assert fields(CLAUDE, anthropic_beta=["a", "b"]) == {"anthropic_beta": ["a", "b"]}
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1"
    assert fields(profile, anthropic_beta=["a"]) == {"anthropic_beta": ["a"]}
    with refused("anthropic_beta", "is not one of Anthropic's models", "leave it out") as caught:
        fields(GPT_OSS, anthropic_beta=["a"])
    assert isinstance(caught.value, UnsupportedOperation)


def test_the_callers_own_fields_go_before() -> None:
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
def test_claude_thinks_within_a_budget(effort: Any, budget: int) -> None:
    assert fields(CLAUDE, reasoning=effort) == {"thinking": {"type": "enabled", "budget_tokens": budget}}


@pytest.mark.parametrize("model", [CLAUDE, "anthropic.claude-opus-4-6-v1"])
def test_claude_can_be_told_not_to_think(model: str) -> None:
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
def test_newer_claude_decides_itself_how_long_to_think(model: str, adaptive: bool) -> None:
    assert (fields(model, reasoning="high")["thinking"]["type"] == "adaptive") == adaptive


@pytest.mark.parametrize(("effort", "said"), [("minimal", "low"), ("low", "low"), ("max", "max")])
def test_newer_claude_is_guided_by_an_effort(effort: str, said: str) -> None:
    assert fields("anthropic.claude-opus-4-6-v1", reasoning=effort) == {
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": said},
    }


def test_newer_claude_takes_a_budget_too() -> None:
    assert fields("anthropic.claude-opus-4-6-v1", reasoning=2000) == {
        "thinking": {"type": "enabled", "budget_tokens": 2000}
    }


@pytest.mark.parametrize("model", [CLAUDE, "anthropic.claude-opus-4-6-v1"])
@pytest.mark.parametrize(
    ("options", "argument", "value", "remedy"),
    [
        ({"temperature": 0.5}, "temperature", "0.5 excludes reasoning", "leave one of them out"),
        ({"top_p": 0.5}, "top_p", "0.5 excludes reasoning", "give 0.95 or more"),
        ({"top_k": 5}, "top_k", "5 excludes reasoning", "leave one of them out"),
        ({"tool_choice": "any"}, "tool_choice", "'any' excludes reasoning", 'use "auto"'),
        ({"tool_choice": "f"}, "tool_choice", "'f' excludes reasoning", 'use "auto"'),
        ({"tool_choice": {"tool": {"name": "f"}}}, "tool_choice", "excludes reasoning", 'use "auto"'),
    ],
)
def test_what_excludes_thinking_is_named(
    model: str, options: dict[str, Any], argument: str, value: str, remedy: str
) -> None:
    with refused(argument, value, remedy):
        fields(model, reasoning="high", tools=[Tool(name="f")], **options)


def test_what_leaves_no_room_is_named() -> None:
    with refused("reasoning", "a budget of 1023 tokens is too small", "give 1024 or more"):
        fields(CLAUDE, reasoning=1023)
    with refused("max_tokens", "4096 leaves no room for an answer behind 4096 tokens", "give more than 4096"):
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
def test_what_stands_beside_thinking_is_taken(options: dict[str, Any]) -> None:
    assert fields(CLAUDE, reasoning="high", **options) == {"thinking": {"type": "enabled", "budget_tokens": 4096}}


@pytest.mark.parametrize(
    ("model", "effort", "said"),
    [
        (GPT_OSS, "high", {"reasoning_effort": "high"}),
        ("amazon.nova-2-lite-v1:0", "low", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        ("qwen.qwen3-32b-v1:0", "high", {"reasoning_config": "high"}),
    ],
)
def test_other_families_take_a_word(model: str, effort: str, said: Any) -> None:
    assert fields(model, reasoning=effort) == said


@pytest.mark.parametrize(
    ("model", "offered"),
    [
        (GPT_OSS, "low, medium, high"),
        ("amazon.nova-2-lite-v1:0", "low, medium, high"),
        ("qwen.qwen3-32b-v1:0", "low, high"),
    ],
)
@pytest.mark.parametrize("effort", ["none", "max", 2048])
def test_a_word_that_a_family_does_not_offer_is_refused(model: str, offered: str, effort: Any) -> None:
    with refused("reasoning", f"{effort!r} is not offered by {model}", f"use {offered}"):
        fields(model, reasoning=effort)
