"""The Converse body: prompts and options as botocore writes them, and no other members."""

from __future__ import annotations

import json
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
    SystemTool,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Video,
)
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.dialects.converse.body import write_body
from bedrock_stream.types.messages import Prompt, read_prompt
from bedrock_stream.types.options import read_options
from tests.support.botocore_oracle import written_by_botocore

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
HELLO = {"role": "user", "content": [{"text": "hello"}]}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(name="get_weather", description="Say the weather.", input_schema=SCHEMA, strict=True)
WEATHER_SPEC = {
    "toolSpec": {
        "name": "get_weather",
        "description": "Say the weather.",
        "inputSchema": {"json": SCHEMA},
        "strict": True,
    }
}
GUARD = {"guardContent": {"text": {"text": "b"}}}
GROUNDING = {"systemTool": {"name": "nova_grounding"}}
FOUND = {"source": "s", "title": "t", "content": [{"text": "a"}]}
CACHE = {"cachePoint": {"type": "default"}}
NOW_SPEC = {"toolSpec": {"name": "now", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
GUARDRAIL = {"guardrailIdentifier": "g", "guardrailVersion": "DRAFT", "trace": "enabled"}


def write(prompt: Prompt, **options: Any) -> Any:
    """Return the body as received. Asserts that the service model accepts it unchanged."""
    messages, read = read_prompt(prompt), read_options(options)
    body = write_body(messages, read)
    assert Converse().body(messages, read) == body
    received = json.loads(msgspec.json.encode(body))
    assert written_by_botocore(body) == received
    return received


def write_unchecked(prompt: Prompt, **options: Any) -> Any:
    """Return the body as received, with members that the service model may not know."""
    return json.loads(msgspec.json.encode(write_body(read_prompt(prompt), read_options(options))))


# -------------------------------------------------------------------------------------------------------------- prompts

PROMPTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "text": ("hello", {"text": "hello"}),
    "raw": ({"content": [{"guardContent": {"text": {"text": "a"}}}]}, {"guardContent": {"text": {"text": "a"}}}),
    "image": (Message.user(Image(PNG)), {"image": {"format": "png", "source": {"bytes": PNG}}}),
    "image in S3": (
        Message.user(Image(s3_uri="s3://bucket/k.png", bucket_owner="123456789012")),
        {
            "image": {
                "format": "png",
                "source": {"s3Location": {"uri": "s3://bucket/k.png", "bucketOwner": "123456789012"}},
            }
        },
    ),
    "document": (
        Message.user(Document(b"a,b", "csv", name="Quarter", context="c", citations=True)),
        {
            "document": {
                "format": "csv",
                "name": "Quarter",
                "source": {"bytes": b"a,b"},
                "context": "c",
                "citations": {"enabled": True},
            }
        },
    ),
    "plain document": (
        Message.user(Document(b"%PDF-1.7")),
        {"document": {"format": "pdf", "name": "document", "source": {"bytes": b"%PDF-1.7"}}},
    ),
    "text as a document": (
        Message.user(Document(text="a,b", format="csv", name="Quarter")),
        {"document": {"format": "csv", "name": "Quarter", "source": {"text": "a,b"}}},
    ),
    "guarded text": (Message.user(Guarded("b")), GUARD),
    "qualified text": (
        Message.user(Guarded("b", ["query", "guard_content"])),
        {"guardContent": {"text": {"text": "b", "qualifiers": ["query", "guard_content"]}}},
    ),
    "guarded image": (
        Message.user(Guarded(Image(PNG))),
        {"guardContent": {"image": {"format": "png", "source": {"bytes": PNG}}}},
    ),
    "search result": (Message.user(SearchResult("s", "t", "a")), {"searchResult": FOUND}),
    "cited search result": (
        Message.user(SearchResult("s", "t", ["a", "b"], citations=True)),
        {
            "searchResult": {
                **FOUND,
                "content": [{"text": "a"}, {"text": "b"}],
                "citations": {"enabled": True},
            }
        },
    ),
    "search result of a tool": (
        Message.user(ToolResult("id-1", SearchResult("s", "t", "a"))),
        {"toolResult": {"toolUseId": "id-1", "content": [{"searchResult": FOUND}]}},
    ),
    "video": (
        Message.user(Video(s3_uri="s3://bucket/k.mp4")),
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/k.mp4"}}}},
    ),
    "audio": (Message.user(Audio(b"\x00", "wav")), {"audio": {"format": "wav", "source": {"bytes": b"\x00"}}}),
    "cache point": (Message.user(CachePoint()), {"cachePoint": {"type": "default"}}),
    "long cache point": (Message.user(CachePoint("1h")), {"cachePoint": {"type": "default", "ttl": "1h"}}),
    "reasoning": (
        Message.assistant(Reasoning("hm", "sig")),
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
    ),
    "unsigned reasoning": (Message.assistant(Reasoning("hm")), {"reasoningContent": {"reasoningText": {"text": "hm"}}}),
    "signature without text": (
        Message.assistant(Reasoning(signature="sig")),
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "sig"}}},
    ),
    "redacted reasoning": (
        Message.assistant(Reasoning(redacted=b"\x00\xff")),
        {"reasoningContent": {"redactedContent": b"\x00\xff"}},
    ),
    "cited text": (
        Message.assistant(
            CitedText(
                ("a", "b"), (Citation("t", "s", ("c",), {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}),)
            )
        ),
        {
            "citationsContent": {
                "content": [{"text": "a"}, {"text": "b"}],
                "citations": [
                    {
                        "title": "t",
                        "source": "s",
                        "sourceContent": [{"text": "c"}],
                        "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
                    }
                ],
            }
        },
    ),
    "bare citation": (
        Message.assistant(CitedText(("a",), (Citation(),))),
        {"citationsContent": {"content": [{"text": "a"}], "citations": [{}]}},
    ),
    "tool call": (
        Message.assistant(ToolCall("id-1", "f", {"a": [1, None, 2.5]})),
        {"toolUse": {"toolUseId": "id-1", "name": "f", "input": {"a": [1, None, 2.5]}}},
    ),
    "server tool call": (
        Message.assistant(ToolCall("id-1", "f", server=True, extra={"caller": {"type": "direct"}})),
        {"toolUse": {"toolUseId": "id-1", "name": "f", "input": {}, "type": "server_tool_use"}},
    ),
    "tool result": (
        Message.user(ToolResult("id-1", ["a", Json({"b": 1}), Image(PNG), {"json": [1]}], "error", "kind")),
        {
            "toolResult": {
                "toolUseId": "id-1",
                "content": [
                    {"text": "a"},
                    {"json": {"b": 1}},
                    {"image": {"format": "png", "source": {"bytes": PNG}}},
                    {"json": [1]},
                ],
                "status": "error",
                "type": "kind",
            }
        },
    ),
    "empty tool result": (Message.user(ToolResult("id-1")), {"toolResult": {"toolUseId": "id-1", "content": []}}),
}


