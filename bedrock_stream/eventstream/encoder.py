"""Frames to bytes: the other direction, for the emulator, fixtures and tests.

The checksum function is handed in, so that writer and reader need not share one: the emulator writes with crcmod what
the decoder checks with zlib, and the two can never agree on the same mistake.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from struct import Struct

from ..errors import FrameSizeError
from .decoder import MAX_FRAME, MAX_HEADERS
from .frame import Frame
from .headers import encode_headers

__all__ = ("encode_frame",)

_LENGTHS = Struct(">II")
_CRC = Struct(">I")


def encode_frame(frame: Frame, crc: Callable[[bytes], int] = zlib.crc32) -> bytes:
    """Write one frame. `crc` is any CRC-32 (ISO-HDLC) over bytes.

    Raises `InvalidHeader` or `FrameSizeError` for what the format, or AWS's own parsers, would not take.
    """
    block = encode_headers(frame.headers)
    length = 16 + len(block) + len(frame.payload)
    if len(block) > MAX_HEADERS or length > MAX_FRAME:
        raise FrameSizeError(
            f"a frame of {length} bytes with {len(block)} bytes of headers is too long; "
            f"{MAX_FRAME} and {MAX_HEADERS} are the limits"
        )
    lengths = _LENGTHS.pack(length, len(block))
    body = lengths + _CRC.pack(crc(lengths)) + block + frame.payload
    return body + _CRC.pack(crc(body))
