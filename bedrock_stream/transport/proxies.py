"""Choose the proxy of a request: the caller's, else that of the environment.

    https_proxy, HTTPS_PROXY | http_proxy, HTTP_PROXY, by the URL's scheme; then all_proxy, ALL_PROXY; except NO_PROXY

Pure: the environment is a parameter. The lower-case name takes precedence, and a blank variable counts as absent.
Loopback and link-local hosts, which include the credential endpoints of instances and containers, never use a proxy of
the environment. User and password are split off at once, so that they are not part of any URL that is logged.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed does not list it

from ..errors import ConfigurationError
from ..types.settings import Masked

__all__ = ("Proxy", "find_proxy", "read_proxy")

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[\w.-]+|\[[\w.:%]+\]")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(:\d*)?")
_FORM = "use http://[user:password@]host:port"


class Proxy(Masked, frozen=True):
    """A proxy and its source."""

    url: str
    """Scheme, host and port, without user and password."""
    user: str | None
    password: str | None
    source: str
    """The argument or variable that it comes from."""

    def __repr__(self) -> str:
        return f"Proxy({self.url!r}, source={self.source!r}{'' if self.user is None else ', user=..., password=...'})"

    def __str__(self) -> str:
        return f"the proxy {self.url.partition('//')[2]} ({self.source})"

    @property
    def authorization(self) -> str | None:
        """The value of `Proxy-Authorization`, or None without a user."""
        if self.user is None:
            return None
        return "Basic " + base64.b64encode(f"{self.user}:{self.password or ''}".encode()).decode()


def find_proxy(url: str, explicit: str | None, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for a URL, or None. An explicit proxy is used for every URL; an empty str disables proxies.

    Raises `ConfigurationError` if the argument or the variable does not hold a proxy URL.
    """
    if explicit is not None:
        return read_proxy(explicit, "proxy") if explicit else None
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if _is_local(host):
        return None
    variables = dict(environ)  # a lookup in os.environ ignores the case on Windows, a lookup in a dict does not
    source = _first_set(_names(parts.scheme, variables), variables)
    if source is None:
        return None
    exempt = _first_set(("no_proxy", "NO_PROXY"), variables)
    if exempt is not None and _is_exempt(host, parts.port or _PORTS[parts.scheme], variables[exempt]):
        return None
    return read_proxy(variables[source], source)


def read_proxy(value: str, source: str) -> Proxy:
    """Parse a proxy; without a scheme it is http. Raises `ConfigurationError`, which never contains the password."""
    if not isinstance(value, str):
        raise ConfigurationError(source, f"expected a str, got {type(value).__name__}", _FORM)
    url = value.strip() if "://" in value else f"http://{value.strip()}"
    shown = url.rpartition("@")[2]
    scheme = url.partition("://")[0].lower()
    if scheme not in _PORTS:
        raise ConfigurationError(source, f"unsupported proxy scheme {scheme[:20]!r}", "use an http:// proxy")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if not _AUTHORITY.fullmatch(parts.netloc.rpartition("@")[2]):  # what follows a bracket is lost in `hostname`
            host = None
    except ValueError:
        host = port = None
    # An @ after the host comes from a password with an unencoded / or #, which ends the host part of the URL.
    rest = "" if host is None else parts.path + parts.query + parts.fragment
    name = f"[{host}]" if host and ":" in host else host or ""
    if not _HOST.fullmatch(name) or not url.isprintable() or "@" in rest:
        problem = f"expected a proxy URL, got {shown!r}"
        raise ConfigurationError(source, problem, f"{_FORM}, user and password percent-encoded")
    # Only scheme, host and port are kept. A path has no meaning for a proxy.
    address = f"{scheme}://{name}:{port or _PORTS[scheme]}"
    if parts.username is None:
        return Proxy(address, None, None, source)
    user = unquote(parts.username)
    if ":" in user:  # basic authentication separates user and password by the first colon (RFC 7617)
        raise ConfigurationError(
            source, "the user name contains a colon, which basic authentication does not allow", "use another user"
        )
    return Proxy(address, user, unquote(parts.password or ""), source)


def _names(scheme: str, variables: Mapping[str, str]) -> Iterable[str]:
    # Under CGI (REQUEST_METHOD is set) the `Proxy:` header of any client becomes HTTP_PROXY, so it is not trusted.
    upper = () if scheme == "http" and "REQUEST_METHOD" in variables else (f"{scheme.upper()}_PROXY",)
    return (f"{scheme}_proxy", *upper, "all_proxy", "ALL_PROXY")


def _first_set(names: Iterable[str], variables: Mapping[str, str]) -> str | None:
    return next((name for name in names if variables.get(name, "").strip()), None)


def _is_local(host: str) -> bool:
    """Return whether the host is loopback or link-local."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_link_local)


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Return whether NO_PROXY covers the host: `*`, networks, and names and suffixes as in the standard library."""
    entries = re.split(r"[\s,]+", no_proxy)
    if "*" in entries:
        return True
    address = _address(host)
    if address is not None and any(_covers(entry, address) for entry in entries):
        return True
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return bool(proxy_bypass_environment(authority, {"no": ",".join(entry.lstrip("*") for entry in entries)}))


def _covers(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
