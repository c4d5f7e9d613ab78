"""Claude's native stream: the events of each chunk, the assembled response, unknown and malformed chunks."""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import (
    BlockStop,
    Citation,
    CitationDelta,
    CitedText,
    Event,
    Message,
    MessageStart,
    MessageStop,
    Metadata,
    Raw,
    Reasoning,
    ReasoningDelta,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResult,
    ToolResultDelta,
    ToolResultStart,
    UnknownEvent,
    Usage,
)
from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.errors import (
    AccessDenied,
    BedrockStreamError,
    ContextWindowExceeded,
    InternalServerError,
    InvalidFrame,
    ModelTimeout,
    ResourceNotFound,
    ServiceError,
    ServiceUnavailable,
    Throttled,
    ValidationFailed,
)
from bedrock_stream.eventstream import Frame
from bedrock_stream.types.events import CacheDetail
from bedrock_stream.types.response import Assembly
from tests.support.anthropic_chunks import (
    METRICS,
    assembled,
    chunk,
    delta,
    message_delta,
    message_start,
    message_stop,
    read,
    start,
    stop,
    text,
    tool,
    tool_start,
)
from tests.support.planning import plan
from tests.support.reading import feed, raw_chunk

TRACE = {"guardrail": {"actionReason": "Guardrail blocked."}}

# ----------------------------------------------------------------------------------------------------------- each chunk


def test_a_recorded_stream_becomes_events() -> None:
    frames = [
        message_start(usage={"input_tokens": 12, "output_tokens": 1}),
        start(0, "text", text=""),
        chunk("ping"),
        text(0, "Hel"),
        text(0, "lo"),
        stop(0),
        message_delta(usage={"output_tokens": 30}),
    ]
    reader = Anthropic().reader()
    assert feed(reader, frames) == [
        MessageStart("assistant"),
        TextDelta(0, "Hel"),
        TextDelta(0, "lo"),
        BlockStop(0),
    ]
    assert not reader.ended
    assert feed(reader, [message_stop(**{"amazon-bedrock-invocationMetrics": METRICS})]) == [
        MessageStop("end_turn", "end_turn"),
        Metadata(Usage(12, 30, 42), 640, extra={"firstByteLatency": 210}),
    ]
    assert reader.ended
    assert reader.complete
    assert reader.broken_tool is None


LOCATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "char_location": (
        {"document_index": 0, "document_title": "t", "start_char_index": 1, "end_char_index": 5},
        {"documentChar": {"documentIndex": 0, "start": 1, "end": 5}},
    ),
    "page_location": (
        {"document_index": 0, "document_title": "t", "start_page_number": 1, "end_page_number": 2},
        {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
    ),
    "content_block_location": (
        {"document_index": 1, "document_title": "t", "start_block_index": 0, "end_block_index": 1},
        {"documentChunk": {"documentIndex": 1, "start": 0, "end": 1}},
    ),
    "search_result_location": (
        {"search_result_index": 2, "title": "t", "source": "s", "start_block_index": 0, "end_block_index": 1},
        {"searchResultLocation": {"searchResultIndex": 2, "start": 0, "end": 1}},
    ),
    "web_search_result_location": (
        {"url": "https://example.com", "title": "t", "encrypted_index": "e"},
        {"web": {"url": "https://example.com"}},
    ),
}


def citation(kind: str) -> tuple[dict[str, Any], Citation]:
    members, location = LOCATIONS[kind]
    extra = {"encrypted_index": "e"} if kind.startswith("web") else {}
    return {"type": kind, "cited_text": "c", **members}, Citation("t", members.get("source"), ("c",), location, extra)


