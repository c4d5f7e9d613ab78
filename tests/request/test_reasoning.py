"""`reasoning`: its words and budgets as each kind of model spells them, and how it is switched off."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_stream import Message, Tool, Usage
from bedrock_stream.dialects.anthropic.reader import read_usage
from bedrock_stream.dialects.openai.facts import take_counts
from bedrock_stream.errors import ConfigurationError, UnsupportedOperation
from bedrock_stream.request.call import write_body
from bedrock_stream.request.models import describe
from bedrock_stream.request.supported import check_options
from bedrock_stream.request.unsupported import Refusals
from bedrock_stream.request.vendor_fields import with_vendor_fields
from bedrock_stream.types.model_facts import ModelFacts
from bedrock_stream.types.options import read_options
from tests.support.refusals import refused

MODEL = "newcomer.model-v1"
ALL = ("low", "medium", "high", "xhigh", "max")
BUDGET = ModelFacts(
    name="Old Claude",
    family="claude",
    native="anthropic",
    thinking="budget",
    takes_budget=True,
    forced_with_thinking=False,
    forced_with_budget=False,
    top_k=("top_k",),
    max_output=64_000,
)
BOTH = ModelFacts(
    name="Claude in between",
    family="claude",
    native="anthropic",
    thinking="adaptive",
    takes_budget=True,
    efforts=("low", "medium", "high", "max"),
    effort_words={"minimal": "low", "xhigh": "max"},
    forced_with_budget=False,
    top_k=("top_k",),
    max_output=128_000,
    default_max_tokens=32_000,
)
ADAPTIVE = ModelFacts(
    name="New Claude",
    family="claude",
    native="anthropic",
    thinking="adaptive",
    efforts=ALL,
    effort_words={"minimal": "low"},
    top_k=("top_k",),
    default_max_tokens=32_000,
)
FLAT = ModelFacts(family="flat", thinking="effort", efforts=("low", "high"), reasoning_path=("reasoning_effort",))
NESTED = ModelFacts(
    family="nested",
    thinking="effort",
    efforts=("low", "medium", "high"),
    reasoning_path=("reasoningConfig", "maxReasoningEffort"),
    reasoning_beside={"type": "enabled"},
)
NONE = ModelFacts(name="Plain", family="plain", thinking="none")


def checked(facts: ModelFacts, mode: Any = "error", **options: Any) -> Any:
    refusals = Refusals(MODEL, mode)
    model = describe(MODEL, facts)
    return with_vendor_fields(model, check_options(model, read_options(options), refusals)), refusals.changes


def fields(facts: ModelFacts, mode: Any = "error", **options: Any) -> Any:
    return checked(facts, mode, **options)[0].additional_model_request_fields


def body(facts: ModelFacts, **options: Any) -> dict[str, Any]:
    return write_body(describe(MODEL, facts), (Message.user("q"),), checked(facts, **options)[0], Refusals(MODEL))[1]


# ---------------------------------------------------------------------------------------------------- words and budgets


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
def test_a_word_becomes_a_budget_where_budgets_are_known(effort: Any, budget: int) -> None:
    assert fields(BUDGET, reasoning=effort) == {"thinking": {"type": "enabled", "budget_tokens": budget}}


@pytest.mark.parametrize(
    ("facts", "word", "sent"),
    [
        (BOTH, "minimal", "low"),
        (BOTH, "xhigh", "max"),
        (ADAPTIVE, "minimal", "low"),
        (ADAPTIVE, "xhigh", "xhigh"),
        (ADAPTIVE, "max", "max"),
    ],
)
def test_adaptive_thinking_receives_an_effort(facts: ModelFacts, word: str, sent: str) -> None:
    expected = {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": sent}}
    assert fields(facts, reasoning=word) == expected


def test_a_budget_is_sent_to_an_adaptive_model_that_takes_it() -> None:
    assert fields(BOTH, reasoning=2000) == {"thinking": {"type": "enabled", "budget_tokens": 2000}}


def test_a_budget_is_refused_with_the_words_to_use() -> None:
    remedy = "use low, medium, high, xhigh, max"
    with refused(
        "reasoning", f"4096 is not supported by {MODEL!r} (New Claude), which takes no budget", remedy
    ) as caught:
        fields(ADAPTIVE, reasoning=4096)
    assert isinstance(caught.value, UnsupportedOperation)
    assert fields(ADAPTIVE, "drop", reasoning=4096) is None
    assert fields(ADAPTIVE, "send", reasoning=4096) == {"thinking": {"type": "enabled", "budget_tokens": 4096}}


@pytest.mark.parametrize(
    ("facts", "sent"),
    [
        (FLAT, {"reasoning_effort": "high"}),
        (NESTED, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
    ],
)
def test_an_effort_is_sent_at_its_path(facts: ModelFacts, sent: Any) -> None:
    assert fields(facts, reasoning="high") == sent


@pytest.mark.parametrize("effort", ["max", 2048])
def test_an_effort_that_a_model_does_not_support_is_refused(effort: Any) -> None:
    with refused("reasoning", f"{effort!r} is not supported by {MODEL!r}", "use low, medium, high"):
        fields(NESTED, reasoning=effort)
    assert fields(NESTED, "drop", reasoning=effort) is None
    assert fields(FLAT, "send", reasoning="max") == {"reasoning_effort": "max"}


@pytest.mark.parametrize("facts", [ModelFacts(), NONE])
@pytest.mark.parametrize("mode", ["error", "send"])
def test_a_word_without_a_known_field_is_refused_with_a_hint(facts: ModelFacts, mode: str) -> None:
    problem = f"not known to be supported by {MODEL!r}"
    with refused("reasoning", problem, "omit it, or use additional_model_request_fields"):
        fields(facts, mode, reasoning="low")
    assert fields(facts, "drop", reasoning="low") is None


# -------------------------------------------------------------------------------------------------------- switching off


@pytest.mark.parametrize(
    ("facts", "off", "sent"),
    [
        (ModelFacts(), "omit", None),
        (NONE, "omit", None),
        (BUDGET, "omit", None),
        (BUDGET, "disabled", {"thinking": {"type": "disabled"}}),
        (ADAPTIVE, "omit", None),
        (ADAPTIVE, "disabled", {"thinking": {"type": "disabled"}}),
        (ADAPTIVE, "between_tools", {"thinking": {"type": "between_tools"}}),
        (FLAT, "omit", None),
        (FLAT, "none", {"reasoning_effort": "none"}),
        (NESTED, "none", {"reasoningConfig": {"maxReasoningEffort": "none"}}),
        (NESTED, "disabled", {"reasoningConfig": {"type": "disabled"}}),
    ],
)
def test_none_is_written_as_the_model_spells_it(facts: ModelFacts, off: Any, sent: Any) -> None:
    assert (fields(replace(facts, thinking_off=off), reasoning="none") or None) == sent


@pytest.mark.parametrize(
    ("facts", "remedy", "sent"),
    [
        (ADAPTIVE, "use low, medium, high, xhigh, max, or omit it", {"thinking": {"type": "disabled"}}),
        (FLAT, "use low, high, or omit it", {"reasoning_effort": "none"}),
        (NONE, "omit it", None),
    ],
)
def test_none_is_refused_by_a_model_that_always_reasons(facts: ModelFacts, remedy: str, sent: Any) -> None:
    always = replace(facts, thinking_off="never")
    with refused("reasoning", f"'none' is not supported by {MODEL!r}", remedy):
        fields(always, reasoning="none")
    assert fields(always, "drop", reasoning="none") is None
    assert (fields(always, "send", reasoning="none") or None) == sent


def test_a_model_that_may_still_reason_after_none_is_named() -> None:
    _, changes = checked(ModelFacts(thinking="adaptive", thinking_default=True), reasoning="none")
    assert len(changes) == 1
    assert "reasoning='none' sends nothing" in changes[0]
    assert checked(BUDGET, reasoning="none")[1] == []


# ---------------------------------------------------------------------------------------------- options beside thinking

TOOL = Tool(name="f")


@pytest.mark.parametrize("facts", [BUDGET, BOTH])
@pytest.mark.parametrize(
    ("options", "argument", "value", "remedy"),
    [
        ({"temperature": 0.5}, "temperature", "expected 1 or None with reasoning, got 0.5", "omit one"),
        ({"top_p": 0.5}, "top_p", "expected at least 0.95 with reasoning, got 0.5", "pass 0.95 or more"),
        ({"top_k": 5}, "top_k", "expected None with reasoning, got 5", "omit one"),
    ],
)
def test_sampling_that_excludes_thinking_is_refused(
    facts: ModelFacts, options: dict[str, Any], argument: str, value: str, remedy: str
) -> None:
    with refused(argument, value, remedy):
        fields(facts, reasoning="high", **options)
    (left,) = options
    assert getattr(checked(facts, "drop", reasoning="high", **options)[0], left) is None
    assert getattr(checked(facts, "send", reasoning="high", **options)[0], left) == options[left]


@pytest.mark.parametrize("choice", ["any", "f", {"tool": {"name": "f"}}, {"any": {}}])
@pytest.mark.parametrize(("facts", "reasoning"), [(BUDGET, "high"), (BUDGET, 2000), (BOTH, 2000)])
def test_a_forced_call_is_refused_beside_a_budget(facts: ModelFacts, reasoning: Any, choice: Any) -> None:
    with refused("tool_choice", f"{choice!r} cannot be combined with reasoning", 'use "auto"'):
        fields(facts, reasoning=reasoning, tools=[TOOL], tool_choice=choice)
    options, _ = checked(facts, "drop", reasoning=reasoning, tools=[TOOL], tool_choice=choice)
    assert (options.tool_choice, len(options.tools)) == (None, 1)


@pytest.mark.parametrize(
    ("facts", "options"),
    [
        (BOTH, {"reasoning": "high"}),
        (ADAPTIVE, {"reasoning": "high"}),
        (BUDGET, {"reasoning": "none"}),
        (BUDGET, {}),
        (ModelFacts(thinking="effort", forced_with_thinking=False), {}),
    ],
)
def test_a_forced_call_is_taken_where_thinking_allows_it(facts: ModelFacts, options: dict[str, Any]) -> None:
    assert checked(facts, tools=[TOOL], tool_choice="any", **options)[0].tool_choice == "any"


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1},
        {"top_p": 0.95},
        {"max_tokens": 4097},
        {"tool_choice": "auto", "tools": [TOOL]},
        {"tool_choice": "none", "tools": [TOOL]},
        {"tool_choice": {"auto": {}}, "tools": [TOOL]},
    ],
)
def test_options_that_thinking_allows_are_accepted(options: dict[str, Any]) -> None:
    assert fields(BUDGET, reasoning="high", **options) == {"thinking": {"type": "enabled", "budget_tokens": 4096}}


def test_a_budget_outside_the_limits_is_refused() -> None:
    with refused("reasoning", "expected a budget of at least 1024 tokens, got 1023", "pass 1024 or more"):
        fields(BUDGET, reasoning=1023)
    with refused("reasoning", "expected a budget below the 64000 output tokens", "pass less"):
        fields(BUDGET, reasoning=64_000)
    problem = "expected more than the reasoning budget of 4096 tokens, got 4096"
    with refused("max_tokens", problem, "pass more than 4096"):
        fields(BUDGET, reasoning="high", max_tokens=4096)


def test_a_limit_that_leaves_no_room_stays_and_the_reasoning_is_dropped() -> None:
    options, changes = checked(BUDGET, "drop", reasoning="high", max_tokens=4096)
    assert (options.max_tokens, options.reasoning, options.additional_model_request_fields) == (4096, None, None)
    assert changes == ["reasoning was left out: max_tokens=4096 leaves no room for 'high'"]
    assert checked(BUDGET, "send", reasoning="high", max_tokens=4096)[0].reasoning == "high"


# -------------------------------------------------------------------------------------------------- room for the answer


@pytest.mark.parametrize(
    ("facts", "options", "limit"),
    [
        (ModelFacts(native="anthropic"), {}, 4096),
        (BUDGET, {}, 4096),
        (BUDGET, {"reasoning": 2000}, 6096),
        (BUDGET, {"reasoning": 63_000}, 64_000),
        (BOTH, {"reasoning": 2000}, 34_000),
        (BOTH, {"reasoning": 127_000}, 128_000),
        (ADAPTIVE, {"reasoning": "max"}, 32_000),
        (ADAPTIVE, {}, 32_000),
        (ADAPTIVE, {"max_tokens": 7}, 7),
    ],
)
def test_a_native_body_leaves_room_for_the_answer(facts: ModelFacts, options: dict[str, Any], limit: int) -> None:
    assert body(facts, **options)["max_tokens"] == limit


@pytest.mark.parametrize("facts", [BUDGET, BOTH, ADAPTIVE])
def test_converse_receives_no_limit_of_ours(facts: ModelFacts) -> None:
    sent = body(facts, reasoning="high", use_converse=True)
    assert "inferenceConfig" not in sent
    assert sent["additionalModelRequestFields"] == fields(facts, reasoning="high")


@pytest.mark.parametrize("facts", [BUDGET, BOTH, ADAPTIVE])
def test_both_routes_send_the_same_fields(facts: ModelFacts) -> None:
    native = body(facts, reasoning="high", use_converse=False)
    assert {name: native[name] for name in fields(facts, reasoning="high")} == fields(facts, reasoning="high")


# ---------------------------------------------------------------------------------------------------------------- usage


def test_reasoning_tokens_are_read_where_the_service_reports_them() -> None:
    counts = {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30, "new": 1}}
    usage = Usage(output_tokens=50, extra={"output_tokens_details": {"new": 1}}, reasoning_tokens=30)
    assert read_usage(counts) == usage
    assert read_usage({"output_tokens_details": {"thinking_tokens": "?"}}).reasoning_tokens is None
    chat = {"usage": {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}}}
    assert take_counts(chat).usage == Usage(output_tokens=9, reasoning_tokens=4)


def test_a_later_count_of_reasoning_tokens_counts() -> None:
    merged = Usage(reasoning_tokens=1).merged(Usage(output_tokens=3)).merged(Usage(reasoning_tokens=2))
    assert merged == Usage(output_tokens=3, reasoning_tokens=2)


def test_refusals_are_configuration_errors() -> None:
    with pytest.raises(ConfigurationError):
        fields(FLAT, reasoning=5)
