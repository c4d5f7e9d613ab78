"""The capability table: one row for each generation of models; the first row that matches an id counts.

A row names the beginnings of its models' ids (`Row.matches`). The last row of a maker stands for its models that the
table does not know.
"""

from __future__ import annotations

from functools import lru_cache

from ...types.model_facts import ModelFacts
from .amazon import AMAZON
from .claude import CLAUDE
from .meta import META
from .mistral import MISTRAL
from .openai import OPENAI
from .others import OTHERS
from .rows import Row

__all__ = ("ROWS", "UNKNOWN", "Row", "facts_of", "row_of")

UNKNOWN = ModelFacts()
"""A model of an unknown maker, or an opaque id: nothing is refused and nothing is added."""

ROWS: tuple[Row, ...] = (*CLAUDE, *AMAZON, *OPENAI, *META, *MISTRAL, *OTHERS)


@lru_cache(maxsize=256)
def facts_of(base: str) -> ModelFacts:
    """Return the facts of a foundation model's id.

    >>> facts_of("anthropic.claude-opus-4-8").name
    'Claude Opus 4.8'
    """
    found = row_of(base)
    return UNKNOWN if found is None else found.facts


def row_of(base: str) -> Row | None:
    """Return the row of a foundation model's id; None for a maker that the table does not know."""
    return next((row for row in ROWS if row.matches(base)), None)
