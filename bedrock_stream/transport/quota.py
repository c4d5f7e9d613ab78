"""Quotas as Bedrock keeps them: requests and tokens a minute, reserved before a call and settled with its usage after.

`Quota` hands out a `Bucket` to the callers of one process, first come, first served: only the first in line looks at
the bucket, so a large reservation is not overtaken by small ones, and any number of waiters costs one timer. What is
shared with quotas that keep their bucket elsewhere is in `BaseQuota`. A reservation that is not settled stays taken.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Any, Protocol

import msgspec

from ..errors import ConfigurationError
from ..types.checks import is_integer, is_number
from ..types.events import Usage
from .bucket import Bucket

__all__ = ("BaseQuota", "Quota", "QuotaLike", "QuotaStats", "Reservation", "ReservationLike")


class ReservationLike(Protocol):
    """What `QuotaLike.reserve` returns.

    It may have two plain methods that the client calls if they exist: `give_back()` when the request was never sent or
    was throttled, so that it took nothing, and `throttled()` when the service throttled it.
    """

    async def settle(self, usage: Usage | None) -> None:
        """Replace the reserved tokens by what was used; None keeps them.

        It is awaited once for each reservation, except where a call is dropped without being closed.
        """


class QuotaLike(Protocol):
    """What `Client(quotas=...)` takes: a `Quota`, a `RedisQuota`, or any object with this method."""

    async def reserve(self, tokens: int) -> ReservationLike:
        """Wait until one request and this many tokens are free, and take them. Cancelling the wait takes nothing."""


class QuotaStats(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a quota in this process."""

    waiting: int
    """Calls that wait for it."""
    requests: float | None
    """Requests that may start now; None without a limit of requests, or if the bucket is elsewhere."""
    tokens: float | None
    """Tokens that may be reserved now, negative in debt; None as for `requests`."""
    reserved: int
    """Tokens reserved so far, without those that were given back because nothing was sent."""
    settled: int
    """Tokens of settled reservations so far, as they were used."""
    throttles: int
    """Calls so far that the service throttled although the quota had room."""
    slowed: bool
    """Whether its rate is halved after such a call."""


class Reservation:
    """One request and some tokens of a quota."""

    __slots__ = ("_burn", "_is_open", "_quota", "tokens")

    def __init__(self, quota: BaseQuota, tokens: int, burn: float, *, is_counted: bool = True) -> None:
        self._quota = quota
        self._burn = burn
        self._is_open = is_counted
        self.tokens: int = tokens
        """The reserved tokens."""

    async def settle(self, usage: Usage | None) -> None:
        """Replace the reserved tokens by what was used: input, cache writes, and output times the quota's `burn`.

        None, or a usage without input or output, keeps the reservation. More than was reserved is a debt. Only the
        first call has an effect.
        """
        used = tokens_used(usage, self._burn)
        if self._close() and used is not None:
            self._quota.note_settled(used)
            await self._quota.settle(self.tokens - used)

    def give_back(self) -> None:
        """Return the request and the tokens: nothing was sent. Without effect once it is settled."""
        if self._close():
            self._quota.give_back(self.tokens)

    def throttled(self) -> None:
        """Note that the service throttled the request: the quota halves its rate for a minute."""
        self._quota.throttled()

    def _close(self) -> bool:
        was_open, self._is_open = self._is_open, False
        return was_open

    def __repr__(self) -> str:
        return f"<Reservation of {self.tokens} tokens, {'open' if self._is_open else 'closed'}>"


def tokens_used(usage: Usage | None, burn: float) -> int | None:
    """Return how many tokens of a quota a usage takes; None if it is unknown. Cache reads take none."""
    if usage is None:
        return None
    if not isinstance(usage, Usage):
        raise ConfigurationError("usage", f"expected a Usage or None, got {type(usage).__name__}")
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return math.ceil(usage.input_tokens + (usage.cache_write_tokens or 0) + burn * usage.output_tokens)


