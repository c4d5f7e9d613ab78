"""Compute the cost of a response from the caller's price table.

No prices ship with this library: they change, and differ by region and contract. A client that is given no table uses
those of genai-prices if that is installed (see `list_prices`); a table that is given is the only source, since its
currency may be another one. Without all prices and token counts that it needs, a cost stays None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import ConfigurationError
from ..request.models import Model
from ..types.events import Usage

__all__ = ("Price", "check_prices", "cost_of", "price_for", "written_for_1h")

_TOKENS_PER_PRICE = 1_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Prices per million tokens, in any currency."""

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    """Cache writes with a lifetime of five minutes."""
    cache_write_1h: float | None = None
    """Cache writes with a lifetime of one hour."""


def check_prices(prices: Any) -> dict[str, Price]:
    """Return a copy of a price table. Raises `ConfigurationError` for an invalid one."""
    if not isinstance(prices, Mapping):
        problem = f"expected a mapping of model ids to Price, got {type(prices).__name__}"
        raise ConfigurationError("prices", problem)
    for name, price in prices.items():
        if not isinstance(price, Price):
            raise ConfigurationError(f"prices[{name!r}]", f"expected a Price, got {type(price).__name__}")
    return dict(prices)


def price_for(model: Model, prices: Mapping[str, Price]) -> Price | None:
    """Return the price of the id as it is sent, else of the longest prefix of the foundation model's id."""
    if model.id in prices:
        return prices[model.id]
    # `base` has no geo prefix, so one entry covers all inference profiles of a model.
    names = [name for name in prices if model.base.startswith(name)]
    return prices[max(names, key=len)] if names else None


def cost_of(usage: Usage | None, price: Price | None) -> float | None:
    """Return the cost, or None if a price or a count that it needs is unknown.

    >>> cost_of(Usage(input_tokens=1000, output_tokens=200), Price(input=3, output=15))
    0.006
    """
    if usage is None or price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    # `inputTokens` excludes cache reads and writes; `cacheWriteInputTokens` is the sum over all lifetimes.
    written_1h = written_for_1h(usage)
    parts = (
        (usage.input_tokens, price.input),
        (usage.output_tokens, price.output),
        (usage.cache_read_tokens or 0, price.cache_read),
        (max(0, (usage.cache_write_tokens or 0) - written_1h), price.cache_write),
        (written_1h, price.cache_write_1h),
    )
    if any(count and rate is None for count, rate in parts):
        return None
    return sum(count * (rate or 0) for count, rate in parts) / _TOKENS_PER_PRICE


def written_for_1h(usage: Usage) -> int:
    """Return the tokens that were written to the prompt cache for an hour."""
    if not usage.cache_details:  # nearly always
        return 0
    return sum(detail.input_tokens for detail in usage.cache_details if detail.ttl == "1h")
