"""Resolve the region and the endpoint of a service, from arguments, environment variables and profile settings.

    https://{service}[-fips].{region}.{suffix of the partition}

bedrock-mantle has one host in each region, `bedrock-mantle.{region}.api.aws`: no FIPS endpoint, no other partition than
the standard one and GovCloud, and IPv4 and IPv6 behind the same name.

Pure: the environment and the profile settings are parameters. The region is part of the host name that is signed, so it
must be a single host label. Source: the endpoint rule sets of the service models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote

import msgspec

from ..errors import ConfigurationError, UnsupportedOperation
from ..types.settings import DEFAULT_REGION, check_region

__all__ = (
    "BEDROCK_MANTLE",
    "BEDROCK_RUNTIME",
    "STS",
    "Endpoint",
    "Service",
    "find_region",
    "host_header",
    "in_standard_partition",
    "is_loopback",
    "resolve_endpoint",
    "resolve_region",
)


_URL_FORM = "use https://host[:port][/path]"
_URL = re.compile(r"(https?)://(\[[^\[\]/]+\]|[^\[\]/:]+)(?::([0-9]*))?(/.*)?", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile("[a-z0-9_-]{1,63}")
_ASCII = "".join(map(chr, range(33, 127)))


class _Partition(msgspec.Struct, frozen=True):
    regions: str
    suffix: str
    dual_stack_suffix: str


# From botocore's partition data.
_PARTITIONS = (
    _Partition(r"(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+", "amazonaws.com", "api.aws"),  # aws
    _Partition(r"cn-\w+-\d+", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),  # aws-cn
    _Partition(r"us-gov-\w+-\d+", "amazonaws.com", "api.aws"),  # aws-us-gov
    _Partition(r"eusc-(de)-\w+-\d+", "amazonaws.eu", "api.amazonwebservices.eu"),  # aws-eusc
    _Partition(r"us-iso-\w+-\d+", "c2s.ic.gov", "api.aws.ic.gov"),  # aws-iso
    _Partition(r"us-isob-\w+-\d+", "sc2s.sgov.gov", "api.aws.scloud"),  # aws-iso-b
    _Partition(r"eu-isoe-\w+-\d+", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),  # aws-iso-e
    _Partition(r"us-isof-\w+-\d+", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),  # aws-iso-f
)


class Service(msgspec.Struct, frozen=True):
    """A service with a host in each region."""

    host: str
    """The first label of its host name."""
    name: str
    """Its name in profile settings, and in upper case in environment variables."""
    plain_fips_regions: str = r"(?!)"
    """A pattern of the regions where its host without `-fips` is the FIPS endpoint; none by default."""
    signing_name: str = "bedrock"
    """Its name in the scope of a signature."""


BEDROCK_RUNTIME = Service("bedrock-runtime", "bedrock_runtime")
# The rule set of STS maps FIPS in GovCloud to the plain host, unless dual-stack is on.
STS = Service("sts", "sts", r"us-gov-\w+-\d+", "sts")
BEDROCK_MANTLE = Service("bedrock-mantle", "bedrock_mantle", signing_name="bedrock-mantle")
_MANTLE_PARTITIONS = (0, 2)  # of `_PARTITIONS`


class Endpoint(msgspec.Struct, frozen=True):
    """A base URL and its source."""

    url: str
    """Scheme, host and base path, without a trailing slash."""
    source: str
    """`region`, or the name of the argument, variable or setting that the URL comes from."""


def resolve_region(explicit: str | None, environ: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """Return the region: argument > `AWS_REGION` > `AWS_DEFAULT_REGION` > profile > `us-east-1`.

    Raises `ConfigurationError` if it is not a host label.
    """
    region, source = find_region(explicit, environ, settings)
    return check_region(region, source)


def find_region(explicit: str | None, environ: Mapping[str, str], settings: Mapping[str, str]) -> tuple[str, str]:
    """Return the region as it is set, unchecked, and where: `region`, a variable, the profile or the default."""
    if explicit is not None:
        return explicit, "region"
    # botocore reads only AWS_DEFAULT_REGION, the other AWS SDKs read AWS_REGION. A blank variable counts as absent.
    for source in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if environ.get(source):
            return environ[source], source
    if settings.get("region"):
        return settings["region"], "region of the profile"
    return DEFAULT_REGION, "the default"


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
    """Return the endpoint: argument > `AWS_ENDPOINT_URL_{SERVICE}` > `AWS_ENDPOINT_URL` > profile > the region's host.

    Raises `ConfigurationError` for a custom endpoint that is not a URL or that is combined with FIPS or dual-stack, and
    for http to another machine, which exposes the request and an API key in it, unless `allow_http` is set.
    """
    fips = _switch(use_fips, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", environ, settings)
    if service is BEDROCK_MANTLE:
        return _mantle_endpoint(region, _custom_endpoint(service, endpoint_url, environ, settings), allow_http, fips)
    dual_stack = _switch(use_dual_stack, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", environ, settings)
    custom = _custom_endpoint(service, endpoint_url, environ, settings)
    if custom is None:
        return Endpoint(_regional(service, region, fips=fips, dual_stack=dual_stack), "region")
    if fips or dual_stack:
        # A rule of the service's endpoint rule set: both select a host name, as a custom endpoint does.
        kind = "FIPS" if fips else "dual-stack"
        problem = f"a custom endpoint cannot be combined with {kind}"
        raise ConfigurationError(custom.source, problem, "drop one of them")
    return _check_url(service, custom, allow_http)


def _mantle_endpoint(region: str, custom: Endpoint | None, allow_http: bool, fips: bool) -> Endpoint:
    if fips:
        raise UnsupportedOperation("use_fips", "bedrock-mantle has no FIPS endpoint", 'use endpoint="runtime"')
    if custom is not None:
        return _check_url(BEDROCK_MANTLE, custom, allow_http)
    partition = _partition(region)
    if partition not in [_PARTITIONS[index] for index in _MANTLE_PARTITIONS]:
        problem = f"bedrock-mantle has no endpoint in {region!r}"
        raise UnsupportedOperation("region", problem, 'use endpoint="runtime", or another region')
    return Endpoint(f"https://{BEDROCK_MANTLE.host}.{region}.{partition.dual_stack_suffix}", "region")


def in_standard_partition(region: str) -> bool:
    """Return whether a region belongs to AWS's standard partition: not to China, GovCloud or another separate cloud."""
    return _partition(region) is _PARTITIONS[0]


