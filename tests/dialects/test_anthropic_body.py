"""The Messages body: prompts and options, unsupported content, and conversations that change their route."""

from __future__ import annotations

import json
from typing import Any

import msgspec
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
    Response,
    SearchResult,
    SystemTool,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Video,
)
from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.request.models import describe
from bedrock_stream.request.route import choose_route
from bedrock_stream.types.messages import read_prompt
from bedrock_stream.types.options import Options, read_options
from bedrock_stream.types.response import Assembly
from tests.support.anthropic_chunks import (
    assembled,
    delta,
    message_delta,
    message_start,
    message_stop,
    start,
    stop,
    text,
    tool,
    tool_start,
)
from tests.support.botocore_oracle import written_by_botocore
from tests.support.converse_frames import delta as converse_delta
from tests.support.converse_frames import message_stop as converse_stop
from tests.support.converse_frames import read as read_converse
from tests.support.converse_frames import start as converse_start
from tests.support.converse_frames import stop as converse_block_stop
from tests.support.converse_frames import tool_start as converse_tool_start

Wire = dict[str, Any]

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
CLAUDE = describe("anthropic.claude-sonnet-4-20250514-v1:0")
MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def body(*messages: Any, **options: Any) -> Any:
    """Return the body as received. Asserts that all of it is supported."""
    prompt, read = read_prompt(list(messages)), read_options(options)
    assert Anthropic().unsupported(prompt, read) is None
    return json.loads(msgspec.json.encode(Anthropic().body(prompt, read)))


def sent(*messages: Any) -> Any:
    """Return the messages as received."""
    return body(*messages)["messages"]


def content(*blocks: Any) -> Any:
    """Return the blocks of one user turn as received."""
    (message,) = sent(Message.user(*blocks))
    assert message["role"] == "user"
    return message["content"]


# -------------------------------------------------------------------------------------------------------------- options


def test_a_minimal_body_has_only_the_required_members() -> None:
    assert body(Message.user("hi")) == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }


def test_every_option_is_written_to_the_body() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    wire = body(
        Message.user("hi"),
        system=["Be brief.", CachePoint("1h"), Text("Be kind."), CachePoint()],
        tools=[Tool(name="f", description="d", input_schema=schema, strict=True), Tool(name="g")],
        tool_choice="any",
        max_tokens=5,
        temperature=0.0,
        top_p=0.5,
        stop_sequences=["END"],
        additional_model_request_fields={"top_k": 7, "anthropic_beta": ["b"]},
        extra={"metadata": {"user_id": "u"}, "top_k": 8},
    )
    assert wire == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "system": [{"type": "text", "text": "Be brief.", **HOUR}, {"type": "text", "text": "Be kind.", **MARK}],
        "tools": [
            {"name": "f", "description": "d", "input_schema": schema, "strict": True},
            {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        ],
        "tool_choice": {"type": "any"},
        "temperature": 0.0,
        "top_p": 0.5,
        "stop_sequences": ["END"],
        "top_k": 8,
        "anthropic_beta": ["b"],
        "metadata": {"user_id": "u"},
    }


@pytest.mark.parametrize(
    ("thinking", "limit"),
    [
        ({"type": "enabled", "budget_tokens": 2048}, 6144),
        ({"type": "adaptive"}, 4096),
        ({"type": "enabled", "budget_tokens": "many"}, 4096),
        ("on", 4096),
    ],
)
def test_the_thinking_budget_is_added_to_the_default_limit(thinking: Any, limit: int) -> None:
    assert body(Message.user("hi"), additional_model_request_fields={"thinking": thinking})["max_tokens"] == limit


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("auto", {"type": "auto"}),
        ("any", {"type": "any"}),
        ("none", {"type": "none"}),
        ("f", {"type": "tool", "name": "f"}),
        ({"auto": {}}, {"type": "auto"}),
        ({"any": {}}, {"type": "any"}),
        ({"tool": {"name": "f"}}, {"type": "tool", "name": "f"}),
    ],
)
def test_every_tool_choice_is_written_in_claudes_format(choice: Any, written: Wire) -> None:
    assert body(Message.user("hi"), tools=[Tool(name="f")], tool_choice=choice)["tool_choice"] == written


