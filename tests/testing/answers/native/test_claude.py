"""Claude's Messages API with InvokeModel and InvokeModelWithResponseStream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bedrock_stream.testing import (
    SIGNATURE,
    Step,
    citation,
    end_block,
    event,
    metadata,
    reasoning,
    start,
    stop,
    text,
    tool_call,
)
from tests.support.emulator_client import CLAUDE, NATIVE
from tests.support.native_client import COUNTED, FIXED, METRICS, TOOL, USAGE, document, documents

SONNET_4 = "anthropic.claude-sonnet-4-20250514-v1:0"
SONNET_46 = "anthropic.claude-sonnet-4-6"


def block_start(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def claude_delta(index: int, kind: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", **members}}


def block_stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def claude_end(reason: str = "end_turn", sequence: str | None = None) -> list[dict[str, Any]]:
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": {"output_tokens": 7},
        },
        {"type": "message_stop", METRICS: COUNTED},
    ]


PING = {"type": "ping"}
WRITTEN = [{"ttl": "1h", "inputTokens": 4}]
CHAR = {"documentChar": {"documentIndex": 1, "start": 2, "end": 4}}
CITED = {
    "type": "char_location",
    "cited_text": "ab",
    "document_index": 1,
    "document_title": "T",
    "start_char_index": 2,
    "end_char_index": 4,
}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            [text(["Hel", "lo"])],
            [
                block_start(0, type="text", text=""),
                PING,
                claude_delta(0, "text", text="Hel"),
                claude_delta(0, "text", text="lo"),
                block_stop(0),
                *claude_end(),
            ],
        ),
        (
            [reasoning(["Hm"], signature="c2ln"), text("a"), end_block(), text("b")],
            [
                block_start(0, type="thinking", thinking="", signature=""),
                PING,
                claude_delta(0, "thinking", thinking="Hm"),
                claude_delta(0, "signature", signature="c2ln"),
                block_stop(0),
                block_start(1, type="text", text=""),
                claude_delta(1, "text", text="a"),
                block_stop(1),
                block_start(2, type="text", text=""),
                claude_delta(2, "text", text="b"),
                block_stop(2),
                *claude_end(),
            ],
        ),
        (
            [reasoning(redacted=b"sealed")],
            [block_start(0, type="redacted_thinking", data="sealed"), PING, block_stop(0), *claude_end()],
        ),
        (
            [reasoning(redacted=b"\xff")],
            [block_start(0, type="redacted_thinking", data="/w=="), PING, block_stop(0), *claude_end()],
        ),
        (
            [tool_call("f", {"a": 1}, id="t1", fragments=2), tool_call("g", id="t2")],
            [
                block_start(0, type="tool_use", id="t1", name="f", input={}),
                PING,
                claude_delta(0, "input_json", partial_json='{"a"'),
                claude_delta(0, "input_json", partial_json=": 1}"),
                block_stop(0),
                block_start(1, type="tool_use", id="t2", name="g", input={}),
                block_stop(1),
                *claude_end("tool_use"),
            ],
        ),
        (
            [text("a"), citation(title="T", sourceContent=[{"text": "ab"}], location=CHAR)],
            [
                block_start(0, type="text", text=""),
                PING,
                claude_delta(0, "text", text="a"),
                claude_delta(0, "citations", citation=CITED),
                block_stop(0),
                *claude_end(),
            ],
        ),
        ([text([])], claude_end()),
        ([stop("stop_sequence", fields={"stop_sequence": "END"})], claude_end("stop_sequence", "END")),
        ([stop("refusal", fields=3)], claude_end("refusal")),
        ([start(), event("anything", {"type": "ping", "x": 1})], [{"type": "ping", "x": 1}, *claude_end()]),
        ([event("message_stop", {"type": "message_stop"})], [{"type": "message_stop"}, claude_end()[0]]),
    ],
)
async def test_claude_streams_its_own_events(steps: list[Step], expected: list[Any]) -> None:
    first, *rest = await documents(CLAUDE, FIXED, start(), *steps)
    assert first["type"] == "message_start"
    message = first["message"]
    assert message.pop("id").startswith("msg_bdrk_")
    assert message == {
        "type": "message",
        "role": "assistant",
        "model": "claude-3-sonnet-20240229",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 1,
        },
    }
    assert rest == expected


async def test_a_script_can_replace_claudes_message_start() -> None:
    message_start = {"type": "message_start", "message": {"id": "mine"}}
    assert (await documents(CLAUDE, event("message_start", message_start), text("a")))[0] == message_start
    assert [chunk["type"] for chunk in await documents(CLAUDE, metadata(None), stop())] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    assert METRICS not in (await documents(CLAUDE, metadata(None), text("a")))[-1]
    guardrail: dict[str, Any] = {"amazon-bedrock-guardrailAction": "INTERVENED"}
    last = (await documents(CLAUDE, metadata(USAGE, **guardrail)))[-1]
    assert last["amazon-bedrock-guardrailAction"] == "INTERVENED"


async def test_claude_returns_the_same_message_as_one_document() -> None:
    message = await document(
        CLAUDE,
        reasoning("Hm", signature="c2ln"),
        reasoning("Hm", signature=None),
        reasoning(redacted=b"sealed"),
        text("Hello, "),
        text("you", joined=True),
        text("cited"),
        citation(title="T", sourceContent=[{"text": "ab"}], location=CHAR),
        tool_call("f", {"a": 1}, id="t1"),
        tool_call("g", '{"cut', id="t2"),
        stop("max_tokens"),
        metadata({**USAGE, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 4, "cacheDetails": WRITTEN}),
    )
    assert message["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "thinking", "thinking": "Hm", "signature": ""},
        {"type": "redacted_thinking", "data": "sealed"},
        {"type": "text", "text": "Hello, you"},
        {"type": "text", "text": "cited", "citations": [CITED]},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": '{"cut'},
    ]
    assert (message["type"], message["stop_reason"], message["stop_sequence"]) == ("message", "max_tokens", None)
    assert message["usage"] == {
        "input_tokens": 5,
        "output_tokens": 7,
        "cache_creation_input_tokens": 4,
        "cache_read_input_tokens": 3,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 4},
    }


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ({}, {"type": "search_result_location", "search_result_index": 0, "title": "T", "source": "S"}),
        (
            {"documentChar": {}},
            {"type": "char_location", "document_index": 0, "start_char_index": 0, "end_char_index": 2},
        ),
        (
            {"documentPage": {"documentIndex": 1, "start": 1, "end": 2}},
            {"type": "page_location", "document_index": 1, "start_page_number": 1, "end_page_number": 2},
        ),
        (
            {"documentChunk": {"documentIndex": 1, "start": 1, "end": 2}},
            {"type": "content_block_location", "document_index": 1, "start_block_index": 1, "end_block_index": 2},
        ),
        (
            {"searchResultLocation": {"searchResultIndex": 3, "start": 1, "end": 2}},
            {
                "type": "search_result_location",
                "search_result_index": 3,
                "start_block_index": 1,
                "end_block_index": 2,
                "title": "T",
                "source": "S",
            },
        ),
        (
            {"web": {"url": "https://x.example"}},
            {"type": "web_search_result_location", "url": "https://x.example", "title": "T"},
        ),
    ],
)
async def test_claude_citations_have_the_native_format(location: dict[str, Any], expected: dict[str, Any]) -> None:
    step = citation(title="T", source="S", sourceContent=[{"text": "ab"}], **location)
    (block,) = (await document(CLAUDE, step))["content"]
    assert block["text"] == ""
    (cited,) = block["citations"]
    assert cited["cited_text"] == "ab"
    assert expected.items() <= cited.items()


async def test_a_claude_citation_without_location_and_source_is_of_a_document() -> None:
    (block,) = (await document(CLAUDE, citation(title="T")))["content"]
    assert (block["citations"][0]["type"], block["citations"][0]["document_title"]) == ("char_location", "T")


# ----------------------------------------------------------------------------------------------------------- unscripted


def claude_body(*messages: Any, **more: Any) -> dict[str, Any]:
    return {**NATIVE[CLAUDE], "messages": list(messages), **more}


async def test_claude_answers_from_blocks() -> None:
    document_ = {"type": "document", "title": "A", "citations": {"enabled": True}}
    turn = {
        "role": "user",
        "content": [
            {"type": "text", "text": "Sum up"},
            {**document_, "source": {"type": "text", "media_type": "text/plain", "data": "First.\nSecond"}},
            {**document_, "source": {"type": "content", "content": [{"type": "text", "text": "Part"}]}},
            {**document_, "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]},
        ],
    }
    content = (await document(CLAUDE, body=claude_body(turn)))["content"]
    assert [block["citations"][0]["type"] for block in content] == ["char_location", "char_location", "page_location"]
    assert content[0]["text"] == "According to A: First."


async def test_claude_thinks_calls_tools_and_receives_results() -> None:
    tools = [
        {"name": "get_weather", "description": "Weather of a city", "input_schema": TOOL},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "custom", "name": "other", "input_schema": {"type": "object"}},
    ]
    ask_weather = {"role": "user", "content": "Weather in Oslo?"}
    more: dict[str, Any] = {
        "tools": tools,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "max_tokens": 2000,
        "system": [{"type": "text", "text": "Be brief"}],
    }
    first = await document(SONNET_4, body=claude_body(ask_weather, **more))
    assert [block["type"] for block in first["content"]] == ["thinking", "text", "tool_use"]
    assert first["content"][0]["signature"] == SIGNATURE
    call = first["content"][-1]
    assert (call["input"], first["stop_reason"]) == ({"city": "Oslo"}, "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "no such city", "is_error": True}
    turns = [ask_weather, {"role": "assistant", "content": first["content"]}, {"role": "user", "content": [result]}]
    second = await document(SONNET_4, body=claude_body(*turns, **more))
    assert second["content"][-1]["text"] == "get_weather failed: no such city."
    result["content"] = [{"type": "text", "text": "rain"}]
    del result["is_error"]
    turns[1]["content"] = [{"type": "redacted_thinking", "data": "x"}, call]
    second = await document(SONNET_4, body=claude_body(*turns, **{**more, "system": "Be brief"}))
    assert second["content"][-1]["text"] == "get_weather says: rain."
    forced = {"tools": tools[:1], "tool_choice": {"type": "tool", "name": "get_weather"}}
    assert (await document(SONNET_4, body=claude_body(NATIVE[CLAUDE]["messages"][0], **forced)))[
        "stop_reason"
    ] == "tool_use"
    no_tools = {"tools": tools, "tool_choice": {"type": "none"}}
    assert (await document(SONNET_4, body=claude_body(ask_weather, **no_tools)))["stop_reason"] == "end_turn"


async def test_claude_can_omit_thinking_text_stop_and_answer_in_json() -> None:
    omitted = {"thinking": {"type": "adaptive", "display": "omitted"}}
    thought = (await document(SONNET_46, body=claude_body(*NATIVE[CLAUDE]["messages"], **omitted)))["content"][0]
    assert thought == {"type": "thinking", "thinking": "", "signature": SIGNATURE}
    stopped = await document(CLAUDE, body={**NATIVE[CLAUDE], "stop_sequences": ["emulator"]})
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", "emulator")
    closed = {**TOOL, "additionalProperties": False}
    config = {"output_config": {"format": {"type": "json_schema", "schema": closed}, "effort": "low"}}
    structured = await document(SONNET_46, body={**NATIVE[CLAUDE], **config})
    assert json.loads(structured["content"][0]["text"]) == {"city": "city"}
