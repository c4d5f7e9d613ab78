"""Access control: only the playground's own page, in a browser that opened it with the token of this run.

Every request is checked for three things:

- `Host` must be loopback. A foreign page can resolve its own name to a loopback address (DNS rebinding).
- `Origin` must be this page, and is required for a request that is not safe. A foreign page can post to loopback.
- The token must be right, because other users of the machine can connect to loopback too. The printed address carries
  it once; from then on it is a cookie that scripts cannot read.
"""

from __future__ import annotations

from secrets import compare_digest
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...request.endpoints import is_loopback
from ...request.origins import host_of_header

__all__ = ("Guard",)

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_SAFE_METHODS = frozenset({"GET", "HEAD"})


class Guard:
    """ASGI middleware that checks every request and adds security headers to every response."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        has_query_token = scope["path"] == "/" and self._is_valid(_query_token(scope))
        authorized = has_query_token or self._is_valid(HTTPConnection(scope).cookies.get(_cookie_name(headers)))
        cookie = self._cookie(headers) if has_query_token else None

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                response_headers = MutableHeaders(scope=message)
                response_headers.update(_HEADERS)
                if cookie is not None:
                    response_headers.append("Set-Cookie", cookie)
            await send(message)

        app = _rejection(scope["method"], headers, authorized) or self._app
        await app(scope, receive, send_guarded)

    def _is_valid(self, token: str | None) -> bool:
        # Compared in constant time, so that the time does not reveal how much of a guess is right.
        return token is not None and compare_digest(token.encode(), self._token)

    def _cookie(self, headers: Headers) -> str:
        return f"{_cookie_name(headers)}={self._token.decode()}; HttpOnly; SameSite=Strict; Path=/"


def _rejection(method: str, headers: Headers, authorized: bool) -> Response | None:
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not is_loopback(host_of_header(hosts[0])):
        return PlainTextResponse("Host not allowed: the playground is available on loopback only.", 403)
    origin = headers.get("origin")
    if origin is None and method not in _SAFE_METHODS:
        return PlainTextResponse("Origin header required.", 403)
    # Other ports of loopback belong to other servers, so the origin must match the port too.
    if origin is not None and origin != f"http://{hosts[0]}":
        return PlainTextResponse("Origin not allowed: the playground accepts requests from its own page only.", 403)
    if not authorized:
        return PlainTextResponse("Missing or invalid token: open the address that `bedrock-stream play` printed.", 401)
    return None


def _cookie_name(headers: Headers) -> str:
    # Browsers share cookies between the ports of a host, so two playgrounds need cookies of different names.
    try:
        port = urlsplit(f"//{headers.get('host', '')}").port
    except ValueError:
        port = None
    return f"bedrock-stream-play-{port or 80}"


def _query_token(scope: Scope) -> str | None:
    values = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
    return values[0] if values else None
