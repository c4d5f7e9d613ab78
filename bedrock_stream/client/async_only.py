"""What a stream or a client raises in a `for` or a `with` that lacks its `async`: the words to write instead.

Type checkers do not see these methods, and report the same mistake themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            kind = type(self).__name__
            raise TypeError(f"{kind}: expected `async with`, got `with`; write `async with ... as name:`")

        def __exit__(self, *_: object) -> None:
            """Exist, since `with` looks this method up first."""
