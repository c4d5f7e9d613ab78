"""What the rows in flight may take at most: by so much may a ceiling of `Stop` be passed.

A row has its bound when it is planned, by the body that is sent: for its input the bytes, since a token is at least one
of them, and for its output the limit that it sets. It counts until its outcome does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..client.attempts import Attempts
from ..client.pricing import Price, cost_of, price_for
from ..request.call import Call
from ..request.token_estimate import bound_tokens, output_maximum
from ..types.events import Usage

__all__ = ("Committed", "bound_of", "sum_of")


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """What rows in flight may take at most."""

    rows: int
    """How many there are, and so how many may fail."""
    input_tokens: int
    """A token for each byte, or as many as `Ask.tokens` says; images and documents by a table of large ones."""
    output_tokens: int
    """Their `max_tokens`; without it, the most that the model writes."""
    cost: float | None
    """Cost of these tokens by the client's price table; None if a price is unknown."""


def bound_of(attempts: Attempts, tokens: int | None, prices: Mapping[str, Price]) -> Committed:
    """Return the most that one row takes, of all its targets. `tokens` are its input, if that is known."""
    bounds = [_bound_at(call, tokens, prices) for call in attempts.calls]
    return bounds[0] if len(bounds) == 1 else _joined(bounds, max)


def sum_of(bounds: Sequence[Committed | None]) -> Committed:
    """Return the sum of rows. One without a bound, as it was not planned yet, counts as the largest of the others."""
    known = [bound for bound in bounds if bound is not None]
    if known:
        known += [_joined(known, max)] * (len(bounds) - len(known))
    return msgspec.structs.replace(_joined(known, sum), rows=len(bounds))


def _bound_at(call: Call, tokens: int | None, prices: Mapping[str, Price]) -> Committed:
    bound = bound_tokens(call.request.body)
    given = bound.input_tokens if tokens is None else tokens
    written = output_maximum(call.model) if bound.max_tokens is None else bound.max_tokens
    price = price_for(call.model, prices) if prices else None
    cost = None if price is None else cost_of(Usage(input_tokens=given, output_tokens=written), price)
    return Committed(rows=1, input_tokens=given, output_tokens=written, cost=cost)


def _joined(bounds: Sequence[Committed], join: Callable[[Iterable[Any]], Any]) -> Committed:
    costs = [bound.cost for bound in bounds]
    return Committed(
        rows=1,
        input_tokens=join(bound.input_tokens for bound in bounds),
        output_tokens=join(bound.output_tokens for bound in bounds),
        cost=None if None in costs else float(join(costs)),
    )
