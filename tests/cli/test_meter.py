"""The measures of an answer say nothing that is not known."""

from __future__ import annotations

from bedrock_stream.cli.meter import Pulse
from bedrock_stream.types.events import MessageStart, MessageStop, Metadata, TextDelta, Usage


def test_nothing_is_known_before_anything_came() -> None:
    pulse = Pulse()
    pulse.see(MessageStart("assistant"))
    pulse.see(Metadata())
    assert pulse.first_content is None
    assert pulse.tokens_per_second is None
    assert pulse.sentence() == ""


def test_one_delta_has_no_speed() -> None:
    pulse = Pulse()
    pulse.see(TextDelta(0, "Hello"))
    pulse.see(Metadata(usage=Usage(output_tokens=1)))
    assert pulse.first_content is not None
    assert pulse.tokens_per_second is None
    assert pulse.sentence().startswith("1 tokens out, first after ")


def test_all_of_it() -> None:
    pulse = Pulse()
    for event in (TextDelta(0, "Hel"), TextDelta(0, "lo"), MessageStop("end_turn")):
        pulse.see(event)
    pulse.see(Metadata(usage=Usage(input_tokens=3)))
    pulse.see(Metadata(usage=Usage(output_tokens=2)))
    assert (pulse.tokens_per_second or 0) > 0
    said = pulse.sentence()
    assert said.startswith("3 tokens in, 2 tokens out, first after ")
    assert said.endswith(" tokens/s, end_turn")
