"""Who signs: the order row by row, halves and blanks, providers of every kind, and no key in sight."""

from __future__ import annotations

import copy
import functools
import pickle
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from refusals import refused

from bedrock_stream import Credentials
from bedrock_stream.auth.credentials import ApiKey, Identity, ask, check_api_key, find_place
from bedrock_stream.errors import BedrockStreamError, MissingCredentials
from bedrock_stream.options import read_options

GIVEN = Credentials("GIVEN", "secret")

CALL_KEY = {"api_key": "call key"}
CALL_PAIR = {"access_key_id": "CALL", "secret_access_key": "secret", "session_token": "token"}
BEARER = {"AWS_BEARER_TOKEN_BEDROCK": "environ key"}
PAIR = {"AWS_ACCESS_KEY_ID": "ENVIRON", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}


async def find(
    call: Mapping[str, str | None] | None = None,
    api_key: Any = None,
    credentials: Any = None,
    environ: Mapping[str, str] | None = None,
) -> Identity:
    return await ask(find_place(call or {}, api_key, credentials, environ or {}))


# ------------------------------------------------------------------------------------------------------------ the order

ORDER: list[tuple[dict[str, Any], Identity]] = [
    ({"call": CALL_KEY}, ApiKey("call key")),
    ({"call": CALL_PAIR}, Credentials("CALL", "secret", "token")),
    ({"api_key": "client key"}, ApiKey("client key")),
    ({"credentials": GIVEN}, GIVEN),
    ({"environ": BEARER}, ApiKey("environ key")),
    ({"environ": PAIR}, Credentials("ENVIRON", "secret", "token")),
]


@pytest.mark.parametrize("row", range(len(ORDER)))
async def test_each_place_beats_every_place_below_it(row: int) -> None:
    _, expected = ORDER[row]
    for below in range(row, len(ORDER)):
        places: dict[str, Any] = {}
        for given, _ in (ORDER[row], *ORDER[below:]):
            for name, value in given.items():
                places[name] = {**value, **places.get(name, {})} if isinstance(value, dict) else value
        assert await find(**places) == expected


async def test_the_token_of_a_pair_may_be_absent() -> None:
    assert await find({"access_key_id": "CALL", "secret_access_key": "s"}) == Credentials("CALL", "s")
    environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": " "}
    assert await find(environ=environ) == Credentials("A", "s")


async def test_a_blank_variable_is_absent() -> None:
    assert await find(environ={**PAIR, "AWS_BEARER_TOKEN_BEDROCK": " \n"}) == Credentials("ENVIRON", "secret", "token")
    with pytest.raises(MissingCredentials):
        await find(environ={"AWS_BEARER_TOKEN_BEDROCK": "", "AWS_ACCESS_KEY_ID": " ", "AWS_SECRET_ACCESS_KEY": ""})


async def test_white_space_around_a_variable_is_no_part_of_the_key() -> None:
    assert await find(environ={"AWS_BEARER_TOKEN_BEDROCK": " key\n"}) == ApiKey("key")
    environ = {"AWS_ACCESS_KEY_ID": " A", "AWS_SECRET_ACCESS_KEY": "s\n", "AWS_SESSION_TOKEN": "t\n"}
    assert await find(environ=environ) == Credentials("A", "s", "t")


# ------------------------------------------------------------------------------------------------------------- refusals


