"""The order of the checks. Each is made as far as the facts allow, although an earlier one has failed."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from ...transport.certificates import Certificates
from ...transport.http_response import Traffic
from ...transport.transport import Transport
from .checks import check_clock, check_credentials, check_endpoint, check_proxy, check_region, check_tls
from .facts import Identity, Reach, Settings
from .findings import Finding, exit_code, skipped
from .model_checks import check_answer, check_model
from .paid_call import call_model
from .probes import fetch_identity, reach_endpoint
from .report import JsonReport, Report, TextReport
from .settings import read_settings

__all__ = ("Question", "doctor")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is examined: a model, and the options of the command."""

    model: str
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    pays: bool = True
    """Whether the model is called, which costs some tokens."""


def _now() -> datetime:
    return datetime.now(UTC)


async def doctor(
    question: Question,
    *,
    as_json: bool = False,
    clock: Callable[[], datetime] = _now,
) -> int:
    """Run every check, print its finding, and return the exit code. Never raises an error of the library."""
    report: Report = JsonReport() if as_json else TextReport()
    findings: list[Finding] = []

    def add(*found: Finding) -> None:
        for finding in found:
            findings.append(finding)
            report.show(finding)

    settings = read_settings(
        region=question.region, profile=question.profile, endpoint_url=question.endpoint_url, environ=os.environ
    )
    certificates = Certificates(None, lambda: settings.bundles)
    transport = Transport(max_connections=1, trust=certificates.context, traffic=Traffic())
    try:
        identity = await fetch_identity(settings, question.profile, transport.ask, clock)
        add(check_credentials(identity, settings, clock()))
        reach = None
        if settings.endpoint is not None and settings.proxy_error is None:
            reach = await reach_endpoint(settings.endpoint, settings.proxy, certificates, transport.ask, clock)
    finally:
        await transport.close()
    add(check_clock(reach), check_proxy(settings, reach), check_tls(settings, reach))
    add(check_region(settings), check_endpoint(settings, reach), check_model(question.model, settings))
    add(await _call(question, settings, identity, reach, findings, clock))
    report.finish(findings)
    return exit_code(findings)


async def _call(
    question: Question,
    settings: Settings,
    identity: Identity,
    reach: Reach | None,
    findings: list[Finding],
    clock: Callable[[], datetime],
) -> Finding:
    """Call the model, unless that is known to be impossible."""
    if not question.pays:
        return skipped("call", "left out, since it costs a token (--no-call)")
    model_failed = any(finding.check == "model" and finding.status == "failed" for finding in findings)
    missing = [
        name
        for name, is_missing in {
            "credentials": identity.error is not None,
            "an endpoint that can be reached": reach is None or reach.trouble is not None,
            "a model": model_failed,
        }.items()
        if is_missing
    ]
    if missing:
        return skipped("call", f"not made: it needs {' and '.join(missing)}")
    answer = await call_model(
        question.model,
        region=question.region,
        profile=question.profile,
        endpoint_url=question.endpoint_url,
        clock=clock,
    )
    return check_answer(answer, question.model, identity, settings)
