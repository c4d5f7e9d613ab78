"""Run functions that block in threads which neither hold up each other nor the end of the process.

A function that never returns keeps its thread, since Python cannot end one. So each call has a thread of its own, a
daemon, and a call that is given up leaves its place to others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import NoReturn, TypeVar
from weakref import WeakKeyDictionary

__all__ = ("run_in_thread",)

_T = TypeVar("_T")

_MOST_THREADS = 40  # of one function on one loop; more calls wait, so that a burst does not start thousands
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Turns]] = WeakKeyDictionary()


class _Turns:
    """The calls of one function on one loop that run or wait."""

    __slots__ = ("calls", "places")

    def __init__(self) -> None:
        self.calls = 0
        self.places = asyncio.Semaphore(_MOST_THREADS)


async def run_in_thread(function: Callable[[], _T]) -> _T:
    """Call a function in a thread, in a copy of this context, and return its result. A cancelled call abandons it."""
    by_function = _turns.setdefault(asyncio.get_running_loop(), {})
    turns = by_function.setdefault(id(function), _Turns())
    turns.calls += 1
    try:
        async with turns.places:
            outcome = await _start(function)
    finally:
        turns.calls -= 1
        if not turns.calls:
            del by_function[id(function)]
    return outcome()


def _start(function: Callable[[], _T]) -> asyncio.Future[Callable[[], _T]]:
    """Start a thread. The future's result is a function that returns the result, or raises the error."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Callable[[], _T]] = loop.create_future()
    context = copy_context()

    def run() -> None:
        try:
            outcome: Callable[[], _T] = partial(_return, context.run(function))
        except BaseException as error:
            outcome = partial(_raise, error)
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(_finish, future, outcome)

    Thread(target=run, name="bedrock-stream", daemon=True).start()
    return future


def _finish(future: asyncio.Future[Callable[[], _T]], outcome: Callable[[], _T]) -> None:
    if not future.done():
        future.set_result(outcome)


def _return(result: _T) -> _T:
    return result


def _raise(error: BaseException) -> NoReturn:
    raise error
