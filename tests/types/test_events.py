"""Events: the JSON that an SSE endpoint sends, and the merging of token counts."""

from __future__ import annotations

import pickle
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import (
    Block,
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


# --------------------------------------------------------------------------------------------------------- type and sum


@pytest.mark.parametrize("kind", [*typing.get_args(Event), *typing.get_args(Block)], ids=lambda kind: kind.__name__)
def test_the_type_of_events_and_blocks_is_their_json_tag(kind: type[msgspec.Struct]) -> None:
    config = kind.__struct_config__
    assert config.tag_field == "type"
    assert vars(kind)["type"] == config.tag  # on the class, so an instance costs nothing for it
    assert "type" not in kind.__struct_fields__
    assert "type" not in kind.__match_args__


def test_the_type_of_an_event_is_not_part_of_its_value() -> None:
    event = TextDelta(0, "x")
    assert event.type == "text_delta"
    assert repr(event) == "TextDelta(index=0, text='x')"
    assert msgspec.structs.astuple(event) == (0, "x")
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301 - ours
    with pytest.raises(AttributeError):
        event.type = "other"  # type: ignore[misc, assignment]


COUNTS = st.none() | st.integers(0, 1000)
DETAILS = st.lists(st.builds(CacheDetail, st.sampled_from(["5m", "1h"]), st.integers(0, 9)), max_size=2, unique_by=hash)
USAGES = st.builds(
    Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, DETAILS.map(tuple), st.just({"x": 1}), reasoning_tokens=COUNTS
)
NAMES = [name for name in Usage.__struct_fields__ if name.endswith("_tokens")]


@given(USAGES, USAGES, USAGES)
def test_usages_add_up_and_unknown_stays_unknown(one: Usage, two: Usage, three: Usage) -> None:
    total = one + two
    for name in NAMES:
        counts = [getattr(usage, name) for usage in (one, two)]
        assert getattr(total, name) == (None if None in counts else sum(counts))
    assert total.extra == {}
    same = [getattr(one + two, name) == getattr(two + one, name) for name in NAMES]
    assert all(same)
    assert [getattr((one + two) + three, name) for name in NAMES] == [
        getattr(one + (two + three), name) for name in NAMES
    ]
    assert sum([one, two, three]) == (one + two) + three
    assert sum([one]) is one


def test_cache_writes_add_up_by_lifetime_where_both_sides_tell_them() -> None:
    short, both = (CacheDetail("5m", 10),), (CacheDetail("1h", 1), CacheDetail("5m", 2))
    one, two = Usage(cache_write_tokens=10, cache_details=short), Usage(cache_write_tokens=3, cache_details=both)
    assert (one + two).cache_details == (CacheDetail("5m", 12), CacheDetail("1h", 1))
    assert (one + Usage(cache_write_tokens=0)).cache_details == short  # nothing was written
    assert (one + Usage(cache_write_tokens=5)).cache_details == ()
    assert (Usage() + one).cache_details == ()


@pytest.mark.parametrize("other", [1, None, "x", 0.0, {}])
def test_other_values_cannot_be_added_to_a_usage(other: typing.Any) -> None:
    with pytest.raises(TypeError):
        Usage(1) + other
    with pytest.raises(TypeError):
        other + Usage(1)
