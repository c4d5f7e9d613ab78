"""The pure checks: facts in, one finding out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bedrock_stream import errors
from bedrock_stream.cli.doctor.checks import check_clock, check_credentials, check_endpoint, check_proxy, check_tls
from bedrock_stream.cli.doctor.facts import Answer, Identity, Reach, Settings, Trouble
from bedrock_stream.cli.doctor.findings import Finding, exit_code, failed, ok, skipped, warning
from bedrock_stream.cli.doctor.model_checks import check_answer, check_model
from bedrock_stream.cli.doctor.settings import read_settings
from bedrock_stream.errors import BedrockStreamError, ConfigurationError, CredentialsUnavailable, service_error

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
KEYS = Identity(place="AWS_ACCESS_KEY_ID", scheme="sigv4", key="...MPLE")


def _settings(**environ: str) -> Settings:
    return read_settings(region=environ.pop("region", None), profile=None, endpoint_url=None, environ=environ)


HERE = _settings(AWS_REGION="us-east-1")


def _refused(error: BedrockStreamError, model: str = CLAUDE, identity: Identity = KEYS) -> Finding:
    return check_answer(Answer(max_tokens=1, error=error), model, identity, HERE)


def test_the_exit_code_is_that_of_the_first_failure() -> None:
    findings = [ok("a", ""), warning("b", "", ""), skipped("c", "")]
    assert exit_code(findings) == 0
    assert exit_code([*findings, failed("d", "", ""), failed("e", "", "", misuse=True)]) == 1
    assert exit_code([*findings, failed("e", "", "", misuse=True), failed("d", "", "")]) == 2


@pytest.mark.parametrize(
    ("identity", "remedy"),
    [
        (
            Identity(place="profile 'work' (sso_session)", error=CredentialsUnavailable("x", "SSOTokenLoadError")),
            "sso login",
        ),
        (Identity(place="profile 'work'", error=errors.AccessDenied("AccessDenied", "No.", 403)), "trust policy"),
        (
            Identity(place="the instance role (IMDSv2)", error=CredentialsUnavailable("x", "HTTP 500")),
            "metadata endpoint",
        ),
        (Identity(place="a process", error=CredentialsUnavailable("x", "it failed")), "fix this source"),
        (
            Identity(error=errors.MissingCredentials("credentials", "botocore is not installed", "pip install x")),
            "pip install x",
        ),
    ],
)
def test_credentials_that_cannot_be_fetched(identity: Identity, remedy: str) -> None:
    finding = check_credentials(identity, HERE, NOW)
    assert finding.status == "failed"
    assert remedy in (finding.remedy or "")
    assert identity.place is None or identity.place in finding.fact


@pytest.mark.parametrize(
    ("place", "scheme", "remedy"),
    [
        ("AWS_ACCESS_KEY_ID", "sigv4", "together with AWS_SESSION_TOKEN"),
        ("AWS_BEARER_TOKEN_BEDROCK", "bearer", "create another API key"),
        ("profile 'work' (sso_session)", "sigv4", "aws sso login"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "sigv4", "restart the task"),
        ("profile 'work' (role_arn)", "sigv4", "renew the credentials of profile 'work' (role_arn)"),
    ],
)
def test_credentials_that_end(place: str, scheme: str, remedy: str) -> None:
    def check(minutes: float) -> Finding:
        identity = Identity(place=place, scheme=scheme, key="...MPLE", expires_at=NOW + timedelta(minutes=minutes))
        return check_credentials(identity, HERE, NOW)

    assert check(60).status == "ok"
    assert (check(10).status, check(10).fact.endswith("expires in 10 min")) == ("warning", True)
    assert (check(-600).status, "expired 10 h ago" in check(-600).fact) == ("failed", True)
    assert remedy in (check(-600).remedy or "")
    expired = service_error("ExpiredTokenException", "Expired.", 403)
    assert remedy in (_refused(expired, identity=Identity(place=place, scheme=scheme)).remedy or "")


def test_the_clock_without_a_date() -> None:
    assert check_clock(None).status == check_clock(Reach()).status == "skipped"


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        (Trouble("dns", "no such name"), "check the spelling of the region us-east-1"),
        (Trouble("connect", "no connection within 10 s"), "VPC endpoint"),
        (Trouble("http", "no response"), "VPC endpoint"),
    ],
)
def test_the_host_of_the_region_cannot_be_reached(trouble: Trouble, remedy: str) -> None:
    finding = check_endpoint(HERE, Reach(trouble=trouble))
    assert finding.status == "failed"
    assert remedy in (finding.remedy or "")


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(9, "date of this machine"), (10, "date"), (62, "another host"), (20, "AWS_CA_BUNDLE"), (0, "TLS")],
)
def test_certificates(code: int, remedy: str) -> None:
    finding = check_tls(HERE, Reach(trouble=Trouble("tls", "not trusted", code)))
    assert finding.status == "failed"
    assert remedy in (finding.remedy or "")
    assert finding.fact == "not trusted; trusted is the system's CA certificates"


def test_proxies() -> None:
    proxied = {"HTTPS_PROXY": "http://proxy:3128", "AWS_REGION": "us-east-1"}
    settings = _settings(**proxied)
    assert check_proxy(settings, Reach()).fact == "http://proxy:3128, from HTTPS_PROXY"
    unresolved = check_proxy(settings, Reach(trouble=Trouble("dns", "proxy cannot be resolved")))
    assert (unresolved.status, unresolved.remedy) == ("failed", "correct HTTPS_PROXY, or unset it")
    assert "lets this host pass" in str(check_endpoint(settings, Reach(trouble=Trouble("http", "reset"))).remedy)
    exempt = check_proxy(_settings(**proxied, NO_PROXY=".amazonaws.com"), Reach())
    assert exempt.fact == "not used: NO_PROXY exempts the host from HTTPS_PROXY"
    invalid = check_proxy(_settings(HTTPS_PROXY="ftp://user:secret@proxy", AWS_REGION="us-east-1"), None)
    assert (invalid.exit_code, "secret" in invalid.fact) == (2, False)


# -------------------------------------------------------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("model", "region", "status", "words"),
    [
        (f"us.{CLAUDE}", "us-east-1", "ok", "Claude Sonnet 4.5, native format, inference profile us."),
        (f"global.{CLAUDE}", "eu-west-1", "ok", "inference profile global."),
        (CLAUDE, "eu-west-1", "warning", f"use eu.{CLAUDE} or global.{CLAUDE}"),
        (CLAUDE, "xx-west-1", "warning", f"use global.{CLAUDE}"),
        ("deepseek.r1-v1:0", "il-central-1", "warning", "use an inference profile that contains it"),
        (f"us.{CLAUDE}", "eu-west-1", "warning", f"use eu.{CLAUDE}"),
        ("amazon.nova-lite-v1:0", "us-east-1", "ok", "called in its region alone"),
        ("anthropic.claude-ballad-9", "us-east-1", "warning", "is not in the capability table"),
        ("amazon.nova-sonic-v1:0", "us-east-1", "failed", "InvokeModelWithBidirectionalStream"),
        ("two words", "us-east-1", "failed", "white space"),
        ("claude-sonnet-4-5", "us-east-1", "warning", "similar ids begin with anthropic.claude-sonnet-4-5"),
        ("xxxxxxxx", "us-east-1", "warning", "use a model id, an inference profile or an ARN"),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{CLAUDE}", "us-east-1", "warning", "use us."),
        ("arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc", "us-east-1", "ok", "base_model"),
        ("arn:aws:bedrock:us-east-1:123456789012:agent/abc", "us-east-1", "failed", "bedrock-agent-runtime"),
        ("arn:aws:bedrock:eu-west-1:123456789012:prompt/abc", "us-east-1", "failed", "pass --region eu-west-1"),
        ("us.xai.grok-4.3", "us-east-1", "failed", "bedrock-mantle"),
        ("xai.grok-4.3", "us-east-1", "ok", "served by bedrock-mantle with the API chat"),
    ],
)
def test_models(model: str, region: str, status: str, words: str) -> None:
    finding = check_model(model, _settings(AWS_REGION=region))
    assert finding.status == status
    assert words in f"{finding.fact} {finding.remedy}"
    assert finding.exit_code == (2 if status == "failed" else 0)


# ------------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("code", "status", "message", "remedy"),
    [
        ("AccessDeniedException", 403, "... with an explicit deny in a service control policy", "administrator"),
        ("AccessDeniedException", 403, "... required AWS Marketplace actions ...", "aws-marketplace:Subscribe"),
        (
            "MissingAuthenticationTokenException",
            403,
            "Missing Authentication Token",
            "removes the Authorization header",
        ),
        ("", 403, "Authentication failed: Please make sure your API Key is valid.", "create another API key"),
        ("AccessDeniedException", 403, "Forbidden", "request access to"),
        ("InvalidSignatureException", 403, "The request signature we calculated does not match", "copy both keys"),
        ("InvalidSignatureException", 403, "Signature expired: 2026 is now earlier than", "synchronize the clock"),
        ("ResourceNotFoundException", 404, "This model version has reached the end of its life.", "is retired"),
        ("ResourceNotFoundException", 404, "This Model is marked by provider as Legacy", "is retired"),
        ("UnknownOperationException", 404, "", "is not Bedrock Runtime"),
        ("ValidationException", 400, "max_tokens: 1 is too low", f"models {CLAUDE}"),
        ("ValidationException", 400, "The provided model identifier is invalid.", f"such as us.{CLAUDE}"),
        ("ServiceQuotaExceededException", 400, "", "Service Quotas for us-east-1"),
        ("ModelNotReadyException", 429, "", "is being loaded"),
        ("ModelErrorException", 424, "", "try again later"),
        ("ACodeOfTheFuture", 418, "", "try again later"),
    ],
)
def test_refusals(code: str, status: int, message: str, remedy: str) -> None:
    finding = _refused(service_error(code, message, status))
    assert (finding.status, finding.exit_code) == ("failed", 1)
    assert remedy in (finding.remedy or "")
    assert message in finding.fact
    assert "{" not in (finding.remedy or "")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (errors.ConnectionFailed("no response"), "the connection broke"),
        (errors.FirstEventTimeout(60, 60.0), "holds back streamed responses"),
        (errors.NotAnEventStream(200, "text/html", b"<html>"), "something else than Bedrock answers"),
        (errors.ChecksumMismatch("message", 1, 2), "changed on its way"),
        (BedrockStreamError("what"), "try again later"),
    ],
)
def test_other_failures(error: BedrockStreamError, remedy: str) -> None:
    assert remedy in (_refused(error).remedy or "")


def test_settings_that_a_call_refuses() -> None:
    finding = _refused(ConfigurationError("AWS_CONFIG_FILE", "cannot be read"))
    assert (finding.exit_code, finding.fact) == (2, "AWS_CONFIG_FILE: cannot be read")
    assert finding.remedy == "correct AWS_CONFIG_FILE"
    assert "inference profile that contains the model" in str(_refused(_NEEDS_PROFILE, "two words").remedy)


_NEEDS_PROFILE = service_error("ValidationException", "... on-demand throughput isn't supported.", 400)


def test_an_answer_without_times_and_usage() -> None:
    answer = Answer(max_tokens=1, first_event=0.0123, total=1.25)
    finding = check_answer(answer, CLAUDE, KEYS, HERE)
    assert finding.fact == (
        "first event after 12 ms, first content after no time: none came, end after 1.2 s; "
        "billed: an unknown number of tokens"
    )


@pytest.mark.parametrize("place", ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"])
def test_the_source_of_an_endpoint(place: str) -> None:
    settings = _settings(**{place: "https://example.com/path"}, AWS_REGION="us-east-1")
    reach = Reach(addresses=("203.0.113.1",), status=403, is_aws=True, seconds=0.1)
    assert check_endpoint(settings, reach).fact == (
        f"https://example.com/path, from {place} (203.0.113.1), answers after 100 ms"
    )
