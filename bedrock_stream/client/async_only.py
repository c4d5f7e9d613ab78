"""Base classes of streams, tool runs and clients: `async with` closes them, and no `for` or `with` takes them.

A `for` or a `with` that lacks its `async` raises an error with the words to write instead. Type checkers do not see
these methods, and report the same mistake themselves.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ("AsyncFor", "AsyncWith")


class AsyncFor:
    """Base class of what `async for` reads."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __iter__(self) -> NoReturn:
            kind = type(self).__name__
            words = "write `async for item in stream:`, or `[item async for item in stream]` for a list"
            raise TypeError(f"{kind}: expected `async for`, got `for` or a function that iterates; {words}")


class AsyncWith:
    """Base class of what `async with` closes."""

    __slots__ = ()

    async def aclose(self) -> None:
        """Close it; each class says what that means."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            kind = type(self).__name__
            raise TypeError(f"{kind}: expected `async with`, got `with`; write `async with ... as name:`")

        def __exit__(self, *_: object) -> None:
            """Exist, since `with` looks this method up first."""
