"""Where keys are looked for: the order row by row, halves and blanks, providers of every kind, and no key in errors."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from bedrock_stream import AssumeRole, Client, Credentials, put_key
from bedrock_stream.auth.credentials import ApiKey, Identity
from bedrock_stream.auth.lookup import call_key_source, client_key_source, target_key_source
from bedrock_stream.auth.resolver import CredentialResolver
from bedrock_stream.auth.sources import Http, KeySource, SourceContext
from bedrock_stream.errors import BedrockStreamError, CredentialsUnavailable, MissingCredentials
from bedrock_stream.types.options import read_options
from tests.support.refusals import refused

GIVEN = Credentials("GIVEN", "secret")
BEARER = {"AWS_BEARER_TOKEN_BEDROCK": "environ key"}
PAIR = {"AWS_ACCESS_KEY_ID": "ENVIRON", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}
NO_HTTP = cast("Http", None)


@pytest.fixture(autouse=True)
def _an_empty_store() -> Iterator[None]:
    yield
    put_key("aws_bedrock", None)


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Awaitable[Identity]]:
    """Ask as a client does: `call` and `client` are keywords, `store` what is put, `files` the credentials file."""

    async def found(
        *,
        call: Mapping[str, str] | None = None,
        client: Mapping[str, Any] | None = None,
        store: Any = None,
        environ: Mapping[str, str] | None = None,
        files: str = "",
    ) -> Identity:
        put_key("aws_bedrock", store)
        (tmp_path / "credentials").write_text(files)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        for name, value in (environ or {}).items():
            monkeypatch.setenv(name, value)
        try:
            resolver, place = identities_of(**(client or {})), own_place(call or {})
            return await resolver.ask(resolver.key_source(place), NO_HTTP, "us-east-1")
        finally:
            for name in environ or {}:
                monkeypatch.delenv(name)

    return found


def identities_of(
    *, api_key: Any = None, credentials: Any = None, keys: Any = None, profile: Any = None
) -> CredentialResolver:
    place = client_key_source(api_key=api_key, credentials=credentials, keys=keys, profile=profile)
    return CredentialResolver(place, profile, lambda: datetime.now(UTC))


def own_place(call: Mapping[str, str]) -> KeySource | None:
    names = ("api_key", "access_key_id", "secret_access_key", "session_token")
    return call_key_source(*(call.get(name) for name in names))


Find = Callable[..., Awaitable[Identity]]

# ------------------------------------------------------------------------------------------------------------ the order

FILES = "[default]\naws_access_key_id = FILE\naws_secret_access_key = secret\n[dev]\naws_access_key_id = DEV\n"
FILES += "aws_secret_access_key = secret\naws_session_token = token\n"

# One row a place, the strongest first; within a bracket the rows exclude each other.
ORDER: list[tuple[dict[str, Any], Identity]] = [
    ({"call": {"api_key": "call key"}}, ApiKey("call key")),
    (
        {"call": {"access_key_id": "CALL", "secret_access_key": "secret", "session_token": "token"}},
        Credentials("CALL", "secret", "token"),
    ),
    ({"client": {"credentials": GIVEN}}, GIVEN),
    ({"store": {"access_key_id": "STORE", "secret_access_key": "secret"}}, Credentials("STORE", "secret")),
    ({"environ": BEARER}, ApiKey("environ key")),
    ({"environ": PAIR}, Credentials("ENVIRON", "secret", "token")),
    ({"files": FILES}, Credentials("FILE", "secret")),
]


@pytest.mark.parametrize("row", range(len(ORDER)))
async def test_each_place_beats_every_place_below_it(find: Find, row: int) -> None:
    _, expected = ORDER[row]
    for below in range(row, len(ORDER)):
        places: dict[str, Any] = {}
        for given, _ in (ORDER[row], *ORDER[below:]):
            for name, value in given.items():
                places[name] = {**value, **places.get(name, {})} if name in ("call", "environ") else value
        assert await find(**places) == expected


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ({"api_key": "client key"}, ApiKey("client key")),
        ({"keys": "tenant key"}, ApiKey("tenant key")),
        ({"keys": {"api_key": "tenant key", "region": "eu-west-1"}}, ApiKey("tenant key")),
        ({"keys": {"aws_bedrock": {"access_key_id": "T", "secret_access_key": "s"}}}, Credentials("T", "s")),
        ({"keys": GIVEN}, GIVEN),
        ({"profile": "dev"}, Credentials("DEV", "secret", "token")),
    ],
)
async def test_whatever_a_client_was_made_with_beats_the_process(find: Find, client: Any, expected: Identity) -> None:
    assert await find(client=client, store="stored", environ={**BEARER, **PAIR}, files=FILES) == expected


async def test_a_tenants_client_never_falls_through(find: Find) -> None:
    def broken() -> Credentials:
        raise LookupError("the vault is sealed")

    everything = {"store": "stored", "environ": {**BEARER, **PAIR}, "files": FILES}
    with pytest.raises(CredentialsUnavailable, match="the client's credentials: it raised LookupError"):
        await find(client={"credentials": broken}, **everything)
    for keys in ({}, {"region": "eu-west-1"}):
        with pytest.raises(MissingCredentials, match="no key is in it"):
            await find(client={"keys": keys}, **everything)
    with refused("secret_access_key", "half of a key pair is missing", "give both keys, or neither"):
        await find(client={"keys": {"access_key_id": "T"}}, **everything)
    (empty := "[dev]\nregion = eu-west-1\n")
    with refused("profile", "'dev' holds no keys", "name a profile that does"):
        await find(client={"profile": "dev"}, **{**everything, "files": empty})


async def test_the_profile_that_the_environment_names_comes_behind_its_keys(find: Find) -> None:
    chosen = {"AWS_PROFILE": "dev"}
    assert await find(environ=chosen, files=FILES) == Credentials("DEV", "secret", "token")
    assert await find(environ={**chosen, **PAIR}, files=FILES) == Credentials("ENVIRON", "secret", "token")
    with refused("AWS_PROFILE", "'gone' is in neither of the shared AWS files", "name a profile that is there"):
        await find(environ={"AWS_PROFILE": "gone"}, files=FILES)


async def test_the_token_of_a_pair_may_be_absent(find: Find) -> None:
    assert await find(call={"access_key_id": "CALL", "secret_access_key": "s"}) == Credentials("CALL", "s")
    environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": " "}
    assert await find(environ=environ) == Credentials("A", "s")


async def test_a_blank_variable_is_absent(find: Find) -> None:
    assert await find(environ={**PAIR, "AWS_BEARER_TOKEN_BEDROCK": " \n"}) == Credentials("ENVIRON", "secret", "token")
    with pytest.raises(MissingCredentials):
        await find(environ={"AWS_BEARER_TOKEN_BEDROCK": "", "AWS_ACCESS_KEY_ID": " ", "AWS_SECRET_ACCESS_KEY": ""})


async def test_white_space_around_a_variable_is_no_part_of_the_key(find: Find) -> None:
    assert await find(environ={"AWS_BEARER_TOKEN_BEDROCK": " key\n"}) == ApiKey("key")
    environ = {"AWS_ACCESS_KEY_ID": " A", "AWS_SECRET_ACCESS_KEY": "s\n", "AWS_SESSION_TOKEN": "t\n"}
    assert await find(environ=environ) == Credentials("A", "s", "t")


# ------------------------------------------------------------------------------------------------------------- refusals


async def test_missing_credentials_name_every_place_that_was_looked_at(find: Find) -> None:
    places = ["api_key", "access_key_id", "credentials", "keys", "profile", "put_key", *BEARER, *list(PAIR)[:2]]
    places += ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_", "AWS_EC2_METADATA_DISABLED", "'default'"]
    with refused("credentials", "none were found", "give one of them") as caught:
        await find()
    assert isinstance(caught.value, MissingCredentials)
    for place in places:
        assert place in caught.value.problem


@pytest.mark.parametrize(
    ("half", "missing"), [("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")]
)
async def test_half_a_pair_is_refused_and_nothing_falls_through(find: Find, half: str, missing: str) -> None:
    with refused(missing, "half of a key pair is missing", "give both keys, or neither"):
        await find(call={half: "x"}, client={"api_key": "client key"}, environ={**BEARER, **PAIR})
    with refused(missing, "half of a key pair is missing", "give both keys, or neither"):
        await find(call={half: "x", "api_key": "call key"})
    variable, absent = f"AWS_{half.upper()}", f"AWS_{missing.upper()}"
    for environ in ({variable: "x"}, {variable: "x", absent: " "}):
        with refused(absent, "half of a key pair is missing", "set both variables, or neither"):
            await find(environ=environ)
    of_profile = f"aws_{missing} of profile 'default'"
    with refused(of_profile, "half of a key pair is missing", "give both keys, or neither"):
        await find(files=f"[default]\naws_{half} = x\n")


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
async def test_a_blank_explicit_key_is_refused_and_nothing_falls_through(find: Find, blank: str) -> None:
    for client in ({"api_key": blank}, {"keys": blank}):
        with refused("api_key", "it is blank", "give a Bedrock API key, or leave it out"):
            await find(client=client, environ={**BEARER, **PAIR})
    with refused("keys['api_key']", "it is blank", "leave it out, or give a value"):
        await find(client={"keys": {"api_key": blank}}, environ=BEARER)
    with refused("profile", f"{blank!r} is no name", "name a profile of the shared AWS files"):
        await find(client={"profile": blank}, environ=BEARER)
    for name in ("api_key", "access_key_id", "secret_access_key", "session_token"):
        with refused(name, "is blank", "leave it out, or pass a value"):
            read_options({name: blank})


def test_a_client_takes_one_kind_of_keys() -> None:
    with refused("credentials", "api_key is given too, and one would go unused", "give one of them"):
        Client(api_key="k", credentials=GIVEN)
    with refused("profile", "keys is given too, and one would go unused", "give one of them"):
        Client(keys="k", profile="dev")
    with refused("credentials", "a str is none", "give Credentials, a source, or a callable") as caught:
        Client(credentials=cast("Any", "hunter2"))
    assert "hunter2" not in str(caught.value)


async def test_a_machine_without_a_role_is_a_machine_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9/")
    async with Client(region="us-east-1") as client:
        assert client.explain("amazon.nova-lite-v1:0", "Hello").auth == "sigv4, the machine's role (IMDSv2)"
        with pytest.raises(
            MissingCredentials, match=r"none were found in the call's api_key.*; and the instance's role"
        ) as caught:
            await client.generate("amazon.nova-lite-v1:0", "Hello")
    assert caught.value.argument == "credentials"


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
async def test_a_provider_may_be_plain_asynchronous_or_give_an_awaitable(find: Find, provider: Any) -> None:
    assert await find(client={"credentials": provider}, environ=BEARER) == GIVEN


async def test_a_key_may_come_from_a_callable_too(find: Find) -> None:
    async def later() -> str:
        return " later "

    assert await find(client={"api_key": lambda: "now"}) == ApiKey("now")
    assert await find(client={"api_key": later}) == ApiKey("later")
    with refused("api_key", "it is blank", "give a Bedrock API key, or leave it out"):
        await find(client={"api_key": lambda: None})


async def test_an_api_key_is_asked_for_in_the_callers_own_context() -> None:
    tenant: ContextVar[str] = ContextVar("tenant")
    resolver = identities_of(api_key=lambda: f"key of {tenant.get()}")

    async def ask(name: str) -> Identity:
        tenant.set(name)
        return await resolver.ask(resolver.key_source(None), NO_HTTP, "us-east-1")

    found = await asyncio.gather(*(asyncio.create_task(ask(name)) for name in "ab"))
    assert found == [ApiKey("key of a"), ApiKey("key of b")]


async def test_a_plain_provider_never_blocks_the_loop_and_an_asynchronous_one_stays_on_it(find: Find) -> None:
    async def on_loop() -> Credentials:
        return seen()

    def seen() -> Credentials:
        threads.append(threading.get_ident())
        return GIVEN

    threads: list[int] = []
    await find(client={"credentials": seen})
    await find(client={"credentials": on_loop})
    elsewhere, here = threads
    assert elsewhere != threading.get_ident()
    assert here == threading.get_ident()


async def test_sources_given_call_by_call_push_out_nobody_who_is_still_asked() -> None:
    class Counting:
        name = "a source that counts"
        asked = 0

        async def fetch(self, _outside: SourceContext) -> Credentials:
            self.asked += 1
            return GIVEN

    own = Counting()
    resolver = identities_of(credentials=own)
    for _ in range(600):
        for place in (resolver.key_source(None), target_key_source(None, Counting())):
            assert place is not None
            assert await resolver.ask(place, NO_HTTP, "us-east-1") == GIVEN
    assert own.asked == 1
    assert len(resolver._caches) <= 256


@pytest.mark.parametrize("given", [None, ("A", "secret"), {"access_key_id": "A"}, ApiKey("k")], ids=repr)
async def test_a_provider_that_gives_something_else_is_refused(find: Find, given: Any) -> None:
    with refused("credentials", f"the provider gave a {type(given).__name__}", "return Credentials") as caught:
        await find(client={"credentials": lambda: given}, environ=PAIR)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["credentials", "api_key"])
@pytest.mark.parametrize("failing", ["plain", "async"])
async def test_a_providers_own_error_is_told_by_type_and_kept_as_the_cause(find: Find, failing: str, kind: str) -> None:
    def plainly() -> Credentials:
        raise LookupError("vault is sealed, token hunter2")

    async def asynchronously() -> Credentials:
        return plainly()

    source: Callable[[], Any] = plainly if failing == "plain" else asynchronously
    with pytest.raises(CredentialsUnavailable, match="it raised LookupError") as caught:
        await find(client={kind: source})
    assert "hunter2" not in str(caught.value)
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, LookupError):
        cause = cause.__cause__
    assert isinstance(cause, LookupError)


async def test_a_source_of_the_callers_own_is_treated_as_a_callable_is(find: Find) -> None:
    class Vault:
        name = "the vault"

        def __init__(self, given: Any) -> None:
            self._given = given

        async def fetch(self, _outside: SourceContext) -> Any:
            return self._given()

    def sealed() -> None:
        raise LookupError("token hunter2")

    for source in (Vault(sealed), AssumeRole("arn:aws:iam::123456789012:role/r", source=Vault(sealed))):
        with pytest.raises(CredentialsUnavailable, match="it raised LookupError") as caught:
            await find(client={"credentials": source})
        assert "hunter2" not in str(caught.value)
    with refused("credentials", "the provider gave a tuple", "return Credentials"):
        await find(client={"credentials": Vault(lambda: ("A", "secret"))})


# ------------------------------------------------------------------------------------------------------ what is told


async def test_the_place_is_logged_once_by_name_only(find: Find, caplog: pytest.LogCaptureFixture) -> None:
    resolver = identities_of(api_key="hunter2")
    with caplog.at_level(logging.INFO, "bedrock_stream"):
        for _ in range(3):
            await resolver.ask(resolver.key_source(None), NO_HTTP, "us-east-1")
    assert caplog.messages == [
        "requests are authorized with an API key, found in: the client's api_key",
        "requests go to region us-east-1",
    ]


HIDDEN = "hunter2"


@pytest.mark.parametrize(
    "places",
    [
        {"call": {"access_key_id": HIDDEN}},
        {"call": {"secret_access_key": HIDDEN}},
        {"call": {"api_key": f"{HIDDEN}\n\n{HIDDEN}"}},
        {"client": {"credentials": HIDDEN}},
        {"client": {"credentials": lambda: HIDDEN}},
        {"client": {"api_key": lambda: f"{HIDDEN}\x00"}},
        {"client": {"keys": {"access_key_id": HIDDEN}}},
        {"client": {"keys": {"api_key": HIDDEN, "access_key_id": HIDDEN, "secret_access_key": HIDDEN}}},
        {"store": {"session_token": HIDDEN}},
        {"environ": {"AWS_SECRET_ACCESS_KEY": HIDDEN}},
        {"environ": {"AWS_ACCESS_KEY_ID": HIDDEN}},
        {"files": f"[default]\naws_access_key_id = {HIDDEN}\n"},
        {"files": f"[default]\n{HIDDEN}\n"},
        {"files": f"{HIDDEN}\n"},
    ],
)
async def test_no_key_shows_in_an_error(find: Find, places: dict[str, Any]) -> None:
    with pytest.raises(BedrockStreamError) as caught:
        await find(**places)
    shown = f"{caught.value} {caught.value!r} {caught.value.args} {caught.value.__cause__!r}"
    assert HIDDEN not in shown
