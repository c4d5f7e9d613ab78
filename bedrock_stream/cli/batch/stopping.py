"""Ctrl-C and SIGTERM: the first one ends the intake and lets the rows in flight end, another one stops at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from ...batch.batch import Batch

__all__ = ("DRAIN_SECONDS", "Stopping")

DRAIN_SECONDS = 30.0
"""How long the rows in flight may take to end."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """What was asked for by signals. `tell` is passed what happens, in words."""

    def __init__(self, rows: Batch, tell: Callable[[str], None]) -> None:
        self._rows = rows
        self._tell = tell
        self._tasks: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self.reason: str | None = None
        """Why the run ends before its end; None as long as nobody asked for it."""
        self.is_over: bool = False
        """Whether all rows have ended, so that there is nothing to stop."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals meanwhile."""
        loop, before = asyncio.get_running_loop(), {}
        for number in _SIGNALS:
            try:
                loop.add_signal_handler(number, self.signalled, number)
            except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
                before.update(_handle_elsewhere(loop, number, self.signalled))
        try:
            yield
        finally:
            for number in _SIGNALS:
                if number in before:
                    signal.signal(number, before[number])
                else:
                    loop.remove_signal_handler(number)
            if self._timer is not None:
                self._timer.cancel()

    def signalled(self, number: signal.Signals) -> None:
        """Take a signal."""
        if self.is_over:
            return
        if self.reason is None:
            self.drain(number.name)
        else:
            self.stop()

    def drain(self, reason: str) -> None:
        """Start no more rows; those in flight may take `DRAIN_SECONDS`."""
        if self.reason is not None:
            return
        self.reason = reason
        in_flight = self._rows.progress.in_flight
        self._tell(
            f"{reason}: no more rows are started; {in_flight} in flight have {DRAIN_SECONDS:g} s to end "
            "(Ctrl-C stops at once)"
        )
        self._begin(self._rows.drain())
        self._timer = asyncio.get_running_loop().call_later(DRAIN_SECONDS, self.stop)

    def stop(self) -> None:
        """Close all connections now."""
        self._tell("stopping at once; rows in flight will be asked again")
        self._begin(self._rows.aclose())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(_ignore_failure)
        self._tasks.append(task)  # the loop refers to tasks weakly


def _ignore_failure(task: asyncio.Task[None]) -> None:
    """Retrieve a failure, which the reader of the rows gets as well."""
    if not task.cancelled():
        task.exception()


def _handle_elsewhere(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, handle: Callable[[signal.Signals], None]
) -> dict[signal.Signals, Any]:
    """Take a signal without the loop's help. Return the handler before, if it could be replaced."""
    try:
        return {number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(handle, number))}
    except (OSError, ValueError):
        return {}
