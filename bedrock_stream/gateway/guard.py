"""Access control: Host, Origin, API key. A web page can send requests to any server on loopback, under a host name of
its own (DNS rebinding), so host names are checked whatever address the gateway is bound to:

- `Host` must be a loopback name or one of `hosts`. With API keys, an IP address is allowed too, since DNS rebinding
  needs a name.
- `Origin`, if present, must be loopback or one of `origins`.
- Without API keys, the peer's address must be loopback, and the request must not come through a proxy: other machines
  may be behind it. With API keys, the request must carry one of them.

Keys are compared in constant time and never appear in a log or a repr.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import ConfigurationError
from ..request.endpoints import is_loopback
from ..request.origins import host_of_header, host_of_origin
from .errors import RequestError, error_response

__all__ = ("ApiKeys", "Guard")

_MIN_KEY_LENGTH = 16
# Headers that proxies, load balancers and CDNs add: Forwarded, X-Forwarded-*, Via, X-Real-IP, X-Client-IP,
# True-Client-IP, CF-Connecting-IP, X-Envoy-External-Address, X-Azure-SocketIP, X-Appengine-User-IP, Cdn-Loop, ...
_FORWARDING = re.compile(
    r".*forwarded.*|via|cdn-loop|x-original-(host|url)"
    r"|(.*-)?(client|real|remote|connecting|originating|user|proxyuser|source|src|socket|peer|cluster|external)"
    r"-?(connection-)?(ip|ipv4|ipv6|addr|address)"
)


class ApiKeys:
    """The API keys that clients may use; empty if no key is required. The repr does not show them.

    Raises `ConfigurationError` for an empty list and for a key that is short enough to guess; the error does not
    contain the key.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: str | Iterable[str] | None) -> None:
        values = (keys,) if isinstance(keys, str) else tuple(keys or ())
        if keys is not None and not values:
            raise ConfigurationError("keys", "the list is empty", "pass a key, or None to accept only this machine")
        for key in values:
            if not isinstance(key, str) or len(key.strip()) < _MIN_KEY_LENGTH or key != key.strip():
                raise ConfigurationError(
                    "keys", f"expected keys of at least {_MIN_KEY_LENGTH} characters, without whitespace around them"
                )
        self._keys = tuple(key.encode() for key in values)

    def __repr__(self) -> str:
        return f"<{len(self)} keys>"

    def __len__(self) -> int:
        return len(self._keys)

    def match(self, authorization: str) -> bool:
        """Return True if an `Authorization` header carries one of the keys as a bearer token."""
        scheme, _, credentials = authorization.partition(" ")
        token = credentials.strip().encode("utf-8", "surrogateescape")
        # Every key is compared, so that the time taken does not depend on which key matches.
        matches = [hmac.compare_digest(token, key) for key in self._keys]
        return scheme.lower() == "bearer" and any(matches)


class Guard:
    """ASGI middleware that rejects requests without access."""

    def __init__(self, app: ASGIApp, *, keys: ApiKeys, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._app = app
        self._keys = keys
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        if self._hosts and not keys:
            raise ConfigurationError(
                "hosts", "host names that other machines can reach require API keys", "pass keys=[...]"
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except RequestError as error:
                await error_response(scope, error)(scope, receive, send)
                return
        elif scope["type"] != "lifespan":
            return  # a WebSocket; the gateway has none, and it would bypass the checks
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_allowed(host_of_header(hosts[0])):
            raise RequestError(403, "Host not allowed.", code="host_not_allowed", param="Host")
        # Only browsers send Origin; "null" (sandboxed pages, files) is not an allowed origin.
        for origin in headers.getlist("origin"):
            if origin.lower() not in self._origins and not is_loopback(host_of_origin(origin)):
                raise RequestError(403, "Origin not allowed.", code="origin_not_allowed")
        if not self._keys:
            _check_peer(scope, headers)
        elif not self._keys.match(headers.get("authorization", "")):
            problem = "Missing or unknown API key: expected `Authorization: Bearer KEY`."
            raise RequestError(401, problem, code="invalid_api_key")

    def _is_allowed(self, host: str) -> bool:
        return is_loopback(host) or (host != "" and host in self._hosts) or (len(self._keys) > 0 and _is_address(host))


def _check_peer(scope: Scope, headers: Headers) -> None:
    """Check that a request without an API key was sent by this machine, and by no proxy on it."""
    # ASGI servers report no client address on a Unix socket; its peer is on this machine.
    host, port = scope.get("client") or ("127.0.0.1", None)
    # Servers that take the address from a forwarding header (uvicorn's `proxy_headers`) report port 0 with it.
    if not is_loopback(host) or port == 0:
        problem = "Without API keys, this gateway accepts requests from its own machine only."
        raise RequestError(403, problem, code="key_needed")
    for name in headers:
        if _FORWARDING.fullmatch(name.lower().replace("_", "-")):
            problem = (
                f"Without API keys, this gateway accepts no forwarded requests, and this one has the header {name}."
            )
            raise RequestError(403, problem, code="key_needed")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
