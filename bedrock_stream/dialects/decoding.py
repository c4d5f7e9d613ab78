"""JSON in bytes of an unknown format, such as the body of an error."""

from __future__ import annotations

from typing import Any

import msgspec

from ..types.checks import check_cost

__all__ = ("decode_any",)


def decode_any(payload: bytes) -> Any:
    """Return what a payload of an unknown format holds as JSON, or None."""
    try:
        check_cost(payload)
        return msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        return None
