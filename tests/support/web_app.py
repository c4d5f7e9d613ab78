"""A web application behind a real server: uvicorn in the test's own loop, on a free port."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

__all__ = ("parts", "serving")


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve the app; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    # Without a log configuration its loggers propagate, so that a test sees what it complains of.
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve([listening]))  # `serve` would take the signals of the test run
    try:
        while not server.started:
            assert not serving.done(), "the server did not start"
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listening.close()


def parts(body: str) -> list[Any]:
    """The server-sent events of a body, decoded; `[DONE]` as it is. Comments are passed over."""
    blocks = [block for block in body.split("\n\n") if block and not block.startswith(":")]
    found = []
    for block in blocks:
        lines = [line.removeprefix("data: ") for line in block.split("\n") if line.startswith("data: ")]
        assert len(lines) == 1, block
        found.append(lines[0] if lines[0] == "[DONE]" else json.loads(lines[0]))
    return found
