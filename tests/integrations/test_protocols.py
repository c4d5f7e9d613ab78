"""Every kind of event in the OpenAI and AI SDK protocols, checked against the types that their publishers define."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk

from bedrock_stream import (
    BlockStop,
    Citation,
    CitationDelta,
    ImageDelta,
    ImageStart,
    Json,
    MessageStart,
    MessageStop,
    Metadata,
    ReasoningDelta,
    Retrying,
    Text,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResult,
    ToolResultDelta,
    ToolResultStart,
    UnknownEvent,
    Usage,
)
from bedrock_stream.errors import BedrockStreamError, ClientClosed, IdleTimeout, StreamInterrupted, ToolInputError
from bedrock_stream.integrations.protocols import StreamItem, Writer
from bedrock_stream.integrations.protocols.openai import OpenAIChunks, usage_json
from bedrock_stream.integrations.protocols.plain import PlainEvents
from bedrock_stream.integrations.protocols.ui_message import UIMessageParts
from tests.support.web_app import parts

# The parts of the UI message stream, version 1: the required members, and the optional ones that every version of the
# AI SDK since 5.0.7 knows. Version 5 rejects any other member.
UI_PARTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "start": ({}, {"messageId": str, "messageMetadata": object}),
    "start-step": ({}, {}),
    "text-start": ({"id": str}, {"providerMetadata": dict}),
    "text-delta": ({"id": str, "delta": str}, {"providerMetadata": dict}),
    "text-end": ({"id": str}, {"providerMetadata": dict}),
    "reasoning-start": ({"id": str}, {"providerMetadata": dict}),
    "reasoning-delta": ({"id": str, "delta": str}, {"providerMetadata": dict}),
    "reasoning-end": ({"id": str}, {"providerMetadata": dict}),
    "tool-input-start": ({"toolCallId": str, "toolName": str}, {"providerExecuted": bool, "dynamic": bool}),
    "tool-input-delta": ({"toolCallId": str, "inputTextDelta": str}, {}),
    "tool-input-available": (
        {"toolCallId": str, "toolName": str, "input": object},
        {"providerExecuted": bool, "providerMetadata": dict, "dynamic": bool},
    ),
    "tool-input-error": (
        {"toolCallId": str, "toolName": str, "input": object, "errorText": str},
        {"providerExecuted": bool, "providerMetadata": dict, "dynamic": bool},
    ),
    "tool-output-available": (
        {"toolCallId": str, "output": object},
        {"providerExecuted": bool, "dynamic": bool},
    ),
    "tool-output-error": ({"toolCallId": str, "errorText": str}, {"providerExecuted": bool, "dynamic": bool}),
    "source-url": ({"sourceId": str, "url": str}, {"title": str, "providerMetadata": dict}),
    "source-document": (
        {"sourceId": str, "mediaType": str, "title": str},
        {"filename": str, "providerMetadata": dict},
    ),
    "file": ({"url": str, "mediaType": str}, {"providerMetadata": dict}),
    "data-retrying": ({"data": object}, {"id": str, "transient": bool}),
    "finish-step": ({}, {}),
    "finish": ({}, {"messageMetadata": object}),
    "abort": ({}, {}),
    "error": ({"errorText": str}, {}),
}

EVENTS: list[StreamItem] = [
    MessageStart("assistant"),
    ReasoningDelta(0, text="Let me "),
    ReasoningDelta(0, text="see."),
    ReasoningDelta(0, signature="sig"),
    BlockStop(0),
    ReasoningDelta(1, redacted=b"secret"),
    BlockStop(1),
    TextDelta(2, "It is "),
    CitationDelta(2, Citation(title="A page", location={"web": {"url": "https://example.com/a"}})),
    TextDelta(2, "written."),
    CitationDelta(2, Citation(title="A book", location={"documentPage": {"documentIndex": 0}})),
    CitationDelta(2, Citation()),
    BlockStop(2),
    ToolCallStart(3, "srv", "search", server=True),
    ToolCallDelta(3, "{}"),
    ToolCallEnd(3, "srv", "search", {}, "{}", server=True),
    BlockStop(3),
    ToolResultStart(4, "srv"),
    ToolResultDelta(4, [{"text": "found"}]),
    BlockStop(4),
    ToolResultStart(5, "srv2", status="error"),
    ToolResultDelta(5, [{"text": "lost"}]),
    BlockStop(5),
    ImageStart(6, "png"),
    ImageDelta(6, data=b"\x89PNG"),
    ImageDelta(6, data=b"!"),
    BlockStop(6),
    ToolCallStart(7, "c1", "weather"),
    ToolCallDelta(7, '{"city":'),
    ToolCallStart(8, "c2", "now"),
    ToolCallDelta(7, '"Oslo"}'),
    ToolCallEnd(7, "c1", "weather", {"city": "Oslo"}, '{"city":"Oslo"}'),
    BlockStop(7),
    ToolCallEnd(8, "c2", "now", {}, ""),
    BlockStop(8),
    ToolCallStart(9, "c3", "cut"),
    ToolCallDelta(9, '{"a'),
    ToolCallEnd(9, "c3", "cut", None, '{"a'),
    BlockStop(9),
    UnknownEvent("tomorrow", {"x": 1}),
    MessageStop("tool_use"),
    Metadata(Usage(3, 5, 18, cache_read_tokens=10)),
    ToolResult("c1", Json({"sky": "blue"}), "success"),
    ToolResult("c2", "no clock", "error"),
    ToolResult("c3", [Text("one"), Text("two")]),
    Retrying(2, 3.0, "Throttled"),
    MessageStart("assistant"),
    TextDelta(0, "Blue."),
]


def written(writer: Writer, events: list[StreamItem], *, complete: bool = True) -> list[Any]:
    data = b"".join(writer.event(event) for event in events)
    return parts((data + (writer.end() if complete else writer.failed(StreamInterrupted("torn")))).decode())


def test_a_front_end_receives_only_known_parts_and_members() -> None:
    message = written(UIMessageParts(message_id="m", include_usage=True), EVENTS)
    message += written(UIMessageParts(), EVENTS[:5], complete=False)
    message += parts(UIMessageParts().failed(StreamInterrupted("closed", closed=True)).decode())
    seen = set()
    for part in message:
        if part == "[DONE]":
            continue
        required, optional = UI_PARTS[part["type"]]
        members = {name: value for name, value in part.items() if name != "type"}
        assert set(required) <= set(members) <= {*required, *optional}, part
        assert all(isinstance(value, {**required, **optional}[name]) for name, value in members.items()), part
        seen.add(part["type"])
    assert seen == set(UI_PARTS)


def test_every_block_of_a_ui_message_opens_once_and_closes_once() -> None:
    open_blocks: set[str] = set()
    for part in written(UIMessageParts(), EVENTS):
        kind, _, step = ("done" if part == "[DONE]" else part["type"]).partition("-")
        if kind in ("text", "reasoning"):
            key = kind + part["id"]
            assert (key in open_blocks) == (step != "start"), part
            (open_blocks.add if step == "start" else open_blocks.discard if step == "end" else len)(key)
    assert open_blocks == set()


def test_the_content_of_a_ui_message() -> None:
    message = [part for part in written(UIMessageParts(), EVENTS) if part != "[DONE]"]
    of = {part["type"]: [other for other in message if other["type"] == part["type"]] for part in message}
    assert [part.get("providerMetadata") for part in of["reasoning-end"]] == [
        {"bedrock": {"signature": "sig"}},
        {"bedrock": {"redactedData": "c2VjcmV0"}},
    ]
    assert [part["url"] for part in of["source-url"]] == ["https://example.com/a"]
    assert [part["title"] for part in of["source-document"]] == ["A book", "document"]
    assert [(part["toolCallId"], part["input"]) for part in of["tool-input-available"]] == [
        ("srv", {}), ("c1", {"city": "Oslo"}), ("c2", {}),
    ]  # fmt: skip
    assert [(part["toolCallId"], part["inputTextDelta"]) for part in of["tool-input-delta"]] == [
        ("srv", "{}"), ("c1", '{"city":'), ("c1", '"Oslo"}'), ("c3", '{"a'),
    ]  # fmt: skip
    assert [part["input"] for part in of["tool-input-error"]] == ['{"a']
    assert [(part["toolCallId"], part["output"]) for part in of["tool-output-available"]] == [
        ("srv", [{"text": "found"}]),
        ("c1", {"sky": "blue"}),
        ("c3", [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]),
    ]
    assert [part["errorText"] for part in of["tool-output-error"]] == ['[{"text":"lost"}]', "no clock"]
    assert of["file"] == [{"type": "file", "url": "data:image/png;base64,iVBORyE=", "mediaType": "image/png"}]
    types = [part["type"] for part in message]
    assert types[:2] == ["start", "start-step"]
    assert types[-3:] == ["text-end", "finish-step", "finish"]
    assert types.count("start-step") == types.count("finish-step") == 2


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (StreamInterrupted("closed", closed=True), "abort"),
        (ClientClosed("closed"), "abort"),
        (StreamInterrupted("torn"), "error"),
        (IdleTimeout(1, 2), "error"),
    ],
)
def test_only_a_message_that_this_program_stopped_is_aborted(error: BedrockStreamError, last: str) -> None:
    writer = UIMessageParts()
    data = b"".join(writer.event(event) for event in EVENTS[:8]) + writer.failed(error)
    *_, part, done = parts(data.decode())
    assert (part["type"], done) == (last, "[DONE]")
    # The other protocols have no word for it: their message is incomplete.
    for other in (PlainEvents(), OpenAIChunks("m")):
        assert "error" in parts(other.failed(error).decode())[-1]


def finish(events: list[StreamItem], **options: Any) -> dict[str, Any]:
    found = written(UIMessageParts(**options), events)[-2]
    assert found.pop("type") == "finish"
    metadata: dict[str, Any] = found.pop("messageMetadata", {})
    assert found == {}
    return metadata


def test_the_metadata_has_the_usage_of_all_steps() -> None:
    first: list[StreamItem] = [
        MessageStart("assistant"),
        MessageStop("tool_use"),
        Metadata(Usage(3, 5, 18, cache_read_tokens=10)),
    ]
    second: list[StreamItem] = [
        MessageStart("assistant"),
        MessageStop("end_turn"),
        Metadata(Usage(20, total_tokens=27, cache_read_tokens=0, reasoning_tokens=4)),
        Metadata(Usage(output_tokens=7)),
    ]
    assert finish(first, include_usage=True) == {
        "usage": {
            "inputTokens": 13,
            "outputTokens": 5,
            "totalTokens": 18,
            "inputTokenDetails": {"cacheReadTokens": 10},
        },
        "stopReason": "tool_use",
    }
    assert finish(second, include_usage=True)["usage"] == {
        "inputTokens": 20,
        "outputTokens": 7,
        "totalTokens": 27,
        "inputTokenDetails": {"cacheReadTokens": 0},
        "outputTokenDetails": {"reasoningTokens": 4},
    }
    assert finish([*first, *second], include_usage=True) == {
        "usage": {
            "inputTokens": 33,
            "outputTokens": 12,
            "totalTokens": 45,
            "inputTokenDetails": {"cacheReadTokens": 10},
        },
        "stopReason": "end_turn",
    }
    assert finish([*first, *second]) == {}


def test_metadata_that_is_unknown_is_left_out() -> None:
    assert finish([MessageStart("assistant"), MessageStop("end_turn")], include_usage=True) == {
        "stopReason": "end_turn"
    }
    assert finish([MessageStart("assistant")], include_usage=True) == {}
    unknown: list[StreamItem] = [MessageStart("assistant"), MessageStart("assistant"), Metadata(Usage(1, 2, 3))]
    assert finish(unknown, include_usage=True) == {}  # a step without usage makes the sum unknown


def test_the_start_has_the_id_of_the_message() -> None:
    assert written(UIMessageParts(message_id="m1"), EVENTS)[0] == {"type": "start", "messageId": "m1"}
    assert written(UIMessageParts(), EVENTS)[0] == {"type": "start"}


def test_openais_own_types_accept_every_chunk() -> None:
    events = EVENTS[:-5]
    stream = written(OpenAIChunks("m", include_usage=True), events)
    assert stream.pop() == "[DONE]"
    chunks = [ChatCompletionChunk.model_validate(part) for part in stream]
    assert len({chunk.id for chunk in chunks}) == 1
    *content, last = chunks
    choices = [chunk.choices[0] for chunk in content]
    assert "".join(choice.delta.content or "" for choice in choices) == "It is written."
    calls: dict[int, dict[str, str]] = {}
    for choice in choices:
        for call in choice.delta.tool_calls or ():
            assert call.function is not None
            call_so_far = calls.setdefault(
                call.index, {"id": call.id or "", "name": call.function.name or "", "input": ""}
            )
            call_so_far["input"] += call.function.arguments or ""
    assert calls == {
        0: {"id": "c1", "name": "weather", "input": '{"city":"Oslo"}'},
        1: {"id": "c2", "name": "now", "input": "{}"},
        2: {"id": "c3", "name": "cut", "input": '{"a'},
    }
    deltas = [part["choices"][0]["delta"] for part in stream[:-1]]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Let me see."
    assert [detail for delta in deltas for detail in delta.get("reasoning_details", ())] == [
        {"type": "reasoning.text", "text": "Let me see.", "signature": "sig"},
        {"type": "reasoning.encrypted", "data": "c2VjcmV0"},
    ]
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["tool_calls"]
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (13, 5, 18)
    assert last.usage.prompt_tokens_details is not None
    assert last.usage.prompt_tokens_details.cached_tokens == 10


@pytest.mark.parametrize(
    ("stop", "called", "reason"),
    [
        ("end_turn", False, "stop"),
        ("stop_sequence", False, "stop"),
        ("of tomorrow", False, "stop"),
        ("end_turn", True, "tool_calls"),
        ("tool_use", True, "tool_calls"),
        ("max_tokens", True, "length"),
        ("model_context_window_exceeded", False, "length"),
        ("guardrail_intervened", False, "content_filter"),
        ("content_filtered", False, "content_filter"),
    ],
)
def test_finish_reasons(stop: str, called: bool, reason: str) -> None:
    calls: list[StreamItem] = [ToolCallStart(0, "c", "t")] if called else []
    stream = written(OpenAIChunks("m"), [MessageStart("assistant"), *calls, MessageStop(stop)])
    assert stream[-2]["choices"][0]["finish_reason"] == reason
    assert "usage" not in stream[-2]


@pytest.mark.parametrize(
    ("read", "written_to", "details"),
    [
        (None, None, None),
        (0, 0, {"cached_tokens": 0, "cache_write_tokens": 0}),
        (10, 4, {"cached_tokens": 10, "cache_write_tokens": 4}),
        (10, None, {"cached_tokens": 10}),
    ],
)
def test_cache_token_counts_are_reported_if_known(
    read: int | None, written_to: int | None, details: dict[str, int] | None
) -> None:
    usage = usage_json(Usage(3, 5, cache_read_tokens=read, cache_write_tokens=written_to))
    assert usage is not None
    assert usage["prompt_tokens"] == 3 + (read or 0) + (written_to or 0)
    assert usage.get("prompt_tokens_details") == details
    assert CompletionUsage.model_validate(usage).total_tokens == usage["prompt_tokens"] + 5


def test_unknown_usage_is_not_zero() -> None:
    stream = written(OpenAIChunks("m", include_usage=True), [MessageStop("end_turn"), Metadata(Usage(output_tokens=3))])
    assert stream[-2]["usage"] is None


@pytest.mark.parametrize("writer", [OpenAIChunks("m"), UIMessageParts()])
def test_a_call_with_invalid_input_is_reported_and_the_message_ends(writer: Writer) -> None:
    events = [MessageStart("assistant"), *EVENTS[35:39], MessageStop("max_tokens")]
    data = b"".join(writer.event(event) for event in events)
    data += writer.failed(ToolInputError("cut", "c3", '{"a', "max_tokens"))
    stream = parts(data.decode())
    assert stream[-1] == "[DONE]"
    assert '{\\"a' in data.decode()
    assert b'"finish_reason":"length"' in data or stream[-2] == {"type": "finish"}


def test_the_input_of_the_answer_tool_is_text() -> None:
    writer = OpenAIChunks("m", answer_tool="structured_output")
    events: list[StreamItem] = [
        MessageStart("assistant"),
        ToolCallStart(0, "c", "structured_output"),
        ToolCallDelta(0, '{"a":'),
        ToolCallDelta(0, "1}"),
        ToolCallEnd(0, "c", "structured_output", {"a": 1}, '{"a":1}'),
        BlockStop(0),
        MessageStop("tool_use"),
    ]
    choices = [part["choices"][0] for part in written(writer, events)[:-1]]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == '{"a":1}'
    assert choices[-1]["finish_reason"] == "stop"
    assert not any("tool_calls" in choice["delta"] for choice in choices)


def test_a_retry_is_a_transient_part_an_event_or_nothing() -> None:
    retrying = Retrying(2, 3.5, "Throttled")
    assert parts(UIMessageParts().event(retrying).decode()) == [
        {
            "type": "data-retrying",
            "data": {"attempt": 2, "wait": 3.5, "reason": "Throttled"},
            "transient": True,
        }
    ]
    assert parts(PlainEvents().event(retrying).decode()) == [
        {"type": "retrying", "attempt": 2, "wait": 3.5, "reason": "Throttled"}
    ]
    assert OpenAIChunks("a-model").event(retrying) == b""
