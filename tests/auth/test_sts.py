"""Roles by STS over real sockets: what is sent, what is refused, whatever XML comes back, and no secret in sight."""

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
from bedrock_stream.auth.sts.xml_answer import InvalidXml, read_xml
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
from tests.support.auth_doubles import ENDS, KEY, SECRET, TOKEN, Sts, keys_xml, refusal_xml, says
from tests.support.refusals import refused
from tests.support.source_context import BASE, World, a_world, traces

ROLE = "arn:aws:iam::123456789012:role/path/reader"
GIVEN = Credentials(KEY, SECRET, TOKEN, ENDS)
JWT = "web-identity-token"
EXTERNAL = "external-id/of:ours"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as made:
        yield made


@pytest.fixture
async def sts(world: World) -> AsyncIterator[Sts]:
    async with Sts(keys=BASE).running() as double:
        world.environ["AWS_ENDPOINT_URL_STS"] = double.url
        yield double


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{JWT}\n")
    return path


def rewrite(path: Path, content: bytes | None) -> None:
    """Another content, or none at all."""
    path.unlink()
    if content is not None:
        path.write_bytes(content)


# ------------------------------------------------------------------------------------------------------------ asking it


async def test_a_role_is_taken_on_with_keys_of_the_environment(world: World, sts: Sts) -> None:
    assert await AssumeRole(ROLE).fetch(world.context) == GIVEN
    (asked,) = sts.requests
    assert asked.form == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "bedrock-stream",
        "DurationSeconds": "3600",
    }
    assert asked.headers["X-Amz-Security-Token"] == BASE.session_token
    assert "/us-east-1/sts/aws4_request" in asked.headers["Authorization"]
    assert world.asked == [("POST", f"{sts.url}/", False)]


@pytest.mark.parametrize(
    "policy", [{"Version": "2012-10-17", "Statement": []}, '{ "Version": "2012-10-17",\n"Statement": []}']
)
async def test_every_argument_reaches_the_service(world: World, sts: Sts, policy: Any) -> None:
    sts.region = "eu-west-1"
    role = AssumeRole(
        ROLE, "me@work", external_id=EXTERNAL, policy=policy, duration=900, source=BASE, region="eu-west-1"
    )
    assert await role.fetch(world.context) == GIVEN
    form = sts.requests[0].form
    assert form["Policy"] == '{"Version":"2012-10-17","Statement":[]}'
    assert (form["ExternalId"], form["RoleSessionName"], form["DurationSeconds"]) == (EXTERNAL, "me@work", "900")


async def test_a_source_is_asked_at_each_fetch_whatever_kind_it_is(world: World, sts: Sts) -> None:
    threads: list[threading.Thread] = []

    def plain() -> Credentials:
        threads.append(threading.current_thread())
        return BASE

    async def asynchronous() -> Credentials:
        threads.append(threading.current_thread())
        return BASE

    class OfOurs:
        name = "ours"

        async def fetch(self, context: SourceContext) -> Credentials:
            assert context.region == "us-east-1"
            threads.append(threading.current_thread())
            return BASE

    world.keys = Credentials("UNKNOWN", "unknown")  # nothing falls through to the environment
    here = threading.current_thread()
    for source, elsewhere in (
        (plain, True),
        (functools.partial(plain), True),
        (asynchronous, False),
        (OfOurs(), False),
    ):
        role = AssumeRole(ROLE, source=source)
        assert await role.fetch(world.context) == await role.fetch(world.context) == GIVEN
        assert [thread is not here for thread in threads] == [elsewhere] * 2
        threads.clear()


async def test_roles_can_be_chained(world: World, sts: Sts) -> None:
    first = AssumeRole(ROLE, "first")
    second = AssumeRole(f"{ROLE}2", "second", source=first)
    assert isinstance(first, Source)
    requests = iter([BASE, GIVEN])

    def answer(asked: Any) -> Any:
        sts.keys = next(requests)
        return sts.answer(asked)

    sts.says = answer
    assert await second.fetch(world.context) == GIVEN
    assert [asked.form["RoleSessionName"] for asked in sts.requests] == ["first", "second"]


async def test_a_source_that_hangs_holds_up_no_cancelled_fetch(world: World, sts: Sts) -> None:
    asked, let = threading.Event(), threading.Event()

    def hanging() -> Credentials:
        asked.set()
        assert let.wait(30)
        return BASE

    fetching = asyncio.create_task(AssumeRole(ROLE, source=hanging).fetch(world.context))
    while not asked.is_set():
        await asyncio.sleep(0)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    let.set()
    assert not sts.requests