def test_a_tool_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in body(Message.user("hi"), tool_choice="none")
    assert "tool_choice" not in body(Message.user("hi"), tools=[Tool(name="f")])


def test_a_cache_point_after_a_tool_marks_it() -> None:
    point = {"cachePoint": {"type": "default"}}
    long = {"cachePoint": {"type": "default", "ttl": "1h"}}
    first, second = body(Message.user("hi"), tools=[Tool(name="f"), long, Tool(name="g"), point])["tools"]
    assert first["cache_control"] == HOUR["cache_control"]
    assert second["cache_control"] == MARK["cache_control"]


# --------------------------------------------------------------------------------------------------------------- blocks


def test_images_and_documents_are_written_in_claudes_format() -> None:
    assert content(
        Image(PNG),
        Document(b"%PDF-1.7", name="Report", context="c", citations=True),
        Document(b"a,b\n\xc3\xbc", "csv"),
        "And?",
    ) == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoA/w=="}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjc="},
            "title": "Report",
            "context": "c",
            "citations": {"enabled": True},
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "a,b\n\u00fc"},
            "title": "document",
        },
        {"type": "text", "text": "And?"},
    ]


def test_a_text_is_a_text_document() -> None:
    assert content(Document(text="a\u00fc", name="Notes", citations=True), "And?")[0] == {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "a\u00fc"},
        "title": "Notes",
        "citations": {"enabled": True},
    }


def test_search_results_are_written_in_claudes_format() -> None:
    wire = {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "a"}]}
    cited = {**wire, "citations": {"enabled": True}}
    assert content(SearchResult("s", "t", "a"), SearchResult("s", "t", "a", True), CachePoint()) == [
        wire,
        {**cited, **MARK},
    ]
    assert content(ToolResult("c", [SearchResult("s", "t", "a")]))[0]["content"] == [wire]


SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}


def test_claudes_own_tools_are_written_unchanged() -> None:
    point = {"cachePoint": {"type": "default"}}
    wire = body(Message.user("hi"), tools=[SEARCH, Tool(name="f"), point, SEARCH, point], tool_choice="web_search")
    assert [tool["name"] for tool in wire["tools"]] == ["web_search", "f", "web_search"]
    assert wire["tools"][0] == SEARCH
    assert wire["tools"][2] == {**SEARCH, **MARK}
    assert wire["tool_choice"] == {"type": "tool", "name": "web_search"}
    assert set(SEARCH) == {"type", "name", "max_uses"}


def test_extra_members_of_a_tool_are_merged_into_it() -> None:
    (wire,) = body(Message.user("hi"), tools=[Tool(name="f", extra={"defer_loading": True, **MARK})])["tools"]
    empty = {"type": "object", "properties": {}}
    assert wire == {"name": "f", "input_schema": empty, "defer_loading": True, **MARK}


RESULT = [
    {"type": "text", "text": "Sunny"},
    {"type": "text", "text": '{"x":1}'},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoA/w=="}},
]


def test_tool_calls_and_results_share_turns() -> None:
    assert sent(
        Message.user("a"),
        Message.assistant(
            Reasoning("hm", "sig"),
            Reasoning(redacted=b"EmwK"),
            ToolCall("c-1", "f", {"a": 1}),
            ToolCall("c-2", "g"),
        ),
        Message.user(
            ToolResult("c-1", ["Sunny", Json({"x": 1}), Image(PNG)]),
            ToolResult("c-2", "boom", status="error"),
            CachePoint(),
        ),
        Message.user("Go on."),
        Message.user("Quickly."),
    ) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "EmwK"},
                {"type": "tool_use", "id": "c-1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "c-2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c-1", "content": RESULT},
                {
                    "type": "tool_result",
                    "tool_use_id": "c-2",
                    "content": [{"type": "text", "text": "boom"}],
                    "is_error": True,
                    **MARK,
                },
            ],
        },
        {"role": "user", "content": [{"type": "text", "text": "Go on."}]},
        {"role": "user", "content": [{"type": "text", "text": "Quickly."}]},
    ]


