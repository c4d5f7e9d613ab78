"""The quota of an account, as Bedrock counts it: requests and tokens a minute, for each model id.

It is written from AWS's description and shares nothing with the library's `Quota`, so that the two cannot share a
mistake. A request takes tokens in three stages:

1. At its start, its input and `max_tokens`; without `max_tokens`, the model's maximum. If they are not there, it is
   refused with 429, and takes nothing.
2. While the answer is written, more where the output, times the model's burndown, exceeds what was taken.
3. At its end, input, cache writes and output times the burndown replace what was taken. Cache reads take nothing.

How the service refills is not documented. Here it refills steadily, and holds `burst` of a minute's quota.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from time import monotonic
from types import TracebackType
from typing import Any, Self

from ...errors import ConfigurationError
from ...types.checks import is_number
from .families import maker_of
from .model_rules import rules_of
from .refusal import Refusal

__all__ = ("AccountQuota", "Admission", "read_quota")

_MAXIMUM = 64_000  # tokens of output, for models whose maximum is unknown
# AWS lists Claude Opus 4 and Sonnet 4; 3.7 and all later ones are taken to be like them. Older ids begin with `3-`, or
# have no generation behind the name.
_OLD_CLAUDE = re.compile(r"claude-(v1|v2|instant|3-(haiku|sonnet|opus|5))")


class AccountQuota:
    """The limits of an account, and what was counted: `Emulator(quota=AccountQuota(rpm=60, tpm=30_000))`.

    - `rpm`, `tpm`: requests and tokens a minute; None for no limit.
    - `burn`: tokens that an output token takes; None for what AWS says of the model.
    - `burst`: the part of a minute's quota that may be used at once after a rest.
    - `clock`: returns seconds.
    """

    def __init__(
        self,
        rpm: float | None = None,
        tpm: float | None = None,
        burn: float | None = None,
        burst: float = 1.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        for name, value in (("rpm", rpm), ("tpm", tpm), ("burn", burn)):
            if value is not None and not (is_number(value) and value > 0):
                raise ConfigurationError(f"quota.{name}", f"expected a positive number or None, got {value!r}")
        if not (is_number(burst) and 0 < burst <= 1):
            raise ConfigurationError("quota.burst", f"expected a number above 0 and up to 1, got {burst!r}")
        self.rpm: float | None = rpm
        self.tpm: float | None = tpm
        self.burn: float | None = burn
        self.burst: float = burst
        self._clock = clock
        self._levels: dict[tuple[str, str], _Level] = {}
        self.asked: int = 0
        """Requests that reached the quota, throttled ones included."""
        self.throttled: int = 0
        """Requests that it refused."""
        self.answered: int = 0
        """Answers that were written to their end."""
        self.open: int = 0
        """Requests that are being answered."""
        self.peak: int = 0
        """The most requests that were being answered at once."""
        self.tokens: int = 0
        """Tokens taken by requests that have ended."""

    def admit(self, model: str, input_tokens: int, max_tokens: int | None) -> Admission:
        """Begin a request. Raises `Refusal` with 429 if the quota is used up."""
        self.asked += 1
        if max_tokens is None:
            max_tokens = rules_of(model).max_tokens or _MAXIMUM
        requests, tokens = self._level(model, "requests", self.rpm), self._level(model, "tokens", self.tpm)
        need = input_tokens + max_tokens
        for level, amount, what in ((requests, 1, "requests"), (tokens, need, "tokens")):
            if level is not None and not level.has(amount, self._clock()):
                self.throttled += 1
                raise Refusal(429, "ThrottlingException", f"Too many {what}, please wait before trying again.")
        if requests is not None:
            requests.take(1)
        self.open += 1
        self.peak = max(self.peak, self.open)
        return Admission(self, tokens, input_tokens, need, self.burn or _burndown(model))

    def _level(self, model: str, kind: str, limit: float | None) -> _Level | None:
        if limit is None:
            return None
        level = self._levels.get((model, kind))
        if level is None:
            level = self._levels[model, kind] = _Level(limit, self.burst, self._clock())
        return level


class Admission:
    """A request that the quota let in; a context manager. It ends with the block, unless `end` came before.

    A request that is refused for another reason takes nothing.
    """

    def __init__(self, quota: AccountQuota, level: _Level | None, input_tokens: int, taken: float, burn: float) -> None:
        self._quota, self._level = quota, level
        self._input, self._taken, self._burn = input_tokens, 0.0, burn
        self._written = 0
        self._is_open = True
        self._take(taken)

    def wrote(self, tokens: int = 1) -> None:
        """Count output that was sent."""
        self._written += tokens
        self._take(max(self._taken, self._input + self._written * self._burn))

    def end(self, usage: Mapping[str, Any]) -> None:
        """End the request with the usage of its whole answer, in Converse's form."""
        self._quota.answered += 1
        paid = usage.get("inputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
        self._close(paid + usage.get("outputTokens", 0) * self._burn)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_open:
            self._close(0.0 if isinstance(error, Refusal) else self._input + self._written * self._burn)

    def _close(self, tokens: float) -> None:
        self._is_open = False
        self._take(tokens)
        self._quota.open -= 1
        self._quota.tokens += round(tokens)

    def _take(self, tokens: float) -> None:
        """Take so many tokens in all."""
        if self._level is not None:
            self._level.take(tokens - self._taken)
        self._taken = tokens


class _Level:
    """What is left of one limit of one model."""

    def __init__(self, per_minute: float, burst: float, now: float) -> None:
        self._rate = per_minute / 60
        self._most = self._left = max(1.0, per_minute * burst)
        self._at = now

    def has(self, amount: float, now: float) -> bool:
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left >= amount

    def take(self, amount: float) -> None:
        self._left = min(self._most, self._left - amount)


def _burndown(model: str) -> int:
    maker, name = maker_of(model)
    return 5 if maker == "anthropic" and not _OLD_CLAUDE.match(name) else 1


def read_quota(value: Any) -> AccountQuota:
    """Return the quota of an emulator's argument: an `AccountQuota`, a mapping of its settings, an object with the
    attributes `rpm`, `tpm` and `burn`, or None for one that only counts. Raises `ConfigurationError`."""
    if isinstance(value, AccountQuota):
        return value
    if value is None:
        return AccountQuota()
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in ("rpm", "tpm", "burn", "burst")]
        if unknown:
            raise ConfigurationError(f"quota[{unknown[0]!r}]", "is unknown", "known are rpm, tpm, burn, burst")
        return AccountQuota(**value)
    if not (hasattr(value, "rpm") and hasattr(value, "tpm")):
        problem = f"expected settings of a quota, got {type(value).__name__}"
        raise ConfigurationError("quota", problem, "pass AccountQuota(rpm=..., tpm=...)")
    return AccountQuota(value.rpm, value.tpm, getattr(value, "burn", None))
