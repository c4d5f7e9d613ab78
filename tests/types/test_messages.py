"""Messages: every accepted form of a prompt, every error with its path, and the JSON round trip."""

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
    Guarded,
    Image,
    Json,
    Message,
    Raw,
    Reasoning,
    SearchResult,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from bedrock_stream.types.media import TEXT_FORMATS
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
def test_a_dict_in_converses_format_is_unchanged(content: Any) -> None:
    (message,) = read_prompt({"role": "user", "content": content})
    assert message.content == (Raw({"text": "hello"}),)


def test_an_unknown_block_is_unchanged() -> None:
    block: dict[str, Any] = {"hologram": {"source": {"bytes": b"\x00"}, "depth": [1, None, {}]}}
    (message,) = read_prompt([{"role": "user", "content": [block]}])
    assert message.content == (Raw(block),)


@pytest.mark.parametrize("blank", [" ", "\n", "\t \r\n", "\u00a0"])
def test_text_of_white_space_only_is_unchanged(blank: str) -> None:
    assert read_prompt(blank) == (Message("user", (Text(blank),)),)
    assert read_prompt([{"role": "user", "content": [{"text": blank}]}])[0].content == (Raw({"text": blank}),)


def test_a_conversation_keeps_its_order_and_roles() -> None:
    prompt: list[Any] = [
        Message.user("a"),
        Message.assistant("b"),
        {"role": "system", "content": "c"},
        {"content": "d"},
    ]
    assert [(m.role, m.text) for m in read_prompt(prompt)] == [
        ("user", "a"),
        ("assistant", "b"),
        ("system", "c"),
        ("user", "d"),
    ]


def test_consecutive_user_messages_are_not_merged() -> None:
    assert len(read_prompt([Message.user("a"), Message.user("b")])) == 2


def test_an_empty_assistant_message_is_omitted() -> None:
    prompt: list[Any] = [
        Message.user("a"),
        Message.assistant(),
        {"role": "assistant", "content": []},
        Message.user("b"),
    ]
    assert [message.text for message in read_prompt(prompt)] == ["a", "b"]


# ----------------------------------------------------------------------------------------------------- rejected prompts


@pytest.mark.parametrize(
    ("prompt", "path", "problem", "remedy"),
    [
        ("", "prompt", "expected a non-empty str, got ''", ""),
        (5, "prompt", "expected a str, a Message or a sequence of messages, got int", ""),
        (None, "prompt", "expected a str, a Message or a sequence of messages, got NoneType", ""),
        (b"bytes", "prompt", "expected a str, a Message or a sequence of messages, got bytes", ""),
        ([], "prompt", "has no messages", "at least one user message"),
        ([Message.assistant()], "prompt", "has no messages", "at least one user message"),
        (["hello"], "messages[0]", "expected a Message or a dict, got str", ""),
        ([Message.user("a"), 5], "messages[1]", "expected a Message or a dict, got int", ""),
        ([Message.user()], "messages[0].content", "has no blocks", "omit the message"),
        ({"role": "user", "content": []}, "messages[0].content", "has no blocks", "omit the message"),
        ({"role": "user"}, "messages[0]", "has no content", '{"role": ..., "content": ...}'),
        ({"content": "a", "name": "n"}, "messages[0]", "unknown key 'name'", '{"role": ..., "content": ...}'),
        ({"content": "a", 5: "n"}, "messages[0]", "unknown key 5", '{"role": ..., "content": ...}'),
        (
            {"role": "tool", "content": "a"},
            "messages[0].role",
            "expected one of user, assistant, system, got 'tool'",
            "",
        ),
        ({"role": None, "content": "a"}, "messages[0].role", "expected one of user, assistant, system, got None", ""),
        ({"content": ""}, "messages[0].content", "expected non-empty text, got ''", "omit the block"),
        ({"content": [""]}, "messages[0].content[0]", "expected non-empty text, got ''", "omit the block"),
        ({"content": [Text("")]}, "messages[0].content[0]", "expected non-empty text, got ''", "omit the block"),
        (
            {"content": ["a", {"text": ""}]},
            "messages[0].content[1]",
            "expected non-empty text, got ''",
            "omit the block",
        ),
        ({"content": None}, "messages[0].content", "expected a str or a list of blocks, got NoneType", ""),
        ({"content": b"a"}, "messages[0].content", "expected a str or a list of blocks, got bytes", ""),
        ({"content": [5]}, "messages[0].content[0]", "expected Text, Image, ... or a dict, got int", ""),
        ({"content": [Json(5)]}, "messages[0].content[0]", "expected Text, Image, ... or a dict, got Json", ""),
        (
            {"content": [Message.user("a")]},
            "messages[0].content[0]",
            "expected Text, Image, ... or a dict, got Message",
            "",
        ),
        (
            {"content": [{}]},
            "messages[0].content[0]",
            "expected a block with one key, got 0: []",
            "one block for each key",
        ),
        (
            {"content": [{"text": "a", "image": {}}]},
            "messages[0].content[0]",
            "expected a block with one key, got 2: ['image', 'text']",
            "one block for each key",
        ),
        (
            {"content": [{"text": "a", 5: {}}]},
            "messages[0].content[0]",
            "expected a block with one key, got 2: ['5', 'text']",
            "one block for each key",
        ),
    ],
)
def test_an_invalid_prompt_is_rejected_with_its_path(prompt: Any, path: str, problem: str, remedy: str) -> None:
    with refused(path, problem, remedy):
        read_prompt(prompt)