async def test_a_source_that_gives_no_keys_is_named(world: World, sts: Sts) -> None:
    with refused("source", "it gave a tuple", "return Credentials"):
        await AssumeRole(ROLE, source=lambda: ("key", "secret")).fetch(world.context)  # type: ignore[arg-type]
    assert not sts.requests


async def test_a_web_identity_is_exchanged_without_keys_and_its_file_is_read_anew(
    world: World, sts: Sts, token_file: Path
) -> None:
    role = AssumeRoleWithWebIdentity(ROLE, token_file, "pod", policy={"Statement": []}, duration=7200)
    assert isinstance(role, Source)
    assert await role.fetch(world.context) == GIVEN
    (asked,) = sts.requests
    assert asked.form == {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "pod",
        "DurationSeconds": "7200",
        "Policy": '{"Statement":[]}',
        "WebIdentityToken": JWT,
    }
    assert not {name for name in asked.headers if name.lower().startswith(("x-amz", "authorization"))}
    rewrite(token_file, b"rotated+token/=")
    sts.tokens = ("rotated+token/=",)
    assert await role.fetch(world.context) == GIVEN


async def test_a_web_identity_token_may_come_from_anywhere(world: World, sts: Sts) -> None:
    async def later() -> str:
        return JWT

    for token in (JWT, f" {JWT}\n", lambda: JWT, later):
        assert await AssumeRoleWithWebIdentity(ROLE, token=token).fetch(world.context) == GIVEN
    assert len(sts.requests) == 4


# ---------------------------------------------------------------------------------------------------------- where it is


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
async def test_the_address_has_an_order(
    world: World, environ: dict[str, str], settings: dict[str, str], options: dict[str, Any], url: str
) -> None:
    world.environ, world.settings = environ, settings
    world.failure = ConnectionFailed("no network here")
    with pytest.raises(CredentialsUnavailable, match="could not be asked: no network here") as caught:
        await AssumeRole(ROLE, **options).fetch(world.context)
    assert caught.value.retryable
    assert [asked for _, asked, _ in world.asked] == [url]


async def test_plain_http_off_this_machine_is_refused(world: World) -> None:
    world.environ["AWS_ENDPOINT_URL_STS"] = "http://sts.example"
    with refused("AWS_ENDPOINT_URL_STS", "would send credentials unencrypted", "use https"):
        await AssumeRole(ROLE).fetch(world.context)
    with refused("endpoint_url", "would send credentials unencrypted", "use https"):
        AssumeRole(ROLE, endpoint_url="http://sts.example")


# -------------------------------------------------------------------------------------------------------- the arguments

NO_ARNS = ["", "reader", "arn:aws:iam::12345678901:role/r", "arn:aws:iam::123456789012:user/r", f"{ROLE}\n", 5, None]


@pytest.mark.parametrize("role_arn", [*NO_ARNS, "arn:aws:iam::123456789012:role/", "arn:aws:iam::١٢٣٤٥٦٧٨٩٠١٢:role/r"])
def test_what_is_no_role_is_refused(role_arn: Any) -> None:
    for make in (AssumeRole, functools.partial(AssumeRoleWithWebIdentity, token="t")):
        with refused("role_arn", repr(role_arn), "use arn:aws:iam::ACCOUNT:role/NAME"):
            make(role_arn)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-iso-b", "aws-eusc"])
def test_every_partition_has_roles(partition: str) -> None:
    assert AssumeRole(f"arn:{partition}:iam::123456789012:role/r").role_arn.split(":")[1] == partition


