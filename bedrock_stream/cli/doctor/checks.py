"""The checks of credentials, clock, network and region: facts in, one finding out. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...errors import ConfigurationError, CredentialsUnavailable, MissingCredentials, ServiceError
from .facts import Identity, Reach, Settings, Trouble
from .findings import Finding, failed, ok, skipped, warning

__all__ = (
    "check_clock",
    "check_credentials",
    "check_endpoint",
    "check_proxy",
    "check_region",
    "check_tls",
    "renewal",
)

# ----------------------------------------------------------------------------------------------------- the credentials

_SOON = timedelta(minutes=15)
_CONFIGURE = (
    "set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or pass --profile; "
    "on AWS, attach a role"
)


def check_credentials(identity: Identity, settings: Settings, now: datetime) -> Finding:
    """Check that there are credentials, that they have not expired, and that an API key is for this region."""
    check = "credentials"
    if identity.error is not None:
        return _no_credentials(identity)
    fact, end = _describe(identity), identity.expires_at
    if end is not None and end <= now:
        return failed(check, f"{fact}, expired {_span(now - end)} ago ({end:%Y-%m-%d %H:%M:%S %Z})", renewal(identity))
    if end is not None:
        fact += f", expires in {_span(end - now)}"
    if identity.region not in (None, settings.region):
        problem = f"{fact}; the key is for {identity.region}, and the region is {settings.region}"
        return failed(check, problem, f"pass --region {identity.region}, or create a key there", misuse=True)
    place = (identity.place or "").partition(" ")[0]
    unused = [name for name in settings.also_set if name != place]
    fact += f"; also set and not used: {', '.join(unused)}" if unused else ""
    return warning(check, fact, renewal(identity)) if end is not None and end - now < _SOON else ok(check, fact)


def _no_credentials(identity: Identity) -> Finding:
    check, error = "credentials", identity.error
    assert error is not None  # noqa: S101 - checked by the caller
    if isinstance(error, MissingCredentials):
        searched = f"; searched: {error.searched}" if error.searched else ""
        remedy = error.remedy if "pip" in error.remedy else _CONFIGURE
        return failed(check, f"{error.problem}{searched}", remedy, misuse=True)
    if isinstance(error, ConfigurationError):
        fact = f"{error.argument}: {error.problem}"
        return failed(check, fact, error.remedy or f"correct {error.argument}, or unset it", misuse=True)
    fact = str(error) if identity.place is None or identity.place in str(error) else f"{identity.place}: {error}"
    return failed(check, fact, _source_remedy(error, identity))


def _source_remedy(error: Exception, identity: Identity) -> str:
    place = identity.place or ""
    if isinstance(error, ServiceError):  # of STS
        return "check the role's ARN, its trust policy, and the credentials that assume it"
    if "sso" in place:
        return "run `aws sso login` for this profile, and try again"
    if isinstance(error, CredentialsUnavailable) and "no credentials within" in error.reason:
        return "the source does not answer: check that it runs and is reachable from here, or use another one"
    if "CONTAINER" in place or "IMDS" in place:
        return "check the metadata endpoint and its variables (AWS_CONTAINER_*, AWS_EC2_METADATA_*), and the role"
    return "fix this source, or use another one"


def _describe(identity: Identity) -> str:
    if identity.scheme == "bearer":
        return f"API key from {identity.place}" + (" (short-term)" if identity.temporary else "")
    kind = "temporary access key" if identity.temporary else "access key"
    return f"{kind} {identity.key} from {identity.place}"


def renewal(identity: Identity) -> str:
    """Return how credentials of this place are renewed."""
    place = identity.place or ""
    if identity.scheme == "bearer":
        return "create another API key, in the Bedrock console or with aws-bedrock-token-generator"
    if "sso" in place:
        return "run `aws sso login` for this profile"
    if place == "AWS_ACCESS_KEY_ID":
        return "get new temporary credentials, and set the key pair together with AWS_SESSION_TOKEN"
    if "CONTAINER" in place or "IMDS" in place:
        return "if the clock is right, the metadata service cannot renew them: check the role, or restart the task"
    return f"renew the credentials of {place}"


# ----------------------------------------------------------------------------------------------------------- the clock

_REFUSED = 300  # seconds of difference from which signatures are refused
_NOTABLE = 30
_SYNCHRONIZE = (
    "synchronize the clock: `timedatectl set-ntp true` or chrony, on WSL and in virtual machines `hwclock -s`"
)


def check_clock(reach: Reach | None) -> Finding:
    """Compare the local clock with the service's."""
    if reach is None or reach.offset is None:
        return skipped("clock", "not compared: no response with a date")
    seconds = reach.offset
    difference = f"{_span(timedelta(seconds=abs(seconds)))} {'behind' if seconds > 0 else 'ahead of'} the service's"
    if abs(seconds) >= _REFUSED:
        fact = f"the local clock is {difference}; signatures are refused from {_REFUSED // 60} min on"
        return failed("clock", f"{fact}, which bedrock_stream corrects and other clients do not", _SYNCHRONIZE)
    if abs(seconds) >= _NOTABLE:
        return warning("clock", f"the local clock is {difference}", _SYNCHRONIZE)
    # The `Date` header has whole seconds.
    return ok("clock", f"agrees with the service's to {max(1, round(abs(seconds)))} s")


