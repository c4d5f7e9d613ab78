"""What does one event cost when each comes alone, as models speak: 200 streams, one frame each every 20 ms?

Now every event is a read of its own, and most of its price is the loop's: the floors tell how much. One is aiohttp
alone, the other a bare `asyncio.Protocol` that wakes a future. Plain and TLS, asyncio and uvloop. All streams begin
together once all are connected. The CPU time of the client's process is taken while they all speak, so that neither
their beginning nor their end is part of it, and divided by the number of events that the server sent meanwhile.
Whoever cannot keep up gets several events at a read and looks cheaper than it is: `of the pace` says so.

Tried and lost:
- `asyncio.timeout` around each read: 5 us an event before caches run cold. One timer for each stream looks on instead.
- The wait written into `_receive` itself, a coroutine less: x0.96 of our own part, 0.1 us.
- Reading from aiohttp's content in `__anext__`, without clocks and without an answer that counts: x0.8 of our own part,
  and still x1.3 of aiohttp alone. Most of the rest is decoding with cold caches: without it, x1.03 is left.
- All of that at once, and waiting on the future inside aiohttp's content instead of calling it, which spares its empty
  parser pass after each read: x0.85 of the whole, still x1.35 of aiohttp alone. Not worth resting on seven private
  names of a library that is pinned nowhere.
- Assembling the kept answer by 64 events and not one by one: within the noise.
"""

from __future__ import annotations

import asyncio
import time

from .contenders import load
from .measure import OURS, Lab, Sample, Setting
from .orders import Order
from .reading import Crowd, run, sampled

__all__ = ("ask", "trial")

_CONTENDERS = (OURS, "aiohttp_alone", "protocol", "aiobotocore")
_UNIT = "us/event"
_LEAST = 1 / 1.15  # what aiohttp alone costs, in parts of ours
_GOALS = {
    "plain": {"aiohttp_alone": _LEAST, "aiobotocore": 1 / 0.5},
    "tls": {"aiohttp_alone": _LEAST, "aiobotocore": 1 / 0.7},
}


def ask(lab: Lab) -> None:
    """Race them, on each kind of connection and loop."""
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
            lab.race("paced", _CONTENDERS, setting, goals={_UNIT: _GOALS[wire]})


def trial(setting: Setting) -> Sample:
    """Read a crowd of streams."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    crowd = Crowd(setting, Order(setting.events, setting.pace_ms, crowd=setting.streams))
    async with load(setting.contender).reading(setting) as read:
        cost, _ = await asyncio.gather(_cost(crowd, setting), crowd.read(read))
    planned = setting.events * setting.pace_ms / 1000
    return sampled(setting, crowd.taken, {_UNIT: cost * 1e6, "of the pace": planned / crowd.waited})


async def _cost(crowd: Crowd, setting: Setting) -> float:
    """CPU seconds of an event in the middle of the streams."""
    beat = setting.pace_ms / 1000
    margin = setting.events // 10
    await crowd.all_began.wait()
    await asyncio.sleep(margin * beat)
    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.sleep((setting.events - 4 * margin) * beat)
    sent = (time.monotonic() - wall) / beat * setting.streams
    return (time.process_time() - cpu) / sent