@pytest.mark.parametrize(
    ("argument", "value", "shown", "remedy"),
    [
        ("session_name", "x", "'x'", "use 2 to 64"),
        ("session_name", "x" * 65, "xxx", "use 2 to 64"),
        ("session_name", "a b", "'a b'", "use 2 to 64"),
        ("session_name", "süß", "'süß'", "use 2 to 64"),
        ("session_name", None, "None", "use 2 to 64"),
        ("external_id", "x", "it cannot be one", "use 2 to 1224"),
        ("external_id", "x" * 1225, "it cannot be one", "use 2 to 1224"),
        ("external_id", "a\nb", "it cannot be one", "use 2 to 1224"),
        ("external_id", 5, "it cannot be one", "use 2 to 1224"),
        ("duration", 899, "899", "give 900 to 43200 seconds"),
        ("duration", 43201, "43201", "give 900 to 43200 seconds"),
        ("duration", True, "True", "give 900 to 43200 seconds"),
        ("duration", 900.0, "900.0", "give 900 to 43200 seconds"),
        ("policy", "", "it is not a JSON object", "give a policy"),
        ("policy", "[]", "it is not a JSON object", "give a policy"),
        ("policy", "{", "it is not a JSON object", "give a policy"),
        ("policy", {}, "it is not a JSON object", "give a policy"),
        ("policy", {"a": {1, 2}}, "it is not a JSON object", "give a policy"),
        ("policy", 5, "it is not a JSON object", "give a policy"),
        ("source", "profile", "a str gives no keys", "give Credentials"),
        ("region", "a.b", "expected a region, got 'a.b'", "use a name like"),
        ("endpoint_url", "sts", "'sts' is no endpoint", "use https"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_at_once(argument: str, value: Any, shown: str, remedy: str) -> None:
    with refused(argument, shown, remedy):
        AssumeRole(ROLE, **{argument: value})


@pytest.mark.parametrize(
    ("options", "argument", "shown", "remedy"),
    [
        ({}, "token_file", "neither of them is given", "give one of them"),
        ({"token_file": "f", "token": "t"}, "token_file", "both of them are given", "give one of them"),
        ({"token_file": ""}, "token_file", "'' is no path", "give a path"),
        ({"token_file": 5}, "token_file", "5 is no path", "give a path"),
        ({"token": " "}, "token", "it is neither text nor a callable", "give a token"),
        ({"token": b"t"}, "token", "it is neither text nor a callable", "give a token"),
        ({"token": "t", "duration": 1}, "duration", "1 is no duration", "give 900"),
    ],
)
def test_a_web_identity_needs_one_token(options: dict[str, Any], argument: str, shown: str, remedy: str) -> None:
    with refused(argument, shown, remedy):
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
async def test_a_file_that_holds_no_token_says_so(
    world: World, sts: Sts, token_file: Path, content: bytes | None, reason: str
) -> None:
    rewrite(token_file, content)
    with pytest.raises(CredentialsUnavailable, match=reason) as caught:
        await AssumeRoleWithWebIdentity(ROLE, token_file).fetch(world.context)
    assert caught.value.source == f"AssumeRoleWithWebIdentity of {ROLE}"
    assert not sts.requests


async def test_a_callable_must_give_a_token(world: World) -> None:
    with refused("token", "the callable gave a bytes", "return a str"):
        await AssumeRoleWithWebIdentity(ROLE, token=lambda: b"t").fetch(world.context)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ what it refuses


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
async def test_a_refusal_is_typed_and_says_whose_it_is(
    world: World, sts: Sts, code: str, status: int, cls: type[ServiceError], retryable: bool
) -> None:
    sts.says = says(status, refusal_xml(code, "Said & done"))
    with pytest.raises(ServiceError) as caught:
        await AssumeRole(ROLE).fetch(world.context)
    error = caught.value
    assert (type(error), error.code, error.status, error.retryable) == (cls, code, status, retryable)
    assert error.message == "sts AssumeRole: Said & done"
    assert error.request_id == "request-1"
    assert len(sts.requests) == 1


async def test_a_wrong_secret_and_an_unknown_key_are_told_apart(world: World, sts: Sts) -> None:
    with pytest.raises(InvalidSignature, match="sts AssumeRole: The request signature we calculated") as caught:
        await AssumeRole(ROLE, source=Credentials(BASE.access_key_id, "wrong", BASE.session_token)).fetch(world.context)
    assert type(caught.value) is InvalidSignature
    with pytest.raises(AccessDenied, match="sts AssumeRole: The security token included in the request is invalid"):
        await AssumeRole(ROLE, source=Credentials("UNKNOWN", "x")).fetch(world.context)
    with pytest.raises(ValidationFailed, match="sts AssumeRoleWithWebIdentity: The ID Token provided"):
        await AssumeRoleWithWebIdentity(ROLE, token="other").fetch(world.context)


@pytest.mark.parametrize("hours", [-9, 9])
async def test_a_clock_that_is_wrong_is_learnt_and_the_request_signed_anew(world: World, sts: Sts, hours: int) -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    sts.clock = lambda: noon
    world.clock = noon + timedelta(hours=hours)
    assert await AssumeRole(ROLE).fetch(world.context) == GIVEN
    host = sts.url.removeprefix("http://")
    ((learnt, date, message),) = world.refusals
    assert (learnt, date) == (host, "Wed, 01 Jul 2026 12:00:00 GMT")
    assert message.startswith(("Signature expired: ", "Signature not yet current: "))
    assert [asked.headers["X-Amz-Date"][:9] for asked in sts.requests][1:] == ["20260701T"]


@pytest.mark.parametrize("learns", [True, False])
async def test_a_clock_that_stays_wrong_is_reported(world: World, sts: Sts, learns: bool) -> None:
    world.learns = learns
    sts.says = says(
        403, refusal_xml("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2 (3 - 5 min.)")
    )
    with pytest.raises(SignatureExpired, match="sts AssumeRole: Signature expired"):
        await AssumeRole(ROLE).fetch(world.context)
    assert len(sts.requests) == (2 if learns else 1)


async def test_other_refusals_are_not_asked_again(world: World, sts: Sts) -> None:
    sts.says = says(403, refusal_xml("SignatureDoesNotMatch", "The request signature we calculated does not match"))
    with pytest.raises(InvalidSignature):
        await AssumeRole(ROLE).fetch(world.context)
    assert (len(sts.requests), world.refusals) == (1, [])


# --------------------------------------------------------------------------------------------- what cannot be an answer

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
    "truncated": keys_xml("AssumeRole")[:-30],
    "empty": "",
    "text": "upstream connect error",
    "page": "<html><br></html>",
    "json": '{"Credentials": {}}',
    "binary": b"\x00\xff\x80",
    "not utf-8": b"<?xml version='1.0' encoding='latin-1'?><a>\xff</a>",
    "unknown encoding": b"<?xml version='1.0' encoding='x'?><a>\xff</a>",
    "other": "<a/>",
    "other operation": keys_xml("AssumeRoleWithSAML"),
    "no key": keys_xml("AssumeRole", key=""),
    "no secret": keys_xml("AssumeRole", secret=" "),
    "no token": keys_xml("AssumeRole", token=""),
    "odd key": keys_xml("AssumeRole", key="ключ"),
    "no end": keys_xml("AssumeRole", ends=" "),
    "odd end": keys_xml("AssumeRole", ends="tomorrow"),
}


@pytest.mark.parametrize("status", [200, 403, 503])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_what_is_no_answer_of_sts_gives_no_keys(world: World, sts: Sts, body: str | bytes, status: int) -> None:
    sts.says = says(status, body)
    with pytest.raises(CredentialsUnavailable) as caught:
        await AssumeRole(ROLE).fetch(world.context)
    error = caught.value
    assert error.source == f"AssumeRole of {ROLE}"
    assert error.__cause__ is None
    assert error.__context__ is None
    assert len(str(error)) < 400


@pytest.mark.parametrize("status", [201, 204, 302])
async def test_only_200_gives_keys(world: World, sts: Sts, status: int) -> None:
    sts.says = says(status, keys_xml("AssumeRole") if status != 204 else "")
    with pytest.raises(CredentialsUnavailable, match=f"answered HTTP {status}"):
        await AssumeRole(ROLE).fetch(world.context)


@pytest.mark.parametrize(
    "body", [refusal_xml("", "m"), refusal_xml("a b", "m"), refusal_xml("x" * 65, "m"), "<ErrorResponse/>"]
)
async def test_an_error_without_a_name_is_none(world: World, sts: Sts, body: str) -> None:
    sts.says = says(400, body)
    with pytest.raises(CredentialsUnavailable, match="answered HTTP 400, unusable: it names no error"):
        await AssumeRole(ROLE).fetch(world.context)


async def test_a_request_id_that_is_none_is_left_out(world: World, sts: Sts) -> None:
    sts.says = says(403, refusal_xml("AccessDenied", "m").replace("request-1", "a b"))
    with pytest.raises(AccessDenied) as caught:
        await AssumeRole(ROLE).fetch(world.context)
    assert caught.value.request_id is None


async def test_a_moment_without_a_zone_is_utc(world: World, sts: Sts) -> None:
    sts.says = says(200, keys_xml("AssumeRole", ends="2030-01-02T03:04:05.250"))
    found = await AssumeRole(ROLE).fetch(world.context)
    assert found.expires_at == datetime(2030, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)


async def test_a_service_that_is_not_there_is_unavailable_and_a_closed_client_is_closed(world: World, sts: Sts) -> None:
    world.environ["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:1"
    with pytest.raises(CredentialsUnavailable, match=r"127\.0\.0\.1:1 could not be asked: no answer"):
        await AssumeRole(ROLE).fetch(world.context)
    world.failure = ClientClosed("closed")
    with pytest.raises(ClientClosed):
        await AssumeRole(ROLE).fetch(world.context)


EXCHANGE = Exchange(source="s", operation="AssumeRole", url="https://h/", region="r", body=b"", secrets=())
PIECES = st.sampled_from(
    [*"<>/&;!?'\" =a\n", "<a>", "</a>", "<!--", "-->", "<![CDATA[", "]]>", "<?xml ", "<!DOCTYPE a", "&#0;"]
)


@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=40).map(lambda parts: "".join(parts).encode())))
def test_any_bytes_are_xml_or_invalid_xml(body: bytes) -> None:
    try:
        texts = read_xml(body, 1000)
    except InvalidXml as error:
        assert error.__context__ is None  # noqa: PT017 - both ways out are looked at
    else:
        assert texts
        assert all(isinstance(text, str) for text in texts.values())


