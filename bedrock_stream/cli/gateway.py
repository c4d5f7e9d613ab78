"""`bedrock-stream gateway`: OpenAI's chat completions in front of Bedrock, served by uvicorn.

It spends its owner's money: off loopback it listens with a key only, which an environment variable can hold, since the
arguments of a process are there for everybody on the machine to read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from ..client.client import Client
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette

__all__ = ("make_gateway", "serve")

_GRACE = 5  # seconds that open answers get at the end


def make_gateway(
    host: str,
    *,
    keys: Sequence[str] | None,
    models: Sequence[str] | None,
    hosts: Sequence[str],
    origins: Sequence[str],
    region: str | None,
    endpoint_url: str | None,
) -> Starlette:
    """The app, with a client that closes with it."""
    try:
        from ..gateway import create_gateway
        from ..request.endpoints import is_loopback
    except ImportError as error:
        raise _missing(error) from None
    if not keys and not is_loopback(host):
        raise ConfigurationError("host", f"{host!r} can be reached from elsewhere", "give --key with a key of your own")
    client = Client(region=region, endpoint_url=endpoint_url)
    app = create_gateway(client, keys=keys or None, models=_offered(models), hosts=hosts, origins=origins)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with client, inner(app) as state:
            yield state

    app.router.lifespan_context = lifespan
    return app


async def serve(app: Starlette, host: str, port: int) -> None:
    """Serve until a signal ends it; open answers get a moment."""
    try:
        import uvicorn
    except ImportError as error:
        raise _missing(error) from None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        address, bound = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        print(f"OpenAI clients reach Amazon Bedrock at http://{shown}:{bound}/v1; Ctrl-C ends it.", flush=True)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE)
        server = uvicorn.Server(config)
        # Signals are this command's: they cancel it, as they do every other, and it lets the server end in peace.
        server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]  # none is captured
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving


def _offered(models: Sequence[str] | None) -> dict[str, str] | None:
    """`NAME=ID`, or an id that is its own name."""
    if not models:
        return None
    offered = {}
    for given in models:
        name, separator, model = given.partition("=")
        if not name or (separator and not model):
            raise ConfigurationError("models", f"{given!r} names no model", "give ID or NAME=ID")
        offered[name] = model or name
    return offered


def _missing(error: ImportError) -> ConfigurationError:
    package = (error.name or "").partition(".")[0]
    if package not in ("starlette", "uvicorn"):
        raise error
    return ConfigurationError("gateway", f"{package} is not installed", 'pip install "bedrock-stream[gateway]"')
