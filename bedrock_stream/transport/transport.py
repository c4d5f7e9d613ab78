"""The one file that knows aiohttp: the way to an address, sending, the bytes of an answer, closing.

One `Transport` serves one event loop. Above it nobody sees an aiohttp class or exception; so what needs one is here,
and the file is longer than most. What aiohttp makes us mind:
- A full pool and a slow connect raise the same error there, and nothing can run between slot and sending. So the slots
  are ours (`limit=0` there; see `slots`), and authorization happens once the slot is held, just before the bytes leave.
- `readany` raises before it hands out bytes that had already arrived: an exception frame followed by a close would be
  lost. `HttpResponse.read` drains the buffer first.
- Its read timeout also runs while the consumer is busy; all clocks are ours.
  They are asyncio's, which aiohttp needs anyway: anyio's would import a back end in the midst of a first request.
- A URL not marked as encoded is rewritten (`%3A` to `:`), which breaks the signature.
- `trust_env` would read `.netrc` and send what it finds there; proxies are looked up by us (see `proxies`).
- `proxy_auth` draws a deprecation warning from new ones; the login goes as the header that it would become.
- An error of an answer holds the request's headers, and with them keys. Only its words leave this file.
- One and the same exception is raised for every answer that is closed under its reader. Python hangs each reader's
  frames onto it, and with them each stream, for good; so `HttpResponse.read` takes them off.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any, TypeVar

import aiohttp
import msgspec
from yarl import URL

from ..auth.sources import HttpAnswer
from ..errors import BedrockStreamError, ClientClosed, ConnectionFailed, ConnectTimeout, FirstEventTimeout
from ..request.http import Request
from .http_response import _READ_BUFFER, HttpResponse, Traffic, _read_in_pieces, _read_small
from .proxies import Proxy, find_proxy
from .slots import Lanes, LaneTicket, Slots

__all__ = ("Transport",)


_R = TypeVar("_R")


_LARGE_BODY = 1024 * 1024


# What aiohttp adds to a request by itself.
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


_BROKEN = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


# Under the 350 s after which AWS's NAT gateways and load balancers forget a silent connection.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPALIVE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))


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
        """The slots of all answers that are open."""
        self.lanes: Lanes = Lanes(max_connections)
        """Slots by region and model, where they are learned."""
        self._traffic = traffic
        self._trust = trust
        self._proxy = proxy
        self._environ = environ
        self._proxies: dict[str, Proxy | None] = {}
        self._answers: weakref.WeakSet[HttpResponse] = weakref.WeakSet()
        self._closed = False
        self._closing = asyncio.Event()
        self._asking: set[asyncio.Timeout] = set()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, socket_factory=_open_socket, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
        )

    @property
    def bytes_under_way(self) -> int:
        """Bytes received of answers that are still open."""
        return sum(answer.bytes_received for answer in list(self._answers) if not answer.closed)

    async def open(
        self,
        request: Request,
        authorize: Callable[[], Awaitable[Mapping[str, str]]],
        *,
        pool: float | None,
        connect: float | None,
        headers_within: float | None,
        turn: LaneTicket | None = None,
    ) -> HttpResponse:
        """Send a request and return once status and headers are here. `authorize` gives the last headers.

        With a `turn`, a slot of its lane is held as well.

        Raises `PoolTimeout`, `ConnectTimeout`, `FirstEventTimeout` (nothing came within `headers_within` seconds),
        `ConnectionFailed`, `ClientClosed`.
        """
        if self._closed:
            raise ClientClosed("the client is closed")
        way = await self._route_to(request.url)
        held: list[Slots | LaneTicket] = []
        began = monotonic()  # of the wait for both
        try:
            for slots in (self.slots,) if turn is None else (turn, self.slots):
                await slots.acquire(pool, began)
                held.append(slots)
            added = await self._unless_closed(authorize())
            sent = asyncio.get_running_loop().time()
            response = await self._send(request, added, way, connect, headers_within)
        except BaseException:
            for slots in held:
                slots.release()
            raise
        _read_in_pieces(response)
        answer = HttpResponse(response, held, self._traffic, sent)
        self._answers.add(answer)
        return answer

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
        """One small request and its whole answer; takes no slot. See `auth.sources.Http`."""
        if self._closed:
            raise ClientClosed("the client is closed")
        try:
            async with asyncio.timeout(seconds):
                way = await self._route_to(url, direct=direct)
                response = await self._request(method, url, headers.items(), body or None, way, skip=_AUTOMATIC)
                try:
                    data = await _read_small(response)
                except (aiohttp.ClientError, OSError, RuntimeError) as error:
                    raise self._no_answer(error, way) from error
                finally:
                    response.close()  # leaves a connection alone whose answer was read to its end
        except TimeoutError:
            raise ConnectionFailed(f"no whole answer from {_origin(url)} within {seconds:g} s") from None
        return HttpAnswer(response.status, response.headers, data)

    async def _unless_closed(self, step: Awaitable[_R]) -> _R:
        """Wait for what does not know of this transport, until it is closed. Raises `ClientClosed`."""
        try:
            async with asyncio.timeout(None) as asking:
                self._asking.add(asking)
                return await step
        except TimeoutError:
            if not asking.expired():
                raise
            raise ClientClosed("the client was closed before its keys came") from None
        finally:
            self._asking.discard(asking)

    async def _route_to(self, url: str, *, direct: bool = False) -> _Route:
        """How to reach an address. Raises `ConfigurationError` for a proxy or bundle that is none."""
        proxy = None if direct else self._proxy_for(url)
        secure = url.startswith("https:") or (proxy is not None and proxy.url.startswith("https:"))
        return _Route(proxy, await self._trust() if secure else None)

    def _proxy_for(self, url: str) -> Proxy | None:
        origin = _origin(url)
        if origin not in self._proxies:
            self._proxies[origin] = find_proxy(url, self._proxy, self._environ)
        return self._proxies[origin]

    async def _send(
        self,
        request: Request,
        added: Mapping[str, str],
        way: _Route,
        connect: float | None,
        headers_within: float | None,
    ) -> aiohttp.ClientResponse:
        began = monotonic()
        body = request.body.data
        # aiohttp warns of a large bytes body, and takes the same bytes as a file in pieces
        data = body if len(body) < _LARGE_BODY else io.BytesIO(body)
        try:
            async with asyncio.timeout(headers_within):
                return await self._request(
                    request.method, request.url, [*request.headers, *added.items()], data, way, connect=connect
                )
        except TimeoutError as error:
            raise FirstEventTimeout(headers_within or 0, monotonic() - began, detail="no headers came") from error

    async def _request(
        self,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]],
        data: bytes | io.BytesIO | None,
        way: _Route,
        *,
        connect: float | None = None,
        skip: Iterable[str] = (),
    ) -> aiohttp.ClientResponse:
        began = monotonic()
        login = way.login
        tunnel = url.startswith("https:")  # what is not tunnelled has one head, for the proxy as well
        try:
            response = await self._session.request(
                method,
                URL(url, encoded=True),
                data=data,
                headers=[*headers, *(() if tunnel else login.items())],
                skip_auto_headers=skip,
                allow_redirects=False,
                proxy=way.proxy.url if way.proxy else None,
                proxy_headers=login if tunnel else None,
                ssl=way.context or True,
                timeout=aiohttp.ClientTimeout(total=None, connect=connect, sock_read=None),
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise ConnectTimeout(connect or 0, monotonic() - began, detail=f"{error}{way.through}") from error
        except aiohttp.ClientResponseError as error:
            words = way.failure(error)
        except (aiohttp.ClientError, OSError, RuntimeError, AssertionError) as error:
            # The last two are how aiohttp says that the session was closed under a request.
            raise self._no_answer(error, way) from error
        else:
            if way.proxy is None or response.status != 407:
                return response
            words = way.refusal(407, response.reason or "")
            response.close()
        refused = ConnectionFailed(words)  # out here it does not keep aiohttp's error, which holds the headers
        refused.retryable = False
        raise refused

    def _no_answer(self, error: Exception, way: _Route) -> BedrockStreamError:
        if self._closed:
            return ClientClosed("the client was closed before the answer came")
        failed = ConnectionFailed(way.failure(error))
        failed.retryable = not isinstance(error, aiohttp.ClientConnectorCertificateError)
        failed.dropped = not isinstance(error, aiohttp.ClientConnectorError) and (
            isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError)
            or (isinstance(error, OSError) and error.errno in _BROKEN)
        )
        return failed

    async def pause(self, seconds: float) -> None:
        """Wait, unless the client is closed meanwhile. Raises `ClientClosed`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        if self._closed:
            raise ClientClosed("the client was closed before the next attempt")

    async def close(self) -> None:
        """Close every connection; answers that are being read fail with `ClientClosed`."""
        self._closed = True
        self._closing.set()
        for asking in self._asking:
            if not asking.expired():
                asking.reschedule(0)
        for answer in list(self._answers):
            answer.fail(ClientClosed("the client was closed while the stream was open"))
        await self._session.close()


