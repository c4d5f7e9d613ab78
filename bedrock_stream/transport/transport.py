"""The HTTP requests of one event loop: connect and send with aiohttp, and return once the response's headers are here.

No class or exception of aiohttp or httptools leaves this folder. What aiohttp requires of us:
- It raises the same error for a full pool and for a slow connect, and runs nothing between taking a slot and sending.
  So the slots are ours (`limit=0` in aiohttp; see `slots`), and a request is signed with its slot held, just before it
  is sent.
- Its read timeout also counts while the consumer is busy, so all time limits are ours. They use asyncio, which aiohttp
  needs anyway: anyio would import a back end during the first request.
- A URL that is not marked as encoded is rewritten (`%3A` to `:`), which breaks the signature.
- `trust_env` would read `.netrc` and send what it holds, so proxies are looked up by us (see `proxies`).
- `proxy_auth` warns of its deprecation in new versions; the login is sent as the header that it would become.
- An error refers to the request's headers, and so to credentials. Only its text leaves this file.
- Connections of streams are read by our own protocol (see `http_protocol`). `ask` reads with aiohttp, on connections of
  its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import ssl
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from types import MappingProxyType
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from ..auth.sources import HttpAnswer
from ..errors import (
    BedrockStreamError,
    ClientClosed,
    ConnectionFailed,
    ConnectTimeout,
    FirstEventTimeout,
    TransportError,
)
from ..request.http import Request
from .connections import Address, Connector, StreamResponse, open_socket
from .http_protocol import ConnectionDropped, MalformedResponse
from .http_response import HttpResponse, Traffic
from .proxies import Proxy, find_proxy
from .route import Route, origin_of
from .slots import Lanes, LaneTicket, Slots

__all__ = ("Transport",)


_R = TypeVar("_R")

_LARGE_BODY = 1024 * 1024  # bytes

# Headers that aiohttp would add by itself.
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

_SMALL_BODY = 64 * 1024  # bytes; more than any service needs to return credentials


class Transport:
    """The connections of one event loop."""

    def __init__(
        self,
        *,
        max_connections: int,
        trust: Callable[[], Awaitable[ssl.SSLContext | None]],
        traffic: Traffic,
        proxy: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.slots: Slots = Slots(max_connections)
        """The slots of all open responses."""
        self.lanes: Lanes = Lanes(max_connections)
        """The learned slots, by region and model."""
        self._traffic = traffic
        self._trust = trust
        self._proxy = proxy
        self._environ = environ
        self._proxies: dict[str, Proxy | None] = {}
        self._responses: weakref.WeakSet[HttpResponse] = weakref.WeakSet()
        self._closed = False
        self._closing = asyncio.Event()
        self._scopes: set[asyncio.Timeout] = set()
        self._addresses: dict[str, Address] = {}
        self._session = _session(Connector(), response_class=StreamResponse)
        self._small = _session(aiohttp.TCPConnector(limit=0, socket_factory=open_socket, keepalive_timeout=30))

    @property
    def bytes_under_way(self) -> int:
        """Bytes received of responses that are still open."""
        return sum(response.bytes_received for response in list(self._responses) if not response.closed)

    async def open(
        self,
        request: Request,
        authorize: Callable[[], Awaitable[Mapping[str, str]]],
        *,
        pool: float | None,
        connect: float | None,
        headers_within: float | None,
        ticket: LaneTicket | None = None,
    ) -> HttpResponse:
        """Send a request and return once status and headers are here. `authorize` returns the last headers.

        With a `ticket`, a slot of its lane is held, too. Limits are in seconds.

        Raises `PoolTimeout`, `ConnectTimeout`, `FirstEventTimeout` (no headers within `headers_within`),
        `ConnectionFailed`, `ClientClosed`.
        """
        if self._closed:
            raise ClientClosed("the client is closed")
        route = await self._route_to(request.url)
        held: list[Slots | LaneTicket] = []
        began = monotonic()  # one limit for both waits
        try:
            for slots in (self.slots,) if ticket is None else (ticket, self.slots):
                await slots.acquire(pool, began)
                held.append(slots)
            added = await self._unless_closed(authorize())
            sent = asyncio.get_running_loop().time()
            opened = (await self._send(request, added, route, connect, headers_within)).opened
        except BaseException:
            for slots in held:
                slots.release()
            raise
        response = HttpResponse(opened, self._address(request.url), held, self._traffic, sent)
        self._responses.add(response)
        return response

    def _address(self, url: str) -> Address:
        return self._addresses.setdefault(origin_of(url), Address())

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: bytes = b"",
        seconds: float,
        direct: bool = False,
    ) -> HttpAnswer:
        """Send one small request and return its whole response; takes no slot. See `auth.sources.Http`."""
        if self._closed:
            raise ClientClosed("the client is closed")
        try:
            async with asyncio.timeout(seconds):
                route = await self._route_to(url, direct=direct)
                response = await self._request(
                    self._small, method, url, [*headers.items()], body or None, route, skip=_AUTOMATIC
                )
                try:
                    data = await _read_small(response)
                except (aiohttp.ClientError, OSError, RuntimeError) as error:
                    raise self._connection_error(error, route) from error
                finally:
                    response.close()  # keeps the connection if the response was read to its end
        except TimeoutError:
            raise ConnectionFailed(f"no complete response from {origin_of(url)} within {seconds:g} s") from None
        return HttpAnswer(response.status, response.headers, data)

    async def _unless_closed(self, step: Awaitable[_R]) -> _R:
        """Await a step unless the transport is closed meanwhile. Raises `ClientClosed`."""
        try:
            async with asyncio.timeout(None) as scope:
                self._scopes.add(scope)
                return await step
        except TimeoutError:
            if not scope.expired():
                raise
            raise ClientClosed("the client was closed while it was fetching credentials") from None
        finally:
            self._scopes.discard(scope)

    async def _route_to(self, url: str, *, direct: bool = False) -> Route:
        """Return the proxy and TLS context for a URL. Raises `ConfigurationError` for a bad proxy or CA bundle."""
        proxy = None if direct else self._proxy_for(url)
        secure = url.startswith("https:") or (proxy is not None and proxy.url.startswith("https:"))
        return Route(proxy, await self._trust() if secure else None)

    def _proxy_for(self, url: str) -> Proxy | None:
        origin = origin_of(url)
        if origin not in self._proxies:
            self._proxies[origin] = find_proxy(url, self._proxy, self._environ)
        return self._proxies[origin]

    async def _send(
        self,
        request: Request,
        added: Mapping[str, str],
        route: Route,
        connect: float | None,
        headers_within: float | None,
    ) -> StreamResponse:
        """Send a request, once more if the pooled connection turns out to be dead: that costs no attempt."""
        began = monotonic()
        body = request.body.data
        try:
            async with asyncio.timeout(headers_within):
                while True:
                    # aiohttp warns of a large bytes body, and sends a file in pieces without a warning.
                    data = body if len(body) < _LARGE_BODY else io.BytesIO(body)
                    headers = [*request.headers, *added.items()]
                    try:
                        return await self._request(
                            self._session, request.method, request.url, headers, data, route, connect=connect
                        )
                    except ConnectionDropped as error:
                        if not error.stale:
                            raise self._connection_error(error, route) from None
                        self._address(request.url).discard_idle()  # so that the next connection is a new one
        except TimeoutError as error:
            raise FirstEventTimeout(headers_within or 0, monotonic() - began, detail="no headers came") from error

    async def _request(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        data: bytes | io.BytesIO | None,
        route: Route,
        *,
        connect: float | None = None,
        skip: Iterable[str] = (),
    ) -> Any:
        began = monotonic()
        tunnel = url.startswith("https:")  # without a tunnel, the proxy reads the request's own headers
        try:
            response = await session.request(
                method,
                URL(url, encoded=True),
                data=data,
                headers=headers if tunnel else [*headers, *route.login.items()],
                skip_auto_headers=skip,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=connect, sock_read=None),
                **route.options(tunnel=tunnel),
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise ConnectTimeout(connect or 0, monotonic() - began, detail=f"{error}{route.through}") from error
        except (aiohttp.ClientResponseError, MalformedResponse) as error:
            reason = route.failure(error)
        except (aiohttp.ClientError, OSError, RuntimeError, AssertionError) as error:
            # aiohttp raises the last two if the session is closed during a request.
            raise self._connection_error(error, route) from error
        else:
            if route.proxy is None or response.status != 407:
                return response
            reason = route.refusal(407, response.reason or "")
            _close(response)
        refused = ConnectionFailed(reason)  # outside of `except`, so that aiohttp's error with its headers is not kept
        refused.retryable = False
        raise refused

    def _connection_error(self, error: Exception, route: Route) -> BedrockStreamError:
        if self._closed:
            return ClientClosed("the client was closed before the response was received")
        failed = ConnectionFailed(route.failure(error))
        failed.retryable = not isinstance(error, aiohttp.ClientConnectorCertificateError)
        failed.dropped = isinstance(error, ConnectionDropped)
        return failed

    async def pause(self, seconds: float) -> None:
        """Wait, unless the client is closed meanwhile. Raises `ClientClosed`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        if self._closed:
            raise ClientClosed("the client was closed before the next attempt")

    async def close(self) -> None:
        """Close every connection; responses that are being read fail with `ClientClosed`."""
        self._closed = True
        self._closing.set()
        for scope in self._scopes:
            if not scope.expired():
                scope.reschedule(0)
        for response in list(self._responses):
            response.fail(ClientClosed("the client was closed while the stream was open"))
        await self._session.close()
        await self._small.close()


def _session(connector: aiohttp.TCPConnector, **options: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, **options
    )


def _close(response: aiohttp.ClientResponse) -> None:
    if isinstance(response, StreamResponse):
        response.opened.drop()
    else:
        response.close()


async def _read_small(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while data := await response.content.readany():
        body += data
        if len(body) > _SMALL_BODY:
            raise TransportError(f"the response of {response.url.host} is longer than {_SMALL_BODY} bytes")
    return body
