"""The ASGI side of a streamed response: writes with heartbeats, and detection of a client's disconnect.

Everything here runs within the call of one response and ends with it: no task, timer or cancel scope outlives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import anyio
from starlette.types import Message, Receive, Send

from ..errors import BedrockStreamError
from .protocols import HEARTBEAT

__all__ = ("CLIENT_CLOSED_REQUEST", "ResponseWriter", "run_until_disconnect")

CLIENT_CLOSED_REQUEST = 499
"""The status that nginx logs if the client closed the connection before the response."""


class ResponseWriter:
    """A writer of one response. Data and the heartbeats in between are written one after another.

    Only a heartbeat can be under way when data is written, so a flag takes the place of a lock, which would cost more
    than the write itself.
    """

    def __init__(self, send: Send, start: Callable[[], Message]) -> None:
        self._send = send
        self._start = start
        self._loop = asyncio.get_running_loop()
        self._writing = False
        self._written: asyncio.Future[None] | None = None  # set by who waits for the write that is under way
        self._started = asyncio.Event()
        self._status_sent = False
        self._closed = False
        self._last_write = float("-inf")

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a chunk of the body, after the status and headers if they are not sent yet.

        After the last chunk, do nothing.
        """
        while self._writing:
            await self._previous_write()
        if self._closed:
            return
        self._closed = last
        self._writing = True
        try:
            if not self._status_sent:
                self._begin()
                await self._send(self._start())
            await self._send({"type": "http.response.body", "body": data, "more_body": not last})
        finally:
            self._end_write()
        self._last_write = self._loop.time()

    async def _previous_write(self) -> None:
        if self._written is None:
            self._written = self._loop.create_future()
        await asyncio.shield(self._written)

    def _begin(self) -> None:
        self._status_sent = True
        self._started.set()

    def _end_write(self) -> None:
        self._writing = False
        written, self._written = self._written, None
        if written is not None:
            written.set_result(None)

    async def close(self, data: bytes) -> None:
        """Send the last chunk of the body."""
        await self.write(data, last=True)

    async def send_error(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Send an HTTP error instead of the response. Return False if the status is already sent."""
        while self._writing:
            await self._previous_write()
        if self._status_sent:
            return False
        self._begin()
        self._closed = True
        # ASGI requires lower-case header names, as bytes.
        fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        fields.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": status, "headers": fields})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
        return True

    async def heartbeat(self, interval: float, start_within: float | None) -> None:
        """Send a comment after each `interval` seconds without a write, until cancelled or closed.

        The first one is sent once the response has started, or after `start_within` seconds, and then starts it.
        """
        with anyio.move_on_after(start_within):
            await self._started.wait()
        while not self._closed:
            silence = self._loop.time() - self._last_write
            if silence >= interval:
                await self.write(HEARTBEAT)
            else:
                await asyncio.sleep(interval - silence)


async def run_until_disconnect(receive: Receive, *functions: Callable[[], Awaitable[None]]) -> bool:
    """Run the first function, and the others concurrently until it returns. Return False if the client disconnected.

    A disconnect cancels the functions, and an exception in any of them cancels the others and is raised.
    """
    disconnected = False
    failure: Exception | None = None

    async def watch() -> None:
        nonlocal disconnected
        while (await receive())["type"] != "http.disconnect":
            pass  # http.request: the rest of a body that the endpoint did not read
        disconnected = True
        group.cancel_scope.cancel()

    async def run(function: Callable[[], Awaitable[None]]) -> None:
        nonlocal disconnected, failure
        try:
            await function()
        except BedrockStreamError as error:  # time limits and failed connections are OSErrors
            failure = error
        except OSError:
            # Since ASGI 2.4, `send` may raise OSError after a disconnect.
            disconnected = True
        except Exception as error:
            # Not raised inside the group, which would wrap it: middleware looks for the original exception.
            failure = error
        if function is functions[0] or disconnected or failure is not None:
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        for function in functions[1:]:
            group.start_soon(run, function)
        await run(functions[0])
    if failure is not None:
        raise failure
    return not disconnected
