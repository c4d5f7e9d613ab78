"""The accepting side of the emulator: the first bytes of a connection decide between HTTP/1.1 and HTTP/2.

HTTP/2 is spoken with prior knowledge (RFC 9113, 3.3), as AWS's SDK for JavaScript does, and needs the package
h2. Without it such a connection is refused in the words of HTTP/2, and HTTP/1.1 is not affected.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from aiohttp import web

__all__ = ("Front",)

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_MISSING = 'HTTP/2 needs the package h2: pip install "bedrock-stream[testing]"'
_SETTINGS_FRAME = b"\0\0\0\4\0\0\0\0\0"  # without a setting; a server sends it first
_HTTP_1_1_REQUIRED = 13
_log = logging.getLogger("bedrock_stream.testing")


class Front(web.Server):
    """A factory of protocols for new connections: aiohttp's, or HTTP/2 in front of it."""

    def __init__(self, handler: Callable[..., object], **settings: object) -> None:
        super().__init__(handler, **settings)  # type: ignore[arg-type]
        self._undecided: set[asyncio.Transport] = set()
        self._http_2_tasks: set[asyncio.Task[None]] = set()

    def __call__(self) -> asyncio.Protocol:  # type: ignore[override]  # asyncio asks for any protocol
        return _FirstBytes(self)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Close every connection."""
        for transport in list(self._undecided):
            transport.abort()
        for task in self._http_2_tasks:
            task.cancel()
        await asyncio.gather(*self._http_2_tasks, return_exceptions=True)
        await super().shutdown(timeout)

    def decide(self, transport: asyncio.Transport, received: bytes) -> None:
        """Give the connection and its first bytes to the protocol that they belong to."""
        protocol = self._http_2(transport) if received.startswith(_PREFACE) else super().__call__()
        if protocol is None:
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(received)

    def _http_2(self, transport: asyncio.Transport) -> asyncio.Protocol | None:
        try:
            from .http2 import Http2Connection
        except ImportError:
            _refuse(transport)
            return None

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(Http2Connection(reader, writer, super(Front, self).__call__).serve())
            self._http_2_tasks.add(task)
            task.add_done_callback(self._http_2_tasks.discard)

        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), begin)


class _FirstBytes(asyncio.Protocol):
    """A new connection, until its protocol is known."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._front._undecided.add(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._transport is None or (len(self._received) < len(_PREFACE) and _PREFACE.startswith(self._received)):
            return
        transport, self._transport = self._transport, None
        self._front._undecided.discard(transport)
        self._front.decide(transport, self._received)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._front._undecided.discard(self._transport)


def _refuse(transport: asyncio.Transport) -> None:
    _log.warning("%s", _MISSING)
    words = _MISSING.encode()
    # GOAWAY: length, type 7, no flags, stream 0; last stream 0, error code, words for a person.
    head = (8 + len(words)).to_bytes(3, "big") + b"\7\0" + bytes(4)
    transport.write(_SETTINGS_FRAME + head + bytes(4) + _HTTP_1_1_REQUIRED.to_bytes(4, "big") + words)
    transport.close()
