"""Delay of events with a thousand active streams, and the number of streams that one process handles in time.

Each stream receives ten events per second. Each event contains the time at which the server wrote it; both processes
use the same monotonic clock. The delay is the time that the kernel and the client add before the program has the text.
The first half second is ignored. Then a search by doubling and bisection finds the largest number of streams with a p99
below 50 ms. Each step is a separate trial, and the search ends when its time budget is used.

The texts differ from run to run, so contenders must agree on their number only.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time

import msgspec

from .contenders import load
from .measure import OURS, Lab, Row, Sample, Setting, can_run
from .orders import Order
from .reading import run

__all__ = ("ask", "trial")

_PACE = 100.0
_IN_TIME = 50.0  # ms
_WARM_UP = 5  # events of each stream that are ignored
_BUDGET = 8.0  # seconds for each search
_CONTENDERS = (OURS, "aiohttp_alone", "aiobotocore")
_STAMP = re.compile(rb'"text":"([0-9.]+)"')


def ask(lab: Lab) -> None:
    """Run the contenders with a thousand streams, then search for the maximum."""
    events = lab.pick(20, _WARM_UP + 2)
    for loop in ("asyncio", "uvloop"):
        setting = Setting(
            case=f"{lab.pick(1000, 5)} streams, {loop}",
            url=lab.servers.plain,
            loop=loop,
            streams=lab.pick(1000, 5),
            events=events,
            pace_ms=_PACE if not lab.quick else 10,
        )
        lab.race("sustained", [OURS, "aiohttp_alone"], setting, most={"ms p99": _IN_TIME})
        if not lab.quick:
            for contender in _CONTENDERS:
                if can_run(contender, setting):
                    lab.add(_search(lab, setting, contender))


def _search(lab: Lab, setting: Setting, contender: str) -> Row:
    """Return the largest number of streams that are in time, to within an eighth."""
    deadline = time.monotonic() + _BUDGET
    fits, too_many, streams = 0, 0, 1500
    while time.monotonic() < deadline and (not too_many or too_many - fits > fits / 8) and streams:
        changes = {"contender": contender, "case": f"{streams} streams?", "streams": streams}
        if lab.trial("sustained", msgspec.structs.replace(setting, **changes)).figures["ms p99"] < _IN_TIME:
            fits = streams
        else:
            too_many = streams
        streams = (fits + too_many) // 2 if too_many else 2 * fits
    case = f"in time, {setting.loop}"
    return Row(question="sustained", case=case, contender=contender, unit="streams", value=fits)


def trial(setting: Setting) -> Sample:
    """Measure the delay of each event in many concurrent streams."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    order = Order(setting.events, setting.pace_ms, crowd=setting.streams, stamped=True)
    prompt, delays, ignored = order.prompt(), list[float](), _WARM_UP * setting.streams

    def on_text(piece: str | bytes) -> None:
        now = time.monotonic()
        stamps = [piece] if isinstance(piece, str) else _STAMP.findall(piece)
        delays.extend(now - float(stamp) for stamp in stamps)

    async with load(setting.contender).reading(setting) as read:
        await asyncio.gather(*(read(prompt, on_text) for _ in range(setting.streams)))
    quantiles = statistics.quantiles(delays[ignored:], n=100, method="inclusive")
    return Sample({"ms p50": quantiles[49] * 1000, "ms p99": quantiles[98] * 1000}, events=len(delays))
