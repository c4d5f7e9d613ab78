"""Prices of genai-prices (extra `prices`), for clients without a price table of their own; in US dollars.

They are list prices, as old as the installed version of that package, which is never told to fetch newer ones. A price
that depends on what the package does not know (a service tier, a latency mode, most regions outside the US) is unknown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeAlias

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
    def calculate(usage: Usage, name: str, region: str) -> float | None:
        counts = _counts(usage)
        if counts is None:
            return None
        try:
            found = package.calc_price(package.Usage(**counts), name, provider_id="aws")
        except (LookupError, ValueError):  # an unknown model, or impossible counts
            return None
        if not _holds_in(region, found.model.id):
            return None
        # The package counts tokens without a price of their own at the price of input tokens.
        prices = found.model_price
        needed = [prices.input_mtok, prices.output_mtok]
        needed += [prices.cache_read_mtok] if counts["cache_read_tokens"] else []
        needed += [prices.cache_write_mtok] if counts["cache_write_tokens"] > counts["cache_write_1h_tokens"] else []
        needed += [prices.cache_write_1h_mtok] if counts["cache_write_1h_tokens"] else []
        return None if None in needed else float(found.total_price)

    return calculate


def _counts(usage: Usage) -> dict[str, int] | None:
    """Return the counts in that package's words; None if one that is needed is unknown."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    written_1h = written_for_1h(usage)
    read, written = usage.cache_read_tokens or 0, max(usage.cache_write_tokens or 0, written_1h)
    return {
        "input_tokens": usage.input_tokens + read + written,  # Bedrock's count excludes the cached ones
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": written_1h,
    }


def _holds_in(region: str, entry: str) -> bool:
    """Return whether an entry's price is that of a region. The package has the prices of the US, and no others."""
    return in_standard_partition(region) and (region.startswith("us-") or entry.startswith(_ANY_REGION))
