"""The quotas of a client: which one a model has, and what each call takes of it.

`Spending` is one call's part. It reserves before each attempt, and once that has ended settles with the usage, gives
back what never started, or leaves the reservation taken where the usage is unknown. It owns no task: what is settled is
awaited by the call itself, and a call that is dropped or cancelled leaves its reservation taken.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from time import monotonic
from typing import Any

from ..errors import (
    AccessDenied,
    BedrockStreamError,
    ConfigurationError,
    ConnectTimeout,
    ExpiredToken,
    InvalidSignature,
    QuotaExceeded,
    ResourceNotFound,
    Throttled,
    ValidationFailed,
)
from ..observing import Observers
from ..request.call import Call
from ..request.models import Model, describe
from ..request.token_estimate import Estimate, estimate_tokens, output_maximum
from ..transport.quota import BaseQuota, QuotaLike, QuotaStats, ReservationLike
from ..types.events import Usage
from ..types.settings import THROTTLES

__all__ = ("ClientQuotas", "Spending", "check_quota")

_log = logging.getLogger("bedrock_stream.quotas")

_MOST_MODELS = 1024  # models that are named call by call must not pile up
_LEARNING = 0.05  # the weight of a new observation, once there are twenty
_LEAST_RATIO, _MOST_RATIO = 0.1, 10.0

_NOTHING = Usage(input_tokens=0, output_tokens=0)
# Refusals that come before the model runs. After any other failure it may have run, and was then counted.
_REFUSALS = (AccessDenied, ExpiredToken, InvalidSignature, ResourceNotFound, ValidationFailed)


def check_quota(name: str, quota: Any) -> QuotaLike:
    """Return a quota. Raises `ConfigurationError` for an object without the method `reserve`."""
    if isinstance(quota, type) or not callable(getattr(quota, "reserve", None)):
        problem = f"expected a Quota, got {quota.__name__ if isinstance(quota, type) else type(quota).__name__}"
        raise ConfigurationError(name, problem, "pass Quota(rpm=...), or an object with `reserve`")
    checked: QuotaLike = quota
    return checked


class _Ratio:
    """How many tokens a model really counts for each one estimated."""

    __slots__ = ("_seen", "value")

    def __init__(self) -> None:
        self._seen = 0
        self.value: float = 1.0

    def learn(self, estimated: float, counted: int) -> None:
        observed = min(max(counted / estimated, _LEAST_RATIO), _MOST_RATIO)
        self._seen += 1
        self.value += (observed - self.value) * max(1 / self._seen, _LEARNING)


class ClientQuotas:
    """The quotas of a client by the beginning of model ids, and what it learns of the models' tokens.

    Raises `ConfigurationError`.
    """

    __slots__ = ("_quotas", "_ratios", "_warned")

    def __init__(self, quotas: Mapping[str, QuotaLike]) -> None:
        if not isinstance(quotas, Mapping):
            problem = f"expected a mapping of model ids to Quota, got {type(quotas).__name__}"
            raise ConfigurationError("quotas", problem)
        # Without the geo prefix, as the ids that they are compared with; an empty one is for all models.
        self._quotas = {
            describe(name).base if name else "": (name, check_quota(f"quotas[{name!r}]", quota))
            for name, quota in quotas.items()
        }
        self._ratios: dict[str, _Ratio] = {}
        self._warned: set[str] = set()

    def of(self, model: Model) -> QuotaLike | None:
        """Return the quota with the longest matching prefix, if any."""
        names = [name for name in self._quotas if model.base.startswith(name)]
        return self._quotas[max(names, key=len)][1] if names else None

    def spending(
        self, observers: Observers | None, own: QuotaLike | None = None, tokens: int | None = None
    ) -> Spending:
        """Return what one call takes of them; see `Spending`."""
        return Spending(self, observers, own, tokens)

    def stats(self) -> dict[str, QuotaStats]:
        """Return the numbers of this library's own quotas."""
        return {name: quota.stats() for name, quota in self._quotas.values() if isinstance(quota, BaseQuota)}

    def ratio(self, model: Model) -> _Ratio:
        """Return what was learned of a model."""
        ratio = self._ratios.get(model.base)
        if ratio is None:
            while len(self._ratios) >= _MOST_MODELS:
                del self._ratios[next(iter(self._ratios))]
            ratio = self._ratios[model.base] = _Ratio()
        return ratio

    def maximum(self, model: Model) -> int:
        """Return what a call without `max_tokens` reserves; a warning tells it once for each model."""
        most = output_maximum(model)
        if model.base not in self._warned and len(self._warned) < _MOST_MODELS:
            self._warned.add(model.base)
            _log.warning(
                "max_tokens is not set, so each call of %s reserves %d output tokens of its quota; pass max_tokens",
                model.id,
                most,
            )
        return most


