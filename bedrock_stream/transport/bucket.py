"""A bucket of requests and tokens that refills steadily: the arithmetic of a quota. Pure: the time is passed in.

It holds at most `burst` minutes' worth. What a call used beyond its reservation is a debt: the level is negative until
it has refilled.
"""

from __future__ import annotations

import math

__all__ = ("Bucket",)

_SLOW_SECONDS = 60.0  # without a throttle, until the whole rate is used again
_SHORTEST = 1e-9  # seconds; rounding errors must not cause a wait that is too short to move the clock


class Bucket:
    """Requests and tokens that may be taken now. Times are seconds of any one clock that does not run backwards."""

    __slots__ = (
        "_at",
        "_most_requests",
        "_most_tokens",
        "_request_rate",
        "_requests",
        "_slow_until",
        "_token_rate",
        "_tokens",
    )

    def __init__(self, rpm: float | None, tpm: float | None, burst: float, now: float) -> None:
        self._most_requests, self._request_rate = _size(rpm, burst)
        self._most_tokens, self._token_rate = _size(tpm, burst)
        self._requests, self._tokens = self._most_requests, self._most_tokens
        self._at = now
        self._slow_until = -math.inf

    def take(self, tokens: int, now: float) -> float:
        """Take a request and tokens and return 0, or take nothing and return the seconds until there may be enough.

        What is larger than the bucket is taken once it is full.
        """
        self._refill(now)
        seconds = 0.0
        if self._requests < 1.0 or self._tokens < tokens:
            requests_missing = min(1.0, self._most_requests) - self._requests
            tokens_missing = min(tokens, self._most_tokens) - self._tokens
            seconds = max(_seconds(requests_missing, self._request_rate), _seconds(tokens_missing, self._token_rate))
        if seconds > _SHORTEST:
            return seconds + min(seconds, max(0.0, self._slow_until - now) / 2)
        self._requests -= 1.0
        self._tokens -= tokens
        return 0.0

    def give(self, requests: int, tokens: int, now: float) -> None:
        """Return what was taken and not used; a negative number of tokens is a debt."""
        self._refill(now)
        self._requests = min(self._most_requests, self._requests + requests)
        self._tokens = min(self._most_tokens, self._tokens + tokens)

    def slow(self, now: float) -> None:
        """Halve the rate for a minute from now."""
        self._refill(now)
        self._slow_until = now + _SLOW_SECONDS

    def is_slow(self, now: float) -> bool:
        """Return whether the rate is halved."""
        return now < self._slow_until

    def level(self, now: float) -> tuple[float | None, float | None]:
        """Return the requests and the tokens in it; None for what has no limit."""
        self._refill(now)
        return _finite(self._requests), _finite(self._tokens)

    def _refill(self, now: float) -> None:
        seconds = now - self._at
        if seconds <= 0:
            return
        if self._at < self._slow_until:
            seconds -= min(seconds, self._slow_until - self._at) / 2
        self._at = now
        self._requests = min(self._most_requests, self._requests + seconds * self._request_rate)
        self._tokens = min(self._most_tokens, self._tokens + seconds * self._token_rate)


def _size(per_minute: float | None, burst: float) -> tuple[float, float]:
    """Return how much a bucket holds, and its rate a second; without a limit it is always full."""
    return (math.inf, 0.0) if per_minute is None else (max(1.0, per_minute * burst), per_minute / 60)


def _seconds(missing: float, rate: float) -> float:
    return missing / rate if missing > 0 else 0.0


def _finite(level: float) -> float | None:
    return level if level < math.inf else None
