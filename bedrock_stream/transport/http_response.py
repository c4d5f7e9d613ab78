"""An HTTP response: its status and headers, and its body as it arrives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from multidict import CIMultiDict, CIMultiDictProxy

from ..errors import BedrockStreamError, StreamInterrupted
from .connections import Address, OpenConnection
from .slots import LaneTicket, Slots

__all__ = ("HttpResponse", "Traffic")


class Traffic:
    """Counts bytes of response bodies over all transports of a client."""

    __slots__ = ("received",)

    def __init__(self) -> None:
        self.received: int = 0


class HttpResponse:
    """An HTTP response: its headers are here, its body is read as it arrives. It holds a slot until it is closed."""

    __slots__ = (
        "__weakref__",
        "_address",
        "_failure",
        "_head",
        "_loop",
        "_opened",
        "_protocol",
        "_slots",
        "_traffic",
        "bytes_received",
        "closed",
        "sent",
    )

    def __init__(
        self,
        opened: OpenConnection,
        address: Address,
        slots: Sequence[Slots | LaneTicket],
        traffic: Traffic,
        sent: float,
    ) -> None:
        self._opened = opened
        self._protocol = opened.protocol
        self._head = opened.protocol.head
        self._address = address
        self._slots = slots
        self._traffic = traffic
        self._loop = asyncio.get_running_loop()
        self._failure: BedrockStreamError | None = None
        self.bytes_received: int = 0
        """Bytes of the body that have been read."""
        self.closed: bool = False
        self.sent: float = sent
        """The loop's time when sending began, with the slot held and the request signed."""
        address.open.add(opened)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._head.status

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers, by name in any case."""
        return CIMultiDictProxy(CIMultiDict(self._head.headers))

    def header(self, name: str) -> str | None:
        """Return a header's value; its name may be in any case."""
        return self._head.find(name)

    async def read(self) -> bytes:
        """Wait for bytes and return what has arrived; empty at the body's proper end.

        Raises `StreamInterrupted` if the body broke off; bytes that had arrived before are returned first.
        """
        protocol = self._protocol
        while True:
            if self._failure is not None:
                raise self._failure
            if protocol.pieces:
                data = protocol.take()
                self.bytes_received += len(data)
                return data
            if protocol.complete:
                return b""
            if protocol.error is not None:
                raise StreamInterrupted(f"the body broke off after {self.bytes_received} bytes: {protocol.error}")
            await protocol.wait()

    def close(self) -> None:
        """Give the slot back; drop the connection unless the body was read to its end. Never waits."""
        if not self.closed:
            self.closed = True
            self._traffic.received += self.bytes_received
            if self._failure is None:
                _close(self._opened, self._address, self._slots)
            else:
                _drop(self._opened, self._address, self._slots)

    def fail(self, error: BedrockStreamError) -> None:
        """Close with an error that is raised in a waiting `read` and in every later one."""
        if not self.closed:
            self._failure = error
            self.close()

    def __del__(self) -> None:
        if not self.closed:
            # A finalizer may run on any thread. On a closed loop there is nothing left to close.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_drop, self._opened, self._address, self._slots)


def _close(opened: OpenConnection, address: Address, held: Sequence[Slots | LaneTicket]) -> None:
    """Return the connection to the pool if its response was read to the end, else drop it."""
    address.open.discard(opened)
    opened.release(address.idle)
    for slots in held:
        slots.release()


def _drop(opened: OpenConnection, address: Address, held: Sequence[Slots | LaneTicket]) -> None:
    address.open.discard(opened)
    opened.drop()
    for slots in held:
        slots.release()
