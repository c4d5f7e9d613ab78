"""Encoding of events as frames in Bedrock's format: header order, JSON without spaces, padding.

The checksums are computed by crcmod. The library's decoder uses zlib, so that the two cannot share a mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from ...errors import ConfigurationError
from ...eventstream import Frame, encode_frame
from ..steps import RawFrame, Step, StreamError, UnmodeledError

__all__ = ("EVENT_STREAM", "FrameWriter", "Writer", "independent_crc")

EVENT_STREAM = "application/vnd.amazon.eventstream"

# Bedrock pads each payload with a prefix of this text, of random length, to hide the tokens' lengths in the traffic.
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MIN_PADDING, _MAX_PADDING = 2, 61  # characters, as seen in recorded streams


class Writer(Protocol):
    """The encoding of one answer's stream."""

    def event(self, name: str, payload: dict[str, Any] | bytes) -> bytes:
        """Encode an event: a dict as JSON, bytes unchanged."""

    def step(self, step: Step) -> bytes | None:
        """Encode a step that stands beside the message; None for any other step."""


def independent_crc() -> Callable[[bytes], int]:
    """Return a CRC-32 that shares no code with the decoder's. Raises `ConfigurationError` if crcmod is missing."""
    try:
        from crcmod.predefined import mkCrcFun
    except ImportError as error:
        raise ConfigurationError(
            "Emulator", "crcmod is not installed", 'pip install "bedrock-stream[testing]"'
        ) from error
    crc: Callable[[bytes], int] = mkCrcFun("crc-32")
    return crc


class FrameWriter:
    """The encoder of one answer's frames. The padding depends on the frame's number, so answers repeat exactly."""

    def __init__(self, crc: Callable[[bytes], int]) -> None:
        self._crc = crc
        self._written = 0

    def step(self, step: Step) -> bytes | None:
        """See `Writer`."""
        match step:
            case StreamError():
                return self._exception(step.code, step.message, step.extra)
            case UnmodeledError():
                # It has headers only.
                return self._encode(
                    Frame({":error-code": step.code, ":error-message": step.message, ":message-type": "error"})
                )
            case RawFrame():
                return self._encode(step.frame)
        return None

    def event(self, name: str, payload: dict[str, Any] | bytes) -> bytes:
        """Encode an event: a dict as JSON with padding, bytes unchanged."""
        if not isinstance(payload, bytes):
            payload = msgspec.json.encode({**payload, "p": self._padding()})
        return self._encode(
            Frame({":event-type": name, ":content-type": "application/json", ":message-type": "event"}, payload)
        )

    def _encode(self, frame: Frame) -> bytes:
        return encode_frame(frame, crc=self._crc)

    def _exception(self, code: str, message: str, extra: dict[str, Any]) -> bytes:
        # Streams name a modelled exception by its union member, whose first letter is lower-case.
        payload = msgspec.json.encode({"message": message, **extra})
        name = code[:1].lower() + code[1:]
        return self._encode(
            Frame({":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}, payload)
        )

    def _padding(self) -> str:
        self._written += 1
        return _PADDING[: _MIN_PADDING + self._written * 37 % (_MAX_PADDING - _MIN_PADDING + 1)]
