"""Complete responses of the Messages API: parsing, and sending each block back unchanged."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import (
    Citation,
    CitedText,
    Json,
    Message,
    Raw,
    Reasoning,
    Response,
    Text,
    ToolCall,
    ToolCallEnd,
    ToolResult,
    Usage,
)
from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.errors import BedrockStreamError, InvalidFrame, ToolInputError
from bedrock_stream.types.options import Options
from tests.support.reading import partial_of

OPTIONS = Options()
TRACE = {"guardrail": {"actionReason": "Guardrail blocked."}}
METRICS = {"inputTokenCount": 12, "outputTokenCount": 30, "invocationLatency": 640}


def answer_body(*content: Any, **members: Any) -> bytes:
    return msgspec.json.encode(
        {
            "id": "msg_bdrk_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-20250514",
            "content": content,
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 4, "output_tokens": 6, "cache_read_input_tokens": 0},
            **members,
        }
    )


def answer(*content: Any, **members: Any) -> Response:
    return Anthropic().answer(answer_body(*content, **members), request_id="r-1", model="m")


def cited(**citation: Any) -> dict[str, Any]:
    return {"type": "text", "text": "a", "citations": [{"cited_text": "c", **citation}]}


BLOCKS: dict[str, tuple[dict[str, Any], Any]] = {
    "text": ({"type": "text", "text": "Hi"}, Text("Hi")),
    "thinking": ({"type": "thinking", "thinking": "hm", "signature": "sig"}, Reasoning("hm", "sig")),
    "signature without thinking": ({"type": "thinking", "thinking": "", "signature": "sig"}, Reasoning("", "sig")),
    "redacted thinking": ({"type": "redacted_thinking", "data": "EmwK"}, Reasoning(redacted=b"EmwK")),
    "tool call": ({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}, ToolCall("t", "f", {"a": 1})),
    "tool call with an unknown member": (
        {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "direct"}},
        ToolCall("t", "f", {}, extra={"caller": {"type": "direct"}}),
    ),
    "server-side tool call": (
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}},
        ToolCall("s", "web_search", {"q": "x"}, server=True),
    ),
    "server-side tool result": (
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u"}, {"url": "v"}]},
        ToolResult("s", (Json([{"url": "u"}, {"url": "v"}]),), kind="web_search_tool_result"),
    ),
    "server-side tool error": (
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "error", "error_code": "e"}},
        ToolResult("s", (Json({"type": "error", "error_code": "e"}),), kind="web_search_tool_result"),
    ),
    "result with an unknown member": (
        {"type": "x_result", "tool_use_id": "s", "content": 1, "caller": {"type": "direct"}},
        Raw({"type": "x_result", "tool_use_id": "s", "content": 1, "caller": {"type": "direct"}}),
    ),
    "thinking with an unknown member": (
        {"type": "thinking", "thinking": "hm", "signature": "sig", "mood": 1},
        Raw({"type": "thinking", "thinking": "hm", "signature": "sig", "mood": 1}),
    ),
    "redacted thinking with an unknown member": (
        {"type": "redacted_thinking", "data": "EmwK", "mood": 1},
        Raw({"type": "redacted_thinking", "data": "EmwK", "mood": 1}),
    ),
    "call of an MCP server": (
        {"type": "mcp_tool_use", "id": "m", "name": "n", "server_name": "s", "input": {"q": 1}},
        Raw({"type": "mcp_tool_use", "id": "m", "name": "n", "server_name": "s", "input": {"q": 1}}),
    ),
    "result of an MCP server": (
        {"type": "mcp_tool_result", "tool_use_id": "m", "content": []},
        Raw({"type": "mcp_tool_result", "tool_use_id": "m", "content": []}),
    ),
    "block with a null member": ({"type": "compaction", "content": None}, Raw({"type": "compaction", "content": None})),
    "unknown block": ({"type": "weather", "mood": 1}, Raw({"type": "weather", "mood": 1})),
    "citation of characters": (
        cited(type="char_location", document_index=0, document_title="t", start_char_index=1, end_char_index=5),
        CitedText(("a",), (Citation("t", None, ("c",), {"documentChar": {"documentIndex": 0, "start": 1, "end": 5}}),)),
    ),
    "citation of a page without a title": (
        cited(type="page_location", document_index=0, document_title=None, start_page_number=1, end_page_number=2),
        CitedText(
            ("a",), (Citation(None, None, ("c",), {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}),)
        ),
    ),
    "citation of a chunk": (
        cited(
            type="content_block_location",
            document_index=1,
            document_title="t",
            start_block_index=0,
            end_block_index=1,
            file_id="f",
        ),
        CitedText(
            ("a",),
            (
                Citation(
                    "t", None, ("c",), {"documentChunk": {"documentIndex": 1, "start": 0, "end": 1}}, {"file_id": "f"}
                ),
            ),
        ),
    ),
    "citation of a search result": (
        cited(
            type="search_result_location",
            search_result_index=2,
            title="t",
            source="s",
            start_block_index=0,
            end_block_index=1,
        ),
        CitedText(
            ("a",),
            (Citation("t", "s", ("c",), {"searchResultLocation": {"searchResultIndex": 2, "start": 0, "end": 1}}),),
        ),
    ),
    "citation of a web page": (
        cited(type="web_search_result_location", url="u", title="t", encrypted_index="e"),
        CitedText(("a",), (Citation("t", None, ("c",), {"web": {"url": "u"}}, {"encrypted_index": "e"}),)),
    ),
    "citation with an unknown location": (
        cited(type="sky_location", title="t", source=["s"], star=1),
        CitedText(
            ("a",),
            (
                Citation(
                    "t",
                    None,
                    ("c",),
                    {"sky_location": {}},
                    {"title": "t", "cited_text": "c", "source": ["s"], "star": 1},
                ),
            ),
        ),
    ),
}


@pytest.mark.parametrize("case", BLOCKS)
def test_each_block_is_parsed_and_sent_back_unchanged(case: str) -> None:
    wire, block = BLOCKS[case]
    message = answer(wire).message
    assert message == Message.assistant(block)
    assert Anthropic().unsupported([message], OPTIONS) is None
    assert Anthropic().body([message], OPTIONS)["messages"] == [{"role": "assistant", "content": [wire]}]


def test_a_response_is_parsed() -> None:
    response = answer(
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "Hel", "citations": None},
        {"type": "text", "text": "lo"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        stop_reason="tool_use",
        container={"id": "c"},
        nothing=None,
        **{"amazon-bedrock-invocationMetrics": METRICS},
    )
    assert response == Response(
        message=Message.assistant(Reasoning("hm", "sig"), "Hel", "lo", ToolCall("t", "f")),
        text="Hello",
        reasoning="hm",
        tool_calls=(ToolCall("t", "f"),),
        stop_reason="tool_use",
        raw_stop_reason="tool_use",
        usage=Usage(12, 30, 42, 0),
        latency_ms=640,
        extra={"container": {"id": "c"}},
        request_id="r-1",
        model="m",
        route="invoke",
    )


def test_absent_counts_are_unknown() -> None:
    assert answer(usage=None).usage is None


def test_the_stop_sequence_is_kept() -> None:
    response = answer(stop_reason="stop_sequence", stop_sequence="END")
    assert response.stop_reason == "stop_sequence"
    assert response.additional_fields == {"stop_sequence": "END"}


def test_a_refusal_becomes_a_converse_stop_reason() -> None:
    response = answer(stop_reason="refusal")
    assert (response.stop_reason, response.raw_stop_reason) == ("content_filtered", "refusal")


def test_a_guardrail_intervention_sets_the_stop_reason_and_the_trace() -> None:
    action = {"amazon-bedrock-guardrailAction": "INTERVENED", "amazon-bedrock-trace": TRACE}
    response = answer(**action)
    assert (response.stop_reason, response.raw_stop_reason) == ("guardrail_intervened", "end_turn")
    assert response.trace == TRACE
    assert response.extra == {}
    assert answer(stop_reason=None, **action).stop_reason == "guardrail_intervened"
    assert answer(**{"amazon-bedrock-guardrailAction": "NONE"}).extra == {}


@pytest.mark.parametrize(("member", "raw"), [({"input": [1]}, "[1]"), ({"input": "x"}, '"x"'), ({}, "null")])
def test_a_call_whose_input_is_not_an_object_is_an_error(member: dict[str, Any], raw: str) -> None:
    with pytest.raises(ToolInputError) as caught:
        answer({"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "f", **member})
    assert caught.value.raw == raw
    assert partial_of(caught.value).text == "a"
    assert partial_of(caught.value).broken_tool_calls == (ToolCallEnd(1, "t", "f", None, raw),)


def test_a_malformed_call_that_the_service_runs_is_not_an_error() -> None:
    response = answer({"type": "server_tool_use", "id": "s", "name": "f", "input": None})
    assert response.broken_tool_calls == (ToolCallEnd(0, "s", "f", None, "null", server=True),)
    assert response.message.content == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"a":' * 100_000,
        answer_body(stop_reason=None),
        answer_body(stop_reason=5),
        answer_body("text"),
        answer_body(5),
        answer_body(content="text"),
        answer_body(content=None),
        answer_body({"type": "text", "text": "a", "citations": ["c"]}),
        answer_body({"type": "text", "text": "a", "citations": [{}]}),
        answer_body(**{"amazon-bedrock-trace": "t"}),
    ],
    ids=lambda body: ascii(body[:30]),
)
def test_malformed_input_is_an_invalid_frame(body: bytes) -> None:
    with pytest.raises(InvalidFrame):
        Anthropic().answer(body, request_id=None, model="m")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(st.sampled_from([wire for wire, _ in BLOCKS.values()]).flatmap(
        lambda wire: st.fixed_dictionaries({key: st.just(value) | JSON for key, value in wire.items()})
    ) | JSON, max_size=3),
    JSON,
    JSON,
)  # fmt: skip
def test_any_input_raises_only_errors_of_the_library(content: list[Any], usage: Any, reason: Any) -> None:
    try:
        response = answer(*content, usage=usage, stop_reason=reason)
    except BedrockStreamError:
        return
    msgspec.json.encode(response)
    if Anthropic().unsupported([response.message], OPTIONS) is None:
        msgspec.json.encode(Anthropic().body([response.message], OPTIONS))
