"""Responses of server-sent events for Starlette and FastAPI. Needs `pip install "bedrock-stream[starlette]"`.

    app = FastAPI(lifespan=bedrock_lifespan(region="us-east-1"))

    @app.post("/chat")
    async def chat(question: Question, client: Client = Depends(get_client)) -> Response:
        return event_response(client.stream(MODEL, question.text))

The status is sent with the first event, so a call that fails before has an HTTP error status. A client's disconnect
closes the Bedrock stream: before the first event, in the middle, and while a write is blocked by back-pressure. All
tasks run within the response's call and end with it.

This is plain ASGI, not sse-starlette. The response of sse-starlette sends its status at once, its import replaces
uvicorn's exit handler for the whole process, and it starts a watcher task for that handler which outlives the
responses. Measured with version 3.7 behind uvicorn: a 429 of Bedrock reached the browser as 200 with a truncated body,
and the watcher still ran a second after the last response. Apps may use both; a test checks that sse-starlette's
response also closes the stream on a disconnect.

`BaseHTTPMiddleware` forwards a disconnect, and treats a response that never sends a status as an error. So after a
disconnect before the status, 499 is sent, which no client receives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ..client.client import Client
from ..client.stream import Stream
from ..client.tool_loop import ToolRun
from ..errors import BedrockStreamError, ConfigurationError
from ..types.events import MessageStart
from .asgi import CLIENT_CLOSED_REQUEST, ResponseWriter, run_until_disconnect
from .http_errors import ErrorDetails, error_details
from .protocols import Writer, request_id_headers
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

_Options = ParamSpec("_Options")
_T = TypeVar("_T")

Protocol: TypeAlias = Literal["events", "openai", "ui-message"]
"""The format of the response; see `bedrock_stream.integrations.protocols`."""

# nginx buffers a proxied response unless X-Accel-Buffering is "no".
_STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


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
    """Return a response that sends a stream's events as they are received.

    `stream`: may already be open; it is closed when the response ends, for whatever reason. `heartbeat`: seconds of
    silence after which a comment is sent, so that proxies do not time out; None disables heartbeats. `status_within`:
    seconds to wait for the first event before the status 200 and heartbeats are sent; a later failure is an error event
    then. None waits without a limit of its own. With `show_retries`, the first `Retrying` that the protocol has a form
    for starts the response in the same way: "events" sends it as an event, "ui-message" as a transient part
    `data-retrying`, "openai" not at all. `include_usage`: with "openai", end with a chunk of token counts.

    Raises `ConfigurationError` for an unknown protocol, for a `ToolRun` with "openai", and for a time that is not
    positive.
    """
    for name, seconds in (("heartbeat", heartbeat), ("status_within", status_within)):
        if seconds is not None and not seconds > 0:
            raise ConfigurationError(name, f"expected a positive number of seconds or None, got {seconds!r}")
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
            raise ConfigurationError(
                "protocol", "'openai' carries a single response, not a tool run", "use 'events' or 'ui-message'"
            )
    raise ConfigurationError("protocol", f"expected 'events', 'openai' or 'ui-message', got {protocol!r}")


class EventResponse(Response):
    """A response that reads a stream; created by `event_response`, or with a custom `Writer`."""

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
        self.init_headers({**_STREAM_HEADERS, **writer.headers, **(headers or {})})
        del self.headers["content-length"]  # Starlette sets it for the empty body; the length is unknown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        response = ResponseWriter(send, self._start)
        try:
            if scope["method"] == "HEAD":  # Starlette routes HEAD to GET endpoints; no request is sent to Bedrock
                await response.close(b"")
            elif not await run_until_disconnect(
                receive, partial(self._send_events, response), partial(self._send_heartbeats, response)
            ):
                await response.send_error(CLIENT_CLOSED_REQUEST, {}, b"")
        finally:
            await self.stream.aclose()
        # Starlette runs background tasks after the response.
        if self.background is not None:
            await self.background()

    def _start(self) -> Message:
        """Return the ASGI message with the status and headers."""
        # Known only now: the service sends it with its response headers.
        self.headers.update(self._request_id_headers(getattr(self.stream, "request_id", None)))
        return {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}

    async def _send_events(self, response: ResponseWriter) -> None:
        writer, data = self.writer, b""
        try:
            async for event in self.stream:
                data += writer.event(event)
                # Held back until the next event, since a failure after it can still be an HTTP status.
                if type(event) is MessageStart:
                    continue
                if data:
                    await response.write(data)
                    data = b""
            await response.close(data + writer.end())
        except BedrockStreamError as error:
            details = error_details(error)
            if not await response.send_error(details.status, self._error_headers(details), writer.refusal(details)):
                await response.close(data + writer.failed(error))

    def _error_headers(self, details: ErrorDetails) -> dict[str, str]:
        """Return this response's headers, changed for an error."""
        return {
            **self.headers,
            "content-type": "application/json",
            **self._request_id_headers(details.request_id),
            **details.headers,
        }

    def _request_id_headers(self, request_id: str | None) -> dict[str, str]:
        return request_id_headers(self.writer.request_id_headers, request_id)

    async def _send_heartbeats(self, response: ResponseWriter) -> None:
        if self.heartbeat is not None:
            await response.heartbeat(self.heartbeat, self.status_within)


def error_response(request: Request, error: Exception) -> Response:
    """Build the response for an error outside a stream.

    For `app.add_exception_handler(BedrockStreamError, error_response)`. Other exceptions are raised again.
    """
    if not isinstance(error, BedrockStreamError):
        raise error
    writer = PlainEvents()
    details = error_details(error)
    headers = request_id_headers(writer.request_id_headers, details.request_id) | details.headers
    return Response(writer.refusal(details), details.status, headers, "application/json")


def _takes_options_of(_client: Callable[_Options, Any]) -> Callable[[Callable[..., _T]], Callable[_Options, _T]]:
    """Give a function the signature of the client, for editors and type checkers."""
    return lambda function: function


@_takes_options_of(Client)
def bedrock_lifespan(**options: Any) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """Return a lifespan that owns one `Client(**options)`: `FastAPI(lifespan=bedrock_lifespan(region="us-east-1"))`.

    The client is `app.state.bedrock` and `request.state.bedrock`. To use it within another lifespan:
    `async with bedrock_lifespan()(app) as state: yield {**state, ...}`.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        async with Client(**options) as client:
            app.state.bedrock = client
            yield {"bedrock": client}

    return lifespan


def get_client(request: Request) -> Client:
    """Return the lifespan's client, for `Depends(get_client)`.

    Raises `ConfigurationError` if the app does not use `bedrock_lifespan`.
    """
    # The lifespan's state reaches requests only if the server supports it; the app's state always does.
    for state in (request.state, request.app.state):
        client = getattr(state, "bedrock", None)
        if isinstance(client, Client):
            return client
    raise ConfigurationError("lifespan", "the app has no client", "create the app with lifespan=bedrock_lifespan(...)")