def test_a_message_is_validated_when_it_is_created() -> None:
    with refused("Message.role", "expected one of user, assistant, system, got 'robot'"):
        Message("robot", "a")  # type: ignore[arg-type]
    with refused("Message.content[1]", "expected non-empty text, got ''", "omit the block"):
        Message.user("a", "")
    with refused("Message.content", "expected a str or a list of blocks, got int"):
        Message("user", 5)  # type: ignore[arg-type]


def test_a_cache_point_accepts_two_lifetimes() -> None:
    assert [CachePoint().ttl, CachePoint("5m").ttl, CachePoint("1h").ttl] == [None, "5m", "1h"]
    with refused("CachePoint.ttl", 'expected "5m", "1h" or None, got \'2h\''):
        CachePoint("2h")  # type: ignore[arg-type]


def test_guarded_content_is_a_text_or_an_image() -> None:
    assert Guarded(Text("a")) == Guarded("a") == Guarded("a", [])  # type: ignore[arg-type]
    with refused("Guarded", "expected a str or an Image, got Document"):
        Guarded(Document(text="a"))  # type: ignore[arg-type]
    with refused("Guarded", "expected non-blank text, got ' '", "omit the block"):
        Guarded(" ")
    with refused("Guarded", "expected the bytes of a png or jpeg image, got one in gif"):
        Guarded(Image(b"GIF89a"))
    with refused("Guarded", "expected the bytes of a png or jpeg image, got one in S3"):
        Guarded(Image(s3_uri="s3://b/k.png"))


def test_the_qualifiers_of_guarded_text_are_the_services() -> None:
    assert Guarded("a", ["query"]).qualifiers == ("query",)
    with refused("Guarded.qualifiers", "expected some of grounding_source, query, guard_content, got 'source'"):
        Guarded("a", ["source"])  # type: ignore[list-item]
    with refused("Guarded.qualifiers", "expected a list of str, got str"):
        Guarded("a", "query")  # type: ignore[arg-type]
    with refused("Guarded.qualifiers", "expected none for an image, got 'query'"):
        Guarded(Image(PNG), ["query"])


