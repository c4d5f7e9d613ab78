"""Rows that ask the same as an earlier one of the batch, with `dedupe`: they get its outcome, and nothing is sent.

Equal rows have the same key: it is made without the names that the caller gives them. While the first of them is asked,
the others wait for it without a task. What has ended stays known: with a journal by its place there, else as a row.
"""

from __future__ import annotations

import msgspec

from ..errors import RowInvalid
from .asks import Ask
from .records import Recorded
from .rows import Row

__all__ = ("Repeat", "Repeats", "repeat_of")


class Repeat(msgspec.Struct, frozen=True):
    """A row that waits for the end of the first one."""

    index: int
    ask: Ask


class Repeats:
    """The rows of a batch by their keys, as far as they were read."""

    __slots__ = ("_known", "waiting")

    def __init__(self) -> None:
        self._known: dict[bytes, list[Repeat] | int | Row] = {}  # those that wait; or a place; or the first row
        self.waiting: int = 0
        """How many rows wait."""

    def take(self, key: bytes, index: int, ask: Ask) -> Row | Recorded | Repeat | None:
        """Take a row. Return None if it is the first with its key, itself if it waits, or else its outcome."""
        known = self._known.get(key)
        if known is None:
            self._known[key] = []
            return None
        repeat = Repeat(index=index, ask=ask)
        if isinstance(known, list):
            known.append(repeat)
            self.waiting += 1
            return repeat
        return _outcome(key, repeat, known)

    def end(self, key: bytes, row: Row | Recorded | None, place: int | None) -> list[tuple[int, Row | Recorded | None]]:
        """Take the outcome of a first row and its place in the journal, or None if it stays open.

        Return the same for the rows that wait for it, with their indexes.
        """
        waiting = self._known.pop(key)
        assert isinstance(waiting, list)  # noqa: S101 - it was the first
        self.waiting -= len(waiting)
        if row is None:
            return [(repeat.index, None) for repeat in waiting]
        if isinstance(row, Recorded):
            known: int | Row = row.offset
        else:  # what is invalid names the row
            known = row if place is None or isinstance(row.error, RowInvalid) else place
        self._known[key] = known
        return [(repeat.index, _outcome(key, repeat, known)) for repeat in waiting]


def repeat_of(row: Row, index: int, key: str) -> Row:
    """Return the outcome of a first row as that of a repeat, which costs nothing."""
    error = row.error
    if isinstance(error, RowInvalid):
        argument = error.argument.replace(f"prompts[{row.index}]", f"prompts[{index}]")
        error = RowInvalid(argument, error.problem, error.remedy)
    cost = None if row.cost is None else 0.0
    return msgspec.structs.replace(
        row, index=index, key=key, error=error, reused=True, attempts=0, seconds=0.0, cost=cost
    )


def _outcome(key: bytes, repeat: Repeat, known: int | Row) -> Row | Recorded:
    if isinstance(known, Row):
        return repeat_of(known, repeat.index, repeat.ask.key or key.hex())
    return Recorded(repeat.index, key, known, repeat.ask, repeats=True)
