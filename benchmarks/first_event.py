"""How much CPU goes by between asking and the first event, on a connection that is open already?

Building the request, signing, sending, the answer's head and its first frames, with a server that answers at once; and
the rest of a short answer, so that the connection can be used again. One call after another, median of all calls of a
trial. aiohttp alone sends the same prompt unsigned.
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


def ask(lab: Lab) -> None:
    """Race them."""
    calls = lab.pick(200, 5)
    converse = Setting(case="converse", url=lab.servers.plain, events=calls)
    lab.race("first_event", _CONTENDERS, converse)
    native = Setting(case="native", form="invoke", url=lab.servers.plain, events=calls)
    lab.race("first_event", [OURS, "aiohttp_alone", "anthropic"], native)


def trial(setting: Setting) -> Sample:
    """Call again and again."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    firsts, wholes, taken = [], [], []
    async with load(setting.contender).reading(setting) as read:
        for call in range(setting.events + 5):
            pieces: list[Any] = []
            first = 0.0

            def take(piece: Any, pieces: list[Any] = pieces) -> None:
                nonlocal first
                first = first or time.process_time()
                pieces.append(piece)

            began = time.process_time()
            await read(Order(3).prompt(), take)
            ended = time.process_time()
            if call >= 5:  # the first ones connect and warm up
                firsts.append(first - began)
                wholes.append(ended - began)
                taken.append(pieces)
    figures = {"us to the first": statistics.median(firsts) * 1e6, "us/call": statistics.median(wholes) * 1e6}
    return sampled(setting, taken, figures)
