"""A transport, or another resource, for each event loop, closed with its loop.

An asynchronous generator that was started belongs to its loop, and the loop closes it when it shuts its generators
down, as `asyncio.run` does. So a script that closes nothing ends without a warning, and a client that was made at
import serves any number of loops, one after another or in several threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ..errors import ClientClosed

if TYPE_CHECKING:
    from .transport import Transport

__all__ = ("PerLoop", "Transports")


class _Resource(Protocol):
    async def close(self) -> None: ...

    def abandon(self) -> None:
        """Free everything after the loop was closed."""


_R = TypeVar("_R", bound=_Resource)
_Kept = dict[asyncio.AbstractEventLoop, tuple[_R, AsyncGenerator[None]]]


class PerLoop(Generic[_R]):
    """A resource for each event loop; `name` describes its owner in errors."""

    __slots__ = ("__weakref__", "_closed", "_kept", "_make", "_name")

    def __init__(self, make: Callable[[], _R], name: str) -> None:
        self._make = make
        self._name = name
        self._closed = False
        # Not a WeakKeyDictionary: its values refer to their keys, so it would keep dead loops.
        self._kept: _Kept[_R] = {}
        weakref.finalize(self, _abandon, self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[_R]:
        return (resource for resource, _ in list(self._kept.values()))

    async def current(self) -> _R:
        """Return the running loop's resource. Raises `ClientClosed`."""
        if self._closed:
            raise ClientClosed(f"{self._name} is closed")
        loop = asyncio.get_running_loop()
        entry = self._kept.get(loop)
        if entry is None:
            _abandon(self._kept)
            resource = self._make()
            entry = self._kept[loop] = (resource, _keep(self._kept, loop, resource))
            await anext(entry[1])
        return entry[0]

    async def aclose(self) -> None:
        """Close all of them; those of other loops on their own threads."""
        self._closed = True
        current = asyncio.get_running_loop()
        _abandon(self._kept)
        for loop, (_, keeper) in list(self._kept.items()):
            if loop is current:
                await keeper.aclose()
            else:
                with contextlib.suppress(RuntimeError):  # it was closed meanwhile
                    asyncio.run_coroutine_threadsafe(keeper.aclose(), loop)


class Transports(PerLoop["Transport"]):
    """The transports of one client."""

    __slots__ = ()

    def __init__(self, make: Callable[[], Transport]) -> None:
        super().__init__(make, "the client")


async def _keep(kept: _Kept[_R], loop: asyncio.AbstractEventLoop, resource: _R) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        kept.pop(loop, None)
        await resource.close()


def _abandon(kept: _Kept[_R]) -> None:
    """Forget the resources of loops that were closed without shutting their generators down."""
    for loop in list(kept):  # other threads may add theirs
        if loop.is_closed() and (entry := kept.pop(loop, None)) is not None:
            entry[0].abandon()
