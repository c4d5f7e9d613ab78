"""Decodes the `Content-Encoding` of a body. We ask for `identity`, and some proxies compress all the same.

gzip and deflate are decoded as the bytes arrive, in pieces of a bounded size, so that a stream stays a stream and a few
bytes cannot become gigabytes. Any other coding is an error that names it.
"""

from __future__ import annotations

import zlib
from typing import Any

from ..errors import InvalidFrame, StreamInterrupted

__all__ = ("BodyDecoder", "make_decoder")

_PIECE = 128 * 1024  # bytes that are decoded at once
# A body may grow to this many bytes, and beyond by this factor. JSON grows by 30 at most, a bomb by 1,000.
_FREE = 32 * 1024 * 1024
_FACTOR = 100
_GZIP, _ZLIB, _RAW = 31, 15, -15  # `wbits` of zlib

# Values that are no compression: some servers put the character set there.
_PLAIN = frozenset({"", "identity", "none", "binary", "8bit", "utf-8", "utf8", "amz-1.0"})


def make_decoder(header: str) -> BodyDecoder | None:
    """Return the decoder for a value of `Content-Encoding`; None if the body is plain."""
    codings = [coding for part in header.lower().split(",") if (coding := part.strip()) not in _PLAIN]
    return BodyDecoder(header[:100], codings) if codings else None


class BodyDecoder:
    """Decodes one body. `feed` takes what has arrived, `take` returns the next decoded piece."""

    __slots__ = ("_coding", "_header", "_input", "_is_full", "_received", "_returned", "_zlib")

    def __init__(self, header: str, codings: list[str]) -> None:
        self._header = header
        self._coding = codings[0] if len(codings) == 1 else header
        self._input = b""  # not decoded yet
        self._is_full = False  # zlib may hold more than it has returned, also without more input
        self._received = 0
        self._returned = 0
        self._zlib: Any = None  # zlib's object; None between two members

    @property
    def pending(self) -> bool:
        """Whether `take` may return bytes of what has arrived."""
        return bool(self._input) or self._is_full

    def feed(self, data: bytes) -> None:
        """Take bytes of the body."""
        self._input += data
        self._received += len(data)

    def take(self) -> bytes:
        """Return the next decoded bytes; empty if more must arrive first. Raises `InvalidFrame`."""
        decoded = b""
        while not decoded and self.pending:
            if self._zlib is None:
                if self._returned and not self._input.strip(b"\0"):  # padding behind the last member
                    self._input = b""
                    break
                self._zlib = self._begin()
                if self._zlib is None:
                    break
            try:
                decoded = self._zlib.decompress(self._input, _PIECE)
            except zlib.error as error:
                raise self._error(f"the body is damaged: {error}") from None
            # What remains is either behind the end of a member, or beyond the size of a piece.
            self._input = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
            self._is_full = len(decoded) == _PIECE and not self._zlib.eof
            if self._zlib.eof:
                self._zlib = None
        self._returned += len(decoded)
        if self._returned > _FREE + _FACTOR * self._received:
            raise self._error(f"{self._received} bytes decode to more than {self._returned - 1} bytes")
        return decoded

    def finish(self) -> None:
        """Take the end of the body. Raises `StreamInterrupted` if it is not the end of what was encoded."""
        if self._zlib is not None or self._input:
            raise StreamInterrupted(f"the body ended in the middle of its Content-Encoding {self._header!r}")

    def _begin(self) -> Any:
        """Return zlib's object for the next member; None if more bytes are needed to tell which one."""
        if self._coding in ("gzip", "x-gzip"):
            return zlib.decompressobj(_GZIP)
        if self._coding == "deflate":
            if len(self._input) < 2:
                return None
            # RFC 9110 means the zlib format, whose first two bytes are a multiple of 31. Some servers send raw deflate.
            header = int.from_bytes(self._input[:2], "big")
            is_zlib = self._input[0] & 0x0F == zlib.DEFLATED and header % 31 == 0
            return zlib.decompressobj(_ZLIB if is_zlib else _RAW)
        raise self._error("expected identity, gzip or deflate")

    def _error(self, problem: str) -> InvalidFrame:
        return InvalidFrame(
            f"Content-Encoding {self._header!r}: {problem}; the request asks for identity, so a proxy changed the body"
        )
