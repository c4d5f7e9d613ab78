"""Reasoning of the Responses API: an item that goes back whole, with its id, its summary and its encrypted content.

It is the JSON in `Reasoning.redacted`. No other API takes it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .decoding import decode_any
from .payloads import without_nulls

__all__ = ("is_reasoning_item", "pack_item", "unpack_item")


def pack_item(item: dict[str, Any]) -> bytes:
    """Return an item as it is kept. Nulls are left out: the service refuses some of them in a request."""
    return msgspec.json.encode(without_nulls(item))


def unpack_item(data: bytes | None) -> dict[str, Any] | None:
    """Return the item, or None for the encrypted reasoning of another API."""
    item = decode_any(data) if data is not None and data.startswith(b"{") else None
    return item if isinstance(item, dict) and item.get("type") == "reasoning" else None


def is_reasoning_item(data: bytes | None) -> bool:
    """Return whether encrypted reasoning is an item of the Responses API."""
    return unpack_item(data) is not None
