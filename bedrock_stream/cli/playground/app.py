"""The Starlette app: the page's static files, its settings, and the endpoint that streams responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..._version import __version__
from ...errors import ConfigurationError
from .backend import Backend, Opening, on_emulator
from .chat import Chat, answer_code
from .errors import describe_error
from .guard import Guard
from .models import MODELS
from .scenes import STARTERS
from .takes import takes_of

__all__ = ("create_app", "end_answers")

_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def create_app(*, token: str, opening: Opening | None = None) -> Starlette:
    """Create the playground. Browsers need `token` for access; `opening` opens the backend, by default the emulator."""
    page = _read_page()
    opening = opening or on_emulator()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with opening() as backend:
            app.state.backend = backend
            yield

    async def show_file(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in page:
            return Response("File not found.", 404, media_type="text/plain")
        return Response(page[name], media_type=_MEDIA_TYPES[name.rpartition(".")[2]])

    routes = [
        Route("/", show_file),
        Route("/page/{name}", show_file),
        Route("/settings", _settings),
        Route("/takes", _takes),
        Route("/code", answer_code, methods=["POST"]),
        Route("/chat", Chat(), methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token)], lifespan=lifespan)


async def end_answers(app: Starlette) -> None:
    """End the open responses by closing the client, so that the server can shut down without waiting for them."""
    backend: Backend | None = getattr(app.state, "backend", None)
    if backend is not None:
        await backend.client.aclose()


def _read_page() -> dict[str, bytes]:
    # Only these files are ever served, so a request's path never reaches the file system.
    entries = (entry for entry in files(__package__).joinpath("page").iterdir() if entry.is_file())
    return {entry.name: entry.read_bytes() for entry in entries}


async def _settings(request: Request) -> Response:
    backend: Backend = request.app.state.backend
    return JSONResponse(
        {
            "version": __version__,
            "place": backend.place,
            "region": backend.region,
            "models": msgspec.to_builtins(MODELS),
            # The starters choose scripted scenes of the emulator.
            "starters": msgspec.to_builtins(STARTERS) if backend.place == "emulator" else [],
        }
    )


async def _takes(request: Request) -> Response:
    """Answer with the options that the model of the query takes."""
    backend: Backend = request.app.state.backend
    try:
        takes = takes_of(backend.client, request.query_params.get("model", ""))
    except ConfigurationError as error:
        return JSONResponse(msgspec.to_builtins(describe_error(error)), 400)
    return JSONResponse(msgspec.to_builtins(takes))
