"""HTTP/2 in front of an HTTP/1.1 server: each stream is one request on a connection of its own inside the process.

So everything that a script does to a response comes through: bytes when they are written, pauses, statuses. What breaks
an HTTP/1.1 response off (a closed or reset connection, a torn or invalid chunk) resets its stream. Windows are honoured
in both directions: a part of a request body is acknowledged once the server has taken it, and the server is not read
while a client's window is full.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import FrameTooLargeError, ProtocolError
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

__all__ = ("Http2Connection",)

_READ = 64 * 1024
_PREFACE = 24  # bytes in front of a client's first frame
_FRAME_HEAD = 9  # length (3), type, flags, stream (4)
_LONGEST_FRAME = 16 * 1024  # a server may announce more; this one does not
_GOAWAY = 7
# Headers of one HTTP/1.1 connection, which HTTP/2 forbids.
_HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
_NOT_A_NAME = re.compile(rb"[^!#$%&'*+.^_`|~0-9a-z-]")
_NOT_A_VALUE = re.compile(rb"[\0\r\n]")
_NOT_A_TARGET = re.compile(rb"[\0-\x20\x7f]")


class _InvalidRequest(Exception):
    """A request that HTTP/1.1 cannot express."""


class _Frames:
    """Splits what a client sends into frames, and keeps its GOAWAY from h2.

    After GOAWAY a client still reads the responses that it waits for, but h2 would send nothing more.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipped = 0
        self.is_leaving = False
        """Whether the client begins no more requests."""

    def feed(self, data: bytes) -> bytes:
        """Return the complete frames. Raises `ConnectionError` where the client gives up the connection."""
        rest, frames = self._rest, bytearray()
        rest += data
        if not self._skipped and len(rest) >= _PREFACE:
            self._skipped = _PREFACE
            frames += rest[:_PREFACE]
            del rest[:_PREFACE]
        while self._skipped and len(rest) >= _FRAME_HEAD:
            length = int.from_bytes(rest[:3], "big")
            if length > _LONGEST_FRAME:
                raise FrameTooLargeError(f"a frame declares {length} bytes; the maximum is {_LONGEST_FRAME}")
            end = _FRAME_HEAD + length
            if len(rest) < end:
                break
            if rest[3] != _GOAWAY:
                frames += rest[:end]
            elif any(rest[13:17]):  # the error code, behind the last stream
                raise ConnectionResetError
            else:
                self.is_leaving = True
            del rest[:end]
        return bytes(frames)


class _Stream:
    """A request that is being answered."""

    def __init__(self) -> None:
        self.body: asyncio.Queue[tuple[bytes, int] | None] = asyncio.Queue()
        """Parts of the request body with their size in the window; None is its end. The window bounds it."""
        self.ended = False
        """Whether the client has sent the whole request."""
        self.task: asyncio.Task[None] | None = None


