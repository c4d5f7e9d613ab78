"""Credential lookup: the order row by row, half pairs and blank keys, every kind of provider, no key in errors."""

from __future__ import annotations

import asyncio
import functools
import logging
import pickle
import threading
from collections.abc import Awaitable, Callable, Mapping
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

pytestmark = pytest.mark.usefixtures("empty_key_store")

GIVEN = Credentials("GIVEN", "secret")
BEARER = {"AWS_BEARER_TOKEN_BEDROCK": "environ key"}
PAIR = {"AWS_ACCESS_KEY_ID": "ENVIRON", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}
NO_HTTP = cast("Http", None)


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Awaitable[Identity]]:
    """Return a function that resolves credentials as a client does.

    `call` and `client` are their keyword arguments, `store` is put into the key store, `files` is the credentials file.
    """

    async def resolve(
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
            resolver, own = make_resolver(**(client or {})), make_call_key_source(call or {})
            return await resolver.resolve(resolver.key_source(own), NO_HTTP, "us-east-1")
        finally:
            for name in environ or {}:
                monkeypatch.delenv(name)

    return resolve


def make_resolver(
    *, api_key: Any = None, credentials: Any = None, keys: Any = None, profile: Any = None
) -> CredentialResolver:
    key_source = client_key_source(api_key=api_key, credentials=credentials, keys=keys, profile=profile)
    return CredentialResolver(key_source, profile, lambda: datetime.now(UTC))


def make_call_key_source(call: Mapping[str, str]) -> KeySource | None:
    names = ("api_key", "access_key_id", "secret_access_key", "session_token")
    return call_key_source(*(call.get(name) for name in names))


Find = Callable[..., Awaitable[Identity]]

# ----------------------------------------------------------------------------------------------------------- the order

FILES = "[default]\naws_access_key_id = FILE\naws_secret_access_key = secret\n[dev]\naws_access_key_id = DEV\n"
FILES += "aws_secret_access_key = secret\naws_session_token = token\n"

# One row per place, in order of precedence.
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
async def test_each_place_takes_precedence_over_every_place_below_it(find: Find, row: int) -> None:
    _, expected = ORDER[row]
    for below in range(row, len(ORDER)):
        places: dict[str, Any] = {}
        for arguments, _ in (ORDER[row], *ORDER[below:]):
            for name, value in arguments.items():
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
async def test_a_clients_arguments_take_precedence_over_the_process(
    find: Find, client: Any, expected: Identity
) -> None:
    assert await find(client=client, store="stored", environ={**BEARER, **PAIR}, files=FILES) == expected


async def test_a_tenants_client_never_falls_back_to_the_process(find: Find) -> None:
    def broken() -> Credentials:
        raise LookupError("the vault is sealed")

    everything = {"store": "stored", "environ": {**BEARER, **PAIR}, "files": FILES}
    with pytest.raises(CredentialsUnavailable, match="the client's credentials: it raised LookupError"):
        await find(client={"credentials": broken}, **everything)
    for keys in ({}, {"region": "eu-west-1"}):
        with pytest.raises(MissingCredentials, match="contains no key"):
            await find(client={"keys": keys}, **everything)
    with refused("secret_access_key", "half of a key pair is missing", "pass both keys, or neither"):
        await find(client={"keys": {"access_key_id": "T"}}, **everything)
    without_keys = "[dev]\nregion = eu-west-1\n"
    with refused("profile", "profile 'dev' has no credentials", "name a profile that has"):
        await find(client={"profile": "dev"}, **{**everything, "files": without_keys})


async def test_keys_in_the_environment_take_precedence_over_its_profile(find: Find) -> None:
    selected = {"AWS_PROFILE": "dev"}
    assert await find(environ=selected, files=FILES) == Credentials("DEV", "secret", "token")
    assert await find(environ={**selected, **PAIR}, files=FILES) == Credentials("ENVIRON", "secret", "token")
    with refused("AWS_PROFILE", "profile 'gone' is in neither of the shared AWS files", "name an existing profile"):
        await find(environ={"AWS_PROFILE": "gone"}, files=FILES)


async def test_a_session_token_is_optional(find: Find) -> None:
    assert await find(call={"access_key_id": "CALL", "secret_access_key": "s"}) == Credentials("CALL", "s")
    environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": " "}
    assert await find(environ=environ) == Credentials("A", "s")


async def test_a_blank_variable_counts_as_unset(find: Find) -> None:
    assert await find(environ={**PAIR, "AWS_BEARER_TOKEN_BEDROCK": " \n"}) == Credentials("ENVIRON", "secret", "token")
    with pytest.raises(MissingCredentials):
        await find(environ={"AWS_BEARER_TOKEN_BEDROCK": "", "AWS_ACCESS_KEY_ID": " ", "AWS_SECRET_ACCESS_KEY": ""})


async def test_white_space_around_a_variable_is_stripped(find: Find) -> None:
    assert await find(environ={"AWS_BEARER_TOKEN_BEDROCK": " key\n"}) == ApiKey("key")
    environ = {"AWS_ACCESS_KEY_ID": " A", "AWS_SECRET_ACCESS_KEY": "s\n", "AWS_SESSION_TOKEN": "t\n"}
    assert await find(environ=environ) == Credentials("A", "s", "t")


# ------------------------------------------------------------------------------------------------------------ refusals


async def test_missing_credentials_name_every_place_that_was_searched(find: Find) -> None:
    places = ["api_key", "access_key_id", "credentials", "keys", "profile", "put_key", *BEARER, *list(PAIR)[:2]]
    places += ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_", "AWS_EC2_METADATA_DISABLED", "'default'"]
    with pytest.raises(MissingCredentials) as caught:
        await find()
    error = caught.value
    assert (error.argument, error.problem) == ("credentials", "no credentials found")
    assert error.remedy.startswith("pass api_key=..., set AWS_BEARER_TOKEN_BEDROCK")
    for place in places:
        assert place in error.searched
    # The remedy comes first: the places fill several lines.
    assert str(error) == f"credentials: no credentials found; {error.remedy}; searched: {error.searched}"
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - ours
    assert (str(copied), copied.searched) == (str(error), error.searched)


@pytest.mark.parametrize(
    ("half", "missing"), [("access_key_id", "secret_access_key"), ("secret_access_key", "access_key_id")]
)
async def test_half_a_pair_is_refused_without_fallback(find: Find, half: str, missing: str) -> None:
    with refused(missing, "half of a key pair is missing", "pass both keys, or neither"):
        await find(call={half: "x"}, client={"api_key": "client key"}, environ={**BEARER, **PAIR})
    with refused(missing, "half of a key pair is missing", "pass both keys, or neither"):
        await find(call={half: "x", "api_key": "call key"})
    variable, absent = f"AWS_{half.upper()}", f"AWS_{missing.upper()}"
    for environ in ({variable: "x"}, {variable: "x", absent: " "}):
        with refused(absent, "half of a key pair is missing", "set both variables, or neither"):
            await find(environ=environ)
    of_profile = f"aws_{missing} of profile 'default'"
    with refused(of_profile, "half of a key pair is missing", "pass both keys, or neither"):
        await find(files=f"[default]\naws_{half} = x\n")


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
async def test_a_blank_explicit_key_is_refused_without_fallback(find: Find, blank: str) -> None:
    for client in ({"api_key": blank}, {"keys": blank}):
        with refused("api_key", "is blank", "pass a Bedrock API key, or leave it out"):
            await find(client=client, environ={**BEARER, **PAIR})
    with refused("keys['api_key']", "is blank", "leave it out, or pass a value"):
        await find(client={"keys": {"api_key": blank}}, environ=BEARER)
    with refused("profile", f"expected the name of a profile in the shared AWS files, got {blank!r}"):
        await find(client={"profile": blank}, environ=BEARER)
    for name in ("api_key", "access_key_id", "secret_access_key", "session_token"):
        with refused(name, "is blank", "leave it out, or pass a value"):
            read_options({name: blank})


def test_a_client_takes_one_kind_of_credentials() -> None:
    with refused("credentials", "cannot be combined with api_key", "pass one of them"):
        Client(api_key="k", credentials=GIVEN)
    with refused("profile", "cannot be combined with keys", "pass one of them"):
        Client(keys="k", profile="dev")
    with refused("credentials", "expected Credentials, a source or a callable, got str") as caught:
        Client(credentials=cast("Any", "hunter2"))
    assert "hunter2" not in str(caught.value)


async def test_a_machine_without_a_role_has_missing_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9/")
    async with Client(region="us-east-1") as client:
        assert client.explain("amazon.nova-lite-v1:0", "Hello").auth == "sigv4, the instance role (IMDSv2)"
        with pytest.raises(
            MissingCredentials, match=r"no credentials found; .*; searched: the call's api_key.*, and the instance role"
        ) as caught:
            await client.generate("amazon.nova-lite-v1:0", "Hello")
    assert caught.value.argument == "credentials"


# ----------------------------------------------------------------------------------------------------------- providers


def plain() -> Credentials:
    return GIVEN


async def asynchronous() -> Credentials:
    return GIVEN


def returning_an_awaitable() -> Awaitable[Credentials]:
    return asynchronous()


class AsyncCallable:
    async def __call__(self) -> Credentials:
        return GIVEN


@pytest.mark.parametrize(
    "provider",
    [
        plain,
        asynchronous,
        returning_an_awaitable,
        AsyncCallable(),
        functools.partial(asynchronous),
        lambda: GIVEN,
        GIVEN,
    ],
)
async def test_a_provider_may_be_plain_asynchronous_or_return_an_awaitable(find: Find, provider: Any) -> None:
    assert await find(client={"credentials": provider}, environ=BEARER) == GIVEN


async def test_an_api_key_may_be_a_callable(find: Find) -> None:
    async def later() -> str:
        return " later "

    assert await find(client={"api_key": lambda: "now"}) == ApiKey("now")
    assert await find(client={"api_key": later}) == ApiKey("later")
    with refused("api_key", "expected a str, got NoneType", "pass a Bedrock API key, or leave it out"):
        await find(client={"api_key": lambda: None})


async def test_an_api_key_callable_runs_in_the_callers_context() -> None:
    tenant: ContextVar[str] = ContextVar("tenant")
    resolver = make_resolver(api_key=lambda: f"key of {tenant.get()}")

    async def resolve(name: str) -> Identity:
        tenant.set(name)
        return await resolver.resolve(resolver.key_source(None), NO_HTTP, "us-east-1")

    identities = await asyncio.gather(*(asyncio.create_task(resolve(name)) for name in "ab"))
    assert identities == [ApiKey("key of a"), ApiKey("key of b")]


async def test_a_plain_provider_runs_in_a_thread_and_an_asynchronous_one_on_the_loop(find: Find) -> None:
    async def on_loop() -> Credentials:
        return record_thread()

    def record_thread() -> Credentials:
        threads.append(threading.get_ident())
        return GIVEN

    threads: list[int] = []
    await find(client={"credentials": record_thread})
    await find(client={"credentials": on_loop})
    plain_thread, async_thread = threads
    assert plain_thread != threading.get_ident()
    assert async_thread == threading.get_ident()


async def test_sources_passed_with_each_call_do_not_evict_one_that_is_in_use() -> None:
    class Counting:
        name = "a source that counts"
        fetches = 0

        async def fetch(self, _context: SourceContext) -> Credentials:
            self.fetches += 1
            return GIVEN

    own = Counting()
    resolver = make_resolver(credentials=own)
    for _ in range(600):
        for key_source in (resolver.key_source(None), target_key_source(None, Counting())):
            assert key_source is not None
            assert await resolver.resolve(key_source, NO_HTTP, "us-east-1") == GIVEN
    assert own.fetches == 1
    assert len(resolver._caches) <= 256


@pytest.mark.parametrize("result", [None, ("A", "secret"), {"access_key_id": "A"}, ApiKey("k")], ids=repr)
async def test_a_provider_that_returns_something_else_is_refused(find: Find, result: Any) -> None:
    problem = f"expected the provider to return Credentials, got {type(result).__name__}"
    with refused("credentials", problem) as caught:
        await find(client={"credentials": lambda: result}, environ=PAIR)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["credentials", "api_key"])
