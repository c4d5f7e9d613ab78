"""Decides whether a failed attempt is retried, where and after how long. Pure: time and chance are passed in.

The error's class decides, never its text. A target that failed is left for the next one at once; a wait comes only
once every target that is not known to be down has been tried. A patient call that is throttled waits in its lane (see
`transport.lanes`), so it is retried here without a wait. Nothing here knows what a caller has received: callers
must not ask for another attempt once an event has been delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import (
    BedrockStreamError,
    ConnectionFailed,
    CredentialsUnavailable,
    FirstContentTimeout,
    FirstEventTimeout,
    IdleTimeout,
    QuotaExceeded,
    ServiceError,
)
from ..types.settings import THROTTLES, RetryPolicy

__all__ = ("Breaker", "Budget", "Retries")


_FAILURES = 5  # in a row, until a breaker opens
_OPEN_SECONDS = 30.0

# Failures that another target may not have, although the same one hardly improves.
_WORTH_ANOTHER_TARGET = (FirstEventTimeout, FirstContentTimeout, IdleTimeout, QuotaExceeded, CredentialsUnavailable)


class Budget:
    """Tokens that all retries of a client draw on, so that a service in trouble is not flooded with retries.

    A retry takes five. A success after a retry returns five, any other success one.
    """

    __slots__ = ("_tokens",)

    _FULL = 500
    _RETRY = 5

    def __init__(self) -> None:
        self._tokens = self._FULL

    @property
    def left(self) -> int:
        """How many retries are allowed now."""
        return self._tokens // self._RETRY

    def take(self) -> bool:
        """Take the tokens of one retry. Return whether there were enough."""
        if self._tokens < self._RETRY:
            return False
        self._tokens -= self._RETRY
        return True

    def succeeded(self, retries: int) -> None:
        """Return tokens for a call that succeeded after this many retries."""
        self._tokens = min(self._FULL, self._tokens + (self._RETRY if retries else 1))


class Breaker:
    """Counts the failures of one target in a row. After five the target is skipped for half a minute.

    Times are seconds of any one clock.
    """

    __slots__ = ("_failures", "_open_until")

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0

    def is_open(self, now: float) -> bool:
        """Return whether the target is to be skipped."""
        return self._failures >= _FAILURES and now < self._open_until

    def try_again(self, now: float) -> None:
        """Note that a call is sent. Until its outcome is known, other calls skip a target that was down."""
        if self._failures >= _FAILURES:
            self._open_until = now + _OPEN_SECONDS

    def failed(self, now: float) -> None:
        """Note a failure that another target may not have."""
        self._failures += 1
        self._open_until = now + _OPEN_SECONDS

    def succeeded(self) -> None:
        """Note a response, be it a refusal."""
        self._failures = 0


class Retries:
    """Which target the next attempt of one call is sent to, and after how long.

    `breakers` holds one for each target in order, or none if there is only one target. `clock` is the breakers' own,
    `chance` returns a random number from 0 to 1.
    """

    __slots__ = ("_breakers", "_budget", "_chance", "_clock", "_policy", "_retries", "_untried", "index")

    def __init__(
        self,
        policy: RetryPolicy,
        budget: Budget,
        breakers: Sequence[Breaker],
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._budget = budget
        self._breakers = breakers
        self._clock = clock
        self._chance = chance
        self._retries = 0  # the first attempts at the other targets do not count
        self._untried = list(range(1, len(breakers)))
        self.index: int = 0
        """Which target is tried."""

    def begin(self) -> None:
        """Start at the first target that is not known to be down; at the first one if all are."""
        self.index = self._first_up()
        if self.index:
            self._untried.remove(self.index)

    def sending(self) -> None:
        """Note that an attempt is sent to the target."""
        if self._breakers:
            self._breakers[self.index].try_again(self._clock())

    def succeeded(self) -> None:
        """Note that content has been received, so that no other attempt follows."""
        self._budget.succeeded(self._retries if self._policy.budget else 0)
        if self._breakers:
            self._breakers[self.index].succeeded()

    def following(
        self, error: BedrockStreamError, elapsed: float, *, first: bool, starved: float = 0.0
    ) -> tuple[int, float] | None:
        """Return the index of the next attempt's target and the seconds to wait before it, None for no more attempts.

        `elapsed` is in seconds since the first attempt began, `starved` in seconds since then without a success of the
        model; `first` tells whether this was the first one.
        """
        # A connection that was open and broke says little about the target: replace it at once, once. (The transport
        # replaces pooled ones that were dead before the request by itself.)
        stale = first and isinstance(error, ConnectionFailed) and error.dropped
        if stale and self._wait(error, elapsed) is not None:
            return self.index, 0.0
        self._judge(error)
        if _is_worth_another_target(error):
            index = next(filter(self._is_up, self._untried), None)
            if index is not None:
                self._untried.remove(index)
                return index, 0.0
        if self._policy.patience is not None and isinstance(error, THROTTLES):
            return (self._first_up(), 0.0) if starved < self._policy.patience else None
        wait = self._wait(error, elapsed)
        return None if wait is None else (self._first_up(), wait)

    def _wait(self, error: BedrockStreamError, elapsed: float) -> float | None:
        """Count a retry and return the seconds to wait for it; None if the policy or the budget allows none."""
        wait = self._policy.wait(error, self._retries, elapsed, self._chance())
        if wait is None or (self._policy.budget and not self._budget.take()):
            return None
        self._retries += 1
        return wait

    def _judge(self, error: BedrockStreamError) -> None:
        if not self._breakers:
            return
        if _is_worth_another_target(error):
            self._breakers[self.index].failed(self._clock())
        elif isinstance(error, ServiceError):
            self._breakers[self.index].succeeded()  # a refusal is a response, too

    def _is_up(self, index: int) -> bool:
        return not self._breakers[index].is_open(self._clock())

    def _first_up(self) -> int:
        return next(filter(self._is_up, range(len(self._breakers))), 0)


def _is_worth_another_target(error: BedrockStreamError) -> bool:
    return error.retryable or isinstance(error, _WORTH_ANOTHER_TARGET)