def test_a_search_result_has_a_source_a_title_and_texts() -> None:
    assert SearchResult("s", "t", "a") == SearchResult("s", "t", ["a"]) == SearchResult("s", "t", [Text("a")])
    with refused("SearchResult.source", "expected a non-blank str, got ''"):
        SearchResult("", "t", "a")
    with refused("SearchResult.title", "expected a non-blank str, got None"):
        SearchResult("s", None, "a")  # type: ignore[arg-type]
    with refused("SearchResult.content", "expected a non-blank str, got ' '"):
        SearchResult("s", "t", ["a", " "])
    with refused("SearchResult.content", "has no texts", "omit the block"):
        SearchResult("s", "t", [])
    with refused("SearchResult.content", "expected a list of str, got bytes"):
        SearchResult("s", "t", b"a")  # type: ignore[arg-type]
    with refused("SearchResult.citations", "expected a bool, got {'enabled': True}"):
        SearchResult("s", "t", "a", {"enabled": True})  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------------------- text and tool calls


def test_the_text_of_a_message_is_that_of_its_text_blocks() -> None:
    message = Message.assistant(
        Reasoning("hm"), "one ", CitedText(("two ", "three"), (Citation("t"),)), {"text": "raw"}
    )
    assert message.text == "one two three"


def test_a_message_wants_tools_if_the_caller_has_a_tool_to_run() -> None:
    own, server_side = ToolCall("1", "own"), ToolCall("2", "server_side", server=True)
    assert Message.assistant("a", own, server_side).tool_calls == (own,)
    assert Message.assistant("a", own).wants_tools
    assert not Message.assistant("a", server_side).wants_tools


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
    with refused("ToolResult.status", 'expected "success", "error" or None, got \'fine\''):
        ToolResult("1", "a", "fine")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ JSON round trip

EVERY_BLOCK = Message(
    "assistant",
    (
        Text("a"),
        CitedText(("a", "b"), (Citation("t", "s", ("c",), {"web": {"url": "u"}}, {"new": 1}), Citation())),
        Reasoning("hm", "sig"),
        Reasoning("hm", family="deepseek"),
        Reasoning(signature="sig"),
        Reasoning(redacted=bytes(range(256))),
        ToolCall("1", "f", {"a": [1, 2.5, None, {"b": "ü"}]}, True, {"new": []}),
        ToolResult("1", ["a", Json([1]), Image(PNG), {"json": {}}], "error", "nova_code_interpreter_result"),
        ToolResult("2"),
        CachePoint("1h"),
        Image(PNG),
        Document(b"a,b", "csv", name="n", context="c", citations=True),
        Document(text="a,b"),
        Guarded("a", ["query"]),
        Guarded(Image(PNG)),
        SearchResult("s", "t", ["a", "b"], citations=True),
        ToolResult("3", [SearchResult("s", "t", "a"), Document(text="a", format="md")]),
        Video(None, "mp4", "s3://b/k", "123456789012"),
        Audio(b"\x00\xff", "wav"),
        Raw({"hologram": {"depth": [1, None]}}),
    ),
)


def through_json(message: Message) -> Message:
    return msgspec.json.decode(msgspec.json.encode(message), type=Message)


def test_every_block_survives_the_json_round_trip() -> None:
    assert through_json(EVERY_BLOCK) == EVERY_BLOCK


def test_the_json_of_a_message_contains_the_type_of_each_block() -> None:
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
filled = st.text(min_size=1).filter(str.strip)
blocks = st.one_of(
    st.builds(Text, words),
    st.builds(Reasoning, st.text(), st.none() | st.text(), st.none() | st.binary()),
    st.builds(ToolCall, words, words, json_objects, st.booleans(), json_objects),
    st.builds(ToolResult, words, json_values, st.sampled_from([None, "success", "error"])),
    st.builds(Image, st.binary(min_size=1), st.sampled_from(Image.formats)),
    st.builds(Document, text=filled, format=st.sampled_from(TEXT_FORMATS)),
    st.builds(Guarded, filled, st.lists(st.sampled_from(["grounding_source", "query", "guard_content"]))),
    st.builds(SearchResult, filled, filled, st.lists(filled, min_size=1), st.booleans()),
    st.builds(Raw, st.builds(lambda key, value: {f"x{key}": value}, st.text(), json_values)),
)


@given(st.builds(Message, st.sampled_from(["user", "assistant"]), st.lists(blocks, max_size=4)))
def test_any_message_survives_the_json_round_trip(message: Message) -> None:
    assert through_json(message) == message
