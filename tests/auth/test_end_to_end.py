"""Auth through the client, over real sockets: slow sources, stale credentials, wrong clocks, many loops, secrets."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import pickle
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web

from bedrock_stream import AssumeRole, Client, Credentials, RetryPolicy, errors, put_key
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    API_KEY,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    http_error,
    stream_error,
    text,
    unmodeled_error,
)
from tests.auth.conftest import LookClock
from tests.conftest import QUICK_RETRIES
from tests.support.auth_doubles import (
    KEY,
    SECRET,
    TOKEN,
    Container,
    FakeService,
    Imds,
    ReceivedRequest,
    Sts,
    always,
    credentials_xml,
    error_xml,
)
from tests.support.source_context import render_error

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
KEYS = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
ROLE = "arn:aws:iam::123456789012:role/r"
STALE = Credentials("AKIAOLDOLDOLDOLDOLD1", "old secret")


def connect(emulator: Emulator, **arguments: Any) -> Client:
    return Client(**{"region": REGION, "endpoint_url": emulator.url, "retry": QUICK_RETRIES, **arguments})


async def send(client: Client) -> str:
    async with client.stream(MODEL, "Hello") as stream:
        return (await stream.response()).text


# -------------------------------------------------------------------------------------------------------- slow sources


async def test_two_hundred_first_requests_call_a_blocking_source_once_without_blocking_the_loop(
    emulator: Emulator,
) -> None:
    started, release = threading.Event(), threading.Event()
    calls = []

    def blocking() -> Credentials:
        calls.append(threading.get_ident())
        started.set()
        assert release.wait(30)
        return Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, expires_at=datetime.now(UTC) + timedelta(hours=1))

    async with connect(emulator, credentials=blocking) as client:
        requests = [asyncio.create_task(send(client)) for _ in range(200)]
        await asyncio.to_thread(started.wait, 30)
        for _ in range(100):  # a blocked loop would not get past this
            await asyncio.sleep(0)
        assert not any(request.done() for request in requests)
        release.set()
        assert len(set(await asyncio.gather(*requests))) == 1
    assert calls != [threading.get_ident()]
    assert len(calls) == 1


async def test_waiting_for_a_blocking_source_can_be_cancelled_at_once(emulator: Emulator) -> None:
    started, release = threading.Event(), threading.Event()

    def blocking() -> str:
        started.set()
        release.wait(30)
        return API_KEY

    async with connect(emulator, api_key=blocking, max_connections=1) as client:
        waiting = asyncio.create_task(send(client))
        await asyncio.to_thread(started.wait, 30)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        release.set()
        assert await send(client)  # its slot is free


@pytest.mark.parametrize("kind", ["credentials", "api_key"])
@pytest.mark.parametrize("blocking", [True, False])
async def test_closing_the_client_stops_waiting_for_a_source(emulator: Emulator, kind: str, blocking: bool) -> None:
    started, release = threading.Event(), threading.Event()

    def plain() -> Any:
        started.set()
        release.wait(30)

    async def asynchronous() -> Any:
        started.set()
        await asyncio.Event().wait()

    async with connect(emulator, **{kind: plain if blocking else asynchronous}) as client:
        stream = client.stream(MODEL, "Hello")
        waiting = [asyncio.create_task(client.generate(MODEL, "Hello")), asyncio.create_task(stream.open())]
        await asyncio.to_thread(started.wait, 30)
        await client.aclose()
        for task in waiting:
            with pytest.raises(errors.ClientClosed):
                await task
        await client.aclose()
        release.set()


# --------------------------------------------------------------------------------------------------- stale credentials


async def test_refused_credentials_are_fetched_again_once_without_an_error(emulator: Emulator) -> None:
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    results = iter([STALE, KEYS, STALE])

    async def source() -> Credentials:
        keys = next(results)
        return Credentials(keys.access_key_id, keys.secret_access_key, expires_at=expires_at)

    async with connect(emulator, credentials=source) as client:
        assert await send(client)
        assert await send(client)
    assert [request.access_key_id for request in emulator.requests] == [None, ACCESS_KEY_ID, ACCESS_KEY_ID]


async def test_an_expired_token_is_fetched_again_only_once(emulator: Emulator) -> None:
    expired = http_error(403, "ExpiredTokenException", "The security token included in the request is expired")
    emulator.script(expired)
    emulator.script(expired)
    numbers = iter(range(10))

    async def source() -> Credentials:
        expires_at = datetime.now(UTC) + timedelta(hours=1, seconds=next(numbers))
        return Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, expires_at=expires_at)

    async with connect(emulator, credentials=source) as client:
        with pytest.raises(errors.ExpiredToken):
            await send(client)
        assert await send(client)
    assert len(emulator.requests) == 3


FIRST_FRAMES: list[Any] = [
    stream_error("expiredTokenException", "The security token included in the request is expired"),
    stream_error("unrecognizedClientException", "The security token included in the request is invalid."),
    unmodeled_error("ExpiredToken", "The security token included in the request is expired"),
]


@pytest.mark.parametrize("frame", FIRST_FRAMES, ids=lambda frame: frame.code)
async def test_credentials_refused_in_the_first_frame_are_fetched_again(emulator: Emulator, frame: Any) -> None:
    emulator.script(frame)
    numbers = iter(range(10))

    async def source() -> Credentials:
        expires_at = datetime.now(UTC) + timedelta(hours=1, seconds=next(numbers))
        return Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, expires_at=expires_at)

    once = RetryPolicy(max_attempts=1)
    async with connect(emulator, credentials=source, retry=once) as client:
        async with client.stream(MODEL, "Hello") as stream:
            assert (await stream.response()).text
        assert len(stream.attempts) == 1
        emulator.script(frame)
        emulator.script(frame)
        with pytest.raises((errors.ExpiredToken, errors.AccessDenied)) as caught:
            await send(client)
    assert caught.value.mid_stream
    assert caught.value.events_received == 0
    assert len(emulator.requests) == 4


async def test_credentials_refused_after_the_first_event_are_not_retried(emulator: Emulator) -> None:
    emulator.script(text("Hel"), FIRST_FRAMES[0])
    async with connect(emulator, credentials=lambda: KEYS) as client:
        with pytest.raises(errors.ExpiredToken) as caught:
            await send(client)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"
    assert len(emulator.requests) == 1


async def test_static_credentials_are_not_retried(emulator: Emulator) -> None:
    async with connect(emulator, credentials=STALE) as client:
        with pytest.raises(errors.AccessDenied) as caught:
            await send(client)
    assert caught.value.code == "UnrecognizedClientException"
    assert len(emulator.requests) == 1


async def test_the_refusal_is_raised_if_the_source_fails_the_second_time(emulator: Emulator) -> None:
    results = iter([STALE])

    async with connect(emulator, credentials=lambda: next(results)) as client:
        with pytest.raises(errors.AccessDenied):
            await send(client)


async def test_keys_in_a_file_are_read_again_after_a_refusal(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, look_clock: LookClock
) -> None:
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def write(keys: Credentials) -> None:
        lines = (f"aws_access_key_id = {keys.access_key_id}", f"aws_secret_access_key = {keys.secret_access_key}")
        file.write_text("\n".join(("[default]", *lines, "")))

    async with connect(emulator) as client:
        write(KEYS)
        assert await send(client)
        write(STALE)
        look_clock.advance()
        with pytest.raises(errors.AccessDenied):
            await send(client)
        write(KEYS)
        assert await send(client)
    async with connect(emulator, profile="default") as client:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "not this one")
        assert await send(client)
    assert emulator.requests[-1].auth == "sigv4"


async def test_a_file_is_read_again_even_if_it_seems_unchanged(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def write(key: str) -> None:
        file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n")
        os.utime(file, ns=(10**18, 10**18))

    async with connect(emulator) as client:
        write("X" * len(ACCESS_KEY_ID))
        client.explain(MODEL, "Hello")  # reads the file
        write(ACCESS_KEY_ID)
        assert await send(client)
    assert [request.access_key_id for request in emulator.requests] == [None, ACCESS_KEY_ID]


async def test_an_api_key_callable_is_called_for_each_request(emulator: Emulator) -> None:
    results = iter(["wrong", API_KEY, "wrong"])
    async with connect(emulator, api_key=lambda: next(results)) as client:
        with pytest.raises(errors.AccessDenied):
            await send(client)
        assert await send(client)


# -------------------------------------------------------------------------------------------------------------- clocks


@pytest.mark.parametrize("minutes", [7, -7])
async def test_a_wrong_clock_causes_only_one_refusal(minutes: float) -> None:
    def wrong_clock() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=minutes)

    async with Emulator(clock=wrong_clock) as emulator, connect(emulator, credentials=KEYS) as client:
        assert await send(client)
        assert await send(client)
    assert [request.auth for request in emulator.requests] == [None, "sigv4", "sigv4"]


@pytest.mark.parametrize("hours", [-2, 2])
async def test_expiry_is_checked_with_the_services_clock_and_not_with_a_wrong_local_one(hours: int) -> None:
    def wrong_clock() -> datetime:
        return datetime.now(UTC) + timedelta(hours=hours)

    def expiring_in(minutes: int) -> Any:
        expiration = f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
        return lambda request: web.Response(text=credentials_xml(request.form["Action"], expiration=expiration))

    async with Sts(keys=KEYS).running() as sts, Emulator(credentials=Credentials(KEY, SECRET, TOKEN)) as emulator:
        role = AssumeRole("arn:aws:iam::123456789012:role/r", source=KEYS, endpoint_url=sts.url)
        async with connect(emulator, credentials=role, clock=wrong_clock) as client:
            handlers = iter([sts.respond])  # which refuses the date of the first request
            sts.handler = lambda request: next(handlers, expiring_in(60))(request)
            assert await send(client)
            assert await send(client)
            assert len(sts.requests) == 2
        async with connect(emulator, credentials=role, clock=wrong_clock) as client:
            handlers = iter([sts.respond, expiring_in(5)])
            assert await send(client)
            assert await send(client)  # they expire soon, so they are fetched again
            assert len(sts.requests) == 5


async def test_a_date_that_is_refused_twice_raises_an_error_with_reason_and_remedies(emulator: Emulator) -> None:
    now = datetime.now(UTC)
    sent, limit = (f"{now + timedelta(minutes=m):%Y%m%dT%H%M%SZ}" for m in (-20, -5))
    message = f"Signature expired: {sent} is now earlier than {limit} ({now:%Y%m%dT%H%M%SZ} - 5 min.)"
    refusal = http_error(403, "InvalidSignatureException", message)
    emulator.script(refusal)
    emulator.script(refusal)
    async with connect(emulator, credentials=KEYS) as client:
        with pytest.raises(errors.SignatureExpired) as caught:
            await send(client)
    error = caught.value
    assert len(emulator.requests) == 2
    assert error.age is not None
    assert 0 <= error.age < 30
    assert error.skew == 0
    assert error.message == message
    for part in (
        "the request was 1200 s old when the service checked it",
        "the local clock agrees with the service's",
        "a faster one, lower max_tokens or streaming",
        "an API key",
    ):
        assert part in str(error)


async def test_a_date_refused_in_the_first_frame_is_corrected_too(emulator: Emulator) -> None:
    now = datetime.now(UTC)
    sent, limit = (f"{now + timedelta(minutes=m):%Y%m%dT%H%M%SZ}" for m in (-7, -5))
    message = f"Signature expired: {sent} is now earlier than {limit} ({now:%Y%m%dT%H%M%SZ} - 5 min.)"
    refusal = stream_error("invalidSignatureException", message)
    emulator.script(refusal)
    async with connect(emulator, credentials=KEYS) as client:
        assert await send(client)
        emulator.script(refusal)
        emulator.script(refusal)
        with pytest.raises(errors.SignatureExpired, match=r"the request was 420 s old .* what helps: "):
            await send(client)
    assert len(emulator.requests) == 4


async def test_a_request_that_waited_for_minutes_is_signed_when_it_is_sent() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)

    def clock() -> datetime:
        return now

    async with (
        Emulator(clock=clock, pace=0.001) as emulator,
        connect(emulator, credentials=KEYS, clock=clock, max_connections=1) as client,
    ):
        first = client.stream(MODEL, "Hello")
        await anext(first)
        queued = asyncio.create_task(send(client))
        await asyncio.sleep(0)
        now += timedelta(minutes=6)
        await first.aclose()
        assert await queued
    assert [request.auth for request in emulator.requests] == ["sigv4", "sigv4"]
    assert emulator.requests[1].headers["X-Amz-Date"] == "20300101T000600Z"


# ---------------------------------------------------------------------------------------------------------- many loops


class EmulatorThread:
    """An emulator on its own event loop, in a thread, for clients on other loops."""

    def __enter__(self) -> str:
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._started.wait(30)
        return self.url

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with Emulator() as emulator:
            self.url = emulator.url
            self._started.set()
            await self._stop.wait()

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)


def test_one_client_works_in_ten_runs_and_on_two_loops_in_two_threads() -> None:
    def source() -> Credentials:
        # due for a refresh, so that every run also fetches in the background
        return Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, expires_at=datetime.now(UTC) + timedelta(minutes=12))

    with EmulatorThread() as url:
        client = Client(region=REGION, endpoint_url=url, credentials=source)
        assert len({asyncio.run(send(client)) for _ in range(10)}) == 1
        texts: list[str] = []
        threads = [
            threading.Thread(target=lambda: texts.extend(asyncio.run(send(client)) for _ in range(5))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(texts) == 10
        asyncio.run(client.aclose())
    gc.collect()  # a socket that was left open would now raise a ResourceWarning


# ------------------------------------------------------------------------------------------------------------- secrets

SECRETS = ("hunter2", SECRET_ACCESS_KEY, API_KEY, "s3cr3t-token")


def failing_source() -> Credentials:
    raise LookupError("the vault's token is hunter2")


FAILURES: list[tuple[str, dict[str, Any], Any]] = [
    ("success with IAM credentials", {"credentials": KEYS}, None),
    ("success with an API key", {"api_key": API_KEY}, None),
    ("success with tenant keys", {"keys": {"api_key": API_KEY}}, None),
    ("a wrong secret", {"credentials": Credentials(ACCESS_KEY_ID, "hunter2")}, None),
    ("a wrong token", {"credentials": Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, "s3cr3t-token")}, None),
    ("a wrong key", {"api_key": "hunter2"}, None),
    ("a credentials callable that fails", {"credentials": failing_source}, None),
    ("an API key callable that fails", {"api_key": lambda: [] + "hunter2"}, None),  # type: ignore[operator]
    ("a callable that returns a str", {"credentials": lambda: "hunter2"}, None),
    ("refused", {"credentials": KEYS}, http_error(403, "AccessDeniedException", "no")),
    ("expired", {"credentials": KEYS}, http_error(403, "ExpiredTokenException", "old")),
    ("not an event stream", {"credentials": KEYS}, http_error(302, None, "<html>")),
    (
        "an unreachable STS endpoint",
        {
            "credentials": AssumeRole(
                "arn:aws:iam::123456789012:role/r", external_id="s3cr3t-token", source=KEYS,
                endpoint_url="http://127.0.0.1:9",
            )
        },
        None,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "step"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
async def test_no_secret_is_shown_in_logs_reprs_errors_or_pickles(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, arguments: dict[str, Any], step: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    if step is not None:
        emulator.script(step)
    shown: list[Any] = []
    async with connect(emulator, **arguments) as client:
        stream = client.stream(MODEL, "Hello")
        try:
            shown += [repr(event) async for event in stream]
        except errors.BedrockStreamError as error:
            shown += [str(error), repr(error), error.args, pickle.dumps(error), vars(error)]
        shown += [repr(client), repr(stream), repr(stream._call), repr(client._resolver), stream.partial]
        await stream.aclose()
    shown += [record.getMessage() for record in caplog.records] + [vars(record) for record in caplog.records]
    assert caplog.records
    for secret in SECRETS:
        assert not re.search(re.escape(secret), "\n".join(map(str, shown)))
    assert "Signature=" not in "\n".join(map(str, shown))


PLACE_SECRETS = (
    SECRET,
    TOKEN,
    "base+secret",
    "container-token",
    "imds-session-token",
    "web-identity-token",
    "process+secret",
)
PLACES = [
    "put_key",
    "the environment",
    "an API key in the environment",
    "a profile",
    "a process",
    "STS",
    "a web identity",
    "a container",
    "an instance",
    "a botocore session",
]


class Places:
    """Every place that credentials can be configured in, backed by local services."""

    def __init__(self, setenv: Callable[[str, str], None], folder: Path, sts: Sts, imds: Imds, container: Container):
        self._setenv = setenv
        self._folder = folder
        self._sts, self._imds, self._container = sts, imds, container
        setenv("AWS_ENDPOINT_URL_STS", sts.url)

    def file(self, name: str, content: str) -> str:
        (self._folder / name).write_text(content)
        return str(self._folder / name)

    def configure(self, place: str) -> dict[str, Any]:
        """Configure a place and return the arguments that a client needs for it."""
        setenv, pair = self._setenv, {"access_key_id": KEY, "secret_access_key": SECRET, "session_token": TOKEN}
        match place:
            case "put_key":
                put_key("aws_bedrock", pair)
            case "the environment":
                for name, value in pair.items():
                    setenv(f"AWS_{name.upper()}", value)
            case "an API key in the environment":
                setenv("AWS_BEARER_TOKEN_BEDROCK", SECRET)
            case "a profile":
                lines = "\n".join(f"aws_{name} = {value}" for name, value in pair.items())
                setenv("AWS_SHARED_CREDENTIALS_FILE", self.file("credentials", f"[dev]\n{lines}\n"))
                return {"profile": "dev"}
            case "a process" | "a botocore session":
                keys = {"AccessKeyId": "A", "SecretAccessKey": "process+secret", "SessionToken": TOKEN}
                output = json.dumps({"Version": 1, **keys})
                program = self.file("program.py", f"print({output!r})")
                config = f"[profile tool]\ncredential_process = {sys.executable} {program}\n"
                setenv("AWS_CONFIG_FILE", self.file("config", config))
                return (
                    {"profile": "tool"} if place == "a process" else {"credentials": boto3.Session(profile_name="tool")}
                )
            case "STS":
                base = Credentials("AKIABASE", "base+secret")
                return {"credentials": AssumeRole(ROLE, source=base, external_id="external:s3cr3t-token")}
            case "a web identity":
                setenv("AWS_ROLE_ARN", ROLE)
                setenv("AWS_WEB_IDENTITY_TOKEN_FILE", self.file("token", "web-identity-token"))
            case "a container":
                setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{self._container.url}/role")
                setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-token")
            case "an instance":
                setenv("AWS_EC2_METADATA_DISABLED", "false")
                setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", self._imds.url)
        return {}


@pytest.fixture
async def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[tuple[Places, list[FakeService]]]:
    async with (
        Sts().running() as sts,
        Imds().running() as imds,
        Container(token="container-token").running() as container,
    ):
        sts.keys = Credentials("AKIABASE", "base+secret")
        yield Places(monkeypatch.setenv, tmp_path, sts, imds, container), [sts, imds, container]
    put_key("aws_bedrock", None)


def refuse_and_repeat(request: ReceivedRequest) -> web.Response:
    """Refuse a request and repeat its secrets, in XML or as text."""
    sent = [request.body.decode(), *(value for name, value in request.headers.items() if "token" in name.lower())]
    if request.body:
        return web.Response(status=403, text=error_xml("AccessDenied", " ".join([*sent, *request.form.values()])))
    return web.Response(status=403, text=" ".join([*sent, request.headers.get("Authorization", "")]))


@pytest.mark.parametrize(
    "outcome", ["success", "refused by Bedrock", "refused by the source", "invalid response of the source"]
)
@pytest.mark.parametrize("place", PLACES)
async def test_no_place_shows_a_secret_for_any_outcome(
    emulator: Emulator,
    places: tuple[Places, list[FakeService]],
    caplog: pytest.LogCaptureFixture,
    place: str,
    outcome: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    for service in places[1]:
        if outcome == "refused by the source":
            service.handler = refuse_and_repeat
        elif outcome == "invalid response of the source":
            service.handler = always(200, f"<a>{' '.join(PLACE_SECRETS)}</a>")
    accepted: dict[str, Any] = {}
    if outcome == "success":
        process = Credentials("A", "process+secret", TOKEN)
        uses_process = place in ("a process", "a botocore session")
        accepted["credentials"] = process if uses_process else Credentials(KEY, SECRET, TOKEN)
        accepted["api_key"] = SECRET
    shown: list[Any] = []
    async with Emulator(**accepted) as aws, connect(aws, **places[0].configure(place)) as client:
        stream = client.stream(MODEL, "Hello")
        try:
            shown.append((await stream.response()).text)
            assert outcome == "success"
        except errors.BedrockStreamError as error:
            shown += [render_error(error), error.args]
            assert outcome != "success"
        shown += [repr(client), repr(stream), repr(client.explain(MODEL, "Hello")), client.stats()]
        await stream.aclose()
    shown += [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    output = "\n".join(map(str, shown))
    assert "found in: " in output
    assert not [secret for secret in (*PLACE_SECRETS, "s3cr3t-token") if secret in output]
    assert not re.search("Signature=[0-9a-f]", output)


def test_a_client_with_keys_cannot_be_pickled() -> None:
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(Client(api_key="hunter2"))