class _Route(msgspec.Struct, frozen=True):
    """How an address is reached, and in what words it was not."""

    proxy: Proxy | None
    context: ssl.SSLContext | None
    """None stands for aiohttp's own."""

    @property
    def login(self) -> dict[str, str]:
        login = self.proxy.authorization if self.proxy else None
        return {"Proxy-Authorization": login} if login else {}

    @property
    def through(self) -> str:
        return f" through {self.proxy}" if self.proxy else ""

    def refusal(self, status: int, said: str) -> str:
        remedy = ": give it the right http://user:password@host:port, percent-encoded" if status == 407 else ""
        return f"{self.proxy} refused with {status} {said[:200]}{remedy}"

    def failure(self, error: Exception) -> str:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            reason = getattr(error.certificate_error, "verify_message", None) or error.certificate_error
            return (
                f"the certificate of {error.host}:{error.port} is not trusted: {reason}; "
                "name the bundle of its authority in AWS_CA_BUNDLE, or give Client(ssl=...) a context that trusts it"
            )
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return self.refusal(error.status, error.message)
        # Behind a proxy, the only name that is looked up here is the proxy's.
        if self.proxy and isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientConnectorDNSError):
            return f"{self.proxy} cannot be reached: {error.os_error}"
        said = f"{error.status}, {error.message}" if isinstance(error, aiohttp.ClientResponseError) else str(error)
        return f"no answer{self.through}: {said or type(error).__name__}"


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


def _open_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket that notices a peer that is gone."""
    family, kind, protocol = address[:3]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        option = getattr(socket, name, None)  # each platform has some of them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock
