"""Events to frames to bytes, as Bedrock writes them: header order, JSON without spaces, padding.

The checksums are crcmod's. The library's decoder checks with zlib, so writer and reader cannot agree on one mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ...errors import ConfigurationError
from ...eventstream import Frame, encode_frame

__all__ = ("FrameWriter", "independent_crc")

# Bedrock pads each payload with a prefix of this, of random length, so that traffic does not tell the tokens' lengths.
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_SHORTEST, _LONGEST = 2, 61


def independent_crc() -> Callable[[bytes], int]:
    """A CRC-32 that shares no code with the decoder's. Raises `ConfigurationError` where crcmod is not installed."""
    try:
        from crcmod.predefined import mkCrcFun
    except ImportError as error:
        raise ConfigurationError(
            "Emulator", "crcmod is not installed", 'pip install "bedrock-stream[testing]"'
        ) from error
    crc: Callable[[bytes], int] = mkCrcFun("crc-32")
    return crc


class FrameWriter:
    """Writes the frames of one answer. Its padding follows from the number of the frame, so answers repeat exactly."""

    def __init__(self, crc: Callable[[bytes], int]) -> None:
        self._crc = crc
        self._written = 0

    def raw(self, frame: Frame) -> bytes:
        """Any frame, with right checksums."""
        return encode_frame(frame, crc=self._crc)

    def event(self, name: str, payload: dict[str, Any] | bytes) -> bytes:
        """An event: a dict becomes JSON with padding, bytes stay as they are."""
        if not isinstance(payload, bytes):
            payload = msgspec.json.encode({**payload, "p": self._padding()})
        return self.raw(
            Frame({":event-type": name, ":content-type": "application/json", ":message-type": "event"}, payload)
        )

    def exception(self, code: str, message: str, extra: dict[str, Any]) -> bytes:
        """A modelled error. Streams name it by its union member, whose first letter is small."""
        payload = msgspec.json.encode({"message": message, **extra})
        name = code[:1].lower() + code[1:]
        return self.raw(
            Frame({":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}, payload)
        )

    def error(self, code: str, message: str) -> bytes:
        """An error outside the service model: headers only."""
        return self.raw(Frame({":error-code": code, ":error-message": message, ":message-type": "error"}))

    def _padding(self) -> str:
        self._written += 1
        return _PADDING[: _SHORTEST + self._written * 37 % (_LONGEST - _SHORTEST + 1)]
