"""Shared by the fuzz harnesses: mutations of bytes and of JSON, and a loop that tries inputs for a given time.

Each input has its own seed, so one number repeats it: `--seed N` begins with input N.
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
"""The time limit for one input, in seconds, which allows for a busy machine."""

# Values to put in the place of another: every JSON type, limits of number types, text that UTF-8 cannot encode.
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
    """Return `data` after one to four small mutations."""
    result = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(result))
        match random.randrange(6):
            case 0 if at < len(result):
                result[at] ^= 1 << random.randrange(8)
            case 1 if at < len(result):
                result[at] = random.choice(ODD_BYTES)
            case 2:
                del result[at : at + random.randint(1, 8)]
            case 3:
                result[at:at] = random.randbytes(random.randint(1, 8))
            case 4:
                result[at:at] = result[at : at + random.randint(1, 24)]
            case _:
                del result[at:]
    return bytes(result)


def mutated_json(random: Random, document: bytes) -> bytes:
    """Return a JSON document after mutations: mostly of its values and members, sometimes of its bytes."""
    chance = random.random()
    if chance < 0.15:
        return mutated(random, document)
    if chance < 0.16:
        return random.choice(_DEEP)
    holder = [json.loads(document)]
    for _ in range(random.randint(1, 3)):
        _mutate_value(random, holder)
    return json.dumps(holder[0]).encode()


def _mutate_value(random: Random, holder: list[Any]) -> None:
    slots = _slots(holder)
    container, key = random.choice(slots)
    match random.randrange(8):
        case 0 | 1:
            container[key] = deepcopy(random.choice(_ODD))
        case 2 if container is not holder:
            del container[key]
        case 3:
            container[key] = random.choice([[container[key]], {"value": container[key]}, {str(key): container[key]}])
        case 4 if isinstance(container, dict):
            names = [name for _, name in slots if isinstance(name, str)]
            container[random.choice([*names, *_NAMES])] = container.pop(key)
        case 5 if isinstance(container, list) and container is not holder:
            container.insert(random.randint(0, len(container)), deepcopy(container[key]))
        case 6 if isinstance(container, dict):
            container[random.choice(_NAMES)] = deepcopy(random.choice([*_ODD, "INTERVENED", container]))
        case _:
            other, name = random.choice(slots)
            container[key] = deepcopy(other[name])


def _slots(value: Any) -> list[tuple[Any, Any]]:
    """Return a pair of container and key for each member at any depth of a value."""
    slots: list[tuple[Any, Any]] = []
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in inside:
        slots.append((value, key))
        slots += _slots(member)
    return slots


def some_cuts(random: Random, length: int) -> list[int]:
    """Return sorted offsets at which to split something of this length; both ends are included."""
    return sorted({0, length, *(random.randint(0, length) for _ in range(random.randint(0, 6)))})


def run(
    try_one: Callable[[Random], str], *, seed: int, seconds: float = 3600.0, count: int | None = None
) -> Counter[str]:
    """Try inputs until the time or the count is reached; return the number of each outcome.

    An exception is raised again with a note that names its seed.
    """
    outcomes: Counter[str] = Counter()
    until = time.monotonic() + seconds
    number = seed
    while time.monotonic() < until and (count is None or number < seed + count):
        began = time.monotonic()
        try:
            outcomes[try_one(Random(number))] += 1  # noqa: S311  # not for secrets
        except Exception as failure:
            failure.add_note(f"repeat it with --seed {number}")
            raise
        if time.monotonic() - began > SLOWEST:
            raise AssertionError(f"one input took {time.monotonic() - began:.1f} s: repeat it with --seed {number}")
        number += 1
    return outcomes


def command(about: str, try_one: Callable[[Random], str], arguments: list[str] | None = None) -> int:
    """Run a harness from the command line; return 1 if its invariant does not hold."""
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
    summary = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"{about} {outcomes.total()} inputs from seed {seed}: {summary}")
    return 0
