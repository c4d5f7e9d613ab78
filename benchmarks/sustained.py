"""How late is an event when a thousand streams speak at once, and how many streams can one process hear in time?

Each stream gets ten events a second, each event carries the time at which the server wrote it; both processes read the
same monotonic clock. The delay is what the kernel and the client add before the program has the text. The first half
second does not count. Then streams are doubled, and the last step halved again and again, to find the largest crowd
whose p99 stays below 50 ms; each step is a trial of its own, and the search ends with its budget.

The stamped texts differ from run to run, so contenders agree on their number only.
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
_SETTLING = 5  # events of each stream
_BUDGET = 8.0  # seconds for each search
_CONTENDERS = (OURS, "aiohttp_alone", "aiobotocore")
_STAMP = re.compile(rb'"text":"([0-9.]+)"')


def ask(lab: Lab) -> None:
    """Race a thousand streams, then look for the most."""
    events = lab.pick(20, _SETTLING + 2)
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
                    lab.note(_search(lab, setting, contender))


def _search(lab: Lab, setting: Setting, contender: str) -> Row:
    """The largest crowd in time, to an eighth."""
    ends = time.monotonic() + _BUDGET
    fits, too_many, streams = 0, 0, 1500
    while time.monotonic() < ends and (not too_many or too_many - fits > fits / 8) and streams:
        told = {"contender": contender, "case": f"{streams} streams?", "streams": streams}
        if lab.trial("sustained", msgspec.structs.replace(setting, **told)).figures["ms p99"] < _IN_TIME:
            fits = streams
        else:
            too_many = streams
        streams = (fits + too_many) // 2 if too_many else 2 * fits
    case = f"in time, {setting.loop}"
    return Row(question="sustained", case=case, contender=contender, unit="streams", value=fits)


def trial(setting: Setting) -> Sample:
    """Listen to a crowd and note how late each event is."""
    return run(setting, _listen(setting))


async def _listen(setting: Setting) -> Sample:
    order = Order(setting.events, setting.pace_ms, crowd=setting.streams, stamped=True)
    prompt, delays, early = order.prompt(), list[float](), _SETTLING * setting.streams

    def take(piece: str | bytes) -> None:
        now = time.monotonic()
        stamps = [piece] if isinstance(piece, str) else _STAMP.findall(piece)
        delays.extend(now - float(stamp) for stamp in stamps)

    async with load(setting.contender).reading(setting) as read:
        await asyncio.gather(*(read(prompt, take) for _ in range(setting.streams)))
    late = statistics.quantiles(delays[early:], n=100, method="inclusive")
    return Sample({"ms p50": late[49] * 1000, "ms p99": late[98] * 1000}, events=len(delays))
