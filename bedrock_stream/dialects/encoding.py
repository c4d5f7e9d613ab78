"""A request's body as JSON, made in slices where it is large.

Twenty megabytes of attachments take tens of milliseconds to become base64 and to be hashed, and a worker thread would
hold the interpreter's lock for as long. So large data stays a `Blob` until the body is needed, and then both are done
slice by slice: `steps()` does one at a time, and whoever drives it may let the event loop in between. Pure.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import msgspec

from ..errors import ConfigurationError

__all__ = ("SLICE", "Blob", "Body", "blob", "encode_body", "plain")

SLICE = 192 * 1024
"""Bytes encoded or hashed at a time; a multiple of three, so that base64 of slices is base64 of the whole."""


class Blob:
    """Data that will stand in the body as base64."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data: bytes = data


def blob(data: bytes) -> bytes | Blob:
    """Large data as a `Blob`; small data as it is, for the JSON encoder to write."""
    return Blob(data) if len(data) > SLICE else data


def plain(value: Any) -> Any:
    """For JSON encoders that meet a `Blob`: its data."""
    if isinstance(value, Blob):
        return value.data
    raise TypeError(f"a {type(value).__name__} is no JSON value")


class Body:
    """JSON with large data still to be put in."""

    __slots__ = ("_data", "_digest", "_pieces")

    def __init__(self, pieces: tuple[bytes | Blob, ...]) -> None:
        self._pieces = pieces
        self._data: bytes | None = None
        self._digest = ""

    @property
    def data(self) -> bytes:
        """The exact bytes."""
        if self._data is None:
            for _ in self.steps():
                pass
        assert self._data is not None  # noqa: S101 - what the steps are for
        return self._data

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes in hex."""
        return self._digest if self.data else hashlib.sha256().hexdigest()

    def steps(self) -> Iterator[None]:
        """Encode and hash, once for all; each step is one slice."""
        if self._data is not None:
            return
        digest = hashlib.sha256()
        parts: list[bytes] = []
        for piece in self._pieces:
            for part in _slices(piece):
                if parts:
                    yield
                digest.update(part)
                parts.append(part)
        self._digest = digest.hexdigest()
        self._data = parts[0] if len(parts) == 1 else b"".join(parts)


def _slices(piece: bytes | Blob) -> Iterator[bytes]:
    if isinstance(piece, Blob):
        for start in range(0, len(piece.data), SLICE):
            yield b64encode(piece.data[start : start + SLICE])
    else:
        for start in range(0, len(piece), SLICE):
            yield piece[start : start + SLICE] if len(piece) > SLICE else piece


def encode_body(tree: Any) -> Body:
    """JSON of a tree. Raises `ConfigurationError` for what JSON cannot hold."""
    blobs: list[Blob] = []
    mark = uuid4().hex

    def put_aside(value: Any) -> str:
        if not isinstance(value, Blob):
            raise TypeError(f"a {type(value).__name__} is no JSON value")
        blobs.append(value)
        return mark

    try:
        data = msgspec.json.encode(tree, enc_hook=put_aside)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ConfigurationError("request", f"its body cannot become JSON: {error}", "use JSON values") from None
    pieces: list[bytes | Blob] = []
    for text, value in zip(data.split(mark.encode()), [*blobs, None], strict=True):
        pieces.append(text)
        if value is not None:
            pieces.append(value)
    return Body(tuple(pieces))
