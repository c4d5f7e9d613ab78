"""Responses of server-sent events for Starlette and FastAPI. Needs `pip install "bedrock-stream[starlette]"`.

    app = FastAPI(lifespan=bedrock_lifespan(region="us-east-1"))

    @app.post("/chat")
    async def chat(question: Question, client: Client = Depends(get_client)) -> Response:
        return event_response(client.stream(MODEL, question.text))

With a `Relay`, an answer does not end with the connection: `relay_response` starts it, and a page that was reloaded
reads it from `resume_response`.

The status is sent with the first event, so a call that fails before has an HTTP error status. A client's disconnect
closes the Bedrock stream: before the first event, in the middle, and while a write is blocked by back-pressure. All
tasks run within the response's call and end with it, but for those of a relay.

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
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Literal, ParamSpec, TypeAlias, overload
from typing import Protocol as TypeProtocol
from uuid import uuid4

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from ..client.client import Client
from ..client.stream import Stream
from ..client.tool_loop import ToolRun
from ..errors import BedrockStreamError, ConfigurationError, InvalidRequest
from ..types.messages import ToolResult
from .http_errors import error_details
from .protocols import Writer, request_id_headers
from .protocols.openai import OpenAIChunks
from .protocols.plain import PlainEvents
from .protocols.ui_message import UIMessageParts
from .relay import Relay
from .responses import EventResponse, RelayResponse

__all__ = (
    "EventResponse",
    "Protocol",
    "Relay",
    "RelayResponse",
    "bedrock_lifespan",
    "error_response",
    "event_response",
    "get_client",
    "relay_response",
    "resume_response",
)

_Options = ParamSpec("_Options")

Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]
"""A lifespan of an app, as Starlette and FastAPI take it."""

Protocol: TypeAlias = Literal["events", "openai", "ui-message"]
"""The format of the response; see `bedrock_stream.integrations.protocols`."""

_LONGEST_KEY = 256


def event_response(
    stream: Stream | ToolRun,
    protocol: Protocol = "events",
    *,
    heartbeat: float | None = 15.0,
    status_within: float | None = 30.0,
    headers: Mapping[str, str] | None = None,
    include_usage: bool | None = None,
    background: BackgroundTask | None = None,
    message_id: str | None = None,
) -> EventResponse:
    """Return a response that sends a stream's events as they are received.

    `stream`: may already be open; it is closed when the response ends, for whatever reason. `heartbeat`: seconds of
    silence after which a comment is sent, so that proxies do not time out; None disables heartbeats. `status_within`:
    seconds to wait for the first event before the status 200 and heartbeats are sent; a later failure is an error event
    then. None waits without a limit of its own. With `show_retries`, the first `Retrying` that the protocol has a form
    for starts the response in the same way: "events" sends it as an event, "ui-message" as a transient part
    `data-retrying`, "openai" not at all. `include_usage`: whether "openai" ends with a chunk of token counts (by
    default not), and "ui-message" with token counts in the message's metadata (by default it does). `message_id`: with
    "ui-message", the id of the message; by default a new one, except for a message that goes on with tool results.

    Raises `ConfigurationError` for an unknown protocol, for a `ToolRun` with "openai", and for a time that is not
    positive.
    """
    _check_times(heartbeat=heartbeat, status_within=status_within)
    return EventResponse(
        stream,
        _writer(stream, protocol, include_usage, message_id),
        heartbeat=heartbeat,
        status_within=status_within,
        headers=headers,
        background=background,
    )


def relay_response(
    relay: Relay,
    key: str,
    stream: Stream | ToolRun,
    protocol: Protocol = "ui-message",
    *,
    heartbeat: float | None = 15.0,
    status_within: float | None = 30.0,
    headers: Mapping[str, str] | None = None,
    include_usage: bool | None = None,
    background: BackgroundTask | None = None,
    message_id: str | None = None,
) -> RelayResponse:
    """Return a response that starts an answer of a relay and sends its events.

    The answer goes on if the client disconnects; `resume_response` sends it from there, and `relay.stop(key)` stops it.
    `key`: such as the id of the chat. The other arguments are those of `event_response`, and so are the errors; also
    `InvalidRequest` for a key that is not a str of 1 to 256 characters, since it may come from a browser.
    """
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY:
        raise InvalidRequest("key", f"expected a str of 1 to {_LONGEST_KEY} characters, got {key!r:.100}")
    _check_times(heartbeat=heartbeat, status_within=status_within)
    return RelayResponse(
        relay,
        key,
        _writer(stream, protocol, include_usage, message_id),
        source=stream,
        heartbeat=heartbeat,
        status_within=status_within,
        headers=headers,
        background=background,
    )


async def resume_response(
    request: Request,
    relay: Relay,
    key: str,
    protocol: Protocol = "ui-message",
    *,
    heartbeat: float | None = 15.0,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response that goes on with the answer under a key, or 204 if none is running.

    What `useChat({resume: true})` requests with `GET <api>/<id of the chat>/stream`: it gets the whole answer from its
    start. A request with `Last-Event-ID`, as `EventSource` sends it, gets what follows that event, also for a while
    after the answer's end. Check first that the user may read the chat. Raises `ConfigurationError` as `event_response`
    does.
    """
    _check_times(heartbeat=heartbeat)
    if protocol not in _RESUMED:
        raise _unknown_protocol(protocol)
    reader = await relay.open(key, request.headers.get("last-event-id"))
    if reader is None or not (reader.running or reader.resumed):
        return Response(status_code=204)
    return RelayResponse(relay, key, _RESUMED[protocol](), source=reader, heartbeat=heartbeat, headers=headers)


