"""Sources of credentials that hang: each has a limit, holds no slot, and delays nobody who has other credentials."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web

from bedrock_stream import (
    AssumeRole,
    AssumeRoleWithWebIdentity,
    Client,
    ContainerRole,
    Credentials,
    InstanceRole,
    RetryPolicy,
    Target,
    Timeouts,
    errors,
)
from bedrock_stream.testing import ACCESS_KEY_ID, API_KEY, REGION, SECRET_ACCESS_KEY, Emulator, http_error
from tests.support.auth_doubles import FakeService, ReceivedRequest

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
KEYS = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
OWN_KEYS = {"access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY}
ROLE = "arn:aws:iam::123456789012:role/r"
ONCE = RetryPolicy(max_attempts=1)
SOON = Timeouts(credentials=0.2)


def connect(emulator: Emulator, **arguments: Any) -> Client:
    return Client(region=REGION, endpoint_url=emulator.url, **{"retry": ONCE, **arguments})


async def never_ends(_: ReceivedRequest) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.fixture
async def silent(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeService]:
    """Run a service that takes requests and never responds, in the place of all that return credentials."""
    async with FakeService(handler=never_ends).running() as service:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/role")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
        monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "30")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.url)
        yield service


class Hanging:
    """Callables that return nothing until `release` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.calls = 0

    def blocking(self) -> Any:
        self.calls += 1
        self.release.wait(60)
        return KEYS

    async def asynchronous(self) -> Any:
        await asyncio.Event().wait()

    async def stubborn(self) -> Any:
        """Ignore every cancellation until `release` is set."""
        while not self.release.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue
        return KEYS


@pytest.fixture
def hanging() -> Any:
    """Return sources that hang for the time of a test."""
    source = Hanging()
    yield source
    source.release.set()


def with_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(f'[profile slow]\ncredential_process = {sys.executable} -c "import time; time.sleep(5)"\n')
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


