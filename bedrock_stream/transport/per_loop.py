"""A transport for each event loop, closed with its loop.

An asynchronous generator that was started belongs to its loop, and the loop closes it when it shuts its generators
down, as `asyncio.run` does. So a script that closes nothing ends without a warning, and a client that was made at
import serves any number of loops, one after another or in several threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from ..errors import ClientClosed

if TYPE_CHECKING:
    from .transport import Transport

__all__ = ("Transports",)


class Transports:
    """The transports of one client."""

    __slots__ = ("__weakref__", "_closed", "_kept", "_make")

    def __init__(self, make: Callable[[], Transport]) -> None:
        self._make = make
        self._closed = False
        # Not a WeakKeyDictionary: its values refer to their keys, so it would keep dead loops.
        self._kept: dict[asyncio.AbstractEventLoop, tuple[Transport, AsyncGenerator[None]]] = {}
        weakref.finalize(self, _abandon, self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Transport]:
        return (transport for transport, _ in list(self._kept.values()))

    async def current(self) -> Transport:
        """Return the running loop's transport. Raises `ClientClosed`."""
        if self._closed:
            raise ClientClosed("the client is closed")
        loop = asyncio.get_running_loop()
        entry = self._kept.get(loop)
        if entry is None:
            _abandon(self._kept)
            transport = self._make()
            entry = self._kept[loop] = (transport, _keep(self._kept, loop, transport))
            await anext(entry[1])
        return entry[0]

    async def aclose(self) -> None:
        """Close all transports; those of other loops on their own threads."""
        self._closed = True
        current = asyncio.get_running_loop()
        _abandon(self._kept)
        for loop, (_, keeper) in list(self._kept.items()):
            if loop is current:
                await keeper.aclose()
            else:
                with contextlib.suppress(RuntimeError):  # it was closed meanwhile
                    asyncio.run_coroutine_threadsafe(keeper.aclose(), loop)


_Kept: TypeAlias = "dict[asyncio.AbstractEventLoop, tuple[Transport, AsyncGenerator[None]]]"


async def _keep(kept: _Kept, loop: asyncio.AbstractEventLoop, transport: Transport) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        kept.pop(loop, None)
        await transport.close()


def _abandon(kept: _Kept) -> None:
    """Forget the transports of loops that were closed without shutting their generators down."""
    for loop in list(kept):  # other threads may add theirs
        if loop.is_closed() and (entry := kept.pop(loop, None)) is not None:
            entry[0].abandon()
