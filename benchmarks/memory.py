"""Memory per open stream.

Resident memory of the client's process with many open streams, minus that before, divided by their number. Each stream
has received five events and is then idle. `keep=False`, so the events are not part of the figure. TLS keeps a session
per connection, also for the lower bounds: aiohttp alone, and a bare `asyncio.Protocol`. At most ten streams are opened
at the same time: memory that opening needs is freed to Python, which may not return it to the system. One case opens
all at once to show that memory.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from .contenders import OnText, Read, load
from .measure import OURS, Lab, Row, Sample, Setting
from .orders import Order
from .reading import Crowd, run, sampled

__all__ = ("ask", "trial")

_UNIT = "KB/stream"
_FLOORS = ("aiohttp_alone", "protocol")
_MOST_BEYOND = {"aiohttp_alone": 8.0}  # KB that ours may need beyond each
_MOST_BEYOND_PLAIN = {"aiohttp_alone": 8.0, "protocol": 7.0}
_TLS_MOST = {_UNIT: 110.0}
_AT_ONCE = "plain, opened at once"


def ask(lab: Lab) -> None:
    """Run the contenders and add our figure minus each lower bound."""
    servers = lab.servers
    plain = Setting(url=servers.plain, streams=lab.pick(500, 5), events=5, keep=False)
    many = lab.pick(5000, 10)
    for setting in (
        replace(plain, case="plain"),
        replace(plain, case=f"plain, {many} streams", streams=many),
        replace(plain, case=_AT_ONCE),
        replace(plain, case="tls", url=servers.tls or "", cafile=servers.cafile),
    ):
        contenders = (OURS, *_FLOORS) if setting.streams == many else (OURS, *_FLOORS, "aiobotocore")
        lab.race("memory", contenders, setting, most=_TLS_MOST if setting.cafile else None)
        ours = lab.value("memory", setting.case, OURS, _UNIT)
        limits = _MOST_BEYOND if setting.cafile or setting.case == _AT_ONCE else _MOST_BEYOND_PLAIN
        for name in _FLOORS:
            floor = lab.value("memory", setting.case, name, _UNIT)
            if ours is not None and floor is not None:
                beyond = f"ours minus {name}"
                row = Row(question="memory", case=setting.case, contender=beyond, unit=_UNIT, value=ours - floor)
                lab.add(row, most=limits.get(name))


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