def test_a_result_that_is_not_json_serializable_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match=r"prompt: dict value cannot be encoded as JSON: .*; use JSON values"):
        content(ToolResult("c", {"a": object()}))


def test_a_success_status_is_omitted_and_a_missing_signature_is_sent_empty() -> None:
    assert content(ToolResult("c", 1, status="success")) == [
        {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "1"}]}
    ]
    assert sent(Message.assistant(Reasoning("hm")))[0]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""}
    ]


def test_a_cache_point_marks_the_block_before_it() -> None:
    assert content("a", CachePoint("1h"), "b", CachePoint("5m"), CachePoint()) == [
        {"type": "text", "text": "a", **HOUR},
        {"type": "text", "text": "b", **MARK},
    ]


def test_a_cache_point_does_not_change_the_callers_block() -> None:
    block = Raw({"type": "search_result", "source": "s"})
    assert content(block, CachePoint()) == [{"type": "search_result", "source": "s", **MARK}]
    assert block == Raw({"type": "search_result", "source": "s"})


LOCATIONS = [
    ({"documentChar": {"documentIndex": 0, "start": 1, "end": 5}}, "char_location"),
    ({"documentPage": {"documentIndex": 0, "start": 1, "end": 5}}, "page_location"),
    ({"documentChunk": {"documentIndex": 0, "start": 1, "end": 5}}, "content_block_location"),
    ({"searchResultLocation": {"searchResultIndex": 0, "start": 1, "end": 5}}, "search_result_location"),
]


@pytest.mark.parametrize(("location", "kind"), LOCATIONS)
def test_citations_received_through_converse_are_written_in_claudes_format(location: Wire, kind: str) -> None:
    cited = CitedText(("a", "b"), (Citation("t", "s", ("c", "d"), location),))
    (message,) = sent(Message.assistant(cited))
    (block,) = message["content"]
    (citation,) = block.pop("citations")
    assert block == {"type": "text", "text": "ab"}
    assert citation.pop("type") == kind
    assert citation.pop("cited_text") == "cd"
    assert "t" in (citation.pop("document_title", None), citation.pop("title", None))
    assert sorted(value for value in citation.values() if value != "s") == [0, 1, 5]


# -------------------------------------------------------------------------------------------------- unsupported content


def cited(location: Any, **extra: Any) -> Message:
    return Message.assistant(CitedText(("a",), (Citation("t", location=location, extra=extra),)))


