"""What a process has open: sockets, tasks, threads. A test counts them before and after, and nothing may be left."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

__all__ = ("SOON", "Open", "nothing_left", "open_sockets")

SOON = 0.25
"""Seconds within which whatever was left must be free."""

_DESCRIPTORS = "/proc/self/fd"


class Open(NamedTuple):
    """What is open now."""

    sockets: int
    tasks: int
    threads: int

    @classmethod
    def now(cls) -> Open:
        """Count it. Call it on the loop whose tasks are meant."""
        return cls(open_sockets(), len(asyncio.all_tasks()), threading.active_count())


def open_sockets() -> int:
    """Sockets of this process, both ends of a connection to itself; 0 where the system does not tell."""
    if not os.path.isdir(_DESCRIPTORS):
        return 0
    return sum(_is_socket(number) for number in os.listdir(_DESCRIPTORS))


def _is_socket(number: str) -> bool:
    try:
        return os.readlink(f"{_DESCRIPTORS}/{number}").startswith("socket:")
    except OSError:  # the descriptor of the listing itself
        return False


@asynccontextmanager
async def nothing_left(*, kept: int = 0, within: float = SOON) -> AsyncIterator[None]:
    """Whatever is opened inside is closed behind it, but for that many connections `kept` for later use.

    Such a connection to a server in this process is two sockets, and a task of the server.
    """
    before = Open.now()
    yield
    most = Open(before.sockets + 2 * kept, before.tasks + kept, before.threads)
    try:
        async with asyncio.timeout(within):
            while any(now > limit for now, limit in zip(Open.now(), most, strict=True)):
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"at most {most} was expected, {Open.now()} is left: {asyncio.all_tasks()}") from None
