# The invariant: whatever bytes a header block holds, decode_headers raises nothing but InvalidHeader; what it read can
# be written again and is then read as the same, types included; and a sound block that is cut between no two headers
# is refused.
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
    """Raise AssertionError, or whatever was let out, where the invariant does not hold."""
    try:
        headers = decode_headers(block)
    except InvalidHeader:
        return "refused"
    if any(isinstance(value, str | bytes) and len(value) > 32_000 for value in headers.values()):
        return "read, too long to write"  # readers take what writers must not
    again = decode_headers(encode_headers(headers))
    assert typed(again) == typed(headers)
    return "read"


def check_cut(blocks: list[bytes], place: int) -> str:
    whole = b"".join(blocks)
    edges = {sum(map(len, blocks[:count])) for count in range(len(blocks) + 1)}
    outcome = check(whole[:place])
    assert (outcome == "read") == (place in edges), "a cut header was read"
    return "cut"


def try_one(random: Random) -> str:
    names = [":event-type", ":message-type", "é", "n" * random.randint(1, 255), "x", "y", "z"]
    chosen = random.sample(names, random.randint(1, 5))
    blocks = [encode_headers({name: a_value(random)}) for name in chosen]
    whole = b"".join(blocks)
    chance = random.random()
    if chance < 0.1 and len(set(chosen)) == len(chosen):
        block = whole
        place = random.randint(0, len(whole))
    else:
        block = random.randbytes(random.randint(0, 80)) if chance < 0.2 else mutated(random, whole)
        place = -1
    try:
        return check(block) if place < 0 else check_cut(blocks, place)
    except BaseException as failure:
        failure.add_note(f"bytes.fromhex({block.hex()!r}), cut at {place}")
        raise


if __name__ == "__main__":
    sys.exit(command("Header blocks:", try_one))
