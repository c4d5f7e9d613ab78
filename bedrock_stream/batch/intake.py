"""Reads the prompts of a batch, one at a time and no earlier than they are needed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Sized
from typing import Any

from ..errors import ConfigurationError
from ..types.messages import Message

__all__ = ("Intake",)


class Intake:
    """The prompts of a batch, numbered. Raises `ConfigurationError` for what is not an iterable of prompts."""

    __slots__ = ("_async", "_count", "_ended", "_iterator", "_lock", "is_cut", "total")

    def __init__(self, prompts: Any) -> None:
        # A str would be a prompt a character, and a dict one a key.
        if isinstance(prompts, str | bytes | Message | dict) or not isinstance(prompts, Iterable | AsyncIterable):
            kind = type(prompts).__name__
            raise ConfigurationError("prompts", f"expected an iterable of prompts, got {kind}", "pass a list")
        self.total: int | None = len(prompts) if isinstance(prompts, Sized) else None
        """How many prompts there are; None if unknown."""
        self._async: AsyncIterator[Any] | None = aiter(prompts) if isinstance(prompts, AsyncIterable) else None
        self._iterator: Iterator[Any] = iter(()) if isinstance(prompts, AsyncIterable) else iter(prompts)
        self._lock = asyncio.Lock()  # an async iterator takes one `anext` at a time
        self._count = 0
        self._ended = False
        self.is_cut: bool = False
        """Whether it was ended before its end."""

    async def next(self) -> tuple[int, Any] | None:
        """Return the next prompt with its index, or None at the end. Raises what the caller's iterable raises."""
        if self._ended:
            return None
        try:
            if self._async is None:
                prompt = next(self._iterator)
            else:
                async with self._lock:
                    prompt = await anext(self._async)
        except (StopIteration, StopAsyncIteration):
            self._ended = True
            return None
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError("the prompts raised CancelledError") from error  # it must not look like their end
        self._count += 1
        return self._count - 1, prompt

    @property
    def is_exhausted(self) -> bool:
        """Whether no other prompt is known to follow."""
        return self._ended or self._count == self.total

    def end(self) -> None:
        """Read no more prompts."""
        self.is_cut = self.is_cut or not self.is_exhausted
        self._ended = True

    async def aclose(self) -> None:
        """Close the caller's generator, if it is one."""
        self.end()
        if isinstance(self._iterator, Generator):
            self._iterator.close()
        if isinstance(self._async, AsyncGenerator):
            with contextlib.suppress(RuntimeError):  # it is running: its reader was cancelled, which ends it
                await self._async.aclose()
