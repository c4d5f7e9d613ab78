"""The services that return credentials, with and without faults, as this library and botocore use them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import botocore.session
import pytest

from bedrock_stream import (
    AssumeRole,
    AssumeRoleWithWebIdentity,
    Client,
    ContainerRole,
    Credentials,
    InstanceRole,
    RetryPolicy,
    Timeouts,
    errors,
)
from bedrock_stream.testing import REGION, CredentialService, Emulator, Foreign, Keys
from tests.support.refusals import refused

MODEL = "amazon.nova-lite-v1:0"
ROLE = "arn:aws:iam::123456789012:role/r"
ONCE = RetryPolicy(max_attempts=1)
SOURCES: dict[str, tuple[str, Any]] = {
    "role": ("sts", AssumeRole(ROLE, source=Credentials("AK", "s"))),
    "web identity": ("sts", AssumeRoleWithWebIdentity(ROLE, token="jwt")),
    "instance": ("instance", InstanceRole()),
    "container": ("container", ContainerRole()),
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """Return a service's name and a source that asks it."""
    return SOURCES[request.param]


def select(service: CredentialService, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in service.environ(name).items():
        monkeypatch.setenv(variable, value)


@pytest.mark.parametrize(
    "faults", [(), ("busy",), ("busy", "busy"), ("expired",), (Foreign(502, "<html>bad gateway<br>"), "busy")], ids=str
)
async def test_faults_that_pass_are_not_seen(
    monkeypatch: pytest.MonkeyPatch, source: tuple[str, Any], faults: tuple[Any, ...]
) -> None:
    async with CredentialService() as service, Emulator(credentials=service.keys) as aws:
        select(service, source[0], monkeypatch)
        service.script(*faults)
        async with Client(region=REGION, endpoint_url=aws.url, credentials=source[1], retry=ONCE) as client:
            for _ in range(2):
                assert (await client.generate(MODEL, "Hi")).text
        expected = len(faults) if "expired" in faults else len(faults) + 1
        assert sum("PUT" not in each and not each.endswith("credentials/") for each in service.requests) == expected


async def test_faults_that_last_are_named(monkeypatch: pytest.MonkeyPatch, source: tuple[str, Any]) -> None:
    async with CredentialService() as service, Emulator(credentials=service.keys) as aws:
        select(service, source[0], monkeypatch)
        limits = Timeouts(credentials=0.2)
        async with Client(
            region=REGION, endpoint_url=aws.url, credentials=source[1], retry=ONCE, timeouts=limits
        ) as client:
            service.script(*[Foreign(503, "no upstream")] * 3)
            with pytest.raises(errors.CredentialsUnavailable, match=r"HTTP 503.*no upstream") as caught:
                await client.generate(MODEL, "Hi", timeouts=Timeouts())
            assert caught.value.retryable
            service.script("hang")
            with pytest.raises(errors.CredentialsUnavailable, match=r"no credentials within 0\.2 s"):
                await client.generate(MODEL, "Hi")
            assert (await client.generate(MODEL, "Hi")).text
        assert aws.request_count == 1


@pytest.mark.parametrize("name", ["container", "instance"])
async def test_botocore_gets_the_credentials_too(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=90)
    keys = Keys("ASIAOTHER", "other secret", "other token")
    async with CredentialService(keys=keys, lifetime=0, clock=lambda: end) as service:
        select(service, name, monkeypatch)
        credentials = await asyncio.to_thread(lambda: botocore.session.Session().get_credentials())
        assert credentials is not None
        frozen = await asyncio.to_thread(credentials.get_frozen_credentials)
        assert (frozen.access_key, frozen.secret_key, frozen.token) == ("ASIAOTHER", "other secret", "other token")
        assert credentials._expiry_time == end


async def test_requests_of_another_form_are_refused() -> None:
    async with CredentialService() as service, aiohttp.ClientSession() as session:
        roles = f"{service.url}/latest/meta-data/iam/security-credentials/"
        for method, url, options, status in (
            ("GET", roles, {}, 401),
            ("GET", f"{roles}other", {"headers": {"X-aws-ec2-metadata-token": "metadata-token-example"}}, 404),
            ("POST", service.url, {"data": {"Action": "GetCallerIdentity"}}, 400),
            ("POST", service.url, {"data": {"Action": "AssumeRole"}}, 403),
            ("GET", f"{service.url}/container/credentials", {"headers": {"Host": "evil.example"}}, 403),
        ):
            async with session.request(method, url, **options) as response:  # type: ignore[arg-type]
                assert response.status == status
        with refused("service", "expected one of sts, instance, container, got 'sso'"):
            service.environ("sso")
        with refused("faults", "expected Foreign(...) or one of hang, busy, expired, got 'slow'"):
            service.script("slow")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="the service is not running"):
        _ = service.url
