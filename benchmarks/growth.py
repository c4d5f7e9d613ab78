"""Growth of the CPU time with ten times as many events or streams.

One stream of n events is compared with one of 10 n, and ten concurrent streams with a hundred. All bytes are available
at once. A factor slightly above ten comes from CPU caches that no longer hold all data. Quadratic work would give a
hundred.

Tried without success:
- Assembling a response with `text += piece`: quadratic as soon as there is another reference to the text; 0.03 s for
  20,000 pieces, 32 s for 200,000.
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
_GROWING_FIELDS = {"10 x events": "events", "10 x streams": "streams"}


def ask(lab: Lab) -> None:
    """Run the contenders."""
    url, streams = lab.servers.plain, lab.pick(10, 1)
    contenders = [OURS, "aiobotocore"]
    lab.race("growth", contenders, Setting(case="10 x events", url=url, events=lab.pick(3000, 20)), most={_UNIT: _MOST})
    crowds = Setting(case="10 x streams", url=url, events=lab.pick(300, 5), streams=streams)
    lab.race("growth", contenders, crowds, most={_UNIT: _MOST})


def trial(setting: Setting) -> Sample:
    """Measure a setting, then one that is ten times larger."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    many = msgspec.structs.replace(
        setting, **{_GROWING_FIELDS[setting.case]: 10 * getattr(setting, _GROWING_FIELDS[setting.case])}
    )
    async with load(setting.contender).reading(many) as read:
        await _cost(read, many)  # open all connections before the measurement
        small = min([await _cost(read, setting) for _ in range(3)])
        crowd = Crowd(many, Order(many.events))
        start = time.process_time()
        await crowd.read(read)
        large = time.process_time() - start
    return sampled(setting, crowd.received, {_UNIT: large / small})


async def _cost(read: Read, setting: Setting) -> float:
    start = time.process_time()
    await Crowd(setting, Order(setting.events)).read(read)
    return time.process_time() - start
