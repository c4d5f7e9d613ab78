"""One ASGI response while it goes out: pieces and heartbeats in turn, and an ear for the client that leaves.

Each of these lives inside one response's call and ends with it: no task, timer or scope outlives an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import anyio
from starlette.types import Message, Receive, Send

from .protocols import HEARTBEAT

__all__ = ("Wire", "unless_disconnected")


class Wire:
    """What goes out, one thing at a time: the answer, and heartbeats into its silences."""

    def __init__(self, send: Send, start: Callable[[], Message]) -> None:
        self._send = send
        self._start = start
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._begun = asyncio.Event()
        self._ended = False
        self._wrote_at = float("-inf")

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece, after the status if that is still to come; nothing after the last one."""
        async with self._lock:
            if self._ended:
                return
            self._ended = last
            if not self._begun.is_set():
                self._begun.set()
                await self._send(self._start())
            await self._send({"type": "http.response.body", "body": data, "more_body": not last})
            self._wrote_at = self._loop.time()

    async def end(self, data: bytes) -> None:
        """Send the last piece."""
        await self.write(data, last=True)

    async def refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Send an HTTP error in place of the answer; False where the status is out already."""
        async with self._lock:
            if self._begun.is_set():
                return False
            self._begun.set()
            self._ended = True
            fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
            fields.append((b"content-length", b"%d" % len(body)))
            await self._send({"type": "http.response.start", "status": status, "headers": fields})
            await self._send({"type": "http.response.body", "body": body, "more_body": False})
            return True

    async def beat(self, every: float, begin_within: float | None) -> None:
        """Send a heartbeat after each `every` seconds of silence, for as long as it is let run."""
        with anyio.move_on_after(begin_within):
            await self._begun.wait()
        while not self._ended:
            quiet = self._loop.time() - self._wrote_at
            if quiet >= every:
                await self.write(HEARTBEAT)
            else:
                await asyncio.sleep(every - quiet)


async def unless_disconnected(receive: Receive, *work: Callable[[], Awaitable[None]]) -> bool:
    """Do the first piece of work, the others beside it until it is done; False where the client left before that.

    A client that leaves cancels the work. Some servers tell it by an `OSError` from `send` instead.
    """
    left = False
    failure: Exception | None = None

    async def watch() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass  # a body that nobody has read
        left = True
        group.cancel_scope.cancel()

    async def do(action: Callable[[], Awaitable[None]]) -> None:
        nonlocal left, failure
        try:
            await action()
        except OSError:
            left = True
        except Exception as error:  # a group would wrap it, and middleware look for the error itself
            failure = error
        if action is work[0] or left or failure is not None:
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        for action in work[1:]:
            group.start_soon(do, action)
        await do(work[0])
    if failure is not None:
        raise failure
    return not left