async def test_missing_credentials_name_every_place_that_was_looked_at() -> None:
    places = ["api_key", "access_key_id", "credentials", *BEARER, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    with refused("credentials", "none were found", "give one of them") as caught:
        await find()
    assert isinstance(caught.value, MissingCredentials)
    for place in places:
        assert place in caught.value.problem


@pytest.mark.parametrize(
    ("half", "missing"), [("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")]
)
async def test_half_a_pair_is_refused_and_nothing_falls_through(half: str, missing: str) -> None:
    with refused(missing, "half of a key pair is missing", "give both keys, or neither"):
        await find({half: "x"}, api_key="client key", environ={**BEARER, **PAIR})
    variable, absent = f"AWS_{half.upper()}", f"AWS_{missing.upper()}"
    for environ in ({variable: "x"}, {variable: "x", absent: " "}):
        with refused(absent, "half of a key pair is missing", "set both variables, or neither"):
            await find(environ=environ)


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
async def test_a_blank_explicit_key_is_refused_and_nothing_falls_through(blank: str) -> None:
    with refused("api_key", "it is blank", "give a Bedrock API key, or leave it out"):
        await find(api_key=blank, environ={**BEARER, **PAIR})
    for name in ("api_key", "access_key_id", "secret_access_key", "session_token"):
        with refused(name, "it is blank", "leave it out, or give a value"):
            read_options({name: blank})
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
async def test_what_cannot_stand_in_a_header_is_no_key(key: str) -> None:
    with refused("api_key", "it holds characters that no key has", "copy it again") as caught:
        await find(environ={"AWS_BEARER_TOKEN_BEDROCK": key})
    assert key not in str(caught.value)


# ------------------------------------------------------------------------------------------------------------ providers


def plain() -> Credentials:
    return GIVEN


async def asynchronous() -> Credentials:
    return GIVEN


def giving_an_awaitable() -> Awaitable[Credentials]:
    return asynchronous()


class AsyncCallable:
    async def __call__(self) -> Credentials:
        return GIVEN


@pytest.mark.parametrize(
    "provider",
    [plain, asynchronous, giving_an_awaitable, AsyncCallable(), functools.partial(asynchronous), lambda: GIVEN, GIVEN],
)
async def test_a_provider_may_be_plain_asynchronous_or_give_an_awaitable(provider: Any) -> None:
    assert await find(credentials=provider, environ=BEARER) == GIVEN


async def test_a_key_may_come_from_a_callable_too() -> None:
    async def later() -> str:
        return " later "

    assert await find(api_key=lambda: "now") == ApiKey("now")
    assert await find(api_key=later) == ApiKey("later")
    with refused("api_key", "it is blank", "give a Bedrock API key, or leave it out"):
        await find(api_key=lambda: None)


async def test_a_plain_provider_never_blocks_the_loop_and_an_asynchronous_one_stays_on_it() -> None:
    async def on_loop() -> Credentials:
        return seen()

    def seen() -> Credentials:
        threads.append(threading.get_ident())
        return GIVEN

    threads: list[int] = []
    await find(credentials=seen)
    await find(credentials=on_loop)
    elsewhere, here = threads
    assert elsewhere != threading.get_ident()
    assert here == threading.get_ident()


async def test_a_provider_is_asked_each_time() -> None:
    keys = iter("AB")

    def rotating() -> Credentials:
        return Credentials(next(keys), "s")

    assert [await find(credentials=rotating) for _ in "AB"] == [Credentials("A", "s"), Credentials("B", "s")]


@pytest.mark.parametrize("given", [None, ("A", "secret"), {"access_key_id": "A"}, ApiKey("k")], ids=repr)
async def test_a_provider_that_gives_something_else_is_refused(given: Any) -> None:
    with refused("credentials", f"the provider gave a {type(given).__name__}", "return Credentials") as caught:
        await find(credentials=lambda: given, environ=PAIR)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("failing", ["plain", "async"])
async def test_a_providers_own_error_reaches_the_caller(failing: str) -> None:
    def plainly() -> Credentials:
        raise LookupError("vault is sealed")

    async def asynchronously() -> Credentials:
        return plainly()

    source: Callable[[], Any] = plainly if failing == "plain" else asynchronously
    with pytest.raises(LookupError, match="vault is sealed"):
        await find(credentials=source)


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


def test_the_first_letters_of_an_access_key_tell_its_kind() -> None:
    assert repr(Credentials("ASIAEXAMPLE", "s")) == "Credentials(access_key_id='ASIA...', secret_access_key='...')"
    assert str(ApiKey("k")) == "ApiKey('...')"


@pytest.mark.parametrize(
    "places",
    [
        {"call": {"access_key_id": HIDDEN}},
        {"call": {"secret_access_key": HIDDEN}},
        {"call": {"api_key": f"{HIDDEN}\n\n{HIDDEN}"}},
        {"credentials": HIDDEN},
        {"credentials": lambda: HIDDEN},
        {"api_key": lambda: f"{HIDDEN}\x00"},
        {"environ": {"AWS_SECRET_ACCESS_KEY": HIDDEN}},
        {"environ": {"AWS_ACCESS_KEY_ID": HIDDEN}},
    ],
)
async def test_no_key_shows_in_an_error(places: dict[str, Any]) -> None:
    with pytest.raises(BedrockStreamError) as caught:
        await find(**places)
    assert HIDDEN not in f"{caught.value} {caught.value!r} {caught.value.args}"
