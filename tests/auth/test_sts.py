"""The STS sources over real sockets: requests, refused arguments, hostile responses, no secret shown."""

from __future__ import annotations

import asyncio
import copy
import functools
import logging
import pickle
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import Credentials
from bedrock_stream.auth.sources import HttpAnswer, Source, SourceContext
from bedrock_stream.auth.sts import AssumeRole, AssumeRoleWithWebIdentity
from bedrock_stream.auth.sts.exchange import Exchange
from bedrock_stream.auth.sts.xml_answer import InvalidXml, parse_xml
from bedrock_stream.errors import (
    AccessDenied,
    ClientClosed,
    ConnectionFailed,
    CredentialsUnavailable,
    ExpiredToken,
    InternalServerError,
    InvalidSignature,
    ServiceError,
    ServiceUnavailable,
    SignatureExpired,
    Throttled,
    ValidationFailed,
)
from tests.support.auth_doubles import (
    CREDENTIALS,
    SECRET,
    TOKEN,
    Sts,
    always,
    credentials_xml,
    error_xml,
)
from tests.support.refusals import refused
from tests.support.source_context import BASE, ContextHarness, render_error

ROLE = "arn:aws:iam::123456789012:role/path/reader"
JWT = "web-identity-token"
EXTERNAL = "external-id/of:ours"


@pytest.fixture
async def sts(harness: ContextHarness) -> AsyncIterator[Sts]:
    async with Sts(keys=BASE).running() as service:
        harness.environ["AWS_ENDPOINT_URL_STS"] = service.url
        yield service


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{JWT}\n")
    return path


def rewrite(path: Path, content: bytes | None) -> None:
    """Replace the file's content; None deletes the file."""
    path.unlink()
    if content is not None:
        path.write_bytes(content)


# ------------------------------------------------------------------------------------------------------------ requests


async def test_a_role_is_assumed_with_the_default_credentials(harness: ContextHarness, sts: Sts) -> None:
    assert await AssumeRole(ROLE).fetch(harness.context) == CREDENTIALS
    (request,) = sts.requests
    assert request.form == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "bedrock-stream",
        "DurationSeconds": "3600",
    }
    assert request.headers["X-Amz-Security-Token"] == BASE.session_token
    assert "/us-east-1/sts/aws4_request" in request.headers["Authorization"]
    assert harness.requests == [("POST", f"{sts.url}/", False)]


@pytest.mark.parametrize(
    "policy", [{"Version": "2012-10-17", "Statement": []}, '{ "Version": "2012-10-17",\n"Statement": []}']
)
async def test_every_argument_is_sent(harness: ContextHarness, sts: Sts, policy: Any) -> None:
    sts.region = "eu-west-1"
    role = AssumeRole(
        ROLE, "me@work", external_id=EXTERNAL, policy=policy, duration=900, source=BASE, region="eu-west-1"
    )
    assert await role.fetch(harness.context) == CREDENTIALS
    form = sts.requests[0].form
    assert form["Policy"] == '{"Version":"2012-10-17","Statement":[]}'
    assert (form["ExternalId"], form["RoleSessionName"], form["DurationSeconds"]) == (EXTERNAL, "me@work", "900")


async def test_every_kind_of_source_is_called_at_each_fetch(harness: ContextHarness, sts: Sts) -> None:
    threads: list[threading.Thread] = []

    def plain() -> Credentials:
        threads.append(threading.current_thread())
        return BASE

    async def asynchronous() -> Credentials:
        threads.append(threading.current_thread())
        return BASE

    class CustomSource:
        name = "custom"

        async def fetch(self, context: SourceContext) -> Credentials:
            assert context.region == "us-east-1"
            threads.append(threading.current_thread())
            return BASE

    harness.default_credentials = Credentials("UNKNOWN", "unknown")  # no fallback to the default credentials
    loop_thread = threading.current_thread()
    for source, in_thread in (
        (plain, True),
        (functools.partial(plain), True),
        (asynchronous, False),
        (CustomSource(), False),
    ):
        role = AssumeRole(ROLE, source=source)
        assert await role.fetch(harness.context) == await role.fetch(harness.context) == CREDENTIALS
        assert [thread is not loop_thread for thread in threads] == [in_thread] * 2
        threads.clear()