SOURCES: dict[str, tuple[Callable[[Hanging], dict[str, Any]], str]] = {
    "async function": (lambda h: {"credentials": h.asynchronous}, "the client's credentials"),
    "function that ignores cancellation": (lambda h: {"credentials": h.stubborn}, "the client's credentials"),
    "blocking function": (lambda h: {"credentials": h.blocking}, "the client's credentials"),
    "async API key": (lambda h: {"api_key": h.asynchronous}, "the client's api_key"),
    "API key that ignores cancellation": (lambda h: {"api_key": h.stubborn}, "the client's api_key"),
    "blocking API key": (lambda h: {"api_key": h.blocking}, "the client's api_key"),
    "STS": (lambda _: {"credentials": AssumeRole(ROLE, source=KEYS)}, f"AssumeRole of {ROLE}"),
    "web identity": (
        lambda _: {"credentials": AssumeRoleWithWebIdentity(ROLE, token="jwt")},
        f"AssumeRoleWithWebIdentity of {ROLE}",
    ),
    "token function": (
        lambda h: {"credentials": AssumeRoleWithWebIdentity(ROLE, token=h.blocking)},
        f"AssumeRoleWithWebIdentity of {ROLE}",
    ),
    "base of a role": (lambda _: {"credentials": AssumeRole(ROLE)}, f"AssumeRole of {ROLE}"),
    "container": (lambda _: {"credentials": ContainerRole()}, "the container role"),
    "instance": (lambda _: {"credentials": InstanceRole()}, "the instance role"),
    "process": (lambda _: {"profile": "slow"}, "profile 'slow' (credential_process)"),
    "botocore session": (lambda _: {"credentials": boto3.Session(profile_name="slow")}, "the botocore session"),
}


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_source_of_any_kind_is_given_up_at_the_limit(
    emulator: Emulator,
    silent: FakeService,
    hanging: Hanging,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    with_process(tmp_path, monkeypatch)
    arguments, name = SOURCES[kind]
    async with connect(emulator, **arguments(hanging), timeouts=SOON) as client:
        waiting = [client.generate(MODEL, "Hi"), client.stream(MODEL, "Hi").response(), client.generate(MODEL, "Hi")]
        async with asyncio.timeout(4):
            results = await asyncio.gather(*waiting, return_exceptions=True)
        for error in results:
            assert isinstance(error, errors.CredentialsUnavailable)
            assert error.retryable
            assert name in error.source
            assert "no credentials within 0.2 s (Timeouts.credentials)" in str(error)
        assert (await client.generate(MODEL, "Hi", **OWN_KEYS)).text  # type: ignore[arg-type]
    assert emulator.request_count == 1


async def test_a_source_that_hangs_holds_neither_slot_nor_lane(emulator: Emulator, hanging: Hanging) -> None:
    options = {"max_connections": 1, "adaptive_concurrency": True}
    async with connect(emulator, credentials=hanging.blocking, timeouts=Timeouts(pool=5), **options) as client:
        waiting = [asyncio.create_task(client.generate(MODEL, "Hi")) for _ in range(5)]
        while not hanging.calls:
            await asyncio.sleep(0)
        assert (await client.generate(MODEL, "Hi", **OWN_KEYS)).text  # type: ignore[arg-type]
        assert (await client.generate(MODEL, "Hi", api_key=API_KEY)).text
        assert (client.stats().open_streams, client.stats().waiting) == (0, 0)
        hanging.release.set()
        assert all(response.text for response in await asyncio.gather(*waiting))
    assert hanging.calls == 1


async def test_a_limit_per_call_and_none_count(emulator: Emulator, hanging: Hanging) -> None:
    async with connect(emulator, credentials=hanging.blocking, timeouts=Timeouts(credentials=None)) as client:
        patient = asyncio.create_task(client.generate(MODEL, "Hi"))
        with pytest.raises(errors.CredentialsUnavailable):
            await client.generate(MODEL, "Hi", timeouts=SOON)
        assert not patient.done()
        hanging.release.set()
        assert (await patient).text


async def test_a_source_that_hung_is_asked_anew_within_the_same_call(emulator: Emulator) -> None:
    calls = []

    async def source() -> Credentials:
        calls.append(1)
        if len(calls) < 3:
            await asyncio.Event().wait()
        return KEYS

    soon = RetryPolicy(max_attempts=3, base=0)
    async with connect(emulator, credentials=source, timeouts=SOON, retry=soon) as client:
        stream = client.stream(MODEL, "Hi")
        assert (await stream.response()).text
        assert [type(attempt.error) for attempt in stream.attempts[:-1]] == [errors.CredentialsUnavailable] * 2
    assert len(calls) == 3


async def test_a_base_that_hung_is_asked_anew(
    emulator: Emulator, silent: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role's base credentials are fetched on behalf of the role, whose next fetch must not join the hung one."""
    async with connect(emulator, credentials=AssumeRole(ROLE), timeouts=SOON) as client:
        for asked in (1, 2, 3):
            with pytest.raises(errors.CredentialsUnavailable):
                await client.generate(MODEL, "Hi")
            assert len(silent.requests) == asked


async def test_functions_that_hang_in_threads_hold_up_no_other_function(emulator: Emulator, hanging: Hanging) -> None:
    at_once = Timeouts(credentials=0.5)
    async with connect(emulator, api_key=hanging.blocking, timeouts=at_once) as stuck:
        waiting = [asyncio.create_task(stuck.generate(MODEL, "Hi")) for _ in range(60)]
        while hanging.calls < 40:
            await asyncio.sleep(0)
        async with connect(emulator, api_key=lambda: API_KEY, timeouts=at_once) as client:
            assert (await client.generate(MODEL, "Hi")).text
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {errors.CredentialsUnavailable}
    assert hanging.calls <= 60


def test_a_function_that_hangs_does_not_keep_the_process() -> None:
    program = f"""
import asyncio, threading
from bedrock_stream import Client, RetryPolicy, Timeouts, errors

async def main():
    limits = Timeouts(credentials=0.1)
    async with Client(api_key=threading.Event().wait, timeouts=limits, retry=RetryPolicy(max_attempts=1)) as client:
        try:
            await client.generate("{MODEL}", "Hi")
        except errors.CredentialsUnavailable as error:
            print(error)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    assert "the client's api_key: no credentials within 0.1 s" in done.stdout
    assert not done.stderr


# -------------------------------------------------------------------------------------------------- the order of things


async def test_credentials_that_expire_in_the_queue_are_fetched_again_without_a_slot() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    calls, gate = 0, asyncio.Event()

    async def source() -> Credentials:
        nonlocal calls
        calls += 1
        if calls == 2:
            await gate.wait()
        return Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, expires_at=now + timedelta(minutes=5))

    def clock() -> datetime:
        return now

    async with (
        Emulator(clock=clock, pace=0.001) as emulator,
        connect(emulator, credentials=source, clock=clock, max_connections=1) as client,
    ):
        first = client.stream(MODEL, "Hi", **OWN_KEYS)  # type: ignore[arg-type]
        await anext(first)
        queued = asyncio.create_task(client.generate(MODEL, "Hi"))
        while not client.stats().waiting:
            await asyncio.sleep(0)
        now += timedelta(minutes=6)
        await first.aclose()
        while calls < 2:
            await asyncio.sleep(0)
        assert (await client.generate(MODEL, "Hi", **OWN_KEYS)).text  # type: ignore[arg-type]
        gate.set()
        assert (await queued).text
        assert client.stats().open_streams == 0
    assert [request.auth for request in emulator.requests] == ["sigv4"] * 3


async def test_a_refusal_by_a_failover_target_ends_no_credentials_of_the_others(emulator: Emulator) -> None:
    """The target calls the credentials expired while their source fails: the first host still takes them."""
    sources = iter([Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, expires_at=datetime.now(UTC) + timedelta(hours=1))])
    async with Emulator() as other, connect(emulator, credentials=lambda: next(sources)) as client:
        assert (await client.generate(MODEL, "Hi")).text
        emulator.script(http_error(503, "ServiceUnavailableException", "busy"))
        other.script(http_error(403, "ExpiredTokenException", "The security token included in the request is expired"))
        with pytest.raises(errors.ExpiredToken):
            await client.generate(MODEL, "Hi", failover=[Target(endpoint_url=other.url)])
        for _ in range(2):
            assert (await client.generate(MODEL, "Hi")).text
