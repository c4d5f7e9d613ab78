"""The way to an answer: what a stream does while it has none that a watch could look at.

Opening and waiting to try again end in time and on demand: with the limit of the whole call, and at once when another
task closes the stream. An answer that comes all the same is closed unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from .attempts import Attempts
from .errors import BedrockStreamError, TotalTimeout

if TYPE_CHECKING:
    from .transport import Answer

__all__ = ("Approach",)

_R = TypeVar("_R")


class Approach:
    """The attempts of one stream, within `limit` seconds from the first one's beginning."""

    __slots__ = ("_attempts", "_errand", "_limit", "_why")

    def __init__(self, attempts: Attempts, limit: float | None) -> None:
        self._attempts = attempts
        self._limit = limit
        self._errand: asyncio.Timeout | None = None
        self._why: BedrockStreamError | None = None

    async def open(self) -> Answer:
        """See `Attempts.open`. Raises `TotalTimeout` besides, and what it was broken off with."""
        answer = await self._run(self._attempts.open())
        if self._why is not None:
            answer.close()
            raise self._why
        return answer

    async def again(self, error: BedrockStreamError, answer: Answer) -> bool:
        """See `Attempts.again`. Raises `TotalTimeout` besides, and what it was broken off with."""
        again = await self._run(self._attempts.again(error, answer), answer.bytes_received)
        if self._why is not None:
            raise self._why
        return again

    def break_off(self, why: BedrockStreamError) -> None:
        """From another task: whoever opens or waits gets this error now."""
        self._why = why
        if self._errand is not None and not self._errand.expired():
            self._errand.reschedule(0.0)

    async def _run(self, step: Coroutine[Any, Any, _R], bytes_received: int = 0) -> _R:
        loop, began = asyncio.get_running_loop(), self._attempts.began
        began = loop.time() if began is None else began
        try:
            async with asyncio.timeout_at(None if self._limit is None else began + self._limit) as errand:
                self._errand = errand
                return await step
        except TimeoutError:
            if self._why is not None:
                raise self._why from None
            if self._limit is None or not errand.expired():
                raise  # it is the caller's own, of `on_retry`
            raise TotalTimeout(self._limit, loop.time() - began, bytes_received) from None
        finally:
            self._errand = None
