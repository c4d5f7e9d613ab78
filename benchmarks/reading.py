"""Shared by trials that read streams: run an event loop, read many streams, and build the sample."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from .answers import texts_of
from .contenders import Read
from .loops import loop_factory, raise_file_limit
from .measure import Sample, Setting
from .orders import Order

__all__ = ("Crowd", "process_time", "run", "sampled")

_T = TypeVar("_T")


def run(setting: Setting, work: Coroutine[Any, Any, _T]) -> _T:
    """Run a trial on the event loop that its setting names."""
    raise_file_limit()
    with asyncio.Runner(loop_factory=loop_factory(setting.loop)) as runner:
        return runner.run(work)


def sampled(setting: Setting, received: Iterable[list[Any]], figures: dict[str, float]) -> Sample:
    """Build a sample. The pieces of each stream are decoded to texts here, outside the measured time."""
    streams = [texts(setting.form, pieces) for pieces in received]
    digest = hashlib.sha256("\n".join(sorted({"".join(stream) for stream in streams})).encode())
    return Sample(figures, digest.hexdigest()[:16], sum(map(len, streams)))


def texts(form: str, pieces: list[Any]) -> list[str]:
    """Return the received pieces as texts; those of a lower bound are bytes."""
    return texts_of(form, b"".join(pieces)) if pieces and isinstance(pieces[0], bytes) else pieces


async def process_time() -> float:
    """Return the CPU seconds of this process, all threads included."""
    return time.process_time()


class Crowd:
    """Many streams of one order, read concurrently."""

    def __init__(self, setting: Setting, order: Order, received: Sequence[list[Any]] | None = None) -> None:
        self.received = received or [[] for _ in range(setting.streams)]
        """The pieces of each stream."""
        self.duration = 0.0
        """Seconds from the first text to the end of the last stream."""
        self.all_started = asyncio.Event()
        """Set when every stream has received a text."""
        self._setting = setting
        self._order = order
        self._not_started = setting.streams
        self._start: float | None = None

    async def read(self, read: Read) -> None:
        """Read all streams to their end."""
        prompt = self._order.prompt()
        await asyncio.gather(*(self._read_one(read, prompt, pieces) for pieces in self.received))
        self.duration = time.monotonic() - (self._start or 0.0)

    async def steady_cost(self, cpu: Callable[[], Awaitable[float]]) -> float:
        """Return the CPU seconds per event in the middle of paced streams, while `read` reads them."""
        streams, events, interval = self._setting.streams, self._setting.events, self._setting.pace_ms / 1000
        margin = events // 10
        await self.all_started.wait()
        await asyncio.sleep(margin * interval)
        before, start = await cpu(), time.monotonic()
        await asyncio.sleep((events - 4 * margin) * interval)
        sent = (time.monotonic() - start) / interval * streams
        return (await cpu() - before) / sent

    @property
    def pace(self) -> float:
        """The pace at which paced streams were read, divided by that at which they were sent."""
        return self._setting.events * self._setting.pace_ms / 1000 / self.duration

    async def _read_one(self, read: Read, prompt: str, pieces: list[Any]) -> None:
        def on_text(piece: Any) -> None:
            if not pieces:
                self._count_start()
            pieces.append(piece)

        await read(prompt, on_text)

    def _count_start(self) -> None:
        self._start = self._start or time.monotonic()
        self._not_started -= 1
        if not self._not_started:
            self.all_started.set()
