"""`doctor`: each cause of a failed call is found, with a remedy, and the checks behind it are made all the same."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.doctor import Question, doctor
from bedrock_stream.cli.doctor.probes import Limits
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    API_KEY,
    SECRET_ACCESS_KEY,
    CredentialFault,
    CredentialService,
    Emulator,
    Foreign,
    cut,
    http_error,
    text,
)
from tests.support.command_line import run
from tests.support.connect_proxy import ConnectProxy

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
HOST = "bedrock-runtime.us-east-1.amazonaws.com"
CHECKS = ["credentials", "clock", "proxy", "TLS", "region", "endpoint", "model", "call"]


class Examination:
    """The findings of one run, by the name of their check."""

    def __init__(self, code: int, lines: list[str]) -> None:
        self.code = code
        findings = [json.loads(line) for line in lines]
        assert [finding["check"] for finding in findings] == CHECKS
        self.status = {finding["check"]: finding["status"] for finding in findings}
        self.fact = {finding["check"]: finding["fact"] for finding in findings}
        self.remedy = {finding["check"]: finding["remedy"] or "" for finding in findings}

    @property
    def failed(self) -> list[str]:
        return [check for check, status in self.status.items() if status == "failed"]


class Examine:
    """Runs the command in this event loop."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.skew = timedelta(0)
        """How far the local clock is wrong."""

    async def __call__(self, model: str = NOVA, *, pays: bool = True, **options: str | None) -> Examination:
        question = Question(model=model, pays=pays, **{"region": "us-east-1", **options})
        code = await doctor(question, as_json=True, clock=lambda: datetime.now(UTC) + self.skew)
        output = self._capsys.readouterr()
        assert SECRET_ACCESS_KEY not in output.out
        assert API_KEY not in output.out
        assert output.err == ""
        return Examination(code, output.out.splitlines())


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str]) -> Examine:
    return Examine(capsys)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)


async def test_everything_is_fine(examine: Examine, emulator: Emulator) -> None:
    found = await examine(endpoint_url=emulator.url)
    assert (found.code, found.failed) == (0, [])
    assert found.fact["credentials"] == "access key ...MPLE from AWS_ACCESS_KEY_ID"
    assert found.fact["region"] == "us-east-1, from --region"
    assert found.fact["endpoint"].startswith(f"{emulator.url}, from --endpoint-url, answers after ")
    assert found.fact["call"].endswith("; billed: 2 input and 1 output tokens")
    assert "first event after" in found.fact["call"]
    assert "first content after" in found.fact["call"]
    probe, paid = emulator.requests
    assert (probe.target, probe.auth) == ("/", None)
    assert paid.json["inferenceConfig"] == {"maxTokens": 1}


async def test_the_call_has_the_fewest_tokens_that_the_model_takes(examine: Examine, emulator: Emulator) -> None:
    assert (await examine("us.openai.gpt-6-sol", endpoint_url=emulator.url)).code == 0
    assert emulator.requests[-1].json["inferenceConfig"] == {"maxTokens": 16}


async def test_without_the_paid_call(examine: Examine, emulator: Emulator) -> None:
    found = await examine(endpoint_url=emulator.url, pays=False)
    assert (found.code, found.status["call"]) == (0, "skipped")
    assert [request.target for request in emulator.requests] == ["/"]


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("model", "refusal", "remedy"),
    [
        (
            CLAUDE,
            (400, "ValidationException", "Invocation of model ID x with on-demand throughput isn’t supported."),  # noqa: RUF001 - the service's own
            f"use the inference profile us.{CLAUDE} or global.{CLAUDE}",
        ),
        (
            NOVA,
            (403, "AccessDeniedException", "User: arn:aws:iam::1:user/a is not authorized to perform: bedrock:..."),
            "allow the IAM action bedrock:InvokeModelWithResponseStream on amazon.nova-lite-v1:0",
        ),
        (
            NOVA,
            (403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
            "request access to amazon.nova-lite-v1:0 in the Bedrock console of us-east-1",
        ),
        (
            NOVA,
            (404, "ResourceNotFoundException", "Model use case details have not been submitted for this account."),
            "use case form",
        ),
        (NOVA, (403, "UnrecognizedClientException", "The security token ... is invalid."), "does not know this access"),
        (NOVA, (403, "ExpiredTokenException", "The security token ... has expired"), "get new temporary credentials"),
        (NOVA, (429, "ThrottlingException", "Too many requests"), "wait a minute"),
        (NOVA, (429, "ThrottlingException", "Too many tokens per day"), "the day's tokens are used up"),
        (NOVA, (404, "ResourceNotFoundException", "Not found."), "such as us.amazon.nova-lite-v1:0"),
        (NOVA, (503, "ServiceUnavailableException", "Busy."), "Health Dashboard"),
    ],
)
async def test_a_refusal_has_a_remedy(
    examine: Examine, emulator: Emulator, model: str, refusal: tuple[int, str, str], remedy: str
) -> None:
    emulator.script(http_error(*refusal))
    found = await examine(model, endpoint_url=emulator.url)
    assert (found.code, found.failed) == (1, ["call"])
    assert refusal[1] in found.fact["call"]
    assert refusal[2] in found.fact["call"]
    assert "(request " in found.fact["call"]
    assert remedy in found.remedy["call"]
    assert emulator.request_count == 2  # nothing is tried again


