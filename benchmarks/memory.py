"""Memory per open stream.

Resident memory of the client's process with many open streams, minus that before, divided by their number. Each stream
has received five events and is then idle. `keep=False`, so the events are not part of the figure. TLS keeps a session
per connection, also for aiohttp alone, the lower bound. At most ten streams are opened at the same time: memory that
opening needs is freed to Python, which may not return it to the system. One case opens all at once to show that memory.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
from pathlib import Path
from typing import Any

from .contenders import OnText, Read, load
from .measure import OURS, Lab, Row, Sample, Setting
from .orders import Order
from .reading import Crowd, run, sampled

__all__ = ("ask", "trial")

_UNIT = "KB/stream"
_AT_ONCE = "plain, opened at once"
_MOST = 8.0  # KB above aiohttp alone


def ask(lab: Lab) -> None:
    """Run the contenders and add our figure minus the lower bound."""
    servers, streams = lab.servers, lab.pick(500, 5)
    plain, tls = (servers.plain, None), (servers.tls or "", servers.cafile)
    for case, (url, cafile) in (("plain", plain), ("tls", tls), (_AT_ONCE, plain)):
        setting = Setting(case=case, url=url, cafile=cafile, streams=streams, events=5, keep=False)
        lab.race("memory", [OURS, "aiohttp_alone", "aiobotocore"], setting)
        ours = lab.value("memory", case, OURS, _UNIT)
        floor = lab.value("memory", case, "aiohttp_alone", _UNIT)
        if ours is not None and floor is not None:
            added = Row(question="memory", case=case, contender="ours minus aiohttp", unit=_UNIT, value=ours - floor)
            lab.add(added, most=_MOST)


def trial(setting: Setting) -> Sample:
    """Measure streams that are kept open."""
    return run(setting, _hold(setting))


async def _hold(setting: Setting) -> Sample:
    at_once = setting.case == _AT_ONCE
    crowd = Crowd(setting, Order(setting.events, crowd=setting.streams if at_once else 1, held=True))
    async with load(setting.contender).reading(setting) as read:
        await read(Order(5).prompt(), lambda piece: None)
        before = _resident()
        reading = asyncio.ensure_future(crowd.read(read if at_once else _ten_at_a_time(read)))
        await asyncio.wait_for(crowd.all_started.wait(), 60)
        await asyncio.sleep(min(0.5, setting.streams * 0.02))  # the last events are received
        held = _resident() - before
        reading.cancel()
        await asyncio.wait([reading])
    return sampled(setting, crowd.received, {_UNIT: held / setting.streams / 1024})


def _ten_at_a_time(read: Read) -> Read:
    """Limit the number of streams that wait for their first event to ten."""
    semaphore = asyncio.Semaphore(10)

    async def limited_read(prompt: str, on_text: OnText) -> None:
        await semaphore.acquire()
        acquired = True

        def release_and_forward(piece: Any) -> None:
            nonlocal acquired
            if acquired:
                acquired = False
                semaphore.release()
            on_text(piece)

        await read(prompt, release_and_forward)

    return limited_read


def _resident() -> int:
    gc.collect()
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        return int(statistics.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS, and the peak only
