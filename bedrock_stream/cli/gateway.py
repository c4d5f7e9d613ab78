"""`bedrock-stream gateway`: an OpenAI-compatible API for Bedrock models, served by uvicorn.

Requests are billed to the owner's AWS account, so listening on anything but loopback requires a key. Keys can be set in
an environment variable, because other users of the machine can read the arguments of a process.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ..auth.profiles import read_profile
from ..client.client import Client
from ..errors import ConfigurationError, MissingCredentials
from ..request.endpoints import find_region, is_loopback
from .serving import listen, serve_until_cancelled
from .terminal import make_console

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette

__all__ = ("make_gateway", "serve")

_SHUTDOWN_TIMEOUT = 5  # seconds for open responses to finish
_ANY_MODEL = "amazon.nova-lite-v1:0"  # every model of a region has the same endpoint


def make_gateway(
    host: str,
    *,
    keys: Sequence[str] | None,
    models: Sequence[str] | None,
    hosts: Sequence[str],
    origins: Sequence[str],
    region: str | None,
    endpoint_url: str | None,
    profile: str | None = None,
) -> Starlette:
    """Create the app with a client that is closed when the app shuts down.

    `app.state.introduction` says what it serves and where it reaches. Raises `ConfigurationError`, also for a `host`
    other than loopback without `keys`.
    """
    try:
        from ..gateway import create_gateway
    except ImportError as error:
        raise _missing_package(error) from None
    if not keys and not is_loopback(host):
        raise ConfigurationError("host", f"{host!r} is not a loopback address", "pass --key to listen there")
    client = Client(region=region, profile=profile, endpoint_url=endpoint_url)
    served = _parse_models(models)
    app = create_gateway(client, keys=keys or None, models=served, hosts=hosts, origins=origins)
    app.state.introduction = _introduction(app, served, keys) | _reach(client, region, profile)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with client, inner(app) as state:
            yield state

    # Starlette accepts a lifespan only when an app is created, which happened in `create_gateway`.
    app.router.lifespan_context = lifespan
    return app


async def serve(app: Starlette, host: str, port: int, *, quiet: bool = False) -> None:
    """Serve until cancelled, then let open responses finish within a time limit. `quiet` prints no requests.

    Raises `ConfigurationError` without uvicorn, and `OSError` if the port is in use.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise _missing_package(error) from None
    with listen(host, port) as listener, _request_lines(shown=not quiet):
        address, bound_port = listener.getsockname()[:2]
        url = f"http://{f'[{address}]' if ':' in address else address}:{bound_port}/v1"
        make_console(sys.stdout).print(_welcome(url, app.state.introduction), soft_wrap=True)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            # The guard needs the address of the connection, and not one that a header claims.
            proxy_headers=False,
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
        )
        await serve_until_cancelled(config, listener)


def _welcome(url: str, introduction: Mapping[str, str]) -> Text:
    text = Text("Serving Bedrock models to OpenAI clients at ").append(url, "bold cyan").append(" (Ctrl-C to stop)")
    for name, value in {"base_url": url, **introduction}.items():
        text.append(f"\n  {name:<12}", "cyan").append(value)
    return text


def _introduction(app: Starlette, models: Mapping[str, str] | None, keys: Sequence[str] | None) -> dict[str, str]:
    """Return what the app serves, and to whom."""
    from starlette.routing import Route

    routes = [
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, Route) and "{" not in route.path
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]
    names = [name if name == id_ else f"{name} -> {id_}" for name, id_ in (models or {}).items()]
    return {
        "routes": ", ".join(routes),
        "models": ", ".join(names) or "every model of the account",
        "api_key": "one of --key" if keys else "any: only this machine is served",
    }


def _reach(client: Client, region: str | None, profile: str | None) -> dict[str, str]:
    """Return where requests go, and with whose credentials. Raises `ConfigurationError` for a setting."""
    name, source = find_region(region, os.environ, read_profile(os.environ, profile).settings)
    reach = {"region": f"{name}, from {'--region' if source == 'region' else source}"}
    try:
        explained = client.explain(_ANY_MODEL, "Hello")
    except MissingCredentials:
        return {**reach, "credentials": "not found, so that every request fails; run `bedrock-stream doctor MODEL`"}
    source = {"region": "the region", "endpoint_url": "--endpoint-url"}.get(
        explained.endpoint_source, explained.endpoint_source
    )
    origin = "/".join(explained.url.split("/", 3)[:3])
    return {**reach, "endpoint": f"{origin}, from {source}", "credentials": explained.auth}


@contextmanager
def _request_lines(*, shown: bool) -> Iterator[None]:
    """Print the gateway's log lines on stdout meanwhile."""
    log, handler = logging.getLogger("bedrock_stream.gateway"), _Lines(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    before = log.level, log.propagate
    log.propagate = False
    log.setLevel(logging.INFO if shown else logging.CRITICAL)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.level, log.propagate = before


class _Lines(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of the standard library
        """Ignore a closed stdout: the gateway serves on."""


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
