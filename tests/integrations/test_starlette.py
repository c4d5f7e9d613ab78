"""Responses to a browser: complete applications behind a real server, with an emulator as Bedrock, over sockets."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bedrock_stream import (
    Client,
    MessageStart,
    RetryPolicy,
    Stream,
    Timeouts,
    Tool,
    ToolCall,
    ToolResult,
)
from bedrock_stream import (
    Message as Turn,
)
from bedrock_stream.errors import BedrockStreamError, ConfigurationError, ConnectionFailed, IdleTimeout
from bedrock_stream.integrations import messages_from_ui
from bedrock_stream.integrations.asgi import run_until_disconnect
from bedrock_stream.integrations.protocols import StreamItem
from bedrock_stream.integrations.protocols.plain import PlainEvents
from bedrock_stream.integrations.starlette import (
    EventResponse,
    Protocol,
    bedrock_lifespan,
    error_response,
    event_response,
    get_client,
)
from bedrock_stream.testing import (
    REGION,
    Emulator,
    cut,
    delay,
    hang_before_headers,
    http_error,
    stall,
    start,
    stream_error,
    text,
    tool_call,
)
from tests.conftest import KEYS
from tests.support.soon import soon
from tests.support.web_app import parts, serving

ONCE = RetryPolicy(max_attempts=1)
MODEL = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
PROTOCOLS: tuple[Protocol, ...] = ("events", "openai", "ui-message")

Handler = Callable[[Request], Response]


@pytest.mark.parametrize("error", [IdleTimeout(1, 1.2), ConnectionFailed("refused"), ConfigurationError("a", "b")])
async def test_an_error_of_the_library_is_not_taken_for_a_disconnect(error: BedrockStreamError) -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await run_until_disconnect(receive, fail)
    assert caught.value is error


async def test_an_os_error_of_the_server_is_a_disconnect() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def fail() -> None:
        raise OSError

    assert not await run_until_disconnect(receive, fail)


def starlette_app(handler: Handler, *middleware: Middleware) -> ASGIApp:
    async def endpoint(request: Request) -> Response:
        return handler(request)

    return Starlette(routes=[Route("/chat", endpoint)], middleware=list(middleware))


def fastapi_app(handler: Handler, *middleware: Middleware) -> ASGIApp:
    app = FastAPI(middleware=list(middleware))

    @app.get("/chat", response_model=None)
    async def endpoint(request: Request) -> Response:
        return handler(request)

    return app


async def pass_on(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    return await call_next(request)


WRAPPED = Middleware(BaseHTTPMiddleware, dispatch=pass_on)
APPS = [
    pytest.param(lambda handler: starlette_app(handler), id="starlette"),
    pytest.param(lambda handler: fastapi_app(handler), id="fastapi"),
    pytest.param(lambda handler: starlette_app(handler, WRAPPED), id="starlette-wrapped"),
    pytest.param(lambda handler: fastapi_app(handler, WRAPPED), id="fastapi-wrapped"),
]


@asynccontextmanager
async def browser_for(client: Client, protocol: Any = "events", **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a browser for an app with one route, `/chat`."""
    app = starlette_app(lambda request: event_response(client.stream(MODEL, "Hi"), protocol, **options))
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as browser:
        yield browser


# ------------------------------------------------------------------------------------------------------------ responses


def text_of(protocol: str, events: list[Any]) -> str:
    match protocol:
        case "events":
            return "".join(part["text"] for part in events if part["type"] == "text_delta")
        case "openai":
            choices = [part["choices"][0] for part in events if part != "[DONE]"]
            return "".join(choice["delta"].get("content") or "" for choice in choices)
    return "".join(part["delta"] for part in events if part != "[DONE]" and part["type"] == "text-delta")


