"""Run a web app with uvicorn until the command is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    import uvicorn

__all__ = ("serve_until_cancelled",)


async def serve_until_cancelled(
    config: uvicorn.Config, listener: socket.socket, before_shutdown: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Serve on a listening socket; on cancellation, shut down gracefully.

    `before_shutdown` runs while responses are still open. uvicorn then waits for them, at most for the configured
    `timeout_graceful_shutdown`.
    """
    import uvicorn

    server = uvicorn.Server(config)
    # Signals cancel the command's task (see `exit_codes`), so uvicorn must not install its own handlers.
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        if before_shutdown is not None:
            await before_shutdown()
        await serving