NOT_SUPPORTED = "Claude's native format does not support this"
NO_BLOCK = "Claude's native format requires a block other than reasoning before a cache point"
NO_ITEM = "Claude's native format requires an item before a cache point"
UNSUPPORTED: dict[str, tuple[Message, Wire, str]] = {
    "an image in S3": (
        Message.user(Image(s3_uri="s3://b/k.png")),
        {},
        f"messages[0].content[0]: {NOT_SUPPORTED} Image",
    ),
    "a document in S3": (
        Message.user("a", Document(s3_uri="s3://b/k.pdf")),
        {},
        f"messages[0].content[1]: {NOT_SUPPORTED} Document",
    ),
    "a Word file": (Message.user("a", Document(b"x", "docx")), {}, f"{NOT_SUPPORTED} Document"),
    "a text in another encoding": (Message.user("a", Document(b"\xff", "txt")), {}, f"{NOT_SUPPORTED} Document"),
    "a video": (Message.user(Video(b"x", "mp4")), {}, f"{NOT_SUPPORTED} Video"),
    "a video as a result": (Message.user(ToolResult("c", [Video(b"x", "mp4")])), {}, f"{NOT_SUPPORTED} ToolResult"),
    "a raw result": (Message.user(ToolResult("c", [{"json": 1}])), {}, f"{NOT_SUPPORTED} ToolResult"),
    "guarded text": (Message.user(Guarded("a")), {}, f"{NOT_SUPPORTED} Guarded"),
    "guarded text in system": (Message.user("a"), {"system": [Guarded("a")]}, "does not support Guarded in system"),
    "a system tool": (
        Message.user("a"),
        {"tools": [SystemTool("nova_grounding")]},
        "does not support tools in Converse's format (systemTool)",
    ),
    "a block in Converse format": (Message.user({"guardContent": {}}), {}, f"{NOT_SUPPORTED} Raw"),
    "reasoning of another model": (Message.assistant(Reasoning(redacted=b"\xff")), {}, f"{NOT_SUPPORTED} Reasoning"),
    "a citation without a location": (cited(None), {}, f"{NOT_SUPPORTED} CitedText"),
    "a citation with two locations": (cited({"web": {}, "documentChar": {}}), {}, f"{NOT_SUPPORTED} CitedText"),
    "a citation with part of a location": (cited({"documentChar": {"start": 1}}), {}, f"{NOT_SUPPORTED} CitedText"),
    "a citation with a malformed location": (cited({"documentChar": "here"}), {}, f"{NOT_SUPPORTED} CitedText"),
    "a citation with an unknown location": (cited({"sky": {"star": 1}}), {}, f"{NOT_SUPPORTED} CitedText"),
    "a web citation from Converse": (cited({"web": {"url": "u"}}), {}, f"{NOT_SUPPORTED} CitedText"),
    "a system message": (
        Message("system", "a"),
        {},
        "messages[0]: Claude's native format does not support system messages",
    ),
    "a cache point first": (Message.user(CachePoint(), "a"), {}, f"messages[0].content[0]: {NO_BLOCK}"),
    "a cache point after thinking": (
        Message.assistant(Reasoning("hm", "s"), CachePoint()),
        {},
        f"messages[0].content[1]: {NO_BLOCK}",
    ),
    "a tool in Converse format": (Message.user("a"), {"tools": [{"systemTool": {"name": "x"}}]}, "(systemTool)"),
    "a cache point before all tools": (Message.user("a"), {"tools": [{"cachePoint": {}}]}, f"tools[0]: {NO_ITEM}"),
    "a system block in Converse format": (
        Message.user("a"),
        {"system": [{"guardContent": {}}]},
        "support system blocks",
    ),
    "a cache point before all text": (Message.user("a"), {"system": [CachePoint(), "a"]}, f"system[0]: {NO_ITEM}"),
    "an unknown choice": (Message.user("a"), {"tools": [Tool(name="f")], "tool_choice": {"x": {}}}, "{'x': {}}"),
    "an empty choice": (Message.user("a"), {"tools": [Tool(name="f")], "tool_choice": {}}, "{}"),
    "two choices": (Message.user("a"), {"tools": [Tool(name="f")], "tool_choice": {"auto": {}, "any": {}}}, "choice"),
    "a null choice": (Message.user("a"), {"tools": [Tool(name="f")], "tool_choice": {"tool": None}}, "choice"),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_unsupported_content_is_named_in_the_reason(case: str) -> None:
    message, options, reason = UNSUPPORTED[case]
    unsupported = Anthropic().unsupported([message], read_options(options))
    assert unsupported is not None
    assert reason in unsupported


def test_the_dialect_names_its_route_and_operations() -> None:
    dialect = Anthropic()
    assert dialect.route == dialect.operation == "invoke"
    assert dialect.stream_operation == "invoke-with-response-stream"


# -------------------------------------------------------------------------------------------------------------- history

OPTIONS = Options()
FORCED = Options(use_converse=False)
CITATION = {"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": "t"}
RANGE = {"start_char_index": 1, "end_char_index": 5}


def claude_response() -> Response:
    return assembled(
        message_start(),
        start(0, "thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="sig"),
        stop(0),
        start(1, "redacted_thinking", data="EmwK"),
        stop(1),
        start(2, "thinking", thinking="", signature=""),
        delta(2, "signature_delta", signature="alone"),
        stop(2),
        start(3, "text", text=""),
        text(3, "Sunny"),
        delta(3, "citations_delta", citation={**CITATION, **RANGE, "file_id": None}),
        stop(3),
        tool_start(4, "c-1"),
        tool(4, '{"a":1}'),
        stop(4),
        message_delta("tool_use"),
        message_stop(),
    )


def converse_response() -> Response:
    assembly = Assembly()
    assembly.extend(
        read_converse(
            converse_delta(0, reasoningContent={"text": "hm"}),
            converse_delta(0, reasoningContent={"signature": "sig"}),
            converse_block_stop(0),
            converse_delta(1, reasoningContent={"redactedContent": "RW13Sw=="}),
            converse_block_stop(1),
            converse_delta(2, reasoningContent={"signature": "alone"}),
            converse_block_stop(2),
            converse_delta(3, text="Sunny"),
            converse_delta(
                3,
                citation={
                    "title": "t",
                    "sourceContent": [{"text": "c"}],
                    "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 5}},
                },
            ),
            converse_block_stop(3),
            converse_tool_start(4, "c-1"),
            converse_delta(4, toolUse={"input": '{"a":1}'}),
            converse_block_stop(4),
            converse_stop("tool_use"),
        )
    )
    return assembly.response()


AS_CLAUDE = [
    {"type": "thinking", "thinking": "hm", "signature": "sig"},
    {"type": "redacted_thinking", "data": "EmwK"},
    {"type": "thinking", "thinking": "", "signature": "alone"},
    {"type": "text", "text": "Sunny", "citations": [{**CITATION, **RANGE}]},
    {"type": "tool_use", "id": "c-1", "name": "f", "input": {"a": 1}},
]
AS_CONVERSE = [
    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
    {"reasoningContent": {"redactedContent": "RW13Sw=="}},
    {"reasoningContent": {"reasoningText": {"text": "", "signature": "alone"}}},
    {
        "citationsContent": {
            "content": [{"text": "Sunny"}],
            "citations": [
                {
                    "title": "t",
                    "sourceContent": [{"text": "c"}],
                    "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 5}},
                }
            ],
        }
    },
    {"toolUse": {"toolUseId": "c-1", "name": "f", "input": {"a": 1}}},
]


@pytest.mark.parametrize("first", [claude_response, converse_response])
def test_a_response_of_either_route_can_be_sent_back_on_either_route(first: Any) -> None:
    history = (Message.user("a"), first().message, Message.user(ToolResult("c-1", "ok")))
    native = choose_route(CLAUDE, history, FORCED)
    assert json.loads(msgspec.json.encode(native.dialect.body(native.messages, FORCED)))["messages"][1:] == [
        {"role": "assistant", "content": AS_CLAUDE},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c-1", "content": [{"type": "text", "text": "ok"}]}],
        },
    ]
    written = Converse().body(history, OPTIONS)
    assert written_by_botocore(written)["messages"][1] == {"role": "assistant", "content": AS_CONVERSE}


def converse_server_result() -> Response:
    assembly = Assembly()
    result = {"toolUseId": "s", "type": "web_search_tool_result"}
    assembly.extend(
        read_converse(
            converse_start(0, toolUse={"toolUseId": "s", "name": "web_search", "type": "server_tool_use"}),
            converse_block_stop(0),
            converse_start(1, toolResult=result),
            converse_delta(1, toolResult=[{"json": [{"url": "u"}]}]),
            converse_block_stop(1),
            converse_stop(),
        )
    )
    return assembly.response()


def claude_server_result() -> Response:
    return assembled(
        start(0, "server_tool_use", id="s", name="web_search", input={}),
        stop(0),
        start(1, "web_search_tool_result", tool_use_id="s", content=[{"url": "u"}]),
        stop(1),
        message_delta(),
        message_stop(),
    )


@pytest.mark.parametrize("first", [claude_server_result, converse_server_result])
def test_the_result_of_a_server_side_tool_is_sent_back_unchanged(first: Any) -> None:
    history = (Message.user("a"), first().message)
    native = choose_route(CLAUDE, history, FORCED)
    assert native.dialect.body(native.messages, FORCED)["messages"][1]["content"] == [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u"}]},
    ]
    assert Converse().body(history, OPTIONS)["messages"][1]["content"] == [
        {"toolUse": {"toolUseId": "s", "name": "web_search", "input": {}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "s", "content": [{"json": [{"url": "u"}]}], "type": "web_search_tool_result"}},
    ]