class Http2Connection:
    """One connection of a client. `accept` makes the protocol of a new connection to the HTTP/1.1 server."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, accept: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._reader, self._writer, self._accept = reader, writer, accept
        self._http2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._frames = _Frames()
        self._streams: dict[int, _Stream] = {}
        self._window_opened = asyncio.Event()

    async def serve(self) -> None:
        """Serve until the client disconnects. If it is cancelled, the connection is closed at once."""
        self._http2.initiate_connection()
        self._flush()
        try:
            while data := await self._reader.read(_READ):
                for event in self._http2.receive_data(self._frames.feed(data)):
                    self._handle(event)
                self._flush()
                self._leave()
        except FrameTooLargeError as error:
            self._http2.close_connection(error.error_code)
            self._flush()
        except ProtocolError:
            self._flush()  # the reason, which h2 has written
        except ConnectionError:
            pass
        except asyncio.CancelledError:
            self._writer.transport.abort()
            raise
        finally:
            tasks = [stream.task for stream in self._streams.values() if stream.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writer.close()

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int() as number, headers=list() as headers):
                self._begin(number, headers, is_whole=event.stream_ended is not None)
            case DataReceived(stream_id=int() as number, data=bytes() as data, flow_controlled_length=int() as size):
                if number in self._streams:
                    self._streams[number].body.put_nowait((data, size))
                else:  # the answer has ended before the request
                    self._http2.acknowledge_received_data(size, number)
            case StreamEnded(stream_id=int() as number) if number in self._streams:
                self._streams[number].ended = True
                self._streams[number].body.put_nowait(None)
            case StreamReset(stream_id=int() as number) if number in self._streams:
                task = self._streams[number].task
                if task is not None:
                    task.cancel()
            case WindowUpdated() | RemoteSettingsChanged():
                self._window_opened.set()

    def _begin(self, number: int, headers: Iterable[tuple[bytes, bytes]], *, is_whole: bool) -> None:
        try:
            method, head, is_chunked = _request_head(headers, is_whole=is_whole)
        except _InvalidRequest:
            self._http2.reset_stream(number, ErrorCodes.PROTOCOL_ERROR)
            return
        stream = self._streams[number] = _Stream()
        stream.task = asyncio.create_task(self._answer(number, stream, method, head, is_chunked=is_chunked))

    async def _answer(self, number: int, stream: _Stream, method: bytes, head: bytes, *, is_chunked: bool) -> None:
        """Pass the request to the server and its response to the client."""
        try:
            reader, writer = await self._connect()
            writer.write(head)
            upload = asyncio.create_task(self._upload(number, stream, writer, is_chunked=is_chunked))
            try:
                is_whole = await self._download(number, reader, method)
            finally:
                # Nothing is awaited here: this task may be cancelled a second time.
                upload.cancel()
                writer.transport.abort()
            if not is_whole:
                self._http2.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
            else:
                self._http2.end_stream(number)
                if not stream.ended:  # nobody reads the rest of the request (RFC 9113, 8.1)
                    self._http2.reset_stream(number, ErrorCodes.NO_ERROR)
        except (ConnectionError, ProtocolError):
            pass  # the client has closed the connection
        finally:
            del self._streams[number]
            while not stream.body.empty():
                self._acknowledge(number, stream.body.get_nowait())
            self._flush()
            self._leave()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to the HTTP/1.1 server."""
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._accept, far)
            return await asyncio.open_connection(sock=near)
        except BaseException:
            near.close()
            raise

    async def _upload(self, number: int, stream: _Stream, writer: asyncio.StreamWriter, *, is_chunked: bool) -> None:
        """Send the request body."""
        with suppress(ConnectionError):  # the response says why the server does not read on
            while (part := await stream.body.get()) is not None:
                data, _ = part
                if is_chunked and data:
                    data = b"%x\r\n%s\r\n" % (len(data), data)
                writer.write(data)
                try:
                    await writer.drain()
                finally:
                    self._acknowledge(number, part)
                    self._flush()
            if is_chunked:
                writer.write(b"0\r\n\r\n")

    def _acknowledge(self, number: int, part: tuple[bytes, int] | None) -> None:
        if part is not None and part[1]:
            with suppress(ProtocolError):  # the connection has ended
                self._http2.acknowledge_received_data(part[1], number)

    async def _download(self, number: int, reader: asyncio.StreamReader, method: bytes) -> bool:
        """Send the response as it is received; return whether it is whole."""
        response = _Response()
        is_sent = False
        while True:
            try:
                data = await reader.read(_READ)
            except ConnectionError:
                data = b""
            is_intact = bool(data) and response.feed(data)
            if response.has_head and not is_sent:
                is_sent = True
                self._http2.send_headers(number, response.head())
                self._flush()
            for piece in response.take():
                await self._send(number, piece)
            if response.is_whole or (is_sent and method == b"HEAD"):
                return True
            if not is_intact:
                return False

    async def _send(self, number: int, data: bytes) -> None:
        """Send a part of a response body as the client's windows allow."""
        while data:
            room = min(self._http2.local_flow_control_window(number), self._http2.max_outbound_frame_size)
            if room <= 0:
                self._window_opened.clear()
                await self._window_opened.wait()
                continue
            self._http2.send_data(number, data[:room])
            data = data[room:]
            self._flush()
            await self._writer.drain()

    def _leave(self) -> None:
        """Close the connection if the client wants nothing more."""
        if self._frames.is_leaving and not self._streams:
            self._writer.close()

    def _flush(self) -> None:
        if data := self._http2.data_to_send():
            self._writer.write(data)


class _Response:
    """The parser of one HTTP/1.1 response; httptools calls its `on_` methods."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self.has_head = False
        self.is_whole = False

    def feed(self, data: bytes) -> bool:
        """Parse bytes; return False if they are not HTTP. What was parsed before is kept."""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            return False
        return True

    def head(self) -> list[tuple[bytes, bytes]]:
        """Return the status and the headers for HTTP/2."""
        kept = [(name, value) for name, value in self._headers if name not in _HOP_BY_HOP]
        return [(b":status", str(self._status).encode()), *kept]

    def take(self) -> list[bytes]:
        """Return the parts of the body since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        if not self.has_head:
            self._headers.append((name.lower(), value.strip()))

    def on_headers_complete(self) -> None:
        """Keep the status, unless another response with another one follows (1xx)."""
        status = self._parser.get_status_code()
        if status < 200:
            self._headers.clear()
        elif not self.has_head:
            self._status = status
            self.has_head = True

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body."""
        if not self.is_whole:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """Notice the end. What a script has behind it (another response) has no place in HTTP/2."""
        self.is_whole = self.has_head


def _request_head(headers: Iterable[tuple[bytes, bytes]], *, is_whole: bool) -> tuple[bytes, bytes, bool]:
    """Return the method, the bytes of an HTTP/1.1 head, and whether chunks follow. Raises `_InvalidRequest`."""
    fields = dict[bytes, list[bytes]]()
    for name, value in headers:
        # Inside HTTP/1.1 such a value could begin another header or another request.
        if _NOT_A_NAME.search(name.removeprefix(b":")) or _NOT_A_VALUE.search(value):
            raise _InvalidRequest
        fields.setdefault(bytes(name), []).append(bytes(value))
    method, target = fields.pop(b":method", [b""])[0], fields.pop(b":path", [b""])[0]
    if not method or not target or method == b"CONNECT" or _NOT_A_TARGET.search(method + target):
        raise _InvalidRequest
    host = fields.pop(b"host", [])
    host = fields.pop(b":authority", host)
    is_chunked = not is_whole and b"content-length" not in fields
    lines = [b"%s %s HTTP/1.1" % (method, target), *(b"host: " + value for value in host)]
    for name, values in fields.items():
        # An interim response would only cost time: the body is on its way.
        if not name.startswith(b":") and name not in _HOP_BY_HOP and name != b"expect":
            lines += [b"%s: %s" % (name, value) for value in values]
    if is_chunked:
        lines.append(b"transfer-encoding: chunked")
    return method, b"\r\n".join(lines) + b"\r\n\r\n", is_chunked
