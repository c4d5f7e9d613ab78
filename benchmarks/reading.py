"""What trials share that read streams: running a loop, reading a crowd of streams, and saying what was read."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from .answers import texts_of
from .contenders import Read
from .loops import loop_factory, raise_file_limit
from .measure import Sample, Setting
from .orders import Order

__all__ = ("Crowd", "run", "sampled")

_T = TypeVar("_T")


def run(setting: Setting, work: Coroutine[Any, Any, _T]) -> _T:
    """Run a trial on the loop that its setting names."""
    raise_file_limit()
    with asyncio.Runner(loop_factory=loop_factory(setting.loop)) as runner:
        return runner.run(work)


def sampled(setting: Setting, taken: Iterable[list[Any]], figures: dict[str, float]) -> Sample:
    """A sample, with what each stream gave turned into texts now that no clock runs."""
    streams = [texts(setting.form, pieces) for pieces in taken]
    digest = hashlib.sha256("\n".join(sorted({"".join(stream) for stream in streams})).encode())
    return Sample(figures, digest.hexdigest()[:16], sum(map(len, streams)))


def texts(form: str, pieces: list[Any]) -> list[str]:
    """What was taken, as texts; a floor took bytes."""
    return texts_of(form, b"".join(pieces)) if pieces and isinstance(pieces[0], bytes) else pieces


class Crowd:
    """Many streams of one order, read side by side."""

    def __init__(self, setting: Setting, order: Order) -> None:
        self.taken: list[list[Any]] = [[] for _ in range(setting.streams)]
        self.waited = 0.0
        """Seconds from the first text to the last stream's end."""
        self.all_began = asyncio.Event()
        """Every stream has said something."""
        self._order = order
        self._silent = setting.streams
        self._began: float | None = None

    async def read(self, read: Read) -> None:
        """Read them all to their ends."""
        prompt = self._order.prompt()
        await asyncio.gather(*(self._read_one(read, prompt, pieces) for pieces in self.taken))
        self.waited = time.monotonic() - (self._began or 0.0)

    async def _read_one(self, read: Read, prompt: str, pieces: list[Any]) -> None:
        def take(piece: Any) -> None:
            if not pieces:
                self._begin()
            pieces.append(piece)

        await read(prompt, take)

    def _begin(self) -> None:
        self._began = self._began or time.monotonic()
        self._silent -= 1
        if not self._silent:
            self.all_began.set()
