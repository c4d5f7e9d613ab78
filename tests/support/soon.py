"""A short limit of time that holds on a busy machine too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ("SOON", "soon")

SOON = 0.25
"""Seconds within which what was left must be closed."""

_STEP = 0.01

_Result = TypeVar("_Result")


async def soon(awaitable: Awaitable[_Result], seconds: float = SOON) -> _Result:
    """Return the result of an awaitable. Raises `TimeoutError` if it is not there after `seconds`.

    Time in which this process does not run counts as one step: a garbage collection, or others on the same cores.
    """
    waiting = asyncio.ensure_future(awaitable)
    try:
        for _ in range(round(seconds / _STEP)):
            await asyncio.wait([waiting], timeout=_STEP)
            if waiting.done():
                return await waiting
        raise TimeoutError(f"not there after {seconds} s")
    finally:
        if not waiting.done():
            waiting.cancel()
            await asyncio.wait([waiting])
