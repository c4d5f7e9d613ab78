"""The one timer of a stream, which enforces its time limits, and the stopwatch of its `Timing`.

The limits of a wait count only while the reader waits for bytes: a consumer may work for minutes on one event. The
unread limit is the opposite: it counts while the stream is not read. Events cost nothing: a wait reads the time once,
and progress is seen in a counter that the stream keeps anyway. A stopwatch reads it for the first events and the end
alone. The loop's handle refers to the timer weakly, and the
timer to its stream, so neither keeps a dropped stream alive.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from ..errors import (
    FirstContentTimeout,
    FirstEventTimeout,
    IdleTimeout,
    TimeLimitError,
    TotalTimeout,
    UnreadTimeout,
)
from ..types.response import Timing
from ..types.settings import Timeouts

__all__ = ("Stopwatch", "StreamTimer", "TimedStream")


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
        "_stopped",
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
        self._stopped = False
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

    def begin_first_wait(self, timeouts: Timeouts, waited: float, *, started: bool, streaming: bool) -> None:
        """Wait before the first content, by the limit that ends first. `waited` seconds of such waits have passed.

        `started` tells whether anything of the message has been received.
        """
        kind: type[TimeLimitError] = FirstEventTimeout
        limit, spent = timeouts.first_event, waited
        if started:
            kind, limit, spent = IdleTimeout, timeouts.idle, 0.0
        content = timeouts.first_content if streaming else None
        if content is not None and (limit is None or content - waited < limit - spent):
            kind, limit, spent = FirstContentTimeout, content, waited
        self.begin_wait(kind, limit, spent)

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
        self._stopped = True
        self._disarm()

    def _arm(self, due: float) -> None:
        self._disarm()
        self._due = due
        self._handle = self._loop.call_later(max(due - self._loop.time(), 0), _tick, weakref.ref(self))

    def _disarm(self) -> None:
        self._due = float("inf")
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def tick(self) -> None:
        """Report a limit that was reached, and set the time of the next look."""
        stream = self._stream()
        if stream is None:
            return
        self._disarm()
        due = min(self._look_at_total(stream), self._look_at_wait(stream), self._look_at_progress(stream))
        if due != float("inf") and not self._stopped:
            self._arm(due)

    def _look_at_total(self, stream: TimedStream) -> float:
        """Report the limit of the whole call if it is reached. Return when to look again."""
        if self._total is None:
            return float("inf")
        limit, began = self._total
        now = self._loop.time()
        if now < began + limit:
            return began + limit
        self._total = None
        stream.expire(TotalTimeout, limit, now - began)
        return float("inf")

    def _look_at_wait(self, stream: TimedStream) -> float:
        """Report the limit of the current wait if it is reached; another attempt may follow."""
        if self._deadline is None or self._stopped:
            return float("inf")
        now = self._loop.time()
        self._progress_at = now
        if now < self._deadline:
            return self._deadline
        self._deadline = None
        stream.expire(self._kind, self._limit, now - self._since)
        return float("inf")

    def _look_at_progress(self, stream: TimedStream) -> float:
        """Report the limit of not reading if it is reached."""
        if self._unread is None or self._stopped:
            return float("inf")
        now = self._loop.time()
        if stream.delivered != self._progress:
            self._progress, self._progress_at = stream.delivered, now
        limit, idle = self._unread, now - self._progress_at
        if idle < limit:
            return now + limit / 8
        self._unread = None
        stream.expire(UnreadTimeout, limit, idle)
        return float("inf")


def _tick(reference: weakref.ref[StreamTimer]) -> None:
    timer = reference()
    if timer is not None:
        timer.tick()


class Stopwatch:
    """The `Timing` of a response so far. `elapsed` returns the seconds since the call began, None before that."""

    __slots__ = ("_elapsed", "timing")

    def __init__(self, elapsed: Callable[[], float | None]) -> None:
        self._elapsed = elapsed
        self.timing: Timing = Timing()

    def note_start(self, *, content: bool) -> None:
        """Take the time of the first event, if it has not been taken, and of the first content, if there is any."""
        timing = self.timing
        if content or timing.first_event is None:
            seconds = self._elapsed()
            first = seconds if timing.first_event is None else timing.first_event
            self.timing = Timing(first_event=first, first_content=seconds if content else None)

    def note_end(self) -> None:
        """Take the time of the end."""
        self.timing = msgspec.structs.replace(self.timing, total=self._elapsed())
