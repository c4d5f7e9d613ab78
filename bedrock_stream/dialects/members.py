"""Taking JSON objects apart, member by member: what is taken is known, what stays behind is passed on.

A null stands for an absent member, in AWS's JSON and in the models' own.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ("keep", "members", "pop", "pop_as", "pop_if", "present", "take", "take_in")

_Wire = dict[str, Any]


def pop(wire: _Wire, key: str, kind: type) -> Any:
    """Take a member out that must be there. Raises `KeyError` or `TypeError`."""
    if not _is(wire[key], kind):
        raise TypeError(f"{key} is a {type(wire[key]).__name__}")
    return wire.pop(key)


def pop_if(wire: _Wire, key: str, kind: type) -> Any:
    """Take a member out, or None where it is absent. Raises `TypeError` where it is something else."""
    return None if wire.get(key) is None else pop(wire, key, kind)


def pop_as(wire: _Wire, key: str, kind: Any) -> Any:
    """Take a member of any type out, however nested; None where it is absent or null. Raises `ValueError`."""
    return msgspec.convert(wire.pop(key, None), kind | None)


def take(wire: _Wire, key: str, kind: type) -> Any:
    """Take a member out where it is what it should be; whatever else it is stays."""
    return wire.pop(key) if _is(wire.get(key), kind) else None


def take_in(wire: _Wire, key: str, inner: str, kind: type) -> Any:
    """Take a member of a member out."""
    if not isinstance(wire.get(key), dict):
        return None
    rest = members(wire, key)
    value = take(rest, inner, kind)
    keep(wire, key, rest)
    return value


def members(wire: _Wire, key: str) -> _Wire:
    """Take an object out, to be taken apart itself. Raises `KeyError` or `TypeError`."""
    return present(pop(wire, key, dict))


def present(wire: _Wire) -> _Wire:
    """A copy without nulls."""
    return {key: value for key, value in wire.items() if value is not None}


def keep(wire: _Wire, key: str, rest: _Wire) -> None:
    """Put back what nobody took."""
    if rest:
        wire[key] = rest


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))
