"""Count the open sockets, tasks and threads of the process before and after a block, and check that none are left."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from .soon import SOON

__all__ = ("Open", "nothing_left", "open_sockets")

_LOOKS = 50
"""How often at least it is looked within this time: on a busy machine, this process may hardly have run in it."""

_DESCRIPTORS = "/proc/self/fd"


class Open(NamedTuple):
    """Numbers of open sockets, tasks and threads."""

    sockets: int
    tasks: int
    threads: int

    @classmethod
    def now(cls) -> Open:
        """Count what is open now, with the tasks of the running event loop."""
        return cls(open_sockets(), len(asyncio.all_tasks()), threading.active_count())


def open_sockets() -> int:
    """Return the number of sockets of this process, or 0 where /proc is missing.

    A connection of the process to itself counts twice.
    """
    if not os.path.isdir(_DESCRIPTORS):
        return 0
    return sum(_is_socket(number) for number in os.listdir(_DESCRIPTORS))


def _is_socket(number: str) -> bool:
    try:
        return os.readlink(f"{_DESCRIPTORS}/{number}").startswith("socket:")
    except OSError:  # listdir's own descriptor
        return False


@asynccontextmanager
async def nothing_left(*, kept: int = 0, within: float = SOON) -> AsyncIterator[None]:
    """Check that the block closes what it opens, except for up to `kept` idle connections.

    An idle connection to a server in this process counts as two sockets and one task of the server.
    """
    before = Open.now()
    yield
    most = Open(before.sockets + 2 * kept, before.tasks + kept, before.threads)
    deadline, looks = time.monotonic() + within, 0
    while any(now > limit for now, limit in zip(Open.now(), most, strict=True)):
        looks += 1
        if looks > _LOOKS and time.monotonic() > deadline:
            raise AssertionError(f"expected at most {most}, got {Open.now()}: {asyncio.all_tasks()}")
        await asyncio.sleep(0.001)
