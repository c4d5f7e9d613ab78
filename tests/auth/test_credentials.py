"""Credentials as values: construction, invalid values, and no secret wherever they are printed."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.pretty import pretty_repr

from bedrock_stream import Credentials
from bedrock_stream.auth.credentials import ApiKey, Identity, check_api_key, check_pair
from tests.support.refusals import refused


def test_check_pair_builds_credentials_from_three_values_or_none() -> None:
    assert check_pair("A", "s", "t") == Credentials("A", "s", "t")
    assert check_pair("A", "s", None) == Credentials("A", "s")
    assert check_pair(None, None, None) is None
    with refused("session_token", "is set without access_key_id and secret_access_key", "pass both keys too"):
        check_pair(None, None, "t")


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_key_is_refused(blank: str) -> None:
    with refused("api_key", "is blank", "pass a Bedrock API key, or leave it out"):
        check_api_key(blank)
    with refused("access_key_id", "is blank", "pass both keys of the pair, or neither"):
        Credentials(blank, "secret")
    with refused("secret_access_key", "is blank", "pass both keys of the pair, or neither"):
        Credentials("A", blank)


def test_a_key_of_another_type_is_refused() -> None:
    with refused("secret_access_key", "expected a str, got NoneType", "pass both keys of the pair, or neither"):
        Credentials("A", None)  # type: ignore[arg-type]
    with refused("api_key", "expected a str, got int", "pass a Bedrock API key, or leave it out"):
        check_api_key(5)


@pytest.mark.parametrize("key", ["a\nb", "a\r\nX-Evil: 1", "ключ", "a\x00", "a\x7fb"])
def test_a_key_with_characters_that_no_header_may_have_is_refused(key: str) -> None:
    with refused("api_key", "contains characters that cannot occur in a key", "copy it again") as caught:
        check_api_key(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("expires_at", "actual"),
    [(datetime(2030, 1, 1), "a naive datetime"), (1893456000, "int"), ("2030-01-01T00:00:00Z", "str")],  # noqa: DTZ001
)
def test_an_expiry_must_be_a_timezone_aware_datetime(expires_at: Any, actual: str) -> None:
    with refused("expires_at", f"expected a timezone-aware datetime, got {actual}"):
        Credentials("AKIA", "secret", expires_at=expires_at)


# ------------------------------------------------------------------------------------------------------------- secrets

HIDDEN = "hunter2"


@pytest.mark.parametrize(
    "identity",
    [Credentials(f"AKIA{HIDDEN}", HIDDEN, HIDDEN, datetime(2030, 1, 1, tzinfo=UTC)), ApiKey(HIDDEN)],
    ids=["pair", "key"],
)
def test_no_key_is_shown_wherever_it_is_printed(identity: Identity) -> None:
    for value in (identity, pickle.loads(pickle.dumps(identity)), copy.deepcopy(identity)):  # noqa: S301
        assert value == identity
        shown = f"{value} {value!r} {[value]} { ({'identity': value}) } {value!s}"
        assert HIDDEN not in shown


@pytest.mark.parametrize("identity", [Credentials(HIDDEN, HIDDEN, HIDDEN), ApiKey(HIDDEN)], ids=["pair", "key"])
def test_a_pretty_printer_shows_no_key(identity: Identity) -> None:
    assert HIDDEN not in pretty_repr({"identity": identity}, expand_all=True)


def test_a_repr_shows_only_the_type_prefix_of_an_access_key() -> None:
    assert repr(Credentials("ASIAEXAMPLE", "s")) == "Credentials(access_key_id='ASIA...', secret_access_key='...')"
    assert str(ApiKey("k")) == "ApiKey('...')"
