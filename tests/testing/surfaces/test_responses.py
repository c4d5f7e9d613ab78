"""Responses on the emulator: its events and documents, stored conversations, its counts, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bedrock_stream.testing import (
    Emulator,
    citation,
    end_block,
    event,
    metadata,
    reasoning,
    response_failed,
    stop,
    text,
    tool_call,
)
from bedrock_stream.testing.service.stored import StoredResponses
from tests.support.surface_client import GPT, GPT_OSS, RESPONSES, ask, blocks, body_for, call, data, document, error

OPENAI_RESPONSES = "/openai/v1/responses"
INCLUDED = {"include": ["reasoning.encrypted_content"]}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def kinds(documents: list[Any]) -> list[str]:
    return [str(found["type"]).removeprefix("response.") for found in documents]


def is_sorted(value: Any) -> bool:
    if isinstance(value, dict):
        return list(value) == sorted(value) and all(map(is_sorted, value.values()))
    return not isinstance(value, list) or all(map(is_sorted, value))


async def test_data_comes_before_the_name_with_sorted_keys_and_numbers() -> None:
    response = await ask(OPENAI_RESPONSES, text(["Hel", "lo"]))
    documents = data(response)
    assert [lines[1] for lines in blocks(response)] == [f"event: {found['type']}" for found in documents]
    assert [found["sequence_number"] for found in documents] == list(range(len(documents)))
    assert all(map(is_sorted, documents))


async def test_a_text_is_a_message_that_the_events_build_up() -> None:
    documents = data(await ask(OPENAI_RESPONSES, text(["Hel", "lo"]), stream_options={"include_obfuscation": False}))
    assert kinds(documents) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    created, progress, added, *_, done, completed = documents
    assert created["response"] == progress["response"]
    assert (created["response"]["status"], created["response"]["service_tier"]) == ("in_progress", "auto")
    identity = added["item"]["id"]
    assert identity.startswith("msg_")
    assert documents[4] == {
        "content_index": 0, "delta": "Hel", "item_id": identity, "logprobs": [], "output_index": 0,
        "sequence_number": 4, "type": "response.output_text.delta",
    }  # fmt: skip
    assert done["item"] == {
        "content": [{"annotations": [], "logprobs": [], "text": "Hello", "type": "output_text"}],
        "id": identity, "phase": "final_answer", "role": "assistant", "status": "completed", "type": "message",
    }  # fmt: skip
    answer = completed["response"]
    assert (answer["status"], answer["service_tier"], answer["output"]) == ("completed", "default", [done["item"]])
    assert len(answer["id"]) == len("resp_") + 52


async def test_deltas_are_padded() -> None:
    documents = data(await ask(OPENAI_RESPONSES, text(["a", "b", "c"])))
    padding = [found["obfuscation"] for found in documents if found["type"].endswith("delta")]
    assert len(set(padding)) == 3


async def test_ids_of_calls_begin_anew_in_each_answer() -> None:
    for _ in range(2):
        documents = data(await ask(OPENAI_RESPONSES, text("Look."), tool_call("f", {"a": 1}), tool_call("g", "{}")))
        done = [found["item"] for found in documents if found["type"] == "response.output_item.done"]
        assert [item.get("call_id") for item in done] == [None, "call_0", "call_1"]
        assert [item.get("arguments") for item in done] == [None, '{"a": 1}', "{}"]
        assert done[0]["phase"] == "commentary"
        assert [item["output_index"] for item in documents if "item" in item] == [0, 0, 1, 1, 2, 2]


async def test_reasoning_of_gpt_oss_is_text() -> None:
    documents = data(await ask(RESPONSES, reasoning(["Hm", "."]), text("Yes")))
    assert kinds(documents)[2:7] == [
        "output_item.added", "reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done", "output_item.done",
    ]  # fmt: skip
    thought = documents[6]["item"]
    assert (thought["type"], thought["summary"]) == ("reasoning", [])
    assert thought["content"] == [{"text": "Hm.", "type": "reasoning_text"}]
    assert "encrypted_content" not in thought
    usage = documents[-1]["response"]["usage"]
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


async def test_reasoning_of_gpt_is_a_summary_and_encrypted_if_the_request_includes_it() -> None:
    documents = data(await ask(OPENAI_RESPONSES, reasoning(["Hm."], signature="c2ln"), text("Yes"), **INCLUDED))
    assert kinds(documents)[2:8] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
    ]  # fmt: skip
    thought = documents[7]["item"]
    assert thought["summary"] == [{"text": "Hm.", "type": "summary_text"}]
    assert thought["encrypted_content"] == "c2ln"
    assert documents[-1]["response"]["usage"]["output_tokens_details"] == {"reasoning_tokens": 1}
    plain = document(await ask(OPENAI_RESPONSES, reasoning(["Hm."]), stream=False))
    assert "encrypted_content" not in plain["output"][0]


@pytest.mark.parametrize(("data_", "sealed"), [(b"rsn_1", "rsn_1"), (b"\xff\xfe", "//4=")])
async def test_encrypted_reasoning_without_a_summary_comes_whole(data_: bytes, sealed: str) -> None:
    documents = data(await ask(OPENAI_RESPONSES, reasoning(redacted=data_), text("Yes"), **INCLUDED))
    assert kinds(documents)[2:4] == ["output_item.added", "output_item.done"]
    assert documents[2]["item"] == documents[3]["item"]
    assert documents[2]["item"]["encrypted_content"] == sealed


async def test_a_document_is_the_response_of_the_last_event() -> None:
    script = reasoning("Hm."), text("Look."), tool_call("f", {"a": 1}), metadata({"inputTokens": 1, "outputTokens": 2})
    streamed = data(await ask(OPENAI_RESPONSES, *script))[-1]["response"]
    assert document(await ask(OPENAI_RESPONSES, *script, stream=False)) == streamed


async def test_citations_are_annotations() -> None:
    page = citation(title="T", documentPage={"documentIndex": 0, "start": 1, "end": 2})
    link = citation(title="W", web={"url": "https://a.example/"})
    answer = document(await ask(OPENAI_RESPONSES, text(["Yes"]), page, link, stream=False))
    assert answer["output"][0]["content"][0]["annotations"] == [
        {"type": "file_citation", "file_id": "file_0", "filename": "T", "index": 3},
        {"type": "url_citation", "url": "https://a.example/", "title": "W", "start_index": 0, "end_index": 3},
    ]


async def test_counts_include_what_was_cached() -> None:
    counts = metadata({"inputTokens": 5, "outputTokens": 7, "cacheReadInputTokens": 60, "cacheWriteInputTokens": 40})
    assert document(await ask(OPENAI_RESPONSES, text("a"), counts, stream=False))["usage"] == {
        "input_tokens": 105,
        "input_tokens_details": {"cache_write_tokens": 40, "cached_tokens": 60},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 112,
    }
    assert document(await ask(OPENAI_RESPONSES, metadata(None), stream=False))["usage"] is None


@pytest.mark.parametrize(
    ("reason", "details"), [("max_tokens", "max_output_tokens"), ("content_filtered", "content_filter")]
)
async def test_an_answer_that_is_cut_off_is_incomplete(reason: str, details: str) -> None:
    last = data(await ask(OPENAI_RESPONSES, text("a"), stop(reason)))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": details}


async def test_the_limit_of_tokens_cuts_an_answer_off() -> None:
    answer = document(await ask(OPENAI_RESPONSES, max_output_tokens=16, stream=False))
    assert (answer["status"], answer["usage"]["output_tokens"]) == ("incomplete", 16)


def test_the_oldest_conversation_is_forgotten_first() -> None:
    stored = StoredResponses()
    for number in range(1001):
        stored.keep(str(number), [])
    assert (stored.find("0"), stored.find("1"), stored.find("1000")) == (None, [], [])


async def test_a_failure_is_the_last_event_or_http_200_with_the_status_failed() -> None:
    failure = response_failed("boom", "server_error")
    documents = data(await ask(OPENAI_RESPONSES, text("Hello"), end_block(), failure))
    assert kinds(documents)[-2:] == ["output_item.done", "failed"]
    failed = documents[-1]["response"]
    assert (failed["status"], failed["error"]) == ("failed", {"code": "server_error", "message": "boom"})
    assert len(failed["output"]) == 1
    assert kinds(data(await ask(OPENAI_RESPONSES, failure))) == ["created", "in_progress", "failed"]
    whole = document(await ask(OPENAI_RESPONSES, text("Hello"), failure, stream=False))
    assert (whole["status"], whole["output"], whole["usage"]) == ("failed", [], None)


async def test_events_of_a_script_replace_those_of_the_emulator() -> None:
    own = {"type": "response.completed", "response": {"id": "mine"}, "sequence_number": 99}
    documents = data(await ask(OPENAI_RESPONSES, text("a"), event("response.completed", own)))
    assert documents[-1] == own
    assert kinds(documents).count("completed") == 1
    assert (
        kinds(data(await ask(OPENAI_RESPONSES, event("response.queued", {"type": "response.queued"}))))[0] == "queued"
    )


async def test_previous_response_id_continues_a_stored_conversation() -> None:
    async with Emulator() as emulator:
        asked = body_for(OPENAI_RESPONSES, input="Call f", tools=[FUNCTION], stream=False)
        first = document(await call(emulator, OPENAI_RESPONSES, asked))
        assert [item["type"] for item in first["output"]] == ["message", "function_call"]
        made = first["output"][-1]
        result = {"type": "function_call_output", "call_id": made["call_id"], "output": "rain"}
        more = {**asked, "input": [result], "previous_response_id": first["id"]}
        for stream in (True, False):
            response = await call(emulator, OPENAI_RESPONSES, {**more, "stream": stream})
            answer = data(response)[-1]["response"] if stream else document(response)
            assert answer["output"][0]["content"][0]["text"] == "f says: rain."
            assert answer["previous_response_id"] == first["id"]
        third = {**asked, "input": "Thanks", "previous_response_id": answer["id"]}
        assert document(await call(emulator, OPENAI_RESPONSES, third))["usage"]["input_tokens"] > 10


async def test_what_is_not_stored_or_was_cut_off_cannot_be_continued() -> None:
    async with Emulator() as emulator:
        unstored = document(await call(emulator, RESPONSES, body_for(RESPONSES, stream=False, store=False)))
        assert unstored["store"] is False
        for identity in (unstored["id"], "resp_unknown"):
            response = await call(emulator, RESPONSES, body_for(RESPONSES, previous_response_id=identity))
            assert error(response)[0] == 404
            assert error(response)[1]["code"] == "previous_response_not_found"


async def test_a_history_is_read_item_by_item() -> None:
    history = [
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": "data:image/png;base64,AA"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,AA"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "rsn_1"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]},
        {"type": "function_call", "call_id": "call_0", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_0", "output": [{"type": "input_text", "text": "rain"}]},
        {"type": "function_call", "call_id": "call_0", "name": "f", "arguments": ""},
        {"type": "function_call_output", "call_id": "call_0", "output": "sun"},
    ]  # fmt: skip
    settings = {"instructions": "Be brief.", "reasoning": {"effort": "high"}, "tools": [FUNCTION]}
    answer = document(await ask(OPENAI_RESPONSES, input=history, stream=False, **settings))
    thought, said = answer["output"]
    assert thought["type"] == "reasoning"
    assert said["content"][0]["text"] == "f says: sun."
    assert answer["reasoning"] == {"effort": "high", "summary": None}


async def test_a_schema_and_a_forced_function_are_obeyed() -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    form = {"format": {"type": "json_schema", "name": "n", "schema": schema}}
    answer = document(await ask(OPENAI_RESPONSES, text=form, stream=False))
    assert json.loads(answer["output"][0]["content"][0]["text"]) == {"ok": True}
    for choice in ("required", {"type": "function", "name": "f"}):
        forced = document(await ask(OPENAI_RESPONSES, tools=[FUNCTION], tool_choice=choice, stream=False))
        assert [item["type"] for item in forced["output"]] == ["function_call"]


CALL = {"type": "function_call", "call_id": "call_0", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_0", "output": "rain"}
REFUSED: list[tuple[str, dict[str, Any], str | None, str]] = [
    (OPENAI_RESPONSES, {"input": None}, "input", "missing_required_parameter"),
    (OPENAI_RESPONSES, {"messages": []}, "messages", "unknown_parameter"),
    (OPENAI_RESPONSES, {"stream": "yes"}, "stream", "invalid_type"),
    (OPENAI_RESPONSES, {"background": True}, "background", "unsupported_parameter"),
    (OPENAI_RESPONSES, {"max_output_tokens": 5}, "max_output_tokens", "integer_below_min_value"),
    (OPENAI_RESPONSES, {"temperature": 0.2}, "temperature", "unsupported_value"),
    (OPENAI_RESPONSES, {"reasoning": {"effort": "minimal"}}, "reasoning.effort", "unsupported_value"),
    (OPENAI_RESPONSES, {"service_tier": "flex"}, "service_tier", "unsupported_value"),
    (OPENAI_RESPONSES, {"tools": [{"type": "image_generation"}]}, "tools[0].type", "validation_error"),
    (OPENAI_RESPONSES, {"tools": [FUNCTION, FUNCTION]}, "tools", "validation_error"),
    (OPENAI_RESPONSES, {"tool_choice": {"type": "function", "name": "g"}}, "tool_choice", "validation_error"),
    (RESPONSES, {"tools": [FUNCTION], "tool_choice": "required"}, "tool_choice", "unsupported_value"),
    (OPENAI_RESPONSES, {"input": [{"role": "user", "content": "a"}, CALL]}, "input", "invalid_request_error"),
    (OPENAI_RESPONSES, {"input": [{"role": "user", "content": "a"}, OUTPUT]}, "input", "invalid_request_error"),
    (OPENAI_RESPONSES, {"input": [CALL, CALL, OUTPUT, OUTPUT]}, "input[1]", "validation_error"),
    (OPENAI_RESPONSES, {"input": [CALL, OUTPUT, OUTPUT]}, "input", "invalid_request_error"),
    (OPENAI_RESPONSES, {"input": [{"role": "user", "content": ""}]}, "input[0].content", "validation_error"),
    (OPENAI_RESPONSES, {"input": [{"type": "reasoning", "id": "rs"}]}, "input[0]", "validation_error"),
    (OPENAI_RESPONSES, {"input": [{"type": "computer_call"}]}, "input[0]", "validation_error"),
    (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]",
     "validation_error"),
    (OPENAI_RESPONSES, {"input": [1]}, None, "validation_error"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "members", "param", "code"), REFUSED)
async def test_bodies_are_refused_in_openais_form(
    path: str, members: dict[str, Any], param: str | None, code: str
) -> None:
    status, found = error(await ask(path, **members))
    assert (status, found["param"]) == (400, param)
    assert code in (found["code"], found["type"])


async def test_each_endpoint_has_its_own_kinds_of_tools_and_summaries() -> None:
    web, patch = [{"type": "web_search"}], [{"type": "apply_patch"}]
    async with Emulator(endpoint="runtime") as runtime, Emulator(endpoint="mantle") as mantle:
        for emulator, refused, taken, model in ((runtime, web, patch, "global." + GPT), (mantle, patch, web, GPT)):
            for tools, status in ((refused, 400), (taken, 200)):
                body = body_for(OPENAI_RESPONSES, model=model, tools=tools)
                assert (await call(emulator, OPENAI_RESPONSES, body)).status == status
        summary = body_for(OPENAI_RESPONSES, reasoning={"summary": "detailed"})
        assert error(await call(mantle, OPENAI_RESPONSES, summary))[1]["param"] == "reasoning.summary"


async def test_requests_are_recorded_with_the_model_of_the_body() -> None:
    async with Emulator() as emulator:
        await call(emulator, RESPONSES)
    (request,) = emulator.requests
    assert (request.operation, request.model, request.auth) == ("Responses", GPT_OSS, "bearer")
