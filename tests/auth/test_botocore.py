"""botocore's chain as a source: every kind of session, all of it read anew, a free loop, and no secret in sight."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiobotocore.session
import boto3
import botocore.credentials
import botocore.session
import pytest

from bedrock_stream import Credentials
from bedrock_stream.auth.botocore import BotocoreSession
from bedrock_stream.auth.sources import Source
from bedrock_stream.errors import CredentialsUnavailable
from tests.support.auth_doubles import ENDS, KEY, SECRET, TOKEN, Imds, Portal, Sts, refusal_xml, says
from tests.support.refusals import refused
from tests.support.source_context import World, a_world, traces

GIVEN = Credentials(KEY, SECRET, TOKEN, ENDS)
BASE = Credentials("AKIDFILE", "file+secret/key")
START_URL = "https://start.example"
NOISE = "stderr-of-the-process"

PROCESS = """\
import json, pathlib, sys
state = pathlib.Path(sys.argv[1])
count = int(state.read_text()) + 1 if state.exists() else 1
state.write_text(str(count))
keys = {"AccessKeyId": f"ASIA{count}", "SecretAccessKey": "process+secret", "SessionToken": "process+token"}
print(json.dumps(keys | {"Version": 1, "Expiration": "2030-01-02T03:04:05Z"}))
"""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as made:
        yield made


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for `config` and `credentials`, which botocore reads."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setattr(botocore.credentials.SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path / "sso"))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def with_keys(files: Path, key: str = BASE.access_key_id, profile: str = "default") -> None:
    pair = f"aws_access_key_id = {key}\naws_secret_access_key = {BASE.secret_access_key}\n"
    write(files / "credentials", f"[{profile}]\n{pair}")


def with_process(files: Path, program: str, profile: str = "tool") -> None:
    write(files / "program.py", program)
    command = f'"{sys.executable}" "{files / "program.py"}" "{files / "state"}"'
    write(files / "config", f"[profile {profile}]\ncredential_process = {command}\n")


def with_sso(files: Path, bearer: str) -> None:
    write(
        files / "config",
        f"[profile people]\nregion = us-east-1\nsso_start_url = {START_URL}\nsso_region = us-east-1\n"
        "sso_account_id = 123456789012\nsso_role_name = reader\n",
    )
    ends = datetime.now(UTC) + timedelta(hours=1)
    cached = {
        "startUrl": START_URL,
        "region": "us-east-1",
        "accessToken": bearer,
        "expiresAt": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
    }
    name = hashlib.sha1(START_URL.encode()).hexdigest()  # noqa: S324 - how the cache names its files
    write(files / "sso" / f"{name}.json", json.dumps(cached))


SESSIONS: dict[str, Callable[[str | None], BotocoreSession]] = {
    "its own": lambda profile: BotocoreSession(profile=profile),
    "botocore": lambda profile: BotocoreSession(botocore.session.Session(profile=profile)),
    "boto3": lambda profile: BotocoreSession(boto3.Session(profile_name=profile)),
    "aiobotocore": lambda profile: BotocoreSession(aiobotocore.session.AioSession(profile=profile)),
}
every_session = pytest.mark.parametrize("made", SESSIONS.values(), ids=SESSIONS)
Made = Callable[[str | None], BotocoreSession]


# ------------------------------------------------------------------------------------------------------------ the chain


@every_session
async def test_keys_of_a_file_are_read_anew(world: World, files: Path, made: Made) -> None:
    with_keys(files)
    source = made(None)
    assert isinstance(source, Source)
    assert await source.fetch(world.context) == BASE
    with_keys(files, "AKIDROTATED")
    assert await source.fetch(world.context) == Credentials("AKIDROTATED", BASE.secret_access_key)


@every_session
async def test_keys_of_the_environment_are_read_anew(
    world: World, files: Path, monkeypatch: pytest.MonkeyPatch, made: Made
) -> None:
    source = made(None)
    for key in ("AKIDONE", "AKIDTWO"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
        assert await source.fetch(world.context) == Credentials(key, "s", "t")


@every_session
async def test_a_process_is_run_for_each_fetch(world: World, files: Path, made: Made) -> None:
    with_process(files, PROCESS)
    source = made("tool")
    for count in (1, 2):
        expected = Credentials(f"ASIA{count}", "process+secret", "process+token", ENDS)
        assert await source.fetch(world.context) == expected


@every_session
async def test_a_signed_in_person_gets_keys_of_the_portal(
    world: World, files: Path, monkeypatch: pytest.MonkeyPatch, made: Made
) -> None:
    async with Portal().running() as portal:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", portal.url)
        with_sso(files, portal.bearer)
        assert await made("people").fetch(world.context) == GIVEN
        assert portal.requests[0].path == "/federation/credentials?role_name=reader&account_id=123456789012"


@every_session
async def test_a_role_of_a_profile_is_taken_on_with_another_profile(
    world: World, files: Path, monkeypatch: pytest.MonkeyPatch, made: Made
) -> None:
    role = "arn:aws:iam::123456789012:role/reader"
    write(files / "config", f"[profile role]\nrole_arn = {role}\nsource_profile = base\nregion = eu-west-1\n")
    with_keys(files, profile="base")
    async with Sts(keys=BASE, region="eu-west-1").running() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        assert await made("role").fetch(world.context) == GIVEN
        assert sts.requests[0].form["RoleArn"] == role


async def test_a_role_without_a_region_is_taken_on_in_that_of_the_call(
    world: World, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.region = "eu-central-1"
    role = "arn:aws:iam::123456789012:role/reader"
    write(files / "config", f"[profile role]\nrole_arn = {role}\nsource_profile = base\n")
    with_keys(files, profile="base")
    async with Sts(keys=BASE, region="eu-central-1").running() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        source = BotocoreSession(profile="role")
        assert await source.fetch(world.context) == await source.fetch(world.context) == GIVEN
        assert len(sts.requests) == 2  # nothing was kept


@every_session
async def test_the_instance_is_the_last_resort(
    world: World, files: Path, monkeypatch: pytest.MonkeyPatch, made: Made
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    async with Imds().running() as imds:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url)
        found = await made(None).fetch(world.context)
    assert (found.access_key_id, found.secret_access_key, found.session_token) == (KEY, SECRET, TOKEN)
    assert found.expires_at is not None


# ------------------------------------------------------------------------------------------- what is in the session


@pytest.mark.parametrize("kind", ["boto3", "botocore", "aiobotocore"])
async def test_keys_that_were_put_into_a_session_go_before_the_environment(
    world: World, files: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRON")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    if kind == "boto3":
        session: Any = boto3.Session("GIVEN", "given", "token")
    else:
        session = botocore.session.Session() if kind == "botocore" else aiobotocore.session.AioSession()
        session.set_credentials("GIVEN", "given", "token")
    assert await BotocoreSession(session).fetch(world.context) == Credentials("GIVEN", "given", "token")


async def test_keys_in_a_session_may_refresh_themselves_with_a_loop_of_their_own(world: World, files: Path) -> None:
    count = 0

    async def later() -> dict[str, str]:
        await asyncio.sleep(0)
        return {"access_key": f"ASIA{count}", "secret_key": "s", "token": "t", "expiry_time": soon}

    def refresh() -> dict[str, str]:
        nonlocal count
        count += 1
        return asyncio.run(later())

    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()  # botocore refreshes what ends within ten minutes
    session = botocore.session.Session()
    credentials = botocore.credentials.RefreshableCredentials
    session._credentials = credentials.create_from_metadata(
        {"access_key": "ASIA0", "secret_key": "s", "token": "t", "expiry_time": soon}, refresh, "sts-assume-role"
    )
    source = BotocoreSession(session)
    for expected in (1, 2):
        found = await source.fetch(world.context)
        assert (found.access_key_id, found.expires_at) == (f"ASIA{expected}", datetime.fromisoformat(soon))


async def test_a_provider_of_the_callers_in_the_chain_is_asked(world: World, files: Path) -> None:
    class Ours(botocore.credentials.CredentialProvider):  # type: ignore[misc]
        METHOD = "ours"

        def load(self) -> Any:
            return botocore.credentials.Credentials("OURS", "s", method=self.METHOD)

    session = botocore.session.Session()
    session.get_component("credential_provider").insert_before("env", Ours())
    assert await BotocoreSession(session).fetch(world.context) == Credentials("OURS", "s")


async def test_what_a_session_has_loaded_itself_is_loaded_anew(world: World, files: Path) -> None:
    with_keys(files)
    session = botocore.session.Session()
    kept = session.get_credentials()
    with_keys(files, "AKIDROTATED")
    found = await BotocoreSession(session).fetch(world.context)
    assert found.access_key_id == "AKIDROTATED"
    assert session.get_credentials() is kept  # the session is the caller's


async def test_nothing_global_changes(world: World, files: Path) -> None:
    with_keys(files)
    before = dict(os.environ)
    await BotocoreSession().fetch(world.context)
    assert dict(os.environ) == before
    assert boto3.DEFAULT_SESSION is None


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("session", ["profile", 5, object(), boto3])
def test_what_is_no_session_is_refused(session: Any) -> None:
    with refused("session", f"a {type(session).__name__} is no session", "give a botocore or boto3 session"):
        BotocoreSession(session)


@pytest.mark.parametrize("profile", ["", " ", 5])
def test_what_is_no_profile_is_refused(profile: Any) -> None:
    with refused("profile", f"{profile!r} is no profile", "give a profile's name"):
        BotocoreSession(profile=profile)


def test_a_session_has_its_own_profile() -> None:
    with refused("profile", "a session has its own", "give a session or a profile"):
        BotocoreSession(botocore.session.Session(), profile="a")


async def test_a_missing_package_is_named_with_how_to_get_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(CredentialsUnavailable) as caught:
        await BotocoreSession(profile="a").fetch(world.context)
    assert caught.value.reason == 'it is not installed: pip install "bedrock-stream[botocore]"'


class Odd:
    """A session whose chain does what it is told."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self.providers: list[Any] = []
        self.load_credentials = load

    def get_component(self, _: str) -> Any:
        return self

    def get_credentials(self) -> None: ...


