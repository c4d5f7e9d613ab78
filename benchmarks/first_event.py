"""CPU time from the call to the first event, on an open connection.

It covers building, signing and sending the request, the head of the response and its first frames, with a server that
responds at once. A second figure includes the rest of a short answer, after which the connection is reused. Calls run
one after another; the figure is the median of all calls of a trial. aiohttp alone sends the same prompt unsigned.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from .contenders import load
from .measure import OURS, Lab, Sample, Setting
from .orders import Order
from .reading import run, sampled

__all__ = ("ask", "trial")

_CONTENDERS = (OURS, "aiohttp_alone", "aiobotocore", "boto3")
_FIRST = "us to the first"
_GOALS = {_FIRST: {"aiohttp_alone": 1 / 1.8}}


def ask(lab: Lab) -> None:
    """Run the contenders."""
    calls = lab.pick(200, 5)
    converse = Setting(case="converse", url=lab.servers.plain, events=calls)
    lab.race("first_event", _CONTENDERS, converse, goals=_GOALS)
    native = Setting(case="native", form="invoke", url=lab.servers.plain, events=calls)
    lab.race("first_event", [OURS, "aiohttp_alone", "anthropic"], native, goals=_GOALS)


def trial(setting: Setting) -> Sample:
    """Measure many calls in a row."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    first_events, calls, received = [], [], []
    async with load(setting.contender).reading(setting) as read:
        for call in range(setting.events + 5):
            pieces: list[Any] = []
            first = 0.0

            def on_text(piece: Any, pieces: list[Any] = pieces) -> None:
                nonlocal first
                first = first or time.process_time()
                pieces.append(piece)

            start = time.process_time()
            await read(Order(3).prompt(), on_text)
            end = time.process_time()
            if call >= 5:  # the first calls connect and warm up
                first_events.append(first - start)
                calls.append(end - start)
                received.append(pieces)
    figures = {_FIRST: statistics.median(first_events) * 1e6, "us/call": statistics.median(calls) * 1e6}
    return sampled(setting, received, figures)