@pytest.mark.parametrize("failing", ["plain", "async"])
async def test_a_providers_own_error_is_reported_by_type_and_chained_as_the_cause(
    find: Find, failing: str, kind: str
) -> None:
    def fail() -> Credentials:
        raise LookupError("vault is sealed, token hunter2")

    async def fail_asynchronously() -> Credentials:
        return fail()

    source: Callable[[], Any] = fail if failing == "plain" else fail_asynchronously
    with pytest.raises(CredentialsUnavailable, match="it raised LookupError") as caught:
        await find(client={kind: source})
    assert "hunter2" not in str(caught.value)
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, LookupError):
        cause = cause.__cause__
    assert isinstance(cause, LookupError)


async def test_a_users_own_source_is_treated_like_a_callable(find: Find) -> None:
    class Vault:
        name = "the vault"

        def __init__(self, load: Any) -> None:
            self._load = load

        async def fetch(self, _context: SourceContext) -> Any:
            return self._load()

    def sealed() -> None:
        raise LookupError("token hunter2")

    for source in (Vault(sealed), AssumeRole("arn:aws:iam::123456789012:role/r", source=Vault(sealed))):
        with pytest.raises(CredentialsUnavailable, match="it raised LookupError") as caught:
            await find(client={"credentials": source})
        assert "hunter2" not in str(caught.value)
    with refused("credentials", "expected the provider to return Credentials, got tuple"):
        await find(client={"credentials": Vault(lambda: ("A", "secret"))})


# ----------------------------------------------------------------------------------------------------- logs and errors


async def test_the_source_is_logged_once_by_name_only(find: Find, caplog: pytest.LogCaptureFixture) -> None:
    resolver = make_resolver(api_key="hunter2")
    with caplog.at_level(logging.INFO, "bedrock_stream"):
        for _ in range(3):
            await resolver.resolve(resolver.key_source(None), NO_HTTP, "us-east-1")
    assert caplog.messages == [
        "requests are authorized with an API key, found in: the client's api_key",
        "requests are sent to region us-east-1",
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
async def test_no_error_shows_a_key(find: Find, places: dict[str, Any]) -> None:
    with pytest.raises(BedrockStreamError) as caught:
        await find(**places)
    shown = f"{caught.value} {caught.value!r} {caught.value.args} {caught.value.__cause__!r}"
    assert HIDDEN not in shown
