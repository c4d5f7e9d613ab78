"""Failures of credential services: which are asked again, whose words are kept, and what stays hidden."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bedrock_stream import AssumeRole, Client, ContainerRole, Credentials, InstanceRole, RetryPolicy, errors
from bedrock_stream.auth import outages
from bedrock_stream.auth.outages import failure_words, retry_pause
from bedrock_stream.errors import CredentialsUnavailable, ServiceError
from bedrock_stream.testing import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Emulator
from tests.support.auth_doubles import (
    CREDENTIALS,
    KEY,
    SECRET,
    TOKEN,
    Container,
    FakeService,
    Imds,
    ReceivedRequest,
    Sts,
    always,
    document,
    error_xml,
)
from tests.support.refusals import refused
from tests.support.source_context import BASE, ContextHarness, render_error

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
ROLE = "arn:aws:iam::123456789012:role/r"
FULL = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
ONCE = RetryPolicy(max_attempts=1)


def after(failures: int, status: int, body: str, service: FakeService, at: str = "") -> Callable[[Any], Any]:
    """Return a handler that fails so many requests whose path ends with `at`, and then responds as the service."""
    left = [failures]

    def respond(request: ReceivedRequest) -> Any:
        if left[0] and request.path.endswith(at):
            left[0] -= 1
            return web.Response(status=status, text=body)
        return service.respond(request)

    return respond


def test_pauses_before_retries_double_and_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the tests shorten them
    assert outages._PAUSE == 0.1
    for retries, most in ((0, 0.1), (1, 0.2)):
        pauses = {retry_pause(retries) for _ in range(50)}
        assert len(pauses) > 1
        assert most / 2 <= min(pauses) < max(pauses) <= most


PASSING = [
    (408, ""),
    (425, "too early"),
    (429, json.dumps({"code": "TooManyRequests", "message": "slow down"})),
    (404, "<html>no such page</html>"),
    (400, json.dumps({"code": "ThrottlingException"})),
    (302, ""),
    (204, ""),
    (500, json.dumps({"code": "InternalServerError"})),
    (503, "<html>"),
    (529, "overloaded"),
    (200, "<html>the page of a proxy</html>"),
]


@pytest.mark.parametrize(("status", "body"), PASSING)
async def test_a_container_is_asked_again_after_a_failure_that_may_pass(
    harness: ContextHarness, status: int, body: str
) -> None:
    async with Container().running() as container:
        harness.environ[FULL] = f"{container.url}/x"
        container.handler = after(2, status, body, container)
        assert await ContainerRole().fetch(harness.context) == CREDENTIALS
        container.handler = after(9, status, body, container)
        with pytest.raises(CredentialsUnavailable) as caught:
            await ContainerRole().fetch(harness.context)
        assert caught.value.retryable
        assert len(container.requests) == 6


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"code": "InvalidIdInRequest", "message": "no such id"}, "InvalidIdInRequest: no such id"),
        (403, {"Code": "AccessDenied", "Message": "not you"}, "AccessDenied: not you"),
        (404, "[id]: (ResourceNotFoundException): no association", "[id]: (ResourceNotFoundException): no association"),
        (400, {"__type": "com.amazonaws#BadIdException", "message": "x"}, "BadIdException: x"),
    ],
)
async def test_a_refusal_of_a_container_is_final(harness: ContextHarness, status: int, body: Any, words: str) -> None:
    async with Container().running() as container:
        harness.environ[FULL] = f"{container.url}/x"
        container.handler = always(status, body if isinstance(body, str) else json.dumps(body))
        with pytest.raises(CredentialsUnavailable) as caught:
            await ContainerRole().fetch(harness.context)
    assert caught.value.reason == f"the endpoint returned HTTP {status}: {words}"
    assert not caught.value.retryable
    assert len(container.requests) == 1


@pytest.mark.parametrize("at", ["/latest/api/token", "/security-credentials/", "/the-role"])
@pytest.mark.parametrize(("status", "body"), [(503, "busy"), (429, ""), (302, "")])
async def test_each_request_to_an_instance_is_sent_again(
    harness: ContextHarness, at: str, status: int, body: str
) -> None:
    async with Imds().running() as imds:
        harness.environ[ENDPOINT] = imds.url
        imds.handler = after(2, status, body, imds, at)
        assert await InstanceRole().fetch(harness.context) == CREDENTIALS
        assert len(imds.requests) == 5


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>the page of a proxy<br>"),
        (403, "no XML"),
        (429, error_xml("TooManyRequests", "slow down")),
        (400, error_xml("Throttling", "Rate exceeded")),
        (503, error_xml("SomethingNew", "out")),
        (302, ""),
    ],
)
async def test_sts_is_asked_again_after_a_failure_that_may_pass(
    harness: ContextHarness, status: int, body: str
) -> None:
    async with Sts(keys=BASE).running() as sts:
        harness.environ["AWS_ENDPOINT_URL_STS"] = sts.url
        sts.handler = after(2, status, body, sts)
        assert await AssumeRole(ROLE).fetch(harness.context) == CREDENTIALS
        sts.handler = after(9, status, body, sts)
        with pytest.raises((CredentialsUnavailable, ServiceError)) as caught:
            await AssumeRole(ROLE).fetch(harness.context)
        assert caught.value.retryable
        assert len(sts.requests) == 6
        if status != 200:
            assert f"HTTP {status}" in str(caught.value)


async def test_an_instance_that_is_busy_is_not_taken_for_a_machine_without_one(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    async with Imds().running() as imds, Client(endpoint_url=emulator.url, retry=ONCE) as client:
        monkeypatch.setenv(ENDPOINT, imds.url)
        imds.handler = always(503, "too many requests at once")
        with pytest.raises(CredentialsUnavailable, match="HTTP 503 instead of a token: too many requests") as caught:
            await client.generate(MODEL, "Hi")
        assert caught.value.retryable
        imds.handler = always(404, "")
        with pytest.raises(errors.MissingCredentials):
            await client.generate(MODEL, "Hi")


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", "", ""),
        (b"agent: no space left\n\x1b[0m", "", "agent: no space left [0m"),
        (b'"just words"', "", "just words"),
        (b'{"error": {"message": "nested"}}', "", "nested"),
        (b'{"error": "invalid_token", "error_description": "why"}', "", "why"),
        (b'{"error": {"code": "X", "message": "nested"}}', "X", "X: nested"),
        (b'{"error": "busy"}', "", "busy"),
        (b"<html><b>502</b> Bad Gateway<br></html>", "", "502 Bad Gateway"),
        (b"words " * 90, "", f"{('words ' * 90)[:200]}..."),
        (b"Signature=0123456789abcdef0123456789 is wrong", "", "... is wrong"),
        (b"the token AQoDYXdzEJr1K2example of sent s3nt", "", "the token ... of sent ..."),
        (b"id 7a2d8c1e-93b4-4c5f-8a6e-0f1d2c3b4a59 at /v2/metadata/credentials", "", None),
        (b'{"AccessKeyId": "AKIA"} and more', "", ""),
        (f"{KEY} {SECRET} {TOKEN}".encode(), "", f"{KEY} ... ..."),
    ],
)
def test_the_words_of_a_failure_are_short_and_hold_no_secret(body: bytes, code: str, words: str | None) -> None:
    assert failure_words(body, ["s3nt", "s", ""]) == (code, body.decode() if words is None else words)


async def test_words_show_no_secret_that_was_sent(harness: ContextHarness, tmp_path: Path) -> None:
    token = "plain words as a token"
    async with Container().running() as container:
        harness.environ |= {FULL: f"{container.url}/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN": token}
        container.handler = always(500, f"not with {token}, please")
        with pytest.raises(CredentialsUnavailable, match=r"HTTP 500: not with \.\.\., please") as caught:
            await ContainerRole().fetch(harness.context)
    assert token not in render_error(caught.value)


# ------------------------------------------------------------------------------------------------- expiry and the clock


def ends(minutes: float) -> str:
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def own_document(minutes: float) -> web.Response:
    return web.json_response(
        document(AccessKeyId=ACCESS_KEY_ID, SecretAccessKey=SECRET_ACCESS_KEY, Token=None, Expiration=ends(minutes))
    )


async def test_credentials_past_their_end_are_used_until_the_service_refuses_them(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Container().running() as container:
        monkeypatch.setenv(FULL, f"{container.url}/x")
        container.handler = lambda _: own_document(-30)
        async with Client(region=REGION, endpoint_url=emulator.url, credentials=ContainerRole()) as client:
            for _ in range(3):
                assert (await client.generate(MODEL, "Hi")).text
        assert len(container.requests) == 1


@pytest.mark.parametrize("hours", [3, -3])
async def test_a_wrong_local_clock_ends_no_credentials_of_a_source_without_dates(
    monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """A container's endpoint takes any date, so that only Bedrock tells that the clock is wrong."""

    def wrong_clock() -> datetime:
        return datetime.now(UTC) + timedelta(hours=hours)

    async with Container().running() as container, Emulator() as emulator:
        monkeypatch.setenv(FULL, f"{container.url}/x")
        container.handler = lambda _: own_document(60)
        async with Client(
            region=REGION, endpoint_url=emulator.url, credentials=ContainerRole(), clock=wrong_clock, retry=ONCE
        ) as client:
            for _ in range(3):
                assert (await client.generate(MODEL, "Hi")).text
        assert len(container.requests) == 1
        assert [request.auth for request in emulator.requests] == [None, "sigv4", "sigv4", "sigv4"]


