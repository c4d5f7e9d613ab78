"""The metadata endpoints of containers and instances, over real sockets: addresses, tokens, errors, secrets."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import Credentials
from bedrock_stream.auth.instance import ContainerRole, InstanceRole
from bedrock_stream.auth.responses import MAX_RESPONSE_BYTES, parse_document, redact
from bedrock_stream.auth.sources import Source
from bedrock_stream.errors import ClientClosed, ConfigurationError, ConnectionFailed, CredentialsUnavailable
from tests.support.auth_doubles import (
    CREDENTIALS,
    EXPIRES_AT,
    KEY,
    SECRET,
    TOKEN,
    Container,
    Imds,
    ReceivedRequest,
    always,
    document,
)
from tests.support.refusals import refused
from tests.support.source_context import ContextHarness, render_error

RELATIVE = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
FULL = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
AUTH_TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
AUTH_TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
MODE = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
TIMEOUT = "AWS_METADATA_SERVICE_TIMEOUT"
ATTEMPTS = "AWS_METADATA_SERVICE_NUM_ATTEMPTS"
TASK = "http://169.254.170.2"
INSTANCE = "http://169.254.169.254"
AUTHORIZATION = "Basic c2VjcmV0LXBhc3M="


@pytest.fixture
async def container(harness: ContextHarness) -> AsyncIterator[Container]:
    async with Container().running() as service:
        harness.environ[FULL] = f"{service.url}/v1/credentials"
        yield service


@pytest.fixture
async def imds(harness: ContextHarness) -> AsyncIterator[Imds]:
    async with Imds().running() as service:
        harness.environ[ENDPOINT] = service.url
        yield service


def rewrite(path: Path, text: str) -> None:
    path.write_text(text, newline="")


def failing(count: int, service: Any, status: int) -> Any:
    """Return a handler that fails this many times, and then responds as the service does."""

    def respond(request: ReceivedRequest) -> Any:
        return web.Response(status=status) if len(service.requests) <= count else service.respond(request)

    return respond


# ------------------------------------------------------------------------------------------------------- the container


async def test_an_ecs_task_uses_the_relative_uri(harness: ContextHarness, container: Container) -> None:
    harness.environ = {RELATIVE: "/v2/credentials/id?a=b", FULL: "https://not.used"}
    harness.redirects = {TASK: container.url}
    role = ContainerRole()
    assert isinstance(role, Source)
    assert await role.fetch(harness.context) == CREDENTIALS
    assert harness.requests == [("GET", f"{TASK}/v2/credentials/id?a=b", True)]
    assert harness.seconds == [2.0]
    assert "Authorization" not in container.requests[0].headers


async def test_an_eks_pod_uses_the_full_uri_and_a_token_file_that_rotates(
    harness: ContextHarness, container: Container, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    harness.environ |= {AUTH_TOKEN_FILE: str(path), AUTH_TOKEN: "not this one"}
    for token in (AUTHORIZATION, f"{AUTHORIZATION}2"):
        rewrite(path, token)
        container.token = token
        assert await ContainerRole().fetch(harness.context) == CREDENTIALS
    assert [request.headers["Authorization"] for request in container.requests] == [AUTHORIZATION, f"{AUTHORIZATION}2"]
    assert all(direct for _, _, direct in harness.requests)


async def test_a_token_may_be_in_a_variable(harness: ContextHarness, container: Container) -> None:
    container.token = harness.environ[AUTH_TOKEN] = AUTHORIZATION
    assert await ContainerRole().fetch(harness.context) == CREDENTIALS
    container.token, harness.environ[AUTH_TOKEN] = "", " "  # blank counts as unset
    assert await ContainerRole().fetch(harness.context) == CREDENTIALS


@pytest.mark.parametrize("environ", [{}, {RELATIVE: "", FULL: " "}])
async def test_without_a_uri_the_role_is_unavailable(harness: ContextHarness, environ: dict[str, str]) -> None:
    harness.environ = environ
    with pytest.raises(CredentialsUnavailable, match=f"the container role: neither {RELATIVE} nor {FULL} is set"):
        await ContainerRole().fetch(harness.context)
    assert not harness.requests


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/x",
        "http://localhost:80/x",
        "http://127.0.0.1:51679/x",
        "http://127.1.2.3/x",
        "http://[::1]:8080/x",
        "http://169.254.170.2/x",
        "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1/credentials",
        "http://169.254.1.1/x",
        "http://[fe80::1]/x",
        "https://169.254.170.2/x",
        "https://anything.example:8443/x?y=z",
        "HTTPS://anything.example/x",
    ],
)
async def test_these_uris_are_accepted(harness: ContextHarness, url: str) -> None:
    harness.environ = {FULL: url}
    harness.failure = ConnectionFailed("no network here")
    with pytest.raises(CredentialsUnavailable, match="no network here"):
        await ContainerRole().fetch(harness.context)
    assert harness.requests == [("GET", url, True)] * 3


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "10.0.0.1",
        "192.168.1.1",
        "0.0.0.0",  # noqa: S104 - not bound
        "169.255.170.2",
        "localhost.example",
        "evil.localhost",
        "127.0.0.1.example",
        "2130706433",
        "0x7f.1",
        "[fd00:ec2::24]",
        "[2001:db8::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:8.8.8.8]",
    ],
)
async def test_plain_http_to_another_machine_is_refused(harness: ContextHarness, host: str) -> None:
    harness.environ = {FULL: f"http://{host}/x", AUTH_TOKEN: AUTHORIZATION}
    with refused(FULL, "is neither this machine nor link-local", "use https, or an address of this machine") as caught:
        await ContainerRole().fetch(harness.context)
    assert not harness.requests
    assert AUTHORIZATION not in render_error(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "localhost/x",
        "//localhost/x",
        "ftp://localhost/x",
        "http://",
        "http:///x",
        "http://localhost:99999/x",
        "http://localhost:x/x",
        "http://[::1/x",
        "http://user:hunter2@localhost/x",
        "http://169.254.170.2@evil.example/x",
        "http://localhost/a b",
        "http://localhost/a\r\nHost: evil",
        "http://localhost\\@evil.example/",
        "http://localhost/x#y",
        "http://löcalhost/x",
    ],
)
async def test_an_invalid_uri_is_refused_and_not_shown(harness: ContextHarness, url: str) -> None:
    harness.environ = {FULL: url}
    with refused(FULL, "is not a valid URL", "use http[s]://HOST[:PORT][/PATH]") as caught:
        await ContainerRole().fetch(harness.context)
    assert not harness.requests
    assert "hunter2" not in render_error(caught.value)


@pytest.mark.parametrize(
    "path", ["x", "@evil.example/", ".evil.example", ":80/", "/a b", "/a\r\nb", "/é", "\\x", "/a#b"]
)
async def test_an_invalid_path_is_refused(harness: ContextHarness, path: str) -> None:
    harness.environ = {RELATIVE: path}
    with refused(RELATIVE, f"expected /PATH, got {path!r}"):
        await ContainerRole().fetch(harness.context)
    assert not harness.requests


@pytest.mark.parametrize(
    "token",
    [f"{AUTHORIZATION}\n", f"{AUTHORIZATION}\r\nX: y", f"\r{AUTHORIZATION}", f"{AUTHORIZATION}é", f"{AUTHORIZATION}\0"],
)
@pytest.mark.parametrize("variable", [AUTH_TOKEN, AUTH_TOKEN_FILE])
async def test_a_token_that_is_not_a_valid_header_is_refused_and_not_shown(
    harness: ContextHarness, container: Container, tmp_path: Path, token: str, variable: str
) -> None:
    path = tmp_path / "token"
    rewrite(path, token)
    harness.environ[variable] = token if variable == AUTH_TOKEN else str(path)
    with refused(variable, "contains a line break, or other characters", "write the token alone") as caught:
        await ContainerRole().fetch(harness.context)
    assert not container.requests
    assert AUTHORIZATION not in render_error(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read: No such file"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff", "is not text")],
)
async def test_an_unusable_token_file_is_reported(
    harness: ContextHarness, container: Container, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    harness.environ |= {AUTH_TOKEN_FILE: str(path), AUTH_TOKEN: AUTHORIZATION}
    with pytest.raises(CredentialsUnavailable, match=reason):
        await ContainerRole().fetch(harness.context)
    assert not container.requests


@pytest.mark.parametrize(("failures", "requests"), [(0, 1), (2, 3)])
async def test_a_failing_endpoint_is_retried(
    harness: ContextHarness, container: Container, failures: int, requests: int
) -> None:
    container.handler = failing(failures, container, 503)
    assert await ContainerRole().fetch(harness.context) == CREDENTIALS
    assert len(container.requests) == requests


@pytest.mark.parametrize(("status", "requests"), [(500, 3), (503, 3), (400, 1), (401, 1), (404, 1), (302, 3)])
async def test_an_endpoint_that_returns_an_error_is_unavailable(
    harness: ContextHarness, container: Container, status: int, requests: int
) -> None:
    harness.environ[AUTH_TOKEN] = AUTHORIZATION
    container.handler = always(status, json.dumps({"code": "X", "message": AUTHORIZATION}))
    words = f"the container role: the endpoint returned HTTP {status}: X: \\.\\.\\.$"
    with pytest.raises(CredentialsUnavailable, match=words) as caught:
        await ContainerRole().fetch(harness.context)
    assert len(container.requests) == requests
    assert caught.value.retryable is (requests == 3)
    assert AUTHORIZATION not in render_error(caught.value)


async def test_an_unreachable_endpoint_is_tried_three_times(harness: ContextHarness) -> None:
    harness.environ = {FULL: "http://127.0.0.1:1/x"}
    with pytest.raises(CredentialsUnavailable, match=r"the endpoint 127\.0\.0\.1:1 could not be reached: no answer"):
        await ContainerRole().fetch(harness.context)
    assert len(harness.requests) == 3
    harness.failure = ClientClosed("closed")
    with pytest.raises(ClientClosed):
        await ContainerRole().fetch(harness.context)


# -------------------------------------------------------------------------------------------------------- the instance


async def test_an_instance_returns_credentials_for_a_session_token(harness: ContextHarness, imds: Imds) -> None:
    role = InstanceRole()
    assert isinstance(role, Source)
    assert await role.fetch(harness.context) == CREDENTIALS
    path = f"{imds.url}/latest/meta-data/iam/security-credentials/"
    assert harness.requests == [
        ("PUT", f"{imds.url}/latest/api/token", True),
        ("GET", path, True),
        ("GET", f"{path}the-role", True),
    ]
    assert harness.seconds == [1.0] * 3


@pytest.mark.parametrize(
    ("environ", "settings", "origin"),
    [
        ({}, {}, INSTANCE),
        ({MODE: "IPv4"}, {}, INSTANCE),
        ({MODE: "IPv6"}, {}, "http://[fd00:ec2::254]"),
        ({MODE: "ipv6"}, {}, "http://[fd00:ec2::254]"),
        ({}, {"ec2_metadata_service_endpoint_mode": "IPv6"}, "http://[fd00:ec2::254]"),
        ({ENDPOINT: "http://127.0.0.1:1338/", MODE: "IPv6"}, {}, "http://127.0.0.1:1338"),
        ({}, {"ec2_metadata_service_endpoint": "http://127.0.0.1:1339"}, "http://127.0.0.1:1339"),
    ],
)
async def test_the_settings_for_the_instance_address_have_an_order(
    harness: ContextHarness, environ: dict[str, str], settings: dict[str, str], origin: str
) -> None:
    harness.environ, harness.settings = environ, settings
    async with Imds().running() as service:
        harness.redirects = {origin: service.url}
        assert await InstanceRole().fetch(harness.context) == CREDENTIALS
    assert {url.partition("/latest")[0] for _, url, _ in harness.requests} == {origin}


@pytest.mark.parametrize("value", ["true", "True", " TRUE "])
async def test_disabled_instance_metadata_is_not_requested(harness: ContextHarness, imds: Imds, value: str) -> None:
    harness.environ["AWS_EC2_METADATA_DISABLED"] = value
    with pytest.raises(CredentialsUnavailable, match="AWS_EC2_METADATA_DISABLED=true disables it"):
        await InstanceRole().fetch(harness.context)
    assert not harness.requests
    harness.environ["AWS_EC2_METADATA_DISABLED"] = "false"
    assert await InstanceRole().fetch(harness.context) == CREDENTIALS


@pytest.mark.parametrize(
    ("variable", "value", "shown", "remedy"),
    [
        (MODE, "IPv5", "expected IPv4 or IPv6, got 'IPv5'", ""),
        (ENDPOINT, "127.0.0.1", "is not a valid URL", "use http[s]"),
        (ENDPOINT, "http://a:hunter2@127.0.0.1", "is not a valid URL", "use http[s]"),
        (ENDPOINT, "http://127.0.0.1?x", "is not a valid URL", "use http[s]"),
        (TIMEOUT, "soon", "expected a positive number of seconds, got 'soon'", ""),
        (TIMEOUT, "0", "expected a positive number of seconds, got '0'", ""),
        (TIMEOUT, "nan", "expected a positive number of seconds, got 'nan'", ""),
        (TIMEOUT, "inf", "expected a positive number of seconds, got 'inf'", ""),
        (ATTEMPTS, "0", "expected an int from 1 to 10, got '0'", ""),
        (ATTEMPTS, "1.5", "expected an int from 1 to 10, got '1.5'", ""),
        (ATTEMPTS, "1000", "expected an int from 1 to 10, got '1000'", ""),
    ],
)
async def test_an_invalid_variable_is_named(
    harness: ContextHarness, variable: str, value: str, shown: str, remedy: str
) -> None:
    harness.environ = {variable: value}
    with refused(variable, shown, remedy):
        await InstanceRole().fetch(harness.context)
    assert not harness.requests


async def test_an_invalid_setting_is_named(harness: ContextHarness) -> None:
    harness.settings = {"metadata_service_timeout": "soon"}
    with refused("metadata_service_timeout of the profile", "expected a positive number of seconds, got 'soon'", ""):
        await InstanceRole().fetch(harness.context)


async def test_timeout_and_attempts_can_be_set(harness: ContextHarness, imds: Imds) -> None:
    harness.environ |= {TIMEOUT: "3", ATTEMPTS: "2"}
    imds.handler = failing(1, imds, 500)
    assert await InstanceRole().fetch(harness.context) == CREDENTIALS
    assert harness.seconds == [3.0] * 4


async def test_a_slow_instance_times_out_after_one_attempt(harness: ContextHarness, imds: Imds) -> None:
    never = asyncio.Event()

    async def slow(_: ReceivedRequest) -> web.Response:
        await never.wait()
        return web.Response()

    imds.handler = slow
    harness.max_seconds = 0.05
    with pytest.raises(CredentialsUnavailable, match="could not be reached: no answer"):
        await InstanceRole().fetch(harness.context)
    assert len(imds.requests) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 500])
async def test_without_a_session_token_no_further_request_is_sent(
    harness: ContextHarness, imds: Imds, status: int
) -> None:
    imds.handler = always(status, "x")
    with pytest.raises(CredentialsUnavailable, match=f"the metadata service returned HTTP {status} instead of a token"):
        await InstanceRole().fetch(harness.context)
    assert [request.method for request in imds.requests] == ["PUT"] * (3 if status == 500 else 1)


@pytest.mark.parametrize("token", ["", "a\nb", "a\r\nX-Evil: 1", "é", "x" * 20_000])
async def test_an_invalid_session_token_is_not_sent(harness: ContextHarness, imds: Imds, token: str) -> None:
    imds.session = token
    with pytest.raises(CredentialsUnavailable, match="the metadata service returned an invalid token"):
        await InstanceRole().fetch(harness.context)
    assert [request.method for request in imds.requests] == ["PUT"]


async def test_an_instance_without_a_role_is_reported(harness: ContextHarness, imds: Imds) -> None:
    imds.role = ""
    with pytest.raises(CredentialsUnavailable, match="the instance role: the instance has no role"):
        await InstanceRole().fetch(harness.context)


@pytest.mark.parametrize(
    "role", ["../../x", "a/b", "a b", "a?b", "a#b", "..", ".", "é", "x" * 65, "<html>", " ", "a\nb"]
)
async def test_an_invalid_role_name_is_not_requested(harness: ContextHarness, imds: Imds, role: str) -> None:
    imds.role = role
    with pytest.raises(CredentialsUnavailable, match="the metadata service returned an invalid role name"):
        await InstanceRole().fetch(harness.context)
    assert len(imds.requests) == 2


@pytest.mark.parametrize("role", ["a", "A-b_c+d=e,f.g@h", "x" * 64, "role\n"])
async def test_every_valid_role_name_is_requested(harness: ContextHarness, imds: Imds, role: str) -> None:
    imds.role = role.strip()
    assert await InstanceRole().fetch(harness.context) == CREDENTIALS


async def test_a_refused_session_token_is_an_error(harness: ContextHarness, imds: Imds) -> None:
    imds.handler = lambda request: imds.respond(request) if request.method == "PUT" else web.Response(status=401)
    with pytest.raises(CredentialsUnavailable, match="the metadata service returned HTTP 401"):
        await InstanceRole().fetch(harness.context)


# -------------------------------------------------------------------------------------------------------- the document

DOCUMENTS: dict[str, tuple[Any, str]] = {
    "empty": ("", "not a JSON document"),
    "HTML": ("<html></html>", "not a JSON document"),
    "list": ("[]", "not a JSON document"),
    "truncated": (json.dumps(document())[:-9], "not a JSON document"),
    "deep": ("[" * 60_000, "not a JSON document"),
    "large": (json.dumps(document(x="x" * MAX_RESPONSE_BYTES)), "not a JSON document"),
    "other types": (json.dumps(document(AccessKeyId=5)), "not a JSON document"),
    "invalid expiration": (json.dumps(document(Expiration="tomorrow")), "not a JSON document"),
    "empty object": ("{}", "has no credentials"),
    "no key": (json.dumps(document(AccessKeyId=...)), "has no credentials"),
    "no secret": (json.dumps(document(SecretAccessKey="")), "has no credentials"),
    "null": (json.dumps(document(SecretAccessKey=None)), "has no credentials"),
    "blank": (json.dumps(document(SecretAccessKey=" ")), "has unusable credentials: secret_access_key: is blank"),
    "invalid token": (
        json.dumps(document(Token=f"{TOKEN}\n")),
        "unusable credentials: session_token: contains characters",
    ),
    "error": (json.dumps({"Code": "Failed", "Message": "why"}), "the service returned Failed: why"),
    "error with keys": (json.dumps(document(Code="Failed", Message=f"{SECRET} {TOKEN}")), "Failed: ... ..."),
}


@pytest.mark.parametrize(("text", "reason"), DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_document_without_credentials_is_refused_and_shows_no_secret(
    harness: ContextHarness, container: Container, imds: Imds, caplog: pytest.LogCaptureFixture, text: str, reason: str
) -> None:
    caplog.set_level(logging.DEBUG)
    container.handler = always(200, text)
    imds.handler = lambda request: (
        web.Response(text=text) if request.path.endswith("/the-role") else imds.respond(request)
    )
    for role in (ContainerRole(), InstanceRole()):
        with pytest.raises(CredentialsUnavailable) as caught:
            await role.fetch(harness.context)
        assert reason in caught.value.reason
        shown = render_error(caught.value) + caplog.text + repr(role)
        assert not [secret for secret in (SECRET, TOKEN, imds.session) if secret in shown]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Token": ...}, Credentials(KEY, SECRET, None, EXPIRES_AT)),
        ({"Token": None, "Expiration": None}, Credentials(KEY, SECRET)),
        ({"Expiration": "2030-01-02T03:04:05"}, CREDENTIALS),
        ({"Expiration": "2030-01-02T04:04:05+01:00"}, CREDENTIALS),
        ({"Code": "Success", "AccountId": "1", "New": [1]}, CREDENTIALS),
    ],
)
def test_optional_and_unknown_members_are_accepted(changes: dict[str, Any], expected: Credentials) -> None:
    assert parse_document("the source", json.dumps(document(**changes)).encode()) == expected


async def test_a_sent_token_is_not_repeated_in_a_message(
    harness: ContextHarness, container: Container, imds: Imds
) -> None:
    harness.environ[AUTH_TOKEN] = AUTHORIZATION
    echo = json.dumps({"Code": "Failed", "Message": f"you sent {AUTHORIZATION} and {imds.session}"})
    container.handler = always(200, echo)
    imds.handler = lambda request: (
        web.Response(text=echo) if request.path.endswith("/the-role") else imds.respond(request)
    )
    with pytest.raises(CredentialsUnavailable, match="the service returned Failed: you sent \\.\\.\\.") as by_container:
        await ContainerRole().fetch(harness.context)
    with pytest.raises(CredentialsUnavailable, match="the service returned Failed: you sent") as by_instance:
        await InstanceRole().fetch(harness.context)
    assert AUTHORIZATION not in render_error(by_container.value)
    assert imds.session not in render_error(by_instance.value)


JSON: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text("aé\n 0:-TZ", max_size=10) | st.just([]) | st.just({"a": 1})
)
NAMES = ["Code", "Message", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"]


@given(
    st.one_of(
        st.binary(max_size=50), st.dictionaries(st.sampled_from(NAMES), JSON).map(lambda d: json.dumps(d).encode())
    )
)
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    try:
        assert isinstance(parse_document("the source", body), Credentials)
    except CredentialsUnavailable as error:
        assert error.__cause__ is error.__context__ is None  # noqa: PT017 - both outcomes are checked
    except ConfigurationError:
        pytest.fail("raised for an argument, not for a response")


@given(st.lists(st.text(min_size=4, max_size=12, alphabet="ab+/="), max_size=3), st.text("ab+/=%2BF ", max_size=40))
def test_a_redacted_text_contains_no_secret(secrets: list[str], text: str) -> None:
    redacted = redact(text.join([*secrets, *map(quote_plus, secrets), ""]), secrets)
    for secret in secrets:
        assert secret not in redacted
        assert quote_plus(secret) not in redacted


def test_a_redacted_text_is_short() -> None:
    assert redact("word " * 200, ["secret"]) == "word " * 100
