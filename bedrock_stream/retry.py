"""When a failed attempt may be made again, and after how long. Pure: chance and time are handed in.

Only what has yielded nothing is ever tried again; that rule is kept by whoever asks here. What is worth another try is
told by the error's class, never by its text: throttling, a model that is not ready, a failure of the service, a
connection that was not made or broke. Waits grow twofold and are jittered over their whole length, so that workers that
failed together do not come back together; a time that the service names is waited for. All retries of a client draw on
one budget, so that a service in trouble is not stormed.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import msgspec

from .errors import BedrockStreamError, ConfigurationError

__all__ = ("Budget", "RetryPolicy")


_MOST_DOUBLINGS = 64  # a float has an end, a number of attempts has none


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how patiently a call is tried. `RetryPolicy(max_attempts=1)` never tries again."""

    max_attempts: int = 4
    """Attempts in all, the first included; the first turn of each further target is not counted."""
    base: float = 0.5
    """The first wait is at most this long, in seconds; each further one at most twice the one before."""
    cap: float = 20.0
    """No wait is longer, in seconds, but one that the service asks for."""
    total: float | None = 120.0
    """No retry begins later than this after the first attempt, in seconds; None: no limit. Another target may."""
    budget: bool = True
    """Whether retries draw on the client's budget: a hundred at once, refilled by what succeeds."""
    on_retry: Callable[[Any], None] | None = None
    """A plain function, called with the failed `Attempt` before each wait. What it raises ends the call."""

    def __post_init__(self) -> None:
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int) or self.max_attempts < 1:
            raise ConfigurationError(
                "RetryPolicy.max_attempts", f"{self.max_attempts!r} is no number", "give 1 or more"
            )
        for name in ("base", "cap", "total"):
            value = getattr(self, name)
            if value is None and name == "total":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ConfigurationError(f"RetryPolicy.{name}", f"{value!r} is no time", "give seconds")
        if self.on_retry is not None and not callable(self.on_retry):
            raise ConfigurationError("RetryPolicy.on_retry", f"{self.on_retry!r} is no function", "give a callable")
        if inspect.iscoroutinefunction(self.on_retry):
            raise ConfigurationError("RetryPolicy.on_retry", "nothing awaits what it returns", "give a plain function")

    def wait(self, error: BedrockStreamError, retries: int, elapsed: float, chance: float) -> float | None:
        """Seconds to wait before the next attempt; None where there shall be none.

        `retries` is how many were made before, `elapsed` the seconds since the first attempt began, `chance` a random
        number from 0 to 1.
        """
        if not error.retryable or retries + 1 >= self.max_attempts:
            return None
        wait = chance * min(self.cap, self.base * 2.0 ** min(retries, _MOST_DOUBLINGS))
        if error.retry_after is not None:
            wait = max(wait, error.retry_after)
        return None if self.total is not None and elapsed + wait > self.total else wait


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
