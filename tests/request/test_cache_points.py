"""Cache points: where they are added, that the caller's are kept, and which the service would reject."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream import CachePoint, Message, Text, Tool, ToolCall, ToolResult
from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.request.cache_points import check_cache_points, place_cache_points
from bedrock_stream.request.models import describe
from bedrock_stream.request.unsupported import Refusals, Unsupported
from bedrock_stream.types.messages import read_prompt
from bedrock_stream.types.model_facts import ModelFacts
from bedrock_stream.types.options import Options, read_options
from tests.support.refusals import refused

CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"
POINT = {"cachePoint": {"type": "default"}}
LONG = {"cachePoint": {"type": "default", "ttl": "1h"}}
HI = Message.user("hi")


def placed(*messages: Any, model: str = CLAUDE, **options: Any) -> tuple[tuple[Message, ...], Options]:
    return place_cache_points(describe(model), read_prompt(list(messages)), read_options(options), Refusals(model))


def check(*messages: Any, **options: Any) -> None:
    check_cache_points(read_prompt(list(messages)), read_options(options))


def test_points_are_added_after_tools_and_system_on_both_routes() -> None:
    messages, options = placed(HI, anthropic_prompt_cache=True, tools=[Tool(name="f")], system="a")
    converse = Converse().body(messages, options)
    assert converse["toolConfig"]["tools"][-1] == POINT
    assert converse["system"] == [{"text": "a"}, POINT]
    native = Anthropic().body(messages, options)
    assert native["tools"][-1]["cache_control"] == {"type": "ephemeral"}
    assert native["system"] == [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]
    assert converse["messages"] == [{"role": "user", "content": [{"text": "hi"}]}]


def test_the_lifetime_applies_to_every_point() -> None:
    messages, options = placed(
        HI,
        anthropic_prompt_cache=True,
        anthropic_prompt_cache_ttl="1h",
        anthropic_cache_messages=True,
        tools=[Tool(name="f")],
        system="a",
    )
    converse = Converse().body(messages, options)
    assert converse["toolConfig"]["tools"][-1] == LONG
    assert converse["system"][-1] == LONG
    assert converse["messages"][0]["content"][-1] == LONG
    native = Anthropic().body(messages, options)
    mark = {"type": "ephemeral", "ttl": "1h"}
    assert native["tools"][-1]["cache_control"] == mark
    assert native["system"][-1]["cache_control"] == mark
    assert native["messages"][0]["content"][-1]["cache_control"] == mark


def test_no_point_is_added_to_empty_tools_and_system() -> None:
    messages, options = placed(HI, anthropic_prompt_cache=True)
    assert messages == (HI,)
    assert (options.tools, options.system) == ((), ())


TURNS = (Message.user("a"), Message.assistant("b"), Message.user("c"))


@pytest.mark.parametrize(
    ("chosen", "index"), [(True, 2), (0, 0), (1, 1), (2, 2), (-1, 2), (-3, 0), (False, None), (None, None)]
)
def test_a_message_is_chosen_by_its_index(chosen: Any, index: int | None) -> None:
    messages, _ = placed(*TURNS, anthropic_prompt_cache=True, anthropic_cache_messages=chosen)
    expected = list(TURNS)
    if index is not None:
        turn = expected[index]
        expected[index] = Message(turn.role, (*turn.content, CachePoint()))
    assert messages == tuple(expected)


@pytest.mark.parametrize("chosen", [3, -4])
def test_a_message_index_out_of_range_is_refused(chosen: int) -> None:
    problem = f"message index {chosen} is out of range for 3 messages"
    with refused("anthropic_cache_messages", problem, "pass an index in range, or True"):
        placed(*TURNS, anthropic_prompt_cache=True, anthropic_cache_messages=chosen)


@pytest.mark.parametrize("point", [CachePoint("5m"), LONG])
def test_the_callers_points_are_kept_and_none_is_added_next_to_one(point: Any) -> None:
    own: dict[str, Any] = {
        "tools": [Tool(name="f"), LONG],
        "system": ["a", point],
    }
    messages, options = placed(
        Message.user("a", point), **own, anthropic_prompt_cache=True, anthropic_cache_messages=True
    )
    assert messages == (Message.user("a", point),)
    assert options.tools == (Tool(name="f"), LONG)
    assert options.system == (Text("a"), point)


@pytest.mark.parametrize("option", [{"anthropic_prompt_cache_ttl": "1h"}, {"anthropic_cache_messages": True}])
@pytest.mark.parametrize("switch", [{}, {"anthropic_prompt_cache": False}])
def test_the_other_options_require_anthropic_prompt_cache(option: dict[str, Any], switch: dict[str, Any]) -> None:
    problem = f"got {switch.get('anthropic_prompt_cache')!r}"
    with refused("anthropic_prompt_cache", problem, "pass anthropic_prompt_cache=True"):
        placed(HI, **option, **switch)


def test_nothing_changes_without_anthropic_prompt_cache() -> None:
    options = read_options({"system": "a"})
    assert place_cache_points(describe(CLAUDE), (HI,), options, Refusals(CLAUDE)) == ((HI,), options)


def test_points_are_for_every_model_that_is_not_known_to_refuse_them() -> None:
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1"
    for model in (profile, "amazon.nova-lite-v1:0"):
        assert placed(HI, model=model, prompt_cache=True, system="a")[1].system[-1] == CachePoint()


def fitted(facts: ModelFacts, *messages: Any, mode: Unsupported = "error", **options: Any) -> Any:
    model = describe("some.model", facts)
    refusals = Refusals(model.id, mode)
    return place_cache_points(model, read_prompt(list(messages)), read_options(options), refusals), refusals.changes


def test_points_are_refused_where_nothing_is_cached() -> None:
    never = ModelFacts(cache=False)
    turn = Message.user("a", CachePoint(), "b", POINT)
    with refused("prompt_cache", "'some.model' does not take cache points", "omit it"):
        fitted(never, HI, prompt_cache=True)
    with refused("messages[0].content[1]", "'some.model' does not take cache points", "remove the cache point"):
        fitted(never, turn)
    with refused("system[1]", "does not take cache points", "remove the cache point"):
        fitted(never, turn, system=["a", POINT])
    (messages, options), changes = fitted(never, turn, Message.user(POINT), system=["a", POINT], mode="drop")
    assert (messages, options.system) == ((Message.user("a", "b"),), (Text("a"),))
    assert len(changes) == 1
    assert fitted(never, HI, prompt_cache=True, system="a", mode="drop")[0][1].system == (Text("a"),)
    (messages, options), changes = fitted(never, turn, prompt_cache=True, system="a", mode="send")
    assert (messages, options.system, changes) == ((turn,), (Text("a"), CachePoint()), [])


def test_a_model_without_lifetimes_gets_none() -> None:
    plain = ModelFacts(cache=True, cache_ttl=False)
    short: Any = [CachePoint("5m"), {"cachePoint": {"type": "default", "ttl": "5m"}}]
    turn, bare = Message.user("a", short[0], "b", short[1]), Message.user("a", CachePoint(), "b", POINT)
    (messages, options), changes = fitted(plain, turn, system=["a", short[1]], tools=[Tool(name="f"), short[1]])
    assert (messages, options.tools[1]) == ((bare,), POINT)
    assert options.system[1] in (POINT, CachePoint())
    assert len(changes) == 1
    with refused("messages[0].content[1]", "does not take the lifetime of a cache point", "omit it for five minutes"):
        fitted(plain, Message.user("a", CachePoint("1h")))
    with refused("prompt_cache_ttl", "does not take the lifetime of a cache point", "omit it for five minutes"):
        fitted(plain, HI, prompt_cache=True, prompt_cache_ttl="1h")
    system = fitted(plain, HI, prompt_cache=True, prompt_cache_ttl="5m", system="a")[0][1].system
    assert system == (Text("a"), CachePoint())
    assert fitted(plain, Message.user("a", LONG), mode="drop")[0][0] == (Message.user("a", POINT),)


def test_tools_get_no_point_where_the_model_takes_none_there() -> None:
    apart = ModelFacts(cache=True, cache_tools=False)
    tools = [Tool(name="f")]
    _, options = fitted(apart, HI, prompt_cache=True, tools=tools, system="a")[0]
    assert (options.tools, options.system) == ((Tool(name="f"),), (Text("a"), CachePoint()))
    with refused("tools[1]", "does not take cache points in tools", "remove it"):
        fitted(apart, HI, tools=[*tools, POINT])
    assert fitted(apart, HI, tools=[*tools, POINT], mode="drop")[0][1].tools == (Tool(name="f"),)


# ----------------------------------------------------------------------------------------------------------------- auto

ROUND = (Message.assistant(ToolCall("1", "f")), Message.user(ToolResult("1", "a")))


def marked(messages: Any) -> list[int]:
    return [index for index, message in enumerate(messages) if CachePoint() in message.content]


def test_auto_marks_the_last_user_turn_and_the_one_before() -> None:
    assert marked(placed(HI, prompt_cache="auto")[0]) == [0]
    assert marked(placed(HI, *ROUND, prompt_cache="auto")[0]) == [0, 2]
    messages, options = placed(HI, *ROUND, *ROUND, prompt_cache="auto", system="a", tools=[Tool(name="f")])
    assert marked(messages) == [2, 4]
    check_cache_points(messages, options)


def test_auto_sets_no_point_beyond_the_limit() -> None:
    own = Message.user("a", CachePoint("5m"), "b")
    turns = (own, Message.assistant("b"), HI, Message.assistant("b"), HI)
    messages, options = placed(*turns, prompt_cache="auto", system="a", tools=[Tool(name="f")])
    assert marked(messages) == [4]
    check_cache_points(messages, options)


def test_auto_marks_no_turn_with_results_where_the_model_takes_no_point_beside_tools() -> None:
    apart = ModelFacts(cache=True, cache_tools=False)
    assert marked(fitted(apart, HI, *ROUND, prompt_cache="auto")[0][0]) == [0]


# ------------------------------------------------------------------------------------------------------------- rejected


def test_four_points_are_accepted_and_the_fifth_is_refused() -> None:
    tools, system = [Tool(name="f"), POINT], ["a", CachePoint()]
    check(Message.user("a", CachePoint()), Message.user("b", POINT), tools=tools, system=system)
    with refused("messages[2].content[1]", "at most 4 cache points in a request, this is number 5", "remove"):
        check(
            Message.user("a", CachePoint()),
            Message.user("b", POINT),
            Message.user("c", CachePoint()),
            tools=tools,
            system=system,
        )


@pytest.mark.parametrize(
    ("messages", "options", "path", "short"),
    [
        ([Message.user("a", CachePoint("1h"))], {"system": ["a", CachePoint()]}, "messages[0].content[1]", "system[1]"),
        ([HI], {"tools": [Tool(name="f"), POINT], "system": ["a", LONG]}, "system[1]", "tools[1]"),
        (
            [Message.user("a", CachePoint("5m"), "b", LONG)],
            {},
            "messages[0].content[3]",
            "messages[0].content[1]",
        ),
    ],
)
def test_a_longer_lifetime_after_a_shorter_one_is_refused(messages: Any, options: Any, path: str, short: str) -> None:
    with refused(path, f"a 1h cache point follows a 5m cache point at {short}", "put the longer lifetime first"):
        check(*messages, **options)


def test_a_shorter_lifetime_may_follow() -> None:
    check(Message.user("a", CachePoint("5m"), "b", POINT), system=["a", CachePoint("1h")], tools=[Tool(name="f"), LONG])