class BaseQuota:
    """The settings and counts of a quota; a subclass keeps the bucket. Raises `ConfigurationError`."""

    def __init__(
        self,
        rpm: float | None = None,
        tpm: float | None = None,
        burn: float | None = None,
        reserve_output: float = 1.0,
        burst: float = 0.1,
    ) -> None:
        kind = type(self).__name__
        for name, value in (("rpm", rpm), ("tpm", tpm), ("burn", burn)):
            if value is not None and not (is_number(value) and 0 < value < math.inf):
                raise ConfigurationError(f"{kind}.{name}", f"expected a positive number or None, got {value!r}")
        if rpm is None and tpm is None:
            raise ConfigurationError(f"{kind}.rpm", "expected a limit, got neither rpm nor tpm", "pass at least one")
        if not (is_number(reserve_output) and 0 <= reserve_output < math.inf):
            problem = f"expected a number of at least 0, got {reserve_output!r}"
            raise ConfigurationError(f"{kind}.reserve_output", problem)
        if not (is_number(burst) and 0 < burst <= 1):
            raise ConfigurationError(f"{kind}.burst", f"expected a number above 0 and up to 1, got {burst!r}")
        self.rpm: float | None = rpm
        """Requests a minute; None for no limit."""
        self.tpm: float | None = tpm
        """Tokens a minute; None for no limit."""
        self.burn: float | None = burn
        """Tokens that an output token takes; None for the model's own number."""
        self.reserve_output: float = reserve_output
        """The part of `max_tokens` that a client reserves."""
        self.burst: float = burst
        """The part of a minute's quota that may be taken at once."""
        self._reserved = self._settled = self._throttles = 0

    async def reserve(self, tokens: int, *, burn: float | None = None) -> Reservation:
        """Wait until one request and this many tokens are free, and take them whole; first come, first served.

        `burn` is the model's number of tokens that an output token takes, where the quota has none of its own; else 1.
        More than the bucket holds is taken once the bucket is full. Cancelling the wait takes nothing.
        """
        raise NotImplementedError

    def stats(self) -> QuotaStats:
        """Return its numbers."""
        raise NotImplementedError

    async def settle(self, tokens: int) -> None:
        """Return tokens that were not used; a negative number is a debt. Called by a reservation."""
        raise NotImplementedError

    def give_back(self, tokens: int) -> None:
        """Return a request and tokens that were not used at all. Called by a reservation."""
        self._reserved -= tokens

    def throttled(self) -> None:
        """Halve the rate for a minute. Called by a reservation."""
        self._throttles += 1

    def note_settled(self, tokens: int) -> None:
        """Count the tokens of a settled reservation."""
        self._settled += tokens

    def _check(self, tokens: Any) -> None:
        if not is_integer(tokens) or tokens < 0:
            raise ConfigurationError("tokens", f"expected a number of at least 0, got {tokens!r}")

    def _reservation(self, tokens: int, burn: float | None, *, is_counted: bool = True) -> Reservation:
        """Return a new reservation. One that no bucket counted has nothing to settle."""
        self._reserved += tokens if is_counted else 0
        return Reservation(self, tokens, self.burn or burn or 1.0, is_counted=is_counted)

    def _stats(self, waiting: int, level: tuple[float | None, float | None], *, slowed: bool) -> QuotaStats:
        requests, tokens = level
        return QuotaStats(
            waiting=waiting,
            requests=requests,
            tokens=tokens,
            reserved=self._reserved,
            settled=self._settled,
            throttles=self._throttles,
            slowed=slowed,
        )

    def __repr__(self) -> str:
        limits = (f"{name}={value:g}" for name in ("rpm", "tpm") if (value := getattr(self, name)) is not None)
        return f"{type(self).__name__}({', '.join(limits)})"


class Quota(BaseQuota):
    """Requests and tokens a minute for the calls of one process: `Client(quotas={"anthropic.claude": Quota(...)})`.

    - `rpm`, `tpm`: requests and tokens a minute; at least one of them.
    - `burn`: tokens of the quota that an output token takes; None for what the capability table has for the model.
    - `reserve_output`: the part of `max_tokens` that is reserved before a call. Bedrock reserves all of it.
    - `burst`: the part of a minute's quota that may go at once after a rest.

    It may be shared by clients, event loops and threads. `clock` returns seconds.
    """

    def __init__(
        self,
        rpm: float | None = None,
        tpm: float | None = None,
        burn: float | None = None,
        reserve_output: float = 1.0,
        burst: float = 0.1,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(rpm, tpm, burn, reserve_output, burst)
        self._clock = clock
        self._bucket = Bucket(rpm, tpm, burst, clock())
        self._line: deque[_Waiter] = deque()
        self._lock = Lock()  # of bucket and line

    async def reserve(self, tokens: int, *, burn: float | None = None) -> Reservation:
        """See `BaseQuota.reserve`."""
        if type(tokens) is not int or tokens < 0:
            self._check(tokens)
        with self._lock:
            is_taken = not self._line and self._bucket.take(tokens, self._clock()) == 0
        if not is_taken:
            await self._wait(tokens)
        return self._reservation(tokens, burn)

    async def settle(self, tokens: int) -> None:
        """See `BaseQuota.settle`."""
        self._give(0, tokens)

    def give_back(self, tokens: int) -> None:
        """See `BaseQuota.give_back`."""
        super().give_back(tokens)
        self._give(1, tokens)

    def throttled(self) -> None:
        """See `BaseQuota.throttled`."""
        super().throttled()
        with self._lock:
            self._bucket.slow(self._clock())

    def stats(self) -> QuotaStats:
        """See `BaseQuota.stats`."""
        with self._lock:
            now = self._clock()
            return self._stats(len(self._line), self._bucket.level(now), slowed=self._bucket.is_slow(now))

    async def _wait(self, tokens: int) -> None:
        """Wait in line; at its head, until the bucket has enough."""
        waiter = _Waiter()
        with self._lock:
            self._line.append(waiter)
        try:
            while (seconds := self._try(waiter, tokens)) != 0:
                await waiter.sleep(seconds)
        finally:
            with self._lock:
                if waiter in self._line:  # else its loop was closed
                    self._line.remove(waiter)
                head = self._head()
            if head is not None:
                head.wake()

    def _try(self, waiter: _Waiter, tokens: int) -> float | None:
        """Return 0 once the waiter has what it needs, the seconds until it may, or None until it is at the head."""
        with self._lock:
            return self._bucket.take(tokens, self._clock()) if self._head() is waiter else None

    def _give(self, requests: int, tokens: int) -> None:
        with self._lock:
            self._bucket.give(requests, tokens, self._clock())
            head = self._head() if tokens > 0 or requests else None
        if head is not None:
            head.wake()

    def _head(self) -> _Waiter | None:
        """Return the first in line whose loop can still run."""
        while self._line:
            if not self._line[0].loop.is_closed():
                return self._line[0]
            self._line.popleft()
        return None


class _Waiter:
    """A task in line. It may be woken from another loop's thread."""

    __slots__ = ("_future", "loop")

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._future = self.loop.create_future()

    async def sleep(self, seconds: float | None) -> None:
        """Return after so many seconds, or once it is woken, be it before this call."""
        handle = None if seconds is None else self.loop.call_later(seconds, self._wake)
        try:
            await self._future
        finally:
            if handle is not None:
                handle.cancel()
        self._future = self.loop.create_future()

    def wake(self) -> None:
        """End the current sleep, or the next."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:  # a finalizer on a thread without a loop
            running = None
        if running is self.loop:
            self._wake()
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)
