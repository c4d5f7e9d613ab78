"""What does one event cost through the whole client, when all bytes are there at once?

The server sends the whole answer as fast as the socket takes it, so the client does nothing but its own work, and the
CPU time of its process, threads and all, is divided by the number of text deltas. One short answer before warms the
connection up. Converse for everybody who speaks it; Claude's native form for the Anthropic SDK. aiohttp alone, which
reads the bytes and looks at none, is the floor.

Tried and lost:
- A read buffer of 256 KiB in place of 64: x1.45, for memory that each read maps anew; of 32: no difference.
"""

from __future__ import annotations

import time
from typing import Any

from .contenders import load
from .measure import OURS, Lab, Sample, Setting
from .orders import Order
from .reading import run, sampled

__all__ = ("ask", "trial")

_QUICK = (OURS, "aiohttp_alone", "aiobotocore", "boto3")
_SLOW = ("aws_sdk", "langchain_aws", "pydantic_ai", "litellm")
_UNIT = "us/event"
_GOALS = {_UNIT: {"aiobotocore": 9, "anthropic": 15, "aws_sdk": 40, "langchain_aws": 40, "litellm": 80}}


def ask(lab: Lab) -> None:
    """Race them."""
    events, url = lab.pick(6000, 50), lab.servers.plain
    converse = Setting(case="converse", url=url, events=events)
    lab.race("burst", _QUICK if lab.quick else (*_QUICK, *_SLOW), converse, goals=_GOALS)
    native = Setting(case="native", form="invoke", url=url, events=events)
    lab.race("burst", [OURS, "aiohttp_alone", "anthropic"], native, goals=_GOALS)


def trial(setting: Setting) -> Sample:
    """Read one long answer."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    taken: list[Any] = []
    async with load(setting.contender).reading(setting) as read:
        await read(Order(10).prompt(), lambda piece: None)
        began = time.process_time()
        await read(Order(setting.events).prompt(), taken.append)
        cost = time.process_time() - began
    return sampled(setting, [taken], {_UNIT: cost / setting.events * 1e6})
