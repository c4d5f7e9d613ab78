"""One message of the AWS event stream, as values: headers and a payload.

AWS calls it a message; in this library that word is the conversation's, so here it is a frame.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn, TypeAlias
from uuid import UUID

import msgspec

__all__ = ("Frame", "HeaderValue", "Headers", "Int8", "Int16", "Int32", "Int64")

HeaderValue: TypeAlias = bool | int | bytes | str | datetime | UUID


class Int8(int):
    """An int to be written as type 2 (one byte). Decoded integers are plain `int`."""


class Int16(int):
    """An int to be written as type 3 (two bytes)."""


class Int32(int):
    """An int to be written as type 4 (four bytes), as a plain int is where it fits."""


class Int64(int):
    """An int to be written as type 5 (eight bytes)."""


class Headers(dict[str, HeaderValue]):
    """A dict that refuses to change: frames with the same header block share one."""

    __slots__ = ()

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("the headers of a decoded frame are shared between frames: change a dict() of them")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[Headers], tuple[dict[str, HeaderValue]]]:
        return Headers, (dict(self),)


class Frame(msgspec.Struct, frozen=True, gc=False):
    """Headers and payload of one message."""

    headers: dict[str, HeaderValue]
    """Names to values; read-only where it was decoded."""
    payload: bytes = b""
    """The bytes behind the headers."""
