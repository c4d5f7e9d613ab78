"""The tables of the documentation, as lists of rows, for tests that compare a page with the code."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ("DOCS", "code_names", "first_name", "section", "table_rows")

DOCS = Path(__file__).parents[2] / "docs"

_CELLS = re.compile(r"(?<!\\)\|")


def table_rows(text: str) -> list[dict[str, str]]:
    """Return the rows of all tables in a text, each as a dict by the names of its columns."""
    rows: list[dict[str, str]] = []
    columns: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            columns = []
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in _CELLS.split(line)[1:-1]]
        if not columns:
            columns = cells
        elif not set(line) <= set("|-: "):
            assert len(cells) == len(columns), f"a row has {len(cells)} cells for {len(columns)} columns: {line}"
            rows.append(dict(zip(columns, cells, strict=True)))
    return rows


def section(text: str, heading: str) -> str:
    """Return what is below a heading of the second level, up to the next one."""
    start = text.index(f"\n## {heading}\n")
    end = text.find("\n## ", start + 1)
    return text[start : None if end < 0 else end]


def code_names(cell: str) -> list[str]:
    """Return what is in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def first_name(cell: str) -> str:
    """Return the first name in a cell, whatever it is set in."""
    found = re.search(r"\w+", cell)
    assert found is not None, f"no name in {cell!r}"
    return found[0]