def lacking() -> Any:
    raise ModuleNotFoundError(SECRET, name="elsewhere")


@pytest.mark.parametrize(("load", "kind"), [(lacking, "ModuleNotFoundError"), (lambda: asyncio.sleep(0), "TypeError")])
async def test_a_session_that_does_something_else_is_unavailable(
    world: World, load: Callable[[], Any], kind: str
) -> None:
    with pytest.raises(CredentialsUnavailable, match=kind) as caught:
        await BotocoreSession(Odd(load)).fetch(world.context)
    assert SECRET not in traces(caught.value)


@every_session
async def test_a_chain_that_finds_nothing_says_so(world: World, files: Path, made: Made) -> None:
    with pytest.raises(CredentialsUnavailable, match="it found no credentials") as caught:
        await made(None).fetch(world.context)
    assert caught.value.source in ("botocore", "the botocore session")


async def test_names_and_places_of_a_failure_are_shown(world: World, files: Path) -> None:
    with pytest.raises(
        CredentialsUnavailable, match=r"ProfileNotFound: The config profile \(nobody\) could not be found"
    ):
        await BotocoreSession(profile="nobody").fetch(world.context)
    write(files / "config", "[profile half]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = gone\n")
    with pytest.raises(CredentialsUnavailable, match='InvalidConfigError: The source_profile "gone"'):
        await BotocoreSession(profile="half").fetch(world.context)
    write(files / "config", "no section\naws_secret_access_key = hunter2\n")
    with pytest.raises(
        CredentialsUnavailable, match=r"ConfigParseError: Unable to parse config file: .*config$"
    ) as caught:
        await BotocoreSession(profile="half").fetch(world.context)
    assert "hunter2" not in traces(caught.value)


