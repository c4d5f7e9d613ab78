"""The timer of a stream on a loop whose time the test sets, and the validation of `Timeouts`."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from bedrock_stream import Timeouts
from bedrock_stream.client.timer import StreamTimer
from bedrock_stream.errors import ConfigurationError, FirstEventTimeout, IdleTimeout, TimeLimitError, UnreadTimeout


class Handle:
    """A scheduled callback."""

    def __init__(self, at: float, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.at, self.callback, self.args = at, callback, args
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop with callbacks only, which run when the test advances the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.handles: list[Handle] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., None], *args: Any) -> Handle:
        handle = Handle(self.now + delay, callback, args)
        self.handles.append(handle)
        return handle

    @property
    def armed(self) -> list[Handle]:
        return [handle for handle in self.handles if not handle.cancelled]

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [handle for handle in self.armed if handle.at <= end]:
            handle = min(due, key=lambda handle: handle.at)
            self.handles.remove(handle)
            self.now = handle.at
            handle.callback(*handle.args)
        self.now = end


class FakeStream:
    """A stream that records the limits that were reached."""

    def __init__(self) -> None:
        self.delivered = 0
        self.expired: list[tuple[type[TimeLimitError], float, float]] = []

    def expire(self, kind: type[TimeLimitError], limit: float, elapsed: float) -> None:
        self.expired.append((kind, limit, elapsed))


def test_a_wait_that_takes_too_long_expires() -> None:
    loop, stream = Loop(), FakeStream()
    timer = StreamTimer(loop, stream, unread=None)
    timer.begin_wait(IdleTimeout, 5)
    loop.advance(4.9)
    assert stream.expired == []
    loop.advance(0.2)
    assert stream.expired == [(IdleTimeout, 5, 5)]
    assert loop.armed == []


def test_time_spent_before_the_wait_counts() -> None:
    loop, stream = Loop(), FakeStream()
    timer = StreamTimer(loop, stream, unread=None)
    timer.begin_wait(FirstEventTimeout, 5, 3)
    loop.advance(1)
    assert timer.waited == 1
    timer.end_wait()
    loop.advance(10)
    assert stream.expired == []
    timer.begin_wait(FirstEventTimeout, 5, 4)
    loop.advance(1)
    assert stream.expired == [(FirstEventTimeout, 5, 5)]


def test_many_short_waits_share_one_callback() -> None:
    loop, stream = Loop(), FakeStream()
    timer = StreamTimer(loop, stream, unread=100)
    for _ in range(1000):
        timer.begin_wait(IdleTimeout, 5)
        loop.advance(0.1)
        timer.end_wait()
        stream.delivered += 1
        assert len(loop.armed) == 1
    assert stream.expired == []
    assert len(loop.handles) < 10


def test_a_wait_without_a_limit_never_expires() -> None:
    loop, stream = Loop(), FakeStream()
    timer = StreamTimer(loop, stream, unread=10)
    timer.begin_wait(IdleTimeout, None)
    loop.advance(10_000)
    assert stream.expired == []


def test_a_stream_that_is_not_read_expires() -> None:
    loop, stream = Loop(), FakeStream()
    timer = StreamTimer(loop, stream, unread=80)
    loop.advance(70)
    stream.delivered = 1
    loop.advance(79)
    assert stream.expired == []
    loop.advance(12)
    ((kind, limit, elapsed),) = stream.expired
    assert (kind, limit) == (UnreadTimeout, 80)
    assert 80 <= elapsed <= 90
    timer.stop()


def test_waiting_does_not_count_as_unread_time() -> None:
    loop, stream = Loop(), FakeStream()
    timer = StreamTimer(loop, stream, unread=8)
    timer.begin_wait(IdleTimeout, 1000)
    loop.advance(900)
    timer.end_wait()
    assert stream.expired == []
    loop.advance(20)
    assert [kind for kind, *_ in stream.expired] == [UnreadTimeout]


def test_stop_cancels_the_callback() -> None:
    loop, stream = Loop(), FakeStream()
    timer = StreamTimer(loop, stream, unread=8)
    timer.begin_wait(IdleTimeout, 5)
    timer.stop()
    timer.stop()
    assert loop.armed == []


def test_the_loop_keeps_neither_the_timer_nor_the_stream_alive() -> None:
    loop, stream = Loop(), FakeStream()
    timer = StreamTimer(loop, stream, unread=8)
    expired = stream.expired
    del stream
    gc.collect()
    loop.advance(2)
    assert loop.armed == []
    assert expired == []
    other = FakeStream()
    timer = StreamTimer(loop, other, unread=8)
    del timer
    gc.collect()
    loop.advance(100)
    assert other.expired == []


@pytest.mark.parametrize("limit", [0, -1, True, "5", float("nan")])
def test_a_limit_must_be_a_positive_number(limit: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"Timeouts\.idle: expected a positive number of seconds or None, got "
    ):
        Timeouts(idle=limit)
