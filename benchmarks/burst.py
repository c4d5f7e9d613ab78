"""CPU time per event of the whole client, with all bytes available at once.

The server sends the complete answer as fast as the socket accepts it, so the client never waits. The CPU time of its
process, all threads included, is divided by the number of text deltas. A short answer first warms up the connection.
Opening is not part of the figure: the server sends the first delta, and the rest once the client has received it.
The Anthropic SDK reads Claude's native format and the Messages API, OpenAI's SDK Chat Completions, both of these in
server-sent events; all others read Converse. aiohttp alone, which reads the bytes without
decoding them, is the lower bound.

Tried without success:
- A read buffer of 256 KiB instead of 64 KiB: x1.45, since each read maps new memory. 32 KiB: no difference.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from .contenders import load
from .measure import OURS, Lab, Sample, Setting
from .orders import Order
from .reading import run, sampled
from .servers import gate

__all__ = ("ask", "trial")

_QUICK = (OURS, "aiohttp_alone", "aiobotocore", "boto3")
_SLOW = ("aws_sdk", "langchain_aws", "pydantic_ai", "litellm")
_UNIT = "us/event"
_GOALS = {_UNIT: {"aiobotocore": 14, "anthropic": 15, "aws_sdk": 40, "langchain_aws": 40, "litellm": 80}}
_VENDOR_GOALS = {_UNIT: {"anthropic": 8, "openai": 20}}  # they decode less here: no frames, no base64


def ask(lab: Lab) -> None:
    """Run the contenders."""
    events, url = lab.pick(6000, 50), lab.servers.plain
    converse = Setting(case="converse", url=url, events=events)
    lab.race("burst", _QUICK if lab.quick else (*_QUICK, *_SLOW), converse, goals=_GOALS)
    native = Setting(case="native", form="invoke", url=url, events=events)
    lab.race("burst", [OURS, "aiohttp_alone", "anthropic"], native, goals=_GOALS)
    for form, peer in (("messages", "anthropic"), ("chat", "openai")):
        lab.race("burst", [OURS, peer], Setting(case=form, form=form, url=url, events=events), goals=_VENDOR_GOALS)


def trial(setting: Setting) -> Sample:
    """Measure one long answer."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    received: list[Any] = []
    async with load(setting.contender).reading(setting) as read:
        await read(Order(10).prompt(), lambda piece: None)
        with gate(setting.url) as open_gate:
            # A thread, since boto3 blocks the event loop.
            start = asyncio.get_running_loop().run_in_executor(None, _start, received, open_gate)
            await read(Order(setting.events, gated=True).prompt(), received.append)
            cost = time.process_time() - await start
    return sampled(setting, [received], {_UNIT: cost / setting.events * 1e6})


def _start(received: list[Any], open_gate: Callable[[], None]) -> float:
    """Open the gate after the first text, and return the CPU seconds of the process until then."""
    while not received:
        time.sleep(0.001)
    start = time.process_time()
    open_gate()
    return start
