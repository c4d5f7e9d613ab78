"""Events: the JSON that an SSE endpoint sends, and the merging of token counts."""

from __future__ import annotations

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import (
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    ImageDelta,
    ImageStart,
    MessageStart,
    MessageStop,
    Metadata,
    ReasoningDelta,
    Retrying,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResultDelta,
    ToolResultStart,
    UnknownEvent,
    Usage,
)
from bedrock_stream.types import events as events_module
from bedrock_stream.types.events import CacheDetail

SAMPLES: list[tuple[Event, str]] = [
    (MessageStart("assistant"), '{"type":"message_start","role":"assistant"}'),
    (TextDelta(0, "hi"), '{"type":"text_delta","index":0,"text":"hi"}'),
    (ReasoningDelta(0, "hm"), '{"type":"reasoning_delta","index":0,"text":"hm"}'),
    (ReasoningDelta(0, signature="s"), '{"type":"reasoning_delta","index":0,"signature":"s"}'),
    (ReasoningDelta(0, redacted=b"\x00\xff"), '{"type":"reasoning_delta","index":0,"redacted":"AP8="}'),
    (ToolCallStart(1, "a", "f"), '{"type":"tool_call_start","index":1,"id":"a","name":"f"}'),
    (ToolCallStart(1, "a", "f", True), '{"type":"tool_call_start","index":1,"id":"a","name":"f","server":true}'),
    (ToolCallDelta(1, '{"x'), r'{"type":"tool_call_delta","index":1,"input_json":"{\"x"}'),
    (
        ToolCallEnd(1, "a", "f", None, "["),
        '{"type":"tool_call_end","index":1,"id":"a","name":"f","input":null,"raw":"["}',
    ),
    (
        ToolResultStart(2, "a", "k", "error"),
        '{"type":"tool_result_start","index":2,"id":"a","kind":"k","status":"error"}',
    ),
    (ToolResultDelta(2, [{"json": {}}]), '{"type":"tool_result_delta","index":2,"content":[{"json":{}}]}'),
    (
        CitationDelta(0, Citation("t", source_content=("c",))),
        '{"type":"citation_delta","index":0,"citation":{"title":"t","source_content":["c"]}}',
    ),
    (ImageStart(3, "png"), '{"type":"image_start","index":3,"format":"png"}'),
    (ImageDelta(3, b"\x00"), '{"type":"image_delta","index":3,"data":"AA=="}'),
    (BlockStop(0), '{"type":"block_stop","index":0}'),
    (MessageStop("end_turn"), '{"type":"message_stop","stop_reason":"end_turn"}'),
    (
        Metadata(Usage(1, cache_details=(CacheDetail("1h", 3),)), 99),
        '{"type":"metadata","usage":{"input_tokens":1,"cache_details":[{"ttl":"1h","input_tokens":3}]},"latency_ms":99}',
    ),
    (UnknownEvent("new", {"a": [1]}), '{"type":"unknown_event","name":"new","payload":{"a":[1]}}'),
    (Retrying(2, 1.5, "Throttled"), '{"type":"retrying","attempt":2,"wait":1.5,"reason":"Throttled"}'),
]


@pytest.mark.parametrize(("event", "text"), SAMPLES, ids=[type(event).__name__ for event, _ in SAMPLES])
def test_an_event_is_json_with_a_type_and_survives_the_round_trip(event: Event, text: str) -> None:
    assert msgspec.json.encode(event).decode() == text
    assert msgspec.json.decode(text, type=Event) == event


def test_the_union_of_events_is_complete() -> None:
    tagged = {
        value
        for name in events_module.__all__
        if isinstance(value := getattr(events_module, name), type)
        and issubclass(value, msgspec.Struct)
        and value.__struct_config__.tag
    }
    assert set(typing.get_args(Event)) == tagged == {type(event) for event, _ in SAMPLES}


def test_an_event_is_immutable() -> None:
    with pytest.raises(AttributeError):
        TextDelta(0, "hi").text = "ho"  # type: ignore[misc]


# ---------------------------------------------------------------------------------------------------------------- usage

counts = st.none() | st.integers(0, 9)
usages = st.builds(
    Usage,
    counts,
    counts,
    counts,
    counts,
    counts,
    st.lists(st.builds(CacheDetail, st.sampled_from(["5m", "1h"]), st.integers(0, 9)), max_size=2).map(tuple),
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 9)),
)


@given(usages, usages)
def test_later_counts_never_overwrite_known_ones_with_none(early: Usage, late: Usage) -> None:
    both = early.merged(late)
    for name in ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "cache_write_tokens"):
        later = getattr(late, name)
        assert getattr(both, name) == (getattr(early, name) if later is None else later)
    assert both.cache_details == (late.cache_details or early.cache_details)
    assert both.extra == early.extra | late.extra


def test_unknown_is_not_zero() -> None:
    assert Usage().merged(Usage()) == Usage()
    assert Usage(5).merged(Usage(0)) == Usage(0)
    assert Usage().input_tokens is None
