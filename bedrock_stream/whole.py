"""An answer that is read to its end before anybody sees any of it: `generate`, `invoke`, `count_tokens`.

So it may be tried again until its last byte is here. Its connection is given back on every way out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from .assembly import Response
from .attempt import Call, request_id
from .attempts import Attempts
from .errors import BedrockStreamError, IdleTimeout, TotalTimeout

if TYPE_CHECKING:
    from .transport import Answer

__all__ = ("read_answer",)

_T = TypeVar("_T")


async def read_answer(attempts: Attempts, read: Callable[[Call, bytes, str | None], _T]) -> _T:
    """Send, read the whole body and make something of it, again where that is allowed.

    Raises what reading a stream would, and what `read` raises, which gets the call, the body and the request id.
    """
    try:
        value, named = await _Reading(attempts, read).within_total()
    except BedrockStreamError as error:
        attempts.ended("failed", error, error.request_id)
        raise
    except BaseException as error:
        attempts.ended("cancelled" if isinstance(error, asyncio.CancelledError) else "failed", error)
        raise
    attempts.ended("finished", None, named, value if isinstance(value, Response) else None)
    return value


class _Reading(Generic[_T]):
    """The attempts of one call, each read to its end."""

    __slots__ = ("_answer", "_attempts", "_read")

    def __init__(self, attempts: Attempts, read: Callable[[Call, bytes, str | None], _T]) -> None:
        self._attempts = attempts
        self._read = read
        self._answer: Answer | None = None  # the last one that came

    async def within_total(self) -> tuple[_T, str | None]:
        """What was made of the answer, and its request id."""
        limit = self._attempts.call.timeouts.total
        try:
            async with asyncio.timeout(limit) as total:
                while True:
                    found = await self._once()
                    if found is not None:
                        return found
        except TimeoutError:
            if limit is None or not total.expired():
                raise  # it is the caller's own, of `on_retry`
            raise self._late(limit) from None

    async def _once(self) -> tuple[_T, str | None] | None:
        """None for an answer that was given up."""
        attempts = self._attempts
        self._answer = answer = await attempts.open()
        call, named = attempts.call, request_id(answer)
        try:
            value = self._read(call, await _body(call, answer), named)
        except BedrockStreamError as error:
            call.describe(error, named)
            answer.close()
            if not await attempts.again(error):
                raise
            return None
        finally:
            answer.close()
        attempts.succeeded()
        return value, named

    def _late(self, limit: float) -> TotalTimeout:
        attempts, answer = self._attempts, self._answer
        elapsed = asyncio.get_running_loop().time() - (attempts.began or 0.0)
        error = TotalTimeout(limit, elapsed, answer.bytes_received if answer else 0)
        attempts.call.describe(error, request_id(answer) if answer else None)
        return error


async def _body(call: Call, answer: Answer) -> bytes:
    """A whole body. Raises `StreamInterrupted` where it broke off, `IdleTimeout` where nothing comes any more."""
    parts: list[bytes] = []
    idle = call.timeouts.idle
    try:
        while True:
            async with asyncio.timeout(idle):
                data = await answer.read()
            if not data:
                return b"".join(parts)
            parts.append(data)
    except TimeoutError:
        raise IdleTimeout(idle or 0, idle or 0, answer.bytes_received) from None