EACH: dict[str, tuple[list[Frame], list[Event]]] = {
    "text in the start of its block": ([start(0, "text", text="Hi")], [TextDelta(0, "Hi")]),
    "cited text in the start of its block": (
        [start(0, "text", text="Hi", citations=[citation("char_location")[0]])],
        [TextDelta(0, "Hi"), CitationDelta(0, citation("char_location")[1])],
    ),
    "null citations": ([start(0, "text", text="", citations=None)], []),
    "thinking": (
        [
            start(0, "thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="hm"),
            delta(0, "signature_delta", signature="sig"),
            stop(0),
        ],
        [
            ReasoningDelta(0, "hm"),
            ReasoningDelta(0, signature="sig"),
            BlockStop(0),
        ],
    ),
    "thinking in the start of its block": (
        [start(0, "thinking", thinking="hm", signature="sig")],
        [ReasoningDelta(0, "hm"), ReasoningDelta(0, signature="sig")],
    ),
    "redacted thinking": ([start(0, "redacted_thinking", data="EmwK")], [ReasoningDelta(0, redacted=b"EmwK")]),
    "a tool call": (
        [tool_start(1), tool(1, ""), tool(1, '{"a": '), tool(1, "1}"), stop(1)],
        [
            ToolCallStart(1, "toolu_1", "f"),
            ToolCallDelta(1, ""),
            ToolCallDelta(1, '{"a": '),
            ToolCallDelta(1, "1}"),
            ToolCallEnd(1, "toolu_1", "f", {"a": 1}, '{"a": 1}'),
            BlockStop(1),
        ],
    ),
    "a tool call without input": (
        [tool_start(1), stop(1)],
        [ToolCallStart(1, "toolu_1", "f"), ToolCallEnd(1, "toolu_1", "f", {}, ""), BlockStop(1)],
    ),
    "a tool call in the start of its block": (
        [tool_start(1, input={"a": 1}), stop(1)],
        [
            ToolCallStart(1, "toolu_1", "f"),
            ToolCallDelta(1, '{"a":1}'),
            ToolCallEnd(1, "toolu_1", "f", {"a": 1}, '{"a":1}'),
            BlockStop(1),
        ],
    ),
    "a server-side tool call": (
        [start(1, "server_tool_use", id="srvtoolu_1", name="web_search", input={}), stop(1)],
        [
            ToolCallStart(1, "srvtoolu_1", "web_search", server=True),
            ToolCallEnd(1, "srvtoolu_1", "web_search", {}, "", server=True),
            BlockStop(1),
        ],
    ),
    "a server-side tool result": (
        [start(2, "web_search_tool_result", tool_use_id="srvtoolu_1", content=[{"url": "u"}]), stop(2)],
        [
            ToolResultStart(2, "srvtoolu_1", "web_search_tool_result"),
            ToolResultDelta(2, [{"json": [{"url": "u"}]}]),
            BlockStop(2),
        ],
    ),
    **{
        kind: ([delta(0, "citations_delta", citation=citation(kind)[0])], [CitationDelta(0, citation(kind)[1])])
        for kind in LOCATIONS
    },
    "a ping": ([chunk("ping")], []),
}


@pytest.mark.parametrize("case", EACH)
def test_each_chunk_becomes_its_events(case: str) -> None:
    frames, events = EACH[case]
    assert read(*frames) == events


def test_an_open_call_ends_with_the_message() -> None:
    reader = Anthropic().reader()
    events = feed(reader, [tool_start(1), tool(1, '{"a'), message_delta("max_tokens"), message_stop()])
    end = ToolCallEnd(1, "toolu_1", "f", None, '{"a')
    assert events[2:] == [end, MessageStop("max_tokens", "max_tokens"), Metadata()]
    assert reader.broken_tool == end


def test_the_first_malformed_call_of_the_caller_is_recorded() -> None:
    reader = Anthropic().reader()
    feed(
        reader,
        [
            start(0, "server_tool_use", id="s", name="web_search"),
            tool(0, "["),
            stop(0),
            tool_start(1, "a"),
            tool(1, "[]"),
            stop(1),
            tool_start(2, "b", input=[]),
            stop(2),
        ],
    )
    assert reader.broken_tool == ToolCallEnd(1, "a", "f", None, "[]")


# -------------------------------------------------------------------------------------------------- assembled responses


def test_the_counts_of_all_three_chunks_are_merged() -> None:
    usage = {
        "input_tokens": 4,
        "output_tokens": 1,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15},
        "service_tier": "standard",
        "inference_geo": None,
    }
    metrics = {**METRICS, "inputTokenCount": 4, "cacheReadInputTokenCount": 101, "cacheWriteInputTokenCount": 20}
    response = assembled(
        message_start(usage=usage),
        message_delta(usage={"output_tokens": 30, "server_tool_use": {"web_search_requests": 1}}),
        message_stop(**{"amazon-bedrock-invocationMetrics": metrics}),
    )
    assert response.usage == Usage(
        4,
        30,
        155,
        101,
        20,
        (CacheDetail("1h", 15), CacheDetail("5m", 5)),
        {"service_tier": "standard", "server_tool_use": {"web_search_requests": 1}},
    )
    assert response.latency_ms == 640


