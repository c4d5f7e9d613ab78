"""`bedrock-stream models`: search the capability table. It is this library's own; nothing is sent."""

from __future__ import annotations

import sys

import msgspec
from rich.table import Table
from rich.text import Text

from ..errors import ConfigurationError
from ..request.models.families import COLUMNS, is_served
from ..request.models.rows import Row
from .catalog import find_rows, nearest
from .terminal import make_console

__all__ = ("models",)

_DETAILED = 3  # matches, up to which everything that is known is shown
_WIDE = 1000  # columns, for what is not a terminal: a line for each row. A table is only as wide as its cells
_SHOWN = ("reasoning", "tools", "input")


def models(pattern: str | None, *, as_json: bool) -> None:
    """Print the generations of models that match: a table, all facts of few, or lines of JSON.

    Raises `ConfigurationError` if nothing matches, with the most similar ids.
    """
    rows = find_rows(pattern)
    if not rows:
        similar = nearest(pattern or "")
        remedy = f"similar ids begin with {', '.join(similar)}" if similar else "leave it out to see every model"
        raise ConfigurationError("PATTERN", f"no model matches {pattern!r}", remedy)
    if as_json:
        for row in rows:
            print(msgspec.json.encode({"ids": row.ids, "route": _route(row), **_facts(row)}).decode())
        return
    console = make_console(sys.stdout)
    if len(rows) <= _DETAILED:
        for row in rows:
            console.print(_details(row), soft_wrap=True)
        return
    if console.is_terminal:
        console.print(_table(rows))
        return
    console.width = _WIDE
    with console.capture() as capture:
        console.print(_table(rows))
    for line in capture.get().splitlines():
        print(line.rstrip())


def _route(row: Row) -> str | None:
    """Return the API that a plain call uses; None if none reaches the model."""
    if row.facts.refused is not None:
        return row.facts.mantle
    return "invoke" if row.facts.native else "converse"


def _facts(row: Row) -> dict[str, object]:
    return {name: getattr(row.facts, name) for name in row.facts.__struct_fields__}


def _details(row: Row) -> Text:
    text = Text(f"{row.facts.name}\n", "bold")
    values = {"ids begin with": ", ".join(row.ids), "family": row.facts.family or "unknown"}
    if not is_served(row.facts):
        values["not served"] = str(row.facts.refused)
    else:
        values |= {name: column(row) for name, column in COLUMNS.items() if name not in ("generation", "ids")}
    for name, value in values.items():
        text.append(f"  {name:<15}", "cyan").append(f"{value.replace('`', '')}\n")
    return text


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for name in ("ids begin with", "family", "route", *_SHOWN):
        table.add_column(name, no_wrap=name not in _SHOWN)
    for row in rows:
        facts = row.facts
        shown = [_route(row) or "not served"]
        shown += [] if not is_served(facts) else [COLUMNS[name](row) for name in _SHOWN]
        for number, start in enumerate(row.ids):
            cells = shown if number == 0 else ["same"]
            table.add_row(start, facts.family or "-", *(cell.replace("`", "") for cell in cells))
    return table
