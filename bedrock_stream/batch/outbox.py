"""Rows that have ended and were not handed out: in the order of their end, or in that of the prompts."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

__all__ = ("Outbox",)

_T = TypeVar("_T")


class Outbox(Generic[_T]):
    """Rows by their index. With `ordered`, a row is held back until all before it are ready or were left out."""

    __slots__ = ("_held", "_next", "_ordered", "ready")

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._held: dict[int, _T | None] = {}
        self._next = 0
        self.ready: deque[_T] = deque()
        """The rows that can be handed out."""

    def put(self, index: int, row: _T) -> None:
        """Take a row that has ended."""
        if self._ordered:
            self._held[index] = row
            self._release()
        else:
            self.ready.append(row)

    def leave_out(self, index: int) -> None:
        """Note that a row will not come."""
        if self._ordered:
            self._held[index] = None
            self._release()

    def _release(self) -> None:
        while self._next in self._held:
            row = self._held.pop(self._next)
            self._next += 1
            if row is not None:
                self.ready.append(row)
