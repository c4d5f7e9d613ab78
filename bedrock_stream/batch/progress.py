"""How far a batch is: what it counts, and what it reports."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from time import monotonic

import msgspec

from ..types.events import Usage
from .committed import Committed
from .rows import Row
from .stop import Stop

__all__ = ("Progress", "Tally")

_RATE_SECONDS = 30
_COUNTS = ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "cache_write_tokens")


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a batch is, at one moment."""

    total: int | None
    """How many rows there are; None if the prompts have no length."""
    done: int
    """Rows with an answer, reused ones included."""
    failed: int
    """Rows with an error, reused ones included."""
    reused: int
    """Rows from the journal, and with `dedupe` those that are equal to an earlier one."""
    in_flight: int
    """Rows whose request was sent."""
    waiting: int
    """Rows that wait for a slot, for the end of a pause, for a retry, or with `dedupe` for an equal row."""
    throttled: int
    """Requests that were throttled, of all calls that share the lanes of this batch."""
    pauses: int
    """Pauses of these lanes."""
    paid_again: int
    """Rows that were asked again although a part of their answer had been received."""
    window: int
    """How many rows may be in flight now, as learned."""
    committed: Committed
    """What the rows that are in flight or wait may take at most: by so much a ceiling of `Stop` may be passed."""
    usage: Usage
    """Sum of the known counts of all rows. Those of reasoning stay None until a row has them."""
    cost: float | None
    """Sum of the known costs of all rows; None if no cost is known."""
    rows_per_second: float
    """Over the last 30 s, without reused rows."""
    eta: float | None
    """Seconds to the end at this rate; None if unknown."""
    paused_until: datetime | None
    """When the current pause ends; None outside of a pause."""
    reason: str | None
    """Why the batch stopped, or pauses."""
    paused_seconds: float = 0.0
    """How long these lanes paused, together."""


class Tally:
    """What a batch counts. `asked` and what follows are of this run alone, and what `Stop` limits."""

    __slots__ = (
        "_began",
        "_counts",
        "_rates",
        "_reasoning",
        "asked",
        "asked_cost",
        "asked_failures",
        "asked_output",
        "cost",
        "done",
        "failed",
        "paid_again",
        "reused",
    )

    def __init__(self) -> None:
        self._began = monotonic()
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._reasoning: int | None = None
        self._rates: deque[tuple[int, int]] = deque(maxlen=_RATE_SECONDS + 1)  # a second, and the rows that ended in it
        self.done: int = 0
        self.failed: int = 0
        self.reused: int = 0
        self.paid_again: int = 0
        self.cost: float | None = None
        self.asked: int = 0
        self.asked_cost: float = 0.0
        self.asked_failures: int = 0
        self.asked_output: int = 0

    @property
    def usage(self) -> Usage:
        """Sum of the known counts."""
        return msgspec.structs.replace(msgspec.convert(self._counts, Usage), reasoning_tokens=self._reasoning)

    def add(self, row: Row, usage: Usage | None) -> None:
        """Count a row that has ended."""
        cost, output = row.cost or 0.0, 0
        if row.error is None:
            self.done += 1
        else:
            self.failed += 1
        if row.cost is not None:
            self.cost = (self.cost or 0.0) + cost
        if usage is not None:
            counts, output = self._counts, usage.output_tokens or 0
            counts["input_tokens"] += usage.input_tokens or 0
            counts["output_tokens"] += output
            counts["total_tokens"] += usage.total_tokens or 0
            counts["cache_read_tokens"] += usage.cache_read_tokens or 0
            counts["cache_write_tokens"] += usage.cache_write_tokens or 0
            if usage.reasoning_tokens is not None:
                self._reasoning = (self._reasoning or 0) + usage.reasoning_tokens
        if row.reused:
            self.reused += 1
            return
        self.asked_cost += cost
        self.asked_output += output
        self.asked_failures += row.error is not None
        second = int(monotonic())
        rates = self._rates
        if rates and rates[-1][0] == second:
            rates[-1] = second, rates[-1][1] + 1
        else:
            rates.append((second, 1))

    def reached(self, stop: Stop) -> str | None:
        """Return the ceiling that is reached, in words, or None."""
        if stop.rows is not None and self.asked >= stop.rows:
            return f"{self.asked} rows were asked (Stop.rows)"
        if stop.failures is not None and self.asked_failures >= stop.failures:
            return f"{self.asked_failures} rows failed (Stop.failures)"
        if stop.output_tokens is not None and self.asked_output >= stop.output_tokens:
            return f"{self.asked_output} output tokens were used (Stop.output_tokens)"
        if stop.cost is not None and self.asked_cost >= stop.cost:
            return f"the rows cost {self.asked_cost:.6g} (Stop.cost)"
        return None

    def rows_per_second(self) -> float:
        """Return the rate of the last 30 s."""
        now = monotonic()
        first = max(self._began, now - _RATE_SECONDS)
        count = sum(rows for second, rows in list(self._rates) if second >= int(first))
        return count / max(now - first, 1.0)
