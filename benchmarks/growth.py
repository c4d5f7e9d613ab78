"""Does ten times as much cost ten times as much?

One stream of n events against one of 10 n, and ten streams against a hundred side by side. All bytes are there at once.
A little more than ten is the price of caches that no longer hold everything; quadratic work would show as a hundred.

Tried and lost:
- Assembling a response by `text += piece`: quadratic once somebody else holds the text; 0.03 s for 20,000 pieces, 32 s
  for 200,000.
"""

from __future__ import annotations

import time

import msgspec

from .contenders import Read, load
from .measure import OURS, Lab, Sample, Setting
from .orders import Order
from .reading import Crowd, run, sampled

__all__ = ("ask", "trial")

_UNIT = "times the CPU"
_MOST = 11.0
_GROWING = {"10 x events": "events", "10 x streams": "streams"}


def ask(lab: Lab) -> None:
    """Race them."""
    url, streams = lab.servers.plain, lab.pick(10, 1)
    contenders = [OURS, "aiobotocore"]
    lab.race("growth", contenders, Setting(case="10 x events", url=url, events=lab.pick(3000, 20)), most={_UNIT: _MOST})
    crowds = Setting(case="10 x streams", url=url, events=lab.pick(300, 5), streams=streams)
    lab.race("growth", contenders, crowds, most={_UNIT: _MOST})


def trial(setting: Setting) -> Sample:
    """Read little, then ten times as much."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    many = msgspec.structs.replace(setting, **{_GROWING[setting.case]: 10 * getattr(setting, _GROWING[setting.case])})
    async with load(setting.contender).reading(many) as read:
        await _cost(read, many)  # connections for all, before anything counts
        little = min([await _cost(read, setting) for _ in range(3)])
        crowd = Crowd(many, Order(many.events))
        began = time.process_time()
        await crowd.read(read)
        much = time.process_time() - began
    return sampled(setting, crowd.taken, {_UNIT: much / little})


async def _cost(read: Read, setting: Setting) -> float:
    began = time.process_time()
    await Crowd(setting, Order(setting.events)).read(read)
    return time.process_time() - began
