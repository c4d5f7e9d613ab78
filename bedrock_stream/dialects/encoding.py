"""JSON encoding of request bodies, in slices where they are large.

Base64 and SHA-256 of 20 MB take tens of milliseconds, and a worker thread would hold the GIL for as long. So large data
remains a `Blob` until the body is needed, and `Body.steps()` encodes and hashes one slice per step, which lets the
caller run the event loop in between.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import msgspec

from ..errors import ConfigurationError

__all__ = ("SLICE", "Blob", "Body", "blob", "blob_data", "data_url", "encode_body", "encode_text")

SLICE = 192 * 1024
"""Bytes encoded or hashed at a time. A multiple of three, so that joined base64 slices are the base64 of all data."""


class Blob:
    """Data that is written to the body as base64, after a prefix of plain text."""

    __slots__ = ("data", "prefix")

    def __init__(self, data: bytes, prefix: str = "") -> None:
        self.data: bytes = data
        self.prefix: str = prefix


def blob(data: bytes) -> bytes | Blob:
    """Return large data as a `Blob`, and small data unchanged, which the JSON encoder writes as base64."""
    return Blob(data) if len(data) > SLICE else data


def data_url(media_type: str, data: bytes) -> str | Blob:
    """Return data as a `data:` URL, for APIs that take attachments as URLs; large data as a `Blob`."""
    prefix = f"data:{media_type};base64,"
    return Blob(data, prefix) if len(data) > SLICE else prefix + b64encode(data).decode()


def blob_data(value: Any) -> Any:
    """Return the data of a `Blob`: an `enc_hook` for JSON encoders."""
    if isinstance(value, Blob):
        return value.prefix + b64encode(value.data).decode() if value.prefix else value.data
    raise _not_json(value)


def _not_json(value: Any) -> TypeError:
    return TypeError(f"an object of type {type(value).__name__} is not JSON serializable")


class Body:
    """A request body, encoded when it is first needed."""

    __slots__ = ("_data", "_digest", "_pieces")

    def __init__(self, pieces: tuple[bytes | Blob, ...]) -> None:
        self._pieces = pieces
        self._data: bytes | None = None
        self._digest = ""

    @property
    def data(self) -> bytes:
        """The exact bytes that are sent and signed."""
        if self._data is None:
            for _ in self.steps():
                pass
        assert self._data is not None  # noqa: S101 - set by the last step
        return self._data

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes in hex."""
        return self._digest if self.data else hashlib.sha256().hexdigest()

    @property
    def outline(self) -> bytes:
        """The JSON with `#` and the number of bytes in place of each `Blob`."""
        return b"".join(b"#%d" % len(piece.data) if isinstance(piece, Blob) else piece for piece in self._pieces)

    def steps(self) -> Iterator[None]:
        """Encode and hash the body, one slice per step. Does nothing once that is done."""
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
    """Encode a tree as JSON. Raises `ConfigurationError` for values that are not JSON serializable."""
    blobs: list[Blob] = []
    mark = ""  # written in place of each blob; random, so that no text of the caller contains it

    def collect(value: Any) -> str:
        nonlocal mark
        if not isinstance(value, Blob):
            raise _not_json(value)
        blobs.append(value)
        mark = mark or uuid4().hex
        return value.prefix + mark

    try:
        data = msgspec.json.encode(tree, enc_hook=collect)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ConfigurationError("request", f"the body cannot be encoded as JSON: {error}", "use JSON values") from None
    if not blobs:
        return Body((data,))
    pieces: list[bytes | Blob] = []
    for text, value in zip(data.split(mark.encode()), [*blobs, None], strict=True):
        pieces.append(text)
        if value is not None:
            pieces.append(value)
    return Body(tuple(pieces))


def encode_text(value: Any) -> str:
    """Encode a value of a prompt as JSON text. Raises `ConfigurationError` for one that is not JSON serializable."""
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        problem = f"{type(value).__name__} value cannot be encoded as JSON: {error}"
        raise ConfigurationError("prompt", problem, "use JSON values") from None
