"""Limits how many requests are open at once on an event loop, and spreads their starts; first come, first served.

A released slot is handed directly to the first waiter, so late arrivals cannot overtake. A `StartPacer` lets one
request start per visit of the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from time import monotonic

from ..errors import PoolTimeout

__all__ = ("Slots", "StartPacer")


class StartPacer:
    """Lets one request start in each visit of the event loop to its ready callbacks; the first of a visit never waits.

    A start, from signing to sending, takes some 0.3 ms in one piece: a thousand at once would stop the loop for 0.3 s.
    """

    __slots__ = ("_is_taken", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_taken = False  # the turn of this visit and, while some wait, of the next ones

    async def wait_turn(self) -> None:
        """Return at once if nothing else starts in this visit, else in one in which nothing else does; in order."""
        loop = asyncio.get_running_loop()
        if not self._is_taken:
            self._is_taken = True
            loop.call_soon(self._begin_visit, loop)
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _begin_visit(self, loop: asyncio.AbstractEventLoop, is_taken: bool = False) -> None:
        """Give the turn of the next visit to the first that waits; `is_taken` is whether this visit's was given."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else it was cancelled
                turn.set_result(None)
                loop.call_soon(self._begin_visit, loop, True)
                return
        if is_taken:
            loop.call_soon(self._begin_visit, loop)
        else:
            self._is_taken = False


class Slots:
    """Connection slots. `name` describes them in errors; `is_paced` is whether a `StartPacer` spreads the starts."""

    __slots__ = ("_name", "_pacer", "_waiting", "limit", "taken")

    def __init__(self, limit: int, name: str = "slots", *, is_paced: bool = True) -> None:
        self._name = name
        self._pacer = StartPacer() if is_paced else None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.limit: int = limit
        """How many slots there are."""
        self.taken: int = 0
        """How many slots are taken."""

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return len(self._waiting)

    async def acquire(self, seconds: float | None, began: float | None = None, *, first: bool = False) -> None:
        """Take a slot within this many seconds of `began`, by the monotonic clock, or of now; None for no limit.

        `first` waits before all others. Raises `PoolTimeout`. A slot that is received together with a cancellation is
        passed on.
        """
        if self._has_room() and not self._waiting:
            self._take()
        else:
            await self._wait(seconds, began, first)
        if self._pacer is not None:
            try:
                await self._pacer.wait_turn()
            except BaseException:
                self.release()
                raise

    def release(self) -> None:
        """Give a slot back to the next waiter."""
        self.taken -= 1
        self._admit()

    def _has_room(self) -> bool:
        return self.taken < self.limit

    def _take(self) -> None:
        self.taken += 1

    def _give_back(self) -> None:
        """Release a slot that was not used."""
        self.release()

    async def _wait(self, seconds: float | None, began: float | None, first: bool) -> None:
        waiter = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if first else self._waiting.append)(waiter)
        now = monotonic()
        began = now if began is None else began
        try:
            async with asyncio.timeout(None if seconds is None else seconds - (now - began)):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._give_back()
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                detail = f"all {self.limit} {self._name} are taken by {self.taken} open streams"
                raise PoolTimeout(seconds or 0, monotonic() - began, detail=detail) from None
            raise

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._take()
                waiter.set_result(None)
