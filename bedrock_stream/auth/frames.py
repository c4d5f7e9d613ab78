"""Removes frames that hold credentials from exceptions.

Sentry, loguru, structlog and the like record the variables of every frame of a traceback. aiohttp's frames hold the
headers of the request, and frames that check a caller's arguments hold the keys among them.
"""

from __future__ import annotations

from typing import TypeVar

__all__ = ("without_frames",)

_E = TypeVar("_E", bound=BaseException)


def without_frames(error: _E) -> _E:
    """Return the exception with its whole chain freed of tracebacks; the words stay."""
    pending: list[BaseException] = [error]
    seen = set()
    while pending:
        one = pending.pop()
        seen.add(id(one))
        one.__traceback__ = None
        pending += [linked for linked in (one.__cause__, one.__context__) if linked and id(linked) not in seen]
    return error