@given(st.integers(0, len(keys_xml("AssumeRole")) - 1), st.binary(max_size=3), st.sampled_from([200, 400, 500]))
def test_an_answer_with_other_bytes_in_it_gives_keys_or_one_of_our_errors(
    place: int, bytes_: bytes, status: int
) -> None:
    whole = keys_xml("AssumeRole").encode()
    answer = HttpAnswer(status, {}, whole[:place] + bytes_ + whole[place + len(bytes_) :])
    try:
        found = EXCHANGE.read(answer)
    except (CredentialsUnavailable, ServiceError):
        return
    assert isinstance(found, Credentials)


def test_texts_are_found_by_their_names_and_the_first_counts() -> None:
    body = b'<a xmlns="x:y" xmlns:z="z"><b>1<!-- x -->&lt;<![CDATA[2]]></b><z:b>other</z:b><c/></a>'
    assert read_xml(body, 1000) == {"a/b": "1<2", "a/c": "", "a": ""}


# ----------------------------------------------------------------------------------------------------- nothing is shown

SECRETS = (BASE.secret_access_key, BASE.session_token or "", EXTERNAL, JWT, SECRET, TOKEN, "secret-statement")


def test_a_source_shows_the_role_and_nothing_else() -> None:
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
        assert repr(copy.copy(role)) == repr(role) == repr(pickle.loads(pickle.dumps(role)))  # noqa: S301 - ours