# --------------------------------------------------------------------------------------------------------- the network


def check_proxy(settings: Settings, reach: Reach | None) -> Finding:
    """Check the proxy for the endpoint."""
    check, proxy, error = "proxy", settings.proxy, settings.proxy_error
    if error is not None:
        return failed(check, f"{error.argument}: {error.problem}", error.remedy or "correct it", misuse=True)
    if settings.endpoint is None:
        return skipped(check, "no endpoint")
    if proxy is None:
        return ok(
            check,
            f"not used: NO_PROXY exempts the host from {settings.exempt_from}" if settings.exempt_from else "not used",
        )
    trouble = None if reach is None else reach.trouble
    if trouble is not None and trouble.stage == "dns":
        return failed(check, f"{proxy}: {trouble.reason}", f"correct {proxy.source}, or unset it")
    if trouble is not None and trouble.stage == "proxy":
        host = settings.endpoint.url.partition("//")[2].partition("/")[0]
        remedy = f"allow {host} there, correct {proxy.source}, or add the host to NO_PROXY"
        return failed(check, trouble.reason.partition(";")[0], f"{_login_hint(trouble)}{remedy}")
    login = " with a login" if proxy.user is not None else ""
    return ok(check, f"{proxy.url}{login}, from {proxy.source}")


def _login_hint(trouble: Trouble) -> str:
    if "407" not in trouble.reason:
        return ""
    return "put the login into the URL, as http://user:password@host:port, percent-encoded; or "


def check_tls(settings: Settings, reach: Reach | None) -> Finding:
    """Check the TLS handshake with the endpoint, and which certificates it trusts."""
    check, endpoint = "TLS", settings.endpoint
    if endpoint is None or reach is None:
        return skipped(check, "not tried")
    if endpoint.url.startswith("http:"):
        return ok(check, "not used: the endpoint is plain HTTP")
    bundles = " and ".join(f"{bundle.path} ({bundle.source})" for bundle in settings.bundles)
    trusted = f"the CA bundle {bundles}" if bundles else "the system's CA certificates"
    trouble = reach.trouble
    if trouble is None:
        seen = reach.certificate
        issuer = "through the proxy" if seen is None else f"{seen.version}, certificate issued by {seen.issuer}"
        return ok(check, f"{issuer}, trusted by {trusted}")
    if trouble.stage != "tls":
        return skipped(check, f"no connection to the endpoint; {trusted} would be trusted")
    if trouble.error is not None:
        return failed(
            check, str(trouble.error), trouble.error.remedy or f"correct {trouble.error.argument}", misuse=True
        )
    return failed(check, f"{trouble.reason}; trusted is {trusted}", _certificate_remedy(trouble.verify_code))


