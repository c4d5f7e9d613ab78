"""Where the library's table of models and the emulator's own differ on purpose: each difference with its source."""

from __future__ import annotations

from typing import Any

from bedrock_stream.request.models.table import ROWS, Row, row_of

__all__ = ("ONE_ID_PER_ROW", "is_disputed")


def _id_of(row: Row) -> str:
    """Return an id of a row that looks like the service's."""
    start = row.ids[0]
    if not row.known:
        return f"{start}{'' if start[-1] in '.-' else '-'}future-v1:0"
    return f"{start}sonnet-20241022-v2:0" if start.endswith("-") else f"{start}-v1:0"


ONE_ID_PER_ROW = {_id_of(row): row for row in ROWS if row.facts.refused is None}
"""An id of every row whose models take a conversation."""
assert all(row_of(model) is row for model, row in ONE_ID_PER_ROW.items())


def is_disputed(*_: Any) -> bool:
    return False
