"""The services beside a container and an instance, over real sockets: what is said to whom, and what is not."""

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
from bedrock_stream.auth.sources import LARGEST_ANSWER, Source, read_document, scrub
from bedrock_stream.errors import ClientClosed, ConfigurationError, ConnectionFailed, CredentialsUnavailable
from tests.support.auth_doubles import ENDS, KEY, SECRET, TOKEN, Asked, Container, Imds, document, says
from tests.support.refusals import refused
from tests.support.source_context import World, a_world, traces

GIVEN = Credentials(KEY, SECRET, TOKEN, ENDS)
RELATIVE = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
FULL = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
PASS = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
PASS_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
MODE = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
TIMEOUT = "AWS_METADATA_SERVICE_TIMEOUT"
ATTEMPTS = "AWS_METADATA_SERVICE_NUM_ATTEMPTS"
TASK = "http://169.254.170.2"
INSTANCE = "http://169.254.169.254"
PASSWORD = "Basic c2VjcmV0LXBhc3M="


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as made:
        yield made


@pytest.fixture
async def container(world: World) -> AsyncIterator[Container]:
    async with Container().running() as double:
        world.environ[FULL] = f"{double.url}/v1/credentials"
        yield double


@pytest.fixture
async def imds(world: World) -> AsyncIterator[Imds]:
    async with Imds().running() as double:
        world.environ[ENDPOINT] = double.url
        yield double


def rewrite(path: Path, text: str) -> None:
    path.write_text(text, newline="")


def failing(count: int, double: Any, status: int) -> Any:
    """That many failures, then the service itself."""

    def answer(asked: Asked) -> Any:
        return web.Response(status=status) if len(double.requests) <= count else double.answer(asked)

    return answer


# ------------------------------------------------------------------------------------------------------- the container


async def test_a_task_is_told_a_path(world: World, container: Container) -> None:
    world.environ = {RELATIVE: "/v2/credentials/id?a=b", FULL: "https://not.asked"}
    world.elsewhere = {TASK: container.url}
    role = ContainerRole()
    assert isinstance(role, Source)
    assert await role.fetch(world.context) == GIVEN
    assert world.asked == [("GET", f"{TASK}/v2/credentials/id?a=b", True)]
    assert world.seconds == [2.0]
    assert "Authorization" not in container.requests[0].headers


