"""Growth of the CPU time with ten times as many events or streams.

One stream of n events is compared with one of 10 n, and ten concurrent streams with a hundred. Opening is not measured:
when all streams have received a text, the server sends the rest of all answers at once, and the time from there to the
end of the last stream counts. A factor slightly above ten comes from CPU caches that no longer hold all data. Quadratic
work would give a hundred.

Tried without success:
- Assembling a response with `text += piece`: quadratic as soon as there is another reference to the text; 0.03 s for
  20,000 pieces, 32 s for 200,000.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from operator import itemgetter

import msgspec

from .contenders import Read, load
from .measure import OURS, Lab, Sample, Setting
from .orders import Order
from .reading import Crowd, run, sampled
from .servers import gate

__all__ = ("ask", "trial")

_UNIT = "times the CPU"
_MOST = {"10 x events": 11.0, "10 x streams": 10.5}
_GROWING_FIELDS = {"10 x events": "events", "10 x streams": "streams"}
_REPEATS = 3  # of each size; the lowest cost counts


def ask(lab: Lab) -> None:
    """Run the contenders."""
    url = lab.servers.plain
    for setting in (
        Setting(case="10 x events", url=url, events=lab.pick(3000, 20)),
        Setting(case="10 x streams", url=url, events=lab.pick(300, 5), streams=lab.pick(10, 1)),
    ):
        lab.race("growth", [OURS, "aiobotocore"], setting, most={_UNIT: _MOST[setting.case]})


def trial(setting: Setting) -> Sample:
    """Measure a setting, then one that is ten times larger."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    field = _GROWING_FIELDS[setting.case]
    many = msgspec.structs.replace(setting, **{field: 10 * getattr(setting, field)})
    async with load(setting.contender).reading(many) as read:
        with gate(setting.url) as open_gate:
            await _cost(read, many, open_gate)  # warm up
            small, _ = await _lowest_cost(read, setting, open_gate)
            large, crowd = await _lowest_cost(read, many, open_gate)
    return sampled(setting, crowd.received, {_UNIT: large / small})


async def _lowest_cost(read: Read, setting: Setting, open_gate: Callable[[], None]) -> tuple[float, Crowd]:
    return min([await _cost(read, setting, open_gate) for _ in range(_REPEATS)], key=itemgetter(0))


async def _cost(read: Read, setting: Setting, open_gate: Callable[[], None]) -> tuple[float, Crowd]:
    """Return the CPU seconds from the gate to the end of the last stream, and what was read."""
    crowd = Crowd(setting, Order(setting.events, gated=True))
    reading = asyncio.ensure_future(crowd.read(read))
    await crowd.all_started.wait()
    start = time.process_time()
    open_gate()
    await reading
    return time.process_time() - start, crowd
