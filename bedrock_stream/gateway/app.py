"""The gateway's routes: `/v1/chat/completions`, streamed or not, and `/v1/models`.

Bedrock's response is always read as a stream, even if the client asked for a whole completion: the stream is closed if
the client disconnects, and the connection to Bedrock is not idle for minutes while the model generates.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from time import time
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
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
from ..errors import ConfigurationError
from ..integrations.protocols.openai import OpenAIChunks
from ..request.models import describe
from ..request.output_schema import TOOL_NAME
from .errors import RequestError, error_response
from .fitting import Caching, PromptCache
from .guard import ApiKeys, Guard
from .logs import CompletionLog, log_response
from .requests import ChatCall, ModelRequest, build_call, model_ids, parse_request, request_error
from .responses import ChunksResponse, CompletionResponse

__all__ = ("create_gateway",)

_MAX_BODY = 32 * 1024 * 1024  # more than Bedrock accepts
_LARGE_BODY = 64 * 1024  # bytes; a smaller one is planned within some milliseconds


def create_gateway(
    client: Client | None = None,
    *,
    keys: str | Iterable[str] | None = None,
    models: Mapping[str, str] | Iterable[str] | None = None,
    hosts: Iterable[str] = (),
    origins: Iterable[str] = (),
    heartbeat: float | None = 15.0,
    max_body: int = _MAX_BODY,
    prompt_cache: PromptCache = False,
    prompt_cache_ttl: str | None = None,
) -> Starlette:
    """Create the gateway as an app for any ASGI server.

    `client`: used for every request, never closed by the app; by default, the app creates a client that is configured
    by the environment. `keys`: the API keys that clients may use; without keys, only requests from this machine are
    accepted. `models`: the model ids that clients may request, or a mapping of names to ids; None allows every model
    and lists none. `hosts`: host names, in addition to loopback, that the gateway accepts in `Host`. `origins`: the
    origins of web pages that may call it, such as `https://example.com`. `heartbeat`: seconds of silence in a stream
    after which a comment is sent; None disables heartbeats. `max_body`: the size limit of a request, in bytes.
    `prompt_cache`: True caches tools and system prompt, "auto" also the growing conversation; a request with its own
    `cache_control` keeps that alone. `prompt_cache_ttl`: "5m" or "1h".

    Options that a model refuses are left out, as the response header `x-bedrock-stream-changes` says. Each request is
    logged in one line; see `logs`. Raises `ConfigurationError` for hosts without keys, for short keys and bad caching.
    """
    api_keys, origins, hosts = ApiKeys(keys), tuple(origins), tuple(hosts)
    guard = Middleware(Guard, keys=api_keys, hosts=hosts, origins=origins)
    # Starlette builds its middleware on the first request; this one only reports invalid arguments now.
    Guard(_no_app, keys=api_keys, hosts=hosts, origins=origins)
    # Authorization is listed because "*" does not cover it in the Fetch standard.
    headers = ["authorization", "*"]
    cors = Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=headers)
    gateway = _Gateway(client, model_ids(models), heartbeat, max_body, Caching(prompt_cache, prompt_cache_ttl))
    return Starlette(
        routes=[
            Route("/v1/chat/completions", gateway.create_completion, methods=["POST"]),
            Route("/v1/models", gateway.list_models, methods=["GET"]),
            Route("/v1/models/{name:path}", gateway.show_model, methods=["GET"]),
        ],
        # CORS comes first: a preflight request never carries the Authorization that the guard checks.
        middleware=[cors, guard] if origins else [guard],
        exception_handlers={RequestError: _handle_request_error, HTTPException: _handle_http_exception},
        lifespan=gateway.lifespan,
    )


class _Gateway:
    """The route handlers and their settings."""

    def __init__(
        self,
        client: Client | None,
        models: dict[str, str] | None,
        heartbeat: float | None,
        max_body: int,
        caching: Caching,
    ) -> None:
        self._client = client
        self._models = models
        self._heartbeat = heartbeat
        self._max_body = max_body
        self._caching = caching
        self._created = int(time())
        self._planning: CapacityLimiter | None = None

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Open and close the app's own client, unless one was passed."""
        if self._client is not None:
            yield
            return
        async with Client() as client:
            self._client = client
            try:
                yield
            finally:
                self._client = None

    async def create_completion(self, request: Request) -> Response:
        """Handle `POST /v1/chat/completions`."""
        log = CompletionLog()
        raw = await self._read_body(request)
        if len(raw) < _LARGE_BODY:
            body, call, stream = self._plan(raw)
        else:
            # In a thread, which takes turns with the event loop; one at a time, since they all wait for the same lock.
            self._planning = self._planning or CapacityLimiter(1)
            body, call, stream = await run_sync(self._plan, raw, limiter=self._planning)
        log.model = body.model
        # Models without native structured output return it as the input of this tool.
        tool = TOOL_NAME if "output_schema" in call.options else None
        if not body.stream:
            return CompletionResponse(stream, body.model, tool, call.notes, log)
        usage = bool(body.stream_options and body.stream_options.include_usage)
        writer = OpenAIChunks(body.model, include_usage=usage, answer_tool=tool)
        return ChunksResponse(stream, writer, body.model, call.notes, log, heartbeat=self._heartbeat)

    def _plan(self, raw: bytes) -> tuple[ModelRequest, ChatCall, Stream]:
        """Read a request body and plan its call. Nothing is sent."""
        client = self._client
        try:
            body = parse_request(raw)
            model = self._model_id(body.model)
            if client is None:
                raise RequestError(503, "The gateway has not started: its ASGI server did not run the lifespan.")
            call = build_call(body, model, client.facts(model), self._caching)
            return body, call, client.stream(call.model, call.messages, **call.options)
        except ConfigurationError as error:
            raise request_error(error) from None
        except RecursionError:
            raise RequestError(400, "The request body is nested too deeply.", code="invalid_json") from None

    async def list_models(self, request: Request) -> Response:
        """Handle `GET /v1/models`."""
        log_response(request.scope, 200)
        return JSONResponse({"object": "list", "data": [self._model_json(name) for name in self._models or ()]})

    async def show_model(self, request: Request) -> Response:
        """Handle `GET /v1/models/NAME`."""
        name = request.path_params["name"]
        self._model_id(name)  # raises for an unknown name
        log_response(request.scope, 200)
        return JSONResponse(self._model_json(name))

    def _model_json(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "amazon-bedrock"}

    def _model_id(self, name: str) -> str:
        """Return the Bedrock model id for the name in a request."""
        if self._models is None:
            try:
                return describe(name).id
            except ConfigurationError as error:
                raise request_error(error) from None
        if name not in self._models:
            raise RequestError(404, f"The model {name!r} is not available.", code="model_not_found", param="model")
        return self._models[name]

    async def _read_body(self, request: Request) -> bytes:
        """Read the body and check its media type and size."""
        # A page of any origin may send a form or plain text without a preflight, but not JSON.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RequestError(415, "Content-Type must be application/json.")
        body = bytearray()
        try:
            # Counted while it is read: a chunked request has no Content-Length, and the header is only a claim.
            async for chunk in request.stream():
                body += chunk
                if len(body) > self._max_body:
                    raise RequestError(
                        413, f"The request body is larger than {self._max_body} bytes.", code="request_too_large"
                    )
        except ClientDisconnect:
            raise RequestError(400, "The request body is incomplete.") from None
        return bytes(body)


async def _handle_request_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestError):
        raise error
    return error_response(request.scope, error)


async def _handle_http_exception(request: Request, error: Exception) -> Response:
    """Build the response for an unknown path or method, which Starlette's router rejects."""
    if not isinstance(error, HTTPException):
        raise error
    failure = RequestError(error.status_code, f"{request.method} {request.url.path}: {error.detail}.")
    return error_response(request.scope, failure)


async def _no_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Do nothing."""
