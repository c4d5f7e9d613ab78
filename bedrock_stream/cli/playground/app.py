"""The app: the page's files, what the page should know at its start, and the one endpoint that streams."""

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
from .backend import Opening, Upstream, on_emulator
from .chat import Chat
from .guard import Guard
from .models import MODELS
from .scenes import STARTERS

__all__ = ("create_app", "end_answers")

_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def create_app(*, token: str, opening: Opening | None = None) -> Starlette:
    """The playground. `token` is what lets a browser in; `opening` says who answers, the emulator if left out."""
    page = _read_page()
    opening = opening or on_emulator()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with opening() as upstream:
            app.state.upstream = upstream
            yield

    async def show_file(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in page:
            return Response("No such file.", 404, media_type="text/plain")
        return Response(page[name], media_type=_KINDS[name.rpartition(".")[2]])

    routes = [
        Route("/", show_file),
        Route("/page/{name}", show_file),
        Route("/settings", _settings),
        Route("/chat", Chat(), methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token)], lifespan=lifespan)


async def end_answers(app: Starlette) -> None:
    """End whatever is being streamed, so that the server need not wait for it."""
    upstream: Upstream | None = getattr(app.state, "upstream", None)
    if upstream is not None:
        await upstream.client.aclose()


def _read_page() -> dict[str, bytes]:
    """The page's files, read once: whatever is not among them is not served."""
    found = (entry for entry in files(__package__).joinpath("page").iterdir() if entry.is_file())
    return {entry.name: entry.read_bytes() for entry in found}


async def _settings(request: Request) -> Response:
    upstream: Upstream = request.app.state.upstream
    return JSONResponse(
        {
            "version": __version__,
            "place": upstream.place,
            "region": upstream.region,
            "models": msgspec.to_builtins(MODELS),
            "starters": msgspec.to_builtins(STARTERS) if upstream.place == "emulator" else [],
        }
    )
