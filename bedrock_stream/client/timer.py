"""The one timer of a stream: it enforces the time limits of reading, of not reading, and of the whole call.

The limits of a wait count only while the reader waits for bytes: a consumer may work for minutes on one event. The
unread limit is the opposite: it counts while the stream is not read. Events cost nothing: a wait reads the time once,
and progress is seen in a counter that the stream keeps anyway. The loop's handle refers to the timer weakly, and the
timer to its stream, so neither keeps a dropped stream alive.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import TimeLimitError, TotalTimeout, UnreadTimeout

__all__ = ("StreamTimer", "TimedStream")


class TimedStream(Protocol):
    """A stream as its timer sees it."""

    @property
    def delivered(self) -> int:
        """A count that grows with each event that the caller receives."""

    def expire(self, kind: type[TimeLimitError], limit: float, elapsed: float) -> None:
        """Take a limit that was reached, and the seconds that had passed."""


class _Loop(Protocol):
    def time(self) -> float: ...
    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any: ...


class StreamTimer:
    """One re-arming timer. Call `begin_wait` and `end_wait` around each wait, `stop` at the end."""

    __slots__ = (
        "__weakref__",
        "_deadline",
        "_due",
        "_handle",
        "_kind",
        "_limit",
        "_loop",
        "_progress",
        "_progress_at",
        "_since",
        "_spent",
        "_stream",
        "_total",
        "_unread",
    )

    def __init__(
        self, loop: _Loop, stream: TimedStream, unread: float | None, total: tuple[float, float] | None = None
    ) -> None:
        """`total` is the limit of the whole call, and the loop's time at its start."""
        self._loop = loop
        self._total = total
        self._stream = weakref.ref(stream)
        self._unread = unread
        self._progress = stream.delivered
        self._progress_at = loop.time()
        self._deadline: float | None = None  # of the current wait
        self._since = self._spent = 0.0
        self._kind: type[TimeLimitError] = TimeLimitError
        self._limit = 0.0
        self._handle: Any = None
        self._due = float("inf")
        due = float("inf") if unread is None else self._progress_at + unread / 8
        if total is not None:
            due = min(due, sum(total))
        if due != float("inf"):
            self._arm(due)

    def begin_wait(self, kind: type[TimeLimitError], limit: float | None, spent: float = 0.0) -> None:
        """Begin a wait of at most `limit` seconds, of which `spent` have passed; None for no limit."""
        now = self._loop.time()
        self._since, self._spent = now - spent, spent
        if limit is None:
            self._deadline = float("inf")
            return
        self._kind, self._limit = kind, limit
        self._deadline = deadline = self._since + limit
        if deadline < self._due:
            self._arm(deadline)

    @property
    def waited(self) -> float:
        """How long the current wait has taken, in seconds, without what was spent before."""
        return self._loop.time() - self._since - self._spent

    def end_wait(self) -> None:
        """End the current wait."""
        self._deadline = None

    def begin_unread(self) -> None:
        """End the wait for the response's headers; from now on the unread limit counts."""
        self._deadline = None
        self._progress_at = self._loop.time()

    def stop(self) -> None:
        """Stop the timer; it does not fire again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, due: float) -> None:
        self.stop()
        self._due = due
        self._handle = self._loop.call_later(max(due - self._loop.time(), 0), _tick, weakref.ref(self))

    def tick(self) -> None:
        """Report a limit that was reached, or set the time of the next look."""
        stream = self._stream()
        if stream is None:
            return
        self._handle = None
        now = self._loop.time()
        due = float("inf")
        if self._total is not None:
            limit, began = self._total
            if now >= began + limit:
                stream.expire(TotalTimeout, limit, now - began)
                return
            due = began + limit
        if self._deadline is not None:
            if now >= self._deadline:
                stream.expire(self._kind, self._limit, now - self._since)
                return
            self._progress_at = now
            due = min(due, self._deadline)
        if self._unread is not None:
            if stream.delivered != self._progress:
                self._progress, self._progress_at = stream.delivered, now
            idle = now - self._progress_at
            if idle >= self._unread:
                stream.expire(UnreadTimeout, self._unread, idle)
                return
            due = min(due, now + self._unread / 8)
        self._due = due
        if due != float("inf"):
            self._arm(due)


def _tick(reference: weakref.ref[StreamTimer]) -> None:
    timer = reference()
    if timer is not None:
        timer.tick()
