"""Options: every check with its name, value and remedy, the nearest name for a wrong one, and no key in sight."""

from __future__ import annotations

import math
import pickle
import typing
from types import MappingProxyType
from typing import Any

import pytest

from bedrock_stream import CachePoint, Image, Text, Timeouts, Tool
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.types.options import CallOptions, Options, read_options
from tests.support.refusals import refused

TOOL = Tool(name="f")


def read(**given: Any) -> Options:
    return read_options(given)


# ----------------------------------------------------------------------------------------------------- what is accepted


def test_nothing_said_is_nothing_set() -> None:
    assert read_options({}) == Options()
    assert Options().keep is True


def test_none_stands_for_nothing_said() -> None:
    assert read(**dict.fromkeys(Options.__struct_fields__)) == Options()
    assert read(provider_options=None) == Options()


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("system", "be brief", (Text("be brief"),)),
        ("system", Text("be brief"), (Text("be brief"),)),
        ("system", " ", (Text(" "),)),
        ("system", ["a", CachePoint(), {"guardContent": {}}], (Text("a"), CachePoint(), {"guardContent": {}})),
        ("system", [], ()),
        ("tools", [TOOL, {"systemTool": {}}], (TOOL, {"systemTool": {}})),
        ("max_tokens", 1, 1),
        ("max_tokens", 10**9, 10**9),
        ("temperature", 0, 0.0),
        ("temperature", 1, 1.0),
        ("top_p", 0.5, 0.5),
        ("stop_sequences", ["a", " "], ("a", " ")),
        ("stop_sequences", ("a",), ("a",)),
        ("api_key", "k", "k"),
        ("region", "eu-west-1", "eu-west-1"),
        ("access_key_id", "a", "a"),
        ("secret_access_key", "s", "s"),
        ("session_token", "t", "t"),
        ("use_converse", False, False),
        ("additional_model_request_fields", {"top_k": 5}, {"top_k": 5}),
        ("additional_model_request_fields", MappingProxyType({"top_k": 5}), {"top_k": 5}),
        ("response_field_paths", ["/a"], ("/a",)),
        (
            "guardrail",
            {"guardrailIdentifier": "g", "guardrailVersion": "1"},
            {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        ),
        ("performance", "optimized", "optimized"),
        ("service_tier", "tomorrow", "tomorrow"),
        ("request_metadata", {"team": "a"}, {"team": "a"}),
        ("extra", {"new": [1]}, {"new": [1]}),
        ("timeouts", Timeouts(idle=5), Timeouts(idle=5)),
        ("keep", False, False),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_option_is_kept_in_its_checked_form(name: str, given: Any, kept: Any) -> None:
    found = getattr(read_options({name: given}), name)
    assert found == kept
    assert type(found) is type(kept)
    assert getattr(read_options({"provider_options": {name: given}}), name) == kept


def test_a_keyword_beats_the_same_provider_option() -> None:
    options = read(region="eu-west-1", provider_options={"region": "us-east-1", "max_tokens": 5})
    assert (options.region, options.max_tokens) == ("eu-west-1", 5)


def test_what_the_caller_gave_is_not_changed() -> None:
    given = {"provider_options": {"max_tokens": 5}, "extra": {}}
    read_options(given)
    assert given == {"provider_options": {"max_tokens": 5}, "extra": {}}


def test_the_keywords_for_type_checkers_are_those_that_are_checked() -> None:
    known = {name for name in typing.get_type_hints(CallOptions) if name != "provider_options"}
    assert known == set(Options.__struct_fields__)
    with pytest.raises(ConfigurationError) as caught:
        read(zzzzzzzz=1)
    assert known == set(caught.value.remedy.removeprefix("known are ").partition(";")[0].split(", "))


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("max_token", "max_tokens"),
        ("maxTokens", "max_tokens"),
        ("temprature", "temperature"),
        ("stop_sequence", "stop_sequences"),
        ("tool_choise", "tool_choice"),
        ("regoin", "region"),
        ("apikey", "api_key"),
        ("guardrails", "guardrail"),
    ],
)
def test_an_unknown_option_is_refused_with_the_nearest_known_one(name: str, near: str) -> None:
    with refused(name, "unknown option", f"did you mean {near}?"):
        read_options({name: 1})
    with refused(name, "unknown option", f"did you mean {near}?"):
        read(provider_options={name: None})


@pytest.mark.parametrize("name", ["zzzzzzzz", 5, None, ("a",)])
def test_an_option_like_no_other_is_answered_with_all_of_them(name: Any) -> None:
    with refused(name, "unknown option", "extra={...} is sent as it is"):
        read(provider_options={name: 1})


