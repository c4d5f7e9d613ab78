"""Delay of events with a thousand active streams, and the number of streams that one process handles in time.

Each stream receives ten events per second. Each event contains the time at which the server wrote it; both processes
use the same monotonic clock. The delay is the time that the kernel and the client add before the program has the text.
A hundred short streams first warm up the client. All streams start together once all are connected, and their first
second, in which they all start, has a figure of its own: p99 with it, and without it.

Then a search finds the largest number of streams with a p99 below 50 ms, without the first second: from the goal, up by
halves or down to a half, then by bisection. Each step is a separate trial. One that is a little late is repeated once,
since other load on the machine only delays events. The search ends when its time budget is used and a step was in time.

The texts differ from run to run, so contenders must agree on their number only.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Iterator, Sequence

import msgspec

from .contenders import load
from .measure import OURS, Disagreement, Lab, Row, Sample, Setting, can_run
from .orders import Order
from .reading import run

__all__ = ("Received", "ask", "trial")

_PACE = 100.0
_FIRST = 10  # events of each stream in the first second
_P99, _P99_OF_ALL = "ms p99", "ms p99 with the first second"
_IN_TIME = 50.0  # ms
_TOO_LATE = 500.0  # ms; more than a garbage collection or other load on the machine explains
_GOALS = {"asyncio": 4000, "uvloop": 5000}  # streams in time
_BUDGET = 25.0  # seconds for each search
_CONTENDERS = (OURS, "aiohttp_alone", "aiobotocore")
_STAMP = re.compile(rb'"text":"([0-9.]+)"')


def ask(lab: Lab) -> None:
    """Run the contenders with a thousand streams, then search for the maximum."""
    for loop in _GOALS:
        setting = Setting(
            case=f"{lab.pick(1000, 5)} streams, {loop}",
            url=lab.servers.plain,
            loop=loop,
            streams=lab.pick(1000, 5),
            events=_FIRST + lab.pick(20, 2),
            pace_ms=_PACE if not lab.quick else 10,
        )
        lab.race("sustained", [OURS, "aiohttp_alone"], setting, most={_P99: _IN_TIME})
        if not lab.quick:
            for contender in _CONTENDERS:
                if can_run(contender, setting):
                    row = _search(lab, msgspec.structs.replace(setting, contender=contender))
                    lab.add(row, least=_GOALS[loop] if contender == OURS else None)


def _search(lab: Lab, setting: Setting) -> Row:
    """Return the largest number of streams that are in time, to within an eighth if the budget allows."""
    deadline = time.monotonic() + _BUDGET
    fits, too_many, streams = 0, 0, _GOALS[setting.loop]
    while streams and (not fits or (time.monotonic() < deadline and not 0 < too_many - fits <= fits / 8)):
        step = msgspec.structs.replace(setting, case=f"{streams} streams?", streams=streams)
        p99 = _p99(lab, step)
        if p99 < _IN_TIME or (p99 < _TOO_LATE and _p99(lab, step) < _IN_TIME):
            fits = streams
        else:
            too_many = streams
        streams = (fits + too_many) // 2 if too_many else fits * 3 // 2
    case = f"in time, {setting.loop}"
    return Row(question="sustained", case=case, contender=setting.contender, unit="streams", value=fits)


def _p99(lab: Lab, setting: Setting) -> float:
    sample = lab.trial("sustained", setting)
    if sample.events != (expected := setting.streams * setting.events):
        raise Disagreement(f"{setting.contender} read {sample.events} texts instead of {expected}")
    return sample.figures[_P99]


def trial(setting: Setting) -> Sample:
    """Measure the delay of each event in many concurrent streams."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    prompt = Order(setting.events, setting.pace_ms, crowd=setting.streams, stamped=True).prompt()
    streams = [Received() for _ in range(setting.streams)]
    async with load(setting.contender).reading(setting) as read:
        await asyncio.gather(*(read(Order(10).prompt(), lambda piece: None) for _ in range(min(100, setting.streams))))
        await asyncio.gather(*(read(prompt, stream.add) for stream in streams))
    events = [event for stream in streams for event in stream.events()]
    first_second = min(sent for sent, _ in events) + _FIRST * setting.pace_ms / 1000
    delays = [received - sent for sent, received in events]
    steady = [received - sent for sent, received in events if sent >= first_second]
    figures = {"ms p50": _percentile(50, steady), _P99: _percentile(99, steady), _P99_OF_ALL: _percentile(99, delays)}
    return Sample(figures, events=len(events))


def _percentile(percent: int, delays: Sequence[float]) -> float:
    return statistics.quantiles(delays, n=100, method="inclusive")[percent - 1] * 1000


class Received:
    """The pieces of one stream and when they came. They are parsed later, outside of the measured time."""

    def __init__(self) -> None:
        self._pieces: list[str | bytes] = []
        self._times: list[float] = []

    def add(self, piece: str | bytes) -> None:
        self._times.append(time.monotonic())
        self._pieces.append(piece)

    def events(self) -> Iterator[tuple[float, float]]:
        """Yield when each event was sent and received."""
        unread = b""
        for piece, received in zip(self._pieces, self._times, strict=True):
            if isinstance(piece, str):
                yield float(piece), received
                continue
            unread += piece
            end = 0
            for stamp in _STAMP.finditer(unread):
                yield float(stamp[1]), received
                end = stamp.end()
            unread = unread[end:]
