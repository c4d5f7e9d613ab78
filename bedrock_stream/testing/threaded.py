"""An emulator on a loop of its own, in a thread: for code under test that has no loop, or may not share one.

A blocking client (boto3) on the emulator's own loop would wait for an answer that this loop cannot give. Here both
run side by side, whatever loop the test has, or none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from anyio import to_thread

from .service.received import ReceivedRequest
from .service.server import Emulator

__all__ = ("ThreadedEmulator",)

_T = TypeVar("_T")


class ThreadedEmulator(Emulator):
    """An `Emulator` in a thread: `with ThreadedEmulator() as emulator: ... emulator.url`. Arguments are the same.

    What is awaited (`wait_for_requests`, `wait_for_streams`, `wait_until_idle`) can be awaited on any loop; a test
    without one calls the `block_...` methods. `async with` works too.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _thread: Thread | None = None

    def block_for_requests(self, count: int, timeout: float | None = 5.0) -> list[ReceivedRequest]:
        """`wait_for_requests` for a test without a loop."""
        self._there(super()._until(lambda: self.request_count >= count, timeout)).result()
        return self.requests

    def block_for_streams(self, count: int, timeout: float | None = 5.0) -> None:
        """`wait_for_streams` for a test without a loop."""
        self._there(super()._until(lambda: self.open_streams == count, timeout)).result()

    def block_until_idle(self, timeout: float | None = 5.0) -> None:
        """`wait_until_idle` for a test without a loop."""
        self.block_for_streams(0, timeout)

    def open(self) -> None:
        """Listen. `with` does it."""
        loop = asyncio.new_event_loop()
        self._loop, self._thread = loop, Thread(target=partial(_run, loop), name="bedrock emulator", daemon=True)
        self._thread.start()
        try:
            self._there(super().start()).result()
        except BaseException:
            self.shut()
            raise

    def shut(self) -> None:
        """Stop listening, break off every answer, end the thread. Harmless when it is closed already."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._there(super().close()).result()
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    async def start(self) -> None:
        """Listen. `async with` does it."""
        await to_thread.run_sync(self.open)

    async def close(self) -> None:
        """What `shut` does, from any loop."""
        await to_thread.run_sync(self.shut)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shut()

    async def _until(self, holds: Callable[[], bool], seconds: float | None) -> None:
        # A thread waits, since the caller's loop may be of another kind than asyncio's.
        await to_thread.run_sync(self._there(super()._until(holds, seconds)).result, abandon_on_cancel=True)

    def _there(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("the emulator is not running: use `with ThreadedEmulator(...)`, or open()")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()
