"""CPU time of an answer, and time to its first text, with 200 agents at once on boto3's threads and on this library.

Agents of pydantic-ai stream an answer each, on pydantic-ai's own model, which waits for boto3 in threads (40 by
default), and on the model of this library. This library without a framework shows what the framework itself costs. All
start together. The server answers each request after half a second, as a model does, and sends 20 texts per second. The
CPU time is that of the client's process, all threads included. The first answer, which imports and connects, is not
counted.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from .contenders import Read, load
from .measure import OURS, Lab, Sample, Setting
from .orders import Order
from .reading import run, sampled

__all__ = ("ask", "trial")

_WAIT = 500.0  # ms
_CONTENDERS = (OURS, "pydantic_ai_agent_ours", "pydantic_ai_agent")


def ask(lab: Lab) -> None:
    """Run the contenders."""
    setting = Setting(
        case=f"{lab.pick(200, 5)} agents",
        url=lab.servers.plain,
        streams=lab.pick(200, 5),
        events=lab.pick(20, 5),
        pace_ms=lab.pick(50, 5),
    )
    lab.race("agents", _CONTENDERS, setting)


def trial(setting: Setting) -> Sample:
    """Measure many agents at once."""
    return run(setting, _read(setting))


async def _read(setting: Setting) -> Sample:
    prompt = Order(setting.events, setting.pace_ms, wait_ms=min(_WAIT, 10 * setting.pace_ms)).prompt()
    async with load(setting.contender).reading(setting) as read:
        await read(Order(3).prompt(), lambda piece: None)
        cpu, start = time.process_time(), time.monotonic()
        answers = await asyncio.gather(*(_one(read, prompt) for _ in range(setting.streams)))
        cpu, seconds = time.process_time() - cpu, time.monotonic() - start
    figures = {
        "ms CPU/answer": cpu / setting.streams * 1000,
        "ms p95 to the first text": _p95([first - start for first, _ in answers]) * 1000,
        "s for all": seconds,
    }
    return sampled(setting, [pieces for _, pieces in answers], figures)


async def _one(read: Read, prompt: str) -> tuple[float, list[Any]]:
    """Return when the first text of an answer came, and its texts."""
    pieces: list[Any] = []
    first = 0.0

    def on_text(piece: Any) -> None:
        nonlocal first
        first = first or time.monotonic()
        pieces.append(piece)

    await read(prompt, on_text)
    return first, pieces


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]