ROLES = {
    "keys": (AssumeRole(ROLE, external_id=EXTERNAL), (BASE.secret_access_key, BASE.session_token or "", EXTERNAL)),
    "token": (AssumeRoleWithWebIdentity(ROLE, token=f"{JWT}+/="), (f"{JWT}+/=",)),
}
ECHOES = {
    "code": lambda told: refusal_xml("".join(filter(str.isalnum, told))[:64], "m"),
    "message": lambda told: refusal_xml("SignatureDoesNotMatch", f"The Canonical String should have been {told}"),
    "page": lambda told: f"<html>{told}</html>",
    "text": lambda told: f"{told} {SECRET} {TOKEN}",
    "keys": lambda told: keys_xml("AssumeRole", key=f"{told}ü"),
}


@pytest.mark.parametrize("kind", ROLES)
@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [200, 302, 403, 500])
async def test_no_secret_shows_whatever_is_answered(
    world: World, sts: Sts, caplog: pytest.LogCaptureFixture, kind: str, echo: str, status: int
) -> None:
    """A service may repeat all that it was told, and what it gives."""
    role, secrets = ROLES[kind]
    told = " ".join([*secrets, *(quote(secret, safe="") for secret in secrets), *(map(quote_plus, secrets))])
    sts.says = says(status, ECHOES[echo](told))
    caplog.set_level(logging.DEBUG)
    with pytest.raises((CredentialsUnavailable, ServiceError)) as caught:
        await role.fetch(world.context)  # type: ignore[attr-defined]
    shown = traces(caught.value) + caplog.text
    for secret in (*secrets, SECRET, TOKEN):
        for written in (secret, quote(secret, safe=""), quote_plus(secret)):
            assert written not in shown


async def test_no_secret_shows_when_nothing_is_answered(
    world: World, sts: Sts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world.environ["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:1"
    for role, secrets in ROLES.values():
        with pytest.raises(CredentialsUnavailable) as caught:
            await role.fetch(world.context)  # type: ignore[attr-defined]
        shown = traces(caught.value) + caplog.text
        assert not [secret for secret in secrets if secret in shown]


def test_an_answer_and_a_question_show_no_body() -> None:
    answer = HttpAnswer(200, {}, SECRET.encode())
    question = Exchange(
        source="s", operation="o", url="https://h/", region="r", body=SECRET.encode(), secrets=(SECRET,)
    )
    assert SECRET not in repr(answer) + repr(question) + str(question)
