"""Who gets in: a browser on this machine that was given the token of this run, asking from the playground's own page.

Three questions for each request. `Host`: is it meant for loopback? A page elsewhere can give its own name a loopback
address. `Origin`: does it come from this page? A page elsewhere can post here. The token: was this browser let in?
Other users of the machine can connect too. The address that is printed carries the token once; from then on it is a
cookie that no script can read.
"""

from __future__ import annotations

from secrets import compare_digest
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...request.endpoints import host_of, is_loopback

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
    """Stands in front of the app, and puts its headers on every answer."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        enters = scope["path"] == "/" and self._knows(_token_of(scope))
        known = enters or self._knows(HTTPConnection(scope).cookies.get(_cookie_name(headers)))
        entry = self._cookie(headers) if enters else None

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                given.update(_HEADERS)
                if entry is not None:
                    given.append("Set-Cookie", entry)
            await send(message)

        answer = _refusal(scope["method"], headers, known) or self._app
        await answer(scope, receive, send_guarded)

    def _knows(self, token: str | None) -> bool:
        return token is not None and compare_digest(token.encode(), self._token)

    def _cookie(self, headers: Headers) -> str:
        return f"{_cookie_name(headers)}={self._token.decode()}; HttpOnly; SameSite=Strict; Path=/"


def _refusal(method: str, headers: Headers, known: bool) -> Response | None:
    host = headers.get("host", "")
    if not is_loopback(host_of(f"//{host}")):
        return PlainTextResponse("This playground answers on loopback only.", 403)
    origin = headers.get("origin")
    if origin is None and method not in _SAFE_METHODS:
        return PlainTextResponse("A request that does something needs an Origin.", 403)
    if origin is not None and origin != f"http://{host}":
        return PlainTextResponse("This playground answers its own page only.", 403)
    if not known:
        return PlainTextResponse("Open the address that `bedrock-stream play` printed: it carries the token.", 401)
    return None


def _cookie_name(headers: Headers) -> str:
    """Browsers share cookies between the ports of a host; two playgrounds must not evict each other."""
    try:
        port = urlsplit(f"//{headers.get('host', '')}").port
    except ValueError:
        port = None
    return f"bedrock-stream-play-{port or 80}"


def _token_of(scope: Scope) -> str | None:
    given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
    return given[0] if given else None
