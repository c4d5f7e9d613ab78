"""Options: every check with its error, suggestions for unknown names, and no secret in any text."""

from __future__ import annotations

import ast
import inspect
import itertools
import math
import pickle
import re
import typing
from types import MappingProxyType
from typing import Any

import pytest

from bedrock_stream import CachePoint, Image, Text, Timeouts, Tool
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.types import call_options
from bedrock_stream.types.call_options import RawOptions
from bedrock_stream.types.options import CallOptions, Options, read_options
from tests.support.refusals import refused

TOOL = Tool(name="f")


def read(**options: Any) -> Options:
    return read_options(options)


# ------------------------------------------------------------------------------------------------------ accepted values


def test_without_arguments_all_options_have_their_defaults() -> None:
    assert read_options({}) == Options()
    assert Options().keep is True


def test_none_is_the_same_as_omitted() -> None:
    assert read(**dict.fromkeys(Options.__struct_fields__)) == Options()
    assert read(provider_options=None) == Options()


@pytest.mark.parametrize(
    ("name", "value", "stored"),
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
        ("service_tier", "unknown", "unknown"),
        ("request_metadata", {"team": "a"}, {"team": "a"}),
        ("extra", {"new": [1]}, {"new": [1]}),
        ("timeouts", Timeouts(idle=5), Timeouts(idle=5)),
        ("keep", False, False),
        ("show_retries", True, True),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_option_is_stored_in_its_validated_form(name: str, value: Any, stored: Any) -> None:
    result = getattr(read_options({name: value}), name)
    assert result == stored
    assert type(result) is type(stored)
    assert getattr(read_options({"provider_options": {name: value}}), name) == stored


def test_a_keyword_takes_precedence_over_the_same_provider_option() -> None:
    options = read(region="eu-west-1", provider_options={"region": "us-east-1", "max_tokens": 5})
    assert (options.region, options.max_tokens) == ("eu-west-1", 5)


def test_the_callers_arguments_are_not_modified() -> None:
    arguments = {"provider_options": {"max_tokens": 5}, "extra": {}}
    read_options(arguments)
    assert arguments == {"provider_options": {"max_tokens": 5}, "extra": {}}


def test_the_typed_keywords_are_the_validated_options() -> None:
    known = {name for name in typing.get_type_hints(CallOptions) if name != "provider_options"}
    aliases = {"effort", "prompt_cache", "prompt_cache_ttl", "prompt_cache_messages"}
    assert known == (set(Options.__struct_fields__) | aliases) - {"prompt_cache_auto"}
    with pytest.raises(ConfigurationError) as caught:
        read(zzzzzzzz=1)
    assert known == set(caught.value.remedy.removeprefix("known options are ").partition(";")[0].split(", "))


def test_each_option_is_described_where_editors_look() -> None:
    """Editors show the docstring below a field; those of options say the default, of aliases the option."""
    tree = ast.parse(inspect.getsource(call_options))
    described = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for field, below in itertools.pairwise(node.body):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    assert isinstance(below, ast.Expr), field.target.id
                    assert isinstance(below.value, ast.Constant), field.target.id
                    assert ast.unparse(field.annotation).endswith("| None"), "None is the same as omitted"
                    described[field.target.id] = str(below.value.value)
    assert described.keys() == typing.get_type_hints(CallOptions).keys()
    for name, text in described.items():
        is_for_the_call = name in typing.get_type_hints(RawOptions) and name != "project"
        assert is_for_the_call or re.search("[Dd]efault|Another name", text), name
        assert len(text) > 25, name


# ------------------------------------------------------------------------------------------------------ rejected values


@pytest.mark.parametrize(
    ("name", "similar"),
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
def test_an_unknown_option_is_rejected_with_a_similar_name(name: str, similar: str) -> None:
    with refused(name, "unknown option", f"did you mean {similar}?"):
        read_options({name: 1})
    with refused(name, "unknown option", f"did you mean {similar}?"):
        read(provider_options={name: None})


@pytest.mark.parametrize("name", ["zzzzzzzz", 5, None, ("a",)])
def test_an_unknown_option_without_a_similar_name_is_rejected_with_all_names(name: Any) -> None:
    with refused(name, "unknown option", "fields in extra={...} are sent unchanged"):
        read(provider_options={name: 1})


@pytest.mark.parametrize(
    ("name", "value", "problem", "remedy"),
    [
        ("max_tokens", 0, "expected a positive int, got 0", "omit it to use the model's default"),
        ("max_tokens", -5, "expected a positive int, got -5", "omit it to use the model's default"),
        ("max_tokens", 1.0, "expected a positive int, got 1.0", ""),
        ("max_tokens", "5", "expected a positive int, got '5'", ""),
        ("max_tokens", True, "expected a positive int, got True", ""),
        ("temperature", 1.1, "expected a number from 0 to 1, got 1.1", "Bedrock accepts no other value"),
        ("temperature", -0.1, "expected a number from 0 to 1, got -0.1", "Bedrock accepts no other value"),
        ("temperature", math.nan, "expected a number from 0 to 1, got nan", "Bedrock accepts no other value"),
        ("temperature", "1", "expected a number from 0 to 1, got '1'", ""),
        ("top_p", 2, "expected a number from 0 to 1, got 2", "Bedrock accepts no other value"),
        ("top_p", False, "expected a number from 0 to 1, got False", ""),
        ("stop_sequences", "stop", "expected a list of str, got 'stop'", ""),
        ("stop_sequences", {"a"}, "expected a list of str, got {'a'}", ""),
        ("stop_sequences", [""], "expected a list of non-empty str, got the item ''", ""),
        ("stop_sequences", ["a", 5], "expected a list of non-empty str, got the item 5", ""),
        ("response_field_paths", 5, "expected a list of str, got 5", ""),
        ("use_converse", 1, "expected a bool, got 1", ""),
        ("keep", "yes", "expected a bool, got 'yes'", ""),
        ("region", "a.b", "expected a region, got 'a.b'", "use a name like"),
        ("region", "", "expected a region, got ''", "use a name like"),
        ("performance", 5, "expected a str, got 5", ""),
        ("service_tier", " ", "is blank", "leave it out, or pass a value"),
        ("guardrail", "g", "expected a dict, got 'g'", ""),
        ("guardrail", [("a", "b")], "expected a dict, got [('a', 'b')]", ""),
        ("extra", "x" * 999, f"expected a dict, got '{'x' * 199}", ""),
        ("additional_model_request_fields", 5, "expected a dict, got 5", ""),
        ("request_metadata", {"a": 5}, "expected str keys and values, got 'a': 5", ""),
        ("request_metadata", {5: "a"}, "expected str keys and values, got 5: 'a'", ""),
        ("timeouts", 5, "expected Timeouts(...), got 5", ""),
        ("system", "", "expected non-empty text, got ''", "omit it"),
        ("system", Text(""), "expected non-empty text, got ''", "omit it"),
        ("system", [{"text": ""}], "expected non-empty text, got ''", "omit it"),
        ("system", 5, "expected a str or a list of blocks, got int", ""),
        ("system", {"text": "a"}, "expected a str or a list of blocks, got dict", ""),
        ("system", [Image(b"x", "png")], "expected a str, Text, Guarded, CachePoint or a dict, got Image", ""),
        ("tools", {"name": "f"}, "expected a list of tools, got dict", ""),
        ("tool_choice", "", "is blank", "leave it out, or pass a value"),
        ("tool_choice", 5, "expected a str, got 5", ""),
        ("tool_choice", "any", "'any' requires tools", "pass tools, or omit tool_choice"),
        ("tool_choice", {"tool": {}}, "{'tool': {}} requires tools", "pass tools, or omit tool_choice"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_invalid_value_is_rejected(name: str, value: Any, problem: str, remedy: str) -> None:
    with refused(name, problem, remedy):
        read_options({name: value})


def test_an_invalid_item_is_rejected_with_its_path() -> None:
    with refused("system[1]", "expected non-empty text, got ''", "omit it"):
        read(system=["a", ""])
    with refused("tools[1]", "expected a Tool, a dict, a function or a model class, got int"):
        read(tools=[TOOL, 5])


# ---------------------------------------------------------------------------------------------------------- tool choice


@pytest.mark.parametrize("choice", ["auto", "any", "none", "f", {"tool": {"name": "f"}}, {"unknown": {}}])
def test_a_choice_among_the_tools_is_accepted(choice: Any) -> None:
    assert read(tools=[TOOL], tool_choice=choice).tool_choice == choice


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_these_choices_need_no_tools(choice: str) -> None:
    assert read(tool_choice=choice).tool_choice == choice


def test_a_tool_that_is_not_passed_cannot_be_chosen() -> None:
    with refused("tool_choice", "expected auto, any, none or one of ['f'], got 'g'"):
        read(tools=[TOOL], tool_choice="g")


def test_with_tools_in_converses_format_any_name_can_be_chosen() -> None:
    assert read(tools=[TOOL, {"systemTool": {"name": "g"}}], tool_choice="g").tool_choice == "g"


# -------------------------------------------------------------------------------------------------------------- secrets

SECRETS = {
    "api_key": "hunter-1",
    "access_key_id": "hunter-2",
    "secret_access_key": "hunter-3",
    "session_token": "hunter-4",
}


def test_a_repr_contains_no_secret() -> None:
    options = read(**SECRETS, max_tokens=5)
    for shown in (repr(options), str(options), f"{options!r}", repr(pickle.loads(pickle.dumps(options)))):  # noqa: S301
        assert "hunter" not in shown
        assert "max_tokens=5" in shown


@pytest.mark.parametrize("name", SECRETS)
def test_an_error_contains_no_secret(name: str) -> None:
    with refused(name, "expected a str, got list") as caught:
        read_options({name: ["hunter"]})
    assert "hunter" not in str(caught.value)
    with refused(name, "is blank", "leave it out, or pass a value"):
        read_options({name: " "})
    with refused("provider_options", "expected a dict, got list") as caught:
        read(provider_options=[(name, "hunter")])
    assert "hunter" not in str(caught.value)
