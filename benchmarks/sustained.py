"""Delay of events with a thousand active streams, and the number of streams that one process handles in time.

Each stream receives ten events per second. Each event contains the time at which the server wrote it; both processes
use the same monotonic clock. The delay is the time that the kernel and the client add before the program has the text.
A hundred short streams first warm up the client. Then all streams are opened at once, and each receives its first
event. When all are open, the others follow at their pace. p99 is reported without the first second of these, as the
steady state, and with all events, which includes opening.

A search finds the largest number of streams with a p99 below 50 ms in the steady state: from the goal, up by halves or
down to a half, then by bisection. Each step is a separate trial. One that is a little late is repeated once, since
other load on the machine only delays events. The search ends when its time budget is used and a step was in time. A
step in which the server itself did not keep the pace counts as late.

The texts differ from run to run, so contenders must agree on their number only.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from .contenders import load
from .measure import OURS, Disagreement, Lab, Row, Sample, Setting, can_run
from .orders import Order
from .reading import Crowd, run
from .servers import gate

__all__ = ("Received", "ask", "trial")

_PACE = 100.0
_FIRST = 10  # events of each stream in the first second
_P99 = "ms p99"
_OF_THE_PACE = "of the pace"
_IN_TIME = 50.0  # ms
_TOO_LATE = 500.0  # ms; more than a garbage collection or other load on the machine explains
_IN_PACE = 0.95
_GOALS = {"asyncio": 4000, "uvloop": 5000}  # streams in time
_BUDGETS = {OURS: 25.0, "aiohttp_alone": 10.0, "aiobotocore": 10.0}  # seconds of each search
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
            for contender in _BUDGETS:
                if can_run(contender, setting):
                    row = _search(lab, replace(setting, contender=contender))
                    lab.add(row, least=_GOALS[loop] if contender == OURS else None)


def _search(lab: Lab, setting: Setting) -> Row:
    """Return the largest number of streams that are in time, to within an eighth if the budget allows."""
    deadline = time.monotonic() + _BUDGETS[setting.contender]
    fits, too_many, streams = 0, 0, _GOALS[setting.loop]
    while streams and (not fits or (time.monotonic() < deadline and not 0 < too_many - fits <= fits / 8)):
        step = replace(setting, case=f"{streams} streams?", streams=streams)
        p99 = _p99(lab, step)
        if p99 < _IN_TIME or (p99 < _TOO_LATE and _p99(lab, step) < _IN_TIME):
            fits = streams
        else:
            too_many = streams
        streams = (fits + too_many) // 2 if too_many else fits * 3 // 2
    case = f"in time, {setting.loop}"
    return Row(question="sustained", case=case, contender=setting.contender, unit="streams", value=fits)


def _p99(lab: Lab, setting: Setting) -> float:
    """Return the p99 of a step, or infinity if the server was too slow to tell."""
    sample = lab.trial("sustained", setting)
    if sample.events != (expected := setting.streams * setting.events):
        raise Disagreement(f"{setting.contender} read {sample.events} texts instead of {expected}")
    return sample.figures[_P99] if sample.figures[_OF_THE_PACE] >= _IN_PACE else float("inf")


def trial(setting: Setting) -> Sample:
    """Measure the delay of each event in many concurrent streams."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    streams = [Received() for _ in range(setting.streams)]
    crowd = Crowd(setting, Order(setting.events, setting.pace_ms, stamped=True, gated=True), streams)
    async with load(setting.contender).reading(setting) as read:
        await asyncio.gather(*(read(Order(10).prompt(), lambda piece: None) for _ in range(min(100, setting.streams))))
        with gate(setting.url) as open_gate:
            reading = asyncio.ensure_future(crowd.read(read))
            await crowd.all_started.wait()
            start = time.monotonic()
            open_gate()
            await reading
    events = [event for stream in streams for event in stream.events()]
    return Sample(_figures(setting, events, start), events=len(events))


def _figures(setting: Setting, events: Sequence[tuple[float, float]], start: float) -> dict[str, float]:
    """Return the figures of events, each with the times at which it was sent and received."""
    interval = setting.pace_ms / 1000
    steady = [received - sent for sent, received in events if sent >= start + _FIRST * interval]
    return {
        "ms p50": _percentile(50, steady),
        _P99: _percentile(99, steady),
        "ms p99 with the first second": _percentile(99, [received - sent for sent, received in events]),
        _OF_THE_PACE: (setting.events - 1) * interval / (max(sent for sent, _ in events) - start),
    }


def _percentile(percent: int, delays: Sequence[float]) -> float:
    return statistics.quantiles(delays, n=100, method="inclusive")[percent - 1] * 1000


class Received(list[Any]):
    """The pieces of one stream, and when each was received. They are parsed later, outside of the measured time."""

    def __init__(self) -> None:
        super().__init__()
        self._times: list[float] = []

    def append(self, piece: Any) -> None:
        """Add a piece that is received now."""
        self._times.append(time.monotonic())
        super().append(piece)

    def events(self) -> Iterator[tuple[float, float]]:
        """Yield when each event was sent and received."""
        unread = b""
        for piece, received in zip(self, self._times, strict=True):
            if isinstance(piece, str):
                yield float(piece), received
                continue
            unread += piece
            end = 0
            for stamp in _STAMP.finditer(unread):
                yield float(stamp[1]), received
                end = stamp.end()
            unread = unread[end:]
