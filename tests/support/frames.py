"""What the frames of an exception hold: every variable of every frame in its chain, but for those of the tests."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ("shown_by",)

_TESTS = Path(__file__).parents[1]
_DEPTH = 6


def shown_by(error: BaseException, secrets: Mapping[str, str]) -> list[str]:
    """Return where frames and texts of an exception and its chain show a secret, as tools that record frames would."""
    found: set[str] = set()
    for one in _chain(error):
        words = f"{one}{one!r}{one.args!r}"
        found |= {f"the words of {type(one).__name__}: {name}" for name, secret in secrets.items() if secret in words}
        for frame, _ in traceback.walk_tb(one.__traceback__):
            path = Path(frame.f_code.co_filename)
            if _TESTS in path.parents:
                continue
            for variable, value in list(frame.f_locals.items()):
                text = "".join(_texts(value, _DEPTH))
                found |= {
                    f"{path.name}:{frame.f_code.co_name} {variable}: {name}"
                    for name, secret in secrets.items()
                    if secret in text
                }
    return sorted(found)


def _chain(error: BaseException) -> Iterator[BaseException]:
    pending, seen = [error], set[int]()
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        pending += [linked for linked in (one.__cause__, one.__context__) if linked is not None]
        pending += getattr(one, "exceptions", ())


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes | bytearray):
        yield bytes(value).decode("latin-1")
    elif isinstance(value, Mapping) and depth:
        for item in [*value.keys(), *value.values()]:
            yield from _texts(item, depth - 1)
    elif isinstance(value, list | tuple | set | frozenset) and depth:
        for item in value:
            yield from _texts(item, depth - 1)
    else:
        yield repr(value)
