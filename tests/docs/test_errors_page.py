"""The page of errors has each class, and says of each what the code does: retries, codes and statuses."""

from __future__ import annotations

import pytest

from bedrock_stream import errors
from bedrock_stream.client.retry import Breaker, Budget, Retries
from bedrock_stream.errors import codes
from bedrock_stream.integrations.http_errors import error_details
from bedrock_stream.types.settings import RetryPolicy
from tests.support.page_tables import DOCS, code_names, first_name, table_rows

PAGE = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
TABLES = table_rows(PAGE)
ROWS = {first_name(row["Class"]): row for row in TABLES if "Retried" in row}
NAMES = [name for name in errors.__all__ if isinstance(getattr(errors, name), type)]


def an_error(name: str) -> errors.BedrockStreamError:
    """Return an error of a class; those with a status have one."""
    kind: type[errors.BedrockStreamError] = getattr(errors, name)
    if issubclass(kind, errors.InvalidRequest):
        return kind("messages", "expected a list")
    return kind.__new__(kind)


def test_every_class_has_a_row() -> None:
    assert sorted(ROWS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_retried_is_what_a_call_does(name: str) -> None:
    retries = Retries(RetryPolicy(), Budget(), [Breaker(), Breaker()], lambda: 0.0, lambda: 0.5)
    elsewhere = retries.following(an_error(name), 0.0, first=True)
    again = RetryPolicy().wait(an_error(name), 0, 0.0, 0.5)
    expected = "no" if elsewhere is None else "by failover" if again is None else "yes"
    assert ROWS[name]["Retried"] == expected


@pytest.mark.parametrize("name", [name for name in NAMES if not issubclass(getattr(errors, name), errors.ServiceError)])
def test_the_status_is_that_of_a_backend(name: str) -> None:
    assert ROWS[name]["Backend"] == str(error_details(an_error(name)).status)


@pytest.mark.parametrize("name", [name for name in NAMES if issubclass(getattr(errors, name), errors.ServiceError)])
def test_an_error_of_the_service_keeps_its_status(name: str) -> None:
    assert ROWS[name]["Backend"] == "its status"


def test_each_row_says_when_and_what_to_do() -> None:
    assert all(row["When"] and row["What to do"] for row in ROWS.values())


def test_the_codes_are_those_of_the_library() -> None:
    listed = {}
    for row in TABLES:
        if "AWS's codes" in row:
            for code in code_names(row["AWS's codes"]):
                error = errors.service_error(code, "", None if code != "UnknownOperationException" else 404)
                assert (f"`{type(error).__name__}`", str(error.status)) == (row["Class"], row["Status"])
                listed[code.lower()] = type(error)
    assert {*listed} == {code.lower() for code in codes._BY_CODE}


def test_the_statuses_are_those_of_the_library() -> None:
    listed = set()
    for row in TABLES:
        if "Status without a known code" in row:
            for status in row["Status without a known code"].split(", "):
                number = int(status) if status.isdecimal() else 418
                error = errors.service_error(None, "", number)
                assert f"`{type(error).__name__}`" == row["Class"]
                listed.add(number)
    assert listed == {*codes._BY_STATUS, 418}
