"""The one file that knows aiohttp: connection slots, sending, the bytes of an answer, closing.

One `Transport` serves one event loop. Above it nobody sees an aiohttp class or exception. What aiohttp makes us mind:
- A full pool and a slow connect raise the same error there, and nothing can run between slot and sending. So the slots
  are ours (`limit=0` there), and authorization happens once the slot is held, just before the bytes leave.
- `readany` raises before it hands out bytes that had already arrived: an exception frame followed by a close would be
  lost. `Answer.read` drains the buffer first.
- Its read timeout also runs while the consumer is busy; all clocks are ours.
- A URL not marked as encoded is rewritten (`%3A` to `:`), which breaks the signature.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import ssl
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

import aiohttp
import anyio
from yarl import URL

from .errors import (
    BedrockStreamError,
    ClientClosed,
    ConnectionFailed,
    ConnectTimeout,
    FirstEventTimeout,
    PoolTimeout,
    StreamInterrupted,
)
from .request import Request

__all__ = ("Answer", "Transport")

_READ_BUFFER = 64 * 1024  # aiohttp stops reading from the socket at twice this

_LARGE_BODY = 1024 * 1024

# Under the 350 s after which AWS's NAT gateways and load balancers forget a silent connection.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPALIVE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))


class Transport:
    """The connections of one event loop."""

    def __init__(self, *, max_connections: int, ssl_context: ssl.SSLContext | None = None, proxy: str | None = None):
        self._slots = _Slots(max_connections)
        self._proxy = proxy
        self._answers: weakref.WeakSet[Answer] = weakref.WeakSet()
        self._closed = False
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ssl=ssl_context if ssl_context is not None else True,
                socket_factory=_open_socket,
                keepalive_timeout=30,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BUFFER,
        )

    @property
    def open_answers(self) -> int:
        """Connection slots that are taken."""
        return self._slots.taken

    async def open(
        self,
        request: Request,
        authorize: Callable[[], Awaitable[Mapping[str, str]]],
        *,
        pool: float | None,
        connect: float | None,
        headers_within: float | None,
    ) -> Answer:
        """Send a request and return once status and headers are here. `authorize` gives the last headers.

        Raises `PoolTimeout`, `ConnectTimeout`, `FirstEventTimeout` (nothing came within `headers_within` seconds),
        `ConnectionFailed`, `ClientClosed`.
        """
        if self._closed:
            raise ClientClosed("the client is closed")
        await self._slots.acquire(pool)
        try:
            added = await authorize()
            response = await self._send(request, added, connect, headers_within)
        except BaseException:
            self._slots.release()
            raise
        _read_in_pieces(response)
        answer = Answer(response, self._slots)
        self._answers.add(answer)
        return answer

    async def _send(
        self, request: Request, added: Mapping[str, str], connect: float | None, headers_within: float | None
    ) -> aiohttp.ClientResponse:
        began = monotonic()
        body = request.body.data
        try:
            with anyio.fail_after(headers_within):
                return await self._session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    # aiohttp warns of a large bytes body, and takes the same bytes as a file in pieces
                    data=body if len(body) < _LARGE_BODY else io.BytesIO(body),
                    headers=[*request.headers, *added.items()],
                    allow_redirects=False,
                    proxy=self._proxy,
                    timeout=aiohttp.ClientTimeout(total=None, connect=connect, sock_read=None),
                )
        except aiohttp.ConnectionTimeoutError as error:
            raise ConnectTimeout(connect or 0, monotonic() - began, detail=str(error)) from error
        except TimeoutError as error:
            raise FirstEventTimeout(headers_within or 0, monotonic() - began, detail="no headers came") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._no_answer(error) from error
        except RuntimeError as error:  # how aiohttp says that the session was closed under a request
            raise self._no_answer(error) from error

    def _no_answer(self, error: Exception) -> BedrockStreamError:
        if self._closed:
            return ClientClosed("the client was closed before the answer came")
        return ConnectionFailed(f"no answer: {error or type(error).__name__}")

    async def close(self) -> None:
        """Close every connection; answers that are being read fail with `ClientClosed`."""
        self._closed = True
        for answer in list(self._answers):
            answer.fail(ClientClosed("the client was closed while the stream was open"))
        await self._session.close()


class Answer:
    """An HTTP answer: its headers are here, its body is read as it comes. It holds a slot until it is closed."""

    __slots__ = ("__weakref__", "_content", "_failure", "_loop", "_response", "_slots", "bytes_received", "closed")

    def __init__(self, response: aiohttp.ClientResponse, slots: _Slots) -> None:
        self._response = response
        self._content = response.content
        self._slots = slots
        self._loop = asyncio.get_running_loop()
        self._failure: BedrockStreamError | None = None
        self.bytes_received = 0
        """Bytes of the body that were handed out."""
        self.closed = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        return self._response.headers.get(name)

    async def read(self) -> bytes:
        """Whatever has arrived, waiting for some; empty at the body's proper end.

        Raises `StreamInterrupted` where the body broke off; bytes that had come before are handed out first.
        """
        content = self._content
        try:
            data = await content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # RuntimeError is how aiohttp says that the connection has been given up.
            if self._failure is not None:
                raise self._failure from None
            data = content._read_nowait(-1)
            if not data:
                raise StreamInterrupted(f"the body broke off after {self.bytes_received} bytes: {error}") from error
        self.bytes_received += len(data)
        return data

    def close(self) -> None:
        """Give the slot back; drop the connection unless the body was read to its end. Never waits."""
        if not self.closed:
            self.closed = True
            _close(self._response, self._slots)

    def fail(self, error: BedrockStreamError) -> None:
        """Close from outside: whoever waits in `read`, or reads later, gets this error."""
        if not self.closed:
            self._failure = error
            self.close()

    def __del__(self) -> None:
        if not self.closed:
            # A finaliser may run on any thread. On a closed loop there is nothing left to close.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_close, self._response, self._slots)


def _read_in_pieces(response: aiohttp.ClientResponse) -> None:
    """Have each read ask for 64 KiB. asyncio asks for 256, which malloc may map and unmap each time, for one event."""
    connection = response.connection  # None where the body came with the headers
    transport: Any = None if connection is None else connection.transport
    if hasattr(transport, "max_size"):  # neither uvloop's nor a TLS transport has it
        transport.max_size = _READ_BUFFER


def _close(response: aiohttp.ClientResponse, slots: _Slots) -> None:
    connection = response.connection  # None once the body was read to its end
    if connection is not None and connection.transport is not None:
        connection.transport.abort()  # a polite close would first wait for unsent bytes
    response.close()
    slots.release()


class _Slots:
    """How many requests may be open at once; first come, first served."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.taken = 0

    async def acquire(self, seconds: float | None) -> None:
        """Take a slot. Raises `PoolTimeout`. A slot that comes together with a cancellation is passed on."""
        if self.taken < self._limit and not self._waiting:
            self.taken += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        began = monotonic()
        try:
            with anyio.fail_after(seconds):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self.release()
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                detail = f"all {self._limit} slots are taken by {self.taken} open streams"
                raise PoolTimeout(seconds or 0, monotonic() - began, detail=detail) from None
            raise

    def release(self) -> None:
        """Give a slot back; it passes straight to the next in line."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.taken -= 1


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