def test_absent_counts_are_unknown() -> None:
    assert assembled(message_start(), text(0, "a"), message_delta(), message_stop()).usage is None
    response = assembled(
        message_start(usage={"input_tokens": 3, "cache_read_input_tokens": None}), message_delta(), message_stop()
    )
    assert response.usage == Usage(3)


def test_malformed_counts_are_kept_unchanged() -> None:
    usage = {"input_tokens": "3", "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_24h_input_tokens": 7}}
    response = assembled(message_start(usage=usage), message_delta(), message_stop())
    assert response.usage == Usage(extra={"input_tokens": "3", "cache_creation": {"ephemeral_24h_input_tokens": 7}})


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_use"),
        ("pause_turn", "pause_turn"),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
        ("refusal", "content_filtered"),
        ("got_bored", "got_bored"),
    ],
)
def test_the_stop_reason_is_converted_to_converses(raw: str, reason: str) -> None:
    assert read(message_delta(raw), message_stop())[0] == MessageStop(reason, raw)


def test_members_beside_the_stop_reason_are_kept() -> None:
    events = read(message_delta("stop_sequence", stop_sequence="END"), message_delta(None), message_stop())
    assert events[0] == MessageStop("stop_sequence", "stop_sequence", {"stop_sequence": "END"})


def test_a_guardrail_intervention_sets_the_stop_reason_and_the_trace() -> None:
    action = {"amazon-bedrock-guardrailAction": "INTERVENED", "amazon-bedrock-trace": TRACE}
    frames = [message_start(), chunk("content_block_stop", index=0, **action), message_delta(), message_stop()]
    assert read(*frames)[-2:] == [MessageStop("guardrail_intervened", "end_turn"), Metadata(trace=TRACE)]
    quiet = {"amazon-bedrock-guardrailAction": "NONE", "amazon-bedrock-trace": TRACE}
    assert read(message_delta(), message_stop(**quiet)) == [
        MessageStop("end_turn", "end_turn"),
        Metadata(trace=TRACE),
    ]


def test_a_guardrail_intervention_needs_no_stop_reason() -> None:
    assert read(message_stop(**{"amazon-bedrock-guardrailAction": "INTERVENED"}))[0] == MessageStop(
        "guardrail_intervened"
    )


def test_a_stream_assembles_to_a_message_for_the_history() -> None:
    wire, cited = citation("page_location")
    response = assembled(
        message_start(),
        start(0, "thinking", thinking="", signature=""),
        delta(0, "signature_delta", signature="sig"),
        stop(0),
        start(1, "redacted_thinking", data="EmwK"),
        stop(1),
        start(2, "text", text=""),
        text(2, "Rome is sunny"),
        delta(2, "citations_delta", citation=wire),
        stop(2),
        start(3, "server_tool_use", id="s", name="web_search"),
        tool(3, '{"query":"x"}'),
        stop(3),
        start(4, "web_search_tool_result", tool_use_id="s", content=[{"url": "u"}]),
        stop(4),
        start(5, "text", text=""),
        text(5, "\n"),
        stop(5),
        tool_start(6, "toolu_1", "weather"),
        tool(6, '{"city":"Rome"}'),
        stop(6),
        message_delta("tool_use"),
        message_stop(),
    )
    assert response.message == Message.assistant(
        Reasoning("", "sig"),
        Reasoning(redacted=b"EmwK"),
        CitedText(("Rome is sunny",), (cited,)),
        ToolCall("s", "web_search", {"query": "x"}, server=True),
        ToolResult("s", [Raw({"json": [{"url": "u"}]})], kind="web_search_tool_result"),
        ToolCall("toolu_1", "weather", {"city": "Rome"}),
    )
    assert response.text == "Rome is sunny\n"
    assert response.stop_reason == "tool_use"


# --------------------------------------------------------------------------------------------------------------- errors