@pytest.mark.parametrize(
    ("name", "given", "value", "remedy"),
    [
        ("max_tokens", 0, "0 is below 1", "leave it out to let the model decide"),
        ("max_tokens", -5, "-5 is below 1", "leave it out to let the model decide"),
        ("max_tokens", 1.0, "1.0 is not usable", "give a whole number"),
        ("max_tokens", "5", "'5' is not usable", "give a whole number"),
        ("max_tokens", True, "True is not usable", "give a whole number"),
        ("temperature", 1.1, "1.1 is outside 0 to 1", "Bedrock takes no other"),
        ("temperature", -0.1, "-0.1 is outside 0 to 1", "Bedrock takes no other"),
        ("temperature", math.nan, "nan is outside 0 to 1", "Bedrock takes no other"),
        ("temperature", "1", "'1' is not usable", "give a number from 0 to 1"),
        ("top_p", 2, "2 is outside 0 to 1", "Bedrock takes no other"),
        ("top_p", False, "False is not usable", "give a number from 0 to 1"),
        ("stop_sequences", "stop", "'stop' is no list", "give a list of str"),
        ("stop_sequences", {"a"}, "{'a'} is no list", "give a list of str"),
        ("stop_sequences", [""], "'' is not usable", "give non-empty str"),
        ("stop_sequences", ["a", 5], "5 is not usable", "give non-empty str"),
        ("response_field_paths", 5, "5 is no list", "give a list of str"),
        ("use_converse", 1, "1 is not usable", "give True or False"),
        ("keep", "yes", "'yes' is not usable", "give True or False"),
        ("region", "a.b", "'a.b' is no region", "use a name like"),
        ("region", "", "'' is no region", "use a name like"),
        ("performance", 5, "5 is not usable", "give a str"),
        ("service_tier", " ", "it is blank", "leave it out, or give a value"),
        ("guardrail", "g", "'g' is not usable", "give a dict"),
        ("guardrail", [("a", "b")], "[('a', 'b')] is not usable", "give a dict"),
        ("extra", "x" * 999, f"'{'x' * 199} is not usable", "give a dict"),
        ("additional_model_request_fields", 5, "5 is not usable", "give a dict"),
        ("request_metadata", {"a": 5}, "'a': 5 is no pair of str", "give str keys and values"),
        ("request_metadata", {5: "a"}, "5: 'a' is no pair of str", "give str keys and values"),
        ("timeouts", 5, "5 is not usable", "give Timeouts(...)"),
        ("system", "", "the text is empty", "leave it out"),
        ("system", Text(""), "the text is empty", "leave it out"),
        ("system", [{"text": ""}], "the text is empty", "leave it out"),
        ("system", 5, "a int is no system prompt", "give a str or a list of blocks"),
        ("system", {"text": "a"}, "a dict is no system prompt", "give a str or a list of blocks"),
        ("system", [Image(b"x", "png")], "a Image cannot stand there", "use a str, Text, CachePoint or a dict"),
        ("tools", {"name": "f"}, "a dict is no list of tools", "give a list"),
        ("tool_choice", "", "it is blank", "leave it out, or give a value"),
        ("tool_choice", 5, "5 is not usable", "give a str"),
        ("tool_choice", "any", "'any' without tools", "give tools, or leave it out"),
        ("tool_choice", {"tool": {}}, "{'tool': {}} without tools", "give tools, or leave it out"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_value_that_cannot_be_used_is_refused(name: str, given: Any, value: str, remedy: str) -> None:
    with refused(name, value, remedy):
        read_options({name: given})


def test_a_block_of_several_is_refused_by_its_place() -> None:
    with refused("system[1]", "the text is empty", "leave it out"):
        read(system=["a", ""])
    with refused("tools[1]", "a int is no tool", "use Tool"):
        read(tools=[TOOL, 5])


# ---------------------------------------------------------------------------------------------------------- tool choice


@pytest.mark.parametrize("choice", ["auto", "any", "none", "f", {"tool": {"name": "f"}}, {"tomorrow": {}}])
def test_a_choice_among_the_tools_is_taken(choice: Any) -> None:
    assert read(tools=[TOOL], tool_choice=choice).tool_choice == choice


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_these_choices_need_no_tools(choice: str) -> None:
    assert read(tool_choice=choice).tool_choice == choice


def test_a_tool_that_is_not_offered_cannot_be_chosen() -> None:
    with refused("tool_choice", "'g' is not offered", "use auto, any, none or one of ['f']"):
        read(tools=[TOOL], tool_choice="g")


def test_among_tools_in_the_wires_own_shape_any_name_may_be_chosen() -> None:
    assert read(tools=[TOOL, {"systemTool": {"name": "g"}}], tool_choice="g").tool_choice == "g"


# -------------------------------------------------------------------------------------------------------------- secrets

SECRETS = {
    "api_key": "hunter-1",
    "access_key_id": "hunter-2",
    "secret_access_key": "hunter-3",
    "session_token": "hunter-4",
}


def test_no_key_shows_in_a_repr() -> None:
    options = read(**SECRETS, max_tokens=5)
    for shown in (repr(options), str(options), f"{options!r}", repr(pickle.loads(pickle.dumps(options)))):  # noqa: S301
        assert "hunter" not in shown
        assert "max_tokens=5" in shown


@pytest.mark.parametrize("name", SECRETS)
def test_no_key_shows_in_a_refusal(name: str) -> None:
    with refused(name, "list is not usable", "give a str") as caught:
        read_options({name: ["hunter"]})
    assert "hunter" not in str(caught.value)
    with refused(name, "it is blank", "leave it out, or give a value"):
        read_options({name: " "})
    with refused("provider_options", "list is not usable", "give a dict") as caught:
        read(provider_options=[(name, "hunter")])
    assert "hunter" not in str(caught.value)
