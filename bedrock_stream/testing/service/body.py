"""The body of one HTTP response, and the faults that a script applies to it."""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import Enum, auto

from aiohttp import web

__all__ = ("BodyEnded", "Ending", "ResponseBody", "pause", "reset_connection")

_LINGER_ZERO = struct.pack("ii", 1, 0)  # with SO_LINGER at 0 seconds, closing sends RST instead of FIN
_PARTS_PER_FRAME = 8  # the writes that a slow body needs for one frame


class BodyEnded(Exception):
    """The script ended the body; nothing more is written."""


class Ending(Enum):
    """The ways in which a body can end."""

    CLEAN = auto()
    """A complete HTTP body."""
    TORN = auto()
    """The connection is closed without the last chunk, or before the announced length."""
    TORN_CHUNK = auto()
    """The connection is closed inside a chunk, after its size line."""
    RESET = auto()
    """The connection is reset (RST)."""


class ResponseBody:
    """The writer of a prepared response: takes complete frames, or one JSON document, and applies faults to them."""

    def __init__(self, http: web.BaseRequest, response: web.StreamResponse) -> None:
        self._http = http
        self._response = response
        self._bit: int | None = None
        # An ending that is still to come, the bytes before it, and whether it is inside the next frame in any case.
        self._pending_end: tuple[Ending, int, bool] | None = None
        self._late: tuple[float | None] | None = None  # the pause before a torn end
        self._second: tuple[bytes, float | None] | None = None  # another response, and the pause before it
        self._chunk_size: int | None = None
        self._frame_seconds: float | None = None
        self._buffer = bytearray()  # bytes that do not fill a chunk yet

    async def write(self, data: bytes) -> None:
        """Send one frame. Raises `BodyEnded` if the body ends inside it."""
        if self._bit is not None:
            data, self._bit = _flip(data, self._bit), None
        if self._pending_end is not None:
            ending, remaining, in_next = self._pending_end
            if in_next or remaining <= len(data):
                self._pending_end = None
                await self._end_inside(data, remaining, ending)
                raise BodyEnded
            self._pending_end = ending, remaining - len(data), in_next
        await self._send(data)

    def flip_bit(self, bit: int) -> None:
        """Flip one bit of the next frame."""
        self._bit = bit

    def end_inside(self, inside: int, ending: Ending) -> None:
        """End the body `inside` bytes into the next frame, or after it if it is shorter."""
        self._pending_end = ending, inside, True

    def end_after(self, count: int, ending: Ending) -> None:
        """End the body after `count` more bytes, or at its regular end if it is shorter."""
        self._pending_end = ending, count, False

    def end_late(self, seconds: float | None) -> None:
        """End the body and the connection only `seconds` after the message; None waits until the client disconnects."""
        self._late = (seconds,)

    def answer_again(self, status: int, body: bytes, *, after: float | None = None) -> None:
        """Send another response behind this one: in one write with its end, or some seconds later."""
        head = f"HTTP/1.1 {status} Other\r\nContent-Type: application/json\r\n"
        if after is None and self._response.chunked:
            # Its end is the one that aiohttp writes for the first response, whose own end is in front of it.
            raw = f"0\r\n\r\n{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n"
        else:
            raw = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._second = raw, after

    async def write_raw(self, data: bytes) -> None:
        """Write bytes to the connection outside of HTTP chunks."""
        await self.flush()
        if self._http.transport is not None:
            self._http.transport.write(data)

    def rechunk(self, size: int) -> None:
        """Write chunks of `size` bytes from here on."""
        self._chunk_size = size

    def slow_down(self, seconds: float) -> None:
        """Spread each frame over `seconds` from here on."""
        self._frame_seconds = seconds

    async def flush(self) -> None:
        """Send the buffered bytes. Call it before every pause, so that the pause is where the script has it."""
        if self._buffer:
            chunk = bytes(self._buffer)
            self._buffer.clear()
            await self._response.write(chunk)

    async def end(self, ending: Ending = Ending.CLEAN) -> None:
        """End the body. An ending that is still pending replaces `ending`."""
        await self.flush()
        if self._pending_end is not None:
            ending = self._pending_end[0]
        match ending:
            case Ending.CLEAN if self._late is not None and self._response.chunked:
                await pause(self._late[0])
                if self._http.transport is not None:
                    self._http.transport.close()
            case Ending.CLEAN:
                await self._end_properly()
            case Ending.RESET:
                reset_connection(self._http)
            case _ if self._http.transport is not None:
                if ending is Ending.TORN_CHUNK and self._response.chunked:
                    self._http.transport.write(b"10\r\n")  # the size line (hex) of a chunk whose 16 bytes never follow
                self._http.transport.close()

    async def _end_properly(self) -> None:
        """End the body, and send the response that a script has behind it."""
        if self._second is None:
            await self._response.write_eof()
            return
        second, after = self._second
        if after is None:
            await self.write_raw(second)
        await self._response.write_eof()
        if after is not None:
            await asyncio.sleep(after)
            await self.write_raw(second)

    async def _end_inside(self, data: bytes, inside: int, ending: Ending) -> None:
        if ending is Ending.TORN_CHUNK and self._response.chunked and self._http.transport is not None:
            await self.flush()
            self._http.transport.write(b"%x\r\n" % len(data) + data[:inside])
            self._http.transport.close()
        else:
            await self._send(data[:inside])
            await self.end(ending)

    async def _send(self, data: bytes) -> None:
        if self._frame_seconds is None:
            await self._write_chunks(data)
            return
        step = -(-len(data) // _PARTS_PER_FRAME) or 1
        for start in range(0, len(data), step):
            await self._write_chunks(data[start : start + step])
            await self.flush()
            await asyncio.sleep(self._frame_seconds / _PARTS_PER_FRAME)

    async def _write_chunks(self, data: bytes) -> None:
        if self._chunk_size is None:
            await self._response.write(data)
            return
        self._buffer += data
        while len(self._buffer) >= self._chunk_size:
            chunk = bytes(self._buffer[: self._chunk_size])
            del self._buffer[: self._chunk_size]
            await self._response.write(chunk)
            # A client on the same event loop reads along.
            await asyncio.sleep(0)


def reset_connection(http: web.BaseRequest) -> None:
    """Close the connection with RST. Bytes that are already written are sent first."""
    if http.transport is not None:
        http.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        http.transport.abort()


async def pause(seconds: float | None) -> None:
    """Wait for `seconds`; None waits until the client disconnects, which cancels the task."""
    if seconds is None:
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(seconds)


def _flip(data: bytes, bit: int) -> bytes:
    bit %= 8 * len(data)
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
