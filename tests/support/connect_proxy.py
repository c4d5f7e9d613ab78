"""An HTTP proxy on loopback: tunnels CONNECT requests, forwards plain http, and can require authentication."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl as ssl_module
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

REFUSAL = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
    b'Proxy-Authenticate: Basic realm="tests"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
)


class ConnectProxy:
    """A proxy that maps each requested `host:port` to its real address by `routes`; it refuses others with 502."""

    def __init__(
        self,
        routes: Mapping[str, str],
        *,
        user: str | None = None,
        password: str = "",
        ssl: ssl_module.SSLContext | None = None,
    ) -> None:
        self._routes = routes
        self._login = None if user is None else base64.b64encode(f"{user}:{password}".encode()).decode()
        self._ssl = ssl
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._change = asyncio.Event()
        self.address = ""
        """Its own address, `127.0.0.1:PORT`."""
        self.heads: list[str] = []
        """The request heads received, each up to the empty line."""

    @property
    def asked(self) -> list[str]:
        """The request line of each head, without the HTTP version."""
        return [head.partition(" HTTP/")[0] for head in self.heads]

    async def deserted(self) -> None:
        """Wait until no client is connected."""
        while self._serving:
            await self._change.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._ssl)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await self.deserted()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._disconnected)

    def _disconnected(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        self._change.set()
        self._change = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                await self._answer(reader, writer)
            finally:
                await _close(writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        method, target, _ = head.split(" ", 2)
        if self._login is not None and f"Proxy-Authorization: Basic {self._login}\r\n" not in head:
            writer.write(REFUSAL)
            return
        route = self._routes.get(target if method == "CONNECT" else urlsplit(target).netloc)
        if route is None:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        host, _, port = route.partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                far_writer.write(_origin_head(head, target).encode())
            await _until_one_ends(_pipe(reader, far_writer), _pipe(far_reader, writer))
        finally:
            await _close(far_writer)


def _origin_head(head: str, target: str) -> str:
    """Return the head for the origin server: no proxy headers, and one request per connection."""
    lines = head.replace(target, "/" + target.split("/", 3)[3], 1).split("\r\n")
    kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
    return "\r\n".join([kept[0], "Connection: close", *kept[1:]])


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def _until_one_ends(*pipes: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.ensure_future(pipe) for pipe in pipes]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
