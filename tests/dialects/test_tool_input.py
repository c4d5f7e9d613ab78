"""Tool input: empty input is `{}`, an object is parsed, and any other input is None and never `{}`."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import Event, ToolCallDelta, ToolCallEnd, ToolCallStart
from bedrock_stream.dialects.tool_input import ToolInputs, parse_input
from bedrock_stream.errors import InvalidFrame


@pytest.mark.parametrize("raw", ["", " ", "\n\t ", "{}", " { } "])
def test_empty_input_is_an_empty_object(raw: str) -> None:
    assert parse_input(raw) == {}


@pytest.mark.parametrize(
    ("raw", "value"),
    [('{"a": 1}', {"a": 1}), (' {"a": [1.5, null, {"b": "\\u00fc"}]}\n', {"a": [1.5, None, {"b": "ü"}]})],
)
def test_an_object_is_parsed(raw: str, value: Any) -> None:
    assert parse_input(raw) == value


def test_input_that_costs_far_more_memory_than_its_size_is_not_parsed() -> None:
    assert parse_input('{"a":[' + "[]," * (1 << 20) + "[]]}") is None
    assert parse_input('{"a":"' + "[]," * (1 << 20) + '"}') == {"a": "[]," * (1 << 20)}


@pytest.mark.parametrize(
    "raw",
    [
        '{"a": 1',
        '{"a": "cu',
        "{",
        "[]",
        "[1]",
        '"text"',
        "5",
        "null",
        "true",
        "{} {}",
        "{'a': 1}",
        "not JSON",
        '{"a": 1e999}',
        '{"a": NaN}',
        '{"a": "\ud800"}',
        '{"a": "\\ud800"}',
        '{"a":' * 100_000,
    ],
    ids=lambda raw: ascii(raw[:20]),
)
def test_input_that_is_not_an_object_is_none(raw: str) -> None:
    assert parse_input(raw) is None


@given(st.text())
def test_any_text_is_an_object_or_none(raw: str) -> None:
    parsed = parse_input(raw)
    assert parsed is None or isinstance(parsed, dict)
    assert parsed != {} or not raw.strip() or msgspec.json.decode(raw) == {}


def broken_call(*ends: tuple[str, bool]) -> ToolCallEnd | None:
    """Return the recorded call of a message with these inputs, each of a server-side tool or not."""
    inputs, events = ToolInputs(), deque[Event]()
    for index, (raw, server) in enumerate(ends):
        inputs.start_tool(ToolCallStart(index, "id", "f", server), events)
        inputs.add_tool_input(index, raw, events)
        inputs.stop_tool(index, events)
    return inputs.broken_tool


def test_calls_are_keyed_by_their_block() -> None:
    inputs, events = ToolInputs(), deque[Event]()
    starts = ToolCallStart(1, "a", "f"), ToolCallStart(4, "b", "g", server=True)
    for start in starts:
        inputs.start_tool(start, events)
    fragments = (1, '{"x"'), (4, "["), (1, ": 1}"), (4, "]")
    for index, fragment in fragments:
        inputs.add_tool_input(index, fragment, events)
    assert list(events) == [*starts, *(ToolCallDelta(index, fragment) for index, fragment in fragments)]
    events.clear()
    inputs.stop_tool(1, events)
    inputs.stop_tool(4, events)
    assert list(events) == [
        ToolCallEnd(1, "a", "f", {"x": 1}, '{"x": 1}'),
        ToolCallEnd(4, "b", "g", None, "[]", server=True),
    ]


def test_a_block_without_a_call_accepts_no_input() -> None:
    inputs, events = ToolInputs(), deque[Event]()
    problem = "received tool input for block 0, where no tool call is open"
    with pytest.raises(InvalidFrame, match=problem):
        inputs.add_tool_input(0, "{}", events)
    inputs.stop_tool(0, events)
    assert not events
    inputs.start_tool(ToolCallStart(0, "a", "f"), events)
    for _ in range(2):
        inputs.stop_tool(0, events)
    assert list(events) == [ToolCallStart(0, "a", "f"), ToolCallEnd(0, "a", "f", {}, "")]
    with pytest.raises(InvalidFrame, match=problem):
        inputs.add_tool_input(0, "{}", events)
    assert len(events) == 2


def test_open_calls_end_with_the_message_in_the_order_of_their_blocks() -> None:
    inputs, events = ToolInputs(), deque[Event]()
    for index in (3, 1):
        inputs.start_tool(ToolCallStart(index, str(index), "f"), events)
    inputs.add_tool_input(1, '{"cut', events)
    events.clear()
    for _ in range(2):
        inputs.stop_tools(events)
    truncated = ToolCallEnd(1, "1", "f", None, '{"cut')
    assert list(events) == [truncated, ToolCallEnd(3, "3", "f", {}, "")]
    assert inputs.broken_tool == truncated


def test_the_first_malformed_call_is_recorded() -> None:
    assert broken_call() is None
    assert broken_call(("{}", False), ("", False)) is None
    assert broken_call(("{}", False), ("[", False), ("]", False)) == ToolCallEnd(1, "id", "f", None, "[")


def test_a_malformed_call_that_the_service_runs_is_not_recorded() -> None:
    assert broken_call(("[", True)) is None
    assert broken_call(("[", True), ("]", False)) == ToolCallEnd(1, "id", "f", None, "]")
