"""No frame of an exception holds a key, token or signature, wherever the keys come from and however a call fails."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import pytest

import bedrock_stream
from bedrock_stream import Client, Credentials, RetryPolicy, Target, Timeouts, errors
from bedrock_stream.testing import REGION
from tests.support.frames import shown_by
from tests.support.socket_server import Connection, SocketServer, silence

MODEL = "amazon.nova-lite-v1:0"
SECRETS = {
    "the API key": "bedrock-api-key-c2VjcmV0",
    "the secret key": "wJalrXUtnFEMIsecret",
    "the session token": "FwoGZXIvYXdzEToken",
    "a signature": "Signature=",
}
API_KEY, SECRET, TOKEN = list(SECRETS.values())[:3]
PAIR = Credentials("AKIDEXAMPLE", SECRET, TOKEN)
IN_CALL = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": SECRET, "session_token": TOKEN}
ONCE = RetryPolicy(max_attempts=1)


async def api_key() -> str:
    return API_KEY


PLACES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = {
    "the client's API key": ({"api_key": API_KEY}, {}, {}),
    "the client's credentials": ({"credentials": PAIR}, {}, {}),
    "the client's keys": ({"keys": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": SECRET}}, {}, {}),
    "a provider of an API key": ({"api_key": api_key}, {}, {}),
    "a provider of credentials": ({"credentials": lambda: PAIR}, {}, {}),
    "the call's API key": ({}, {"api_key": API_KEY}, {}),
    "the call's pair": ({}, IN_CALL, {}),
    "the call's provider_options": ({}, {"provider_options": IN_CALL}, {}),
    "the environment's API key": ({}, {}, {"AWS_BEARER_TOKEN_BEDROCK": API_KEY}),
    "the environment's pair": (
        {},
        {},
        {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN},
    ),
    "a failover target's API key": ({"api_key": API_KEY, "failover": [Target(api_key=API_KEY + "2")]}, {}, {}),
}
every_place = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)

Run: TypeAlias = Callable[[Client, dict[str, Any]], Awaitable[Any]]


async def stream(client: Client, options: dict[str, Any]) -> None:
    await client.stream(MODEL, "Hi", **options).response()


async def generate(client: Client, options: dict[str, Any]) -> None:
    await client.generate(MODEL, "Hi", **options)


async def run_tools(client: Client, options: dict[str, Any]) -> None:
    def look() -> str:
        return "here"

    async for _ in client.run_tools(MODEL, "Hi", tools=[look], **options):
        pass


async def invoke(client: Client, options: dict[str, Any]) -> None:
    await client.invoke(MODEL, {"a": 1}, **options)


async def count_tokens(client: Client, options: dict[str, Any]) -> None:
    await client.count_tokens("anthropic.claude-3-5-haiku-20241022-v1:0", "Hi", **options)


async def map_prompts(client: Client, options: dict[str, Any]) -> None:
    async with client.map(MODEL, ["Hi"], **options) as rows:
        async for row in rows:
            if row.error is not None:
                raise row.error


every_run = pytest.mark.parametrize(
    "run", [stream, generate, run_tools, invoke, count_tokens, map_prompts], ids=lambda run: run.__name__
)


@contextmanager
def environment(values: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


async def reset(connection: Connection) -> None:
    connection.reset()


async def garbage(connection: Connection) -> None:
    connection.write(b"HTTP/1.1 abc\r\n\r\n")


async def refuse(connection: Connection) -> None:
    body = b'{"message":"no"}'
    connection.write(
        b"HTTP/1.1 403 X\r\nContent-Length: %d\r\nx-amzn-ErrorType: AccessDeniedException\r\n\r\n" % len(body)
    )
    connection.write(body)


async def cut(connection: Connection) -> None:
    connection.begin()
    connection.close()


@asynccontextmanager
async def nobody() -> AsyncIterator[str]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but not listening
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


async def failure_of(awaitable: Awaitable[Any]) -> BaseException:
    try:
        await awaitable
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


@every_run
@every_place
@pytest.mark.parametrize("answer", [reset, garbage, refuse, cut, silence], ids=lambda answer: answer.__name__)
async def test_a_failed_call_shows_nothing(place: Any, run: Run, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client_options, options, environ = place
    limits = Timeouts(first_event=0.02)
    with environment(environ, monkeypatch):
        async with (
            SocketServer(answer) as server,
            Client(region=REGION, endpoint_url=server.url, retry=ONCE, timeouts=limits, **client_options) as client,
        ):
            error = await failure_of(run(client, {**options}))
    assert isinstance(error, errors.BedrockStreamError)
    assert shown_by(error, SECRETS) == []


@every_run
@every_place
async def test_a_refused_connection_shows_nothing(place: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    client_options, options, environ = place
    with environment(environ, monkeypatch):
        async with (
            nobody() as url,
            Client(region=REGION, endpoint_url=url, retry=ONCE, **client_options) as client,
        ):
            error = await failure_of(run(client, {**options}))
    assert isinstance(error, errors.ConnectionFailed)
    assert shown_by(error, SECRETS) == []


@every_run
@every_place
async def test_a_cancelled_call_shows_nothing(place: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    client_options, options, environ = place
    with environment(environ, monkeypatch):
        async with (
            SocketServer(silence) as server,
            Client(region=REGION, endpoint_url=server.url, retry=ONCE, **client_options) as client,
        ):
            call = asyncio.ensure_future(run(client, {**options}))
            await server.arrived(1)
            call.cancel()
            error = await failure_of(call)
    assert isinstance(error, asyncio.CancelledError)
    assert shown_by(error, SECRETS) == []


@every_run
@every_place
@pytest.mark.parametrize("bad", [{"max_token": 5}, {"region": "no such region"}], ids=["misspelt", "region"])
async def test_a_bad_option_shows_nothing(
    place: Any, run: Run, bad: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client_options, options, environ = place
    with environment(environ, monkeypatch):
        async with Client(region=REGION, endpoint_url="http://127.0.0.1:1", **client_options) as client:
            error = await failure_of(run(client, {**options, **bad}))
    assert isinstance(error, errors.ConfigurationError)
    assert shown_by(error, SECRETS) == []


@pytest.mark.parametrize("options", [{"api_key": API_KEY}, IN_CALL], ids=["API key", "pair"])
async def test_the_module_level_functions_show_nothing(options: dict[str, Any]) -> None:
    for call in (bedrock_stream.generate, lambda *a, **o: bedrock_stream.stream(*a, **o).response()):

        async def run(call: Any = call) -> None:
            await call(MODEL, "Hi", **options, max_token=5)

        error = await failure_of(run())
        assert isinstance(error, errors.ConfigurationError)
        assert shown_by(error, SECRETS) == []


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": API_KEY, "region": "no such region"},
        {"api_key": API_KEY, "max_connections": 0},
        {"api_key": API_KEY + "\nX"},
        {"api_key": API_KEY, "credentials": PAIR},
        {"keys": {"access_key_id": "AKID", "secret_access_key": SECRET}, "region": "no such region"},
        {"keys": {"secret_access_key": SECRET}},
        {"keys": {"access_key_id": "AKID", "secret_access_key": SECRET, "session": TOKEN}},
    ],
    ids=lambda options: ", ".join(options),
)
def test_a_bad_argument_of_a_client_shows_nothing(options: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        Client(**options)
    assert shown_by(caught.value, SECRETS) == []