async def test_a_pod_is_told_an_address_and_a_token_in_a_file_that_rotates(
    world: World, container: Container, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    world.environ |= {PASS_FILE: str(path), PASS: "not this one"}
    for token in (PASSWORD, f"{PASSWORD}2"):
        rewrite(path, token)
        container.token = token
        assert await ContainerRole().fetch(world.context) == GIVEN
    assert [asked.headers["Authorization"] for asked in container.requests] == [PASSWORD, f"{PASSWORD}2"]
    assert all(direct for _, _, direct in world.asked)


async def test_a_token_may_stand_in_a_variable(world: World, container: Container) -> None:
    container.token = world.environ[PASS] = PASSWORD
    assert await ContainerRole().fetch(world.context) == GIVEN
    container.token, world.environ[PASS] = "", " "  # blank counts as absent
    assert await ContainerRole().fetch(world.context) == GIVEN


@pytest.mark.parametrize("environ", [{}, {RELATIVE: "", FULL: " "}])
async def test_without_an_address_there_is_no_role(world: World, environ: dict[str, str]) -> None:
    world.environ = environ
    with pytest.raises(CredentialsUnavailable, match=f"the container's role: neither {RELATIVE} nor {FULL} is set"):
        await ContainerRole().fetch(world.context)
    assert not world.asked


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
async def test_these_addresses_are_asked(world: World, url: str) -> None:
    world.environ = {FULL: url}
    world.failure = ConnectionFailed("no network here")
    with pytest.raises(CredentialsUnavailable, match="no network here"):
        await ContainerRole().fetch(world.context)
    assert world.asked == [("GET", url, True)] * 3


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "10.0.0.1",
        "192.168.1.1",
        "0.0.0.0",  # noqa: S104 - nobody listens there
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
async def test_plain_http_to_elsewhere_is_refused(world: World, host: str) -> None:
    world.environ = {FULL: f"http://{host}/x", PASS: PASSWORD}
    with refused(FULL, "is neither this machine nor link-local", "use https, or an address of this machine") as caught:
        await ContainerRole().fetch(world.context)
    assert not world.asked
    assert PASSWORD not in traces(caught.value)


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
async def test_what_is_no_address_is_refused_and_not_shown(world: World, url: str) -> None:
    world.environ = {FULL: url}
    with refused(FULL, "it is no address", "use http[s]://HOST[:PORT][/PATH]") as caught:
        await ContainerRole().fetch(world.context)
    assert not world.asked
    assert "hunter2" not in traces(caught.value)


@pytest.mark.parametrize(
    "path", ["x", "@evil.example/", ".evil.example", ":80/", "/a b", "/a\r\nb", "/é", "\\x", "/a#b"]
)
async def test_what_is_no_path_is_refused(world: World, path: str) -> None:
    world.environ = {RELATIVE: path}
    with refused(RELATIVE, f"{path!r} is no path", "use /PATH"):
        await ContainerRole().fetch(world.context)
    assert not world.asked


@pytest.mark.parametrize(
    "token", [f"{PASSWORD}\n", f"{PASSWORD}\r\nX: y", f"\r{PASSWORD}", f"{PASSWORD}é", f"{PASSWORD}\0"]
)
@pytest.mark.parametrize("place", [PASS, PASS_FILE])
async def test_a_token_that_no_header_holds_is_refused_and_not_shown(
    world: World, container: Container, tmp_path: Path, token: str, place: str
) -> None:
    path = tmp_path / "token"
    rewrite(path, token)
    world.environ[place] = token if place == PASS else str(path)
    with refused(place, "it holds a line break, or something else", "write the token alone") as caught:
        await ContainerRole().fetch(world.context)
    assert not container.requests
    assert PASSWORD not in traces(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read: No such file"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff", "is not text")],
)
async def test_a_token_file_that_holds_none_says_so(
    world: World, container: Container, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        rewrite_bytes(path, content)
    world.environ |= {PASS_FILE: str(path), PASS: PASSWORD}
    with pytest.raises(CredentialsUnavailable, match=reason):
        await ContainerRole().fetch(world.context)
    assert not container.requests


def rewrite_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.mark.parametrize(("failures", "asked"), [(0, 1), (2, 3)])
async def test_a_failing_service_is_asked_again(world: World, container: Container, failures: int, asked: int) -> None:
    container.says = failing(failures, container, 503)
    assert await ContainerRole().fetch(world.context) == GIVEN
    assert len(container.requests) == asked


@pytest.mark.parametrize(("status", "asked"), [(500, 3), (503, 3), (400, 1), (401, 1), (404, 1), (302, 1)])
async def test_a_service_that_says_no_is_unavailable(
    world: World, container: Container, status: int, asked: int
) -> None:
    world.environ[PASS] = PASSWORD
    container.says = says(status, json.dumps({"code": "X", "message": PASSWORD}))
    with pytest.raises(
        CredentialsUnavailable, match=f"the container's role: its service answered HTTP {status}$"
    ) as caught:
        await ContainerRole().fetch(world.context)
    assert len(container.requests) == asked
    assert PASSWORD not in traces(caught.value)


async def test_a_service_that_is_not_there_is_asked_three_times(world: World) -> None:
    world.environ = {FULL: "http://127.0.0.1:1/x"}
    with pytest.raises(CredentialsUnavailable, match=r"its service at 127\.0\.0\.1:1 could not be asked: no answer"):
        await ContainerRole().fetch(world.context)
    assert len(world.asked) == 3
    world.failure = ClientClosed("closed")
    with pytest.raises(ClientClosed):
        await ContainerRole().fetch(world.context)


# -------------------------------------------------------------------------------------------------------- the instance


async def test_an_instance_gives_keys_for_a_token(world: World, imds: Imds) -> None:
    role = InstanceRole()
    assert isinstance(role, Source)
    assert await role.fetch(world.context) == GIVEN
    place = f"{imds.url}/latest/meta-data/iam/security-credentials/"
    assert world.asked == [
        ("PUT", f"{imds.url}/latest/api/token", True),
        ("GET", place, True),
        ("GET", f"{place}the-role", True),
    ]
    assert world.seconds == [1.0] * 3


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
async def test_the_address_of_an_instance_has_an_order(
    world: World, environ: dict[str, str], settings: dict[str, str], origin: str
) -> None:
    world.environ, world.settings = environ, settings
    async with Imds().running() as double:
        world.elsewhere = {origin: double.url}
        assert await InstanceRole().fetch(world.context) == GIVEN
    assert {url.partition("/latest")[0] for _, url, _ in world.asked} == {origin}


@pytest.mark.parametrize("value", ["true", "True", " TRUE "])
async def test_an_instance_that_is_switched_off_is_not_asked(world: World, imds: Imds, value: str) -> None:
    world.environ["AWS_EC2_METADATA_DISABLED"] = value
    with pytest.raises(CredentialsUnavailable, match="AWS_EC2_METADATA_DISABLED switches it off"):
        await InstanceRole().fetch(world.context)
    assert not world.asked
    world.environ["AWS_EC2_METADATA_DISABLED"] = "false"
    assert await InstanceRole().fetch(world.context) == GIVEN


@pytest.mark.parametrize(
    ("variable", "value", "shown", "remedy"),
    [
        (MODE, "IPv5", "'IPv5' is no mode", "use IPv4 or IPv6"),
        (ENDPOINT, "127.0.0.1", "it is no address", "use http[s]"),
        (ENDPOINT, "http://a:hunter2@127.0.0.1", "it is no address", "use http[s]"),
        (ENDPOINT, "http://127.0.0.1?x", "it is no address", "use http[s]"),
        (TIMEOUT, "soon", "'soon' is no time limit", "give seconds"),
        (TIMEOUT, "0", "'0' is no time limit", "give seconds"),
        (TIMEOUT, "nan", "'nan' is no time limit", "give seconds"),
        (TIMEOUT, "inf", "'inf' is no time limit", "give seconds"),
        (ATTEMPTS, "0", "'0' is no number of attempts", "give 1 to 10"),
        (ATTEMPTS, "1.5", "'1.5' is no number of attempts", "give 1 to 10"),
        (ATTEMPTS, "1000", "'1000' is no number of attempts", "give 1 to 10"),
    ],
)
async def test_a_variable_that_cannot_be_used_is_named(
    world: World, variable: str, value: str, shown: str, remedy: str
) -> None:
    world.environ = {variable: value}
    with refused(variable, shown, remedy):
        await InstanceRole().fetch(world.context)
    assert not world.asked


async def test_a_setting_that_cannot_be_used_is_named(world: World) -> None:
    world.settings = {"metadata_service_timeout": "soon"}
    with refused("metadata_service_timeout of the profile", "'soon' is no time limit", "give seconds"):
        await InstanceRole().fetch(world.context)


async def test_limits_can_be_set(world: World, imds: Imds) -> None:
    world.environ |= {TIMEOUT: "3", ATTEMPTS: "2"}
    imds.says = failing(1, imds, 500)
    assert await InstanceRole().fetch(world.context) == GIVEN
    assert world.seconds == [3.0] * 4


async def test_a_slow_instance_is_given_up_after_one_attempt(world: World, imds: Imds) -> None:
    never = asyncio.Event()

    async def slow(_: Asked) -> web.Response:
        await never.wait()
        return web.Response()

    imds.says = slow
    world.patience = 0.05
    with pytest.raises(CredentialsUnavailable, match="could not be asked: no answer"):
        await InstanceRole().fetch(world.context)
    assert len(imds.requests) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 500])
