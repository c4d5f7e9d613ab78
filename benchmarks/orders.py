"""Instructions for the benchmark server, sent as the prompt, which every client transmits unchanged."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

__all__ = ("Order",)

_PATTERN = re.compile(rb"events=(\d+) pace=([\d.]+) crowd=(\d+) stamped=(\d) held=(\d) gated=(\d) wait=([\d.]+)")


class Order(NamedTuple):
    """The answer that a request asks for."""

    events: int
    """Number of text deltas."""
    pace_ms: float = 0.0
    """Interval between two deltas in milliseconds; 0 sends all bytes at once."""
    crowd: int = 1
    """The server answers once it has received that many requests with the same order, when all are connected."""
    stamped: bool = False
    """Each text is the monotonic time at which it was sent."""
    held: bool = False
    """The response is kept open after the last delta."""
    gated: bool = False
    """The server sends the first delta at once, and continues when the gate is opened: see `servers.gate`."""
    wait_ms: float = 0.0
    """How long the server waits before it answers, as a model does, in milliseconds."""

    def prompt(self) -> str:
        """Return the order as a prompt."""
        flags = f"stamped={int(self.stamped)} held={int(self.held)} gated={int(self.gated)} wait={self.wait_ms}"
        return f"events={self.events} pace={self.pace_ms} crowd={self.crowd} {flags}"

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Parse the order in the body of a request. Raises `ValueError` for a body without one."""
        match = _PATTERN.search(body)
        if match is None:
            raise ValueError(f"no order in {body[:200]!r}")
        events, pace, crowd, stamped, held, gated, wait = match.groups()
        flags = stamped == b"1", held == b"1", gated == b"1"
        return cls(int(events), float(pace), int(crowd), *flags, float(wait))
