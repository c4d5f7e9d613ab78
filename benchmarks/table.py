"""Format rows as a text table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .measure import Row

__all__ = ("lines",)

_HEAD = ("case", "contender", "figure", "", "x ours", "limit", "")


def lines(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table; a case that is equal to the one above is left blank."""
    cells = [_HEAD, *_cells(rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = {2, 4}
    return ["  " + _line(line, widths, right) for line in cells]


def _line(cells: Sequence[str], widths: Sequence[int], right: set[int]) -> str:
    padded = (
        cell.rjust(width) if column in right else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded).rstrip()


def _cells(rows: Sequence[Row]) -> Iterable[tuple[str, ...]]:
    previous = None
    for row in rows:
        case = "" if row.case == previous else row.case
        previous = row.case
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        met = {None: "", True: "kept", False: "MISSED"}[row.met]
        yield case, row.contender, _figure(row.value), row.unit, ratio, row.goal, met


def _figure(value: float | None) -> str:
    if value is None:
        return "missing"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"
