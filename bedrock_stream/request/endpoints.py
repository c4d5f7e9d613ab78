"""Where a request goes: region, partition, and what overrides them.

    https://{service}[-fips].{region}.{suffix of the partition}

Pure: environment and profile settings are handed in. The region builds the host that we sign for, so it must be one
host label. Source: the endpoint rule sets of the service models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from ..errors import ConfigurationError
from ..types.settings import DEFAULT_REGION, check_region

__all__ = (
    "BEDROCK_RUNTIME",
    "STS",
    "Endpoint",
    "Service",
    "is_loopback",
    "resolve_endpoint",
    "resolve_region",
)


class _Partition(msgspec.Struct, frozen=True):
    regions: str
    suffix: str
    dual_stack_suffix: str


_PARTITIONS = (
    _Partition(r"(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+", "amazonaws.com", "api.aws"),
    _Partition(r"cn-\w+-\d+", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    _Partition(r"us-gov-\w+-\d+", "amazonaws.com", "api.aws"),
    _Partition(r"eusc-(de)-\w+-\d+", "amazonaws.eu", "api.amazonwebservices.eu"),
    _Partition(r"us-iso-\w+-\d+", "c2s.ic.gov", "api.aws.ic.gov"),
    _Partition(r"us-isob-\w+-\d+", "sc2s.sgov.gov", "api.aws.scloud"),
    _Partition(r"eu-isoe-\w+-\d+", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    _Partition(r"us-isof-\w+-\d+", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
)


class Service(msgspec.Struct, frozen=True):
    """A service that has a host in each region."""

    host: str
    """The first label of its host."""
    name: str
    """Its name in the settings; in capitals, in the variables."""
    fips_as_it_is: str = r"(?!)"
    """The regions, as a pattern, where its plain host is the FIPS one."""


BEDROCK_RUNTIME = Service("bedrock-runtime", "bedrock_runtime")


STS = Service("sts", "sts", r"us-gov-\w+-\d+")


class Endpoint(msgspec.Struct, frozen=True):
    """An address and where it was found."""

    url: str
    """Scheme, host and base path, without a slash at the end."""
    source: str
    """`region`, or the name of the argument, variable or setting that gave it."""


def resolve_region(explicit: str | None, environ: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """Argument > `AWS_REGION` > `AWS_DEFAULT_REGION` > profile > `us-east-1`."""
    if explicit is not None:
        return check_region(explicit, "region")
    for source in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if environ.get(source):
            return check_region(environ[source], source)
    if settings.get("region"):
        return check_region(settings["region"], "region of the profile")
    return DEFAULT_REGION


def resolve_endpoint(
    region: str,
    environ: Mapping[str, str],
    settings: Mapping[str, str],
    *,
    service: Service = BEDROCK_RUNTIME,
    endpoint_url: str | None = None,
    use_fips: bool | None = None,
    use_dual_stack: bool | None = None,
    allow_http: bool = False,
) -> Endpoint:
    """Argument > `AWS_ENDPOINT_URL_{SERVICE}` > `AWS_ENDPOINT_URL` > profile > the region's own host.

    Plain http away from this machine would send the request, and with an API key the key itself, for all to read:
    refused unless `allow_http`.
    """
    fips = _switch(use_fips, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", environ, settings)
    dual_stack = _switch(use_dual_stack, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", environ, settings)
    custom = _custom(service, endpoint_url, environ, settings)
    if custom is None:
        return Endpoint(_regional(service, region, fips=fips, dual_stack=dual_stack), "region")
    if fips or dual_stack:
        kind = "FIPS" if fips else "dual-stack"
        raise ConfigurationError(custom.source, f"a custom endpoint and {kind} exclude each other", "drop one of them")
    _check_url(service, custom, allow_http)
    return custom


def _regional(service: Service, region: str, *, fips: bool, dual_stack: bool) -> str:
    partition = next((p for p in _PARTITIONS if re.fullmatch(p.regions, region)), _PARTITIONS[0])
    suffix = partition.dual_stack_suffix if dual_stack else partition.suffix
    marked = fips and (dual_stack or not re.fullmatch(service.fips_as_it_is, region))
    return f"https://{service.host}{'-fips' if marked else ''}.{region}.{suffix}"


def _custom(
    service: Service, explicit: str | None, environ: Mapping[str, str], settings: Mapping[str, str]
) -> Endpoint | None:
    if explicit is not None:
        if not isinstance(explicit, str):
            raise ConfigurationError("endpoint_url", f"a {type(explicit).__name__} is no address", "use a str")
        return Endpoint(explicit.rstrip("/"), "endpoint_url")
    if _switch(None, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls", environ, settings):
        return None
    for name in (f"AWS_ENDPOINT_URL_{service.name.upper()}", "AWS_ENDPOINT_URL"):
        if environ.get(name):
            return Endpoint(environ[name].rstrip("/"), name)
    for name in (f"{service.name}.endpoint_url", "endpoint_url"):
        if settings.get(name):
            return Endpoint(settings[name].rstrip("/"), f"{name} of the profile")
    return None


def _switch(
    explicit: bool | None, variable: str, setting: str, environ: Mapping[str, str], settings: Mapping[str, str]
) -> bool:
    if explicit is not None:
        return explicit
    return (environ.get(variable) or settings.get(setting) or "").strip().lower() == "true"


@lru_cache(maxsize=64)  # the same one with every call
def _check_url(service: Service, endpoint: Endpoint, allow_http: bool) -> None:
    url = endpoint.url
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    # What else could stand in a URL has no place here, least of all a password or a line break.
    if not host or parts.scheme not in ("http", "https") or not url.isprintable() or set(url) & set(" ?#@"):
        shown = re.sub("//.*@", "//...@", url)
        raise ConfigurationError(endpoint.source, f"{shown!r} is no endpoint", "use https://host[:port][/path]")
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        remedy = "use https, or Client(allow_http=True)" if service is BEDROCK_RUNTIME else "use https"
        raise ConfigurationError(endpoint.source, f"{url!r} would send credentials unencrypted", remedy)


def host_of(url: str) -> str:
    """Return the host name in a URL, or in `//` with a `Host` header behind it; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # brackets that hold no address
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host's name or address stands for this machine, so that no other one can reach or hear it.

    >>> is_loopback("127.0.0.1"), is_loopback("app.localhost"), is_loopback("localhost.example.com")
    (True, True, False)
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
