"""Chat Completions on the emulator: its chunks and documents, its counts, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream.testing import Emulator, citation, metadata, no_done, reasoning, stop, text, tool_call
from tests.support.surface_client import CHAT, GPT, GPT_OSS, ask, blocks, body_for, call, data, document, error

OPENAI_CHAT = "/openai/v1/chat/completions"
RUNTIME_GPT_OSS = "openai.gpt-oss-20b-1:0"
SCRIPT = (reasoning(["Hm", "."]), text(["Hel", "lo"]), tool_call("f", {"a": 1}, fragments=2), tool_call("g"))
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
WITH_USAGE = {"stream_options": {"include_usage": True}}
CALL = {"id": "c0", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def deltas(documents: list[Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in documents if chunk != "[DONE]" and chunk["choices"]]


async def test_a_stream_is_chunks_of_data_alone_and_ends_with_done() -> None:
    response = await ask(CHAT, *SCRIPT)
    assert all(len(lines) == 1 and lines[0].startswith("data: ") for lines in blocks(response))
    *chunks, done = data(response)
    assert done == "[DONE]"
    assert {(chunk["object"], chunk["model"]) for chunk in chunks} == {("chat.completion.chunk", GPT_OSS)}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all("usage" not in chunk for chunk in chunks)
    first, second = (
        found["tool_calls"][0]["id"] for found in deltas(chunks) if found.get("tool_calls", [{}])[0].get("id")
    )
    assert first.startswith("chatcmpl-tool-")
    assert first != second
    assert deltas(chunks) == [
        {"role": "assistant", "content": ""},
        {"reasoning": "Hm"},
        {"reasoning": "."},
        {"content": "Hel"},
        {"content": "lo"},
        {"tool_calls": [{"index": 0, "id": first, "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
        {"tool_calls": [{"index": 1, "id": second, "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {},
    ]  # fmt: skip
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-2:] == [None, "tool_calls"]


async def test_the_counts_have_a_chunk_of_their_own_if_the_request_includes_them() -> None:
    counts = metadata({"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokens": 60, "cacheWriteInputTokens": 40})
    *chunks, usage, done = data(await ask(CHAT, text("a"), counts, **WITH_USAGE))
    assert done == "[DONE]"
    assert {str(chunk["usage"]) for chunk in chunks} == {"None"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"] == {
        "prompt_tokens": 105,  # with what was cached
        "completion_tokens": 7,
        "total_tokens": 112,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 40},
    }


async def test_without_metadata_there_is_no_chunk_of_counts() -> None:
    assert all(chunk == "[DONE]" or chunk["choices"] for chunk in data(await ask(CHAT, metadata(None), **WITH_USAGE)))
    assert document(await ask(CHAT, metadata(None), stream=False))["usage"] is None


async def test_done_can_be_left_out() -> None:
    assert data(await ask(CHAT, text("a"), no_done()))[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_document_has_the_same_message() -> None:
    answer = document(await ask(CHAT, *SCRIPT, stream=False))
    (choice,) = answer["choices"]
    assert (answer["object"], choice["finish_reason"]) == ("chat.completion", "tool_calls")
    message = choice["message"]
    assert (message["content"], message["reasoning"], message["refusal"]) == ("Hello", "Hm.", None)
    assert [call["function"] for call in message["tool_calls"]] == [
        {"name": "f", "arguments": '{"a": 1}'},
        {"name": "g", "arguments": "{}"},
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_gpt_oss_on_runtime_reasons_in_tags(stream: bool) -> None:
    response = await ask(OPENAI_CHAT, reasoning(["Hm."]), text(["Yes"]), model=RUNTIME_GPT_OSS, stream=stream)
    if stream:
        content = "".join(found.get("content", "") for found in deltas(data(response)))
    else:
        content = document(response)["choices"][0]["message"]["content"]
    assert content == "<reasoning>Hm.</reasoning>Yes"


async def test_ids_of_calls_begin_anew_with_gpt() -> None:
    for _ in range(2):
        message = document(await ask(OPENAI_CHAT, *SCRIPT, stream=False))["choices"][0]["message"]
        assert [found["id"] for found in message["tool_calls"]] == ["call_0", "call_1"]
    scripted = await ask(OPENAI_CHAT, tool_call("f", id="mine"), tool_call("g"), stream=False)
    assert [found["id"] for found in document(scripted)["choices"][0]["message"]["tool_calls"]] == ["mine", "call_0"]


async def test_finish_reasons() -> None:
    for reason, finish in {"max_tokens": "length", "content_filtered": "content_filter", "own": "own"}.items():
        assert document(await ask(CHAT, stop(reason), stream=False))["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize("step", [citation(source="s"), reasoning(redacted=b"sealed")])
async def test_steps_that_chunks_cannot_express_are_refused(step: Any) -> None:
    response = await ask(CHAT, step)
    assert error(response)[0] == 501
    assert "which openai.gpt-oss-120b does not support in ChatCompletions" in error(response)[1]["message"]


async def test_an_unscripted_answer_uses_tools_and_their_results() -> None:
    asked = [{"role": "user", "content": "Call f"}]
    message = document(await ask(CHAT, messages=asked, tools=[FUNCTION], stream=False))["choices"][0]["message"]
    (made,) = message["tool_calls"]
    history = [*asked, message, {"role": "tool", "tool_call_id": made["id"], "content": "rain"}]
    answer = document(await ask(CHAT, messages=history, tools=[FUNCTION], stream=False))
    assert answer["choices"][0]["message"]["content"] == "f says: rain."


async def test_media_settings_and_schemas_are_read() -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "See"}, image, file]},
    ]
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    answer = document(
        await ask(OPENAI_CHAT, messages=messages, response_format=form, reasoning_effort="high", stream=False)
    )
    message = answer["choices"][0]["message"]
    assert message["content"] == '{"ok": true}'
    assert message["reasoning"].startswith("The user says")


def tool(identity: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identity, "content": "rain"}


def calls(*made: Any) -> list[Any]:
    return [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": list(made)}]


REFUSED: list[tuple[str, dict[str, Any], str | None, str]] = [
    (OPENAI_CHAT, {"max_tokens": 5}, "max_tokens", "unsupported_parameter"),
    (OPENAI_CHAT, {"max_completion_tokens": 5}, "max_completion_tokens", "integer_below_min_value"),
    (OPENAI_CHAT, {"max_completion_tokens": 10**6}, "max_completion_tokens", "validation_error"),
    (OPENAI_CHAT, {"max_completion_tokens": "5"}, "max_completion_tokens", "invalid_type"),
    (OPENAI_CHAT, {"temperature": 0.2}, "temperature", "unsupported_value"),
    (OPENAI_CHAT, {"logprobs": True}, "logprobs", "unsupported_value"),
    (OPENAI_CHAT, {"reasoning_effort": "minimal"}, "reasoning_effort", "unsupported_value"),
    (OPENAI_CHAT, {"reasoning_effort": 3}, "reasoning_effort", "invalid_type"),
    (CHAT, {"reasoning_effort": "none"}, "reasoning_effort", "unsupported_value"),
    (CHAT, {"logit_bias": {"1": 2}}, "logit_bias", "unsupported_parameter"),
    (CHAT, {"temperature": 3}, "temperature", "validation_error"),
    (CHAT, {"n": 2}, "n", "validation_error"),
    (CHAT, {"messages": None}, "messages", "missing_required_parameter"),
    (CHAT, {"max_output_tokens": 5}, "max_output_tokens", "unknown_parameter"),
    (CHAT, {"stream": "yes"}, "stream", "invalid_type"),
    (CHAT, {"stream": False, **WITH_USAGE}, "stream_options", "validation_error"),
    (CHAT, {"tools": [{"type": "web_search"}]}, "tools[0]", "validation_error"),
    (CHAT, {"tools": [FUNCTION, FUNCTION]}, "tools", "validation_error"),
    (CHAT, {"tool_choice": "required"}, "tool_choice", "validation_error"),
    (CHAT, {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice",
     "validation_error"),
    (CHAT, {"messages": calls(CALL)}, "messages", "invalid_request_error"),
    (CHAT, {"messages": [{"role": "user", "content": "a"}, tool("c0")]}, "messages", "invalid_request_error"),
    (CHAT, {"messages": [*calls(CALL, CALL), tool("c0")]}, "messages", "validation_error"),
    (CHAT, {"messages": [*calls(CALL), tool("c0"), tool("c0")]}, "messages", "validation_error"),
    (CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]}, None,
     "validation_error"),
    (CHAT, {"model": None}, None, "validation_error"),
    (CHAT, {"messages": [1]}, None, "validation_error"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "members", "param", "code"), REFUSED)
async def test_bodies_are_refused_in_openais_form(
    path: str, members: dict[str, Any], param: str | None, code: str
) -> None:
    status, found = error(await ask(path, **members))
    assert (status, found["param"]) == (400, param)
    assert code in (found["code"], found["type"])
    assert set(found) == {"message", "type", "param", "code"}


async def test_gpt_takes_sampling_settings_without_reasoning_and_grok_no_penalties() -> None:
    taken = await ask(OPENAI_CHAT, reasoning_effort="none", temperature=0.2, stream=False)
    assert taken.status == 200
    assert (await ask(OPENAI_CHAT, temperature=1, stream=False)).status == 200
    assert error(await ask(OPENAI_CHAT, model="xai.grok-4.6", presence_penalty=1))[0] == 503


async def test_an_id_may_come_again_in_a_later_turn() -> None:
    history = [*calls(CALL), tool("c0"), {"role": "assistant", "tool_calls": [CALL]}, tool("c0")]
    assert (await ask(CHAT, messages=history, stream=False)).status == 200


async def test_images_on_runtime_are_data_urls_or_in_s3() -> None:
    async with Emulator(endpoint="runtime") as emulator:
        for url, status in {
            "https://a.example/b.png": 400,
            "s3://a/b.png": 200,
            "data:image/png;base64,A": 200,
        }.items():
            content = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": url}}]
            body = body_for(OPENAI_CHAT, model="global." + GPT, messages=[{"role": "user", "content": content}])
            assert (await call(emulator, OPENAI_CHAT, body)).status == status, url


@pytest.mark.parametrize(("project", "status"), [("default", 200), ("arn:aws:bedrock:a:1:project/b", 200), ("p", 400)])
async def test_runtime_has_the_default_project_alone(project: str, status: int) -> None:
    async with Emulator(endpoint="runtime") as emulator:
        answer = await call(emulator, OPENAI_CHAT, headers={"OpenAI-Project": project})
        assert answer.status == status
    async with Emulator(endpoint="mantle") as emulator:
        assert (await call(emulator, OPENAI_CHAT, headers={"OpenAI-Project": project})).status == 200
