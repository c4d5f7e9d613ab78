"""Tool input: nothing is an empty object, an object is itself, anything else stays text and never becomes `{}`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import ToolCallEnd, ToolCallStart
from bedrock_stream.tool_input import ToolInputs, parse_input


@pytest.mark.parametrize("raw", ["", " ", "\n\t ", "{}", " { } "])
def test_nothing_is_an_empty_object(raw: str) -> None:
    assert parse_input(raw) == {}


@pytest.mark.parametrize(
    ("raw", "value"),
    [('{"a": 1}', {"a": 1}), (' {"a": [1.5, null, {"b": "\\u00fc"}]}\n', {"a": [1.5, None, {"b": "ü"}]})],
)
def test_an_object_is_parsed(raw: str, value: Any) -> None:
    assert parse_input(raw) == value


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
def test_what_is_not_an_object_is_none(raw: str) -> None:
    assert parse_input(raw) is None


@given(st.text())
def test_any_text_is_an_object_or_none(raw: str) -> None:
    parsed = parse_input(raw)
    assert parsed is None or isinstance(parsed, dict)
    assert parsed != {} or not raw.strip() or msgspec.json.decode(raw) == {}


def test_calls_are_kept_apart_by_their_block() -> None:
    inputs = ToolInputs()
    inputs.start(ToolCallStart(1, "a", "f"))
    inputs.start(ToolCallStart(4, "b", "g", server=True))
    for index, fragment in (1, '{"x"'), (4, "["), (1, ": 1}"), (4, "]"):
        assert inputs.add(index, fragment)
    assert inputs.stop(1) == ToolCallEnd(1, "a", "f", {"x": 1}, '{"x": 1}')
    assert inputs.stop(4) == ToolCallEnd(4, "b", "g", None, "[]", server=True)


def test_a_block_without_a_call_takes_nothing() -> None:
    inputs = ToolInputs()
    assert not inputs.add(0, "{}")
    assert inputs.stop(0) is None
    inputs.start(ToolCallStart(0, "a", "f"))
    assert inputs.stop(0) == ToolCallEnd(0, "a", "f", {}, "")
    assert inputs.stop(0) is None
    assert not inputs.add(0, "{}")


def test_open_calls_end_with_the_message_in_the_order_of_their_blocks() -> None:
    inputs = ToolInputs()
    for index in (3, 1):
        inputs.start(ToolCallStart(index, str(index), "f"))
    inputs.add(1, '{"cut')
    assert inputs.stop_all() == [ToolCallEnd(1, "1", "f", None, '{"cut'), ToolCallEnd(3, "3", "f", {}, "")]
    assert inputs.stop_all() == []
