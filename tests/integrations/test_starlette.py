"""An answer on its way to a browser: a whole application behind a real server, asking an emulator over real sockets."""

from __future__ import annotations

import asyncio
import random
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

from bedrock_stream import Client, MessageStart, RetryPolicy, Stream, Timeouts, Tool
from bedrock_stream.errors import BedrockStreamError, ConfigurationError
from bedrock_stream.integrations.protocols import Said
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
from tests.support.web_app import parts, serving

ONCE = RetryPolicy(max_attempts=1)
MODEL = "amazon.nova-lite-v1:0"
PROTOCOLS: tuple[Protocol, ...] = ("events", "openai", "ui-message")
SOON = 0.25  # seconds in which Bedrock must see the stream close

Answer = Callable[[Request], Response]


def starlette_app(answer: Answer, *middleware: Middleware) -> ASGIApp:
    async def endpoint(request: Request) -> Response:
        return answer(request)

    return Starlette(routes=[Route("/answer", endpoint)], middleware=list(middleware))


def fastapi_app(answer: Answer, *middleware: Middleware) -> ASGIApp:
    app = FastAPI(middleware=list(middleware))

    @app.get("/answer", response_model=None)
    async def endpoint(request: Request) -> Response:
        return answer(request)

    return app


async def pass_on(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    return await call_next(request)


WRAPPED = Middleware(BaseHTTPMiddleware, dispatch=pass_on)
APPS = [
    pytest.param(lambda answer: starlette_app(answer), id="starlette"),
    pytest.param(lambda answer: fastapi_app(answer), id="fastapi"),
    pytest.param(lambda answer: starlette_app(answer, WRAPPED), id="starlette-wrapped"),
    pytest.param(lambda answer: fastapi_app(answer, WRAPPED), id="fastapi-wrapped"),
]


@asynccontextmanager
async def asking(client: Client, protocol: Any = "events", **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at an app with one answer."""
    app = starlette_app(lambda request: event_response(client.stream(MODEL, "Hi"), protocol, **options))
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as browser:
        yield browser


# ------------------------------------------------------------------------------------------------------------ an answer


def text_of(protocol: str, said: list[Any]) -> str:
    match protocol:
        case "events":
            return "".join(part["text"] for part in said if part["type"] == "text_delta")
        case "openai":
            choices = [part["choices"][0] for part in said if part != "[DONE]"]
            return "".join(choice["delta"].get("content") or "" for choice in choices)
    return "".join(part["delta"] for part in said if part != "[DONE]" and part["type"] == "text-delta")


LAST = {"events": {"type": "done"}, "openai": "[DONE]", "ui-message": "[DONE]"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("app", APPS)
async def test_an_answer_arrives_whole_and_marked_as_such(
    emulator: Emulator, client: Client, app: Callable[[Answer], ASGIApp], protocol: Any
) -> None:
    emulator.script(text(["Hello", " wide", " world\n\n:"]))
    answer = app(lambda request: event_response(client.stream(MODEL, "Hi"), protocol, headers={"x-mine": "1"}))
    async with serving(answer) as url, httpx.AsyncClient() as browser:
        answered = await browser.get(f"{url}/answer")
    assert answered.status_code == 200
    assert answered.headers["content-type"].startswith("text/event-stream")
    assert answered.headers["cache-control"] == "no-store"
    assert answered.headers["x-mine"] == "1"
    assert len(answered.headers["x-amzn-requestid"]) == 36
    assert answered.headers.get("x-vercel-ai-ui-message-stream") == ("v1" if protocol == "ui-message" else None)
    said = parts(answered.text)
    assert text_of(protocol, said) == "Hello wide world\n\n:"
    assert said[-1] == LAST[protocol]
    await emulator.wait_for_streams(0)


async def test_a_stream_that_is_open_already_is_taken_as_it_is(emulator: Emulator, client: Client) -> None:
    async def endpoint(request: Request) -> Response:
        stream = await client.stream(MODEL, "Hi").open()
        assert isinstance(await anext(stream), MessageStart)
        return event_response(stream)

    app = Starlette(routes=[Route("/answer", endpoint)])
    async with serving(app) as url, httpx.AsyncClient() as browser:
        said = parts((await browser.get(f"{url}/answer")).text)
    assert [said[0]["type"], said[-1]["type"]] == ["text_delta", "done"]


@pytest.mark.parametrize("protocol", ["events", "ui-message"])
async def test_a_run_of_tools_arrives_with_its_results(emulator: Emulator, client: Client, protocol: Any) -> None:
    emulator.script(tool_call("add", {"a": 1, "b": 2}))
    emulator.script(text("Three."))

    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    app = starlette_app(lambda request: event_response(client.run_tools(MODEL, "1 and 2?", tools=[add]), protocol))
    async with serving(app) as url, httpx.AsyncClient() as browser:
        said = parts((await browser.get(f"{url}/answer")).text)
    types = [part if isinstance(part, str) else part["type"] for part in said]
    if protocol == "events":
        assert types.index("tool_call_end") < types.index("tool_result") < types.index("text_delta")
        assert types.count("message_start") == 2
    else:
        assert [part for part in said if part != "[DONE]" and part["type"] == "tool-output-available"] == [
            {"type": "tool-output-available", "toolCallId": said[2]["toolCallId"], "output": "3"}
        ]
        assert types.count("start") == 1
        assert types.count("start-step") == types.count("finish-step") == 2


async def test_head_asks_no_model(emulator: Emulator, client: Client) -> None:
    async with asking(client) as browser:
        answered = await browser.head("/answer")
    assert (answered.status_code, answered.text) == (200, "")
    assert emulator.requests == []


async def test_a_background_task_runs_after_the_answer(emulator: Emulator, client: Client) -> None:
    done = asyncio.Event()

    async def note() -> None:
        assert emulator.open_streams == 0
        done.set()

    async with asking(client, background=BackgroundTask(note)) as browser:
        await browser.get("/answer")
        await asyncio.wait_for(done.wait(), 5)


@pytest.mark.parametrize(
    ("given", "named"),
    [({"protocol": "xml"}, "protocol"), ({"heartbeat": 0}, "heartbeat"), ({"status_within": -1}, "status_within")],
)
async def test_what_makes_no_sense_is_refused_at_the_call(client: Client, given: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        event_response(client.stream(MODEL, "Hi"), **given)


async def test_openai_has_no_words_for_a_run_of_tools(client: Client) -> None:
    run = client.run_tools(MODEL, "Hi", tools=[Tool(name="t", function=print)])
    with pytest.raises(ConfigurationError, match="one answer"):
        event_response(run, "openai")


# --------------------------------------------------------------------------------------------------------------- errors

THROTTLED = http_error(429, "ThrottlingException", "Too many tokens", {"retry-after": "3"})
OVERLONG = http_error(400, "ValidationException", "Input is too long for requested model.")
DENIED = http_error(403, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/me is not authorized")
FAILURES = [
    pytest.param([THROTTLED], 429, "Throttled", "Too many tokens", id="throttled"),
    pytest.param([OVERLONG], 400, "ContextWindowExceeded", "Input is too long for requested model.", id="overlong"),
    pytest.param([DENIED], 403, "AccessDenied", "The server may not use this model.", id="denied"),
    pytest.param([http_error(503, None, "down")], 503, "ServiceUnavailable", "down", id="unavailable"),
    pytest.param(
        [start(), stream_error("throttlingException", "Slow down")], 429, "Throttled", "Slow down", id="inside"
    ),
    pytest.param([start(), cut()], 502, "StreamInterrupted", "The answer broke off.", id="cut"),
    pytest.param([hang_before_headers()], 504, "FirstEventTimeout", "The model did not answer in time.", id="late"),
]


@pytest.fixture
async def hurried(emulator: Emulator) -> AsyncIterator[Client]:
    """A client that soon loses patience, and tries once."""
    limits = Timeouts(first_event=0.2)
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, timeouts=limits, retry=ONCE) as made:
        yield made


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("script", "status", "kind", "message"), FAILURES)
async def test_what_fails_before_the_first_event_is_an_http_error(
    emulator: Emulator, hurried: Client, protocol: Any, script: list[Any], status: int, kind: str, message: str
) -> None:
    emulator.script(*script)
    async with asking(hurried, protocol) as browser:
        answered = await browser.get("/answer")
    assert answered.status_code == status
    assert answered.headers["content-type"] == "application/json"
    error = answered.json()["error"]
    assert error["message"] == message
    assert set(error) == ({"message", "type", "code", "param"} if protocol == "openai" else set(error))
    if protocol != "openai":
        assert error["type"] == kind
    if kind != "FirstEventTimeout":
        assert len(answered.headers["x-amzn-requestid"]) == 36
    await emulator.wait_for_streams(0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_nothing_of_the_server_is_told_where_it_cannot_reach_the_model(protocol: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with (
        Client(region=REGION, endpoint_url=f"http://127.0.0.1:{port}", credentials=KEYS, retry=ONCE) as client,
        asking(client, protocol) as browser,
    ):
        answered = await browser.get("/answer")
    assert answered.status_code == 502
    assert answered.json()["error"]["message"] == "The model could not be reached."
    assert str(port) not in answered.text


async def test_nothing_of_the_server_is_told_where_it_has_no_keys(emulator: Emulator) -> None:
    async with Client(region=REGION, endpoint_url=emulator.url) as client, asking(client) as browser:
        answered = await browser.get("/answer")
    assert (answered.status_code, answered.json()["error"]["message"]) == (
        500,
        "The server is not set up for this request.",
    )
    assert "AWS" not in answered.text


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("torn", [True, False])
async def test_a_cut_answer_never_looks_finished(emulator: Emulator, client: Client, protocol: Any, torn: bool) -> None:
    emulator.script(text("Hello"), cut(torn=torn))
    async with asking(client, protocol) as browser:
        answered = await browser.get("/answer")
    assert answered.status_code == 200
    said = parts(answered.text)
    assert text_of(protocol, [part for part in said if part == "[DONE]" or "error" not in part]) == "Hello"
    assert "The answer broke off." in answered.text
    match protocol:
        case "events":
            assert [said[-1]["type"], said[-1]["error"]["type"]] == ["error", "StreamInterrupted"]
        case "openai":
            assert set(said[-1]) == {"error"}
            assert 'finish_reason":"' not in answered.text
        case _:
            assert said[-2:] == [{"type": "error", "errorText": "The answer broke off."}, "[DONE]"]
            assert "finish" not in answered.text


async def test_what_the_app_itself_gets_wrong_closes_the_stream(emulator: Emulator, client: Client) -> None:
    class Broken(PlainEvents):
        def event(self, event: Said) -> bytes:
            raise LookupError("a mistake")

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
        assert (await browser.get(f"{url}/answer")).status_code == 500
        await emulator.wait_for_streams(0, timeout=SOON)
    assert [str(error) for error in raised] == ["a mistake"]


async def test_an_error_outside_a_stream_becomes_a_response(emulator: Emulator, client: Client) -> None:
    async def endpoint(request: Request) -> Response:
        return Response((await client.generate(MODEL, "Hi")).text)

    app = Starlette(
        routes=[Route("/answer", endpoint)],
        exception_handlers={BedrockStreamError: error_response},
    )
    emulator.script(THROTTLED)
    async with serving(app) as url, httpx.AsyncClient() as browser:
        answered = await browser.get(f"{url}/answer")
    assert (answered.status_code, answered.json()["error"]["type"]) == (429, "Throttled")
    assert len(answered.headers["x-amzn-requestid"]) == 36


# ----------------------------------------------------------------------------------------------------------- heartbeats


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_silence_is_filled_with_comments(emulator: Emulator, client: Client, protocol: Any) -> None:
    emulator.script(text("Hello"), delay(0.3), text(" again", joined=True))
    async with asking(client, protocol, heartbeat=0.05) as browser:
        answered = await browser.get("/answer")
    assert answered.text.count(": still here\n\n") >= 2
    assert text_of(protocol, parts(answered.text)) == "Hello again"


async def test_no_heartbeats_where_none_are_wanted(emulator: Emulator, client: Client) -> None:
    emulator.script(text("Hello"), delay(0.1), text(" again", joined=True))
    async with asking(client, heartbeat=None) as browser:
        assert "\n: " not in (await browser.get("/answer")).text


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_status_that_may_wait_no_longer_is_sent_with_heartbeats(
    emulator: Emulator, hurried: Client, protocol: Any
) -> None:
    emulator.script(hang_before_headers())
    async with asking(hurried, protocol, heartbeat=0.05, status_within=0.05) as browser:
        answered = await browser.get("/answer")
    assert answered.status_code == 200
    assert answered.text.startswith(": still here\n\n")
    assert "The model did not answer in time." in answered.text
    assert "finish" not in answered.text


# ------------------------------------------------------------------------------------------------------------- leaving


class Pressure:
    """ASGI middleware that knows whether the network holds a piece back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.since: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def timed(message: Message) -> None:
            self.since = asyncio.get_running_loop().time()
            await send(message)
            self.since = None

        await self.app(scope, receive, timed)

    async def felt(self) -> None:
        loop = asyncio.get_running_loop()
        while self.since is None or loop.time() - self.since < 0.1:
            await asyncio.sleep(0.01)


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A browser that reads only what it is told to."""
    host, _, port = url.removeprefix("http://").partition(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    writer.write(b"GET /answer HTTP/1.1\r\nhost: localhost\r\n\r\n")
    return reader, writer


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("stage", ["before headers", "before content", "mid-stream", "backpressure"])
async def test_whoever_leaves_takes_the_stream_along(
    emulator: Emulator,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    app: Callable[[Answer], ASGIApp],
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
    pressure = Pressure(app(lambda request: event_response(client.stream(MODEL, "Hi"), protocol)))
    async with serving(pressure) as url:
        reader, writer = await connect(url)
        await emulator.wait_for_streams(1)
        if stage == "mid-stream":
            assert b"Hello" in await reader.readuntil(b"Hello")
        elif stage == "backpressure":
            await asyncio.wait_for(pressure.felt(), 10)
        await leave(writer)
        await emulator.wait_for_streams(0, timeout=SOON)
    assert [record.message for record in caplog.records if record.levelname not in ("DEBUG", "INFO")] == []


async def test_a_server_may_tell_of_leaving_by_an_error_from_send(emulator: Emulator, client: Client) -> None:
    """As ASGI allows since 2.4. Asked by ASGI, since uvicorn does not."""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    emulator.script(text("Hello"), stall())
    response = event_response(client.stream(MODEL, "Hi"))
    await response({"type": "http", "method": "GET"}, receive, send)
    await emulator.wait_for_streams(0, timeout=SOON)


async def test_a_tool_that_runs_is_left_with_its_browser(emulator: Emulator, client: Client) -> None:
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
        await asyncio.wait_for(ended.wait(), SOON)
        await emulator.wait_for_streams(0)


async def told(stream: Stream) -> AsyncIterator[str]:
    async with stream:
        async for piece in stream.text_stream:
            yield f"data: {piece}\n\n"


@pytest.mark.parametrize("kind", [StreamingResponse, EventSourceResponse])
async def test_a_response_of_ones_own_making_frees_its_stream_too(
    emulator: Emulator, client: Client, kind: Callable[[AsyncIterator[str]], Response]
) -> None:
    emulator.script(text("Hello"), stall())
    async with serving(starlette_app(lambda request: kind(told(client.stream(MODEL, "Hi"))))) as url:
        reader, writer = await connect(url)
        await reader.readuntil(b"Hello")
        assert emulator.open_streams == 1
        await leave(writer)
        await emulator.wait_for_streams(0, timeout=SOON)


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
async def test_of_200_browsers_half_leave_and_nothing_stays(make: Callable[[Answer], ASGIApp]) -> None:
    dice = random.Random(7)  # noqa: S311 - a repeatable choice
    before = asyncio.all_tasks()
    async with (
        Emulator(pace=0.005) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS) as client,
    ):
        app = make(lambda request: event_response(client.stream(MODEL, "Hi"), dice.choice(PROTOCOLS), heartbeat=0.05))

        async def visit(stay: bool) -> bool:
            reader, writer = await connect(url)
            try:
                if stay:
                    return await read_to_end(reader)
                for _ in range(dice.randrange(40)):
                    await reader.readline()
                return False
            finally:
                await leave(writer)

        async with serving(app) as url:
            whole = await asyncio.gather(*(visit(number % 2 == 0) for number in range(200)))
            await emulator.wait_for_streams(0)
        assert whole == [number % 2 == 0 for number in range(200)]
        assert len(emulator.requests) >= 100
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def read_to_end(reader: asyncio.StreamReader) -> bool:
    """Whether the body ended properly."""
    body = b""
    while not body.endswith(b"\r\n0\r\n\r\n"):
        piece = await reader.read(65536)
        if not piece:
            return False
        body += piece
    return b"[DONE]" in body or b'"done"' in body


# --------------------------------------------------------------------------------------------------------- the lifespan


async def test_an_app_owns_one_client(emulator: Emulator) -> None:
    options = {"region": REGION, "endpoint_url": emulator.url, "credentials": KEYS}
    app = FastAPI(lifespan=bedrock_lifespan(**options))
    seen: set[int] = set()

    @app.get("/answer", response_model=None)
    async def endpoint(client: Client = Depends(get_client)) -> Response:  # noqa: B008 - FastAPI's own way
        seen.add(id(client))
        return event_response(client.stream(MODEL, "Hi"))

    async with serving(app) as url, httpx.AsyncClient() as browser:
        for _ in range(2):
            assert parts((await browser.get(f"{url}/answer")).text)[-1] == {"type": "done"}
        kept: Client = app.state.bedrock
    assert seen == {id(kept)}
    with pytest.raises(BedrockStreamError, match="closed"):
        await kept.generate(MODEL, "Hi")


async def test_an_app_without_the_lifespan_says_what_is_missing() -> None:
    request = Request({"type": "http", "app": Starlette(), "headers": []})
    with pytest.raises(ConfigurationError, match="bedrock_lifespan"):
        get_client(request)