async def test_roles_can_be_chained(harness: ContextHarness, sts: Sts) -> None:
    first = AssumeRole(ROLE, "first")
    second = AssumeRole(f"{ROLE}2", "second", source=first)
    assert isinstance(first, Source)
    accepted = iter([BASE, CREDENTIALS])

    def respond(request: Any) -> Any:
        sts.keys = next(accepted)
        return sts.respond(request)

    sts.handler = respond
    assert await second.fetch(harness.context) == CREDENTIALS
    assert [request.form["RoleSessionName"] for request in sts.requests] == ["first", "second"]


async def test_a_source_that_hangs_does_not_delay_cancellation(harness: ContextHarness, sts: Sts) -> None:
    started, release = threading.Event(), threading.Event()

    def hanging() -> Credentials:
        started.set()
        assert release.wait(30)
        return BASE

    fetching = asyncio.create_task(AssumeRole(ROLE, source=hanging).fetch(harness.context))
    while not started.is_set():
        await asyncio.sleep(0)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    release.set()
    assert not sts.requests


async def test_a_source_that_returns_no_credentials_is_refused(harness: ContextHarness, sts: Sts) -> None:
    with refused("source", "expected the provider to return Credentials, got tuple"):
        await AssumeRole(ROLE, source=lambda: ("key", "secret")).fetch(harness.context)  # type: ignore[arg-type]
    assert not sts.requests


async def test_a_web_identity_request_is_unsigned_and_its_file_is_read_at_each_fetch(
    harness: ContextHarness, sts: Sts, token_file: Path
) -> None:
    role = AssumeRoleWithWebIdentity(ROLE, token_file, "pod", policy={"Statement": []}, duration=7200)
    assert isinstance(role, Source)
    assert await role.fetch(harness.context) == CREDENTIALS
    (request,) = sts.requests
    assert request.form == {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "pod",
        "DurationSeconds": "7200",
        "Policy": '{"Statement":[]}',
        "WebIdentityToken": JWT,
    }
    assert not {name for name in request.headers if name.lower().startswith(("x-amz", "authorization"))}
    rewrite(token_file, b"rotated+token/=")
    sts.tokens = ("rotated+token/=",)
    assert await role.fetch(harness.context) == CREDENTIALS


async def test_a_web_identity_token_may_be_a_str_or_a_callable(harness: ContextHarness, sts: Sts) -> None:
    async def later() -> str:
        return JWT

    for token in (JWT, f" {JWT}\n", lambda: JWT, later):
        assert await AssumeRoleWithWebIdentity(ROLE, token=token).fetch(harness.context) == CREDENTIALS
    assert len(sts.requests) == 4


# ----------------------------------------------------------------------------------------------------------- endpoints


