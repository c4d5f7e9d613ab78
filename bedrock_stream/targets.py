"""Where else a call may go: ordered targets, and a breaker for each, so that one that is down is not asked every time.

A target says what differs from the call: a model, a region, an address, keys. After five failures in a row it is passed
over for half a minute, then one call tries it again.
"""

from __future__ import annotations

from typing import Any

from .errors import ConfigurationError
from .masked import Masked

__all__ = ("Breaker", "Target", "read_targets")

_FAILURES = 5
_PAUSE = 30.0  # seconds


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


def read_targets(argument: str, given: Any) -> tuple[Target, ...]:
    """The targets in their order. Raises `ConfigurationError`."""
    if isinstance(given, Target | str) or not isinstance(given, list | tuple):
        raise ConfigurationError(argument, f"a {type(given).__name__} is no list", "give a list of Target(...)")
    for place, target in enumerate(given):
        if not isinstance(target, Target):
            kind = type(target).__name__
            raise ConfigurationError(f"{argument}[{place}]", f"a {kind} is no target", "give Target(model=..., ...)")
    return tuple(given)
