"""A plain socket server that sends exactly the bytes a test chooses, and records requests and disconnects."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, cast

from bedrock_stream.eventstream import Frame, encode_frame

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n"
    b"x-amzn-RequestId: request-1\r\ntransfer-encoding: chunked\r\n\r\n"
)


def frame(kind: str, body: Any) -> bytes:
    """Encode an event as Bedrock frames it."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_frame(Frame(dict(headers), json.dumps(body).encode()))


def exception(kind: str, message: str) -> bytes:
    """Encode an exception as Bedrock frames it."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode_frame(Frame(dict(headers), json.dumps({"message": message}).encode()))


def text(piece: str, index: int = 0) -> bytes:
    """Encode a text delta."""
    return frame("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": piece}, "p": "abc"})


START = frame("messageStart", {"role": "assistant"})
END = frame("messageStop", {"stopReason": "end_turn"}) + frame(
    "metadata", {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, "metrics": {"latencyMs": 4}}
)


class Connection:
    """One request, and the methods to respond to it."""

    def __init__(self, head: bytes, body: bytes, transport: asyncio.Transport, closed: asyncio.Event) -> None:
        self.head = head
        self.body = body
        self.closed = closed
        """Set once the peer has disconnected."""
        self._transport = transport

    @property
    def request_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode().split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}

    def begin(self) -> None:
        """Send the response head of a stream."""
        self.write(STREAM_HEAD)

    def chunk(self, data: bytes) -> None:
        """Send one HTTP chunk."""
        self.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        """End the body properly."""
        self.write(b"0\r\n\r\n")

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    @property
    def peer(self) -> Any:
        """The client's address, which is the same for all requests over one connection."""
        return self._transport.get_extra_info("peername")

    def close(self) -> None:
        """Close the connection, whatever is incomplete."""
        self._transport.close()

    def half_close(self) -> None:
        """End what is sent with a FIN, without TLS's own goodbye, and go on receiving."""
        own = self._transport.get_extra_info("socket")
        with socket.fromfd(own.fileno(), own.family, own.type) as sock:
            sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Reset the connection."""
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


Answer = Callable[[Connection], Coroutine[Any, Any, None]]


async def silence(connection: Connection) -> None:
    """Send nothing until the peer disconnects."""
    await connection.closed.wait()


async def begin_and_wait(connection: Connection) -> None:
    """Send a text delta and the start of a tool call, then nothing more."""
    call = {"toolUseId": "call-1", "name": "look"}
    connection.begin()
    connection.chunk(
        START + text("Hello") + frame("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": call}})
    )
    await connection.closed.wait()


class SocketServer:
    """A server on loopback that handles each request with `answer`, which closes the connection if it should close."""

    def __init__(self, answer: Answer, *, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self._context = context
        self._server: asyncio.Server | None = None
        self._change = asyncio.Event()
        self.url = ""
        self.peers: set[_Peer] = set()
        """Open connections."""
        self.connections: list[Connection] = []
        """Requests, in the order of arrival."""

    async def arrived(self, count: int) -> list[Connection]:
        """Wait until `count` requests have arrived in all, and return them."""
        while len(self.connections) < count:
            await self._change.wait()
        return self.connections

    async def deserted(self) -> None:
        """Wait until no connection is open."""
        while self.peers:
            await self._change.wait()

    def changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Peer(self), "127.0.0.1", 0, backlog=1024, ssl=self._context)
        scheme = "https" if self._context else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for peer in self.peers:
            peer.transport.abort()
        await self.deserted()


class _Peer(asyncio.Protocol):
    """One connection of a client."""

    transport: asyncio.Transport

    def __init__(self, server: SocketServer) -> None:
        self._server = server
        self._buffer = b""
        self._closed = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._server.peers.add(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        connection = Connection(head, rest, self.transport, self._closed)
        if end and len(rest) >= int(connection.headers.get("content-length", 0)):
            self._buffer = b""
            self._server.connections.append(connection)
            self._server.changed()
            task = asyncio.ensure_future(self._server.answer(connection))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()
        for task in self._answering:
            task.cancel()
        self._server.peers.discard(self)
        self._server.changed()
