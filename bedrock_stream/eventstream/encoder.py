"""Encoder of event-stream frames, for the emulator, fixtures and tests.

The checksum function is a parameter, so that encoder and decoder can use independent implementations: the emulator
encodes with crcmod what the decoder checks with zlib, so a mistake in one of them cannot go unnoticed.
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
    """Encode one frame. `crc` computes a CRC-32 (ISO-HDLC) over bytes.

    Raises `InvalidHeader` for a header that the format cannot represent, and `FrameSizeError` for a frame that exceeds
    the limits of AWS's own parsers (`MAX_FRAME`, `MAX_HEADERS`).
    """
    block = encode_headers(frame.headers)
    length = 16 + len(block) + len(frame.payload)  # prelude (12) and message checksum (4) included
    if len(block) > MAX_HEADERS or length > MAX_FRAME:
        raise FrameSizeError(
            f"a frame of {length} bytes with {len(block)} bytes of headers is too long; "
            f"the limits are {MAX_FRAME} and {MAX_HEADERS}"
        )
    lengths = _LENGTHS.pack(length, len(block))
    # The first checksum covers the two lengths, the second one everything before it, the first checksum included.
    body = lengths + _CRC.pack(crc(lengths)) + block + frame.payload
    return body + _CRC.pack(crc(body))
