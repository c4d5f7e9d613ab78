"""Which proxy a request takes: the one that the caller names, else the one that the environment names.

    https_proxy, HTTPS_PROXY | http_proxy, HTTP_PROXY, by the address's scheme; then all_proxy, ALL_PROXY; but NO_PROXY

Pure: the environment is handed in. Lower case comes first, a blank variable counts as absent. What stays on this
machine or its link, and with it whatever gives keys there, never takes a proxy of the environment. User and password
are split off at once, so no address that anybody prints holds them.
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
_FORM = "use http://[user:password@]host:port"


class Proxy(Masked, frozen=True):
    """A proxy, and where it was named."""

    url: str
    """Scheme, host and port; nothing secret."""
    user: str | None
    password: str | None
    source: str
    """The argument or variable that names it."""

    def __repr__(self) -> str:
        return f"Proxy({self.url!r}, source={self.source!r}{'' if self.user is None else ', user=..., password=...'})"

    def __str__(self) -> str:
        return f"the proxy {self.url.partition('//')[2]} ({self.source})"

    @property
    def authorization(self) -> str | None:
        """The value of `Proxy-Authorization`."""
        if self.user is None:
            return None
        return "Basic " + base64.b64encode(f"{self.user}:{self.password or ''}".encode()).decode()


def find_proxy(url: str, explicit: str | None, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for this address, or None. An explicit one serves every address; an empty one means none at all.

    Raises `ConfigurationError` where what is named is no proxy.
    """
    if explicit is not None:
        return read_proxy(explicit, "proxy") if explicit else None
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if _is_near(host):
        return None
    variables = dict(environ)  # on Windows any case finds a variable, but only a true name is a key
    source = _first(_names(parts.scheme, variables), variables)
    if source is None:
        return None
    exempt = _first(("no_proxy", "NO_PROXY"), variables)
    if exempt is not None and _is_exempt(host, parts.port or _PORTS[parts.scheme], variables[exempt]):
        return None
    return read_proxy(variables[source], source)


def read_proxy(value: str, source: str) -> Proxy:
    """A proxy as people write it; without a scheme it is http. Raises `ConfigurationError`, which shows no password."""
    if not isinstance(value, str):
        raise ConfigurationError(source, f"a {type(value).__name__} is no proxy", _FORM)
    url = value.strip() if "://" in value else f"http://{value.strip()}"
    shown = url.rpartition("@")[2]
    scheme = url.partition("://")[0].lower()
    if scheme not in _PORTS:
        raise ConfigurationError(source, f"no proxy can be used by the scheme {scheme[:20]!r}", "use an http:// proxy")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    # An @ behind the host was meant to be before it: a password that holds / or # and is not encoded.
    rest = "" if host is None else parts.path + parts.query + parts.fragment
    name = f"[{host}]" if host and ":" in host else host or ""
    if not _HOST.fullmatch(name) or not url.isprintable() or "@" in rest:
        raise ConfigurationError(source, f"{shown!r} is no proxy", f"{_FORM}, user and password percent-encoded")
    address = f"{scheme}://{name}:{port or _PORTS[scheme]}"
    if parts.username is None:
        return Proxy(address, None, None, source)
    user = unquote(parts.username)
    if ":" in user:
        raise ConfigurationError(source, "a user's name with a colon cannot be sent to a proxy", "use another user")
    return Proxy(address, user, unquote(parts.password or ""), source)


def _names(scheme: str, variables: Mapping[str, str]) -> Iterable[str]:
    # A web server puts the header `Proxy:`, which anybody may send, into HTTP_PROXY of what it runs by CGI.
    upper = () if scheme == "http" and "REQUEST_METHOD" in variables else (f"{scheme.upper()}_PROXY",)
    return (f"{scheme}_proxy", *upper, "all_proxy", "ALL_PROXY")


def _first(names: Iterable[str], variables: Mapping[str, str]) -> str | None:
    return next((name for name in names if variables.get(name, "").strip()), None)


def _is_near(host: str) -> bool:
    """Is it this machine, or on its link?"""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_link_local)


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Is it spoken of in NO_PROXY? Names and their suffixes as the standard library has it; `*` and networks here."""
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
