"""What a contender asks the server for: it travels as the prompt, which every client sends unchanged."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

__all__ = ("Order",)

_PATTERN = re.compile(rb"events=(\d+) pace=([\d.]+) crowd=(\d+) stamped=(\d) held=(\d)")


class Order(NamedTuple):
    """One answer."""

    events: int
    """Text deltas."""
    pace_ms: float = 0.0
    """Between two of them; 0 sends everything at once."""
    crowd: int = 1
    """The server begins once that many requests with this order have come, so that connecting is over by then."""
    stamped: bool = False
    """Each text is the clock's time at which it was sent."""
    held: bool = False
    """The answer never ends."""

    def prompt(self) -> str:
        """The order as a prompt."""
        flags = f"stamped={int(self.stamped)} held={int(self.held)}"
        return f"events={self.events} pace={self.pace_ms} crowd={self.crowd} {flags}"

    @classmethod
    def read(cls, body: bytes) -> Self:
        """The order in a request's body. Raises `ValueError` where there is none."""
        found = _PATTERN.search(body)
        if found is None:
            raise ValueError(f"no order in {body[:200]!r}")
        events, pace, crowd, stamped, held = found.groups()
        return cls(int(events), float(pace), int(crowd), stamped == b"1", held == b"1")