# What has to be encoded is in the log; these have the headers of the protocols.
_RESUMED: dict[str, Callable[[], Writer]] = {
    "events": PlainEvents,
    "openai": lambda: OpenAIChunks(""),
    "ui-message": UIMessageParts,
}


def _check_times(**times: float | None) -> None:
    for name, seconds in times.items():
        if seconds is not None and not seconds > 0:
            raise ConfigurationError(name, f"expected a positive number of seconds or None, got {seconds!r}")


def _writer(stream: Stream | ToolRun, protocol: Protocol, include_usage: bool | None, message_id: str | None) -> Writer:
    match protocol:
        case "events":
            return PlainEvents()
        case "ui-message":
            if message_id is None and _begins_message(stream):
                message_id = f"msg-{uuid4().hex}"
            return UIMessageParts(message_id=message_id, include_usage=include_usage is not False)
        case "openai" if isinstance(stream, Stream):
            return OpenAIChunks(stream.model, include_usage=bool(include_usage))
        case "openai":
            raise ConfigurationError(
                "protocol", "'openai' carries a single response, not a tool run", "use 'events' or 'ui-message'"
            )
    raise _unknown_protocol(protocol)


def _unknown_protocol(protocol: Any) -> ConfigurationError:
    return ConfigurationError("protocol", f"expected 'events', 'openai' or 'ui-message', got {protocol!r}")


def _begins_message(stream: Stream | ToolRun) -> bool:
    """Return whether the answer is a new message on the page, and not the rest of one that called tools.

    A page that is sent another id for the rest of a message shows its beginning twice.
    """
    last = stream.messages[-1] if stream.messages else None
    return last is not None and last.role == "user" and not any(isinstance(block, ToolResult) for block in last.content)


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


class _MakesLifespan(TypeProtocol[_Options]):
    @overload
    def __call__(self, *args: _Options.args, **options: _Options.kwargs) -> Lifespan: ...

    @overload
    def __call__(self, relay: Relay | None, /, *args: _Options.args, **options: _Options.kwargs) -> Lifespan: ...


def _takes_options_of(
    _client: Callable[_Options, Any],
) -> Callable[[Callable[..., Lifespan]], _MakesLifespan[_Options]]:
    """Give a function the options of the client, for editors and type checkers."""
    return lambda function: function


@_takes_options_of(Client)
def bedrock_lifespan(relay: Relay | None = None, /, **options: Any) -> Lifespan:
    """Return a lifespan that owns one `Client(**options)`: `FastAPI(lifespan=bedrock_lifespan(region="us-east-1"))`.

    `relay`: stopped before the client is closed.
    The client is `app.state.bedrock` and `request.state.bedrock`. To use it within another lifespan:
    `async with bedrock_lifespan()(app) as state: yield {**state, ...}`.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        async with Client(**options) as client:
            app.state.bedrock = client
            async with relay or nullcontext():
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
