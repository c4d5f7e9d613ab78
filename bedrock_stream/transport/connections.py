"""The connections of streams: aiohttp opens and pools them, this module takes and returns them.

aiohttp calls `start` of a `response_class` once a request is sent. Ours installs a `ResponseProtocol` there, before the
first byte of the response. Between two responses an `IdleProtocol` closes a connection that receives anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from typing import Any

import aiohttp
from aiohttp.connector import Connection

from .hold import Hold
from .http_protocol import ConnectionDropped, ResponseProtocol, WriteSide
from .tls_buffer import shrink_tls_buffer

__all__ = ("Address", "Connector", "IdleProtocol", "OpenConnection", "StreamResponse", "abort", "open_socket")

_READ_SIZE = 64 * 1024  # bytes; asyncio asks for 256 KiB, which malloc may map and unmap for every event

# Under the 350 s after which AWS's NAT gateways and load balancers forget a silent connection.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPALIVE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))

_USER_TIMEOUT = 30_000  # ms; a peer that acknowledges nothing for so long is gone


class Address:
    """The connections of streams to one address."""

    __slots__ = ("idle", "open")

    def __init__(self) -> None:
        self.idle: set[IdleProtocol] = set()
        """Connections in the pool."""
        self.open: set[OpenConnection] = set()
        """Connections of open responses. aiohttp warns of one that is finalized before its response."""

    def abandon(self) -> None:
        """Close the sockets after the loop was closed."""
        for transport in [held.transport for held in self.idle] + [held.transport for held in self.open]:
            _close_without_loop(transport)

    def discard_idle(self) -> None:
        """Close the connections in the pool: where one was dead, the others probably are."""
        for idle in list(self.idle):
            idle.discard()


class OpenConnection:
    """The connection of one response, from the request on."""

    __slots__ = ("_address", "_connection", "_hold", "closed", "protocol", "reused", "transport")

    def __init__(self, connection: Connection, upload: asyncio.Task[None] | None) -> None:
        transport, write_side = connection.transport, connection.protocol
        if transport is None or write_side is None:
            raise ConnectionDropped("the connection was closed before the request was sent")
        previous = transport.get_protocol()
        self._connection = connection
        self.transport: asyncio.Transport = transport
        self._address: Address | None = None
        self._hold: Hold | None = None
        self.closed: bool = False
        self.reused: bool = isinstance(previous, IdleProtocol)
        """Whether the connection has carried another response."""
        if isinstance(previous, IdleProtocol):
            previous.leave()
        elif hasattr(transport, "max_size"):  # neither uvloop's nor a TLS transport has it
            transport.max_size = _READ_SIZE
        else:
            shrink_tls_buffer(transport)
        self.protocol: ResponseProtocol = ResponseProtocol(asyncio.get_running_loop(), transport, write_side, upload)
        transport.set_protocol(self.protocol)

    def keep(self, address: Address, hold: Hold) -> None:
        """Note that the response is read from now on. `hold` is released with the connection."""
        self._address, self._hold = address, hold
        address.open.add(self)

    @property
    def is_kept(self) -> bool:
        """Whether the response is read, or was."""
        return self._hold is not None

    def close(self) -> None:
        """Return the connection to the pool if its response was read to the end, else drop it."""
        if self.closed:
            return
        transport, address, write_side = self.transport, self._address, self._connection.protocol
        if (
            not (self.protocol.reusable and self.protocol.is_uploaded)
            or transport.is_closing()
            or address is None
            or write_side is None
        ):
            self.drop()
            return
        self.protocol.stop()
        transport.set_protocol(IdleProtocol(transport, write_side, address.idle))
        self._connection.release()
        self._end()

    def drop(self) -> None:
        """Close the connection at once, without waiting for unsent bytes."""
        if self.closed:
            return
        if self.protocol.upload is not None:
            self.protocol.upload.cancel()
        abort(self.transport)
        self.protocol.stop()
        self._connection.close()
        self._end()

    def fail(self, error: Exception) -> None:
        """Drop the connection with an error that every read raises."""
        if not self.closed:
            self.protocol.fail(error)
            self.drop()

    def _end(self) -> None:
        self.closed = True
        self.protocol.upload = None
        if self._address is not None:
            self._address.open.discard(self)
        if self._hold is not None:
            self._hold.release()


class StreamResponse(aiohttp.ClientResponse):
    """Takes the connection once the request is sent. It never owns it, so aiohttp's finalizer leaves it alone."""

    opened: OpenConnection
    """The connection, with the head of the response read."""

    async def start(self, connection: Connection) -> StreamResponse:
        """Take the connection and wait for the head. Raises `ConnectionDropped`, `MalformedResponse`."""
        opened = self.opened = OpenConnection(connection, self._writer)
        try:
            head = await opened.protocol.read_head()
        except BaseException as error:
            if isinstance(error, ConnectionDropped):
                error.stale = error.silent and opened.reused
            opened.drop()
            raise
        self.status: int = head.status
        self.reason: str | None = head.reason
        return self

    def __del__(self, _warnings: Any = None) -> None:
        # aiohttp may still await something after `start`, and be cancelled there.
        opened = getattr(self, "opened", None)
        if opened is not None and not opened.is_kept:
            opened.drop()


