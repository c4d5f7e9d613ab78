# The invariant: for any bytes, a Decoder raises nothing but BedrockStreamError, and every way to split the same bytes
# has the same frames and the same error as its result.
"""Run by hand: `python -m tests.fuzz.fuzz_decoder --seconds 120 [--seed N]`.

Inputs are damaged valid streams. Half of the damage is under valid checksums, since the code after a checksum would
never run otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from struct import pack
from typing import TypeAlias
from uuid import UUID
from zlib import crc32

from bedrock_stream.errors import BedrockStreamError
from bedrock_stream.eventstream import Decoder, Frame, HeaderValue, Int8, Int16, Int64, encode_headers
from tests.fuzz.fuzzing import command, mutated, some_cuts

Outcome: TypeAlias = tuple[list[Frame], str]
ODD_LENGTHS = (0, 1, 8, 12, 15, 16, 17, 1 << 16, 1 << 17, (1 << 17) + 1, 24 << 20, (24 << 20) + 1, (1 << 32) - 1)


def read(pieces: Iterable[bytes]) -> Outcome:
    decoder = Decoder()
    frames: list[Frame] = []
    try:
        for piece in pieces:
            frames += decoder.feed(piece)
        decoder.finish()
    except BedrockStreamError as error:
        return frames, repr(error)
    return frames, ""


def check(data: bytes, cuts: Iterable[int]) -> Outcome:
    """Check the invariant; an exception that escapes or an AssertionError is a failure."""
    offsets = sorted({0, len(data), *cuts})
    whole = read([data])
    cut = read(data[start:end] for start, end in pairwise(offsets))
    single = read(data[i : i + 1] for i in range(len(data))) if len(data) < 400 else whole
    if not whole == cut == single:
        raise AssertionError(f"outcomes differ: at once {whole!r}, split {cut!r}, byte by byte {single!r}")
    return whole


def sealed(lengths: bytes, rest: bytes) -> bytes:
    body = lengths + pack(">I", crc32(lengths)) + rest
    return body + pack(">I", crc32(body))


def a_value(random: Random) -> HeaderValue:
    make: list[Callable[[], HeaderValue]] = [
        lambda: True,
        lambda: False,
        lambda: Int8(random.randint(-128, 127)),
        lambda: Int16(random.randint(-32_768, 32_767)),
        lambda: random.randint(-(1 << 31), (1 << 31) - 1),
        lambda: Int64(random.randint(-(1 << 63), (1 << 63) - 1)),
        lambda: random.randbytes(random.randint(0, 40)),
        lambda: random.choice(["event", "contentBlockDelta", "é", "\N{GRINNING FACE}", ""]),
        lambda: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=random.randint(-(1 << 45), 1 << 47)),
        lambda: UUID(bytes=random.randbytes(16)),
    ]
    return random.choice(make)()


def a_frame(random: Random) -> bytes:
    names = [":event-type", ":message-type", ":content-type", "é", "n" * random.randint(1, 255), "x", "y"]
    count = random.choice((0, 1, 3, 3, 3, 7))
    block = encode_headers({name: a_value(random) for name in random.sample(names, count)})
    payload = random.choice((b"", b'{"contentBlockIndex":0,"delta":{"text":"Hi"}}', random.randbytes(100)))
    damage = random.random()
    if damage < 0.35:
        block = mutated(random, block)
    lengths = [16 + len(block) + len(payload), len(block)]
    if damage > 0.9:
        which = random.randrange(2)
        lengths[which] = random.choice((*ODD_LENGTHS, lengths[which] + random.randint(-20, 20) & 0xFFFFFFFF))
    return sealed(pack(">II", *lengths), block + payload)


def an_input(random: Random) -> bytes:
    if random.random() < 0.05:
        return random.randbytes(random.randint(0, 200))
    stream = b"".join(a_frame(random) for _ in range(random.randint(1, 4)))
    return mutated(random, stream) if random.random() < 0.4 else stream


def try_one(random: Random) -> str:
    data = an_input(random)
    cuts = some_cuts(random, len(data))
    try:
        frames, error = check(data, cuts)
    except BaseException as failure:
        failure.add_note(f"bytes.fromhex({data.hex()!r}) cut at {cuts}")
        raise
    return ("refused after some frames" if frames else "refused") if error else "read"


if __name__ == "__main__":
    sys.exit(command("The decoder:", try_one))