@pytest.mark.parametrize(
    ("environ", "settings", "options", "url"),
    [
        ({}, {}, {}, "https://sts.us-east-1.amazonaws.com/"),
        ({}, {}, {"region": "cn-north-1"}, "https://sts.cn-north-1.amazonaws.com.cn/"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, {}, {}, "https://sts-fips.us-east-1.amazonaws.com/"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, {}, {}, "https://sts.us-east-1.api.aws/"),
        ({"AWS_ENDPOINT_URL": "https://all/"}, {}, {}, "https://all/"),
        ({"AWS_ENDPOINT_URL": "https://all", "AWS_ENDPOINT_URL_STS": "https://own/a/"}, {}, {}, "https://own/a/"),
        ({"AWS_ENDPOINT_URL_STS": "https://own"}, {}, {"endpoint_url": "https://arg/"}, "https://arg/"),
        ({"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "https://bedrock"}, {}, {}, "https://sts.us-east-1.amazonaws.com/"),
        ({}, {"sts.endpoint_url": "https://set", "endpoint_url": "https://all"}, {}, "https://set/"),
        (
            {"AWS_ENDPOINT_URL_STS": "https://own", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            {"endpoint_url": "https://all"},
            {},
            "https://sts.us-east-1.amazonaws.com/",
        ),
    ],
)
async def test_the_settings_for_the_endpoint_have_an_order(
    harness: ContextHarness, environ: dict[str, str], settings: dict[str, str], options: dict[str, Any], url: str
) -> None:
    harness.environ, harness.settings = environ, settings
    harness.failure = ConnectionFailed("no network here")
    with pytest.raises(CredentialsUnavailable, match="could not be reached: no network here") as caught:
        await AssumeRole(ROLE, **options).fetch(harness.context)
    assert caught.value.retryable
    assert [requested for _, requested, _ in harness.requests] == [url]


async def test_plain_http_to_another_machine_is_refused(harness: ContextHarness) -> None:
    harness.environ["AWS_ENDPOINT_URL_STS"] = "http://sts.example"
    with refused("AWS_ENDPOINT_URL_STS", "would send credentials unencrypted", "use https"):
        await AssumeRole(ROLE).fetch(harness.context)
    with refused("endpoint_url", "would send credentials unencrypted", "use https"):
        AssumeRole(ROLE, endpoint_url="http://sts.example")


# ------------------------------------------------------------------------------------------------------- the arguments

INVALID_ARNS = [
    "",
    "reader",
    "arn:aws:iam::12345678901:role/r",
    "arn:aws:iam::123456789012:user/r",
    f"{ROLE}\n",
    5,
    None,
]


@pytest.mark.parametrize(
    "role_arn", [*INVALID_ARNS, "arn:aws:iam::123456789012:role/", "arn:aws:iam::١٢٣٤٥٦٧٨٩٠١٢:role/r"]
)
def test_an_invalid_role_arn_is_refused(role_arn: Any) -> None:
    for make in (AssumeRole, functools.partial(AssumeRoleWithWebIdentity, token="t")):
        with refused("role_arn", f"expected arn:aws:iam::ACCOUNT:role/NAME, got {role_arn!r}"):
            make(role_arn)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-iso-b", "aws-eusc"])
def test_roles_of_every_partition_are_accepted(partition: str) -> None:
    assert AssumeRole(f"arn:{partition}:iam::123456789012:role/r").role_arn.split(":")[1] == partition


@pytest.mark.parametrize(
    ("argument", "value", "problem", "remedy"),
    [
        ("session_name", "x", "expected 2 to 64 letters, digits or _+=,.@-, got 'x'", ""),
        ("session_name", "x" * 65, "expected 2 to 64 letters, digits or _+=,.@-, got 'xxx", ""),
        ("session_name", "a b", "expected 2 to 64 letters, digits or _+=,.@-, got 'a b'", ""),
        ("session_name", "süß", "expected 2 to 64 letters, digits or _+=,.@-, got 'süß'", ""),
        ("session_name", None, "expected 2 to 64 letters, digits or _+=,.@-, got None", ""),
        ("external_id", "x", "expected 2 to 1224", ""),
        ("external_id", "x" * 1225, "expected 2 to 1224", ""),
        ("external_id", "a\nb", "expected 2 to 1224", ""),
        ("external_id", 5, "expected 2 to 1224", ""),
        ("duration", 899, "expected an int from 900 to 43200 (seconds), got 899", ""),
        ("duration", 43201, "expected an int from 900 to 43200 (seconds), got 43201", ""),
        ("duration", True, "expected an int from 900 to 43200 (seconds), got True", ""),
        ("duration", 900.0, "expected an int from 900 to 43200 (seconds), got 900.0", ""),
        ("policy", "", "expected a policy document", ""),
        ("policy", "[]", "expected a policy document", ""),
        ("policy", "{", "expected a policy document", ""),
        ("policy", {}, "expected a policy document", ""),
        ("policy", {"a": {1, 2}}, "expected a policy document", ""),
        ("policy", 5, "expected a policy document", ""),
        ("source", "profile", "expected Credentials, a source or a callable, got str", ""),
        ("region", "a.b", "expected a region, got 'a.b'", "use a name like"),
        ("endpoint_url", "sts", "expected an endpoint URL, got 'sts'", "use https"),
    ],
)
def test_an_invalid_argument_is_refused_at_construction(argument: str, value: Any, problem: str, remedy: str) -> None:
    with refused(argument, problem, remedy):
        AssumeRole(ROLE, **{argument: value})


@pytest.mark.parametrize(
    ("options", "argument", "problem", "remedy"),
    [
        ({}, "token_file", "is required if token is not set", "pass one of token_file and token"),
        (
            {"token_file": "f", "token": "t"},
            "token_file",
            "cannot be combined with token",
            "pass one of token_file and token",
        ),
        ({"token_file": ""}, "token_file", "expected a path, got ''", ""),
        ({"token_file": 5}, "token_file", "expected a path, got 5", ""),
        ({"token": " "}, "token", "expected a non-blank str or a callable", ""),
        ({"token": b"t"}, "token", "expected a non-blank str or a callable", ""),
        ({"token": "t", "duration": 1}, "duration", "expected an int from 900 to 43200 (seconds), got 1", ""),
    ],
)
def test_a_web_identity_requires_one_token(options: dict[str, Any], argument: str, problem: str, remedy: str) -> None:
    with refused(argument, problem, remedy):
        AssumeRoleWithWebIdentity(ROLE, **options)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "its token is blank"),
        (b" \n", "its token is blank"),
        (b"\xff\xfe", "is not text"),
        (b"x" * 20_001, "longer than 20000"),
    ],
)
async def test_an_unusable_token_file_is_reported(
    harness: ContextHarness, sts: Sts, token_file: Path, content: bytes | None, reason: str
) -> None:
    rewrite(token_file, content)
    with pytest.raises(CredentialsUnavailable, match=reason) as caught:
        await AssumeRoleWithWebIdentity(ROLE, token_file).fetch(harness.context)
    assert caught.value.source == f"AssumeRoleWithWebIdentity of {ROLE}"
    assert not sts.requests


