"""Settings of calls: targets, timeouts and retries, and the base class of structs that contain secrets."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from ..errors import (
    BedrockStreamError,
    ConfigurationError,
    ModelNotReady,
    QuotaExceeded,
    ServiceUnavailable,
    Throttled,
)
from .checks import is_integer, is_number

__all__ = (
    "THROTTLES",
    "DEFAULT_REGION",
    "Masked",
    "RetryPolicy",
    "Target",
    "Timeouts",
    "backoff",
    "check_region",
    "read_targets",
)


class Masked(msgspec.Struct, frozen=True):
    """Base class of structs that contain secrets: `repr` and pretty printers show the class name only by default."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # the method that msgspec provides shows every field
        return []


THROTTLES = (Throttled, QuotaExceeded, ServiceUnavailable, ModelNotReady)
"""The errors that `RetryPolicy.patience` waits out."""

DEFAULT_REGION = "us-east-1"
"""The region if neither the call, the client nor the environment sets one."""

# A region is one label of the host name: without this check, a value such as `evil.example/` could change the host.
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def check_region(region: str, argument: str) -> str:
    """Return the region. Raises `ConfigurationError` if it cannot be part of a host name."""
    if not isinstance(region, str) or not _LABEL.fullmatch(region):
        raise ConfigurationError(argument, f"expected a region, got {region!r}", f"use a name like {DEFAULT_REGION!r}")
    return region


class Target(Masked, frozen=True, kw_only=True):
    """A destination of a call, for failover. A field that is left out (None) has the value of the call itself."""

    model: str | None = None
    """Model id, inference-profile id or ARN."""
    region: str | None = None
    """AWS region."""
    endpoint_url: str | None = None
    """Base URL of the endpoint."""
    api_key: str | Callable[[], str | Awaitable[str]] | None = None
    """A Bedrock API key, or a callable that returns one, as in `Client`."""
    credentials: Any = None
    """`Credentials`, a provider, a callable or a session, as in `Client`. Without `api_key` and `credentials`, the
    target uses the credentials of the call."""
    options: Mapping[str, Any] | None = None
    """Options of the call that differ at this target: `{"max_tokens": 500, "reasoning": None}`. None removes an
    option."""

    def __post_init__(self) -> None:
        if self.options is not None and not isinstance(self.options, Mapping):
            raise ConfigurationError("Target.options", f"expected a dict, got {type(self.options).__name__}")

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in ("model", "region", "endpoint_url"))
        return f"Target({', '.join(shown)})"


