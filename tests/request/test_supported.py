"""Options that a model is known to refuse: an error with option, model and remedy, left out, or sent."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream import Message, Tool, ToolCall
from bedrock_stream.errors import UnsupportedOperation
from bedrock_stream.request.call import plan_call, write_body
from bedrock_stream.request.models import describe
from bedrock_stream.request.supported import check_last_message, check_options
from bedrock_stream.request.unsupported import Refusals, Unsupported
from bedrock_stream.types.messages import Raw, read_prompt
from bedrock_stream.types.model_facts import ModelFacts
from bedrock_stream.types.options import Options, read_options
from tests.support.planning import DESTINATION
from tests.support.refusals import refused

MODEL = "newcomer.model-v1"
NAMED = f"{MODEL!r} (New)"
TOOL = Tool(name="f")


def facts(**members: Any) -> ModelFacts:
    return ModelFacts(name="New", family="new", **members)


def check(known: ModelFacts, mode: Any = "error", **options: Any) -> Options:
    return check_options(describe(MODEL, known), read_options(options), Refusals(MODEL, mode))


@pytest.mark.parametrize(
    ("known", "options", "argument", "problem", "remedy"),
    [
        (facts(system=False), {"system": "s"}, "system", "is not supported by", "first message"),
        (facts(temperature="none"), {"temperature": 1}, "temperature", "expected None for", "omit it"),
        (facts(temperature="one"), {"temperature": 0.2}, "temperature", "expected 1 or None for", "omit it"),
        (facts(top_p=False), {"top_p": 0.5}, "top_p", "is not supported by", "omit it"),
        (
            facts(temperature_with_top_p=False),
            {"top_p": 0.5, "temperature": 0.5},
            "top_p",
            "does not take it together with temperature",
            "omit one",
        ),
        (facts(), {"top_k": 5}, "top_k", "not known to be supported by", "additional_model_request_fields"),
        (facts(stop_sequences=False), {"stop_sequences": ["a"]}, "stop_sequences", "is not supported by", "omit it"),
        (facts(min_max_tokens=16), {"max_tokens": 15}, "max_tokens", "expected at least 16 for", "pass 16 or more"),
        (facts(max_output=100), {"max_tokens": 101}, "max_tokens", "expected at most 100 for", "pass 100 or less"),
        (facts(tools=False), {"tools": [TOOL]}, "tools", "is not supported by", "use a model with tools"),
        (
            facts(tool_choices=("auto", "any")),
            {"tools": [TOOL], "tool_choice": "f"},
            "tool_choice",
            "'f' is not supported by",
            "use auto, any, or omit it",
        ),
        (
            facts(tool_choices=()),
            {"tools": [TOOL], "tool_choice": {"any": {}}},
            "tool_choice",
            "{'any': {}} is not supported by",
            "omit it",
        ),
    ],
)
def test_a_refused_option_is_an_error_is_left_out_or_is_sent(
    known: ModelFacts, options: dict[str, Any], argument: str, problem: str, remedy: str
) -> None:
    with refused(argument, problem, remedy) as caught:
        check(known, **options)
    assert isinstance(caught.value, UnsupportedOperation)
    assert NAMED in caught.value.problem
    dropped = check(known, "drop", **options)
    if argument != "max_tokens" or "most" not in problem:
        assert getattr(dropped, argument) == getattr(Options(), argument)
    for name in options.keys() - {argument, "tools"}:
        assert getattr(dropped, name) == options[name]
    assert check(known, "send", **options) == read_options(options)


@pytest.mark.parametrize(
    ("known", "options"),
    [
        (facts(temperature="one"), {"temperature": 1}),
        (facts(temperature_with_top_p=False), {"top_p": 0.5}),
        (facts(temperature_with_top_p=False), {"temperature": 0.5}),
        (facts(blank_stop_sequences=False), {"stop_sequences": ["a", " b"]}),
        (facts(), {"stop_sequences": [" \n"]}),
        (facts(min_max_tokens=16, max_output=100), {"max_tokens": 16}),
        (facts(min_max_tokens=16, max_output=100), {"max_tokens": 100}),
        (facts(tool_choices=("auto",)), {"tools": [TOOL], "tool_choice": "auto"}),
        (facts(tool_choices=("auto",)), {"tools": [TOOL], "tool_choice": "none"}),
        (facts(tool_choices=("auto",)), {"tools": [TOOL], "tool_choice": {"newForm": {}}}),
        (facts(tool_choices=("auto", "tool")), {"tools": [TOOL], "tool_choice": {"tool": {"name": "f"}}}),
        (ModelFacts(), {"temperature": 0.1, "top_p": 0.1, "max_tokens": 1, "system": "s", "tools": [TOOL]}),
        (
            facts(temperature="none", top_p=False),
            {"additional_model_request_fields": {"temperature": 1, "top_k": 1}, "extra": {"top_p": 1}},
        ),
    ],
)
def test_other_values_pass_unchanged(known: ModelFacts, options: dict[str, Any]) -> None:
    assert check(known, **options) == read_options(options)


def test_a_limit_above_the_models_maximum_becomes_the_maximum() -> None:
    # The same as leaving it out of a Converse body; a native body needs the number.
    assert check(facts(max_output=100), "drop", max_tokens=101).max_tokens == 100


def test_only_the_blank_stop_sequences_are_left_out() -> None:
    known = facts(blank_stop_sequences=False)
    with refused("stop_sequences", f"{NAMED} takes none that consists of white space, got ' \\n'", "remove it"):
        check(known, stop_sequences=["a", " \n"])
    assert check(known, "drop", stop_sequences=["a", " \n"]).stop_sequences == ("a",)
    assert check(known, "send", stop_sequences=["a", " \n"]).stop_sequences == ("a", " \n")


@pytest.mark.parametrize("option", [{"max_tokens": 5}, {"temperature": 0.5}, {"top_p": 0.5}, {"top_k": 5}])
def test_what_the_effort_high_excludes_is_refused_with_it_alone(option: dict[str, Any]) -> None:
    known = facts(
        thinking="effort",
        efforts=("low", "high"),
        effort_words={"max": "high"},
        reasoning_path=("effort",),
        excluded_at_high=("max_tokens", "temperature", "top_p", "top_k"),
        top_k=("top_k",),
    )
    (name,) = option
    for effort in ("high", "max"):
        problem = f"{NAMED} does not take it with reasoning='high'"
        with refused(name, problem, "omit it, or use a lower effort"):
            check(known, reasoning=effort, **option)
        assert getattr(check(known, "drop", reasoning=effort, **option), name) is None
    assert getattr(check(known, reasoning="low", **option), name) == option[name]
    assert getattr(check(known, **option), name) == option[name]


def test_every_dropped_option_is_noted() -> None:
    refusals = Refusals(MODEL, "drop")
    options = read_options({"temperature": 0.5, "top_p": 0.5, "stop_sequences": ["a"]})
    known = facts(temperature="none", top_p=False, stop_sequences=False)
    assert check_options(describe(MODEL, known), options, refusals) == Options()
    assert [change.partition(" ")[0] for change in refusals.changes] == ["temperature", "top_p", "stop_sequences"]


def test_tools_are_left_out_with_their_choice() -> None:
    dropped = check(facts(tools=False), "drop", tools=[TOOL], tool_choice="any")
    assert dropped == Options()


def test_stop_sequences_that_only_the_native_format_takes() -> None:
    known = facts(native="openai", converse_stop_sequences=False)

    def body(mode: Any = "error", **options: Any) -> dict[str, Any]:
        read = read_options({"stop_sequences": ["a"], **options})
        return write_body(describe(MODEL, known), (Message.user("q"),), read, Refusals(MODEL, mode))[1]

    assert body()["stop"] == ["a"]
    with refused("stop_sequences", f"Converse does not take it for {NAMED}", "call without tools"):
        body(tools=[TOOL])
    assert "inferenceConfig" not in body("drop", tools=[TOOL])
    assert body("send", tools=[TOOL])["inferenceConfig"] == {"stopSequences": ("a",)}


# -------------------------------------------------------------------------------------------------------------- prefill

PREFILL = [Message.user("q"), Message.assistant("{")]
NO_PREFILL = facts(prefill=False)


def test_a_last_message_of_the_assistant_is_refused_by_models_without_prefill() -> None:
    with refused("messages[1]", f"{NAMED} does not take a last message of the assistant", "end with a message of"):
        plan_call(MODEL, PREFILL, Options(), DESTINATION, streaming=True, known=NO_PREFILL)
    modes: tuple[tuple[Unsupported, int], ...] = (("drop", 1), ("send", 2))
    for mode, count in modes:
        call = plan_call(MODEL, PREFILL, Options(), DESTINATION, streaming=True, known=NO_PREFILL, unsupported=mode)
        assert len(call.messages) == count


@pytest.mark.parametrize(
    ("known", "messages"),
    [
        (ModelFacts(), PREFILL),
        (NO_PREFILL, PREFILL[:1]),
        (NO_PREFILL, []),
        # A turn that the service paused inside its own tools is continued by sending it back.
        (NO_PREFILL, [Message.user("q"), Message.assistant(ToolCall("a", "web_search", {}, server=True))]),
        (NO_PREFILL, [Message.user("q"), Message.assistant(Raw({"type": "mcp_tool_use"}))]),
    ],
)
def test_other_last_messages_pass(known: ModelFacts, messages: list[Message]) -> None:
    model, read = describe(MODEL, known), read_prompt(messages) if messages else ()
    assert check_last_message(model, read, Options(), Refusals(MODEL)) is read
