"""Messages: every accepted form of a prompt, every refusal by its place, and the way through JSON and back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import (
    Audio,
    CachePoint,
    Citation,
    CitedText,
    Document,
    Image,
    Json,
    Message,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from bedrock_stream.types.messages import read_prompt
from tests.support.refusals import refused

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
HELLO = (Message("user", (Text("hello"),)),)

# ------------------------------------------------------------------------------------------------------- accepted forms


@pytest.mark.parametrize(
    "prompt",
    [
        "hello",
        Message("user", "hello"),
        Message("user", Text("hello")),
        Message("user", ["hello"]),
        Message.user("hello"),
        [Message.user("hello")],
        pytest.param((message for message in (Message.user("hello"),)), id="generator of a Message"),
        {"role": "user", "content": "hello"},
        {"content": "hello"},
        [{"role": "user", "content": ["hello"]}],
        ({"role": "user", "content": [Text("hello")]},),
        {"role": "user", "content": Text("hello")},
        pytest.param({"role": "user", "content": (text for text in ("hello",))}, id="dict with a generator of texts"),
    ],
    ids=lambda prompt: repr(prompt)[:50],
)
def test_every_form_of_a_prompt_means_the_same(prompt: Any) -> None:
    assert read_prompt(prompt) == HELLO


@pytest.mark.parametrize("content", [{"text": "hello"}, [{"text": "hello"}]])
def test_a_dict_in_the_wires_own_shape_stays_as_it_came(content: Any) -> None:
    (message,) = read_prompt({"role": "user", "content": content})
    assert message.content == (Raw({"text": "hello"}),)


def test_a_block_that_nobody_knows_yet_passes_unchanged() -> None:
    block: dict[str, Any] = {"hologram": {"source": {"bytes": b"\x00"}, "depth": [1, None, {}]}}
    (message,) = read_prompt([{"role": "user", "content": [block]}])
    assert message.content == (Raw(block),)


@pytest.mark.parametrize("blank", [" ", "\n", "\t \r\n", "\u00a0"])
def test_white_space_alone_passes_unchanged(blank: str) -> None:
    assert read_prompt(blank) == (Message("user", (Text(blank),)),)
    assert read_prompt([{"role": "user", "content": [{"text": blank}]}])[0].content == (Raw({"text": blank}),)


def test_a_conversation_keeps_its_order_and_roles() -> None:
    said: list[Any] = [Message.user("a"), Message.assistant("b"), {"role": "system", "content": "c"}, {"content": "d"}]
    assert [(m.role, m.text) for m in read_prompt(said)] == [
        ("user", "a"),
        ("assistant", "b"),
        ("system", "c"),
        ("user", "d"),
    ]


def test_plain_user_turns_that_follow_each_other_stay_apart() -> None:
    assert len(read_prompt([Message.user("a"), Message.user("b")])) == 2


def test_an_empty_turn_of_the_model_is_left_out() -> None:
    said: list[Any] = [Message.user("a"), Message.assistant(), {"role": "assistant", "content": []}, Message.user("b")]
    assert [message.text for message in read_prompt(said)] == ["a", "b"]


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("prompt", "place", "value", "remedy"),
    [
        ("", "prompt", "empty", "say something"),
        (5, "prompt", "a int is no prompt", "use a str, a Message"),
        (None, "prompt", "a NoneType is no prompt", "use a str, a Message"),
        (b"bytes", "prompt", "a bytes is no prompt", "use a str, a Message"),
        ([], "prompt", "no messages", "at least one user message"),
        ([Message.assistant()], "prompt", "no messages", "at least one user message"),
        (["hello"], "messages[0]", "a str is no message", "use Message or a dict"),
        ([Message.user("a"), 5], "messages[1]", "a int is no message", "use Message or a dict"),
        ([Message.user()], "messages[0].content", "no blocks", "leave the message out"),
        ({"role": "user", "content": []}, "messages[0].content", "no blocks", "leave the message out"),
        ({"role": "user"}, "messages[0]", "no content", '{"role": ..., "content": ...}'),
        ({"content": "a", "name": "n"}, "messages[0]", "unknown key 'name'", '{"role": ..., "content": ...}'),
        ({"content": "a", 5: "n"}, "messages[0]", "unknown key 5", '{"role": ..., "content": ...}'),
        ({"role": "tool", "content": "a"}, "messages[0].role", "'tool' is not known", "use user, assistant, system"),
        ({"role": None, "content": "a"}, "messages[0].role", "None is not known", "use user, assistant, system"),
        ({"content": ""}, "messages[0].content", "the text is empty", "leave the block out"),
        ({"content": [""]}, "messages[0].content[0]", "the text is empty", "leave the block out"),
        ({"content": [Text("")]}, "messages[0].content[0]", "the text is empty", "leave the block out"),
        ({"content": ["a", {"text": ""}]}, "messages[0].content[1]", "the text is empty", "leave the block out"),
        ({"content": None}, "messages[0].content", "a NoneType is no content", "a list of blocks"),
        ({"content": b"a"}, "messages[0].content", "a bytes is no content", "a list of blocks"),
        ({"content": [5]}, "messages[0].content[0]", "a int is no block", "use Text, Image"),
        ({"content": [Json(5)]}, "messages[0].content[0]", "a Json is no block", "use Text, Image"),
        ({"content": [Message.user("a")]}, "messages[0].content[0]", "a Message is no block", "use Text, Image"),
        ({"content": [{}]}, "messages[0].content[0]", "this has 0: []", "one block each"),
        (
            {"content": [{"text": "a", "image": {}}]},
            "messages[0].content[0]",
            "this has 2: ['image', 'text']",
            "one block each",
        ),
        ({"content": [{"text": "a", 5: {}}]}, "messages[0].content[0]", "this has 2: ['5', 'text']", "one block each"),
    ],
)
def test_a_wrong_prompt_is_refused_by_its_place(prompt: Any, place: str, value: str, remedy: str) -> None:
    with refused(place, value, remedy):
        read_prompt(prompt)


def test_a_message_is_checked_where_it_is_made() -> None:
    with refused("Message.role", "'robot' is not known", "use user, assistant, system"):
        Message("robot", "a")
    with refused("Message.content[1]", "the text is empty", "leave the block out"):
        Message.user("a", "")
    with refused("Message.content", "a int is no content", "use a str or a list of blocks"):
        Message("user", 5)  # type: ignore[arg-type]


def test_a_cache_point_takes_two_lifetimes_only() -> None:
    assert [CachePoint().ttl, CachePoint("5m").ttl, CachePoint("1h").ttl] == [None, "5m", "1h"]
    with refused("CachePoint.ttl", "'2h' is not offered", 'use "5m" or "1h"'):
        CachePoint("2h")


# ------------------------------------------------------------------------------------------------ a message's own words


def test_the_text_of_a_message_is_that_of_its_text_blocks() -> None:
    message = Message.assistant(
        Reasoning("hm"), "one ", CitedText(("two ", "three"), (Citation("t"),)), {"text": "raw"}
    )
    assert message.text == "one two three"


def test_a_message_wants_tools_where_the_caller_has_one_to_run() -> None:
    mine, theirs = ToolCall("1", "mine"), ToolCall("2", "theirs", server=True)
    assert Message.assistant("a", mine, theirs).tool_calls == (mine,)
    assert Message.assistant("a", mine).wants_tools
    assert not Message.assistant("a", theirs).wants_tools


# --------------------------------------------------------------------------------------------------------- tool results


@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        ("sunny", (Text("sunny"),)),
        ("", (Text(""),)),
        ({"degrees": 21}, (Json({"degrees": 21}),)),
        ({"text": "sunny"}, (Raw({"text": "sunny"}),)),
        ({"text": "sunny", "degrees": 21}, (Json({"text": "sunny", "degrees": 21}),)),
        (21.5, (Json(21.5),)),
        (None, (Json(None),)),
        ((), ()),
        ([], ()),
        ([1, 2], (Json([1, 2]),)),
        ([{"degrees": 21}, {"degrees": 22}], (Json([{"degrees": 21}, {"degrees": 22}]),)),
        (["a", "b"], (Text("a"), Text("b"))),
        ([{"json": {}}, {"searchResult": {}}], (Raw({"json": {}}), Raw({"searchResult": {}}))),
        ([Text("a"), Json([1]), Image(PNG), "b"], (Text("a"), Json([1]), Image(PNG), Text("b"))),
        (Document(b"a,b", "csv"), (Document(b"a,b", "csv"),)),
        ({"hologram": {}}, (Json({"hologram": {}}),)),
    ],
)
def test_a_tool_may_return_text_json_or_blocks(content: Any, blocks: tuple[Any, ...]) -> None:
    assert ToolResult("1", content).content == blocks


def test_a_tool_results_status_is_one_of_two() -> None:
    assert [ToolResult("1", "a", status).status for status in (None, "success", "error")] == [None, "success", "error"]
    with refused("ToolResult.status", "'fine' is not known", 'use "success" or "error"'):
        ToolResult("1", "a", "fine")


# ------------------------------------------------------------------------------------------------ through JSON and back

EVERY_BLOCK = Message(
    "assistant",
    (
        Text("a"),
        CitedText(("a", "b"), (Citation("t", "s", ("c",), {"web": {"url": "u"}}, {"new": 1}), Citation())),
        Reasoning("hm", "sig"),
        Reasoning(signature="sig"),
        Reasoning(redacted=bytes(range(256))),
        ToolCall("1", "f", {"a": [1, 2.5, None, {"b": "ü"}]}, True, {"new": []}),
        ToolResult("1", ["a", Json([1]), Image(PNG), {"json": {}}], "error", "nova_code_interpreter_result"),
        ToolResult("2"),
        CachePoint("1h"),
        Image(PNG),
        Document(b"a,b", "csv", name="n", context="c", citations=True),
        Video(None, "mp4", "s3://b/k", "123456789012"),
        Audio(b"\x00\xff", "wav"),
        Raw({"hologram": {"depth": [1, None]}}),
    ),
)


def through_json(message: Message) -> Message:
    return msgspec.json.decode(msgspec.json.encode(message), type=Message)


def test_every_block_comes_back_from_json_exactly() -> None:
    assert through_json(EVERY_BLOCK) == EVERY_BLOCK


def test_the_json_of_a_message_says_what_each_block_is() -> None:
    assert msgspec.json.encode(Message.user("a", Reasoning(redacted=b"\x00"), CachePoint())) == (
        b'{"role":"user","content":[{"type":"text","text":"a"},{"type":"reasoning","redacted":"AA=="},'
        b'{"type":"cache_point"}]}'
    )


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=3)
words = st.text(min_size=1)
blocks = st.one_of(
    st.builds(Text, words),
    st.builds(Reasoning, st.text(), st.none() | st.text(), st.none() | st.binary()),
    st.builds(ToolCall, words, words, json_objects, st.booleans(), json_objects),
    st.builds(ToolResult, words, json_values, st.sampled_from([None, "success", "error"])),
    st.builds(Image, st.binary(min_size=1), st.sampled_from(Image.formats)),
    st.builds(Raw, st.builds(lambda key, value: {f"x{key}": value}, st.text(), json_values)),
)


@given(st.builds(Message, st.sampled_from(["user", "assistant"]), st.lists(blocks, max_size=4)))
def test_any_message_comes_back_from_json_exactly(message: Message) -> None:
    assert through_json(message) == message
