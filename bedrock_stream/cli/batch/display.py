"""How far a batch is, on stderr: a line that is redrawn on a terminal, else one each 10 s; with --json, on stdout."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import ceil
from time import monotonic
from typing import Protocol

import msgspec
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...batch.progress import Progress
from ..terminal import make_console, one_line

__all__ = ("Display", "Watch", "make_display", "sentence")

_TICK = 0.25  # seconds
_PLAIN_SECONDS, _JSON_SECONDS = 10.0, 1.0


class Display(Protocol):
    """Shows the progress."""

    interval: float
    """Seconds between two calls of `show`."""

    def show(self, progress: Progress) -> None:
        """Show how far the batch is."""

    def tell(self, words: str) -> None:
        """Show a sentence that stays."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def make_display(*, as_json: bool) -> Display:
    """Return the display that fits where the output goes."""
    if as_json:
        return _JsonLines()
    return _Bar() if sys.stderr.isatty() else _PlainLines()


class Watch:
    """Shows the progress of a batch as long as it runs, and counts how long it was paused."""

    def __init__(self, display: Display, progress: Callable[[], Progress]) -> None:
        self._display = display
        self._progress = progress
        self.total: int | None = None
        """How many rows there are, once that is known."""
        self.paused_seconds: float = 0.0
        """How long throttling held up all starts."""

    def now(self) -> Progress:
        """Return the progress, with the total."""
        progress = self._progress()
        left = None if self.total is None else max(0, self.total - progress.done - progress.failed)
        rate = progress.rows_per_second
        return msgspec.structs.replace(
            progress, total=self.total, eta=left / rate if left is not None and rate else None
        )

    @contextmanager
    def running(self, count: Callable[[], Awaitable[int | None]]) -> Iterator[None]:
        """Show it meanwhile. `count` returns the total."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._run()), loop.create_task(self._count(count))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def _count(self, count: Callable[[], Awaitable[int | None]]) -> None:
        self.total = await count()

    async def _run(self) -> None:
        shown = before = monotonic()
        while True:
            await asyncio.sleep(_TICK)
            now, progress = monotonic(), self.now()
            if progress.paused_until is not None:
                self.paused_seconds += now - before
            before = now
            if now - shown >= self._display.interval:
                shown += self._display.interval
                self._display.show(progress)


class _PlainLines:
    """A line each 10 s, for logs."""

    interval = _PLAIN_SECONDS

    def show(self, progress: Progress) -> None:
        print(sentence(progress), file=sys.stderr, flush=True)

    def tell(self, words: str) -> None:
        print(one_line(words), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Do nothing."""


class _JsonLines(_PlainLines):
    """The progress as JSON, a line a second, on stdout."""

    interval = _JSON_SECONDS

    def show(self, progress: Progress) -> None:
        sys.stdout.write(msgspec.json.encode(progress).decode() + "\n")
        sys.stdout.flush()


class _Bar:
    """A bar with the counts behind it, redrawn in place."""

    interval = _TICK

    def __init__(self) -> None:
        self._console = make_console(sys.stderr)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, progress: Progress) -> None:
        grid = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=progress.total, completed=progress.done + progress.failed, width=24)
        grid.add_row(bar, Text(sentence(progress)))
        self._live.update(grid, refresh=True)

    def tell(self, words: str) -> None:
        self._console.print(Text(one_line(words)), soft_wrap=True)

    def close(self) -> None:
        self._live.stop()


def sentence(progress: Progress) -> str:
    """Return the progress in words."""
    ended = progress.done + progress.failed
    total = "" if progress.total is None else f" of {progress.total:,}"
    parts = [f"{ended:,}{total} done"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.reused:
        parts.append(f"{progress.reused:,} reused")
    usage = progress.usage
    parts.append(f"{progress.rows_per_second:.1f} rows/s")
    parts.append(f"tokens {usage.input_tokens or 0:,} in, {usage.output_tokens or 0:,} out")
    if progress.cost is not None:
        parts.append(f"cost {progress.cost:,.4g}")
    parts.append(f"window {progress.window}")
    if progress.paused_until is not None:
        left = max(1, ceil((progress.paused_until - datetime.now(UTC)).total_seconds()))
        parts.append(f"paused {left} s: {one_line(progress.reason or 'throttled')}")
    if progress.eta is not None and ended != progress.total:
        parts.append(f"{_duration(progress.eta)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
