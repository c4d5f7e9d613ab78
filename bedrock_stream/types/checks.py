"""Type checks of plain values. `bool` is a subclass of `int` in Python; these checks never accept it as a number."""

from __future__ import annotations

from typing import Any, TypeGuard

__all__ = ("check_cost", "is_instance", "is_integer", "is_number")


def is_integer(value: Any) -> TypeGuard[int]:
    """Return True if a value is an int and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Return True if a value is an int or a float and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_instance(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Return True if a value is an instance of `kinds`; a bool matches only if `kinds` is `bool` itself."""
    return isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))


_LARGE = 1024 * 1024


def check_cost(document: bytes, times: int = 10) -> None:
    """Check that a JSON document does not need more than `times` its own size in memory. Raises `ValueError`.

    A document below 1 MiB costs little, whatever is in it.
    """
    if len(document) >= _LARGE:
        from .json_cost import check_cost_of_large  # rarely needed, so it is not loaded with a client

        check_cost_of_large(document, times)
