"""How many requests may be open at once on an event loop; first come, first served.

A slot passes straight from hand to hand, so nobody who comes later can take it on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from time import monotonic

import anyio

from .errors import PoolTimeout

__all__ = ("Slots",)


class Slots:
    """The connection slots of one transport."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.taken = 0

    async def acquire(self, seconds: float | None) -> None:
        """Take a slot. Raises `PoolTimeout`. A slot that comes together with a cancellation is passed on."""
        if self.taken < self._limit and not self._waiting:
            self.taken += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        began = monotonic()
        try:
            with anyio.fail_after(seconds):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self.release()
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                detail = f"all {self._limit} slots are taken by {self.taken} open streams"
                raise PoolTimeout(seconds or 0, monotonic() - began, detail=detail) from None
            raise

    def release(self) -> None:
        """Give a slot back; it passes straight to the next in line."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.taken -= 1