@pytest.mark.parametrize(("prompt", "block"), PROMPTS.values(), ids=PROMPTS)
def test_a_block_is_written_as_botocore_writes_it(prompt: Any, block: dict[str, Any]) -> None:
    role = prompt.role if isinstance(prompt, Message) else "user"
    expected = written_by_botocore({"messages": [{"role": role, "content": [block]}]})
    assert write(prompt) == expected


def test_a_conversation_keeps_its_turns() -> None:
    prompt = [Message.user("hello"), Message.assistant("hi"), Message("system", "bye"), Message.user("a", "b")]
    assert write(prompt) == {
        "messages": [
            {"role": "user", "content": [{"text": "hello"}]},
            {"role": "assistant", "content": [{"text": "hi"}]},
            {"role": "system", "content": [{"text": "bye"}]},
            {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
        ]
    }


@pytest.mark.parametrize(
    "block",
    [
        {"hologram": {"depth": None}},
        {"image": {"format": "avif", "source": {}}},
        {"text": None},
        {"toolUse": {"new": 1}},
    ],
)
def test_a_block_in_wire_format_is_sent_unchanged(block: dict[str, Any]) -> None:
    assert write_unchecked({"content": [block]})["messages"] == [{"role": "user", "content": [block]}]


# --------------------------------------------------------------------------------------------------------- tool results


def result(id: str) -> ToolResult:
    return ToolResult(id, "a")


def ids(body: Any) -> list[list[str]]:
    """Return the ids of the tool results of each turn; for other blocks, their kind."""
    return [
        [block.get("toolResult", {}).get("toolUseId", next(iter(block))) for block in turn["content"]]
        for turn in body["messages"]
    ]


def test_turns_of_one_role_stay() -> None:
    prompt = [
        Message.user("a"),
        Message.user("b"),
        Message.user(result("1")),
        Message.user("c"),
        Message.user(result("2")),
        Message.user(result("3"), Text("d")),
        Message.user(result("4")),
        Message.assistant("e"),
        Message.user(result("5")),
    ]
    assert ids(write(prompt)) == [["text"], ["text"], ["1"], ["text"], ["2"], ["3", "text"], ["4"], ["text"], ["5"]]


def test_merging_does_not_change_the_callers_messages() -> None:
    messages = [Message.user(result("1")), Message.user(result("2"))]
    first, second = write(messages), write(messages)
    assert first == second
    assert [len(message.content) for message in messages] == [1, 1]


# -------------------------------------------------------------------------------------------------------------- options

OPTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"system": "be brief"}, {"system": [{"text": "be brief"}]}),
    (
        {"system": ["a", CachePoint("5m"), GUARD]},
        {"system": [{"text": "a"}, {"cachePoint": {"type": "default", "ttl": "5m"}}, GUARD]},
    ),
    ({"system": [Guarded("b")]}, {"system": [GUARD]}),
    ({"tools": [SystemTool("nova_grounding")]}, {"toolConfig": {"tools": [GROUNDING]}}),
    ({"max_tokens": 16}, {"inferenceConfig": {"maxTokens": 16}}),
    ({"temperature": 0}, {"inferenceConfig": {"temperature": 0.0}}),
    (
        {"max_tokens": 1, "temperature": 0.5, "top_p": 1, "stop_sequences": ["\n", "end"]},
        {"inferenceConfig": {"maxTokens": 1, "temperature": 0.5, "topP": 1.0, "stopSequences": ["\n", "end"]}},
    ),
    ({"stop_sequences": []}, {}),
    (
        {"additional_model_request_fields": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 5}},
        {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 5}},
    ),
    ({"additional_model_request_fields": {}}, {"additionalModelRequestFields": {}}),
    ({"response_field_paths": ["/a", "/b/0"]}, {"additionalModelResponseFieldPaths": ["/a", "/b/0"]}),
    ({"guardrail": GUARDRAIL}, {"guardrailConfig": GUARDRAIL}),
    ({"performance": "optimized"}, {"performanceConfig": {"latency": "optimized"}}),
    ({"service_tier": "flex"}, {"serviceTier": {"type": "flex"}}),
    ({"request_metadata": {"team": "a"}}, {"requestMetadata": {"team": "a"}}),
    (
        {"provider_options": {"performance": "standard", "max_tokens": 3}, "max_tokens": 4},
        {"performanceConfig": {"latency": "standard"}, "inferenceConfig": {"maxTokens": 4}},
    ),
    ({"extra": {"promptVariables": {"name": {"text": "a"}}}}, {"promptVariables": {"name": {"text": "a"}}}),
    ({"tools": [WEATHER]}, {"toolConfig": {"tools": [WEATHER_SPEC]}}),
    (
        {"tools": [WEATHER, GROUNDING, CACHE]},
        {"toolConfig": {"tools": [WEATHER_SPEC, GROUNDING, CACHE]}},
    ),
    (
        {"tools": [{"name": "now"}]},
        {"toolConfig": {"tools": [NOW_SPEC]}},
    ),
    (
        {"tools": [WEATHER], "tool_choice": "auto"},
        {"toolConfig": {"tools": [WEATHER_SPEC], "toolChoice": {"auto": {}}}},
    ),
    ({"tools": [WEATHER], "tool_choice": "any"}, {"toolConfig": {"tools": [WEATHER_SPEC], "toolChoice": {"any": {}}}}),
    (
        {"tools": [WEATHER], "tool_choice": "get_weather"},
        {"toolConfig": {"tools": [WEATHER_SPEC], "toolChoice": {"tool": {"name": "get_weather"}}}},
    ),
    (
        {"tools": [WEATHER], "tool_choice": {"tool": {"name": "get_weather"}}},
        {"toolConfig": {"tools": [WEATHER_SPEC], "toolChoice": {"tool": {"name": "get_weather"}}}},
    ),
    ({"tools": [WEATHER], "tool_choice": "none"}, {}),
    ({"tools": [], "tool_choice": "auto"}, {}),
]


