# The invariant: for any bytes, an SSEDecoder raises nothing but BedrockStreamError, and every way to split the same
# bytes has the same events and the same error as its result.
"""Run by hand: `python -m tests.fuzz.fuzz_sse --seconds 120 [--seed N]`.

Inputs are streams of odd lines with odd ends, some of them damaged; some decoders have a low limit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import pairwise
from random import Random
from typing import TypeAlias

from bedrock_stream.errors import BedrockStreamError
from bedrock_stream.sse import MAX_EVENT, ServerSentEvent, SSEDecoder
from tests.fuzz.fuzzing import command, mutated, some_cuts

Outcome: TypeAlias = tuple[list[ServerSentEvent], str]
NAMES = (b"data", b"data", b"data", b"event", b"event", b"id", b"retry", b"", b"foo", b"Data", b" data", b"data ")
COLONS = (b": ", b": ", b": ", b":", b"", b":  ", b" :")
VALUES = (b'{"type":"ping"}', b"message_stop", b"[DONE]", b"", b" ", b"7", b"\0", b"\xff", b"\xe2\x80\xa8", b"a: b")
ENDS = (b"\n", b"\r\n", b"\r")


def read(pieces: Iterable[bytes], max_event: int) -> Outcome:
    decoder = SSEDecoder(max_event=max_event)
    events: list[ServerSentEvent] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        decoder.finish()
    except BedrockStreamError as error:
        return events, repr(error)
    return events, ""


def check(data: bytes, cuts: Iterable[int], max_event: int = MAX_EVENT) -> Outcome:
    """Check the invariant; an exception that escapes or an AssertionError is a failure."""
    offsets = sorted({0, len(data), *cuts})
    whole = read([data], max_event)
    cut = read((data[start:end] for start, end in pairwise(offsets)), max_event)
    single = read((data[i : i + 1] for i in range(len(data))), max_event) if len(data) < 400 else whole
    if not whole == cut == single:
        raise AssertionError(f"outcomes differ: at once {whole!r}, split {cut!r}, byte by byte {single!r}")
    return whole


def a_line(random: Random) -> bytes:
    if random.random() < 0.1:
        return b":" + random.randbytes(random.randint(0, 20))
    value = random.choice((*VALUES, random.randbytes(random.randint(0, 30))))
    return random.choice(NAMES) + random.choice(COLONS) + value


def an_input(random: Random) -> bytes:
    if random.random() < 0.05:
        return random.randbytes(random.randint(0, 200))
    ends = ENDS if random.random() < 0.3 else (random.choice(ENDS),)
    parts = [random.choice((b"", b"", b"\xef\xbb\xbf", b"\xef\xbb"))]
    for _ in range(random.randint(1, 6)):
        parts += [a_line(random) + random.choice(ends) for _ in range(random.choice((0, 1, 1, 2, 2, 5)))]
        parts.append(random.choice(ends))
    stream = b"".join(parts)
    return mutated(random, stream) if random.random() < 0.4 else stream


def try_one(random: Random) -> str:
    data = an_input(random)
    cuts = some_cuts(random, len(data))
    max_event = random.choice((MAX_EVENT, MAX_EVENT, random.randint(1, 80)))
    try:
        events, error = check(data, cuts, max_event)
    except BaseException as failure:
        failure.add_note(f"bytes.fromhex({data.hex()!r}) cut at {cuts}, at most {max_event}")
        raise
    if error:
        return "refused or cut after some events" if events else "refused or cut"
    return "read" if events else "no events"


if __name__ == "__main__":
    sys.exit(command("Server-sent events:", try_one))