def read_targets(argument: str, value: Any) -> tuple[Target, ...]:
    """Return the targets in their order. Raises `ConfigurationError` for anything but a list or tuple of `Target`."""
    if isinstance(value, Target | str) or not isinstance(value, list | tuple):
        raise ConfigurationError(argument, f"expected a list of Target, got {type(value).__name__}")
    for index, target in enumerate(value):
        if not isinstance(target, Target):
            raise ConfigurationError(f"{argument}[{index}]", f"expected a Target, got {type(target).__name__}")
    return tuple(value)


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits in seconds; None disables a limit. Each raises an error of its own, a `TimeoutError`: `IdleTimeout`.

        Timeouts(total=30, idle=None)

    Before the response: `credentials`, `pool`, `connect`, `first_event`, `first_content`. While it is received: `idle`,
    `after_end`, `unread`. For the whole call, retries included: `total`.

    They are set for a client or for a call; those of a call replace all of its client's. The service has limits of its
    own: ModelTimeoutException in https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
    Raises `ConfigurationError` for a limit that is not a positive number.
    """

    credentials: float | None = 60
    """Wait for credentials from their source, before a connection slot is taken. A source that takes longer raises
    `CredentialsUnavailable`, and the next call asks it anew."""
    connect: float | None = 10
    """Name lookup, TCP and TLS handshakes together."""
    pool: float | None = 60
    """Wait for a free connection slot of the client."""
    first_event: float | None = 300
    """Time from sending the request to the first event."""
    first_content: float | None = None
    """Time from sending the request to the first event after the start of the message; streams only."""
    idle: float | None = 300
    """Time between two reads of bytes."""
    after_end: float | None = 3
    """Time between two reads after the message's own end, for its usage; then the stream ends, with `usage` None."""
    unread: float | None = 600
    """Time without a read by the caller, after which the stream releases its connection; up to an eighth more."""
    total: float | None = None
    """Duration of the whole call, including retries and the time that the caller spends between events."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            limit = getattr(self, name)
            if limit is not None and not (is_number(limit) and limit > 0):
                problem = f"expected a positive number of seconds or None, got {limit!r}"
                raise ConfigurationError(f"Timeouts.{name}", problem)


_MAX_DOUBLINGS = 64  # 2.0 ** retries would overflow a float for a very large number of attempts


def backoff(base: float, cap: float, times: int) -> float:
    """Return `base` doubled so many times, at most `cap`.

    >>> backoff(0.5, 30, 3)
    4.0
    """
    return min(cap, base * 2.0 ** min(times, _MAX_DOUBLINGS))


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Rules for retries: exponential backoff with full jitter. `RetryPolicy(max_attempts=1)` disables retries.

    Attempts: `max_attempts`, with the first one; `budget`, shared within the client. Waits in seconds: `base`, which
    doubles with each retry up to `cap`; `total`, after which none begins. `on_retry` is called before each wait.

    Only errors with `retryable` are retried, and only before an event of the response has been delivered. It is set
    for a client or for a call. Background: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html

    A backend, where somebody waits for the answer, is served best by the defaults: a call fails soon, and the budget
    keeps all calls together from flooding a service in trouble. `RetryPolicy(max_attempts=20, budget=False)` survives
    throttling of some seconds; each call finds out by itself when it is over. Workers, which may wait, are served best
    by `RetryPolicy(patience=600)`: all calls of a model wait together, and one at a time finds out.

    Raises `ConfigurationError` for invalid values.
    """

    max_attempts: int = 4
    """Maximum number of attempts, including the first. The first attempt on each failover target is not counted."""
    base: float = 0.5
    """Upper bound of the first wait, in seconds. It doubles with each retry."""
    cap: float = 20.0
    """Upper bound of all waits, in seconds, except for those that the service requests (`retry_after`)."""
    total: float | None = 120.0
    """Seconds after the first attempt within which a retry must start; None means no limit. Does not apply to
    failover."""
    budget: bool = True
    """If True, retries use the client's retry budget: up to 100 retries, refilled by successful calls."""
    on_retry: Callable[[Any], None] | None = None
    """A plain function that is called with the failed `Attempt` before each wait. An exception from it ends the
    call."""
    patience: float | None = None
    """Seconds without any success of the model after which a throttled call fails. Until then, throttling (`Throttled`,
    `QuotaExceeded`, `ServiceUnavailable`, `ModelNotReady`) pauses all calls of this client with patience to that model
    and region, for 0.5 s at first, doubling up to 30 s, or as long as `Retry-After` says; then one call tries alone.
    How many calls run at once is learned, as with `adaptive_concurrency`. Such a retry counts neither for
    `max_attempts` and `total` nor for the budget, and the wait does not count for `Timeouts.pool`; `Timeouts.total`
    ends it. None, the default, treats throttling as any other failure."""

    def __post_init__(self) -> None:
        if not is_integer(self.max_attempts) or self.max_attempts < 1:
            raise ConfigurationError("RetryPolicy.max_attempts", f"expected a positive int, got {self.max_attempts!r}")
        for name in ("base", "cap", "total"):
            value = getattr(self, name)
            if value is None and name == "total":
                continue
            if not is_number(value) or not 0 <= value < math.inf:
                allowed = "a finite, non-negative number of seconds" + (" or None" if name == "total" else "")
                raise ConfigurationError(f"RetryPolicy.{name}", f"expected {allowed}, got {value!r}")
        if self.patience is not None and not (is_number(self.patience) and 0 < self.patience < math.inf):
            problem = f"expected a finite, positive number of seconds or None, got {self.patience!r}"
            raise ConfigurationError("RetryPolicy.patience", problem)
        if self.on_retry is not None and not callable(self.on_retry):
            raise ConfigurationError("RetryPolicy.on_retry", f"expected a function, got {self.on_retry!r}")
        if inspect.iscoroutinefunction(self.on_retry):
            problem = "expected a plain function, got a coroutine function, which is never awaited"
            raise ConfigurationError("RetryPolicy.on_retry", problem)

    def wait(self, error: BedrockStreamError, retries: int, elapsed: float, chance: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None if no attempt follows.

        `retries` is the number of retries made before, `elapsed` the seconds since the start of the first attempt, and
        `chance` a random number from 0 to 1.
        """
        if not error.retryable or retries + 1 >= self.max_attempts:
            return None
        # Full jitter spreads the retries of many clients over the whole wait.
        wait = chance * backoff(self.base, self.cap, retries)
        if error.retry_after is not None:
            wait = max(wait, error.retry_after)
        # A retry that would start after the limit is not made at all.
        return None if self.total is not None and elapsed + wait > self.total else wait