@pytest.mark.parametrize(
    ("options", "parameters"), OPTIONS, ids=[", ".join(options) or "none" for options, _ in OPTIONS]
)
def test_options_are_written_as_botocore_writes_them(options: dict[str, Any], parameters: dict[str, Any]) -> None:
    assert write("hello", **options) == written_by_botocore({"messages": [HELLO], **parameters})


def test_a_project_is_a_member_of_the_body() -> None:
    assert write_unchecked("hello", project="proj_1") == {"messages": [HELLO], "projectIdentifier": "proj_1"}


def test_extra_members_of_a_tool_are_merged_into_its_specification() -> None:
    tool = Tool(name="now", description="a", extra={"description": "b", "defer_loading": True})
    (spec,) = write_unchecked("hello", tools=[tool])["toolConfig"]["tools"]
    assert spec == {"toolSpec": {**NOW_SPEC["toolSpec"], "description": "b", "defer_loading": True}}


@pytest.mark.parametrize(
    "history",
    [
        [Message.assistant(ToolCall("1", "f")), Message.user(result("1"))],
        [{"role": "assistant", "content": [{"toolUse": {"toolUseId": "1", "name": "f", "input": {}}}]}],
        [{"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": []}}]}],
    ],
)
def test_a_history_with_tools_requires_the_tools_even_for_none(history: list[Any]) -> None:
    assert write([Message.user("go"), *history], tools=[WEATHER], tool_choice="none")["toolConfig"] == {
        "tools": [WEATHER_SPEC]
    }


