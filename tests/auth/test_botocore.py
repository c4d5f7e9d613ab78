"""botocore's chain as a source: every kind of session, no caching, no blocking of the loop, no secret shown."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
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
from tests.support.auth_doubles import (
    CREDENTIALS,
    EXPIRES_AT,
    KEY,
    SECRET,
    TOKEN,
    Imds,
    SsoPortal,
    Sts,
    always,
    error_xml,
)
from tests.support.refusals import refused
from tests.support.source_context import ContextHarness, render_error

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
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory in which botocore looks for `config` and `credentials`."""
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
        f"[profile sso]\nregion = us-east-1\nsso_start_url = {START_URL}\nsso_region = us-east-1\n"
        "sso_account_id = 123456789012\nsso_role_name = reader\n",
    )
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    cached = {
        "startUrl": START_URL,
        "region": "us-east-1",
        "accessToken": bearer,
        "expiresAt": f"{expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    name = hashlib.sha1(START_URL.encode()).hexdigest()  # noqa: S324 - the name of the cache's file
    write(files / "sso" / f"{name}.json", json.dumps(cached))


SESSIONS: dict[str, Callable[[str | None], BotocoreSession]] = {
    "own session": lambda profile: BotocoreSession(profile=profile),
    "botocore": lambda profile: BotocoreSession(botocore.session.Session(profile=profile)),
    "boto3": lambda profile: BotocoreSession(boto3.Session(profile_name=profile)),
    "aiobotocore": lambda profile: BotocoreSession(aiobotocore.session.AioSession(profile=profile)),
}
every_session = pytest.mark.parametrize("make_source", SESSIONS.values(), ids=SESSIONS)
MakeSource = Callable[[str | None], BotocoreSession]


# ----------------------------------------------------------------------------------------------------------- the chain


@every_session
async def test_keys_in_a_file_are_read_at_each_fetch(
    harness: ContextHarness, files: Path, make_source: MakeSource
) -> None:
    with_keys(files)
    source = make_source(None)
    assert isinstance(source, Source)
    assert await source.fetch(harness.context) == BASE
    with_keys(files, "AKIDROTATED")
    assert await source.fetch(harness.context) == Credentials("AKIDROTATED", BASE.secret_access_key)


@every_session
async def test_keys_in_the_environment_are_read_at_each_fetch(
    harness: ContextHarness, files: Path, monkeypatch: pytest.MonkeyPatch, make_source: MakeSource
) -> None:
    source = make_source(None)
    for key in ("AKIDONE", "AKIDTWO"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
        assert await source.fetch(harness.context) == Credentials(key, "s", "t")


@every_session
async def test_a_process_is_run_at_each_fetch(harness: ContextHarness, files: Path, make_source: MakeSource) -> None:
    with_process(files, PROCESS)
    source = make_source("tool")
    for count in (1, 2):
        expected = Credentials(f"ASIA{count}", "process+secret", "process+token", EXPIRES_AT)
        assert await source.fetch(harness.context) == expected


@every_session
async def test_an_sso_profile_gets_credentials_from_the_portal(
    harness: ContextHarness, files: Path, monkeypatch: pytest.MonkeyPatch, make_source: MakeSource
) -> None:
    async with SsoPortal().running() as portal:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", portal.url)
        with_sso(files, portal.bearer)
        assert await make_source("sso").fetch(harness.context) == CREDENTIALS
        assert portal.requests[0].path == "/federation/credentials?role_name=reader&account_id=123456789012"


@every_session
async def test_a_profiles_role_is_assumed_with_its_source_profile(
    harness: ContextHarness, files: Path, monkeypatch: pytest.MonkeyPatch, make_source: MakeSource
) -> None:
    role = "arn:aws:iam::123456789012:role/reader"
    write(files / "config", f"[profile role]\nrole_arn = {role}\nsource_profile = base\nregion = eu-west-1\n")
    with_keys(files, profile="base")
    async with Sts(keys=BASE, region="eu-west-1").running() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        assert await make_source("role").fetch(harness.context) == CREDENTIALS
        assert sts.requests[0].form["RoleArn"] == role


async def test_a_role_without_a_region_is_assumed_in_the_calls_region(
    harness: ContextHarness, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.region = "eu-central-1"
    role = "arn:aws:iam::123456789012:role/reader"
    write(files / "config", f"[profile role]\nrole_arn = {role}\nsource_profile = base\n")
    with_keys(files, profile="base")
    async with Sts(keys=BASE, region="eu-central-1").running() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        source = BotocoreSession(profile="role")
        assert await source.fetch(harness.context) == await source.fetch(harness.context) == CREDENTIALS
        assert len(sts.requests) == 2  # nothing was cached


@every_session
async def test_the_instance_role_is_the_last_provider(
    harness: ContextHarness, files: Path, monkeypatch: pytest.MonkeyPatch, make_source: MakeSource
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    async with Imds().running() as imds:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url)
        fetched = await make_source(None).fetch(harness.context)
    assert (fetched.access_key_id, fetched.secret_access_key, fetched.session_token) == (KEY, SECRET, TOKEN)
    assert fetched.expires_at is not None


# ------------------------------------------------------------------------------------------ credentials of the session


@pytest.mark.parametrize("kind", ["boto3", "botocore", "aiobotocore"])
async def test_credentials_set_on_a_session_take_precedence_over_the_environment(
    harness: ContextHarness, files: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRON")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    if kind == "boto3":
        session: Any = boto3.Session("GIVEN", "given", "token")
    else:
        session = botocore.session.Session() if kind == "botocore" else aiobotocore.session.AioSession()
        session.set_credentials("GIVEN", "given", "token")
    assert await BotocoreSession(session).fetch(harness.context) == Credentials("GIVEN", "given", "token")


async def test_credentials_set_on_a_session_may_refresh_with_their_own_event_loop(
    harness: ContextHarness, files: Path
) -> None:
    count = 0

    async def later() -> dict[str, str]:
        await asyncio.sleep(0)
        return {"access_key": f"ASIA{count}", "secret_key": "s", "token": "t", "expiry_time": soon}

    def refresh() -> dict[str, str]:
        nonlocal count
        count += 1
        return asyncio.run(later())

    soon = (
        datetime.now(UTC) + timedelta(minutes=1)
    ).isoformat()  # botocore refreshes credentials that expire within ten minutes
    session = botocore.session.Session()
    credentials = botocore.credentials.RefreshableCredentials
    session._credentials = credentials.create_from_metadata(
        {"access_key": "ASIA0", "secret_key": "s", "token": "t", "expiry_time": soon}, refresh, "sts-assume-role"
    )
    source = BotocoreSession(session)
    for expected in (1, 2):
        fetched = await source.fetch(harness.context)
        assert (fetched.access_key_id, fetched.expires_at) == (f"ASIA{expected}", datetime.fromisoformat(soon))


async def test_a_custom_provider_in_the_chain_is_used(harness: ContextHarness, files: Path) -> None:
    class Custom(botocore.credentials.CredentialProvider):  # type: ignore[misc]
        METHOD = "custom"

        def load(self) -> Any:
            return botocore.credentials.Credentials("CUSTOM", "s", method=self.METHOD)

    session = botocore.session.Session()
    session.get_component("credential_provider").insert_before("env", Custom())
    assert await BotocoreSession(session).fetch(harness.context) == Credentials("CUSTOM", "s")


async def test_credentials_that_a_session_has_loaded_itself_are_loaded_again(
    harness: ContextHarness, files: Path
) -> None:
    with_keys(files)
    session = botocore.session.Session()
    cached = session.get_credentials()
    with_keys(files, "AKIDROTATED")
    fetched = await BotocoreSession(session).fetch(harness.context)
    assert fetched.access_key_id == "AKIDROTATED"
    assert session.get_credentials() is cached  # the caller's session is not changed


async def test_no_global_state_changes(harness: ContextHarness, files: Path) -> None:
    with_keys(files)
    before = dict(os.environ)
    await BotocoreSession().fetch(harness.context)
    assert dict(os.environ) == before
    assert boto3.DEFAULT_SESSION is None


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("session", ["profile", 5, object(), boto3])
def test_an_invalid_session_is_refused(session: Any) -> None:
    with refused("session", f"expected a botocore, boto3 or aiobotocore session, got {type(session).__name__}"):
        BotocoreSession(session)


@pytest.mark.parametrize("profile", ["", " ", 5])
def test_an_invalid_profile_is_refused(profile: Any) -> None:
    with refused("profile", f"expected a profile's name, got {profile!r}"):
        BotocoreSession(profile=profile)


def test_a_session_and_a_profile_cannot_be_combined() -> None:
    with refused("profile", "cannot be combined with a session", "pass a session or a profile"):
        BotocoreSession(botocore.session.Session(), profile="a")


async def test_a_missing_package_is_named_with_its_installation(
    harness: ContextHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(CredentialsUnavailable) as caught:
        await BotocoreSession(profile="a").fetch(harness.context)
    assert caught.value.reason == 'it is not installed: pip install "bedrock-stream[botocore]"'


class FakeSession:
    """A session whose chain calls a function of the test."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self.providers: list[Any] = []
        self.load_credentials = load

    def get_component(self, _: str) -> Any:
        return self

    def get_credentials(self) -> None: ...


def missing_module() -> Any:
    raise ModuleNotFoundError(SECRET, name="elsewhere")


@pytest.mark.parametrize(
    ("load", "kind"), [(missing_module, "ModuleNotFoundError"), (lambda: asyncio.sleep(0), "TypeError")]
)
async def test_a_session_with_unexpected_behavior_is_unavailable(
    harness: ContextHarness, load: Callable[[], Any], kind: str
) -> None:
    with pytest.raises(CredentialsUnavailable, match=kind) as caught:
        await BotocoreSession(FakeSession(load)).fetch(harness.context)
    assert SECRET not in render_error(caught.value)


@every_session
async def test_a_chain_without_credentials_is_unavailable(
    harness: ContextHarness, files: Path, make_source: MakeSource
) -> None:
    with pytest.raises(CredentialsUnavailable, match="it found no credentials") as caught:
        await make_source(None).fetch(harness.context)
    assert caught.value.source in ("botocore", "the botocore session")


async def test_names_and_paths_in_a_failure_are_shown(harness: ContextHarness, files: Path) -> None:
    with pytest.raises(
        CredentialsUnavailable, match=r"ProfileNotFound: The config profile \(nobody\) could not be found"
    ):
        await BotocoreSession(profile="nobody").fetch(harness.context)
    write(files / "config", "[profile half]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = gone\n")
    with pytest.raises(CredentialsUnavailable, match='InvalidConfigError: The source_profile "gone"'):
        await BotocoreSession(profile="half").fetch(harness.context)
    write(files / "config", "no section\naws_secret_access_key = hunter2\n")
    with pytest.raises(
        CredentialsUnavailable, match=r"ConfigParseError: Unable to parse config file: .*config$"
    ) as caught:
        await BotocoreSession(profile="half").fetch(harness.context)
    assert "hunter2" not in render_error(caught.value)


@every_session
@pytest.mark.parametrize("source_profile", ["base", "middle"])
async def test_nobody_is_asked_for_the_code_of_an_mfa_device(
    harness: ContextHarness,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_source: MakeSource,
    source_profile: str,
) -> None:
    """Also if it is not the profile itself that needs one, but a profile whose role it uses."""
    asked: list[str] = []
    monkeypatch.setattr("getpass.getpass", asked.append)
    monkeypatch.setattr("sys.stdin", io.StringIO("123456\n"))
    role, mfa = "role_arn = arn:aws:iam::123456789012:role/r\n", "mfa_serial = arn:aws:iam::123456789012:mfa/me\n"
    top = "" if source_profile == "middle" else mfa
    write(
        files / "config",
        f"[profile top]\n{role}{top}source_profile = {source_profile}\n"
        f"[profile middle]\n{role}{mfa}source_profile = base\n",
    )
    with_keys(files, profile="base")
    async with Sts().running() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        for _ in range(2):
            with pytest.raises(
                CredentialsUnavailable, match=r"code of an MFA device \(mfa_serial\), .*; use a profile"
            ):
                await make_source("top").fetch(harness.context)
        assert not sts.requests
    assert not asked


async def test_a_prompter_of_the_caller_is_called(
    harness: ContextHarness, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        files / "config",
        "[profile role]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/me\n",
    )
    with_keys(files, profile="base")
    session = botocore.session.Session(profile="role")
    provider = session.get_component("credential_provider").get_provider("assume-role")
    provider._prompter = lambda _prompt: "123456"
    async with Sts(keys=Credentials(BASE.access_key_id, BASE.secret_access_key)).running() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        assert (await BotocoreSession(session).fetch(harness.context)).access_key_id == KEY
        assert [request.form["TokenCode"] for request in sts.requests] == ["123456"]


@every_session
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("no-such-program --secret hunter2", "FileNotFoundError: 'no-such-program': No such file or directory"),
        ("{files}/gone/tool hunter2", "FileNotFoundError: '{files}/gone/tool': No such file or directory"),
        ("{files}/config hunter2", "PermissionError: '{files}/config': Permission denied"),
    ],
)
async def test_a_process_that_cannot_be_started_is_named(
    harness: ContextHarness, files: Path, make_source: MakeSource, command: str, reason: str
) -> None:
    write(files / "config", f"[profile tool]\ncredential_process = {command.format(files=files)}\n")
    with pytest.raises(CredentialsUnavailable) as caught:
        await make_source("tool").fetch(harness.context)
    assert caught.value.reason == reason.format(files=files)
    assert "hunter2" not in render_error(caught.value)


FAILING = {
    "fails": f"import sys; sys.exit('{NOISE} {SECRET}')",
    "writes no JSON": f"print('{SECRET}')",
    "leaves out the key": f'print(\'{{"Version": 1, "SecretAccessKey": "{SECRET}"}}\')',
    "writes another version": f'print(\'{{"Version": "{SECRET}"}}\')',
    "writes a line break": f'print(\'{{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "{SECRET}\\\\n"}}\')',
    "writes other types": f'print(\'{{"Version": 1, "AccessKeyId": ["{SECRET}"], "SecretAccessKey": 5}}\')',
    "writes invalid UTF-8": "import sys; sys.stdout.buffer.write(b'\\xff')",
    "writes an invalid expiration": (
        f'print(\'{{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "{SECRET}", "Expiration": "{TOKEN}"}}\')'
    ),
}


@every_session
@pytest.mark.parametrize("program", FAILING.values(), ids=FAILING)
async def test_a_processs_output_is_never_shown(
    harness: ContextHarness, files: Path, caplog: pytest.LogCaptureFixture, make_source: MakeSource, program: str
) -> None:
    caplog.set_level(logging.DEBUG, "bedrock_stream")
    with_process(files, program)
    source = make_source("tool")
    with pytest.raises(CredentialsUnavailable) as caught:
        await source.fetch(harness.context)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = render_error(error) + repr(source) + "".join(r.getMessage() for r in caplog.records if "bedrock" in r.name)
    assert not [secret for secret in (SECRET, TOKEN, NOISE) if secret in shown]


@every_session
async def test_a_services_message_is_never_shown(
    harness: ContextHarness, files: Path, monkeypatch: pytest.MonkeyPatch, make_source: MakeSource
) -> None:
    role = "arn:aws:iam::123456789012:role/reader"
    write(files / "config", f"[profile role]\nrole_arn = {role}\nsource_profile = base\nregion = us-east-1\n")
    with_keys(files, profile="base")
    async with Sts().running() as sts:
        sts.handler = always(403, error_xml("AccessDenied", f"not with {BASE.secret_access_key}"))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        with pytest.raises(CredentialsUnavailable, match="ClientError: AccessDenied by AssumeRole") as caught:
            await make_source("role").fetch(harness.context)
    assert caught.value.request_id == "request-1"
    assert BASE.secret_access_key not in render_error(caught.value)


@every_session
async def test_a_token_refused_by_the_portal_is_not_shown(
    harness: ContextHarness, files: Path, monkeypatch: pytest.MonkeyPatch, make_source: MakeSource
) -> None:
    async with SsoPortal(bearer="another").running() as portal:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", portal.url)
        with_sso(files, "sso-bearer-token")
        with pytest.raises(CredentialsUnavailable, match="UnauthorizedSSOTokenError: The SSO session") as caught:
            await make_source("sso").fetch(harness.context)
    shown = render_error(caught.value)
    assert "sso-bearer-token" not in shown
    assert "another" not in shown


@every_session
async def test_botocores_logs_during_a_fetch_show_no_secrets(
    harness: ContextHarness,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    make_source: MakeSource,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with SsoPortal().running() as portal:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", portal.url)
        with_sso(files, portal.bearer)
        source = make_source("sso")
        assert await source.fetch(harness.context) == CREDENTIALS
    role = "arn:aws:iam::123456789012:role/reader"
    write(files / "config", f"[profile role]\nrole_arn = {role}\nsource_profile = base\nregion = us-east-1\n")
    with_keys(files, profile="base")
    async with Sts(keys=BASE).running() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        assert await make_source("role").fetch(harness.context) == CREDENTIALS
    shown = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    secrets = (SECRET, TOKEN, portal.bearer, BASE.secret_access_key, "Signature=")
    assert not [secret for secret in secrets if secret in shown]
    caplog.clear()
    logging.getLogger("botocore.parsers").debug("other use of botocore is logged as usual")
    assert caplog.messages == ["other use of botocore is logged as usual"]


def test_a_source_shows_no_secrets() -> None:
    session = boto3.Session("GIVEN", "given-secret", "given-token")
    for source, name in (
        (BotocoreSession(session), "the botocore session"),
        (BotocoreSession(), "botocore"),
        (BotocoreSession(profile="p"), "botocore's profile 'p'"),
    ):
        assert source.name == name
        assert repr(source) == str(source) == f"BotocoreSession({name})"


# ------------------------------------------------------------------------------------------------------ the event loop


class Slow(botocore.credentials.CredentialProvider):  # type: ignore[misc]
    """A provider that blocks until it is released."""

    METHOD = "slow"

    def __init__(self) -> None:
        super().__init__()
        self.started = threading.Event()
        self.release = threading.Event()

    def load(self) -> Any:
        self.started.set()
        assert self.release.wait(30)
        return botocore.credentials.Credentials("SLOW", "s", method=self.METHOD)


@pytest.fixture
def slow(files: Path) -> Any:
    provider = Slow()
    session = botocore.session.Session()
    session.get_component("credential_provider").insert_before("env", provider)
    yield provider, BotocoreSession(session)
    provider.release.set()


async def wait_until_started(provider: Slow) -> None:
    """Wait for the provider to be called; this needs a loop that is not blocked."""
    while not provider.started.is_set():
        await asyncio.sleep(0)


async def test_a_slow_chain_does_not_block_the_loop(
    harness: ContextHarness, slow: tuple[Slow, BotocoreSession]
) -> None:
    provider, source = slow
    fetching = asyncio.create_task(source.fetch(harness.context))
    await wait_until_started(provider)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not fetching.done()
    provider.release.set()
    assert await fetching == Credentials("SLOW", "s")


async def test_a_slow_chain_does_not_delay_cancellation(
    harness: ContextHarness, slow: tuple[Slow, BotocoreSession]
) -> None:
    provider, source = slow
    fetching = asyncio.create_task(source.fetch(harness.context))
    await wait_until_started(provider)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert not provider.release.is_set()
