"""Who gets in. A page in a browser can send requests to whatever listens on loopback, under names of its own (DNS
rebinding), so names are checked however the gateway is bound:

- `Host` must be a loopback name or one that the owner listed. Where keys are set, an address in numbers will do, since
  no page can come to own one.
- `Origin`, where a browser sends one, must be loopback or listed.
- Without keys only this machine is answered, by the peer's address; with keys the request must carry one of them.

Keys are compared in a time that tells nothing of them, and appear in no log and no repr.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import ConfigurationError
from ..request.endpoints import host_of, is_loopback
from .errors import Refused, refuse

__all__ = ("Guard", "Keys")

_SHORTEST_KEY = 16


class Keys:
    """Who carries one of these gets in; with none at all, nobody needs any. They do not show.

    Raises `ConfigurationError` for a key that could be guessed, and for an empty list; it does not repeat a key.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: str | Iterable[str] | None) -> None:
        given = (keys,) if isinstance(keys, str) else tuple(keys or ())
        if keys is not None and not given:
            raise ConfigurationError("keys", "there are none", "give one, or None for this machine only")
        for key in given:
            if not isinstance(key, str) or len(key.strip()) < _SHORTEST_KEY or key != key.strip():
                raise ConfigurationError(
                    "keys", "a key is too short, or not usable in a header", f"give {_SHORTEST_KEY} characters or more"
                )
        self._keys = tuple(key.encode() for key in given)

    def __repr__(self) -> str:
        return f"<{len(self)} keys>"

    def __len__(self) -> int:
        return len(self._keys)

    def fit(self, authorization: str) -> bool:
        """Whether an `Authorization` header carries one of them."""
        scheme, _, given = authorization.partition(" ")
        token = given.strip().encode("utf-8", "surrogateescape")
        # Every key is compared, so that the time does not tell which was nearly right.
        matches = [hmac.compare_digest(token, key) for key in self._keys]
        return scheme.lower() == "bearer" and any(matches)


class Guard:
    """ASGI middleware that lets through what may pass."""

    def __init__(self, app: ASGIApp, *, keys: Keys, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._app = app
        self._keys = keys
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        if self._hosts and not keys:
            raise ConfigurationError("hosts", "names that others can reach need a key", "give keys=[...]")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except Refused as refused:
                await refuse(refused)(scope, receive, send)
                return
        elif scope["type"] != "lifespan":
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = host_of(f"//{headers.get('host', '')}")
        if not (is_loopback(host) or host in self._hosts or (self._keys and _is_address(host))):
            raise Refused(403, "This gateway does not answer under that Host.", code="host_not_allowed", param="Host")
        for origin in headers.getlist("origin"):
            if origin.lower() not in self._origins and not is_loopback(host_of(origin)):
                raise Refused(403, "This gateway does not answer pages of that Origin.", code="origin_not_allowed")
        if self._keys:
            if not self._keys.fit(headers.get("authorization", "")):
                raise Refused(
                    401, "The key is missing or not known: Authorization: Bearer KEY.", code="invalid_api_key"
                )
        elif (client := scope.get("client")) is not None and not is_loopback(client[0]):
            raise Refused(403, "This gateway has no key, so it answers its own machine only.", code="key_needed")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
