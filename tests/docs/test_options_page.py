"""The page of options is what its script writes, and has each option of calls, clients, limits, retries and targets."""

from __future__ import annotations

import inspect

import pytest

from bedrock_stream import CallOptions, Client, RetryPolicy, Target, Timeouts
from bedrock_stream.types.call_options import RawOptions
from tests.docs.write_options import render
from tests.support.page_tables import DOCS, first_name, section, table_rows

PAGE = (DOCS / "reference" / "options.md").read_text(encoding="utf-8")
ARGUMENTS = {name: default.default for name, default in inspect.signature(Client).parameters.items()}


def rows_of(title: str) -> dict[str, dict[str, str]]:
    return {first_name(row["Option"]): row for row in table_rows(section(PAGE, title))}


def test_the_page_is_up_to_date() -> None:
    """If this fails: `python -m tests.docs.write_options > docs/reference/options.md`."""
    assert render() == PAGE


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Options of a call", CallOptions.__annotations__),
        ("Client", ARGUMENTS),
        ("Timeouts", Timeouts.__struct_fields__),
        ("RetryPolicy", RetryPolicy.__struct_fields__),
        ("Target", Target.__struct_fields__),
    ],
)
def test_each_table_has_all_options(title: str, names: list[str]) -> None:
    assert sorted(rows_of(title)) == sorted(names)
    assert all(all(row.values()) for row in rows_of(title).values())


@pytest.mark.parametrize("kind", [Timeouts, RetryPolicy])
def test_the_defaults_are_those_of_the_code(kind: type[Timeouts | RetryPolicy]) -> None:
    made = kind()
    for name, row in rows_of(kind.__name__).items():
        assert row["Default"] == f"`{getattr(made, name)!r}`"


def test_the_values_of_a_client_are_those_of_the_code() -> None:
    for name, row in rows_of("Client").items():
        if ARGUMENTS[name] is not None and not callable(ARGUMENTS[name]):
            assert row["Default"] == f"`{ARGUMENTS[name]!r}`"


def test_options_of_raw_calls_are_marked() -> None:
    marked = {name for name, row in rows_of("Options of a call").items() if row["Option"].endswith("¹")}
    assert marked == {*RawOptions.__annotations__}
