# The invariant: whatever bytes are fed to a Decoder, in whatever pieces, it raises nothing but BedrockStreamError, and
# every way to cut the same bytes comes to the same frames and the same error.
"""Run by hand: `python tests/fuzz/fuzz_decoder.py --seconds 120 [--seed N]`.

Inputs are valid streams, damaged. Half of the damage lies under good checksums, since what is behind a checksum would
never be reached otherwise. Exits with 1 and the input that broke the invariant.
"""

from __future__ import annotations

import argparse
import sys
import time
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

Outcome: TypeAlias = tuple[list[Frame], str]
ODD_BYTES = b"\x00\x01\x02\x05\x06\x07\x08\x09\x0a\x7f\x80\xc3\xed\xff"
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
    """Raise AssertionError, or whatever the decoder let out, where the invariant does not hold."""
    places = sorted({0, len(data), *cuts})
    whole = read([data])
    cut = read(data[start:end] for start, end in pairwise(places))
    single = read(data[i : i + 1] for i in range(len(data))) if len(data) < 400 else whole
    if not whole == cut == single:
        raise AssertionError(f"not the same: whole {whole!r}, cut {cut!r}, byte by byte {single!r}")
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


def mutated(random: Random, data: bytes) -> bytes:
    """`data` after one to four small accidents."""
    result = bytearray(data)
    for _ in range(random.randint(1, 4)):
        place = random.randint(0, len(result))
        match random.randrange(6):
            case 0 if place < len(result):
                result[place] ^= 1 << random.randrange(8)
            case 1 if place < len(result):
                result[place] = random.choice(ODD_BYTES)
            case 2:
                del result[place : place + random.randint(1, 8)]
            case 3:
                result[place:place] = random.randbytes(random.randint(1, 8))
            case 4:
                result[place:place] = result[place : place + random.randint(1, 24)]
            case _:
                del result[place:]
    return bytes(result)


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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Fuzz the event-stream decoder.")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="repeat an earlier run")
    options = parser.parse_args(arguments)
    seed = time.time_ns() if options.seed is None else options.seed
    print(f"seed {seed}")
    random = Random(seed)  # noqa: S311  # chance here is no secret
    until = time.monotonic() + options.seconds
    tried = delivered = refused = 0
    while time.monotonic() < until:
        data = an_input(random)
        cuts = [random.randint(0, len(data)) for _ in range(random.randint(0, 8))]
        try:
            frames, error = check(data, cuts)
        except Exception as failure:
            print(f"after {tried} inputs: {failure!r}\nbytes.fromhex({data.hex()!r}) cut at {cuts}")
            return 1
        tried += 1
        delivered += len(frames)
        refused += bool(error)
    print(f"{tried} inputs tried: {delivered} frames delivered, {refused} inputs refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
