"""Tasks that acquire slots."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from bedrock_stream.transport.lanes import LaneTicket
from bedrock_stream.transport.slots import Slots


async def start_acquiring(slots: Slots | LaneTicket, count: int = 1) -> list[asyncio.Task[None]]:
    """Start this many tasks that each acquire a slot."""
    waiting = [asyncio.create_task(slots.acquire(None)) for _ in range(count)]
    await asyncio.sleep(0)
    return waiting


async def acquired(tasks: list[asyncio.Task[None]]) -> list[bool]:
    """Return which of the tasks have acquired their slot."""
    for _ in range(3):
        await asyncio.sleep(0)
    return [task.done() and not task.cancelled() for task in tasks]


def run(coroutine: Coroutine[Any, Any, None], loop_name: str = "asyncio") -> None:
    """Run a coroutine on a loop of this kind."""
    factory = asyncio.new_event_loop if loop_name == "asyncio" else pytest.importorskip(loop_name).new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(coroutine)
