"""The bytes of one answer on their way out, and the faults that a script puts on them."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

__all__ = ("AnswerBody", "BodyEnded")

_LINGER_ZERO = struct.pack("ii", 1, 0)  # closing then sends RST instead of FIN


class BodyEnded(Exception):
    """The script ended the body; nothing more is written."""


class AnswerBody:
    """Writes whole frames (or one JSON document) to a prepared response, damaged as told."""

    def __init__(self, http: web.BaseRequest, response: web.StreamResponse) -> None:
        self._http = http
        self._response = response
        self._bit: int | None = None
        self._cut: tuple[int, bool] | None = None
        self._size: int | None = None
        self._held = bytearray()  # bytes that do not fill a piece yet

    async def write(self, data: bytes) -> None:
        """Send one frame. Raises `BodyEnded` where a cut was due inside it."""
        if self._bit is not None:
            data, self._bit = _flipped(data, self._bit), None
        if self._cut is not None:
            inside, torn = self._cut
            await self._send(data[:inside])
            await self.end(torn=torn)
            raise BodyEnded
        await self._send(data)

    def flip_bit(self, bit: int) -> None:
        """Damage the next frame."""
        self._bit = bit

    def cut_inside(self, inside: int, *, torn: bool) -> None:
        """End the body that many bytes into the next frame."""
        self._cut = inside, torn

    def rechunk(self, size: int) -> None:
        """Write in pieces of this size from here on."""
        self._size = size

    async def flush(self) -> None:
        """Send what is held back; before every silence, so that a pause stands where the script put it."""
        if self._held:
            piece = bytes(self._held)
            self._held.clear()
            await self._response.write(piece)

    async def end(self, *, torn: bool = False) -> None:
        """End the body: with its last chunk, or `torn` by closing the connection."""
        await self.flush()
        if torn:
            if self._http.transport is not None:
                self._http.transport.close()
        else:
            await self._response.write_eof()

    async def reset(self) -> None:
        """Reset the connection, behind the bytes that were written."""
        await self.flush()
        transport = self._http.transport
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            transport.abort()

    async def _send(self, data: bytes) -> None:
        if self._size is None:
            await self._response.write(data)
            return
        self._held += data
        while len(self._held) >= self._size:
            piece = bytes(self._held[: self._size])
            del self._held[: self._size]
            await self._response.write(piece)
            await asyncio.sleep(0)


def _flipped(data: bytes, bit: int) -> bytes:
    bit %= 8 * len(data)
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
