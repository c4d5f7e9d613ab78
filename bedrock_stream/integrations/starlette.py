"""Answers as server-sent events in Starlette and FastAPI. Needs `pip install "bedrock-stream[starlette]"`.

    app = FastAPI(lifespan=bedrock_lifespan(region="us-east-1"))

    @app.post("/chat")
    async def chat(question: Question, client: Client = Depends(get_client)) -> Response:
        return event_response(client.stream(MODEL, question.text))

The law: an answer that has not begun can still fail with a proper status, so the status waits for the first event; and
whoever leaves takes the Bedrock stream along, before the first event, in the middle, or while the network holds the
next piece back. All that runs beside the answer runs inside the response's own call and ends with it.

Built on plain ASGI and not on sse-starlette, whose response sends its status before anything is known; whose import
replaces uvicorn's exit handler for the whole process; and whose watcher for that is a task that outlives the answers.
Measured with its version 3.7 behind uvicorn: what Bedrock refused with 429 reached the browser as 200 with a torn body,
and the watcher still ran a second after the last answer. An app that uses it may go on: our tests hold that its
response, too, frees a stream that its browser leaves.

`BaseHTTPMiddleware` passes a browser's leaving on, and takes an answer that was left before its status for a bug; so
such an answer still gets one, 499, which nobody receives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Literal, TypeAlias

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ..client.client import Client
from ..client.stream import Stream
from ..client.tool_loop import ToolRun
from ..errors import BedrockStreamError, ConfigurationError
from ..types.events import MessageStart
from .asgi import Wire, unless_disconnected
from .http_errors import Problem, problem_of
from .protocols import Writer
from .protocols.openai import OpenAIChunks
from .protocols.plain import PlainEvents
from .protocols.ui_message import UIMessageParts

__all__ = (
    "EventResponse",
    "Protocol",
    "bedrock_lifespan",
    "error_response",
    "event_response",
    "get_client",
)

Protocol: TypeAlias = Literal["events", "openai", "ui-message"]
"""In which form the browser reads the answer; see `bedrock_stream.integrations.protocols`."""

_NEVER_STORED = {"cache-control": "no-store", "x-accel-buffering": "no"}
_LEFT = 499  # nginx's status for a client that closed its request


def event_response(
    stream: Stream | ToolRun,
    protocol: Protocol = "events",
    *,
    heartbeat: float | None = 15.0,
    status_within: float | None = 30.0,
    headers: Mapping[str, str] | None = None,
    include_usage: bool = False,
    background: BackgroundTask | None = None,
) -> EventResponse:
    """Send an answer as it comes. `stream` may be opened already; it is closed whichever way the response ends.

    `heartbeat`: seconds of silence after which a comment is sent, so that proxies keep waiting; None sends none.
    `status_within`: seconds of waiting for the first event after which the status is sent all the same, with
    heartbeats; what fails later is an error event then. None waits for as long as the stream does.
    `include_usage`: with "openai", a last chunk with the counts.
    Raises `ConfigurationError` for a protocol that is not known, and for a `ToolRun` where it has no words for one.
    """
    for name, seconds in (("heartbeat", heartbeat), ("status_within", status_within)):
        if seconds is not None and not seconds > 0:
            raise ConfigurationError(name, f"{seconds!r} is no number of seconds", "give more than 0, or None")
    return EventResponse(
        stream,
        _writer(stream, protocol, include_usage),
        heartbeat=heartbeat,
        status_within=status_within,
        headers=headers,
        background=background,
    )


def _writer(stream: Stream | ToolRun, protocol: Protocol, include_usage: bool) -> Writer:
    match protocol:
        case "events":
            return PlainEvents()
        case "ui-message":
            return UIMessageParts()
        case "openai" if isinstance(stream, Stream):
            return OpenAIChunks(stream.model, include_usage=include_usage)
        case "openai":
            raise ConfigurationError("protocol", "'openai' carries one answer, not a run of tools", "use 'events'")
    raise ConfigurationError("protocol", f"{protocol!r} is not known", "use 'events', 'openai' or 'ui-message'")


class EventResponse(Response):
    """A response that reads a stream; made by `event_response`, or with a writer of one's own."""

    media_type = "text/event-stream"

    def __init__(
        self,
        stream: Stream | ToolRun,
        writer: Writer,
        *,
        heartbeat: float | None = 15.0,
        status_within: float | None = 30.0,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.stream = stream
        self.writer = writer
        self.heartbeat = heartbeat
        self.status_within = status_within
        self.status_code = 200
        self.background = background
        self.body = b""
        self.init_headers({**_NEVER_STORED, **writer.headers, **(headers or {})})
        del self.headers["content-length"]  # which only a whole body has

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        wire = Wire(send, self._start)
        try:
            if scope["method"] == "HEAD":  # Starlette answers it wherever GET is answered; no model is asked
                await wire.end(b"")
            elif not await unless_disconnected(receive, partial(self._answer, wire), partial(self._beat, wire)):
                await wire.refuse(_LEFT, {}, b"")
        finally:
            await self.stream.aclose()
        if self.background is not None:
            await self.background()

    def _start(self) -> Message:
        """The status and headers of an answer that begins now."""
        self.headers.update(self._named(getattr(self.stream, "request_id", None)))
        return {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}

    async def _answer(self, wire: Wire) -> None:
        writer, said = self.writer, b""
        try:
            async for event in self.stream:
                said += writer.event(event)
                if type(event) is MessageStart:
                    continue  # what fails right behind it can still become a status
                if said:
                    await wire.write(said)
                    said = b""
            await wire.end(said + writer.end())
        except BedrockStreamError as error:
            problem = problem_of(error)
            if not await wire.refuse(problem.status, self._refusal_headers(problem), writer.refusal(problem)):
                await wire.end(said + writer.failed(error))

    def _refusal_headers(self, problem: Problem) -> dict[str, str]:
        """The headers of this response with those of the failure."""
        return {
            **self.headers,
            "content-type": "application/json",
            **self._named(problem.request_id),
            **problem.headers,
        }

    def _named(self, request_id: str | None) -> dict[str, str]:
        return dict.fromkeys(self.writer.request_id_headers, request_id) if request_id is not None else {}

    async def _beat(self, wire: Wire) -> None:
        if self.heartbeat is not None:
            await wire.beat(self.heartbeat, self.status_within)


def error_response(request: Request, error: Exception) -> Response:
    """For `app.add_exception_handler(BedrockStreamError, error_response)`: an error outside a stream as a response."""
    if not isinstance(error, BedrockStreamError):
        raise error
    problem = problem_of(error)
    body = PlainEvents().refusal(problem)
    named = {"x-amzn-requestid": problem.request_id} if problem.request_id is not None else {}
    return Response(body, problem.status, {**named, **problem.headers}, "application/json")


def bedrock_lifespan(**options: Any) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """A lifespan that owns one `Client(**options)`: `FastAPI(lifespan=bedrock_lifespan(region="us-east-1"))`.

    The client stands at `app.state.bedrock` and `request.state.bedrock`. Inside a lifespan of one's own:
    `async with bedrock_lifespan()(app) as state: yield {**state, ...}`.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        async with Client(**options) as client:
            app.state.bedrock = client
            yield {"bedrock": client}

    return lifespan


def get_client(request: Request) -> Client:
    """The lifespan's client, for `Depends(get_client)`. Raises `ConfigurationError` where no lifespan made one."""
    for state in (request.state, request.app.state):
        client = getattr(state, "bedrock", None)
        if isinstance(client, Client):
            return client
    raise ConfigurationError("lifespan", "the app has no client", "make it with lifespan=bedrock_lifespan(...)")
