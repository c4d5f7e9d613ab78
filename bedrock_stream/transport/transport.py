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
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from time import monotonic
from types import MappingProxyType
from typing import Any

import aiohttp
from yarl import URL

from ..auth.credentials import Authorization, without_frames
from ..auth.sources import HttpAnswer
from ..errors import (
    BedrockStreamError,
    ClientClosed,
    ConnectionFailed,
    ConnectTimeout,
    TransportError,
)
from ..request.http import Request
from ..types.settings import Masked
from .connections import Address, Connector, OpenConnection, StreamResponse, open_socket
from .hold import Hold, hold_slots
from .http_protocol import ConnectionDropped, MalformedResponse
from .http_response import HttpResponse, Traffic
from .lanes import Lanes, LaneTicket
from .opening import Opening
from .proxies import Proxy, find_proxy
from .route import Route, origin_of
from .slots import Slots

__all__ = ("Transport",)


_LARGE_BODY = 1024 * 1024  # bytes

# Headers that aiohttp would add by itself.
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

# What aiohttp and its connections raise; RuntimeError and AssertionError if the session is closed during a request.
_FOREIGN = (aiohttp.ClientError, OSError, RuntimeError, AssertionError, ConnectionDropped, MalformedResponse)

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
        self._closed = False
        self.openings: set[Opening] = set()
        """The openings that are entered; closing the transport interrupts them."""
        self._addresses: dict[str, Address] = {}
        self._session = _session(Connector(), response_class=StreamResponse)
        self._small = _session(aiohttp.TCPConnector(limit=0, socket_factory=open_socket, keepalive_timeout=30))

    @property
    def bytes_under_way(self) -> int:
        """Bytes received of responses that are still open."""
        return sum(opened.protocol.received for opened in self._open())

    def _open(self) -> list[OpenConnection]:
        return [opened for address in list(self._addresses.values()) for opened in list(address.open)]

    def check_open(self) -> None:
        """Raise `ClientClosed` if the transport was closed."""
        if self._closed:
            raise ClientClosed("the client is closed")

    async def hold(
        self, ticket: LaneTicket | None, seconds: float | None, reserve: Callable[[], Awaitable[None]] | None = None
    ) -> Hold:
        """Wait for a slot, and with a `ticket` for one of its lane. Raises `PoolTimeout`. See `slots.hold_slots`."""
        return await hold_slots(self.slots, ticket, seconds, reserve)

    async def send(
        self, request: Request, authorization: Authorization, hold: Hold, *, connect: float | None
    ) -> HttpResponse:
        """Send a request, and return once status and headers of its response are here.

        The response takes over `hold`. `connect` is a limit in seconds. Raises `ConnectTimeout`, `ConnectionFailed`,
        `ClientClosed`.
        """
        self.check_open()
        route, address = await self._route_to(request.url), self._address(request.url)
        began = monotonic()
        response: Any = None  # a `StreamResponse`
        while response is None:
            failure: BaseException | None = None
            try:
                # No variable holds the headers: the frame of this function is in the traceback of every failure.
                response = await self._session.request(
                    request.method,
                    **_arguments(
                        request.url,
                        [*request.headers, *authorization.headers.items()],
                        request.body.data,
                        route,
                        connect,
                    ),
                )
            except _FOREIGN as error:
                if isinstance(error, ConnectionDropped) and error.stale:
                    address.discard_idle()  # the next connection is a new one; this costs no attempt
                else:
                    failure = self._failure(error, route, began, connect)
            except asyncio.CancelledError as error:
                failure = without_frames(error)
            if failure is not None:
                raise failure  # outside of `except`, so that it has no context
        if route.proxy is not None and response.status == 407:
            response.opened.drop()
            raise _refused(route.refusal(407, response.reason or ""))
        response.opened.keep(address, hold)
        return HttpResponse(response.opened, self._traffic)

    def _address(self, url: str) -> Address:
        origin = origin_of(url)
        address = self._addresses.get(origin)
        if address is None:
            address = self._addresses[origin] = Address()
        return address

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
        self.check_open()
        failure: BaseException | None = None
        began, route = monotonic(), Route(None, None)
        content = _Content(headers, body)
        headers, body = {}, b""  # they may hold secrets, and this frame is in the traceback of every failure
        try:
            async with asyncio.timeout(seconds):
                route = await self._route_to(url, direct=direct)
                response = await self._small.request(
                    method,
                    skip_auto_headers=_AUTOMATIC,
                    **_arguments(url, [*content.headers.items()], content.body, route, None),
                )
                async with response:
                    data = await _read_small(response)
        except TimeoutError:
            failure = ConnectionFailed(f"no complete response from {origin_of(url)} within {seconds:g} s")
        except _FOREIGN as error:
            failure = self._failure(error, route, began, None)
        except asyncio.CancelledError as error:
            failure = without_frames(error)
        if failure is not None:
            raise failure
        if route.proxy is not None and response.status == 407:
            raise _refused(route.refusal(407, response.reason or ""))
        return HttpAnswer(response.status, response.headers, data)

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

    def _failure(self, error: Exception, route: Route, began: float, connect: float | None) -> BedrockStreamError:
        """Return our error for one of aiohttp or of the response's bytes."""
        if self._closed:
            return ClientClosed("the client was closed before the response was received")
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return ConnectTimeout(connect or 0, monotonic() - began, detail=f"{error}{route.through}")
        failed = ConnectionFailed(route.failure(error))
        failed.retryable = route.is_retryable(error)
        failed.dropped = isinstance(error, ConnectionDropped)
        if not isinstance(error, aiohttp.ClientResponseError | MalformedResponse):
            failed.__cause__ = without_frames(error)
        return failed

    async def close(self) -> None:
        """Close every connection; responses that are opened or read fail with `ClientClosed`."""
        self._closed = True
        for opening in list(self.openings):
            opening.interrupt(ClientClosed("the client was closed before the response was received"))
        for opened in self._open():
            self._traffic.received += opened.protocol.received
            opened.fail(ClientClosed("the client was closed while the stream was open"))
        await self._session.close()
        await self._small.close()

    def abandon(self) -> None:
        """Free everything after the loop was closed, without the warnings of aiohttp. Nothing can be sent any more."""
        for address in self._addresses.values():
            address.abandon()
        closing = self.close()
        with contextlib.suppress(StopIteration, RuntimeError):
            for _ in range(10):  # aiohttp yields, but on a closed loop there is nothing that it could wait for
                closing.send(None)
        closing.close()