# Codes of OpenSSL (X509_V_ERR_*).
_NOT_YET_VALID, _EXPIRED, _WRONG_HOST = 9, 10, 62
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)


def _certificate_remedy(code: int) -> str:
    if code in (_NOT_YET_VALID, _EXPIRED):
        return "check the date of this machine; if it is right, the endpoint needs a new certificate"
    if code == _WRONG_HOST:
        return "the certificate is for another host: check the endpoint's URL, and whether a proxy answers in its place"
    if code in _UNKNOWN_AUTHORITY:
        return (
            "a proxy that inspects TLS, or an emulator, has signed it: get its CA certificate as a PEM file, "
            "and set AWS_CA_BUNDLE to a file with it"
        )
    return "check whether the endpoint speaks TLS on this port, and which proxy or firewall is on the way"


# ----------------------------------------------------------------------------------------------- region and endpoint


def check_region(settings: Settings) -> Finding:
    """Check the region's form, and say where it comes from."""
    source = "--region" if settings.region_source == "region" else settings.region_source
    error = settings.region_error
    if error is not None:
        return failed("region", f"{source}: {error.problem}", error.remedy, misuse=True)
    if settings.region_source == "the default":
        hint = "set AWS_REGION, or pass --region, if your models are in another one"
        return warning("region", f"{settings.region}, the default: no region is set", hint)
    return ok("region", f"{settings.region}, from {source}")


def check_endpoint(settings: Settings, reach: Reach | None) -> Finding:
    """Check that the endpoint can be reached, and that it looks like AWS's."""
    check, endpoint, error = "endpoint", settings.endpoint, settings.endpoint_error
    if error is not None:
        source = "--endpoint-url" if error.argument == "endpoint_url" else error.argument
        return failed(check, f"{source}: {error.problem}", error.remedy or f"correct {source}", misuse=True)
    if endpoint is None or reach is None:
        return skipped(check, "needs a region" if endpoint is None else "needs a proxy that can be used")
    source = {"region": f"the region {settings.region}", "endpoint_url": "--endpoint-url"}.get(
        endpoint.source, endpoint.source
    )
    fact = f"{endpoint.url}, from {source}"
    trouble = reach.trouble
    if trouble is not None and trouble.stage in ("dns", "connect", "http") and settings.proxy is None:
        return failed(check, f"{fact}: {trouble.reason}", _reach_remedy(trouble, settings))
    if trouble is not None and trouble.stage == "http":
        return failed(check, f"{fact}: {trouble.reason}", "check the proxy, and whether it lets this host pass")
    if trouble is not None:
        return skipped(check, f"{fact}; not reached, see above")
    if not reach.is_aws:
        doubt = f"{fact}, answers with HTTP {reach.status} and without a request id of AWS"
        return warning(check, doubt, "check the URL: it may be another service, or a proxy's page")
    address = reach.addresses[0] if reach.addresses and settings.proxy is None else endpoint.url
    where = "" if address in endpoint.url else f" ({address})"
    return ok(check, f"{fact}{where}, answers after {reach.seconds * 1000:.0f} ms")


def _reach_remedy(trouble: Trouble, settings: Settings) -> str:
    endpoint = settings.endpoint
    if endpoint is None or endpoint.source != "region":
        return "check the URL and its port, and that something listens there"
    if trouble.stage == "dns":
        return (
            f"check the spelling of the region {settings.region}, that Bedrock is offered there, and DNS on this "
            "machine; behind a proxy, set HTTPS_PROXY"
        )
    return (
        "check firewall, security group and route to the internet; without one, set HTTPS_PROXY, or create a VPC "
        "endpoint for bedrock-runtime"
    )


def _span(span: timedelta) -> str:
    """Return a length of time in words.

    >>> _span(timedelta(seconds=59)), _span(timedelta(minutes=61)), _span(timedelta(days=3))
    ('59 s', '61 min', '72 h')
    """
    seconds = round(abs(span).total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 120 * 60 else f"{round(seconds / 3600)} h"
