"""Keys as values: what makes them, what cannot be one, and no key in sight wherever one is printed."""

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


def test_three_parts_make_a_pair_and_none_make_none() -> None:
    assert check_pair("A", "s", "t") == Credentials("A", "s", "t")
    assert check_pair("A", "s", None) == Credentials("A", "s")
    assert check_pair(None, None, None) is None
    with refused("session_token", "it belongs to a key pair, and none is given", "give both keys too"):
        check_pair(None, None, "t")


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_key_is_refused(blank: str) -> None:
    with refused("api_key", "it is blank", "give a Bedrock API key, or leave it out"):
        check_api_key(blank)
    with refused("access_key_id", "it is blank", "give both keys of the pair, or neither"):
        Credentials(blank, "secret")
    with refused("secret_access_key", "it is blank", "give both keys of the pair, or neither"):
        Credentials("A", blank)


def test_a_key_of_another_type_is_refused() -> None:
    with refused("secret_access_key", "it is blank", "give both keys of the pair, or neither"):
        Credentials("A", None)  # type: ignore[arg-type]
    with refused("api_key", "it is blank", "give a Bedrock API key, or leave it out"):
        check_api_key(5)


@pytest.mark.parametrize("key", ["a\nb", "a\r\nX-Evil: 1", "ключ", "a\x00", "a\x7fb"])
def test_what_cannot_stand_in_a_header_is_no_key(key: str) -> None:
    with refused("api_key", "it holds characters that no key has", "copy it again") as caught:
        check_api_key(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("ends", "problem"),
    [(datetime(2030, 1, 1), "a datetime without a zone"), (1893456000, "a int"), ("2030-01-01T00:00:00Z", "a str")],  # noqa: DTZ001
)
def test_an_end_is_an_aware_moment(ends: Any, problem: str) -> None:
    with refused("expires_at", f"{problem} is no moment", "give an aware datetime"):
        Credentials("AKIA", "secret", expires_at=ends)


# -------------------------------------------------------------------------------------------------------------- secrets

HIDDEN = "hunter2"


@pytest.mark.parametrize(
    "identity",
    [Credentials(f"AKIA{HIDDEN}", HIDDEN, HIDDEN, datetime(2030, 1, 1, tzinfo=UTC)), ApiKey(HIDDEN)],
    ids=["pair", "key"],
)
def test_no_key_shows_wherever_it_is_printed(identity: Identity) -> None:
    for held in (identity, pickle.loads(pickle.dumps(identity)), copy.deepcopy(identity)):  # noqa: S301
        assert held == identity
        shown = f"{held} {held!r} {[held]} { ({'identity': held}) } {held!s}"
        assert HIDDEN not in shown


@pytest.mark.parametrize("identity", [Credentials(HIDDEN, HIDDEN, HIDDEN), ApiKey(HIDDEN)], ids=["pair", "key"])
def test_no_key_shows_to_a_pretty_printer(identity: Identity) -> None:
    assert HIDDEN not in pretty_repr({"identity": identity}, expand_all=True)


def test_the_first_letters_of_an_access_key_tell_its_kind() -> None:
    assert repr(Credentials("ASIAEXAMPLE", "s")) == "Credentials(access_key_id='ASIA...', secret_access_key='...')"
    assert str(ApiKey("k")) == "ApiKey('...')"
