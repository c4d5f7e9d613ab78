"""CPU time per token of a web backend that streams to 200 browsers, the whole process.

The backend is Starlette on uvicorn, in its own process. Bedrock's server, which sends 20 tokens per second to each
stream, and the 200 readers run in two others, so their CPU time does not count. Ours sends its events with
`event_response`, aiobotocore a JSON text per token with sse-starlette's `EventSourceResponse`. The lower bound is
aiohttp alone, whose bytes Starlette's `StreamingResponse` passes on as they are. All readers start together. The CPU
time is measured while all streams are active, without their start and end, and divided by the number of tokens that
Bedrock's server sent in that time. A backend that cannot keep up looks cheaper than it is, as in `paced`.
"""

from __future__ import annotations

import asyncio
import functools
from urllib.parse import urlsplit

import msgspec

from .backends import PACKAGES
from .contenders import load
from .measure import OURS, Lab, Sample, Setting
from .orders import Order
from .reading import Crowd, run, sampled
from .servers import started

__all__ = ("ask", "trial")

_CONTENDERS = (OURS, "aiohttp_alone", "aiobotocore")
_READER = "protocol"
_UNIT = "us/token"
_GOALS = {_UNIT: {"aiohttp_alone": 1 / 1.2, "aiobotocore": 2.1}}


def ask(lab: Lab) -> None:
    """Run the contenders on each event loop."""
    for loop in ("asyncio", "uvloop"):
        setting = Setting(
            case=f"starlette, {loop}",
            url=lab.servers.plain,
            loop=loop,
            streams=lab.pick(200, 5),
            events=lab.pick(50, 10),
            pace_ms=lab.pick(50, 5),
            packages=PACKAGES,
        )
        lab.race("backend", _CONTENDERS, setting, goals=_GOALS)


def trial(setting: Setting) -> Sample:
    """Measure one backend."""
    with started("benchmarks.backends", [msgspec.json.encode(setting).decode()]) as port:
        return run(setting, _read(setting, f"http://127.0.0.1:{port}"))


async def _read(setting: Setting, backend: str) -> Sample:
    crowd = Crowd(setting, Order(setting.events, setting.pace_ms, crowd=setting.streams))
    async with load(_READER).reading(msgspec.structs.replace(setting, url=backend)) as read:
        await read(Order(3).prompt(), lambda piece: None)
        cost, _ = await asyncio.gather(crowd.steady_cost(functools.partial(_cpu, backend)), crowd.read(read))
    return sampled(setting, crowd.received, {_UNIT: cost * 1e6, "of the pace": crowd.pace})


async def _cpu(backend: str) -> float:
    """Return the CPU seconds of the backend's process."""
    address = urlsplit(backend)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"GET /cpu HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return float(answer.rpartition(b"\r\n\r\n")[2])