LAST = {"events": {"type": "done"}, "openai": "[DONE]", "ui-message": "[DONE]"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("app", APPS)
async def test_a_response_is_complete_and_marked_as_such(
    emulator: Emulator, client: Client, app: Callable[[Handler], ASGIApp], protocol: Any
) -> None:
    emulator.script(text(["Hello", " wide", " world\n\n:"]))
    asgi_app = app(lambda request: event_response(client.stream(MODEL, "Hi"), protocol, headers={"x-mine": "1"}))
    async with serving(asgi_app) as url, httpx.AsyncClient() as browser:
        response = await browser.get(f"{url}/chat")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-mine"] == "1"
    assert len(response.headers["x-amzn-requestid"]) == 36
    assert response.headers.get("x-vercel-ai-ui-message-stream") == ("v1" if protocol == "ui-message" else None)
    events = parts(response.text)
    assert text_of(protocol, events) == "Hello wide world\n\n:"
    assert events[-1] == LAST[protocol]
    await emulator.wait_for_streams(0)


async def test_a_stream_that_is_already_open_is_accepted(emulator: Emulator, client: Client) -> None:
    async def endpoint(request: Request) -> Response:
        stream = await client.stream(MODEL, "Hi").open()
        assert isinstance(await anext(stream), MessageStart)
        return event_response(stream)

    app = Starlette(routes=[Route("/chat", endpoint)])
    async with serving(app) as url, httpx.AsyncClient() as browser:
        events = parts((await browser.get(f"{url}/chat")).text)
    assert [events[0]["type"], events[-1]["type"]] == ["text_delta", "done"]


@pytest.mark.parametrize("protocol", ["events", "ui-message"])
async def test_a_tool_run_is_sent_with_its_results(emulator: Emulator, client: Client, protocol: Any) -> None:
    emulator.script(tool_call("add", {"a": 1, "b": 2}))
    emulator.script(text("Three."))

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    app = starlette_app(lambda request: event_response(client.run_tools(MODEL, "1 and 2?", tools=[add]), protocol))
    async with serving(app) as url, httpx.AsyncClient() as browser:
        events = parts((await browser.get(f"{url}/chat")).text)
    types = [part if isinstance(part, str) else part["type"] for part in events]
    if protocol == "events":
        assert types.index("tool_call_end") < types.index("tool_result") < types.index("text_delta")
        assert types.count("message_start") == 2
    else:
        assert [part for part in events if part != "[DONE]" and part["type"] == "tool-output-available"] == [
            {"type": "tool-output-available", "toolCallId": events[2]["toolCallId"], "output": "3"}
        ]
        assert types.count("start") == 1
        assert types.count("start-step") == types.count("finish-step") == 2


@pytest.mark.parametrize("fault", [None, http_error(403, "AccessDeniedException", "No.")], ids=["answered", "failed"])
@pytest.mark.parametrize(("protocol", "status"), [("events", 200), ("ui-message", 200), ("openai", 403)])
async def test_a_shown_retry_starts_the_response_where_the_protocol_has_a_form_for_it(
    emulator: Emulator, protocol: Any, status: int, fault: Any
) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Wait."))
    emulator.script(fault or text("Hello"))
    retry = RetryPolicy(base=0, cap=0)
    async with (
        Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=retry) as client,
        serving(
            starlette_app(lambda _: event_response(client.stream(MODEL, "Hi", show_retries=True), protocol))
        ) as url,
        httpx.AsyncClient() as browser,
    ):
        response = await browser.get(f"{url}/chat")
    assert response.status_code == (200 if fault is None else status)
    if protocol == "openai":
        assert "etrying" not in response.text
        return
    first, *rest = parts(response.text)
    assert first["type"] == ("retrying" if protocol == "events" else "data-retrying")
    if fault is None:
        assert text_of(protocol, rest) == "Hello"
    else:
        assert {"events": rest[-1], "ui-message": rest[0]}[protocol]["type"] == "error"


async def test_head_sends_no_request_to_bedrock(emulator: Emulator, client: Client) -> None:
    async with browser_for(client) as browser:
        response = await browser.head("/chat")
    assert (response.status_code, response.text) == (200, "")
    assert emulator.requests == []


