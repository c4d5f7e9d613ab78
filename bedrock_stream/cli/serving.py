"""Listen on an address, and run a web app with uvicorn until the command is cancelled."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn

__all__ = ("explain_bind_errors", "listen", "serve_until_cancelled")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises `OSError`, which says what to do about a port that cannot be used."""
    with explain_bind_errors(host, port):
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


@contextmanager
def explain_bind_errors(host: str, port: int) -> Iterator[None]:
    """Raise the `OSError` of listening on an address in words that name the option."""
    try:
        yield
    except OSError as error:
        problem = _bind_problem(error, host, port)
        if problem is None:
            raise
        raise OSError(problem) from None


def _bind_problem(error: OSError, host: str, port: int) -> str | None:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; pass another one as --port, or 0 for any free one"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights; pass one above 1023 as --port"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; pass another one as --host"
    return None


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