ERRORS = [
    ("api_error", InternalServerError),
    ("authentication_error", AccessDenied),
    ("invalid_request_error", ValidationFailed),
    ("not_found_error", ResourceNotFound),
    ("overloaded_error", ServiceUnavailable),
    ("permission_error", AccessDenied),
    ("rate_limit_error", Throttled),
    ("request_too_large", ValidationFailed),
    ("timeout_error", ModelTimeout),
    ("billing_error", ServiceError),
]


@pytest.mark.parametrize(("kind", "cls"), ERRORS)
def test_an_error_chunk_raises_the_services_error(kind: str, cls: type[ServiceError]) -> None:
    with pytest.raises(ServiceError) as caught:
        read(message_start(), chunk("error", error={"type": kind, "message": "no"}))
    assert type(caught.value) is cls
    assert caught.value.mid_stream
    assert caught.value.message == "no"


def test_a_prompt_that_is_too_long_raises_its_own_error_inside_a_stream() -> None:
    error = {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens"}
    with pytest.raises(ContextWindowExceeded):
        read(chunk("error", error=error))


@pytest.mark.parametrize(("error", "message"), [("boom", "boom"), (None, ""), ({}, "")])
def test_an_error_chunk_with_an_unexpected_error_member_raises(error: Any, message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read(chunk("error", error=error))
    assert caught.value.message == message


MALFORMED: dict[str, Frame] = {
    "not JSON": raw_chunk(b"{"),
    "not an object": raw_chunk(b"[]"),
    "not UTF-8": raw_chunk(b'{"type": "\xff"}'),
    "nested too deeply": raw_chunk(b'{"type":' * 100_000),
    "no message": chunk("message_start"),
    "no role": chunk("message_start", message={}),
    "an index that is text": chunk("content_block_stop", index="0"),
    "no index": chunk("content_block_delta", delta={"type": "text_delta", "text": "a"}),
    "an index that is a bool": chunk("content_block_delta", index=True, delta={"type": "text_delta", "text": "a"}),
    "a text that is a number": delta(0, "text_delta", text=5),
    "a delta without a type": chunk("content_block_delta", index=0, delta={"text": "a"}),
    "input without a tool call": tool(0, "{}"),
    "a citation that is text": delta(0, "citations_delta", citation="c"),
    "a citation without a type": delta(0, "citations_delta", citation={}),
    "an end without a reason": message_stop(),
    "a reason that is a number": message_delta(5),  # type: ignore[arg-type]
    "a trace that is text": chunk("ping", **{"amazon-bedrock-trace": "t"}),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_input_is_an_invalid_frame(case: str) -> None:
    with pytest.raises(InvalidFrame):
        read(MALFORMED[case], *([message_stop()] if case == "a reason that is a number" else []))


def test_events_before_a_malformed_chunk_are_delivered() -> None:
    events: deque[Event] = deque()
    with pytest.raises(InvalidFrame):
        Anthropic().reader().feed([text(0, "a"), raw_chunk(b"{")], events)
    assert list(events) == [TextDelta(0, "a")]


# ------------------------------------------------------------------------------------------------------- unknown blocks

Wire = dict[str, Any]
MCP_CALL = {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "n", "server_name": "s"}
MCP_RESULT = {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "content": [{"type": "text", "text": "r"}]}
# The block of `content_block_start`, its deltas, and the block that is sent back.
UNKNOWN_BLOCKS: dict[str, tuple[Wire, list[Wire], Wire]] = {
    "a null member that a delta fills": (
        {"type": "compaction", "content": None},
        [{"type": "compaction_delta", "content": "SUM"}, {"type": "compaction_delta", "content": "MARY"}],
        {"type": "compaction", "content": "SUMMARY"},
    ),
    "a null member that stays null": (
        {"type": "compaction", "content": None},
        [{"type": "compaction_delta", "content": None}],
        {"type": "compaction", "content": None},
    ),
    "no deltas": (
        {"type": "container_upload", "file_id": "file_1"},
        [],
        {"type": "container_upload", "file_id": "file_1"},
    ),
    "nested members": (
        {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}},
        [],
        {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}},
    ),
    "text, thinking and a signature": (
        {"type": "new", "text": "a"},
        [
            {"type": "text_delta", "text": "b"},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "sig"},
            {"type": "text_delta", "text": "c"},
        ],
        {"type": "new", "text": "abc", "thinking": "hm", "signature": "sig"},
    ),
    "lists, citations and numbers": (
        {"type": "new", "items": [1], "count": 1},
        [
            {"type": "new_delta", "items": [2], "count": 2},
            {"type": "citations_delta", "citation": {"type": "x"}},
            {"type": "citations_delta", "citation": {"type": "y"}},
        ],
        {"type": "new", "items": [1, 2], "count": 2, "citations": [{"type": "x"}, {"type": "y"}]},
    ),
    "a call with its input in deltas": (
        {**MCP_CALL, "input": {}},
        [{"type": "input_json_delta", "partial_json": part} for part in ("", '{"q"', ":1}")],
        {**MCP_CALL, "input": {"q": 1}},
    ),
    "a call with complete input": (
        {**MCP_CALL, "input": {"q": 1}},
        [{"type": "input_json_delta", "partial_json": ""}],
        {**MCP_CALL, "input": {"q": 1}},
    ),
    "a result whose call is unknown": (MCP_RESULT, [], MCP_RESULT),
    "a result with an unknown member": (
        {"type": "new_tool_result", "tool_use_id": "s", "content": [], "caller": {"type": "direct"}},
        [],
        {"type": "new_tool_result", "tool_use_id": "s", "content": [], "caller": {"type": "direct"}},
    ),
}


