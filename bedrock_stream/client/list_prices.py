"""Prices of genai-prices (extra `prices`), for clients without a price table of their own; in US dollars.

They are list prices, as old as the installed version of that package, which is never told to fetch newer ones. A price
that depends on what the package does not know (a service tier, a latency mode, most regions outside the US) is unknown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from importlib.util import find_spec
from time import monotonic
from typing import Any, NamedTuple, TypeAlias

from ..auth.threads import run_in_thread
from ..request.call import Call
from ..request.endpoints import in_standard_partition
from ..types.events import Usage
from ..types.response import Response
from .pricing import written_for_1h

__all__ = ("list_cost",)

_log = logging.getLogger("bedrock_stream")

_Calculate: TypeAlias = Callable[[Usage, str, str], "float | None"]
"""Takes the token counts, the id of a model or a profile, and the region."""

# Kinds of ids that are billed by the token, at the rates of the model behind them.
_BY_TOKEN = (None, "foundation-model", "inference-profile", "application-inference-profile")
_STANDARD = ("default", "standard")  # service tier and latency mode
# Entries of the package for inference profiles, whose prices are the same in all commercial regions.
_ANY_REGION = ("global.", "regional.")

_TOKENS_PER_PRICE = 1_000_000
_KEPT_SECONDS = 60.0  # a price may change at a date, or with newer data
_MOST_KEPT = 256  # models that are named call by call must not pile up

_loaded: list[_Calculate | None] = []  # empty until genai-prices was looked for; None if it cannot be used


async def list_cost(call: Call, response: Response) -> float | None:
    """Return the cost of a response in US dollars; None if genai-prices is not installed, or does not know a price."""
    model, usage, (tier, latency) = call.model, response.usage, call.rate
    rate = response.service_tier or tier, response.performance or latency
    if usage is None or model.vendor is None or model.arn_kind not in _BY_TOKEN or rate != _STANDARD:
        return None
    if not _loaded:
        # The import and the first calculation take a quarter of a second.
        calculate = await run_in_thread(_load) if find_spec("genai_prices") is not None else None
        _loaded[:] = [calculate]
    calculate = _loaded[0]
    if calculate is None:
        return None
    name = model.base if model.geo is None else f"{model.geo}.{model.base}"
    try:
        return calculate(usage, name, call.region)
    except Exception:  # a later version of that package may differ, which must not fail a response
        _log.exception("genai-prices failed; costs are unknown from now on")
        _loaded[:] = [None]
        return None


def _load() -> _Calculate | None:
    """Import genai-prices, and calculate a price, which builds its tables."""
    try:
        import genai_prices

        calculate = _calculator(genai_prices)
        calculate(Usage(1, 1), "amazon.nova-lite-v1:0", "us-east-1")
    except Exception:
        _log.exception("genai-prices is installed and does not work; costs are unknown")
        return None
    return calculate


def _calculator(package: Any) -> _Calculate:
    kept: dict[str, tuple[float, _Rates | None]] = {}  # with the moment until which they hold

    def calculate(usage: Usage, name: str, region: str) -> float | None:
        counts = _counts(usage)
        if counts is None:
            return None
        until, rates = kept.get(name, (0.0, None))
        if until <= (now := monotonic()):
            while len(kept) >= _MOST_KEPT:
                del kept[next(iter(kept))]
            rates = _rates_of(package, name)
            kept[name] = now + _KEPT_SECONDS, rates
        return None if rates is None or not _holds_in(region, rates.entry) else rates.cost(counts)

    return calculate


class _Counts(NamedTuple):
    """Tokens, each of them in one count alone."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int


class _Rates:
    """What a model costs. The package looks for it and checks it anew in each calculation, which takes 0.2 ms."""

    __slots__ = ("_rates", "entry")

    def __init__(self, entry: str, prices: Any) -> None:
        self.entry: str = entry
        """The package's name of the model."""
        self._rates: tuple[Any, ...] = tuple(getattr(prices, f"{name}_mtok") for name in _Counts._fields)

    def cost(self, counts: _Counts) -> float | None:
        """Return the cost; None without a price that is needed. One for input and one for output always are."""
        if None in self._rates[:2]:
            return None
        total, given = Decimal(0), counts.input + counts.cache_read + counts.cache_write + counts.cache_write_1h
        for rate, count in zip(self._rates, counts, strict=True):
            if count:
                if rate is None:  # the package would count these tokens at the price of input tokens
                    return None
                total += _at(rate, given) * count
        return float(total / _TOKENS_PER_PRICE)


def _rates_of(package: Any, name: str) -> _Rates | None:
    try:
        found = package.calc_price(package.Usage(input_tokens=1, output_tokens=1), name, provider_id="aws")
    except (LookupError, ValueError):  # an unknown model
        return None
    return _Rates(found.model.id, found.model_price)


def _at(rate: Any, given: int) -> Decimal:
    """Return a price per million tokens, which may depend on how many tokens of input there are."""
    if not isinstance(rate, Decimal):
        rate = next((tier.price for tier in reversed(rate.tiers) if given > tier.start), rate.base)
    found: Decimal = rate
    return found


def _counts(usage: Usage) -> _Counts | None:
    """Return the counts; None if one that is needed is unknown, or cannot be."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    written_1h = written_for_1h(usage)
    written = max(usage.cache_write_tokens or 0, written_1h)
    counts = _Counts(
        usage.input_tokens, usage.output_tokens, usage.cache_read_tokens or 0, written - written_1h, written_1h
    )
    return counts if min(counts) >= 0 else None


def _holds_in(region: str, entry: str) -> bool:
    """Return whether an entry's price is that of a region. The package has the prices of the US, and no others."""
    return in_standard_partition(region) and (region.startswith("us-") or entry.startswith(_ANY_REGION))