async def test_a_token_callable_must_return_a_str(harness: ContextHarness) -> None:
    with refused("token", "expected the callable to return a str, got bytes"):
        await AssumeRoleWithWebIdentity(ROLE, token=lambda: b"t").fetch(harness.context)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("code", "status", "cls", "retryable"),
    [
        ("AccessDenied", 403, AccessDenied, False),
        ("InvalidClientTokenId", 403, AccessDenied, False),
        ("ExpiredToken", 403, ExpiredToken, False),
        ("ExpiredTokenException", 400, ExpiredToken, False),
        ("SignatureDoesNotMatch", 403, InvalidSignature, False),
        ("IncompleteSignature", 400, InvalidSignature, False),
        ("ValidationError", 400, ValidationFailed, False),
        ("MalformedPolicyDocument", 400, ValidationFailed, False),
        ("Throttling", 400, Throttled, True),
        ("IDPCommunicationError", 400, ServiceUnavailable, True),
        ("InternalFailure", 500, InternalServerError, True),
        ("ServiceUnavailable", 503, ServiceUnavailable, True),
        ("SomethingNew", 418, ServiceError, False),
    ],
)
async def test_a_refusal_has_its_class_and_names_sts(
    harness: ContextHarness, sts: Sts, code: str, status: int, cls: type[ServiceError], retryable: bool
) -> None:
    sts.handler = always(status, error_xml(code, "Denied & logged"))
    with pytest.raises(ServiceError) as caught:
        await AssumeRole(ROLE).fetch(harness.context)
    error = caught.value
    assert (type(error), error.code, error.status, error.retryable) == (cls, code, status, retryable)
    assert error.message == "sts AssumeRole: Denied & logged"
    assert error.request_id == "request-1"
    assert len(sts.requests) == (3 if retryable else 1)


