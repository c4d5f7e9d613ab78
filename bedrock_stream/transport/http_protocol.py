"""Reads one HTTP/1.1 response from a connection: llhttp parses, a future wakes the reader, nothing lies between.

aiohttp connects and sends the request. Then this protocol takes the connection's place at the transport, before the
first byte of the response, and tells aiohttp's own protocol only what it needs to write and to close.
What llhttp and asyncio require of us:
- httptools cannot tell llhttp that the connection has ended, so a body that ends with it is recognized here.
- llhttp limits neither the head nor trailers, and reads a body whose transfer coding is not `chunked` to the end of the
  connection. Both are refused here.
- A parser and its protocol refer to each other, so the parser is removed at the end.
- `connection_lost`, `pause_writing` and `resume_writing` are passed on. Without the first, aiohttp's connector waits
  forever when it is closed; without the others, an upload ignores back-pressure.
- A paused asyncio transport is not referenced by its loop, so the connection of an open response is held elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

__all__ = ("ConnectionDropped", "HttpHead", "MalformedResponse", "ResponseProtocol", "WriteSide")

_BUFFER = 128 * 1024  # bytes that may wait for the reader
_BATCH = 256  # pieces that are taken at once, so that what is made of them stays small
_HEAD = 64 * 1024  # bytes of all headers
_HEADERS = 256
_SETTINGS = 4  # the type of the first frame that an HTTP/2 server sends


class MalformedResponse(Exception):
    """The bytes are not an HTTP/1.1 response."""


class ConnectionDropped(Exception):
    """The connection ended before the head of the response."""

    silent = False
    """Whether the request had been written and no byte of the response had arrived."""
    stale = False
    """Whether the connection also had been idle before, so that another one may well work."""


class WriteSide(Protocol):
    """aiohttp's protocol, which writes the request and waits for the end of the connection."""

    def connection_lost(self, exc: Exception | None, /) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class HttpHead:
    """The status line and the headers of a response."""

    __slots__ = ("_first", "headers", "reason", "status")

    def __init__(self) -> None:
        self._first: dict[str, str] | None = None  # values by name in lower case, once one was looked for
        self.status: int = 0
        self.reason: str = ""
        self.headers: list[tuple[str, str]] = []
        """Names, and values as they were received: llhttp keeps the white space behind them."""

    def find(self, name: str) -> str | None:
        """Return the value of the first header of this name, in any case; None without one."""
        value = self.find_raw(name)
        return None if value is None else value.strip(" \t")  # not part of it (RFC 9112, 5.1)

    def find_raw(self, name: str) -> str | None:
        """Return the value with the white space behind it. The headers are complete then."""
        if self._first is None:
            self._first = {key.lower(): value for key, value in reversed(self.headers)}
        return self._first.get(name.lower())


_NO_HEAD = HttpHead()  # in place of one that is no longer needed


