# The invariant: for any frames, a dialect's reader raises nothing but BedrockStreamError. Every way to batch the same
# frames has the same events, error and end as its result. The events can be encoded as JSON, assembled, and sent back
# as history. A stream that is cut before its end is never ended.
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


def read(dialect: Dialect, frames: Sequence[Frame], cuts: Sequence[int]) -> Outcome:
    reader, events, message = dialect.reader(), deque[Event](), ""
    try:
        for start, end in pairwise(cuts):
            reader.feed(frames[start:end], events)
    except BedrockStreamError as error:
        message = repr(error)
    return Outcome(list(events), message, reader.ended, reader.complete, reader.broken_tool)


def check(family: Family, frames: Sequence[Frame], cuts: Sequence[int]) -> Outcome:
    """Check the invariant; an exception that escapes or an AssertionError is a failure."""
    whole = read(family.dialect, frames, [0, len(frames)])
    assert whole == read(family.dialect, frames, cuts), "the outcome depends on the batches"
    assert whole == read(family.dialect, frames, range(len(frames) + 1)), "frame by frame, the outcome differs"
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
    """Check that a valid stream that is cut before its end does not look ended."""
    ends = [count for count in range(len(frames) + 1) if read(family.dialect, frames[:count], [0, count]).ended]
    if not ends:
        return  # it ends with an exception
    data = b"".join(map(encode_frame, frames[: ends[0]]))
    decoder, offset = Decoder(), random.randrange(len(data))
    received = decoder.feed(data[:offset])
    assert not read(family.dialect, received, [0, len(received)]).ended


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