class IdleProtocol(asyncio.Protocol):
    """The protocol of a connection between two responses. Bytes that arrive then were not asked for."""

    __slots__ = ("_idle", "_write_side", "transport")

    def __init__(self, transport: asyncio.Transport, write_side: WriteSide, idle: set[IdleProtocol]) -> None:
        self.transport: asyncio.Transport = transport
        self._write_side = write_side
        self._idle = idle
        idle.add(self)

    def leave(self) -> None:
        """Note that the connection is used again."""
        self._idle.discard(self)

    def discard(self) -> None:
        """Close the connection; it is not used again."""
        self.leave()
        abort(self.transport)

    def data_received(self, data: bytes) -> None:
        """Close the connection: these bytes must not become the response to the next request."""
        self.discard()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on the loss of the connection."""
        self.leave()
        _shut_down(self.transport)  # aiohttp has only closed this process's descriptor
        self._write_side.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on back-pressure of the request that is being sent."""
        self._write_side.pause_writing()

    def resume_writing(self) -> None:
        """Pass on its end."""
        self._write_side.resume_writing()


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector, without pooled connections that have been closed or written to by the server."""

    def __init__(self) -> None:
        super().__init__(limit=0, socket_factory=open_socket, keepalive_timeout=30)

    async def connect(self, *args: Any, **kwargs: Any) -> Connection:
        """Return a pooled or a new connection. See `aiohttp.BaseConnector.connect`."""
        while True:
            connection = await super().connect(*args, **kwargs)
            transport = connection.transport
            previous = None if transport is None else transport.get_protocol()
            if not isinstance(previous, IdleProtocol) or not _is_readable(transport):
                return connection
            previous.discard()  # the loop has not yet seen what arrived
            connection.close()


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket on which a dead or silent peer is noticed."""
    family, kind, protocol = address[:3]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (*_KEEPALIVE, ("TCP_USER_TIMEOUT", _USER_TIMEOUT)):
        option = getattr(socket, name, None)  # each platform has some of them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock


def _close_without_loop(transport: Any) -> None:
    """Close the socket of a transport whose loop was closed. asyncio has no public way, and would warn."""
    transport = getattr(getattr(transport, "_ssl_protocol", None), "_transport", transport)
    lose = getattr(transport, "_call_connection_lost", None)
    if lose is not None:
        with contextlib.suppress(Exception):
            lose(None)


def _is_readable(transport: Any) -> bool:
    """Return whether bytes, or the end, have arrived on a connection."""
    number = transport.get_extra_info("socket").fileno()
    if number < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


def abort(transport: asyncio.Transport) -> None:
    """Close the connection at once, without waiting for unsent bytes."""
    shared = transport.get_extra_info("socket")
    # asyncio's `abort` raises for a connection that was closed while bytes were unsent, once these are sent.
    if shared is None or shared.fileno() >= 0:
        _shut_down(transport)
        transport.abort()


def _shut_down(transport: asyncio.Transport) -> None:
    """End the connection for the server, also if a forked process has inherited the socket."""
    shared = transport.get_extra_info("socket")
    if shared is None or shared.fileno() < 0:
        return
    with contextlib.suppress(OSError), socket.fromfd(shared.fileno(), shared.family, shared.type) as sock:
        sock.shutdown(socket.SHUT_RDWR)
