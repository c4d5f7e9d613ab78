"""An HTTP response: its status and headers, and its body as it arrives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp

from ..errors import BedrockStreamError, StreamInterrupted, TransportError
from .slots import LaneTicket, Slots

__all__ = ("HttpResponse", "Traffic")

_READ_BUFFER = 64 * 1024  # aiohttp stops reading from the socket at twice this

_SMALL_BODY = 64 * 1024  # bytes; more than any service needs to return credentials


class Traffic:
    """Counts bytes of response bodies over all transports of a client."""

    __slots__ = ("received",)

    def __init__(self) -> None:
        self.received: int = 0


async def _read_small(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while data := await response.content.readany():
        body += data
        if len(body) > _SMALL_BODY:
            raise TransportError(f"the response of {response.url.host} is longer than {_SMALL_BODY} bytes")
    return body


class HttpResponse:
    """An HTTP response: its headers are here, its body is read as it arrives. It holds a slot until it is closed."""

    __slots__ = (
        "__weakref__",
        "_content",
        "_failure",
        "_loop",
        "_response",
        "_slots",
        "_traffic",
        "bytes_received",
        "closed",
        "sent",
    )

    def __init__(
        self, response: aiohttp.ClientResponse, slots: Iterable[Slots | LaneTicket], traffic: Traffic, sent: float
    ) -> None:
        self._response = response
        self._content = response.content
        self._slots = slots
        self._traffic = traffic
        self._loop = asyncio.get_running_loop()
        self._failure: BedrockStreamError | None = None
        self.bytes_received: int = 0
        """Bytes of the body that have been read."""
        self.closed: bool = False
        self.sent: float = sent
        """The loop's time when sending began, with the slot held and the request signed."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers, by name in any case."""
        return self._response.headers

    def header(self, name: str) -> str | None:
        """Return a header's value; its name may be in any case."""
        return self._response.headers.get(name)

    async def read(self) -> bytes:
        """Wait for bytes and return what has arrived; empty at the body's proper end.

        Raises `StreamInterrupted` if the body broke off; bytes that had arrived before are returned first.
        """
        content = self._content
        try:
            data = await content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # aiohttp raises RuntimeError if the connection has been released.
            error.__traceback__ = error.__context__ = None
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
            self._traffic.received += self.bytes_received
            _close(self._response, self._slots)

    def fail(self, error: BedrockStreamError) -> None:
        """Close with an error that is raised in a waiting `read` and in every later one."""
        if not self.closed:
            self._failure = error
            self.close()

    def __del__(self) -> None:
        if not self.closed:
            # A finalizer may run on any thread. On a closed loop there is nothing left to close.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_close, self._response, self._slots)


def _read_in_pieces(response: aiohttp.ClientResponse) -> None:
    """Limit each read to 64 KiB. asyncio asks for 256 KiB, which malloc may map and unmap for every event."""
    connection = response.connection  # None where the body came with the headers
    transport: Any = None if connection is None else connection.transport
    if hasattr(transport, "max_size"):  # neither uvloop's nor a TLS transport has it
        transport.max_size = _READ_BUFFER


def _close(response: aiohttp.ClientResponse, held: Iterable[Slots | LaneTicket]) -> None:
    connection = response.connection  # None once the body was read to its end
    if connection is not None and connection.transport is not None:
        connection.transport.abort()  # a graceful close would first wait for unsent bytes
    response.close()
    for slots in held:
        slots.release()
