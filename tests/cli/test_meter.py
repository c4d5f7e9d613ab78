"""Measurements that are unknown are left out."""

from __future__ import annotations

from bedrock_stream.cli.meter import Meter
from bedrock_stream.types.events import MessageStart, MessageStop, Metadata, TextDelta, Usage


def test_nothing_is_known_before_the_first_content() -> None:
    meter = Meter()
    meter.record(MessageStart("assistant"))
    meter.record(Metadata())
    assert meter.first_content is None
    assert meter.tokens_per_second is None
    assert meter.summary() == ""


def test_one_delta_has_no_rate() -> None:
    meter = Meter()
    meter.record(TextDelta(0, "Hello"))
    meter.record(Metadata(usage=Usage(output_tokens=1)))
    assert meter.first_content is not None
    assert meter.tokens_per_second is None
    assert meter.summary().startswith("1 output tokens, first token after ")


def test_all_measurements() -> None:
    meter = Meter()
    for event in (TextDelta(0, "Hel"), TextDelta(0, "lo"), MessageStop("end_turn")):
        meter.record(event)
    meter.record(Metadata(usage=Usage(input_tokens=3)))
    meter.record(Metadata(usage=Usage(output_tokens=2)))
    assert (meter.tokens_per_second or 0) > 0
    summary = meter.summary()
    assert summary.startswith("3 input tokens, 2 output tokens, first token after ")
    assert summary.endswith(" tokens/s, stop reason end_turn")
