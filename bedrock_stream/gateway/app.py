"""The gateway's routes: `/v1/chat/completions`, streamed and whole, and `/v1/models`.

A whole answer is read as a stream too: it stops with the client that leaves, and no silent minutes stand on the way to
Bedrock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from time import time
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..client.client import Client
from ..client.stream import Stream
from ..errors import BedrockStreamError, ConfigurationError, ToolInputError
from ..integrations.asgi import unless_disconnected
from ..integrations.http_errors import problem_of
from ..integrations.protocols.openai import OpenAIChunks, error_json
from ..integrations.starlette import EventResponse
from ..request.models import describe
from ..request.output_schema import TOOL_NAME
from .errors import Refused, refuse
from .guard import Guard, Keys
from .requests import aliases, ask_for, blame, read_request
from .responses import completion

__all__ = ("create_gateway",)

_LARGEST_BODY = 32 * 1024 * 1024  # more than Bedrock takes


def create_gateway(
    client: Client | None = None,
    *,
    keys: str | Iterable[str] | None = None,
    models: Mapping[str, str] | Iterable[str] | None = None,
    hosts: Iterable[str] = (),
    origins: Iterable[str] = (),
    heartbeat: float | None = 15.0,
    max_body: int = _LARGEST_BODY,
) -> Starlette:
    """The app, for any ASGI server.

    `client`: asked for every answer, and closed by whoever made it; without one, the app has one of its own, set up by
    the environment. `keys`: who carries one of them gets in; without any, only this machine does. `models`: the ids
    that may be asked for, or names with ids; None allows all and lists none. `hosts`: names, besides loopback's, under
    which it answers. `origins`: web pages that may call it, as `https://example.com`. `heartbeat`: seconds of silence
    in a stream after which a comment is sent; None sends none. `max_body`: bytes of the largest request.

    Raises `ConfigurationError` for hosts without keys, and for keys that could be guessed.
    """
    known = Keys(keys)
    origins, hosts = tuple(origins), tuple(hosts)
    guarded = Middleware(Guard, keys=known, hosts=hosts, origins=origins)
    Guard(_nothing, keys=known, hosts=hosts, origins=origins)  # told now, and not at the first request
    shared = Middleware(
        CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["authorization", "*"]
    )
    gateway = _Gateway(client, aliases(models), heartbeat, max_body)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", gateway.complete, methods=["POST"]),
            Route("/v1/models", gateway.list_models, methods=["GET"]),
            Route("/v1/models/{name:path}", gateway.show_model, methods=["GET"]),
        ],
        middleware=[shared, guarded] if origins else [guarded],
        exception_handlers={Refused: _refused, HTTPException: _http_error},
        lifespan=gateway.lifespan,
    )


class _Gateway:
    """What the routes share."""

    def __init__(
        self, client: Client | None, models: dict[str, str] | None, heartbeat: float | None, max_body: int
    ) -> None:
        self._client = client
        self._models = models
        self._heartbeat = heartbeat
        self._max_body = max_body
        self._since = int(time())

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Keep a client of its own, where none was given."""
        if self._client is not None:
            yield
            return
        async with Client() as client:
            self._client = client
            try:
                yield
            finally:
                self._client = None

    async def complete(self, request: Request) -> Response:
        """`POST /v1/chat/completions`."""
        asked = read_request(await self._body(request))
        ask = ask_for(asked, self._model(asked.model))
        if self._client is None:
            raise Refused(503, "The gateway has not started: its server runs no lifespan.")
        try:
            stream = self._client.stream(ask.model, ask.messages, **ask.options)
        except ConfigurationError as error:
            raise blame(error) from None
        tool = TOOL_NAME if "output_schema" in ask.options else None
        if not asked.stream:
            return _WholeAnswer(stream, asked.model, tool)
        usage = bool(asked.stream_options and asked.stream_options.include_usage)
        writer = OpenAIChunks(asked.model, include_usage=usage, answer_tool=tool)
        return EventResponse(stream, writer, heartbeat=self._heartbeat)

    async def list_models(self, request: Request) -> Response:
        """`GET /v1/models`."""
        return JSONResponse({"object": "list", "data": [self._shown(name) for name in self._models or ()]})

    async def show_model(self, request: Request) -> Response:
        """`GET /v1/models/NAME`."""
        name = request.path_params["name"]
        self._model(name)
        return JSONResponse(self._shown(name))

    def _shown(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._since, "owned_by": "amazon-bedrock"}

    def _model(self, name: str) -> str:
        """The id behind what a client asks for."""
        if self._models is None:
            try:
                return describe(name).id
            except ConfigurationError as error:
                raise blame(error) from None
        if name not in self._models:
            raise Refused(404, f"The model {name!r} is not offered here.", code="model_not_found", param="model")
        return self._models[name]

    async def _body(self, request: Request) -> bytes:
        """The body. Only JSON: a page elsewhere may send a form without asking, but not this."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "Content-Type must be application/json.")
        body = bytearray()
        try:
            async for piece in request.stream():
                body += piece
                if len(body) > self._max_body:
                    raise Refused(413, f"The body is larger than {self._max_body} bytes.", code="request_too_large")
        except ClientDisconnect:
            raise Refused(400, "The body broke off.") from None
        return bytes(body)


class _WholeAnswer(Response):
    """A response that reads a stream to its end before it says anything."""

    def __init__(self, stream: Stream, model: str, answer_tool: str | None) -> None:
        super().__init__()
        self._stream = stream
        self._model = model
        self._answer_tool = answer_tool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        said: list[Response] = []
        try:
            if not await unless_disconnected(receive, partial(self._read, said)):
                said = [Response(status_code=499)]  # nobody receives it, but middleware waits for something
        finally:
            await self._stream.aclose()
        await said[0](scope, receive, send)

    async def _read(self, said: list[Response]) -> None:
        try:
            said.append(self._answered(await self._stream.response()))
        except ToolInputError as error:
            # The message is whole; this form passes a call's input on as text, JSON or not.
            said.append(self._answered(error.partial))
        except BedrockStreamError as error:
            problem = problem_of(error)
            said.append(
                JSONResponse(error_json(problem), problem.status, self._named(problem.request_id, problem.headers))
            )

    def _answered(self, response: Any) -> Response:
        return JSONResponse(
            completion(response, self._model, self._answer_tool), 200, self._named(response.request_id, {})
        )

    def _named(self, request_id: str | None, headers: Mapping[str, str]) -> dict[str, str]:
        named = {} if request_id is None else dict.fromkeys(OpenAIChunks.request_id_headers, request_id)
        return {"cache-control": "no-store", **named, **headers}


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return refuse(error)


async def _http_error(request: Request, error: Exception) -> Response:
    """What the router refuses: a path or a method that is not there."""
    if not isinstance(error, HTTPException):
        raise error
    return refuse(Refused(error.status_code, f"{request.method} {request.url.path}: {error.detail}."))


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An app for nobody."""