async def test_an_unknown_model(examine: Examine) -> None:
    async with Emulator(models=[CLAUDE]) as emulator:
        found = await examine("us.antropic.claude-sonet-4-5-v1:0", endpoint_url=emulator.url)
    assert (found.code, found.failed) == (1, ["call"])
    assert found.status["model"] == "warning"
    assert "similar ids begin with anthropic.claude-sonnet-4-5" in found.remedy["model"]
    assert "such as anthropic.claude-sonnet-4-5" in found.remedy["call"]


async def test_a_wrong_region(examine: Examine) -> None:
    async with Emulator(region="eu-west-1") as emulator:
        found = await examine(endpoint_url=emulator.url)
    assert found.failed == ["call"]
    assert "is in another region than us-east-1" in found.remedy["call"]


async def test_a_response_that_ends_too_early(examine: Examine, emulator: Emulator) -> None:
    emulator.script(text("H"), cut())
    found = await examine(endpoint_url=emulator.url)
    assert found.failed == ["call"]
    assert "the connection broke" in found.remedy["call"]


# -------------------------------------------------------------------------------------------------------- credentials


async def test_no_credentials(examine: Examine, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = await examine(endpoint_url=emulator.url)
    assert (found.code, found.failed) == (2, ["credentials"])
    assert "AWS_WEB_IDENTITY_TOKEN_FILE" in found.fact["credentials"]  # what was searched
    assert "set AWS_BEARER_TOKEN_BEDROCK" in found.remedy["credentials"]
    assert found.status["endpoint"] == "ok"
    assert found.fact["call"] == "not made: it needs credentials"


async def test_half_a_key_pair_and_an_unknown_profile(
    examine: Examine, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = await examine(endpoint_url=emulator.url)
    assert (found.code, found.failed) == (2, ["credentials"])
    assert found.remedy["credentials"] == "set both variables, or neither"
    found = await examine(endpoint_url=emulator.url, profile="nowhere")
    assert (found.code, found.failed) == (2, ["credentials"])
    assert "'nowhere' is in neither" in found.fact["credentials"] or "'nowhere' is not in" in found.fact["credentials"]


async def test_an_api_key_takes_precedence(
    examine: Examine, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", API_KEY)
    found = await examine(endpoint_url=emulator.url)
    fact = "API key from AWS_BEARER_TOKEN_BEDROCK; also set and not used: AWS_ACCESS_KEY_ID"
    assert (found.code, found.fact["credentials"]) == (0, fact)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "another-key")
    found = await examine(endpoint_url=emulator.url)
    assert found.failed == ["call"]
    assert "create another API key" in found.remedy["call"]


@pytest.mark.parametrize(
    ("region", "age", "problem"),
    [("us-east-1", 13, "expired 60 min ago"), ("eu-west-1", 1, "the key is for eu-west-1")],
)
async def test_a_short_term_api_key(
    examine: Examine, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, region: str, age: int, problem: str
) -> None:
    began = datetime.now(UTC) - timedelta(hours=age)
    url = (
        f"bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-Credential=AKIA%2F20260101%2F{region}%2Fbedrock"
        f"%2Faws4_request&X-Amz-Date={began:%Y%m%dT%H%M%SZ}&X-Amz-Expires=43200&X-Amz-Signature=secret&Version=1"
    )
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-" + b64encode(url.encode()).decode())
    found = await examine(endpoint_url=emulator.url)
    assert found.failed[0] == "credentials"
    assert problem in found.fact["credentials"]
    assert "AKIA" not in str(found.fact)


@pytest.mark.parametrize("service", ["container", "instance"])
@pytest.mark.parametrize(
    ("faults", "status", "fact"),
    [
        ((), "ok", "expires in 60 min"),
        (("busy",), "ok", "expires in 60 min"),
        (("expired",), "failed", "expired 3 min ago"),
        (("hang",), "failed", "within 0.3 s"),
        (("busy",) * 3, "failed", "HTTP 429"),
        ((Foreign(503, "<html>no upstream</html>"),) * 3, "failed", "HTTP 503"),
        ((Foreign(200, "<html>a portal</html>"),) * 3, "failed", ""),
    ],
    ids=["fine", "busy once", "expired", "hangs", "busy", "unavailable", "foreign"],
)
async def test_a_service_of_credentials(
    examine: Examine,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    faults: tuple[CredentialFault, ...],
    status: str,
    fact: str,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setattr(Limits, "credentials", 0.3 if "hang" in faults else 15)
    async with CredentialService() as credentials, Emulator(credentials=credentials.keys) as aws:
        for variable, value in credentials.environ(service).items():
            monkeypatch.setenv(variable, value)
        credentials.script(*faults)
        found = await examine(endpoint_url=aws.url)
    assert (found.status["credentials"], fact in found.fact["credentials"]) == (status, True), found.fact
    assert bool(found.remedy["credentials"]) is (status == "failed")
    assert found.status["endpoint"] == "ok"
    keys = credentials.keys
    assert keys.secret_access_key not in str(found.fact)
    assert str(keys.session_token) not in str(found.fact)


async def test_a_web_identity(examine: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "token").write_text("a-jwt")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
    async with CredentialService() as credentials, Emulator(credentials=credentials.keys) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", credentials.url)
        found = await examine(endpoint_url=aws.url)
        assert (found.code, found.failed) == (0, [])
        assert "from AWS_WEB_IDENTITY_TOKEN_FILE for arn:aws:iam" in found.fact["credentials"]
        credentials.script("busy", "busy", "busy")
        found = await examine(endpoint_url=aws.url)
    assert found.failed == ["credentials"]
    assert "Throttling" in found.fact["credentials"]


# -------------------------------------------------------------------------------------------------------------- clock


@pytest.mark.parametrize(
    ("skew", "status", "code"),
    [(0, "ok", 0), (60, "warning", 0), (-60, "warning", 0), (3600, "failed", 1), (-3600, "failed", 1)],
)
async def test_the_clock(examine: Examine, emulator: Emulator, skew: int, status: str, code: int) -> None:
    examine.skew = timedelta(seconds=skew)
    found = await examine(endpoint_url=emulator.url)
    assert (found.status["clock"], found.code) == (status, code)
    if skew:
        assert ("ahead of" if skew > 0 else "behind") in found.fact["clock"]
        assert "synchronize" in found.remedy["clock"]
    assert found.status["call"] == "ok"  # the library corrects the time of its signatures


# ------------------------------------------------------------------------------------------------- network and region


async def test_a_dead_endpoint(examine: Examine) -> None:
    found = await examine(endpoint_url="http://127.0.0.1:9")
    assert (found.code, found.failed) == (1, ["endpoint"])
    assert "cannot connect to 127.0.0.1:9" in found.fact["endpoint"]
    assert (found.status["clock"], found.status["model"], found.status["call"]) == ("skipped", "ok", "skipped")


async def test_an_endpoint_that_never_answers(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limits, "response", 0.1)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        found = await examine(endpoint_url=f"http://127.0.0.1:{port}")
    assert found.failed == ["endpoint"]
    assert "within 0.1 s" in found.fact["endpoint"]


@pytest.mark.parametrize(("limit", "fact"), [("lookup", "was not resolved within"), ("connect", "no connection to")])
async def test_each_step_has_a_time_limit(
    examine: Examine, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, limit: str, fact: str
) -> None:
    monkeypatch.setattr(Limits, limit, 0)
    found = await examine(endpoint_url=emulator.url)
    assert found.failed == ["endpoint"]
    assert fact in found.fact["endpoint"]


async def test_a_name_that_does_not_exist(examine: Examine) -> None:
    found = await examine(endpoint_url="https://bedrock.invalid")
    assert found.failed == ["endpoint"]
    assert "bedrock.invalid cannot be resolved" in found.fact["endpoint"]


async def test_invalid_settings(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "no/region")
    found = await examine(region=None)
    assert (found.code, found.failed) == (2, ["region"])
    assert "AWS_REGION" in found.fact["region"]
    assert found.fact["endpoint"] == "needs a region"
    found = await examine(endpoint_url="gopher://x")
    assert (found.code, found.failed) == (2, ["endpoint"])
    assert found.fact["endpoint"].startswith("--endpoint-url: expected an endpoint URL")


async def test_a_foreign_service(examine: Examine) -> None:
    async with CredentialService() as service:
        found = await examine(endpoint_url=service.url)
    assert found.status["endpoint"] == "warning"
    assert found.failed == ["call"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(organization_name="Inspection Ltd")


@pytest.fixture
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST, "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


async def test_an_authority_that_is_not_trusted(
    examine: Examine, certificate: ssl.SSLContext, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Emulator(ssl=certificate) as emulator:
        found = await examine(endpoint_url=emulator.url)
        assert found.failed == ["TLS"]
        assert "is not trusted" in found.fact["TLS"]
        assert "set AWS_CA_BUNDLE" in found.remedy["TLS"]
        monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
        found = await examine(endpoint_url=emulator.url)
        assert (found.code, found.failed) == (0, [])
        assert "certificate issued by Inspection Ltd" in found.fact["TLS"]
        assert f"{bundle} (AWS_CA_BUNDLE)" in found.fact["TLS"]
        found = await examine(endpoint_url=emulator.url.replace("127.0.0.1", "localhost"))
        assert "the certificate is for another host" in found.remedy["TLS"]
        monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file")
        found = await examine(endpoint_url=emulator.url)
        assert (found.code, found.failed) == (2, ["TLS"])
        assert "AWS_CA_BUNDLE" in found.fact["TLS"]


async def test_a_plain_port_instead_of_tls(examine: Examine, emulator: Emulator) -> None:
    found = await examine(endpoint_url=emulator.url.replace("http:", "https:"))
    assert found.failed == ["TLS"]
    assert "the TLS handshake" in found.fact["TLS"]


async def test_a_proxy(
    examine: Examine, certificate: ssl.SSLContext, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        Emulator(ssl=certificate) as emulator,
        ConnectProxy({f"{HOST}:443": emulator.url.partition("//")[2]}, user="me", password="a-password") as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:a-password@{proxy.address}")
        found = await examine()
        assert found.failed == ["TLS"]
        assert "is not trusted" in found.fact["TLS"]
        monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
        found = await examine()
        assert (found.code, found.failed) == (0, [])
        assert found.fact["proxy"] == f"http://{proxy.address} with a login, from HTTPS_PROXY"
        assert found.fact["endpoint"].startswith(f"https://{HOST}, from the region us-east-1")
        monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file")
        found = await examine()
        assert (found.code, found.failed) == (2, ["TLS"])
        monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:wrong@{proxy.address}")
        found = await examine()
        assert (found.code, found.failed) == (1, ["proxy"])
        assert "refused with 407" in found.fact["proxy"]
        assert "http://user:password@host:port" in found.remedy["proxy"]
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:a-password@{proxy.address}")
        found = await examine(region="eu-west-1")
        assert "refused with 502" in found.fact["proxy"]
        assert "allow bedrock-runtime.eu-west-1.amazonaws.com there" in found.remedy["proxy"]
    found = await examine()
    assert "cannot be reached" in found.fact["proxy"]
    monkeypatch.setenv("HTTPS_PROXY", "ftp://x")
    found = await examine()
    assert (found.code, found.failed) == (2, ["proxy"])


# ------------------------------------------------------------------------------------------------------------- output


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["doctor", NOVA, "--endpoint-url", "http://127.0.0.1:9"]
    assert invoke([*arguments, "--region", "us-east-1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[:19].split() for line in lines if line[:6].strip()][:-1] == [
        ["ok", "credentials"], ["skip", "clock"], ["ok", "proxy"], ["ok", "TLS"], ["ok", "region"],
        ["FAIL", "endpoint"], ["ok", "model"], ["skip", "call"],
    ]  # fmt: skip
    assert any(line.startswith(" " * 19 + "remedy: check the URL") for line in lines)
    assert lines[-1] == "1 of 8 checks failed: endpoint"
    assert invoke([*arguments, "--no-call"]) == 1
    assert "us-east-1, the default: no region is set" in capsys.readouterr().out


async def test_as_a_process(emulator: Emulator) -> None:
    environ = emulator.environ | {"PYTHONIOENCODING": "ascii"}
    completed = await run("doctor", NOVA, env=environ)
    assert (completed.code, completed.err) == (0, "")
    assert completed.out.splitlines()[-1] == "The model answers."


async def test_the_last_line(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    for pays, line in ((True, "The model answers."), (False, "No check failed. The model was not called.")):
        question = Question(model=NOVA, region="us-east-1", endpoint_url=emulator.url, pays=pays)
        assert await doctor(question) == 0
        assert capsys.readouterr().out.splitlines()[-1] == line