FAILING = {
    "fails": f"import sys; sys.exit('{NOISE} {SECRET}')",
    "says something else": f"print('{SECRET}')",
    "forgets the key": f'print(\'{{"Version": 1, "SecretAccessKey": "{SECRET}"}}\')',
    "speaks another version": f'print(\'{{"Version": "{SECRET}"}}\')',
    "gives odd keys": f'print(\'{{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "{SECRET}\\\\n"}}\')',
    "gives types": f'print(\'{{"Version": 1, "AccessKeyId": ["{SECRET}"], "SecretAccessKey": 5}}\')',
    "gives bytes": "import sys; sys.stdout.buffer.write(b'\\xff')",
    "gives an odd end": (
        f'print(\'{{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "{SECRET}", "Expiration": "{TOKEN}"}}\')'
    ),
}


@every_session
@pytest.mark.parametrize("program", FAILING.values(), ids=FAILING)
async def test_what_a_process_writes_is_never_shown(
    world: World, files: Path, caplog: pytest.LogCaptureFixture, made: Made, program: str
) -> None:
    caplog.set_level(logging.DEBUG, "bedrock_stream")
    with_process(files, program)
    source = made("tool")
    with pytest.raises(CredentialsUnavailable) as caught:
        await source.fetch(world.context)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = traces(error) + repr(source) + "".join(r.getMessage() for r in caplog.records if "bedrock" in r.name)
    assert not [secret for secret in (SECRET, TOKEN, NOISE) if secret in shown]


