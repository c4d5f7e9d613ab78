"""How much memory does one open stream hold?

Resident memory of the client's process with many streams open, each with five events read and silent since, less what
it was before, divided by their number. `keep=False`, so what was read is not part of it. TLS keeps a session for each
connection, in which aiohttp alone, the floor, shares. Ten streams at most are on their way to their first event, since
what opening takes is given back to Python, which may not give it back to the system; opened all at once, it shows.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
from pathlib import Path
from typing import Any

from .contenders import Read, Take, load
from .measure import OURS, Lab, Row, Sample, Setting
from .orders import Order
from .reading import Crowd, run, sampled

__all__ = ("ask", "trial")

_UNIT = "KB/stream"
_AT_ONCE = "plain, opened at once"
_MOST = 8.0  # KB that we may add to aiohttp's


def ask(lab: Lab) -> None:
    """Race them, and tell what we add to the floor."""
    servers, streams = lab.servers, lab.pick(500, 5)
    plain, tls = (servers.plain, None), (servers.tls or "", servers.cafile)
    for case, (url, cafile) in (("plain", plain), ("tls", tls), (_AT_ONCE, plain)):
        setting = Setting(case=case, url=url, cafile=cafile, streams=streams, events=5, keep=False)
        lab.race("memory", [OURS, "aiohttp_alone", "aiobotocore"], setting)
        ours = lab.value("memory", case, OURS, _UNIT)
        floor = lab.value("memory", case, "aiohttp_alone", _UNIT)
        if ours is not None and floor is not None:
            added = Row(question="memory", case=case, contender="ours above that", unit=_UNIT, value=ours - floor)
            lab.note(added, most=_MOST)


def trial(setting: Setting) -> Sample:
    """Open streams and hold them."""
    return run(setting, _hold(setting))


async def _hold(setting: Setting) -> Sample:
    at_once = setting.case == _AT_ONCE
    crowd = Crowd(setting, Order(setting.events, crowd=setting.streams if at_once else 1, held=True))
    async with load(setting.contender).reading(setting) as read:
        await read(Order(5).prompt(), lambda piece: None)
        before = _resident()
        reading = asyncio.ensure_future(crowd.read(read if at_once else _by_tens(read)))
        await asyncio.wait_for(crowd.all_began.wait(), 60)
        await asyncio.sleep(min(0.5, setting.streams * 0.02))  # until the last stream has its last event
        held = _resident() - before
        reading.cancel()
        await asyncio.wait([reading])
    return sampled(setting, crowd.taken, {_UNIT: held / setting.streams / 1024})


def _by_tens(read: Read) -> Read:
    """Have no more than ten streams on their way to their first event."""
    places = asyncio.Semaphore(10)

    async def read_in_turn(prompt: str, take: Take) -> None:
        await places.acquire()
        held = True

        def taken(piece: Any) -> None:
            nonlocal held
            if held:
                held = False
                places.release()
            take(piece)

        await read(prompt, taken)

    return read_in_turn


def _resident() -> int:
    gc.collect()
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        return int(statistics.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, which only ever grow
