"""Checks of plain values. A bool is an int in Python and never one here."""

from __future__ import annotations

from typing import Any, TypeGuard

__all__ = ("is_instance", "is_integer", "is_number")


def is_integer(value: Any) -> TypeGuard[int]:
    """Return whether a value is an int and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value is an int or a float and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_instance(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Return whether a value is of one of these types; a bool is one only where `kinds` is `bool`."""
    return isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))
