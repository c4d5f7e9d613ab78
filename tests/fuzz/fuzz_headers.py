# The invariant: for any bytes of a header block, decode_headers raises nothing but InvalidHeader. Decoded headers can
# be encoded again and then decode to the same, types included. A valid block that is cut inside a header is refused.
"""Run by hand: `python -m tests.fuzz.fuzz_headers --seconds 120 [--seed N]`."""

from __future__ import annotations

import sys
from random import Random

from bedrock_stream.errors import InvalidHeader
from bedrock_stream.eventstream import HeaderValue, decode_headers, encode_headers
from tests.fuzz.fuzz_decoder import a_value
from tests.fuzz.fuzzing import command, mutated


def typed(headers: dict[str, HeaderValue]) -> list[tuple[str, type, HeaderValue]]:
    return [(name, type(value), value) for name, value in headers.items()]


def check(block: bytes) -> str:
    """Check the invariant; an exception that escapes or an AssertionError is a failure."""
    try:
        headers = decode_headers(block)
    except InvalidHeader:
        return "refused"
    if any(isinstance(value, str | bytes) and len(value) > 32_000 for value in headers.values()):
        return "read, too long to write"  # a decoder accepts longer values than an encoder may send
    again = decode_headers(encode_headers(headers))
    assert typed(again) == typed(headers)
    return "read"


def check_cut(blocks: list[bytes], offset: int) -> str:
    whole = b"".join(blocks)
    edges = {sum(map(len, blocks[:count])) for count in range(len(blocks) + 1)}
    outcome = check(whole[:offset])
    assert (outcome == "read") == (offset in edges), "a cut header was decoded"
    return "cut"


def try_one(random: Random) -> str:
    names = [":event-type", ":message-type", "é", "n" * random.randint(1, 255), "x", "y", "z"]
    chosen = random.sample(names, random.randint(1, 5))
    blocks = [encode_headers({name: a_value(random)}) for name in chosen]
    whole = b"".join(blocks)
    chance = random.random()
    if chance < 0.1 and len(set(chosen)) == len(chosen):
        block = whole
        offset = random.randint(0, len(whole))
    else:
        block = random.randbytes(random.randint(0, 80)) if chance < 0.2 else mutated(random, whole)
        offset = -1
    try:
        return check(block) if offset < 0 else check_cut(blocks, offset)
    except BaseException as failure:
        failure.add_note(f"bytes.fromhex({block.hex()!r}), cut at {offset}")
        raise


if __name__ == "__main__":
    sys.exit(command("Header blocks:", try_one))
