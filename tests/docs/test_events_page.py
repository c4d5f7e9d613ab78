"""The page of events has each event of `Event`, in its order, with its tag and its fields."""

from __future__ import annotations

from typing import get_args

from bedrock_stream import Event
from tests.support.page_tables import DOCS, code_names, first_name, table_rows

PAGE = (DOCS / "reference" / "events.md").read_text(encoding="utf-8")
ROWS = [row for row in table_rows(PAGE) if "Fields" in row]
EVENTS = get_args(Event)


def test_the_table_has_every_event_in_order() -> None:
    assert [first_name(row["Event"]) for row in ROWS] == [event.__name__ for event in EVENTS]


def test_each_row_has_the_tag_and_the_fields_of_its_event() -> None:
    for row, event in zip(ROWS, EVENTS, strict=True):
        assert row["type"] == event.__struct_config__.tag
        assert code_names(row["Fields"]) == [*event.__struct_fields__]


def test_each_row_says_when_and_from_which_apis() -> None:
    assert all(row["When"] and row["APIs"] for row in ROWS)
