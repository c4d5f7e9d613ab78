"""Watches for a batch that can only fail, so that a wrong key does not cost millions of refusals."""

from __future__ import annotations

from ..errors import (
    AccessDenied,
    BedrockStreamError,
    InvalidSignature,
    MissingCredentials,
    ResourceNotFound,
    UnsupportedOperation,
)

__all__ = ("Refusals",)

# Refusals that every other row will meet as well.
_HOPELESS = (AccessDenied, MissingCredentials, InvalidSignature, ResourceNotFound, UnsupportedOperation)
_MOST_REFUSALS = 20


class Refusals:
    """Whether the first 20 rows of a batch failed, all of them for the same reason of access.

    What `each` raises counts as well: else a mistake in it would cost all rows.
    """

    __slots__ = ("_count", "_kind", "is_open")

    def __init__(self) -> None:
        self._count = 0
        self._kind: type[BaseException] | None = None
        self.is_open: bool = True
        """Whether all rows so far were refused for the same reason."""

    def add(self, error: BaseException | None) -> str | None:
        """Take the outcome of a row. Return why the batch has to stop, or None."""
        if not self.is_open:
            return None
        is_hopeless = isinstance(error, _HOPELESS) or not isinstance(error, BedrockStreamError)
        if error is None or not is_hopeless or self._kind not in (None, type(error)):
            self.is_open = False
            return None
        self._kind = type(error)
        self._count += 1
        return f"the first {self._count} rows failed with {error!r}"[:500] if self._count >= _MOST_REFUSALS else None