async def test_the_date_of_sts_says_nothing_of_bedrocks_clock(emulator: Emulator) -> None:
    """STS with a clock two days ahead gives credentials that the right clock of Bedrock takes for an hour."""
    async with Sts(keys=BASE, clock=lambda: datetime.now(UTC) + timedelta(days=2)).running() as sts:
        role = AssumeRole(ROLE, source=BASE, endpoint_url=sts.url)
        async with (
            Emulator(credentials=Credentials(KEY, SECRET, TOKEN)) as aws,
            Client(region=REGION, endpoint_url=aws.url, credentials=role, retry=ONCE) as client,
        ):
            for _ in range(3):
                assert (await client.generate(MODEL, "Hi")).text
        assert len(sts.requests) == 2  # of which the first was refused for its date
        assert aws.request_count == 3


# ------------------------------------------------------------------------------------------------------------------ MFA


@pytest.mark.parametrize("named_by", ["profile", "AWS_PROFILE"])
async def test_a_profile_with_an_mfa_device_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named_by: str
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"[profile work]\nrole_arn = {ROLE}\nsource_profile = base\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    if named_by == "AWS_PROFILE":
        monkeypatch.setenv("AWS_PROFILE", "work")
    problem = "profile 'work' has mfa_serial: its role needs a code of an MFA device"
    async with Client(profile="work" if named_by == "profile" else None) as client:
        with refused(named_by, problem, "use a profile without mfa_serial"):
            client.explain(MODEL, "Hi")
        with refused(named_by, problem, "use a profile without mfa_serial"):
            await client.generate(MODEL, "Hi")
