# The invariant: whatever frames a dialect's reader is fed, in whatever batches, it raises nothing but
# BedrockStreamError; every way to batch them comes to the same events, the same error and the same end; what it gave
# can be written as JSON, assembled, and sent back as history; and a stream cut before its end never looks finished.
"""Run by hand: `python -m tests.fuzz.fuzz_readers --seconds 120 [--seed N]`: Converse, Claude, gpt-oss and Llama."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

import msgspec

from bedrock_stream.dialects import Dialect
from bedrock_stream.errors import BedrockStreamError
from bedrock_stream.eventstream import Decoder, Frame, encode_frame
from bedrock_stream.types.events import Event, MessageStop, ToolCallEnd
from bedrock_stream.types.response import Assembly
from tests.fuzz.corpus import FAMILIES, Family, mutated_frames, send_back
from tests.fuzz.fuzzing import command, some_cuts


class Outcome(NamedTuple):
    events: list[Event]
    error: str
    ended: bool
    complete: bool
    broken_tool: ToolCallEnd | None


def read(dialect: Dialect, frames: Sequence[Frame], places: Sequence[int]) -> Outcome:
    reader, events, told = dialect.reader(), deque[Event](), ""
    try:
        for start, end in pairwise(places):
            reader.feed(frames[start:end], events)
    except BedrockStreamError as error:
        told = repr(error)
    return Outcome(list(events), told, reader.ended, reader.complete, reader.broken_tool)


def check(family: Family, frames: Sequence[Frame], places: Sequence[int]) -> Outcome:
    """Raise AssertionError, or whatever was let out, where the invariant does not hold."""
    whole = read(family.dialect, frames, [0, len(frames)])
    assert whole == read(family.dialect, frames, places), "batches matter"
    assert whole == read(family.dialect, frames, range(len(frames) + 1)), "frame by frame is something else"
    assert whole.ended == any(isinstance(event, MessageStop) for event in whole.events)
    assert whole.ended or not whole.complete
    for event in whole.events:
        msgspec.json.encode(event)
    check_assembly(family, whole)
    return whole


def check_assembly(family: Family, outcome: Outcome) -> None:
    assembly = Assembly()
    assembly.extend(outcome.events)
    response = assembly.response(request_id="r", model="m", route=family.dialect.route)
    assert (response.stop_reason is not None) == outcome.ended
    if outcome.broken_tool is not None:
        assert outcome.broken_tool.input is None
    send_back(family, response.message)


def check_cut(random: Random, family: Family, frames: Sequence[Frame]) -> None:
    """A sound stream, cut anywhere before its end: never ended, or not at a frame's edge."""
    ends = [place for place in range(len(frames) + 1) if read(family.dialect, frames[:place], [0, place]).ended]
    if not ends:
        return  # it ends with an exception
    data = b"".join(map(encode_frame, frames[: ends[0]]))
    decoder, place = Decoder(), random.randrange(len(data))
    came = decoder.feed(data[:place])
    assert not read(family.dialect, came, [0, len(came)]).ended


def try_one(random: Random) -> str:
    family = random.choice(FAMILIES)
    frames = random.choice(family.streams)
    if random.random() < 0.05:
        check_cut(random, family, frames)
        return f"{family.name} cut"
    frames = mutated_frames(random, frames)
    try:
        outcome = check(family, frames, some_cuts(random, len(frames)))
    except BaseException as failure:
        failure.add_note(f"{family.name}: {frames!r}")
        raise
    return f"{family.name} {'refused' if outcome.error else 'ended' if outcome.ended else 'unfinished'}"


if __name__ == "__main__":
    sys.exit(command("The dialects' readers:", try_one))
