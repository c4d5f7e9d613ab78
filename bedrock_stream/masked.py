"""A value that holds secrets: pretty printers see of it what its own repr shows, and by default that is its name."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ("Masked",)


class Masked(msgspec.Struct, frozen=True):
    """The base of structs with secrets in them."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # msgspec's own shows every field
        return []
