"""A value that holds secrets: pretty printers see of it what its own repr shows, and by default that is its name."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from ..errors import BedrockStreamError, ConfigurationError
from .checks import is_integer, is_number

__all__ = (
    "DEFAULT_REGION",
    "Masked",
    "RetryPolicy",
    "Target",
    "Timeouts",
    "check_region",
    "read_targets",
)


class Masked(msgspec.Struct, frozen=True):
    """The base of structs with secrets in them."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # msgspec's own shows every field
        return []


DEFAULT_REGION = "us-east-1"


_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def check_region(region: str, argument: str) -> str:
    """The region, if it can stand in a host name."""
    if not isinstance(region, str) or not _LABEL.fullmatch(region):
        raise ConfigurationError(argument, f"{region!r} is no region", f"use a name like {DEFAULT_REGION!r}")
    return region


class Target(Masked, frozen=True, kw_only=True):
    """One place to send a call to. What is None is as in the call itself."""

    model: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    api_key: Any = None
    """As in `Client`: an API key or a callable."""
    credentials: Any = None
    """As in `Client`: `Credentials`, a source, a callable, a session. Without any keys, the call's own are used."""

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in ("model", "region", "endpoint_url"))
        return f"Target({', '.join(shown)})"


def read_targets(argument: str, given: Any) -> tuple[Target, ...]:
    """The targets in their order. Raises `ConfigurationError`."""
    if isinstance(given, Target | str) or not isinstance(given, list | tuple):
        raise ConfigurationError(argument, f"a {type(given).__name__} is no list", "give a list of Target(...)")
    for place, target in enumerate(given):
        if not isinstance(target, Target):
            kind = type(target).__name__
            raise ConfigurationError(f"{argument}[{place}]", f"a {kind} is no target", "give Target(model=..., ...)")
    return tuple(given)


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Limits in seconds; None switches one off. Each has an error of its own name."""

    connect: float | None = 10
    """Name lookup, TCP and TLS together."""
    pool: float | None = 60
    """Waiting for one of the client's connection slots."""
    first_event: float | None = 300
    """From sending to the first event."""
    first_content: float | None = None
    """From sending to the first event that is more than the message's start; streams only."""
    idle: float | None = 300
    """Between two reads of bytes."""
    unread: float | None = 600
    """A stream that nobody reads gives its connection back, between this and an eighth more."""
    total: float | None = None
    """The whole call, retries and the caller's own time included."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            limit = getattr(self, name)
            if limit is not None and not (is_number(limit) and limit > 0):
                raise ConfigurationError(f"Timeouts.{name}", f"{limit!r} is no time limit", "give seconds, or None")


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
        if not is_integer(self.max_attempts) or self.max_attempts < 1:
            raise ConfigurationError(
                "RetryPolicy.max_attempts", f"{self.max_attempts!r} is no number", "give 1 or more"
            )
        for name in ("base", "cap", "total"):
            value = getattr(self, name)
            if value is None and name == "total":
                continue
            if not is_number(value) or not 0 <= value < math.inf:
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
