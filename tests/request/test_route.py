"""The route of a call and its reason."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from bedrock_stream import (
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
)
from bedrock_stream.errors import UnsupportedOperation
from bedrock_stream.request.models import describe
from bedrock_stream.request.route import Route, choose_route
from bedrock_stream.types.messages import read_prompt
from bedrock_stream.types.options import read_options
from tests.support.planning import plan
from tests.support.refusals import refused

CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
GPT_OSS = "openai.gpt-oss-20b-1:0"
LLAMA = "meta.llama3-8b-instruct-v1:0"
COHERE = "cohere.command-r-v1:0"
TOOLS = [Tool(name="f")]
PDF = Document(b"%PDF-1.7")
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
DEFERRED = Tool(name="f", extra={"defer_loading": True})


def route(model: str, *messages: Any, **options: Any) -> Route:
    return choose_route(describe(model), read_prompt(list(messages) or "hi"), read_options(options))


@pytest.mark.parametrize(
    ("model", "plain", "with_tools"),
    [
        (CLAUDE, "invoke", "converse"),
        (GPT_OSS, "invoke", "converse"),
        (LLAMA, "invoke", "converse"),
        ("meta.llama2-13b-chat-v1", "invoke", "converse"),
        ("meta.llama4-scout-17b-instruct-v1:0", "invoke", "converse"),
        (COHERE, "converse", "converse"),
        ("amazon.nova-lite-v1:0", "converse", "converse"),
        ("mistral.mistral-large-2402-v1:0", "converse", "converse"),
        ("newcomer.model-v1", "converse", "converse"),
    ],
)
@pytest.mark.parametrize("geo", ["", "us.", "global."])
def test_native_families_use_converse_with_tools(geo: str, model: str, plain: str, with_tools: str) -> None:
    assert route(geo + model).dialect.route == plain
    assert route(geo + model, tools=TOOLS).dialect.route == with_tools
    assert route(geo + model, use_converse=True).dialect.route == "converse"


@pytest.mark.parametrize("options", [{}, {"tools": TOOLS}])
def test_caching_does_not_change_the_route(options: dict[str, Any]) -> None:
    plans = [
        plan("anthropic.claude-sonnet-4-20250514-v1:0", "hi", **{"system": "a", **options, **cache})
        for cache in ({}, {"anthropic_prompt_cache": True, "anthropic_cache_messages": True})
    ]
    assert plans[0].call.dialect.route == plans[1].call.dialect.route


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (CLAUDE, {}, "claude without tools uses its native format"),
        (CLAUDE, {"extra": {"metadata": {}}}, "claude without tools uses its native format"),
        (CLAUDE, {"tools": TOOLS}, "calls with tools use Converse"),
        (CLAUDE, {"use_converse": True}, "use_converse=True"),
        (CLAUDE, {"use_converse": False, "tools": TOOLS}, "use_converse=False"),
        (COHERE, {}, "command-r uses Converse"),
        ("newcomer.model-v1", {}, "an unknown model family uses Converse"),
        (CLAUDE, {"response_field_paths": ["/a"]}, "only Converse supports response_field_paths"),
        (CLAUDE, {"prompt_variables": {"a": "b"}}, "only Converse supports prompt_variables"),
        (CLAUDE, {"extra": {"outputConfig": {}}}, "only Converse supports outputConfig"),
        (CLAUDE, {"extra": {"projectIdentifier": "p"}}, "only Converse supports projectIdentifier"),
        (CLAUDE, {"system": [Guarded("a")]}, "Claude's native format does not support Guarded in system"),
        (CLAUDE, {"tools": [SystemTool("nova_grounding")]}, "calls with tools use Converse"),
        (CLAUDE, {"tools": [SEARCH]}, "only Claude's native format supports 'web_search_20250305'"),
        (CLAUDE, {"tools": [*TOOLS, SEARCH]}, "only Claude's native format supports 'web_search_20250305'"),
        (CLAUDE, {"tools": [SEARCH], "use_converse": False}, "use_converse=False"),
        (CLAUDE, {"tools": [DEFERRED]}, "Tool.extra has members of Claude's native format"),
        (CLAUDE, {"tools": [DEFERRED], "use_converse": True}, "use_converse=True"),
        (CLAUDE, {"tools": [DEFERRED, SystemTool("x")]}, "calls with tools use Converse"),
        (GPT_OSS, {"tools": [DEFERRED]}, "calls with tools use Converse"),
        (LLAMA, {"extra": {"inferenceConfig": {}}}, "only Converse supports inferenceConfig"),
        (LLAMA, {"stop_sequences": ["x"]}, "Llama's native format does not support stop_sequences"),
    ],
)
def test_every_route_has_a_reason(model: str, options: dict[str, Any], reason: str) -> None:
    assert route(model, **options).reason == reason


@pytest.mark.parametrize(
    ("model", "options", "problem", "remedy"),
    [
        (CLAUDE, {"use_converse": True}, "", "omit use_converse"),
        (COHERE, {}, "", "use a Claude model, or name the model behind the id in base_model"),
        (GPT_OSS, {"use_converse": False}, "", "use a Claude model, or name the model behind the id in base_model"),
        (CLAUDE, {"response_field_paths": ["/a"]}, ", but only Converse supports response_fi", "omit one of the two"),
        (CLAUDE, {"system": [Guarded("a")]}, ", but Claude's native format does not support G", "omit one of the two"),
    ],
)
def test_claudes_own_tools_are_refused_where_they_cannot_be_sent(
    model: str, options: dict[str, Any], problem: str, remedy: str
) -> None:
    expected = f"'web_search_20250305' is supported only in Claude's native format{problem}"
    with refused("tools[1]", expected, remedy) as caught:
        route(model, tools=[*TOOLS, SEARCH], **options)
    assert isinstance(caught.value, UnsupportedOperation)


@pytest.mark.parametrize("block", [SearchResult("s", "t", "a"), Document(text="a")], ids=repr)
def test_search_results_and_texts_are_sent_in_claudes_format(block: Any) -> None:
    assert route(CLAUDE, Message.user("a", block)).dialect.route == "invoke"
    assert route(CLAUDE, Message.user("a", ToolResult("c", block)), use_converse=False).dialect.route == "invoke"
    assert route(GPT_OSS, Message.user("a", block)).dialect.route == "converse"
    assert route(LLAMA, Message.user("a", block)).dialect.route == "converse"


@pytest.mark.parametrize("model", [CLAUDE, GPT_OSS, LLAMA])
def test_guarded_content_uses_converse(model: str) -> None:
    assert "Guarded" in route(model, Message.user(Guarded("a"))).reason


def test_a_search_result_in_converses_format_is_typed_for_the_native_format() -> None:
    wire = {"searchResult": {"source": "s", "title": "t", "content": [{"text": "a"}]}}
    (message,) = route(CLAUDE, {"content": ["a", wire]}).messages
    assert message.content[1] == SearchResult("s", "t", "a")


@pytest.mark.parametrize("model", [LLAMA, GPT_OSS])
def test_documents_that_a_native_format_does_not_support_use_converse(model: str) -> None:
    decided = route(model, Message.user("a", PDF))
    assert decided.dialect.route == "converse"
    assert decided.reason.startswith("messages[0].content[1]: ")
    assert "Document" in decided.reason
    with refused("use_converse", f"cannot be False: {decided.reason}", "omit it") as caught:
        route(model, Message.user("a", PDF), use_converse=False)
    assert isinstance(caught.value, UnsupportedOperation)


@pytest.mark.parametrize("block", [ToolCall("c", "f"), {"toolUse": {"toolUseId": "c", "name": "f", "input": {}}}])
def test_a_history_with_tools_uses_converse(block: Any) -> None:
    assert route(CLAUDE, Message.assistant(block)).reason == "calls with tools use Converse"


@pytest.mark.parametrize(
    ("model", "options", "value"),
    [
        (COHERE, {}, f"cannot be False: {COHERE!r} has no native format in this library"),
        (CLAUDE, {"response_field_paths": ["/a"]}, "cannot be False: only Converse supports response_field_paths"),
        (CLAUDE, {"extra": {"toolConfig": {}}}, "cannot be False: only Converse supports toolConfig"),
        (
            CLAUDE,
            {"system": [{"guardContent": {}}]},
            "cannot be False: Claude's native format does not support system blocks in Converse's format",
        ),
        (LLAMA, {"tools": TOOLS}, "cannot be False: Llama's native format does not support tools"),
    ],
)
def test_an_explicit_native_route_that_is_impossible_is_an_error(
    model: str, options: dict[str, Any], value: str
) -> None:
    with refused("use_converse", value, "omit it") as caught:
        route(model, use_converse=False, **options)
    assert isinstance(caught.value, UnsupportedOperation)


ACCOUNT = "arn:aws:bedrock:us-east-1:123456789012:"


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        (f"{ACCOUNT}inference-profile/us.{CLAUDE}", "invoke"),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{LLAMA}", "invoke"),
        (f"{ACCOUNT}application-inference-profile/a1b2", "converse"),
        (f"{ACCOUNT}provisioned-model/a1b2", "converse"),
        (f"{ACCOUNT}prompt/A1B2:1", "converse"),
    ],
)
def test_an_arn_is_routed_by_the_model_id_in_it(arn: str, expected: str) -> None:
    assert route(arn).dialect.route == expected


# --------------------------------------------------------------------------------------------------- the caller's dicts

PNG = b"\x89PNG\r\n\x1a\n"
CITED = {
    "content": [{"text": "a"}],
    "citations": [{"title": "t", "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 1}}}],
}
DICTS: dict[str, tuple[Any, Any]] = {
    "text": ({"text": "a"}, Text("a")),
    "an image": ({"image": {"format": "png", "source": {"bytes": PNG}}}, Image(PNG)),
    "an image in base64": (
        {"image": {"format": "png", "source": {"bytes": b64encode(PNG).decode()}}},
        Image(PNG),
    ),
    "a document": (
        {"document": {"format": "csv", "name": "d", "source": {"bytes": b"a,b"}}},
        Document(b"a,b", "csv", name="d"),
    ),
    "reasoning": (
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        Reasoning("hm", "sig"),
    ),
    "cited text": (
        {"citationsContent": CITED},
        CitedText(("a",), (Citation("t", location={"documentChar": {"documentIndex": 0, "start": 0, "end": 1}}),)),
    ),
    "a tool call": (
        {"toolUse": {"toolUseId": "c", "name": "f", "input": {"a": 1}}},
        ToolCall("c", "f", {"a": 1}),
    ),
    "a tool result": (
        {
            "toolResult": {
                "toolUseId": "c",
                "content": [{"text": "a"}, {"json": [1]}, {"image": {"format": "png", "source": {"bytes": PNG}}}],
                "status": "error",
            }
        },
        ToolResult("c", (Text("a"), Json([1]), Image(PNG)), "error"),
    ),
}


@pytest.mark.parametrize("case", DICTS)
def test_dicts_in_converse_shape_become_typed_on_the_native_route(case: str) -> None:
    wire, block = DICTS[case]
    decided = route(CLAUDE, Message.user("hi", wire), use_converse=False)
    assert decided.messages == (Message.user("hi", block),)
    assert decided.dialect.body(decided.messages, read_options({}))


@pytest.mark.parametrize("case", DICTS)
def test_dicts_in_converse_shape_are_unchanged_on_converse(case: str) -> None:
    wire, _ = DICTS[case]
    assert route(CLAUDE, Message.user(wire), use_converse=True).messages == (Message.user(wire),)


def test_a_typed_result_with_raw_content_becomes_typed_too() -> None:
    result = ToolResult("c", [{"text": "a"}, {"json": {"b": 1}}, {"searchResult": {}}])
    decided = route(CLAUDE, Message.user(result))
    assert decided.dialect.route == "converse"
    assert decided.messages == (Message.user(result),)
    sound = ToolResult("c", [{"text": "a"}, {"json": {"b": 1}}])
    assert route(CLAUDE, Message.user(sound), use_converse=False).messages == (
        Message.user(ToolResult("c", [Text("a"), Json({"b": 1})])),
    )


def test_a_cache_point_in_converse_shape_becomes_typed() -> None:
    decided = route(CLAUDE, Message.user("a", {"cachePoint": {"type": "default", "ttl": "1h"}}))
    assert decided.dialect.route == "invoke"
    assert decided.messages == (Message.user("a", CachePoint("1h")),)


@pytest.mark.parametrize(
    "wire",
    [
        {"guardContent": {"text": {"text": "a"}}},
        {"citationsContent": {"content": [{"text": "a"}], "citations": [5]}},
        {"image": {"format": "heic", "source": {"bytes": PNG}}},
        {"toolResult": {"toolUseId": "c", "content": [{"text": "\ud800"}]}},
    ],
    ids=["guardContent", "citation", "image", "surrogate"],
)
def test_a_dict_that_cannot_be_parsed_is_sent_unchanged_to_converse(wire: dict[str, Any]) -> None:
    decided = route(CLAUDE, Message.user(wire))
    assert decided.dialect.route == "converse"
    assert decided.messages == (Message.user(Raw(wire)),)


def test_a_block_of_the_native_format_keeps_the_call_there_with_tools() -> None:
    said = Message.assistant(Raw({"type": "compaction", "content": "earlier"}), "a")
    chosen = route(CLAUDE, Message.user("q"), said, Message.user("go on"), tools=TOOLS)
    assert (chosen.dialect.route, chosen.reason) == ("invoke", "only the native format supports compaction blocks")
    # Content that the native format cannot express still decides for Converse.
    image = Message.user("look", Image(s3_uri="s3://bucket/a.png", format="png"))
    assert route(CLAUDE, Message.user("q"), said, image).dialect.route == "converse"
