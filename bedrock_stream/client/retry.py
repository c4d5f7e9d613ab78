"""When a failed attempt may be made again, and after how long. Pure: chance and time are handed in.

Only what has yielded nothing is ever tried again; that rule is kept by whoever asks here. What is worth another try is
told by the error's class, never by its text: throttling, a model that is not ready, a failure of the service, a
connection that was not made or broke. Waits grow twofold and are jittered over their whole length, so that workers that
failed together do not come back together; a time that the service names is waited for. All retries of a client draw on
one budget, so that a service in trouble is not stormed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import monotonic

from ..errors import (
    BedrockStreamError,
    ClientClosed,
    CredentialsUnavailable,
    FirstContentTimeout,
    FirstEventTimeout,
    IdleTimeout,
    QuotaExceeded,
)
from .call import Call

__all__ = (
    "Breaker",
    "Budget",
    "Memory",
)


class Budget:
    """Tokens that all retries of a client draw on. A retry takes five; success gives them back, or one at a time."""

    __slots__ = ("_tokens",)

    _FULL = 500
    _RETRY = 5

    def __init__(self) -> None:
        self._tokens = self._FULL

    @property
    def left(self) -> int:
        """Retries that may be made now."""
        return self._tokens // self._RETRY

    def take(self) -> bool:
        """Take what one retry costs, if there is as much."""
        if self._tokens < self._RETRY:
            return False
        self._tokens -= self._RETRY
        return True

    def succeeded(self, retries: int) -> None:
        """A call succeeded after that many retries."""
        self._tokens = min(self._FULL, self._tokens + (self._RETRY if retries else 1))


_FAILURES = 5


_PAUSE = 30.0  # seconds


class Breaker:
    """Counts the failures of one target in a row. Times are seconds of any one clock."""

    __slots__ = ("_failures", "_shut_until")

    def __init__(self) -> None:
        self._failures = 0
        self._shut_until = 0.0

    def is_open(self, now: float) -> bool:
        """Whether the target is to be passed over."""
        return self._failures >= _FAILURES and now < self._shut_until

    def try_again(self, now: float) -> None:
        """A call goes there; until it is known how it went, others pass a target that was down."""
        if self._failures >= _FAILURES:
            self._shut_until = now + _PAUSE

    def failed(self, now: float) -> None:
        """It failed in a way that another target may not."""
        self._failures += 1
        self._shut_until = now + _PAUSE

    def succeeded(self) -> None:
        """It answered."""
        self._failures = 0


# What another target may do better, though the same one would hardly.
_ELSEWHERE = (FirstEventTimeout, FirstContentTimeout, IdleTimeout, QuotaExceeded, CredentialsUnavailable)


_MOST_BREAKERS = 1024  # targets given call by call must not pile up


class Memory:
    """What one client remembers of all its calls."""

    __slots__ = ("_breakers", "attempts", "budget", "clock", "retries")

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._breakers: dict[Hashable, Breaker] = {}
        self.clock: Callable[[], float] = clock
        self.budget: Budget = Budget()
        self.attempts: int = 0
        self.retries: int = 0

    def breaker(self, call: Call) -> Breaker:
        """The breaker of a call's target."""
        key = (call.target, call.account)
        found = self._breakers.get(key)
        if found is None:
            while len(self._breakers) >= _MOST_BREAKERS:
                del self._breakers[next(iter(self._breakers))]
            found = self._breakers[key] = Breaker()
        return found


def _is_the_targets_fault(error: BedrockStreamError) -> bool:
    return (error.retryable or isinstance(error, _ELSEWHERE)) and not isinstance(error, ClientClosed)