def _session(connector: aiohttp.TCPConnector, **options: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, **options
    )


class _Content(Masked, frozen=True):
    """Headers and body of a small request."""

    headers: Mapping[str, str]
    body: bytes


def _arguments(
    url: str, headers: list[tuple[str, str]], body: bytes, route: Route, connect: float | None
) -> dict[str, Any]:
    """Return the arguments of `ClientSession.request`."""
    tunnel = url.startswith("https:")
    if not tunnel:
        headers.extend(route.login.items())  # the proxy reads the request's own headers
    return {
        "url": URL(url, encoded=True),
        # aiohttp warns of a large bytes body, and sends a file in pieces without a warning.
        "data": (body if len(body) < _LARGE_BODY else io.BytesIO(body)) or None,
        "headers": headers,
        "allow_redirects": False,
        "timeout": _timeout(connect),
        **route.options(tunnel=tunnel),
    }


@lru_cache(maxsize=16)
def _timeout(connect: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_read=None)


def _refused(reason: str) -> ConnectionFailed:
    refused = ConnectionFailed(reason)
    refused.retryable = False
    return refused


async def _read_small(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while data := await response.content.readany():
        body += data
        if len(body) > _SMALL_BODY:
            raise TransportError(f"the response of {response.url.host} is longer than {_SMALL_BODY} bytes")
    return body