async def test_a_wrong_secret_and_an_unknown_key_have_different_errors(harness: ContextHarness, sts: Sts) -> None:
    with pytest.raises(InvalidSignature, match="sts AssumeRole: The request signature we calculated") as caught:
        await AssumeRole(ROLE, source=Credentials(BASE.access_key_id, "wrong", BASE.session_token)).fetch(
            harness.context
        )
    assert type(caught.value) is InvalidSignature
    with pytest.raises(AccessDenied, match="sts AssumeRole: The security token included in the request is invalid"):
        await AssumeRole(ROLE, source=Credentials("UNKNOWN", "x")).fetch(harness.context)
    with pytest.raises(ValidationFailed, match="sts AssumeRoleWithWebIdentity: The ID Token provided"):
        await AssumeRoleWithWebIdentity(ROLE, token="other").fetch(harness.context)


@pytest.mark.parametrize("hours", [-9, 9])
async def test_a_wrong_clock_is_corrected_and_the_request_signed_again(
    harness: ContextHarness, sts: Sts, hours: int
) -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    sts.clock = lambda: noon
    harness.clock = noon + timedelta(hours=hours)
    assert await AssumeRole(ROLE).fetch(harness.context) == CREDENTIALS
    host = sts.url.removeprefix("http://")
    ((learned, date, message),) = harness.refusals
    assert (learned, date) == (host, "Wed, 01 Jul 2026 12:00:00 GMT")
    assert message.startswith(("Signature expired: ", "Signature not yet current: "))
    assert [request.headers["X-Amz-Date"][:9] for request in sts.requests][1:] == ["20260701T"]


@pytest.mark.parametrize("learns", [True, False])
async def test_a_date_that_is_refused_again_is_an_error(harness: ContextHarness, sts: Sts, learns: bool) -> None:
    harness.learns = learns
    sts.handler = always(
        403, error_xml("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2 (3 - 5 min.)")
    )
    with pytest.raises(SignatureExpired, match="sts AssumeRole: Signature expired"):
        await AssumeRole(ROLE).fetch(harness.context)
    assert len(sts.requests) == (2 if learns else 1)


async def test_other_refusals_are_not_retried(harness: ContextHarness, sts: Sts) -> None:
    sts.handler = always(403, error_xml("SignatureDoesNotMatch", "The request signature we calculated does not match"))
    with pytest.raises(InvalidSignature):
        await AssumeRole(ROLE).fetch(harness.context)
    assert (len(sts.requests), harness.refusals) == (1, [])


# -------------------------------------------------------------------------------------------------- unusable responses

LAUGHS = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
HOSTILE = {
    "billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><a>&l9;</a>',
    "external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "parameter entity": '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/x"> %x;]><a/>',
    "external subset": '<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>',
    "harmless type": "<!DOCTYPE html><html></html>",
    "undeclared entity": "<a>&x;</a>",
    "deep": "<a>" * 17 + "</a>" * 17,
    "very deep": "<a>" * 20_000,
    "long name": f"<{'a' * 65}/>",
    "large": f"<a>{' ' * 65_536}</a>",
    "truncated": credentials_xml("AssumeRole")[:-30],
    "empty": "",
    "text": "upstream connect error",
    "page": "<html><br></html>",
    "json": '{"Credentials": {}}',
    "binary": b"\x00\xff\x80",
    "not utf-8": b"<?xml version='1.0' encoding='latin-1'?><a>\xff</a>",
    "unknown encoding": b"<?xml version='1.0' encoding='x'?><a>\xff</a>",
    "other": "<a/>",
    "other operation": credentials_xml("AssumeRoleWithSAML"),
    "no key": credentials_xml("AssumeRole", key=""),
    "no secret": credentials_xml("AssumeRole", secret=" "),
    "no token": credentials_xml("AssumeRole", token=""),
    "non-ASCII key": credentials_xml("AssumeRole", key="ключ"),
    "no expiration": credentials_xml("AssumeRole", expiration=" "),
    "invalid expiration": credentials_xml("AssumeRole", expiration="tomorrow"),
}


