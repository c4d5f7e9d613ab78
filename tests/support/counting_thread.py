"""A counting server on an event loop in a thread of its own, for tests that block: the rows are asked elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from threading import Condition, Thread
from types import TracebackType
from typing import Self

from tests.support.counting_server import Asked, CountingServer, Plan


class CountingThread:
    """A `CountingServer` that every process of the machine can ask, with the most requests that were open at once."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._news = Condition()
        self._server = CountingServer(self._planned)
        self._plan: Plan | None = None
        self._answering = 0
        self.delay = 0.0
        """Seconds until a row is answered."""
        self.peak = 0
        """How many rows were answered at once."""

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def asked(self) -> dict[int, int]:
        """How often each row was asked."""
        return dict(self._server.asked)

    @property
    def total(self) -> int:
        """How many requests there were."""
        return self._server.asked.total()

    def again(self) -> int:
        """How many requests asked a row that was asked before."""
        return self.total - len(self.asked)

    def begin(self, plan: Plan | None = None, *, delay: float = 0.0) -> None:
        """Forget what was counted, and answer by this plan."""
        self._server.asked.clear()
        self.peak = 0
        self._plan, self.delay = plan, delay

    def wait_until_asked(self, count: int) -> None:
        """Wait for so many requests."""
        with self._news:
            assert self._news.wait_for(lambda: self.total >= count, 60)

    def wait_until_idle_but(self, count: int, asked: int) -> None:
        """Wait until so many rows were asked and all but `count` of them were answered."""
        with self._news:
            assert self._news.wait_for(lambda: self.total >= asked and self._answering == count, 60)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the event loop of the service."""
        self._loop.call_soon_threadsafe(function)

    async def _planned_wait(self, first: Awaitable[object] | None) -> None:
        self._answering += 1
        self.peak = max(self.peak, self._answering)
        try:
            if first is not None:
                await first
            await asyncio.sleep(self.delay)
        finally:
            self._answering -= 1
            self._tell()

    def _planned(self, asked: Asked) -> bytes | Awaitable[None]:
        self._tell()
        planned = None if self._plan is None else self._plan(asked)
        return planned if isinstance(planned, bytes) else self._planned_wait(planned)

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.__aenter__(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._server.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
