"""An emulator on its own event loop in a thread, for code under test that has no event loop or blocks it.

A blocking client (boto3) on the emulator's own event loop would wait forever, because it stops the loop that should
answer it.
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
    """An `Emulator` in a thread, with the same arguments: `with ThreadedEmulator() as emulator: ... emulator.url`.

    `wait_for_requests`, `wait_for_streams` and `wait_until_idle` can be awaited on any event loop. A test without an
    event loop calls the `block_...` methods instead. `async with` works too.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _thread: Thread | None = None

    def block_for_requests(self, count: int, timeout: float | None = 5.0) -> list[ReceivedRequest]:
        """Block until `count` requests have been received, see `wait_for_requests`. For tests without an event loop."""
        self._submit(super()._wait_until(lambda: self.request_count >= count, timeout)).result()
        return self.requests

    def block_for_streams(self, count: int, timeout: float | None = 5.0) -> None:
        """Block until exactly `count` answers are being written, see `wait_for_streams`."""
        self._submit(super()._wait_until(lambda: self.open_streams == count, timeout)).result()

    def block_until_idle(self, timeout: float | None = 5.0) -> None:
        """Block until no answer is being written, see `wait_until_idle`."""
        self.block_for_streams(0, timeout)

    def open(self) -> None:
        """Start the thread and listen. `with` does this."""
        # A daemon thread does not keep the process alive if the test never closes the emulator.
        loop = asyncio.new_event_loop()
        self._loop, self._thread = loop, Thread(target=partial(_run, loop), name="bedrock emulator", daemon=True)
        self._thread.start()
        try:
            self._submit(super().start()).result()
        except BaseException:
            self.shut()
            raise

    def shut(self) -> None:
        """Stop listening, cancel every answer and end the thread. Does nothing if it is not running."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._submit(super().close()).result()
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    async def start(self) -> None:
        """Start the thread and listen, without blocking the event loop. `async with` does this."""
        await to_thread.run_sync(self.open)

    async def close(self) -> None:
        """Close like `shut`, without blocking the event loop."""
        await to_thread.run_sync(self.shut)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shut()

    async def _wait_until(self, condition: Callable[[], bool], seconds: float | None) -> None:
        # The wait runs in a worker thread, because the caller's event loop may be trio's.
        await to_thread.run_sync(self._submit(super()._wait_until(condition, seconds)).result, abandon_on_cancel=True)

    def _submit(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("the emulator is not running: use `with ThreadedEmulator(...)`, or open()")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()
