"""An HTTP response: its status and headers, and its body as it arrives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict, CIMultiDictProxy

from ..errors import BedrockStreamError, ConfigurationError, StreamInterrupted
from .connections import OpenConnection

if TYPE_CHECKING:
    from .content_encoding import BodyDecoder

__all__ = ("HttpResponse", "Traffic")


class Traffic:
    """Counts bytes of response bodies over all transports of a client."""

    __slots__ = ("received",)

    def __init__(self) -> None:
        self.received: int = 0


class HttpResponse:
    """An HTTP response: its headers are here, its body is read as it arrives. It holds a slot until it is closed.

    Nothing else refers to it, so dropping the last reference closes its connection.
    """

    __slots__ = ("_decoder", "_headers", "_opened", "_protocol", "_traffic")

    def __init__(self, opened: OpenConnection, traffic: Traffic) -> None:
        self._opened = opened
        self._protocol = opened.protocol
        self._traffic = traffic
        self._headers: Mapping[str, str] | None = None
        self._decoder: BodyDecoder | None = None  # of a body that is not plain
        if (coding := self.header("Content-Encoding")) is not None:
            from .content_encoding import make_decoder

            self._decoder = make_decoder(coding)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._protocol.head.status

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers, by name in any case."""
        if self._headers is None:
            pairs = [(name, value.strip(" \t")) for name, value in self._protocol.head.headers]
            self._headers = CIMultiDictProxy(CIMultiDict(pairs))
        return self._headers

    def header(self, name: str) -> str | None:
        """Return a header's value; its name may be in any case."""
        return self._protocol.head.find(name)

    def forget_head(self) -> None:
        """Free the memory of status and headers, which are not asked for any more."""
        self._protocol.forget_head()
        self._headers = None

    @property
    def bytes_received(self) -> int:
        """Bytes of the body that have been read."""
        return self._protocol.received

    @property
    def closed(self) -> bool:
        """Whether the slot has been given back."""
        return self._opened.closed

    @property
    def ended(self) -> bool:
        """Whether the whole body has been read."""
        decoded = self._decoder is None or not self._decoder.pending
        return self._protocol.complete and not self._protocol.pieces and decoded

    def read(self) -> Awaitable[bytes]:
        """Wait for bytes and return what has arrived; empty at the body's proper end.

        Raises `StreamInterrupted` if the body broke off; bytes that had arrived before are returned first. Raises
        `InvalidFrame` for a `Content-Encoding` that cannot be decoded.
        """
        return self._read() if self._decoder is None else self._read_decoded(self._decoder)

    async def _read_decoded(self, decoder: BodyDecoder) -> bytes:
        while not (data := decoder.take()):
            received = await self._read()
            if not received:
                decoder.finish()
                return b""
            decoder.feed(received)
        return data

    async def _read(self) -> bytes:
        protocol = self._protocol
        while not protocol.pieces:
            if protocol.complete or protocol.error is not None:
                return self._end(protocol.error)
            if asyncio.get_running_loop() is not protocol.loop:
                raise ConfigurationError("stream", "is read on another event loop", "read it on the one that opened it")
            waiter = protocol.waiter = protocol.loop.create_future()
            try:
                await waiter
            finally:
                protocol.waiter = None
        return protocol.take()

    def _end(self, error: Exception | None) -> bytes:
        if isinstance(error, BedrockStreamError):
            raise error
        if error is not None:
            reason = str(error) or type(error).__name__
            raise StreamInterrupted(f"the body broke off after {self.bytes_received} bytes: {reason}")
        return b""

    def close(self) -> None:
        """Give the slot back; drop the connection unless the body was read to its end. Never waits."""
        if not self._opened.closed:
            self._traffic.received += self._protocol.received
            self._on_its_loop(self._opened.close)

    def fail(self, error: BedrockStreamError) -> None:
        """Close with an error that is raised in a waiting `read` and in every later one."""
        if not self._opened.closed:
            self._traffic.received += self._protocol.received
            self._on_its_loop(self._opened.fail, error)

    def __del__(self) -> None:
        if not self._opened.closed:
            self._on_its_loop(self._opened.drop, later=True)  # a finalizer may run anywhere

    def _on_its_loop(self, action: Callable[..., None], *arguments: Any, later: bool = False) -> None:
        """Call this at once if the loop of the connection is the running one, else as soon as it runs."""
        if not later and asyncio._get_running_loop() is self._protocol.loop:
            action(*arguments)
            return
        with contextlib.suppress(RuntimeError):  # on a closed loop there is nothing left to close
            self._protocol.loop.call_soon_threadsafe(action, *arguments)