@pytest.mark.parametrize("status", [200, 403, 503])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_an_unusable_response_is_an_error(
    harness: ContextHarness, sts: Sts, body: str | bytes, status: int
) -> None:
    sts.handler = always(status, body)
    with pytest.raises(CredentialsUnavailable) as caught:
        await AssumeRole(ROLE).fetch(harness.context)
    error = caught.value
    assert error.source == f"AssumeRole of {ROLE}"
    assert error.__cause__ is None
    assert error.__context__ is None
    assert len(str(error)) < 400


@pytest.mark.parametrize("status", [201, 204, 302])
async def test_only_status_200_is_accepted(harness: ContextHarness, sts: Sts, status: int) -> None:
    sts.handler = always(status, credentials_xml("AssumeRole") if status != 204 else "")
    with pytest.raises(CredentialsUnavailable, match=f"returned HTTP {status}"):
        await AssumeRole(ROLE).fetch(harness.context)


@pytest.mark.parametrize(
    "body", [error_xml("", "m"), error_xml("a b", "m"), error_xml("x" * 65, "m"), "<ErrorResponse/>"]
)
async def test_an_error_without_a_code_is_unusable(harness: ContextHarness, sts: Sts, body: str) -> None:
    sts.handler = always(400, body)
    with pytest.raises(CredentialsUnavailable, match="returned HTTP 400 with an unusable body: it has no error code"):
        await AssumeRole(ROLE).fetch(harness.context)


async def test_an_invalid_request_id_is_ignored(harness: ContextHarness, sts: Sts) -> None:
    sts.handler = always(403, error_xml("AccessDenied", "m").replace("request-1", "a b"))
    with pytest.raises(AccessDenied) as caught:
        await AssumeRole(ROLE).fetch(harness.context)
    assert caught.value.request_id is None


async def test_an_expiration_without_a_zone_is_utc(harness: ContextHarness, sts: Sts) -> None:
    sts.handler = always(200, credentials_xml("AssumeRole", expiration="2030-01-02T03:04:05.250"))
    fetched = await AssumeRole(ROLE).fetch(harness.context)
    assert fetched.expires_at == datetime(2030, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)


async def test_an_unreachable_service_is_unavailable_and_a_closed_client_stays_client_closed(
    harness: ContextHarness, sts: Sts
) -> None:
    harness.environ["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:1"
    with pytest.raises(CredentialsUnavailable, match=r"127\.0\.0\.1:1 could not be reached: no answer"):
        await AssumeRole(ROLE).fetch(harness.context)
    harness.failure = ClientClosed("closed")
    with pytest.raises(ClientClosed):
        await AssumeRole(ROLE).fetch(harness.context)


EXCHANGE = Exchange(source="s", operation="AssumeRole", url="https://h/", region="r", body=b"", secrets=())
PIECES = st.sampled_from(
    [*"<>/&;!?'\" =a\n", "<a>", "</a>", "<!--", "-->", "<![CDATA[", "]]>", "<?xml ", "<!DOCTYPE a", "&#0;"]
)


@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=40).map(lambda parts: "".join(parts).encode())))
def test_any_bytes_are_xml_or_invalid_xml(body: bytes) -> None:
    try:
        texts = parse_xml(body, 1000)
    except InvalidXml as error:
        assert error.__context__ is None  # noqa: PT017 - both outcomes are checked
    else:
        assert texts
        assert all(isinstance(text, str) for text in texts.values())


@given(st.integers(0, len(credentials_xml("AssumeRole")) - 1), st.binary(max_size=3), st.sampled_from([200, 400, 500]))
def test_a_response_with_changed_bytes_is_parsed_or_one_of_our_errors(
    position: int, bytes_: bytes, status: int
) -> None:
    body = credentials_xml("AssumeRole").encode()
    response = HttpAnswer(status, {}, body[:position] + bytes_ + body[position + len(bytes_) :])
    try:
        parsed = EXCHANGE.parse(response)
    except (CredentialsUnavailable, ServiceError):
        return
    assert isinstance(parsed, Credentials)