class ResponseProtocol(asyncio.Protocol):
    """One response while it is received: its head, then the pieces of its body."""

    __slots__ = (
        "_buffered",
        "_head_size",
        "_parser",
        "_paused",
        "_silent",
        "_start",
        "_transport",
        "_until_close",
        "_write_side",
        "complete",
        "error",
        "final",
        "head",
        "loop",
        "on_body",
        "pieces",
        "received",
        "reusable",
        "upload",
        "waiter",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        write_side: WriteSide,
        upload: asyncio.Task[None] | None,
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self._transport = transport
        self._write_side = write_side
        self.waiter: asyncio.Future[None] | None = None
        """Set by the reader before it waits; done when there is a head, a piece, the end or an error."""
        self._head_size = 0
        self._silent = 0  # bytes since the last piece of the body
        self._start = b""  # of the head, for an error
        self._buffered = 0
        self._paused = self._until_close = False
        self.head: HttpHead = HttpHead()
        """The head; of what comes before the response until `final`."""
        self.final: bool = False
        """Whether the head of the response is complete."""
        self.pieces: list[bytes] = []
        """The pieces of the body that have not been taken."""
        self.complete: bool = False
        """Whether the body has ended properly."""
        self.error: Exception | None = None
        """Why nothing more can be received; pieces that came before it are still valid."""
        self.received: int = 0
        """Bytes of the body that have been taken."""
        self.reusable: bool = False
        """Whether the connection may carry another request."""
        self.upload: asyncio.Task[None] | None = upload
        """Writes the request; None if that is done."""
        self.on_body: Callable[[bytes], None] = self.pieces.append  # from C to C: no Python frame for a piece
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    @property
    def is_uploaded(self) -> bool:
        """Whether the whole request has been written, or could not be."""
        return self.upload is None or self.upload.done()

    # ------------------------------------------------------------------------------------------------------ the reader

    async def read_head(self) -> HttpHead:
        """Return the head of the response. Raises `ConnectionDropped`, `MalformedResponse`."""
        while not self.final:
            if self.error is not None:
                error, self.error = self.error, None  # else the error, its traceback and this frame form a cycle
                raise error
            self.waiter = self.loop.create_future()
            await self.waiter
        return self.head

    def take(self) -> bytes:
        """Return the next bytes of the body that have arrived."""
        pieces = self.pieces
        data = pieces.pop()
        if pieces:
            pieces.append(data)
            data = b"".join(pieces[:_BATCH])
            del pieces[:_BATCH]
        self.received += len(data)
        if not pieces:
            self._buffered = 0
            if self._paused:
                self._paused = False
                self._transport.resume_reading()
        return data

    def forget_head(self) -> None:
        """Free the head, and the request if it has been written: the body may take minutes."""
        self.head = _NO_HEAD
        if self.is_uploaded:
            self.upload = None

    def fail(self, error: Exception) -> None:
        """Take an error of the reader's side; bytes that have not been taken are lost."""
        self.pieces.clear()
        self.complete, self.error = False, error

    def stop(self) -> None:
        """Wake the reader and free the parser; nothing more is received."""
        self._parser = None
        self._wake()

    # ---------------------------------------------------------------------------------------------- called by asyncio

    def data_received(self, data: bytes) -> None:
        """Parse bytes, and wake the reader if they hold something for it."""
        parser = self._parser
        if parser is None:
            return
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._damaged(error, data)
            return
        self._buffered += len(data)
        if self._buffered > _BUFFER and not self._paused and not self.complete:
            self._paused = True
            self._transport.pause_reading()
        if self.waiter is None:
            return
        if self.pieces or self.complete:
            self._silent = 0
            self._wake()
        else:
            self._count_silent(data)

    def eof_received(self) -> bool:
        """Take the end of the connection: a body without a length ends with it, any other one is cut off."""
        if self._until_close and self.error is None:
            self.complete = True
        else:
            self._fail(self._dropped("the server closed the connection"))
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the connection."""
        self._fail(self._dropped(str(exc or "the server closed the connection")))
        self.reusable = False
        self._parser = None
        self._wake()
        self._write_side.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on back-pressure of the upload."""
        self._write_side.pause_writing()

    def resume_writing(self) -> None:
        """Pass on the end of back-pressure."""
        self._write_side.resume_writing()

    # ---------------------------------------------------------------------------------------------- called by llhttp

    def on_message_begin(self) -> None:
        """Refuse a second response."""
        if self.complete:
            raise MalformedResponse("bytes follow the end of the response")

    def on_status(self, reason: bytes) -> None:
        """Take a part of the reason phrase."""
        if len(self.head.reason) < _HEAD:
            self.head.reason += reason.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer, which is ignored."""
        headers = self.head.headers
        self._head_size += len(name) + len(value)
        if self._head_size > _HEAD or len(headers) >= _HEADERS:
            raise MalformedResponse(f"the headers exceed {_HEAD} bytes or {_HEADERS} lines")
        if not self.final:
            headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Take the end of the head. Status 1xx comes before the response; 101 would leave HTTP."""
        parser, head = self._parser, self.head
        assert parser is not None  # noqa: S101 - it is calling
        head.status = parser.get_status_code()
        if 100 <= head.status < 200 and head.status != 101:
            self.head = HttpHead()
            return
        if parser.get_http_version() not in ("1.0", "1.1"):
            raise MalformedResponse(f"the server speaks HTTP/{parser.get_http_version()}, expected HTTP/1.1")
        coding = head.find_raw("Transfer-Encoding")
        if coding is not None and coding.rstrip(" ").lower() != "chunked":  # with a tab, llhttp does not recognize it
            raise MalformedResponse(f"Transfer-Encoding: expected chunked, got {coding[:100]!r}")
        self._until_close = coding is None and head.find("Content-Length") is None
        self.final = True
        self._start = b""
        self._wake()

    def on_message_complete(self) -> None:
        """Take the end of the body."""
        if self.final:
            self.complete = True
            self.reusable = self._parser is not None and self._parser.should_keep_alive()

    # ------------------------------------------------------------------------------------------------------- internals

    def _wake(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            try:  # noqa: SIM105 - no context manager for each event
                waiter.set_result(None)
            except asyncio.InvalidStateError:
                pass  # the reader was cancelled, and has not run since

    def _fail(self, error: Exception) -> None:
        if self.error is None and not self.complete:
            self.error = error

    def _dropped(self, reason: str) -> ConnectionDropped:
        error = ConnectionDropped(reason)
        error.silent = not self._start and self.is_uploaded
        return error

    def _count_silent(self, data: bytes) -> None:
        """Limit what llhttp would collect without an end: a head, the extension of a chunk, trailers."""
        if not self.final:
            self._start = (self._start + data)[:100]
        self._silent += len(data)
        if self._silent > 2 * _HEAD:
            self._damaged(MalformedResponse(f"{self._silent} bytes hold neither a complete head nor a body"), data)

    def _damaged(self, error: Any, data: bytes) -> None:
        """Take bytes that are not HTTP. What was parsed before them stays valid; nothing after them is."""
        if isinstance(error, HttpParserCallbackError) and error.__context__ is not None:
            error = error.__context__
        self.reusable = False
        reason = "the connection was switched to another protocol" if isinstance(error, HttpParserUpgrade) else error
        if not self.final:
            reason = _describe((self._start + data)[:100], str(reason))
        self._fail(MalformedResponse(str(reason)))
        self._parser = None
        self._transport.abort()
        self._wake()


def _describe(start: bytes, reason: str) -> str:
    if start.startswith(b"HTTP/2") or (start[:2] == b"\0\0" and start[3:4] == bytes([_SETTINGS])):
        return "the server speaks HTTP/2, expected HTTP/1.1"
    if not start.startswith(b"HTTP/"):
        return f"the server does not speak HTTP/1.1, it sent {start[:32]!r}"
    return f"the response is not valid HTTP/1.1: {reason}"
