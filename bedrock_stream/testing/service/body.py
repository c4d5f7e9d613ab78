"""The bytes of one answer on their way out, and the faults that a script puts on them."""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import Enum, auto

from aiohttp import web

__all__ = ("AnswerBody", "BodyEnded", "Ending", "reset_connection")

_LINGER_ZERO = struct.pack("ii", 1, 0)  # closing then sends RST instead of FIN
_TRICKLES = 8  # pieces of a frame that arrives slowly


class BodyEnded(Exception):
    """The script ended the body; nothing more is written."""


class Ending(Enum):
    """How a body ends."""

    CLEAN = auto()
    TORN = auto()
    TORN_CHUNK = auto()
    RESET = auto()


class AnswerBody:
    """Writes whole frames (or one JSON document) to a prepared response, damaged as told."""

    def __init__(self, http: web.BaseRequest, response: web.StreamResponse) -> None:
        self._http = http
        self._response = response
        self._bit: int | None = None
        self._due: tuple[Ending, int, bool] | None = None
        self._size: int | None = None
        self._seconds: float | None = None
        self._held = bytearray()  # bytes that do not fill a piece yet

    async def write(self, data: bytes) -> None:
        """Send one frame. Raises `BodyEnded` where an end was due inside it."""
        if self._bit is not None:
            data, self._bit = _flipped(data, self._bit), None
        if self._due is not None:
            ending, left, in_next = self._due
            if in_next or left <= len(data):
                self._due = None
                await self._end_inside(data, left, ending)
                raise BodyEnded
            self._due = ending, left - len(data), in_next
        await self._send(data)

    def flip_bit(self, bit: int) -> None:
        """Damage the next frame."""
        self._bit = bit

    def end_inside(self, inside: int, ending: Ending) -> None:
        """End the body that many bytes into the next frame, or behind it."""
        self._due = ending, inside, True

    def end_after(self, count: int, ending: Ending) -> None:
        """End the body when that many more bytes were written, at the latest where it ends by itself."""
        self._due = ending, count, False

    def rechunk(self, size: int) -> None:
        """Write in pieces of this size from here on."""
        self._size = size

    def slow_down(self, seconds: float) -> None:
        """Take this long for each frame from here on."""
        self._seconds = seconds

    async def flush(self) -> None:
        """Send what is held back; before every silence, so that a pause stands where the script put it."""
        if self._held:
            piece = bytes(self._held)
            self._held.clear()
            await self._response.write(piece)

    async def end(self, ending: Ending = Ending.CLEAN) -> None:
        """End the body, in the way that is still due where one is."""
        await self.flush()
        if self._due is not None:
            ending = self._due[0]
        match ending:
            case Ending.CLEAN:
                await self._response.write_eof()
            case Ending.RESET:
                reset_connection(self._http)
            case _ if self._http.transport is not None:
                if ending is Ending.TORN_CHUNK and self._response.chunked:
                    self._http.transport.write(b"10\r\n")  # a chunk of 16 bytes, it says
                self._http.transport.close()

    async def _end_inside(self, data: bytes, inside: int, ending: Ending) -> None:
        if ending is Ending.TORN_CHUNK and self._response.chunked and self._http.transport is not None:
            await self.flush()
            self._http.transport.write(b"%x\r\n" % len(data) + data[:inside])
            self._http.transport.close()
        else:
            await self._send(data[:inside])
            await self.end(ending)

    async def _send(self, data: bytes) -> None:
        if self._seconds is None:
            await self._put(data)
            return
        step = -(-len(data) // _TRICKLES) or 1
        for start in range(0, len(data), step):
            await self._put(data[start : start + step])
            await self.flush()
            await asyncio.sleep(self._seconds / _TRICKLES)

    async def _put(self, data: bytes) -> None:
        if self._size is None:
            await self._response.write(data)
            return
        self._held += data
        while len(self._held) >= self._size:
            piece = bytes(self._held[: self._size])
            del self._held[: self._size]
            await self._response.write(piece)
            await asyncio.sleep(0)


def reset_connection(http: web.BaseRequest) -> None:
    """Send RST; whatever had been written goes out first."""
    if http.transport is not None:
        http.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        http.transport.abort()


def _flipped(data: bytes, bit: int) -> bytes:
    bit %= 8 * len(data)
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
