"""Decoder and encoder of a frame's header block.

A header is: name length (1 byte, 1..255), UTF-8 name, type byte, value. All integers are big-endian and signed, except
lengths. No header may extend beyond its block into the payload. Bedrock itself only sends strings. The types are:

    0 true   1 false   2 int8   3 int16   4 int32   5 int64
    6 bytes (2-byte length)   7 string (2-byte length)   8 timestamp (ms since the epoch)   9 UUID
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from struct import Struct
from uuid import UUID

from ..errors import InvalidHeader
from .frame import Headers, HeaderValue, Int8, Int16, Int32, Int64

__all__ = ("MAX_VALUE", "decode_headers", "encode_headers")

MAX_VALUE = 32_767
"""Maximum length of a string or bytes value to encode, in bytes: the limit of AWS's own parsers (INT16_MAX)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LENGTH = Struct(">H")
_INTEGERS = {2: Struct(">b"), 3: Struct(">h"), 4: Struct(">i"), 5: Struct(">q")}
_TIMESTAMP = _INTEGERS[5]
# Size of the value in bytes; the values of types 6 and 7 start with their length.
_FIXED_SIZE = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


def decode_headers(block: bytes) -> Headers:
    """Decode a complete header block. Raises `InvalidHeader` for bytes that violate the format."""
    headers: dict[str, HeaderValue] = {}
    position, end = 0, len(block)
    while position < end:
        start = position + 1
        position = start + block[position]
        if start == position:
            raise InvalidHeader(f"header name at byte {start - 1} of the block has no length")
        if position >= end:  # the type byte must follow the name
            raise InvalidHeader(f"header at byte {start - 1} of the block is truncated: its name or type is missing")
        name = _text(block[start:position], "name")
        # botocore rejects duplicates too; a second value would silently replace the first.
        if name in headers:
            raise InvalidHeader(f"header {name!r} appears twice")
        headers[name], position = _decode_value(block, position, name)
    return Headers(headers)


def _decode_value(block: bytes, position: int, name: str) -> tuple[HeaderValue, int]:
    kind = block[position]
    start = position + 1
    if kind in (6, 7):  # bytes and strings have a 2-byte length; the decoder accepts values longer than MAX_VALUE
        if start + 2 > len(block):
            raise InvalidHeader(f"header {name!r} is truncated: the length of its value is missing")
        size = _LENGTH.unpack_from(block, start)[0]
        start += 2
    elif kind in _FIXED_SIZE:
        size = _FIXED_SIZE[kind]
    else:
        raise InvalidHeader(f"header {name!r} has unknown type {kind}")
    end = start + size
    if end > len(block):
        left = len(block) - start
        raise InvalidHeader(
            f"header {name!r} is truncated: its value has {size} bytes, but {left} are left in the block"
        )
    return _READERS[kind](block[start:end], name), end


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidHeader(f"header {name!r} is not UTF-8: {error.reason} at byte {error.start}") from None


def _timestamp(data: bytes, name: str) -> datetime:
    milliseconds: int = _TIMESTAMP.unpack(data)[0]
    # The format allows any int64; `datetime` covers the years 1 to 9999.
    try:
        return _EPOCH + milliseconds * _MILLISECOND
    except OverflowError:
        raise InvalidHeader(f"header {name!r} has a timestamp out of range: {milliseconds} ms") from None


def _integer(layout: Struct) -> Callable[[bytes, str], int]:
    return lambda data, _name: layout.unpack(data)[0]


_READERS: dict[int, Callable[[bytes, str], HeaderValue]] = {
    0: lambda _data, _name: True,
    1: lambda _data, _name: False,
    **{kind: _integer(layout) for kind, layout in _INTEGERS.items()},
    6: lambda data, _name: data,
    7: _text,
    8: _timestamp,
    9: lambda data, _name: UUID(bytes=data),
}


def encode_headers(headers: Mapping[str, HeaderValue]) -> bytes:
    """Encode a header block, in the order of the mapping.

    A plain int is encoded as int32 if it fits, else as int64; `Int8`, `Int16`, `Int32` and `Int64` select a width. A
    datetime must be timezone-aware and is rounded down to milliseconds. Raises `InvalidHeader` for names and values
    that the format cannot represent.
    """
    parts = bytearray()
    for name, value in headers.items():
        raw = _utf8(name, name)
        if not 1 <= len(raw) <= 255:
            raise InvalidHeader(f"header name {name!r} has {len(raw)} bytes; expected 1 to 255")
        parts.append(len(raw))
        parts += raw
        parts += _encode_value(name, value)
    return bytes(parts)


def _encode_value(name: str, value: HeaderValue) -> bytes:
    match value:
        case bool():  # before int: a bool is an int in Python; the type byte alone is the value
            return b"\x00" if value else b"\x01"
        case int():
            return _encode_integer(name, value)
        case str():
            return b"\x07" + _with_length(name, _utf8(name, value))
        case bytes() | bytearray() | memoryview():
            return b"\x06" + _with_length(name, bytes(value))
        case datetime():
            if value.utcoffset() is None:
                raise InvalidHeader(f"header {name!r} has a datetime without a time zone")
            return b"\x08" + _TIMESTAMP.pack((value - _EPOCH) // _MILLISECOND)
        case UUID():
            return b"\x09" + value.bytes
    raise InvalidHeader(
        f"header {name!r} has a value of type {type(value).__name__}, which the format does not support"
    )


def _encode_integer(name: str, value: int) -> bytes:
    match value:
        case Int8():
            kind = 2
        case Int16():
            kind = 3
        case Int32():
            kind = 4
        case Int64():
            kind = 5
        case _:
            kind = 4 if -(1 << 31) <= value < 1 << 31 else 5
    layout = _INTEGERS[kind]
    bits = 8 * layout.size
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise InvalidHeader(f"header {name!r} has the value {int(value)}, which does not fit into {bits} bits")
    return bytes((kind,)) + layout.pack(value)


def _utf8(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidHeader(
            f"header {name!r} cannot be encoded as UTF-8: {error.reason} at character {error.start}"
        ) from None


def _with_length(name: str, data: bytes) -> bytes:
    if len(data) > MAX_VALUE:
        raise InvalidHeader(f"header {name!r} has a value of {len(data)} bytes; the maximum is {MAX_VALUE}")
    return _LENGTH.pack(len(data)) + data