def _partition(region: str) -> _Partition:
    # The rules put an unknown region into the first partition, `aws`.
    return next((p for p in _PARTITIONS if re.fullmatch(p.regions, region)), _PARTITIONS[0])


def _regional(service: Service, region: str, *, fips: bool, dual_stack: bool) -> str:
    partition = _partition(region)
    suffix = partition.dual_stack_suffix if dual_stack else partition.suffix
    fips_label = fips and (dual_stack or not re.fullmatch(service.plain_fips_regions, region))
    return f"https://{service.host}{'-fips' if fips_label else ''}.{region}.{suffix}"


def _custom_endpoint(
    service: Service, explicit: str | None, environ: Mapping[str, str], settings: Mapping[str, str]
) -> Endpoint | None:
    if explicit is not None:
        if not isinstance(explicit, str):
            raise ConfigurationError("endpoint_url", f"expected a str, got {type(explicit).__name__}", _URL_FORM)
        return Endpoint(explicit.rstrip("/"), "endpoint_url")
    # The setting disables endpoints from the environment and the profile, never the argument.
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
    # As in botocore: only "true" in any case turns a switch on, and a variable takes precedence over the profile.
    return (environ.get(variable) or settings.get(setting) or "").strip().lower() == "true"


@lru_cache(maxsize=64)  # the endpoint is the same for most calls
def _check_url(service: Service, endpoint: Endpoint, allow_http: bool) -> Endpoint:
    """Return the endpoint in the form in which its URL is sent and signed."""
    url = endpoint.url
    parts = _URL.fullmatch(url)
    host = None if parts is None else _read_host(parts[2])
    port = _read_port(parts[1], parts[3]) if parts else None
    # Reject query, fragment, user info and control characters: the URL is a prefix of every request's URL.
    if parts is None or not host or port is None or not url.isprintable() or set(url) & set(" ?#@"):
        # The text before an @ may be a password.
        shown = re.sub("//.*@", "//...@", url)
        raise ConfigurationError(endpoint.source, f"expected an endpoint URL, got {shown!r}", _URL_FORM)
    scheme, path = parts[1].lower(), quote(parts[4] or "", safe=_ASCII)
    if scheme == "http" and not allow_http and not is_loopback(host.strip("[]").removesuffix(".")):
        remedy = "use https, or Client(allow_http=True)" if service is not STS else "use https"
        raise ConfigurationError(endpoint.source, f"{url!r} would send credentials unencrypted", remedy)
    return Endpoint(f"{scheme}://{host}{port}{path}", endpoint.source)


def _read_host(host: str) -> str | None:
    """Return a host in the form in which it is sent: in lower case and ASCII, an address in its short form."""
    try:
        if host.startswith("["):
            return f"[{IPv6Address(host[1:-1]).compressed}]"
        name = host.removesuffix(".")
        name = (name if name.isascii() else _to_ascii(name)).lower()
        labels = name.split(".")
        if labels[-1].isdigit():  # no top-level domain is a number
            return str(IPv4Address(name))
    except ValueError:
        return None
    is_valid = len(name) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return name + host[len(host.removesuffix(".")) :] if is_valid else None


def _to_ascii(name: str) -> str:
    """Return an internationalized name in ASCII. Raises `ValueError`."""
    try:
        import idna  # yarl, which aiohttp needs, requires it; the codec of the standard library has the rules of 2003
    except ImportError:
        return name.encode("idna").decode()
    return idna.encode(name, uts46=True).decode()


def _read_port(scheme: str, port: str | None) -> str | None:
    """Return `:port`, empty for the scheme's own port, or None for an invalid one."""
    if not port:
        return ""
    number = int(port) if len(port.lstrip("0")) <= 5 else 0
    if not 0 < number <= 65535:
        return None
    return "" if number == {"http": 80, "https": 443}[scheme.lower()] else f":{number}"


def host_header(url: str) -> tuple[tuple[str, str], ...]:
    """Return the `Host` header for an endpoint's URL where HTTP clients send another host than the URL's.

    They send a name that ends in a dot, which resolvers take as complete, without the dot.
    """
    name, colon, port = url.split("/", 3)[2].partition(":")
    return (("Host", f"{name[:-1]}{colon}{port}"),) if name.endswith(".") else ()


def is_loopback(host: str) -> bool:
    """Return whether a host name or an address belongs to the loopback interface, which other machines cannot reach.

    >>> is_loopback("127.0.0.1"), is_loopback("app.localhost"), is_loopback("localhost.example.com")
    (True, True, False)
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