def block_frames(index: int, block: Wire, deltas: list[Wire]) -> list[Frame]:
    frames = [chunk("content_block_start", index=index, content_block=block)]
    return [*frames, *(chunk("content_block_delta", index=index, delta=item) for item in deltas), stop(index)]


@pytest.mark.parametrize("case", UNKNOWN_BLOCKS)
def test_an_unknown_block_is_sent_back_unchanged(case: str) -> None:
    block, deltas, complete = UNKNOWN_BLOCKS[case]
    response = assembled(
        message_start(),
        *block_frames(0, block, deltas),
        *block_frames(1, {"type": "text", "text": ""}, [{"type": "text_delta", "text": "hello"}]),
        message_delta(),
        message_stop(),
    )
    assert response.message == Message.assistant(Raw(complete), "hello")
    assert response.text == "hello"
    assert (response.tool_calls, response.broken_tool_calls) == ((), ())
    stored = Message.from_json(response.message.to_json())
    body = plan("anthropic.claude-opus-4-8", [Message.user("q"), stored, Message.user("go on")]).body
    assert body["messages"][1]["content"] == [complete, {"type": "text", "text": "hello"}]


def test_the_deltas_of_an_unknown_block_are_unknown_events() -> None:
    frames = block_frames(0, {"type": "new", "a": 1}, [{"type": "text_delta", "text": "b"}])
    assert read(*frames, text(1, "c")) == [
        UnknownEvent("content_block_start", {"index": 0, "content_block": {"type": "new", "a": 1}}),
        UnknownEvent("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "b"}}),
        BlockStop(0, {"type": "new", "a": 1, "text": "b"}),
        TextDelta(1, "c"),
    ]


def test_an_unknown_block_with_truncated_input_is_not_sent_back() -> None:
    deltas = [{"type": "input_json_delta", "partial_json": '{"q'}]
    frames = block_frames(0, {**MCP_CALL, "input": {}}, deltas)
    response = assembled(message_start(), *frames, text(1, "a"), message_delta("max_tokens"), message_stop())
    assert response.message == Message.assistant("a")


@given(st.data())
def test_interleaved_unknown_blocks_are_joined_apart(data: st.DataObject) -> None:
    values = data.draw(st.lists(st.lists(st.text(), max_size=4), min_size=1, max_size=4))
    frames = [block_frames(i, {"type": "new"}, [{"type": "d", "v": v} for v in vs]) for i, vs in enumerate(values)]
    mixed = []
    while frames:
        queue = data.draw(st.sampled_from(frames))
        mixed.append(queue.pop(0))
        frames = [queue for queue in frames if queue]
    expected = [Raw({"type": "new", "v": "".join(v)}) if v else Raw({"type": "new"}) for v in values]
    assert assembled(*mixed).message.content == tuple(expected)


# ------------------------------------------------------------------------------------------------------ unknown content

UNKNOWN: dict[str, tuple[Frame, list[Event]]] = {
    "a chunk": (chunk("weather", mood=1), [UnknownEvent("weather", {"type": "weather", "mood": 1})]),
    "a chunk without a type": (raw_chunk(b'{"completion":"a"}'), [UnknownEvent("chunk", {"completion": "a"})]),
    "a type that is not text": (raw_chunk(b'{"type":[1]}'), [UnknownEvent("[1]", {"type": [1]})]),
    "a chunk that looks like a delta": (
        chunk("weather", index=0, delta={"type": "text_delta", "text": "a"}),
        [UnknownEvent("weather", {"type": "weather", "index": 0, "delta": {"type": "text_delta", "text": "a"}})],
    ),
    "a delta": (
        delta(0, "weather_delta", mood=1),
        [UnknownEvent("content_block_delta", {"index": 0, "delta": {"type": "weather_delta", "mood": 1}})],
    ),
    "a delta with a text": (
        delta(0, "weather_delta", text="sunny"),
        [UnknownEvent("content_block_delta", {"index": 0, "delta": {"type": "weather_delta", "text": "sunny"}})],
    ),
    "a member of a delta": (
        delta(0, "text_delta", text="a", mood=1),
        [TextDelta(0, "a"), UnknownEvent("content_block_delta", {"index": 0, "delta": {"mood": 1}})],
    ),
    "a member beside a delta": (
        chunk("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"}, mood=1),
        [TextDelta(0, "a"), UnknownEvent("content_block_delta", {"mood": 1})],
    ),
    "a block": (
        start(0, "weather", mood=1),
        [UnknownEvent("content_block_start", {"index": 0, "content_block": {"type": "weather", "mood": 1}})],
    ),
    "a member of a block": (
        tool_start(0, caller={"type": "direct"}),
        [
            ToolCallStart(0, "toolu_1", "f", extra={"caller": {"type": "direct"}}),
        ],
    ),
    "a member of a text block": (
        start(0, "text", text="a", mood=1),
        [TextDelta(0, "a"), UnknownEvent("content_block_start", {"index": 0, "content_block": {"mood": 1}})],
    ),
    "a member of a block stop": (
        chunk("content_block_stop", index=0, mood=1),
        [BlockStop(0), UnknownEvent("content_block_stop", {"mood": 1})],
    ),
    "a member of the message": (
        message_start(content=[{"type": "text", "text": "a"}], container={"id": "c"}),
        [
            MessageStart("assistant"),
            UnknownEvent(
                "message_start",
                {"message": {"content": [{"type": "text", "text": "a"}], "container": {"id": "c"}}},
            ),
        ],
    ),
    "a member of message_delta": (
        chunk("message_delta", delta={"stop_reason": "end_turn"}, context_management={"a": 1}, nothing=None),
        [UnknownEvent("message_delta", {"context_management": {"a": 1}})],
    ),
    "a null delta": (chunk("message_delta", delta=None, usage=5), [UnknownEvent("message_delta", {"usage": 5})]),
    "a ping with a member": (chunk("ping", news=1), [UnknownEvent("ping", {"news": 1})]),
    "a citation of another kind": (
        delta(0, "citations_delta", citation={"type": "sky_location", "title": "t", "cited_text": "c", "star": 1}),
        [
            CitationDelta(
                0,
                Citation("t", None, ("c",), {"sky_location": {}}, {"title": "t", "cited_text": "c", "star": 1}),
            )
        ],
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unknown_content_is_passed_on(case: str) -> None:
    frame, events = UNKNOWN[case]
    assert read(frame) == events


def test_an_unknown_member_of_message_stop_is_passed_on_after_it() -> None:
    assert read(message_delta(), message_stop(mood=1)) == [
        MessageStop("end_turn", "end_turn"),
        Metadata(),
        UnknownEvent("message_stop", {"mood": 1}),
    ]


def test_an_exception_frame_raises_the_services_error() -> None:
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    with pytest.raises(Throttled):
        read(Frame(dict(headers), b'{"message": "slow down"}'))


# ------------------------------------------------------------------------------------------------------------ any input

DELTAS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text_delta"), "text": st.text(max_size=5)}),
    st.fixed_dictionaries({"type": st.just("input_json_delta"), "partial_json": st.text(max_size=5)}),
    st.fixed_dictionaries({"type": st.just("thinking_delta"), "thinking": st.text(max_size=5)}),
)


@given(st.integers(0, 3), DELTAS)
def test_the_fast_and_the_generic_path_agree(index: int, wire: dict[str, Any]) -> None:
    starts = [tool_start(index) for index in range(4)]
    generic = chunk("content_block_delta", index=index, delta=wire, new=1)
    fast = chunk("content_block_delta", index=index, delta=wire)
    assert read(*starts, generic) == [*read(*starts, fast), UnknownEvent("content_block_delta", {"new": 1})]


@given(st.lists(st.integers(0, 30), max_size=6))
def test_any_split_of_tool_input_gives_the_same_call(positions: list[int]) -> None:
    raw = '{"city": "R\\u00f6m", "days": [1, 2]}'
    cuts = sorted({0, len(raw), *positions})
    events = read(tool_start(0), *(tool(0, raw[a:b]) for a, b in pairwise(cuts)), stop(0))
    assert events[-2] == ToolCallEnd(0, "toolu_1", "f", {"city": "R\u00f6m", "days": [1, 2]}, raw)


BLOCKS: dict[int, tuple[list[Frame], Any]] = {
    0: (
        [
            start(0, "thinking", thinking="", signature=""),
            delta(0, "thinking_delta", thinking="hm"),
            delta(0, "signature_delta", signature="sig"),
            stop(0),
        ],
        Reasoning("hm", "sig"),
    ),
    1: ([start(1, "text", text=""), text(1, "Hel"), text(1, "lo"), stop(1)], Text("Hello")),
    2: ([tool_start(2, "a"), tool(2, '{"a"'), tool(2, ":1}"), stop(2)], ToolCall("a", "f", {"a": 1})),
    3: ([tool_start(3, "b"), tool(3, '{"b"'), tool(3, ":2}"), stop(3)], ToolCall("b", "f", {"b": 2})),
}


@given(st.permutations([index for index, (frames, _) in BLOCKS.items() for _ in frames]))
def test_interleaved_blocks_are_kept_apart(order: list[int]) -> None:
    positions: defaultdict[int, int] = defaultdict(int)
    frames = []
    for index in order:
        frames.append(BLOCKS[index][0][positions[index]])
        positions[index] += 1
    response = assembled(message_start(), *frames, message_delta(), message_stop())
    assert response.message == Message("assistant", [block for _, block in BLOCKS.values()])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
# fmt: off
KINDS = st.sampled_from([
    "text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "x_result", "text_delta", "thinking_delta",
    "input_json_delta", "signature_delta", "citations_delta", "char_location", "error",
])
NAMES = [
    "type", "text", "thinking", "signature", "data", "id", "name", "input", "tool_use_id", "content", "citations",
    "citation", "partial_json", "role", "cited_text", "document_title", "document_index", "stop_reason", "usage",
    "input_tokens", "cache_creation", "message",
]
TYPES = [
    "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
    "message_stop", "ping", "error", "new",
]
# fmt: on
INNER = st.dictionaries(st.sampled_from(NAMES), KINDS | JSON | st.dictionaries(st.sampled_from(NAMES), KINDS | JSON))
CHUNKS = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={
        "index": st.integers(0, 2) | JSON,
        "content_block": INNER | JSON,
        "delta": INNER | JSON,
        "message": INNER | JSON,
        "usage": INNER | JSON,
        "error": INNER | JSON,
        "amazon-bedrock-trace": JSON,
        "amazon-bedrock-guardrailAction": st.sampled_from(["NONE", "INTERVENED"]) | JSON,
        "amazon-bedrock-invocationMetrics": JSON,
    },
)


@given(st.lists(CHUNKS, max_size=6))
def test_any_input_raises_only_errors_of_the_library(chunks: list[dict[str, Any]]) -> None:
    assembly, reader = Assembly(), Anthropic().reader()
    try:
        for wire in chunks:
            assembly.extend(feed(reader, [raw_chunk(msgspec.json.encode(wire))]))
    except BedrockStreamError:
        pass
    msgspec.json.encode(assembly.response())


@given(st.binary(max_size=40) | JSON.map(msgspec.json.encode))
def test_any_bytes_raise_only_errors_of_the_library(document: bytes) -> None:
    try:
        events = read(raw_chunk(document))
    except BedrockStreamError:
        return
    assert all(isinstance(event, UnknownEvent) for event in events)
