"""`bedrock-stream gateway`: an OpenAI-compatible API for Bedrock models, served by uvicorn.

Requests are billed to the owner's AWS account, so listening on anything but loopback requires a key. Keys can be set in
an environment variable, because other users of the machine can read the arguments of a process.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ..client.client import Client
from ..errors import ConfigurationError
from .serving import serve_until_cancelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette

__all__ = ("make_gateway", "serve")

_SHUTDOWN_TIMEOUT = 5  # seconds for open responses to finish


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
    """Create the app with a client that is closed when the app shuts down.

    Raises `ConfigurationError`, also for a `host` other than loopback without `keys`.
    """
    try:
        from ..gateway import create_gateway
        from ..request.endpoints import is_loopback
    except ImportError as error:
        raise _missing_package(error) from None
    if not keys and not is_loopback(host):
        raise ConfigurationError("host", f"{host!r} is not a loopback address", "pass --key to listen there")
    client = Client(region=region, endpoint_url=endpoint_url)
    app = create_gateway(client, keys=keys or None, models=_parse_models(models), hosts=hosts, origins=origins)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with client, inner(app) as state:
            yield state

    # Starlette accepts a lifespan only when an app is created, which happened in `create_gateway`.
    app.router.lifespan_context = lifespan
    return app


async def serve(app: Starlette, host: str, port: int) -> None:
    """Serve until cancelled, then let open responses finish within a time limit.

    Raises `ConfigurationError` without uvicorn, and `OSError` if the port is in use.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise _missing_package(error) from None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        address, bound_port = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        print(
            f"Serving Bedrock models to OpenAI clients at http://{shown}:{bound_port}/v1 (Ctrl-C to stop)", flush=True
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            # The guard needs the address of the connection, and not one that a header claims.
            proxy_headers=False,
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
        )
        await serve_until_cancelled(config, listener)


def _parse_models(values: Sequence[str] | None) -> dict[str, str] | None:
    """Return model ids by the name that clients use: `NAME=ID`, or `ID` for both. None offers all models."""
    if not values:
        return None
    models = {}
    for value in values:
        name, separator, model = value.partition("=")
        if not name or (separator and not model):
            raise ConfigurationError("models", f"expected ID or NAME=ID, got {value!r}")
        models[name] = model or name
    return models


def _missing_package(error: ImportError) -> ConfigurationError:
    package = (error.name or "").partition(".")[0]
    if package not in ("starlette", "uvicorn"):
        raise error
    return ConfigurationError("gateway", f"{package} is not installed", 'pip install "bedrock-stream[gateway]"')
