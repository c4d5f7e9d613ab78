"""Ceilings of a batch."""

from __future__ import annotations

import math

import msgspec

from ..errors import ConfigurationError
from ..types.checks import is_number

__all__ = ("Stop",)


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Ceilings of a batch. Once one is reached, no new row starts, and the rows in flight end.

    So what is in flight may pass a ceiling, by `Progress.committed` at most. What a journal has from earlier runs does
    not count. After the last row the batch raises `BatchStopped`. Raises `ConfigurationError` for a ceiling that is not
    a positive number.
    """

    cost: float | None = None
    """Cost of the rows, in the currency of the client's price table."""
    output_tokens: int | None = None
    """Output tokens of the rows."""
    failures: int | None = None
    """Rows that failed."""
    rows: int | None = None
    """Rows that were asked."""
    seconds: float | None = None
    """Seconds since the first row."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            limit = getattr(self, name)
            if limit is not None and not (is_number(limit) and 0 < limit < math.inf):
                raise ConfigurationError(f"Stop.{name}", f"expected a positive number or None, got {limit!r}")
