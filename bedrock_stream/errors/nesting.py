"""Values of any depth as a flat list, and back: pickle and copy follow only as many levels as their stack allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

__all__ = ("flatten", "is_deep", "reduce_error", "restore", "unflatten")

_LEVELS = 50  # far less than pickle and copy can follow from wherever they are called

Node: TypeAlias = tuple[Any, Any, int, int]
"""A kind, what it needs besides its parts, and where its parts are in the list: the first one and their number."""

_LEAF, _DICT, _LIST, _TUPLE, _STRUCT = range(5)


def reduce_error(error: Exception) -> tuple[Any, ...]:
    """Return what `__reduce__` of an error returns. Its attributes may contain what a model wrote, at any depth."""
    if is_deep(error.__dict__):
        return restore, (type(error), error.args, flatten(error.__dict__))
    return restore, (type(error), error.args), error.__dict__


def restore(cls: type[Exception], args: tuple[Any, ...], nodes: Sequence[Node] = ()) -> Exception:
    """Return a pickled or copied error, without calling its constructor."""
    error: Exception = cls.__new__(cls, *args)
    error.args = args  # an OSError would set them in its constructor
    if nodes:
        error.__dict__.update(unflatten(nodes))
    return error


def is_deep(value: Any) -> bool:
    """Return whether dicts, lists, tuples and structs are nested in more levels than pickle should follow."""
    level = [value]
    for _ in range(_LEVELS):
        level = [part for one in level for part in _take_apart(one)[2]]
        if not level:
            return False
    return True


def flatten(value: Any) -> list[Node]:
    """Return a value as a list of its parts, each one after the value that contains it."""
    values, nodes = [value], []
    for one in values:  # grows
        kind, rest, parts = _take_apart(one)
        nodes.append((kind, rest, len(values), len(parts)))
        values.extend(parts)
    return nodes


def unflatten(nodes: Sequence[Node]) -> Any:
    """Return the value of a list that `flatten` returned."""
    values: list[Any] = [None] * len(nodes)
    for index in range(len(nodes) - 1, -1, -1):  # the parts of a value come after it
        kind, rest, first, count = nodes[index]
        values[index] = _put_together(kind, rest, values[first : first + count])
        values[first : first + count] = [None] * count
    return values[0]


def _take_apart(value: Any) -> tuple[int, Any, Sequence[Any]]:
    """Return the kind of a value, what it needs besides its parts, and its parts."""
    kind = type(value)
    if kind is dict:
        return _DICT, tuple(value), tuple(value.values())
    if kind is list:
        return _LIST, None, value
    if kind is tuple:
        return _TUPLE, None, value
    if isinstance(value, msgspec.Struct):
        reduced: Any = value.__reduce__()
        return _STRUCT, reduced[0], reduced[1]
    return _LEAF, value, ()


def _put_together(kind: int, rest: Any, parts: list[Any]) -> Any:
    if kind == _DICT:
        return dict(zip(rest, parts, strict=True))
    if kind == _LIST:
        return parts
    if kind == _TUPLE:
        return tuple(parts)
    return rest(*parts) if kind == _STRUCT else rest