def test_the_streaming_request_has_the_same_body() -> None:
    guardrail = {**GUARDRAIL, "streamProcessingMode": "async"}
    body = write_body(read_prompt("hello"), read_options({"guardrail": guardrail, "tools": [WEATHER]}))
    assert written_by_botocore(body, "ConverseStream") == json.loads(msgspec.json.encode(body))


def test_extra_takes_precedence() -> None:
    extra = {"inferenceConfig": {"maxTokens": 7}, "messages": [], "new": {"a": None}}
    assert write_unchecked("hello", max_tokens=5, system="a", extra=extra) == {
        "messages": [],
        "system": [{"text": "a"}],
        "inferenceConfig": {"maxTokens": 7},
        "new": {"a": None},
    }


def test_credentials_are_not_in_the_body() -> None:
    secrets = {"api_key": "hunter", "access_key_id": "hunter", "secret_access_key": "hunter", "session_token": "hunter"}
    assert write("hello", **secrets, region="eu-west-1", use_converse=True, keep=False) == {"messages": [HELLO]}


# ----------------------------------------------------------------------------------------------------- any conversation

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=3)
words = st.text(min_size=1)
names = st.text("abcXYZ019_-", min_size=1, max_size=64)
blocks = st.one_of(
    st.builds(Text, words),
    st.builds(Reasoning, st.text(), st.none() | st.text()),
    st.builds(lambda data: Reasoning(redacted=data), st.binary()),
    st.builds(ToolCall, names, names, json_objects, st.booleans()),
    st.builds(ToolResult, names, words | json_objects, st.sampled_from([None, "success", "error"])),
    st.builds(Image, st.binary(min_size=1), st.sampled_from(Image.formats)),
    st.builds(Document, st.binary(min_size=1), st.sampled_from(Document.formats)),
    st.builds(lambda text: Raw({"text": text}), words),
)
turns = st.builds(Message, st.sampled_from(["user", "assistant"]), st.lists(blocks, min_size=1, max_size=4))


@given(st.lists(turns, min_size=1, max_size=4))
def test_any_conversation_is_written_as_botocore_writes_it(conversation: list[Message]) -> None:
    write(conversation)