async def test_a_background_task_runs_after_the_response(emulator: Emulator, client: Client) -> None:
    done = asyncio.Event()

    async def note() -> None:
        assert emulator.open_streams == 0
        done.set()

    async with browser_for(client, background=BackgroundTask(note)) as browser:
        await browser.get("/chat")
        await asyncio.wait_for(done.wait(), 5)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"protocol": "xml"}, "protocol"), ({"heartbeat": 0}, "heartbeat"), ({"status_within": -1}, "status_within")],
)
async def test_invalid_arguments_are_rejected_at_the_call(client: Client, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        event_response(client.stream(MODEL, "Hi"), **options)


async def test_openai_does_not_support_tool_runs(client: Client) -> None:
    run = client.run_tools(MODEL, "Hi", tools=[Tool(name="t", function=print)])
    with pytest.raises(ConfigurationError, match="single response"):
        event_response(run, "openai")


# --------------------------------------------------------------------------------------------------------------- errors

THROTTLED = http_error(429, "ThrottlingException", "Too many tokens", {"retry-after": "3"})
OVERLONG = http_error(400, "ValidationException", "Input is too long for requested model.")
DENIED = http_error(403, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/me is not authorized")
FAILURES = [
    pytest.param([THROTTLED], 429, "Throttled", "Too many tokens", id="throttled"),
    pytest.param([OVERLONG], 400, "ContextWindowExceeded", "Input is too long for requested model.", id="overlong"),
    pytest.param([DENIED], 403, "AccessDenied", "The server does not have access to this model.", id="denied"),
    pytest.param([http_error(503, None, "down")], 503, "ServiceUnavailable", "down", id="unavailable"),
    pytest.param(
        [start(), stream_error("throttlingException", "Slow down")], 429, "Throttled", "Slow down", id="inside"
    ),
    pytest.param([start(), cut()], 502, "StreamInterrupted", "The response was interrupted.", id="cut"),
    pytest.param([hang_before_headers()], 504, "FirstEventTimeout", "The model did not respond in time.", id="late"),
]


@pytest.fixture
async def short_timeout_client(emulator: Emulator) -> AsyncIterator[Client]:
    """A client with a short timeout and without retries."""
    limits = Timeouts(first_event=0.2)
    async with Client(
        region=REGION, endpoint_url=emulator.url, credentials=KEYS, timeouts=limits, retry=ONCE
    ) as client:
        yield client


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("script", "status", "kind", "message"), FAILURES)
async def test_a_failure_before_the_first_event_is_an_http_error(
    emulator: Emulator,
    short_timeout_client: Client,
    protocol: Any,
    script: list[Any],
    status: int,
    kind: str,
    message: str,
) -> None:
    emulator.script(*script)
    async with browser_for(short_timeout_client, protocol) as browser:
        response = await browser.get("/chat")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert error["message"] == message
    assert set(error) == ({"message", "type", "code", "param"} if protocol == "openai" else set(error))
    if protocol != "openai":
        assert error["type"] == kind
    if kind != "FirstEventTimeout":
        assert len(response.headers["x-amzn-requestid"]) == 36
    await emulator.wait_for_streams(0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_failed_connection_reveals_nothing_about_the_server(protocol: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with (
        Client(region=REGION, endpoint_url=f"http://127.0.0.1:{port}", credentials=KEYS, retry=ONCE) as client,
        browser_for(client, protocol) as browser,
    ):
        response = await browser.get("/chat")
    assert response.status_code == 502
    assert response.json()["error"]["message"] == "The model could not be reached."
    assert str(port) not in response.text


async def test_missing_credentials_reveal_nothing_about_the_server(emulator: Emulator) -> None:
    async with Client(region=REGION, endpoint_url=emulator.url) as client, browser_for(client) as browser:
        response = await browser.get("/chat")
    assert (response.status_code, response.json()["error"]["message"]) == (
        500,
        "The server is not configured for this request.",
    )
    assert "AWS" not in response.text


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("torn", [True, False])
async def test_a_truncated_response_never_looks_complete(
    emulator: Emulator, client: Client, protocol: Any, torn: bool
) -> None:
    emulator.script(text("Hello"), cut(torn=torn))
    async with browser_for(client, protocol) as browser:
        response = await browser.get("/chat")
    assert response.status_code == 200
    events = parts(response.text)
    assert text_of(protocol, [part for part in events if part == "[DONE]" or "error" not in part]) == "Hello"
    assert "The response was interrupted." in response.text
    match protocol:
        case "events":
            assert [events[-1]["type"], events[-1]["error"]["type"]] == ["error", "StreamInterrupted"]
        case "openai":
            assert set(events[-1]) == {"error"}
            assert 'finish_reason":"' not in response.text
        case _:
            assert events[-2:] == [{"type": "error", "errorText": "The response was interrupted."}, "[DONE]"]
            assert "finish" not in response.text


async def test_an_exception_in_the_app_closes_the_stream(emulator: Emulator, client: Client) -> None:
    class Broken(PlainEvents):
        def event(self, event: StreamItem) -> bytes:
            raise LookupError("a bug")

    raised: list[Exception] = []

    class Outermost:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await self.app(scope, receive, send)
            except LookupError as error:
                raised.append(error)

    emulator.script(text("Hello"), stall())
    app = Outermost(starlette_app(lambda request: EventResponse(client.stream(MODEL, "Hi"), Broken())))
    async with serving(app) as url, httpx.AsyncClient() as browser:
        assert (await browser.get(f"{url}/chat")).status_code == 500
        await soon(emulator.wait_for_streams(0, timeout=None))
    assert [str(error) for error in raised] == ["a bug"]


async def test_an_error_outside_a_stream_becomes_a_response(emulator: Emulator, client: Client) -> None:
    async def endpoint(request: Request) -> Response:
        return Response((await client.generate(MODEL, "Hi")).text)

    app = Starlette(
        routes=[Route("/chat", endpoint)],
        exception_handlers={BedrockStreamError: error_response},
    )
    emulator.script(THROTTLED)
    async with serving(app) as url, httpx.AsyncClient() as browser:
        response = await browser.get(f"{url}/chat")
    assert (response.status_code, response.json()["error"]["type"]) == (429, "Throttled")
    assert len(response.headers["x-amzn-requestid"]) == 36


# ----------------------------------------------------------------------------------------------------------- heartbeats


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_comments_are_sent_during_silence(emulator: Emulator, client: Client, protocol: Any) -> None:
    emulator.script(text("Hello"), delay(0.3), text(" again", joined=True))
    async with browser_for(client, protocol, heartbeat=0.05) as browser:
        response = await browser.get("/chat")
    assert response.text.count(": still here\n\n") >= 2
    assert text_of(protocol, parts(response.text)) == "Hello again"


async def test_heartbeats_can_be_disabled(emulator: Emulator, client: Client) -> None:
    emulator.script(text("Hello"), delay(0.1), text(" again", joined=True))
    async with browser_for(client, heartbeat=None) as browser:
        assert "\n: " not in (await browser.get("/chat")).text


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_status_is_sent_with_heartbeats_after_status_within(
    emulator: Emulator, short_timeout_client: Client, protocol: Any
) -> None:
    emulator.script(hang_before_headers())
    async with browser_for(short_timeout_client, protocol, heartbeat=0.05, status_within=0.05) as browser:
        response = await browser.get("/chat")
    assert response.status_code == 200
    assert response.text.startswith(": still here\n\n")
    assert "The model did not respond in time." in response.text
    assert "finish" not in response.text


# ---------------------------------------------------------------------------------------------------------- disconnects


class BackPressure:
    """ASGI middleware that measures how long a `send` has been blocked by back-pressure."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.blocked_since: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def timed(message: Message) -> None:
            self.blocked_since = asyncio.get_running_loop().time()
            await send(message)
            self.blocked_since = None

        await self.app(scope, receive, timed)

    async def wait_until_blocked(self) -> None:
        loop = asyncio.get_running_loop()
        while self.blocked_since is None or loop.time() - self.blocked_since < 0.1:
            await asyncio.sleep(0.01)


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection that sends a request and reads only on demand, with small buffers."""
    host, _, port = url.removeprefix("http://").partition(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    writer.write(b"GET /chat HTTP/1.1\r\nhost: localhost\r\n\r\n")
    return reader, writer


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("stage", ["before headers", "before content", "mid-stream", "backpressure"])
async def test_a_disconnect_closes_the_stream(
    emulator: Emulator,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    app: Callable[[Handler], ASGIApp],
    protocol: Any,
    stage: str,
) -> None:
    scripts: dict[str, list[Any]] = {
        "before headers": [hang_before_headers()],
        "before content": [start(), stall()],
        "mid-stream": [text("Hello"), stall()],
        "backpressure": [text(["x" * 10_000] * 3000)],
    }
    emulator.script(*scripts[stage])
    pressure = BackPressure(app(lambda request: event_response(client.stream(MODEL, "Hi"), protocol)))
    async with serving(pressure) as url:
        reader, writer = await connect(url)
        await emulator.wait_for_streams(1)
        if stage == "mid-stream":
            assert b"Hello" in await reader.readuntil(b"Hello")
        elif stage == "backpressure":
            await asyncio.wait_for(pressure.wait_until_blocked(), 10)
        await leave(writer)
        await soon(emulator.wait_for_streams(0, timeout=None))
    assert [record.message for record in caplog.records if record.levelname not in ("DEBUG", "INFO")] == []


async def test_an_os_error_from_send_is_a_disconnect(emulator: Emulator, client: Client) -> None:
    """ASGI allows it since 2.4. Called as ASGI, since uvicorn does not raise it."""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    emulator.script(text("Hello"), stall())
    response = event_response(client.stream(MODEL, "Hi"))
    await response({"type": "http", "method": "GET"}, receive, send)
    await soon(emulator.wait_for_streams(0, timeout=None))


async def test_a_disconnect_cancels_a_running_tool(emulator: Emulator, client: Client) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    emulator.script(tool_call("slow"))
    app = starlette_app(lambda request: event_response(client.run_tools(MODEL, "Go", tools=[slow])))
    async with serving(app) as url:
        _, writer = await connect(url)
        await asyncio.wait_for(began.wait(), 5)
        await leave(writer)
        await soon(ended.wait())
        await emulator.wait_for_streams(0)


async def event_lines(stream: Stream) -> AsyncIterator[str]:
    async with stream:
        async for chunk in stream.text_stream:
            yield f"data: {chunk}\n\n"


@pytest.mark.parametrize("kind", [StreamingResponse, EventSourceResponse])
async def test_other_streaming_responses_also_close_the_stream(
    emulator: Emulator, client: Client, kind: Callable[[AsyncIterator[str]], Response]
) -> None:
    emulator.script(text("Hello"), stall())
    async with serving(starlette_app(lambda request: kind(event_lines(client.stream(MODEL, "Hi"))))) as url:
        reader, writer = await connect(url)
        await reader.readuntil(b"Hello")
        assert emulator.open_streams == 1
        await leave(writer)
        await soon(emulator.wait_for_streams(0, timeout=None))


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
async def test_of_200_clients_half_disconnect_and_nothing_is_left_open(make: Callable[[Handler], ASGIApp]) -> None:
    rng = random.Random(7)  # noqa: S311 - must be repeatable
    before = asyncio.all_tasks()
    async with (
        Emulator(pace=0.005) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS) as client,
    ):
        app = make(lambda request: event_response(client.stream(MODEL, "Hi"), rng.choice(PROTOCOLS), heartbeat=0.05))

        async def visit(complete: bool) -> bool:
            reader, writer = await connect(url)
            try:
                if complete:
                    return await read_to_end(reader)
                for _ in range(rng.randrange(40)):
                    await reader.readline()
                return False
            finally:
                await leave(writer)

        async with serving(app) as url:
            completed = await asyncio.gather(*(visit(number % 2 == 0) for number in range(200)))
            await emulator.wait_for_streams(0)
        assert completed == [number % 2 == 0 for number in range(200)]
        assert len(emulator.requests) >= 100
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def read_to_end(reader: asyncio.StreamReader) -> bool:
    """Read the body; return True if it is complete."""
    body = b""
    while not body.endswith(b"\r\n0\r\n\r\n"):
        chunk = await reader.read(65536)
        if not chunk:
            return False
        body += chunk
    return b"[DONE]" in body or b'"done"' in body


# ------------------------------------------------------------------------------------------------------------- lifespan


async def test_an_app_owns_one_client(emulator: Emulator) -> None:
    options: dict[str, Any] = {"region": REGION, "endpoint_url": emulator.url, "credentials": KEYS}
    app = FastAPI(lifespan=bedrock_lifespan(**options))
    client_ids: set[int] = set()

    @app.get("/chat", response_model=None)
    async def endpoint(client: Client = Depends(get_client)) -> Response:  # noqa: B008 - FastAPI's convention
        client_ids.add(id(client))
        return event_response(client.stream(MODEL, "Hi"))

    async with serving(app) as url, httpx.AsyncClient() as browser:
        for _ in range(2):
            assert parts((await browser.get(f"{url}/chat")).text)[-1] == {"type": "done"}
        app_client: Client = app.state.bedrock
    assert client_ids == {id(app_client)}
    with pytest.raises(BedrockStreamError, match="closed"):
        await app_client.generate(MODEL, "Hi")


async def test_an_app_without_the_lifespan_is_an_error() -> None:
    request = Request({"type": "http", "app": Starlette(), "headers": []})
    with pytest.raises(ConfigurationError, match="bedrock_lifespan"):
        get_client(request)


# ----------------------------------------------------------------------------------------------- stopped by the program


@pytest.mark.parametrize("in_the_middle", [False, True])
async def test_a_stream_that_the_program_closes_is_aborted(
    emulator: Emulator, client: Client, in_the_middle: bool
) -> None:
    emulator.script(*([text(["One "])] if in_the_middle else []), stall())
    stream = client.stream(MODEL, "Hi")
    app = starlette_app(lambda request: event_response(stream, "ui-message"))
    async with serving(app) as url, httpx.AsyncClient() as browser, asyncio.TaskGroup() as group:
        asked = group.create_task(browser.get(f"{url}/chat"))
        await emulator.wait_for_requests(1)
        while in_the_middle and not stream.delivered:
            await asyncio.sleep(0.001)
        await stream.aclose()
        response = await asked
    assert response.status_code == 200
    types = [part if isinstance(part, str) else part["type"] for part in parts(response.text)]
    assert types[-2:] == ["abort", "[DONE]"]
    assert ("text-delta" in types) == in_the_middle


@pytest.mark.parametrize("protocol", ["events", "openai"])
async def test_other_protocols_report_an_error_then(emulator: Emulator, client: Client, protocol: Protocol) -> None:
    emulator.script(stall())
    stream = client.stream(MODEL, "Hi")
    app = starlette_app(lambda request: event_response(stream, protocol))
    async with serving(app) as url, httpx.AsyncClient() as browser, asyncio.TaskGroup() as group:
        asked = group.create_task(browser.get(f"{url}/chat"))
        await emulator.wait_for_requests(1)
        await stream.aclose()
        assert (await asked).status_code == 502


async def test_a_client_that_is_closed_before_the_answer_is_an_unavailable_server(emulator: Emulator) -> None:
    emulator.script(hang_before_headers())
    client = Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=ONCE)
    app = starlette_app(lambda request: event_response(client.stream(MODEL, "Hi"), "ui-message"))
    async with serving(app) as url, httpx.AsyncClient() as browser, asyncio.TaskGroup() as group:
        asked = group.create_task(browser.get(f"{url}/chat"))
        await emulator.wait_for_requests(1)
        await client.aclose()
        assert (await asked).status_code == 503


# -------------------------------------------------------------------------------------------------------------- message


CALL = ToolCall("a1", "f", {})
TOOLS = [Tool(name="f", description="", input_schema={"type": "object"})]


@pytest.mark.parametrize(
    ("prompt", "options", "expected"),
    [
        ("Hi", {}, r"msg-[0-9a-f]{32}"),
        ("Hi", {"message_id": "m1"}, "m1"),
        ([Turn.user("Hi"), Turn.assistant(CALL), Turn.user(ToolResult("a1", "x"))], {}, None),
        ([Turn.user("Hi"), Turn.assistant("Well")], {}, None),
    ],
)
async def test_a_new_message_gets_an_id_and_a_continued_one_keeps_its_own(
    client: Client, prompt: Any, options: dict[str, Any], expected: str | None
) -> None:
    def respond(request: Request) -> Response:
        return event_response(client.stream(CLAUDE, prompt, tools=TOOLS), "ui-message", **options)

    async with serving(starlette_app(respond)) as url, httpx.AsyncClient() as browser:
        start = parts((await browser.get(f"{url}/chat")).text)[0]
    assert start["type"] == "start"
    assert (expected is None) == ("messageId" not in start)
    assert expected is None or re.fullmatch(expected, start["messageId"])


@pytest.mark.parametrize(("include_usage", "has_usage"), [(None, True), (True, True), (False, False)])
async def test_the_usage_is_in_the_metadata_of_the_message(
    client: Client, include_usage: bool | None, has_usage: bool
) -> None:
    async with browser_for(client, "ui-message", include_usage=include_usage) as browser:
        finish = parts((await browser.get("/chat")).text)[-2]
    assert finish["type"] == "finish"
    usage = finish.get("messageMetadata", {}).get("usage", {})
    assert bool(usage) == has_usage
    assert not has_usage or usage["inputTokens"] + usage["outputTokens"] == usage["totalTokens"]


async def test_what_is_wrong_with_the_body_of_a_page_is_a_400(client: Client) -> None:
    app = FastAPI()
    app.add_exception_handler(BedrockStreamError, error_response)

    @app.post("/chat", response_model=None)
    async def chat(request: Request) -> Response:
        messages, options = messages_from_ui(await request.body())
        return event_response(client.stream(MODEL, messages, **options), "ui-message")

    async with serving(app) as url, httpx.AsyncClient(base_url=url) as browser:
        body = {"messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}]}
        assert (await browser.post("/chat", json=body)).status_code == 200
        body["messages"][0]["parts"] = [{"type": "file", "mediaType": "image/png", "url": "http://169.254.169.254/"}]
        response = await browser.post("/chat", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("messages[0].parts[0].url: expected a data: URL")