async def test_without_a_token_nothing_else_is_asked(world: World, imds: Imds, status: int) -> None:
    imds.says = says(status, "x")
    with pytest.raises(CredentialsUnavailable, match=f"its service gave no token, but HTTP {status}"):
        await InstanceRole().fetch(world.context)
    assert [asked.method for asked in imds.requests] == ["PUT"]


@pytest.mark.parametrize("token", ["", "a\nb", "a\r\nX-Evil: 1", "é", "x" * 20_000])
async def test_a_token_that_is_none_goes_nowhere(world: World, imds: Imds, token: str) -> None:
    imds.session = token
    with pytest.raises(CredentialsUnavailable, match="its service gave something that is no token"):
        await InstanceRole().fetch(world.context)
    assert [asked.method for asked in imds.requests] == ["PUT"]


async def test_an_instance_without_a_role_says_so(world: World, imds: Imds) -> None:
    imds.role = ""
    with pytest.raises(CredentialsUnavailable, match="the instance's role: the instance has none"):
        await InstanceRole().fetch(world.context)


@pytest.mark.parametrize(
    "role", ["../../x", "a/b", "a b", "a?b", "a#b", "..", ".", "é", "x" * 65, "<html>", " ", "a\nb"]
)
async def test_a_role_name_that_is_none_goes_into_no_path(world: World, imds: Imds, role: str) -> None:
    imds.role = role
    with pytest.raises(CredentialsUnavailable, match="its service names no role"):
        await InstanceRole().fetch(world.context)
    assert len(imds.requests) == 2


@pytest.mark.parametrize("role", ["a", "A-b_c+d=e,f.g@h", "x" * 64, "role\n"])
async def test_every_name_that_a_role_can_have_is_asked_for(world: World, imds: Imds, role: str) -> None:
    imds.role = role.strip()
    assert await InstanceRole().fetch(world.context) == GIVEN


async def test_a_token_that_is_refused_is_an_error(world: World, imds: Imds) -> None:
    imds.says = lambda asked: imds.answer(asked) if asked.method == "PUT" else web.Response(status=401)
    with pytest.raises(CredentialsUnavailable, match="its service answered HTTP 401"):
        await InstanceRole().fetch(world.context)


# -------------------------------------------------------------------------------------------------------- the document

