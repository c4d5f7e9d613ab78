"""What every harness stands on: accidents to bytes and to JSON, and a loop that tries inputs until time is up.

Each input has a seed of its own, so one number repeats it: `--seed N` begins with input N.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

__all__ = ("ODD_BYTES", "command", "mutated", "mutated_json", "run", "some_cuts")

ODD_BYTES = b"\x00\x01\x02\x05\x06\x07\x08\x09\x0a\x7f\x80\xc3\xed\xff"
SLOWEST = 5.0
"""Seconds that no input may take, even on a busy machine."""

# Values that stand where another one was meant: every JSON type, the edges of the number types, text no UTF-8 can hold.
_ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 1.5, -0.0, 1e308, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30),
    *("", " ", "x", "1", "null", "\0", "é", "\N{GRINNING FACE}", "\ud800", "a" * 300, "end_turn", "tool_use"),
    *([], {}, [[]], [None], [{}], {"": None}, {"text": "x"}, {"type": "text"}, [1, "a", {}]),
]
_NAMES = (
    *("amazon-bedrock-guardrailAction", "amazon-bedrock-trace", "amazon-bedrock-invocationMetrics", "usage", "index"),
    *("citations", "citation", "tool_calls", "toolUse", "toolResult", "image", "stop_reason", "error", "unknown", ""),
)
_DEEP = (b"[" * 900 + b"]" * 900, b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000)


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


def mutated_json(random: Random, document: bytes) -> bytes:
    """A JSON document after accidents: mostly to its values and members, at times to its bytes."""
    chance = random.random()
    if chance < 0.15:
        return mutated(random, document)
    if chance < 0.16:
        return random.choice(_DEEP)
    holder = [json.loads(document)]
    for _ in range(random.randint(1, 3)):
        _disturb(random, holder)
    return json.dumps(holder[0]).encode()


def _disturb(random: Random, holder: list[Any]) -> None:
    places = _places(holder)
    container, key = random.choice(places)
    match random.randrange(8):
        case 0 | 1:
            container[key] = deepcopy(random.choice(_ODD))
        case 2 if container is not holder:
            del container[key]
        case 3:
            container[key] = random.choice([[container[key]], {"value": container[key]}, {str(key): container[key]}])
        case 4 if isinstance(container, dict):
            names = [name for _, name in places if isinstance(name, str)]
            container[random.choice([*names, *_NAMES])] = container.pop(key)
        case 5 if isinstance(container, list) and container is not holder:
            container.insert(random.randint(0, len(container)), deepcopy(container[key]))
        case 6 if isinstance(container, dict):
            container[random.choice(_NAMES)] = deepcopy(random.choice([*_ODD, "INTERVENED", container]))
        case _:
            other, name = random.choice(places)
            container[key] = deepcopy(other[name])


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a value with each of its keys."""
    found: list[tuple[Any, Any]] = []
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in inside:
        found.append((value, key))
        found += _places(member)
    return found


def some_cuts(random: Random, length: int) -> list[int]:
    """Places to cut something into pieces, both ends among them."""
    return sorted({0, length, *(random.randint(0, length) for _ in range(random.randint(0, 6)))})


def run(
    try_one: Callable[[Random], str], *, seed: int, seconds: float = 3600.0, count: int | None = None
) -> Counter[str]:
    """Try inputs until time or count is up; how often each outcome came. Raises what an input broke, with its seed."""
    outcomes: Counter[str] = Counter()
    until = time.monotonic() + seconds
    number = seed
    while time.monotonic() < until and (count is None or number < seed + count):
        began = time.monotonic()
        try:
            outcomes[try_one(Random(number))] += 1  # noqa: S311  # chance here is no secret
        except Exception as failure:
            failure.add_note(f"repeat it with --seed {number}")
            raise
        if time.monotonic() - began > SLOWEST:
            raise AssertionError(f"one input took {time.monotonic() - began:.1f} s: repeat it with --seed {number}")
        number += 1
    return outcomes


def command(about: str, try_one: Callable[[Random], str], arguments: list[str] | None = None) -> int:
    """The command line of a harness; 1 where its invariant does not hold."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="begin with this input")
    options = parser.parse_args(arguments)
    seed = time.time_ns() // 1000 if options.seed is None else options.seed
    try:
        outcomes = run(try_one, seed=seed, seconds=options.seconds)
    except Exception:
        traceback.print_exc()
        return 1
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"{about} {outcomes.total()} inputs from seed {seed}: {told}")
    return 0
