"""The lowest bound: an `asyncio.Protocol` that wakes a future for each read and leaves HTTP framing in the bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from . import OnText, Read, Target, messages

PACKAGE = None
IMPORT = "import asyncio"
FORMS = ("converse",)
_OK = b"HTTP/1.1 200 "
_END = b"0\r\n\r\n"


class _Receiver(asyncio.Protocol):
    """A buffer of received bytes with one future for the reader."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        if self._waiter is not None:
            self._waiter.set_result(None)
            self._waiter = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(exc or ConnectionError("the connection ended before the answer"))

    async def next(self) -> bytes:
        """Return the bytes received since the last call, or wait for some."""
        if not self._received:
            self._waiter = self._loop.create_future()
            await self._waiter
        data = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        self._received.clear()
        return data


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    context = None
    if target.cafile:
        import ssl

        context = ssl.create_default_context(cafile=target.cafile)
    address = urlsplit(target.url)
    host, port = address.hostname or "", address.port or 0

    async def read(prompt: str, on_text: OnText) -> None:
        loop = asyncio.get_running_loop()
        transport, receiver = await loop.create_connection(_Receiver, host, port, ssl=context)
        try:
            body = json.dumps({"messages": messages(prompt)}).encode()
            head = f"POST /model/x/converse-stream HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            transport.write(head.encode() + body)
            tail = b""
            while tail != _END:
                data = await receiver.next()
                if not tail and not data.startswith(_OK):
                    raise ConnectionError(f"expected {_OK!r}, got {data[:200]!r}")
                on_text(data)
                tail = (tail + data)[-len(_END) :]
        finally:
            transport.abort()

    yield read
