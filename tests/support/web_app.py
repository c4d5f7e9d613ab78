"""Run an ASGI application behind a real server: uvicorn on the test's own event loop, on a free port."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

__all__ = ("EventDrivenServer", "parts", "serving")


class EventDrivenServer(uvicorn.Server):
    """A uvicorn server that stops as soon as `stop` is called; the original polls ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Make `serve` close the server and return."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        async with asyncio.timeout(self.config.timeout_graceful_shutdown):
            while self.server_state.connections or self.server_state.tasks:
                await asyncio.sleep(0.001)
        await self.lifespan.shutdown()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the test run."""
        yield


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve the app; yield its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    # Without a log configuration uvicorn's loggers propagate, so that a test sees what they log.
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = EventDrivenServer(config)
    serving = asyncio.create_task(server.serve([listening]))
    try:
        while not server.started:
            assert not serving.done(), "the server did not start"
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.stop()
        await serving
        listening.close()


def parts(body: str) -> list[Any]:
    """Return the decoded data of each server-sent event of a body; `[DONE]` as a str. Comments are skipped."""
    blocks = [block for block in body.split("\n\n") if block and not block.startswith(":")]
    found = []
    for block in blocks:
        lines = [line.removeprefix("data: ") for line in block.split("\n") if line.startswith("data: ")]
        assert len(lines) == 1, block
        found.append(lines[0] if lines[0] == "[DONE]" else json.loads(lines[0]))
    return found