@every_session
async def test_what_a_service_says_is_never_shown(
    world: World, files: Path, monkeypatch: pytest.MonkeyPatch, made: Made
) -> None:
    role = "arn:aws:iam::123456789012:role/reader"
    write(files / "config", f"[profile role]\nrole_arn = {role}\nsource_profile = base\nregion = us-east-1\n")
    with_keys(files, profile="base")
    async with Sts().running() as sts:
        sts.says = says(403, refusal_xml("AccessDenied", f"not with {BASE.secret_access_key}"))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        with pytest.raises(CredentialsUnavailable, match="ClientError: AccessDenied by AssumeRole") as caught:
            await made("role").fetch(world.context)
    assert caught.value.request_id == "request-1"
    assert BASE.secret_access_key not in traces(caught.value)


@every_session
async def test_a_token_that_the_portal_refuses_is_not_shown(
    world: World, files: Path, monkeypatch: pytest.MonkeyPatch, made: Made
) -> None:
    async with Portal(bearer="another").running() as portal:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", portal.url)
        with_sso(files, "sso-bearer-token")
        with pytest.raises(CredentialsUnavailable, match="UnauthorizedSSOTokenError: The SSO session") as caught:
            await made("people").fetch(world.context)
    shown = traces(caught.value)
    assert "sso-bearer-token" not in shown
    assert "another" not in shown


@every_session
async def test_what_botocore_logs_while_it_runs_for_us_shows_no_keys(
    world: World, files: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, made: Made
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Portal().running() as portal:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", portal.url)
        with_sso(files, portal.bearer)
        source = made("people")
        assert await source.fetch(world.context) == GIVEN
    role = "arn:aws:iam::123456789012:role/reader"
    write(files / "config", f"[profile role]\nrole_arn = {role}\nsource_profile = base\nregion = us-east-1\n")
    with_keys(files, profile="base")
    async with Sts(keys=BASE).running() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        assert await made("role").fetch(world.context) == GIVEN
    shown = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    secrets = (SECRET, TOKEN, portal.bearer, BASE.secret_access_key, "Signature=")
    assert not [secret for secret in secrets if secret in shown]
    caplog.clear()
    logging.getLogger("botocore.parsers").debug("who asks it for something else hears it as ever")
    assert caplog.messages == ["who asks it for something else hears it as ever"]


def test_a_source_shows_no_keys() -> None:
    session = boto3.Session("GIVEN", "given-secret", "given-token")
    for source, name in (
        (BotocoreSession(session), "the botocore session"),
        (BotocoreSession(), "botocore"),
        (BotocoreSession(profile="p"), "botocore's profile 'p'"),
    ):
        assert source.name == name
        assert repr(source) == str(source) == f"BotocoreSession({name})"


# ---------------------------------------------------------------------------------------------------------- a free loop


class Slow(botocore.credentials.CredentialProvider):  # type: ignore[misc]
    """A provider that gives nothing until it is let."""

    METHOD = "slow"

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.let = threading.Event()

    def load(self) -> Any:
        self.asked.set()
        assert self.let.wait(30)
        return botocore.credentials.Credentials("SLOW", "s", method=self.METHOD)


@pytest.fixture
def slow(files: Path) -> Any:
    provider = Slow()
    session = botocore.session.Session()
    session.get_component("credential_provider").insert_before("env", provider)
    yield provider, BotocoreSession(session)
    provider.let.set()


async def asked(provider: Slow) -> None:
    """Wait, on a loop that must be free, until the provider is being asked."""
    while not provider.asked.is_set():
        await asyncio.sleep(0)


async def test_a_slow_chain_leaves_the_loop_free(world: World, slow: tuple[Slow, BotocoreSession]) -> None:
    provider, source = slow
    fetching = asyncio.create_task(source.fetch(world.context))
    await asked(provider)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not fetching.done()
    provider.let.set()
    assert await fetching == Credentials("SLOW", "s")


async def test_a_slow_chain_holds_up_no_cancellation(world: World, slow: tuple[Slow, BotocoreSession]) -> None:
    provider, source = slow
    fetching = asyncio.create_task(source.fetch(world.context))
    await asked(provider)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert not provider.let.is_set()
