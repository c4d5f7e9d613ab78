"""The lowest floor: an asyncio.Protocol that wakes a future for each read, HTTP's framing and all.

Reads are of 64 KiB, since asyncio's own 256 KiB may cost more than all the rest: see `transport` in the library.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from . import Read, Take, Target, messages

PACKAGE = None
IMPORT = "import asyncio"
FORMS = ("converse",)
_END = b"0\r\n\r\n"


class _Arrivals(asyncio.Protocol):
    """Bytes as they come, and one future for whoever waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        self._arrived.append(data)
        if self._waiter is not None:
            self._waiter.set_result(None)
            self._waiter = None

    async def next(self) -> bytes:
        """What has arrived."""
        if not self._arrived:
            self._waiter = self._loop.create_future()
            await self._waiter
        data = self._arrived[0] if len(self._arrived) == 1 else b"".join(self._arrived)
        self._arrived.clear()
        return data


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    context = None
    if target.cafile:
        import ssl

        context = ssl.create_default_context(cafile=target.cafile)
    address = urlsplit(target.url)
    host, port = address.hostname or "", address.port or 0

    async def read(prompt: str, take: Take) -> None:
        loop = asyncio.get_running_loop()
        transport, arrivals = await loop.create_connection(_Arrivals, host, port, ssl=context)
        if hasattr(transport, "max_size"):
            transport.max_size = 64 * 1024
        try:
            body = json.dumps({"messages": messages(prompt)}).encode()
            head = f"POST /model/x/converse-stream HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            transport.write(head.encode() + body)
            tail = b""
            while tail != _END:
                data = await arrivals.next()
                take(data)
                tail = (tail + data)[-len(_END) :]
        finally:
            transport.abort()

    yield read
