"""What an answer cost, by the caller's own price table. No prices ship with this library: they change, and differ by
region and contract. Where a price or a count is unknown, so is the cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import ConfigurationError
from ..request.models import Model
from ..types.events import Usage

__all__ = ("Price", "check_prices", "cost_of", "price_for")

_PER = 1_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Money for a million tokens, in whatever currency."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    """Writes that live five minutes."""
    cache_write_1h: float | None = None


def check_prices(prices: Any) -> dict[str, Price]:
    """A price table as it was given. Raises `ConfigurationError` for what is none."""
    if not isinstance(prices, Mapping):
        raise ConfigurationError("prices", f"a {type(prices).__name__} is no table", "give {model id: Price(...)}")
    for name, price in prices.items():
        if not isinstance(price, Price):
            raise ConfigurationError(f"prices[{name!r}]", f"a {type(price).__name__} is no price", "give Price(...)")
    return dict(prices)


def price_for(model: Model, prices: Mapping[str, Price]) -> Price | None:
    """The price under the id as it is sent, else under the longest beginning of the model's own id."""
    if model.id in prices:
        return prices[model.id]
    names = [name for name in prices if model.base.startswith(name)]
    return prices[max(names, key=len)] if names else None


def cost_of(usage: Usage | None, price: Price | None) -> float | None:
    """The cost; None where anything that it needs is unknown.

    >>> cost_of(Usage(input_tokens=1000, output_tokens=200), Price(input=3, output=15))
    0.006
    """
    if usage is None or price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    long = sum(detail.input_tokens for detail in usage.cache_details if detail.ttl == "1h")
    parts = (
        (usage.input_tokens, price.input),
        (usage.output_tokens, price.output),
        (usage.cache_read_tokens or 0, price.cache_read),
        (max(0, (usage.cache_write_tokens or 0) - long), price.cache_write),
        (long, price.cache_write_1h),
    )
    if any(count and rate is None for count, rate in parts):
        return None
    return sum(count * (rate or 0) for count, rate in parts) / _PER