DOCUMENTS: dict[str, tuple[Any, str]] = {
    "empty": ("", "not the JSON document"),
    "page": ("<html></html>", "not the JSON document"),
    "list": ("[]", "not the JSON document"),
    "half": (json.dumps(document())[:-9], "not the JSON document"),
    "deep": ("[" * 60_000, "not the JSON document"),
    "large": (json.dumps(document(x="x" * LARGEST_ANSWER)), "not the JSON document"),
    "other types": (json.dumps(document(AccessKeyId=5)), "not the JSON document"),
    "odd end": (json.dumps(document(Expiration="tomorrow")), "not the JSON document"),
    "nothing": ("{}", "holds no keys"),
    "no key": (json.dumps(document(AccessKeyId=...)), "holds no keys"),
    "no secret": (json.dumps(document(SecretAccessKey="")), "holds no keys"),
    "null": (json.dumps(document(SecretAccessKey=None)), "holds no keys"),
    "blank": (json.dumps(document(SecretAccessKey=" ")), "holds no keys: secret_access_key: it is blank"),
    "odd token": (json.dumps(document(Token=f"{TOKEN}\n")), "holds no keys: session_token: it holds characters"),
    "refusal": (json.dumps({"Code": "Failed", "Message": "why"}), "it answered Failed: why"),
    "refusal with keys": (json.dumps(document(Code="Failed", Message=f"{SECRET} {TOKEN}")), "Failed: ... ..."),
}


@pytest.mark.parametrize(("text", "reason"), DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_document_without_keys_gives_none_and_shows_nothing(
    world: World, container: Container, imds: Imds, caplog: pytest.LogCaptureFixture, text: str, reason: str
) -> None:
    caplog.set_level(logging.DEBUG)
    container.says = says(200, text)
    imds.says = lambda asked: web.Response(text=text) if asked.path.endswith("/the-role") else imds.answer(asked)
    for role in (ContainerRole(), InstanceRole()):
        with pytest.raises(CredentialsUnavailable) as caught:
            await role.fetch(world.context)
        assert reason in caught.value.reason
        shown = traces(caught.value) + caplog.text + repr(role)
        assert not [secret for secret in (SECRET, TOKEN, imds.session) if secret in shown]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Token": ...}, Credentials(KEY, SECRET, None, ENDS)),
        ({"Token": None, "Expiration": None}, Credentials(KEY, SECRET)),
        ({"Expiration": "2030-01-02T03:04:05"}, GIVEN),
        ({"Expiration": "2030-01-02T04:04:05+01:00"}, GIVEN),
        ({"Code": "Success", "AccountId": "1", "New": [1]}, GIVEN),
    ],
)
def test_a_document_may_say_less_or_more(changes: dict[str, Any], expected: Credentials) -> None:
    assert read_document("it", json.dumps(document(**changes)).encode()) == expected


async def test_what_was_sent_does_not_come_back_in_a_message(world: World, container: Container, imds: Imds) -> None:
    world.environ[PASS] = PASSWORD
    echo = json.dumps({"Code": "Failed", "Message": f"you said {PASSWORD} and {imds.session}"})
    container.says = says(200, echo)
    imds.says = lambda asked: web.Response(text=echo) if asked.path.endswith("/the-role") else imds.answer(asked)
    with pytest.raises(CredentialsUnavailable, match="it answered Failed: you said \\.\\.\\.") as by_container:
        await ContainerRole().fetch(world.context)
    with pytest.raises(CredentialsUnavailable, match="it answered Failed: you said") as by_instance:
        await InstanceRole().fetch(world.context)
    assert PASSWORD not in traces(by_container.value)
    assert imds.session not in traces(by_instance.value)


JSON: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text("aé\n 0:-TZ", max_size=10) | st.just([]) | st.just({"a": 1})
)
NAMES = ["Code", "Message", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"]


@given(
    st.one_of(
        st.binary(max_size=50), st.dictionaries(st.sampled_from(NAMES), JSON).map(lambda d: json.dumps(d).encode())
    )
)
def test_any_bytes_are_keys_or_none(body: bytes) -> None:
    try:
        assert isinstance(read_document("it", body), Credentials)
    except CredentialsUnavailable as error:
        assert error.__cause__ is error.__context__ is None  # noqa: PT017 - both ways out are looked at
    except ConfigurationError:
        pytest.fail("not an argument of the caller's")


@given(st.lists(st.text(min_size=4, max_size=12, alphabet="ab+/="), max_size=3), st.text("ab+/=%2BF ", max_size=40))
def test_a_scrubbed_text_holds_no_secret(secrets: list[str], text: str) -> None:
    scrubbed = scrub(text.join([*secrets, *map(quote_plus, secrets), ""]), secrets)
    for secret in secrets:
        assert secret not in scrubbed
        assert quote_plus(secret) not in scrubbed


def test_a_scrubbed_text_is_short() -> None:
    assert scrub("word " * 200, ["secret"]) == "word " * 100