class Spending:
    """What one call takes of its quotas. `own` is a quota of its own beside the client's, `tokens` its known input."""

    __slots__ = (
        "_client",
        "_due",
        "_estimated",
        "_held",
        "_observers",
        "_own",
        "_ratio",
        "_tokens",
        "is_waiting",
        "waited",
    )

    def __init__(
        self, client: ClientQuotas, observers: Observers | None, own: QuotaLike | None, tokens: int | None
    ) -> None:
        self._client = client
        self._observers = observers
        self._own = own
        self._tokens = tokens
        self._held: list[ReservationLike] = []  # of the current attempt
        self._due: list[tuple[ReservationLike, Usage | None]] = []  # of attempts that have ended
        self._estimated = 0.0  # input tokens of the current attempt
        self._ratio: _Ratio | None = None  # of its model
        self.is_waiting: bool = False
        """Whether the call waits for a quota."""
        self.waited: float = 0.0
        """Seconds that it has waited for quotas."""

    async def reserve(self, call: Call) -> None:
        """Wait until the quotas have what the call may take. Has no effect if the attempt has reserved before."""
        if self._held:
            return
        if self._due:
            await self.settle()
        quotas = self._quotas_of(call)
        if not quotas:
            return
        estimate = estimate_tokens(call.request.body)
        self._estimated, self._ratio = estimate.input_tokens, self._client.ratio(call.model)
        self.is_waiting, began = True, monotonic()
        try:
            for quota in quotas:
                self._held.append(await self._reserve(quota, call.model, estimate, self._ratio.value))
        except BaseException:
            self._give_back()
            raise
        finally:
            self.is_waiting = False
            waited = monotonic() - began
            self.waited += waited
        if self._observers is not None:
            self._tell("reserved", sum(getattr(reservation, "tokens", 0) for reservation in self._held), waited)

    def failed(self, error: BedrockStreamError, usage: Usage | None, *, sent: bool, answered: bool) -> None:
        """Note that the attempt has failed; `usage` is that of a message that was complete, `sent` and `answered`
        whether it got so far."""
        if isinstance(error, Throttled | QuotaExceeded):
            for reservation in self._held:
                if (note := getattr(reservation, "throttled", None)) is not None:
                    note()
        if not sent or isinstance(error, ConnectTimeout) or (isinstance(error, THROTTLES) and not answered):
            self._give_back()
        elif isinstance(error, _REFUSALS) and not answered:
            self._end(_NOTHING)
        else:
            self._end(usage)

    def finished(self, usage: Usage | None) -> None:
        """Note the end of the response."""
        if self._ratio is not None and usage is not None:
            counted = (usage.input_tokens or 0) + (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
            if counted:
                self._ratio.learn(max(self._estimated, 1.0), counted)
        self._end(usage)

    async def settle(self) -> None:
        """Settle what has ended. A failure of a quota is logged: it must not cost the answer."""
        while self._due:
            reservation, usage = self._due.pop()
            try:
                await reservation.settle(usage)
            except Exception:
                _log.warning("a quota could not be settled", exc_info=True)
            if self._observers is not None and (used := getattr(reservation, "used", None)) is not None:
                self._tell("settled", used)

    # ------------------------------------------------------------------------------------------------------- internals

    def _tell(self, step: str, *facts: Any) -> None:
        """Report a step to the observations of the call that take it; see `observing.QuotaObservation`."""
        report = None if self._observers is None else self._observers.reporter(step)
        if report is not None:
            report(*facts)

    def _quotas_of(self, call: Call) -> list[QuotaLike]:
        if call.operation == "count-tokens":  # no model runs, and it has quotas of its own
            return []
        found = [quota for quota in (self._client.of(call.model), self._own) if quota is not None]
        return found[:1] if len(found) == 2 and found[0] is found[1] else found

    async def _reserve(self, quota: QuotaLike, model: Model, estimate: Estimate, ratio: float) -> ReservationLike:
        tokens = estimate.input_tokens * ratio if self._tokens is None else self._tokens
        part = getattr(quota, "reserve_output", 1.0)
        if part and getattr(quota, "tpm", 1) is not None:  # else the limit of the output does not matter
            tokens += part * (self._client.maximum(model) if estimate.max_tokens is None else estimate.max_tokens)
        if isinstance(quota, BaseQuota):
            return await quota.reserve(math.ceil(tokens), burn=model.facts.burndown)
        return await quota.reserve(math.ceil(tokens))

    def _give_back(self) -> None:
        held, self._held = self._held, []
        for reservation in held:
            give_back = getattr(reservation, "give_back", None)
            if give_back is None:
                self._due.append((reservation, _NOTHING))
            else:
                give_back()

    def _end(self, usage: Usage | None) -> None:
        held, self._held = self._held, []
        self._due += [(reservation, usage) for reservation in held]
