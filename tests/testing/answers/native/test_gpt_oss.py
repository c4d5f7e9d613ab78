"""Chat Completions of gpt-oss with InvokeModel and InvokeModelWithResponseStream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bedrock_stream.testing import Step, metadata, reasoning, stop, text, tool_call
from tests.support.emulator_client import GPT_OSS, NATIVE
from tests.support.native_client import COUNTED, FIXED, METRICS, TOOL, document, documents


def deltas(chunks: list[Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks]


async def test_gpt_oss_streams_chat_completion_chunks() -> None:
    chunks = await documents(
        GPT_OSS,
        reasoning(["User", " asks"]),
        text(["Hel", "lo"]),
        tool_call("f", {"a": 1}, id="t1", fragments=2),
        tool_call("g", id="t2"),
        tool_call("h", {"b": 2}, fragments=1),
        FIXED,
    )
    sent = deltas(chunks)
    assert sent[:5] == [
        {"role": "assistant", "content": ""},
        {"content": "<reasoning>User</reasoning>"},
        {"content": "<reasoning> asks</reasoning>"},
        {"content": "Hel"},
        {"content": "lo"},
    ]
    calls = [delta["tool_calls"][0] for delta in sent[5:-1]]
    assert calls[:3] == [
        {"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
        {"index": 1, "id": "t2", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]
    assert (calls[3]["index"], calls[3]["function"]) == (2, {"name": "h", "arguments": '{"b": 2}'})
    assert calls[3]["id"].startswith("chatcmpl-tool-")
    assert sent[-1] == {}
    assert {chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]} == {None}
    last = chunks[-1]
    assert (last["choices"][0]["finish_reason"], last[METRICS]) == ("tool_calls", COUNTED)
    assert [METRICS in chunk for chunk in chunks].count(True) == 1
    assert {(chunk["object"], chunk["model"], chunk["service_tier"]) for chunk in chunks} == {
        ("chat.completion.chunk", GPT_OSS, "auto")
    }
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_gpt_oss_sends_the_usage_in_its_own_chunk_if_requested() -> None:
    body = {**NATIVE[GPT_OSS], "stream_options": {"include_usage": True}}
    *_, finish, last = await documents(GPT_OSS, text("a"), FIXED, body=body)
    assert (finish["choices"][0]["finish_reason"], METRICS in finish) == ("stop", False)
    assert (last["choices"], last[METRICS]) == ([], COUNTED)
    assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    without = await documents(GPT_OSS, text("a"), metadata(None), body=body)
    assert without[-1]["choices"][0]["finish_reason"] == "stop"
    assert METRICS not in (await documents(GPT_OSS, text("a"), metadata(None)))[-1]


async def test_gpt_oss_returns_the_same_message_as_one_document() -> None:
    steps: list[Step] = [
        reasoning("Hm"),
        text("Hello"),
        tool_call("f", {"a": 1}, id="t1"),
        tool_call("g", '{"cut', id="t2"),
    ]
    completion = await document(GPT_OSS, *steps, stop("max_tokens"), FIXED)
    assert completion["object"] == "chat.completion"
    assert completion["usage"] == {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    (choice,) = completion["choices"]
    assert choice == {
        "finish_reason": "length",
        "index": 0,
        "message": {
            "content": "<reasoning>Hm</reasoning>Hello",
            "role": "assistant",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "t2", "type": "function", "function": {"name": "g", "arguments": '{"cut'}},
            ],
        },
    }
    call_only = (await document(GPT_OSS, tool_call("f")))["choices"][0]
    assert (call_only["message"]["content"], call_only["finish_reason"]) == (None, "tool_calls")
    plain = (await document(GPT_OSS, text("a"), stop("content_filtered")))["choices"][0]
    assert ("tool_calls" in plain["message"], plain["finish_reason"]) == (False, "content_filter")


# ----------------------------------------------------------------------------------------------------------- unscripted


async def test_gpt_oss_reasons_calls_tools_and_receives_results() -> None:
    function = {"name": "get_weather", "description": "Weather of a city", "parameters": TOOL}
    body: dict[str, Any] = {
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": [{"type": "text", "text": "Weather in Oslo?"}]},
        ],
        "tools": [{"type": "function", "function": function}, {"type": "function", "function": {"name": "f"}}],
        "reasoning_effort": "low",
        "max_completion_tokens": 200,
    }
    message = (await document(GPT_OSS, body=body))["choices"][0]["message"]
    assert message["content"].startswith("<reasoning>The user says")
    (call,) = message["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    more = [{**call, "id": "t2"}]
    body["messages"] += [
        {**message, "tool_calls": [call, *more]},
        {"role": "tool", "tool_call_id": call["id"], "content": "rain"},
        {"role": "tool", "tool_call_id": "t2", "content": "snow"},
    ]
    content = (await document(GPT_OSS, body=body))["choices"][0]["message"]["content"]
    assert content.endswith("get_weather says: rain. get_weather says: snow.")


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("none", None),
        ("auto", None),
        ("required", "f"),
        ({"type": "function", "function": {"name": "g"}}, "g"),
    ],
)
async def test_gpt_oss_follows_a_tool_choice(choice: Any, name: str | None) -> None:
    offered = [{"type": "function", "function": {"name": function}} for function in ("f", "g")]
    message = (await document(GPT_OSS, body={**NATIVE[GPT_OSS], "tools": offered, "tool_choice": choice}))["choices"][
        0
    ]["message"]
    assert [call["function"]["name"] for call in message.get("tool_calls", ())] == ([name] if name else [])


async def test_gpt_oss_stops_and_answers_in_json() -> None:
    for stops in ("emulator", ["emulator"]):
        (choice,) = (await document(GPT_OSS, body={**NATIVE[GPT_OSS], "stop": stops}))["choices"]
        assert choice["finish_reason"] == "stop"
        assert choice["message"]["content"].endswith("This is the ")
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": TOOL}}
    completion = await document(GPT_OSS, body={**NATIVE[GPT_OSS], "response_format": form, "max_tokens": 50})
    assert json.loads(completion["choices"][0]["message"]["content"]) == {"city": "city"}
