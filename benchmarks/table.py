"""Rows as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .measure import Row

__all__ = ("lines",)

_HEAD = ("case", "contender", "figure", "", "x ours", "promised", "")


def lines(rows: Sequence[Row]) -> list[str]:
    """A table; equal cases in a column are written once."""
    cells = [_HEAD, *_cells(rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = {2, 4}
    return ["  " + _line(line, widths, right) for line in cells]


def _line(cells: Sequence[str], widths: Sequence[int], right: set[int]) -> str:
    padded = (
        cell.rjust(width) if place in right else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded).rstrip()


def _cells(rows: Sequence[Row]) -> Iterable[tuple[str, ...]]:
    before = None
    for row in rows:
        case = "" if row.case == before else row.case
        before = row.case
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        met = {None: "", True: "kept", False: "MISSED"}[row.met]
        yield case, row.contender, _figure(row.value), row.unit, ratio, row.goal, met


def _figure(value: float | None) -> str:
    if value is None:
        return "missing"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"
