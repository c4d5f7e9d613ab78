"""Streams of `fixtures/`: from bytes to the expected response, and back as history."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bedrock_stream import Event, Message, Reasoning, Response, ToolCall, ToolCallDelta, ToolResult, UnknownEvent, Usage
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.dialects.converse.blocks import read_citation
from bedrock_stream.dialects.converse.body import write_body
from bedrock_stream.errors import ServiceError
from bedrock_stream.eventstream import Decoder
from bedrock_stream.types.options import Options
from bedrock_stream.types.response import Assembly
from tests.support.botocore_oracle import written_by_botocore

FIXTURES = Path(__file__).parents[2] / "fixtures"
EXPECTED = {path.stem: json.loads(path.read_text(encoding="utf-8"))["expect"] for path in FIXTURES.glob("*.json")}
COMPLETE = sorted(name for name, expect in EXPECTED.items() if "error" not in expect)


def events_of(name: str) -> list[Event]:
    reader = Converse().reader()
    events: deque[Event] = deque()
    reader.feed(Decoder().feed((FIXTURES / f"{name}.bin").read_bytes()), events)
    assert reader.ended
    assert reader.complete
    assert reader.broken_tool is None
    return list(events)


def response_of(name: str) -> Response:
    assembly = Assembly()
    assembly.extend(events_of(name))
    return assembly.response()


def block_of(response: Response, kind: type) -> Any:
    return next((block for block in response.message.content if isinstance(block, kind)), None)


@pytest.mark.parametrize("name", COMPLETE)
def test_a_stream_assembles_to_its_expected_response(name: str) -> None:
    response, expect = response_of(name), EXPECTED[name]
    assert (response.text, response.reasoning) == (expect["text"], expect.get("reasoning", ""))
    assert (response.stop_reason, response.latency_ms) == (expect["stop_reason"], expect["latency_ms"])
    assert response.usage is not None
    assert msgspec.to_builtins(msgspec.structs.replace(response.usage, extra={})) == expect["usage"]
    citations = [msgspec.structs.replace(citation, start=None, end=None) for citation in response.citations]
    assert citations == [read_citation(citation) for citation in expect.get("citations", [])]
    calls = [ToolCall(call["id"], call["name"], call["input"]) for call in expect.get("tool_calls", [])]
    assert response.tool_calls == tuple(calls)
    reasoning = block_of(response, Reasoning) or Reasoning()
    assert reasoning.signature == expect.get("signature")
    # The decoded bytes look like base64 again. They are opaque and not decoded twice.
    assert reasoning.redacted == (expect["redacted"].encode() if "redacted" in expect else None)


def test_the_fragments_of_tool_input_are_received_unchanged() -> None:
    fragments = [event.input_json for event in events_of("converse_tool_call") if isinstance(event, ToolCallDelta)]
    assert fragments == EXPECTED["converse_tool_call"]["tool_calls"][0]["fragments"]


def test_a_tool_that_the_service_ran_is_in_the_message_and_not_in_tool_calls() -> None:
    response, expect = response_of("converse_server_tool"), EXPECTED["converse_server_tool"]
    call, result = block_of(response, ToolCall), block_of(response, ToolResult)
    assert [(call.id, call.input)] == [(c["id"], c["input"]) for c in expect["server_tool_calls"]]
    content = [block.value for block in result.content]
    assert [(result.id, result.status, content)] == [
        (r["id"], r["status"], r["content"]) for r in expect["server_tool_results"]
    ]
    assert response.tool_calls == ()


def test_an_unknown_event_and_an_unknown_member_are_passed_on() -> None:
    unknown = [event for event in events_of("converse_unknown_event") if isinstance(event, UnknownEvent)]
    (expected,) = EXPECTED["converse_unknown_event"]["unknown_events"]
    assert UnknownEvent(expected["name"], expected["payload"]) in unknown
    assert UnknownEvent("contentBlockDelta", {"novelMember": True}) in unknown
    assert len(unknown) == 2
    assert response_of("converse_unknown_event").usage == Usage(9, 6, 15, extra={"novelTokens": 3})


def test_a_stream_of_only_an_exception_raises_its_error() -> None:
    with pytest.raises(ServiceError) as caught:
        events_of("converse_exception_only")
    error, expect = caught.value, EXPECTED["converse_exception_only"]["error"]
    assert type(error).__name__ == expect["class"]
    assert (error.code, error.message, error.status) == (expect["code"], expect["message"], expect["status"])


@pytest.mark.parametrize("name", COMPLETE)
def test_the_service_accepts_the_response_on_the_next_turn(name: str) -> None:
    response = response_of(name)
    results = [ToolResult(call.id, {"ok": True}) for call in response.tool_calls]
    body = write_body([Message.user("a"), response.message, Message.user(*results, "b")], Options())
    assert written_by_botocore(body) == json.loads(msgspec.json.encode(body))
