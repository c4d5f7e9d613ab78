"""Search the capability table by names that people type: whole ids, parts of ids, generations, families.

The table knows the beginnings of ids, so a suggestion for a mistyped id is such a beginning. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from ..errors import ConfigurationError
from ..request.models import describe
from ..request.models.table import ROWS, Row, row_of

__all__ = ("find_rows", "nearest")

_SIMILAR = 0.6  # of 1; less is a coincidence
_GEO = re.compile(r"^(?:[a-z-]{2,6}|global)\.(?=[a-z0-9]+\.)")


def find_rows(pattern: str | None) -> list[Row]:
    """Return the rows whose ids, generation or family contain a pattern, or to which it belongs as an id; all for None.

    Case does not matter.
    """
    rows = [row for row in ROWS if row.known]
    if not pattern:
        return rows
    words = pattern.lower().split()
    found = [row for row in rows if all(word in _text(row) for word in words)]
    if found:
        return found
    row = _row_of_id(pattern)
    return [] if row is None else [row]


def nearest(name: str, count: int = 3) -> list[str]:
    """Return the beginnings of the ids that are most similar to a mistyped one, the best first.

    >>> nearest("us.antropic.claude-sonet-4-5-20250929-v1:0", 1)
    ['anthropic.claude-sonnet-4-5']
    """
    typed = _GEO.sub("", name.lower().rpartition("/")[2])
    scores = ((_similarity(start, typed), start) for start in _served_ids())
    best = sorted((score, start) for score, start in scores if score >= _SIMILAR)
    return [start for _, start in best[: -count - 1 : -1]]


def _served_ids() -> Iterable[str]:
    return (start for row in ROWS if row.known and row.facts.refused is None for start in row.ids)


def _similarity(start: str, typed: str) -> float:
    """Return how similar an id is to the beginning of an id, with its maker or without."""
    forms = (start, start.partition(".")[2])
    # What follows the beginning, such as a date, says nothing about the similarity.
    return max(SequenceMatcher(None, form, typed[: len(form) + 1]).ratio() for form in forms)


def _text(row: Row) -> str:
    return " ".join([*row.ids, row.facts.name, row.facts.family or ""]).lower()


def _row_of_id(name: str) -> Row | None:
    try:
        return row_of(describe(name).base)
    except ConfigurationError:
        return None
