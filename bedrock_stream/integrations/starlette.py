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

`BaseHTTPMiddleware` passes a browser's leaving on, and takes an answer that was left before its status for a bug; so
such an answer still gets one, 499, which nobody receives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Literal, TypeAlias

import anyio
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ..client import Client
from ..errors import BedrockStreamError, ConfigurationError
from ..events import MessageStart
from ..streaming import Stream
from ..toolloop import ToolRun
from .problems import Problem, problem_of
from .protocols import HEARTBEAT, Writer
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
    "unless_disconnected",
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
        wire = _Wire(send, self._start)
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

    async def _answer(self, wire: _Wire) -> None:
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

    async def _beat(self, wire: _Wire) -> None:
        if self.heartbeat is not None:
            await wire.beat(self.heartbeat, self.status_within)


class _Wire:
    """What goes out, one thing at a time: the answer, and heartbeats into its silences."""

    def __init__(self, send: Send, start: Callable[[], Message]) -> None:
        self._send = send
        self._start = start
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._begun = asyncio.Event()
        self._ended = False
        self._wrote_at = float("-inf")

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece, after the status if that is still to come; nothing after the last one."""
        async with self._lock:
            if self._ended:
                return
            self._ended = last
            if not self._begun.is_set():
                self._begun.set()
                await self._send(self._start())
            await self._send({"type": "http.response.body", "body": data, "more_body": not last})
            self._wrote_at = self._loop.time()

    async def end(self, data: bytes) -> None:
        """Send the last piece."""
        await self.write(data, last=True)

    async def refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Send an HTTP error in place of the answer; False where the status is out already."""
        async with self._lock:
            if self._begun.is_set():
                return False
            self._begun.set()
            self._ended = True
            fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
            fields.append((b"content-length", b"%d" % len(body)))
            await self._send({"type": "http.response.start", "status": status, "headers": fields})
            await self._send({"type": "http.response.body", "body": body, "more_body": False})
            return True

    async def beat(self, every: float, begin_within: float | None) -> None:
        """Send a heartbeat after each `every` seconds of silence, for as long as it is let run."""
        with anyio.move_on_after(begin_within):
            await self._begun.wait()
        while not self._ended:
            quiet = self._loop.time() - self._wrote_at
            if quiet >= every:
                await self.write(HEARTBEAT)
            else:
                await asyncio.sleep(every - quiet)


async def unless_disconnected(receive: Receive, *work: Callable[[], Awaitable[None]]) -> bool:
    """Do the first piece of work, the others beside it until it is done; False where the client left before that.

    A client that leaves cancels the work. Some servers tell it by an `OSError` from `send` instead.
    """
    left = False
    failure: Exception | None = None

    async def watch() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass  # a body that nobody has read
        left = True
        group.cancel_scope.cancel()

    async def do(action: Callable[[], Awaitable[None]]) -> None:
        nonlocal left, failure
        try:
            await action()
        except OSError:
            left = True
        except Exception as error:  # a group would wrap it, and middleware look for the error itself
            failure = error
        if action is work[0] or left or failure is not None:
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        for action in work[1:]:
            group.start_soon(do, action)
        await do(work[0])
    if failure is not None:
        raise failure
    return not left


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
