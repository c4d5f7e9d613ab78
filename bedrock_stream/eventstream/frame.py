"""Frame and header types of the AWS event stream.

AWS calls a frame a message; in this library a message is part of a conversation.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias
from uuid import UUID

import msgspec

__all__ = ("Frame", "HeaderValue", "Headers", "Int8", "Int16", "Int32", "Int64")

HeaderValue: TypeAlias = bool | int | bytes | str | datetime | UUID
"""The Python types of header values. A datetime is timezone-aware and has millisecond precision on the wire."""


class Int8(int):
    """An int to encode as type 2 (one byte). Decoded integers are plain `int`."""


class Int16(int):
    """An int to encode as type 3 (two bytes)."""


class Int32(int):
    """An int to encode as type 4 (four bytes), the default for a plain int that fits."""


class Int64(int):
    """An int to encode as type 5 (eight bytes), the default for larger plain ints."""


class Headers(dict[str, HeaderValue]):
    """A read-only dict of headers. Decoded frames with the same header block share one object."""

    __slots__ = ()

    if not TYPE_CHECKING:  # a type checker knows these as methods of a dict

        def _read_only(self, *args: Any, **kwargs: Any) -> NoReturn:
            raise TypeError("the headers of a decoded frame are shared between frames; change a copy: dict(headers)")

        __setitem__ = __delitem__ = __ior__ = _read_only
        clear = pop = popitem = setdefault = update = _read_only

    # The default would restore the items through `__setitem__`.
    def __reduce__(self) -> tuple[type[Headers], tuple[dict[str, HeaderValue]]]:
        return Headers, (dict(self),)


class Frame(msgspec.Struct, frozen=True, gc=False):
    """Headers and payload of one message of the event stream."""

    headers: dict[str, HeaderValue]
    """Header names to values; read-only in a decoded frame."""
    payload: bytes = b""
    """The bytes after the header block."""
