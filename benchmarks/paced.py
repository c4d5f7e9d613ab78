"""CPU time per event when events arrive one at a time: 200 streams, one frame each every 20 ms.

Each event is a read of its own, and most of its cost is that of the event loop, as the lower bounds show: aiohttp
alone, and a bare `asyncio.Protocol` that wakes a future. Plain and TLS, asyncio and uvloop. All streams start together
once all are connected. The CPU time of the client's process is measured while all streams are active, without their
start and end, and divided by the number of events that the server sent in that time. A client that cannot keep up
receives several events per read and looks cheaper than it is; a low figure in `of the pace` shows that.

Tried without success:
- `asyncio.timeout` around each read: 5 us per event with warm caches. One timer per stream is used instead.
- The wait inlined into `_receive`, one coroutine less: x0.96 of our own part, 0.1 us.
- Assembling the response in batches of 64 events: no measurable difference.
"""

from __future__ import annotations

import asyncio

from .contenders import load
from .measure import OURS, Lab, Sample, Setting
from .orders import Order
from .reading import Crowd, process_time, run, sampled

__all__ = ("ask", "trial")

_CONTENDERS = (OURS, "aiohttp_alone", "protocol", "aiobotocore")
_UNIT = "us/event"
_GOALS = {
    "plain, asyncio": {"aiohttp_alone": 1 / 1.2, "aiobotocore": 1 / 0.5},
    "plain, uvloop": {"aiohttp_alone": 1 / 1.2, "aiobotocore": 1 / 0.5},
    "tls, asyncio": {"aiohttp_alone": 1 / 1.1, "aiobotocore": 1 / 0.7},
    "tls, uvloop": {"aiohttp_alone": 1 / 1.2, "aiobotocore": 1 / 0.7},
}


def ask(lab: Lab) -> None:
    """Run the contenders on each kind of connection and event loop."""
    servers = lab.servers
    for wire, url, cafile in (("plain", servers.plain, None), ("tls", servers.tls or "", servers.cafile)):
        for loop in ("asyncio", "uvloop"):
            setting = Setting(
                case=f"{wire}, {loop}",
                url=url,
                cafile=cafile,
                loop=loop,
                streams=lab.pick(200, 5),
                events=lab.pick(50, 10),
                pace_ms=lab.pick(20, 5),
            )
            lab.race("paced", _CONTENDERS, setting, goals={_UNIT: _GOALS[setting.case]})


def trial(setting: Setting) -> Sample:
    """Measure many concurrent streams."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    crowd = Crowd(setting, Order(setting.events, setting.pace_ms, crowd=setting.streams))
    async with load(setting.contender).reading(setting) as read:
        cost, _ = await asyncio.gather(crowd.steady_cost(process_time), crowd.read(read))
    return sampled(setting, crowd.received, {_UNIT: cost * 1e6, "of the pace": crowd.pace})
