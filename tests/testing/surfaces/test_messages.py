"""Messages on the emulator: its events and documents, its counts, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bedrock_stream.testing import Emulator, citation, event, metadata, reasoning, stop, text, tool_call
from tests.support.surface_client import CLAUDE, MESSAGES, ask, blocks, body_for, call, data, document, error

COUNT = MESSAGES + "/count_tokens"
USAGE = {
    "inputTokens": 5, "outputTokens": 7, "totalTokens": 112, "cacheReadInputTokens": 60, "cacheWriteInputTokens": 40,
}  # fmt: skip
SCRIPT = (
    reasoning(["Hm", "."], signature="c2ln"),
    text(["Hel", "lo"]),
    tool_call("f", {"a": 1}, id="t1", fragments=2),
    metadata(USAGE),
)


async def test_a_stream_has_anthropics_events_with_their_names_in_front() -> None:
    response = await ask(MESSAGES, *SCRIPT)
    assert [lines[0] for lines in blocks(response)] == [f"event: {document['type']}" for document in data(response)]
    start, *middle, delta, end = data(response)
    message = start["message"]
    assert (message["model"], message["role"], message["stop_reason"]) == ("claude-opus-5-5", "assistant", None)
    assert message["id"].startswith("msg_bdrk_")
    assert message["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 40,
        "cache_read_input_tokens": 60,
        "cache_creation": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1,
        "service_tier": "standard",
    }
    assert middle == [
        {"type": "content_block_start", "index": 0,
         "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2,
         "content_block": {"type": "tool_use", "id": "t1", "name": "f", "input": {}}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a"'}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ": 1}"}},
        {"type": "content_block_stop", "index": 2},
    ]  # fmt: skip
    assert delta == {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 2}},
    }
    assert end == {"type": "message_stop"}  # no metrics of Bedrock


async def test_a_document_has_the_same_message() -> None:
    message = document(await ask(MESSAGES, *SCRIPT, stream=False))
    assert message["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
    ]
    assert (message["stop_reason"], message["stop_details"]) == ("tool_use", None)
    assert message["usage"]["output_tokens_details"] == {"thinking_tokens": 2}
    assert (message["usage"]["input_tokens"], message["usage"]["cache_read_input_tokens"]) == (5, 60)


async def test_without_metadata_the_message_still_ends() -> None:
    assert data(await ask(MESSAGES, text("a"), metadata(None)))[-1] == {"type": "message_stop"}


async def test_an_event_of_a_script_is_sent_with_its_name() -> None:
    response = await ask(MESSAGES, text("a"), event("weather", {"sky": "blue"}), event("raw", b"1\n2"))
    events = blocks(response)
    assert ["event: weather", 'data: {"sky":"blue"}'] in events
    assert ["event: raw", "data: 1", "data: 2"] in events


async def test_redacted_thinking_and_citations() -> None:
    cited = citation(title="T", sourceContent=[{"text": "it"}], documentChar={"documentIndex": 0, "start": 0, "end": 2})
    message = document(await ask(MESSAGES, reasoning(redacted=b"sealed"), text("it"), cited, stream=False))
    assert message["content"][0] == {"type": "redacted_thinking", "data": "sealed"}
    assert message["content"][1]["citations"][0]["cited_text"] == "it"


async def test_a_count_equals_the_input_tokens_of_the_answer() -> None:
    async with Emulator() as emulator:
        tools = [{"name": "f", "input_schema": {"type": "object"}}]
        asked = body_for(MESSAGES, stream=False, system="Be brief.", tools=tools)
        answer = document(await call(emulator, MESSAGES, asked))
        del asked["max_tokens"]
        counted = document(await call(emulator, COUNT, asked))
    assert counted == {"input_tokens": answer["usage"]["input_tokens"]}
    assert [request.operation for request in emulator.requests] == ["Messages", "CountMessageTokens"]
    assert emulator.quota.asked == 1  # no model reads a prompt that is only counted


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"messages": None}, "messages: Field required"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"stream": "yes"}, "stream: Input should be a valid boolean"),
    ({"inference_geo": "us"}, "inference_geo: Extra inputs are not permitted"),
    ({"mcp_servers": []}, "mcp_servers: Extra inputs are not permitted"),
    ({"anthropic_beta": ["a"]}, "anthropic_beta: Extra inputs are not permitted"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "web_search_20250305"),
    ({"tools": [{"name": "f", "input_schema": {"type": "object"}}] * 2}, "Tool names must be unique"),
    (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [
            {"type": "tool_use", "id": "t", "name": "f", "input": {}}]}, {"role": "user", "content": "b"}]},
        "`tool_use` ids were found without `tool_result` blocks",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "b"}]}]},
        "unexpected `tool_use_id` found",
    ),
    (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [
            {"type": "tool_use", "id": "t", "name": "f", "input": {}}] * 2},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "b"}] * 2}],
         "tools": [{"name": "f", "input_schema": {"type": "object"}}]},
        "messages.1.content.1: `tool_use` ids must be unique",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("members", "words"), REFUSED, ids=[words for _, words in REFUSED])
async def test_bodies_are_refused_in_anthropics_form(members: dict[str, Any], words: str) -> None:
    response = await ask(MESSAGES, **members)
    assert error(response) == (400, {"type": "invalid_request_error", "message": error(response)[1]["message"]})
    assert words in error(response)[1]["message"]
    whole = json.loads(response.body)
    assert whole["type"] == "error"
    assert whole["request_id"] == response.headers["x-request-id"] == response.headers["x-amzn-requestid"]
    assert "x-amzn-errortype" not in response.headers


@pytest.mark.parametrize("member", ["max_tokens", "stream", "temperature"])
async def test_a_count_takes_no_settings(member: str) -> None:
    async with Emulator() as emulator:
        response = await call(emulator, COUNT, {"model": CLAUDE, "messages": [], member: 1})
    assert error(response)[1]["message"] == f"{member}: Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("version", "model", "members", "words"),
    [
        ("", CLAUDE, {}, "anthropic-version: header is required"),
        ("latest", CLAUDE, {}, "'latest' is not a valid version"),
        ("2026-10-21", CLAUDE, {"temperature": 1}, "temperature: Extra inputs are not permitted"),
        ("2026-10-21", "anthropic.claude-haiku-4-5", {}, "'2026-10-21' is not supported for this model"),
    ],
)
async def test_the_version_is_a_header(version: str, model: str, members: dict[str, Any], words: str) -> None:
    async with Emulator() as emulator:
        body = body_for(MESSAGES, model=model, **members)
        response = await call(emulator, MESSAGES, body, headers={"anthropic-version": version})
    assert response.status == 400
    assert words in error(response)[1]["message"]


async def test_the_version_of_invoke_model_is_taken_too_and_a_query_is_ignored() -> None:
    async with Emulator() as emulator:
        body = body_for(MESSAGES, stream=False, anthropic_version="bedrock-2023-05-31")
        response = await call(emulator, MESSAGES + "?beta=true", body, headers={"anthropic-version": ""})
    assert document(response)["type"] == "message"


async def test_runtime_makes_the_users_id_request_metadata() -> None:
    metadata = {"user_id": '{"a":1}'}
    async with Emulator(endpoint="runtime") as runtime, Emulator(endpoint="mantle") as mantle:
        refused = await call(runtime, MESSAGES, body_for(MESSAGES, metadata=metadata))
        taken = await call(mantle, MESSAGES, body_for(MESSAGES, metadata=metadata))
    assert "violates the regular expression" in error(refused)[1]["message"]
    assert taken.status == 200


@pytest.mark.parametrize(("workspace", "status"), [("default", 200), ("proj_a1", 200), ("mine", 400)])
async def test_a_workspace_is_checked(workspace: str, status: int) -> None:
    async with Emulator() as emulator:
        assert (await call(emulator, MESSAGES, headers={"anthropic-workspace": workspace})).status == status


async def test_a_stop_reason_and_the_limit_of_tokens() -> None:
    assert document(await ask(MESSAGES, text("a"), stop("refusal"), stream=False))["stop_reason"] == "refusal"
    cut_off = document(await ask(MESSAGES, stream=False, max_tokens=3))
    assert (cut_off["stop_reason"], cut_off["usage"]["output_tokens"]) == ("max_tokens", 3)