def test_texts_are_keyed_by_path_and_the_first_counts() -> None:
    body = b'<a xmlns="x:y" xmlns:z="z"><b>1<!-- x -->&lt;<![CDATA[2]]></b><z:b>other</z:b><c/></a>'
    assert parse_xml(body, 1000) == {"a/b": "1<2", "a/c": "", "a": ""}


# ------------------------------------------------------------------------------------------------------------- secrets

SECRETS = (BASE.secret_access_key, BASE.session_token or "", EXTERNAL, JWT, SECRET, TOKEN, "secret-statement")


def test_a_source_shows_its_role_and_no_secret() -> None:
    policy = {"Statement": ["secret-statement"]}
    roles = [
        AssumeRole(ROLE, "me", external_id=EXTERNAL, policy=policy, source=BASE),
        AssumeRoleWithWebIdentity(ROLE, None, "me", token=JWT, policy=policy),
    ]
    for role in roles:
        for shown in (repr(role), str(role), role.name, f"{[role]}"):
            assert ROLE in shown
            assert not [secret for secret in SECRETS if secret in shown]
        assert repr(role).endswith("session_name='me')")
        assert repr(copy.copy(role)) == repr(role) == repr(pickle.loads(pickle.dumps(role)))  # noqa: S301 - our own pickle


ROLES = {
    "keys": (AssumeRole(ROLE, external_id=EXTERNAL), (BASE.secret_access_key, BASE.session_token or "", EXTERNAL)),
    "token": (AssumeRoleWithWebIdentity(ROLE, token=f"{JWT}+/="), (f"{JWT}+/=",)),
}
REPEATING = {
    "code": lambda repeated: error_xml("".join(filter(str.isalnum, repeated))[:64], "m"),
    "message": lambda repeated: error_xml("SignatureDoesNotMatch", f"The Canonical String should have been {repeated}"),
    "page": lambda repeated: f"<html>{repeated}</html>",
    "text": lambda repeated: f"{repeated} {SECRET} {TOKEN}",
    "keys": lambda repeated: credentials_xml("AssumeRole", key=f"{repeated}ü"),
}


@pytest.mark.parametrize("kind", ROLES)
@pytest.mark.parametrize("body", REPEATING)
@pytest.mark.parametrize("status", [200, 302, 403, 500])
async def test_no_secret_is_shown_for_any_response(
    harness: ContextHarness, sts: Sts, caplog: pytest.LogCaptureFixture, kind: str, body: str, status: int
) -> None:
    """A response may repeat the request's secrets, and contains its own."""
    role, secrets = ROLES[kind]
    repeated = " ".join([*secrets, *(quote(secret, safe="") for secret in secrets), *(map(quote_plus, secrets))])
    sts.handler = always(status, REPEATING[body](repeated))
    caplog.set_level(logging.DEBUG)
    with pytest.raises((CredentialsUnavailable, ServiceError)) as caught:
        await role.fetch(harness.context)  # type: ignore[attr-defined]
    shown = render_error(caught.value) + caplog.text
    for secret in (*secrets, SECRET, TOKEN):
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            assert form not in shown


async def test_no_secret_is_shown_without_a_response(
    harness: ContextHarness, sts: Sts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    harness.environ["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:1"
    for role, secrets in ROLES.values():
        with pytest.raises(CredentialsUnavailable) as caught:
            await role.fetch(harness.context)  # type: ignore[attr-defined]
        shown = render_error(caught.value) + caplog.text
        assert not [secret for secret in secrets if secret in shown]


def test_a_request_and_a_response_show_no_body() -> None:
    response = HttpAnswer(200, {}, SECRET.encode())
    request = Exchange(source="s", operation="o", url="https://h/", region="r", body=SECRET.encode(), secrets=(SECRET,))
    assert SECRET not in repr(response) + repr(request) + str(request)
