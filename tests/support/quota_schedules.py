"""A table of schedules that every kind of quota must keep: who is granted what, in which order, and not before when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bedrock_stream import Usage
from bedrock_stream.transport.quota import BaseQuota, Reservation

__all__ = ("SCHEDULES", "Schedule", "play")


def _used(tokens: int) -> Usage:
    return Usage(input_tokens=tokens - 1, output_tokens=1)


@dataclass(frozen=True)
class Schedule:
    """`steps` are played in order; `order` is that of the grants, `seconds` the least time that they need."""

    settings: dict[str, Any]
    steps: Sequence[tuple[Any, ...]]
    order: str
    seconds: float


# 60,000 tokens a minute are one a millisecond, and the bucket holds 60 of them.
_TOKENS = {"tpm": 60_000, "burst": 0.001}
# 6,000 requests a minute are one each 10 ms, and the bucket holds 3.
_REQUESTS = {"rpm": 6000, "burst": 0.0005}

SCHEDULES = {
    "requests beyond the burst": Schedule(_REQUESTS, [("ask", name, 1) for name in "abcdefgh"], "abcdefgh", 0.05),
    "tokens beyond the burst": Schedule(_TOKENS, [("ask", name, 30) for name in "abcd"], "abcd", 0.06),
    "both limits": Schedule({**_TOKENS, "rpm": 6000}, [("ask", name, 30) for name in "abcd"], "abcd", 0.06),
    "no tokens": Schedule(_TOKENS, [("ask", "a", 60), ("ask", "b", 0), ("ask", "c", 20)], "abc", 0.02),
    "a large one is not overtaken": Schedule(
        _TOKENS, [("ask", "a", 60), ("ask", "b", 60), ("ask", "c", 1), ("ask", "d", 1)], "abcd", 0.062
    ),
    "larger than the bucket": Schedule(_TOKENS, [("ask", "a", 160), ("ask", "b", 10)], "ab", 0.11),
    "larger than the bucket, which is not full": Schedule(
        _TOKENS, [("ask", "a", 30), ("ask", "b", 160), ("ask", "c", 10)], "abc", 0.14
    ),
    "what was not used comes back": Schedule(
        _TOKENS,
        [("ask", "a", 60), ("got", "a"), ("settle", "a", _used(10)), ("ask", "b", 50), ("got", "b"), ("ask", "c", 30)],
        "abc",
        0.03,
    ),
    "it comes back for those who wait": Schedule(
        {"tpm": 60, "burst": 1}, [("ask", "a", 60), ("ask", "b", 50), ("got", "a"), ("settle", "a", _used(5))], "ab", 0
    ),
    "unknown usage keeps the reservation": Schedule(
        _TOKENS, [("ask", "a", 60), ("got", "a"), ("settle", "a", None), ("ask", "b", 60)], "ab", 0.06
    ),
    "part of the usage is unknown": Schedule(
        _TOKENS, [("ask", "a", 60), ("got", "a"), ("settle", "a", Usage(input_tokens=1)), ("ask", "b", 60)], "ab", 0.06
    ),
    "more than was reserved is a debt": Schedule(
        _TOKENS, [("ask", "a", 10), ("got", "a"), ("settle", "a", _used(110)), ("ask", "b", 10)], "ab", 0.06
    ),
    "output burns faster, cache writes count, cache reads do not": Schedule(
        {**_TOKENS, "burn": 5},
        [
            ("ask", "a", 10),
            ("got", "a"),
            ("settle", "a", Usage(input_tokens=10, output_tokens=16, cache_read_tokens=999, cache_write_tokens=20)),
            ("ask", "b", 10),
        ],
        "ab",
        0.06,
    ),
    "the second settlement has no effect": Schedule(
        _TOKENS,
        [("ask", "a", 60), ("got", "a"), ("settle", "a", None), ("settle", "a", _used(2)), ("ask", "b", 60)],
        "ab",
        0.06,
    ),
    "what never started is given back whole": Schedule(
        {"rpm": 1, "tpm": 60, "burst": 1},
        [("ask", "a", 60), ("got", "a"), ("give back", "a"), ("give back", "a"), ("ask", "b", 60)],
        "ab",
        0,
    ),
    "a cancelled wait takes nothing": Schedule(
        _TOKENS,
        [("ask", "a", 60), ("got", "a"), ("ask", "b", 50), ("ask", "c", 20), ("cancel", "b")],
        "ac",
        0.02,
    ),
    "a throttle halves the rate": Schedule(
        _TOKENS, [("ask", "a", 60), ("got", "a"), ("throttled", "a"), ("ask", "b", 50)], "ab", 0.1
    ),
}


async def play(quota: BaseQuota, schedule: Schedule) -> tuple[str, float]:
    """Play a schedule to its end. Return the order of the grants, and the seconds that they took."""
    loop = asyncio.get_running_loop()
    granted: list[str] = []
    asking: dict[str, asyncio.Task[Reservation]] = {}

    async def ask(name: str, tokens: int) -> Reservation:
        reservation = await quota.reserve(tokens)
        granted.append(name)
        return reservation

    began = loop.time()
    for step, name, *arguments in schedule.steps:
        if step == "ask":
            asking[name] = asyncio.create_task(ask(name, *arguments))
            await asyncio.sleep(0)
        elif step == "cancel":
            asking.pop(name).cancel()
        else:
            reservation = await asking[name]
            if step == "settle":
                await reservation.settle(*arguments)
            elif step == "give back":
                reservation.give_back()
            elif step == "throttled":
                reservation.throttled()
    async with asyncio.timeout(20):
        await asyncio.gather(*asking.values())
    return "".join(granted), loop.time() - began
