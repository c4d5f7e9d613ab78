"""Streams on the wrong loop, clients of many threads, loops closed without cleanup, and silence after a message."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bedrock_stream import Client, Stream, TextDelta, Timeouts, errors
from bedrock_stream.testing import REGION, ThreadedEmulator
from tests.conftest import KEYS
from tests.support.clients import client_of, complete_stream, connected
from tests.support.forked import forked_child
from tests.support.socket_server import START, Connection, SocketServer, begin_and_wait, frame, text

MODEL = "amazon.nova-lite-v1:0"
STOP = frame("contentBlockStop", {"contentBlockIndex": 0}) + frame("messageStop", {"stopReason": "end_turn"})
METADATA = frame("metadata", {"usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}})

# ------------------------------------------------------------------------------------------- silence after the message


async def read_events(stream: Stream) -> str:
    return "".join([event.text async for event in stream if isinstance(event, TextDelta)])


async def read_texts(stream: Stream) -> str:
    return "".join([piece async for piece in stream.text_stream])


async def read_response(stream: Stream) -> str:
    response = await stream.response()
    assert response.usage is None
    return response.text


@pytest.mark.parametrize("read", [read_events, read_texts, read_response], ids=lambda read: read.__name__)
@pytest.mark.parametrize("rest", [b"", METADATA[:20]], ids=["nothing", "a part of the metadata"])
async def test_silence_after_the_message_ends_the_stream(read: Callable[[Stream], Awaitable[str]], rest: bytes) -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + STOP + rest)
        await connection.closed.wait()

    async with (
        asyncio.timeout(20),
        connected(answer, timeouts=Timeouts(after_end=0.05, idle=300)) as (server, client),
    ):
        stream = client.stream(MODEL, "Hi")
        if rest:
            with pytest.raises(errors.StreamInterrupted):  # nobody knows what it would have been
                await read(stream)
        else:
            assert await read(stream) == "Hello"
        await server.deserted()
        assert client.stats().open_streams == 0


async def test_usage_that_comes_in_time_is_kept() -> None:
    stopped = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + STOP)
        await stopped.wait()
        connection.chunk(METADATA)
        connection.end()

    async with connected(answer, timeouts=Timeouts(after_end=20, idle=0.2)) as (_, client):
        stream = client.stream(MODEL, "Hi")
        async for event in stream:
            if event.__class__.__name__ == "MessageStop":
                asyncio.get_running_loop().call_later(0.3, stopped.set)  # longer than the idle limit
        assert stream.partial is not None
        assert stream.partial.usage is not None
        assert stream.partial.usage.output_tokens == 5


async def test_without_the_limit_only_the_idle_limit_counts() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + STOP)
        await connection.closed.wait()

    async with connected(answer, timeouts=Timeouts(after_end=None, idle=0.05)) as (_, client):
        with pytest.raises(errors.IdleTimeout):
            await client.stream(MODEL, "Hi").response()


async def test_a_limit_of_the_stream_in_this_silence_is_not_taken_for_its_end() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + STOP)
        await connection.closed.wait()

    async with connected(answer, timeouts=Timeouts(after_end=20, total=0.5)) as (_, client):
        with pytest.raises(TimeoutError) as caught:
            await client.stream(MODEL, "Hi").response()
    assert isinstance(caught.value, errors.TotalTimeout)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello"


# ------------------------------------------------------------------------------------------------------------ two loops


def two_loops() -> tuple[asyncio.AbstractEventLoop, asyncio.AbstractEventLoop]:
    return asyncio.new_event_loop(), asyncio.new_event_loop()


async def begin(connection: Connection) -> None:
    connection.begin()
    connection.chunk(START + text("Hello"))
    await connection.closed.wait()


@pytest.mark.parametrize("events", [0, 1, 2])
def test_a_stream_is_read_on_the_loop_that_opened_it(events: int) -> None:
    home, other = two_loops()
    try:
        server = SocketServer(begin)
        home.run_until_complete(server.__aenter__())
        client = Client(region=REGION, endpoint_url=server.url, credentials=KEYS)
        stream = client.stream(MODEL, "Hi")
        home.run_until_complete(stream.open())
        for _ in range(events):
            home.run_until_complete(anext(stream))

        async def read_rest() -> None:
            async for _ in stream:
                pass

        with pytest.raises(errors.ConfigurationError, match="stream: is read on another event loop"):
            other.run_until_complete(read_rest())
        home.run_until_complete(server.deserted())
        assert client.stats().open_streams == 0
        home.run_until_complete(client.aclose())
        home.run_until_complete(server.__aexit__(None, None, None))
    finally:
        for loop in (home, other):
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


def test_many_threads_with_loops_of_their_own_share_a_client() -> None:
    failures: list[BaseException] = []
    rounds, threads = 12, 16

    def work(client: Client) -> None:
        try:
            for _ in range(rounds):
                asyncio.run(ask(client))
        except BaseException as error:
            failures.append(error)

    async def ask(client: Client) -> None:
        assert (await client.generate(MODEL, "Hi")).text

    with ThreadedEmulator() as emulator:
        client = Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS)
        workers = [threading.Thread(target=work, args=(client,)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert failures == []
    assert len(client._transports) == 0


@pytest.mark.parametrize("leave", ["finished", "open"])
def test_a_loop_that_was_closed_without_cleanup_logs_nothing(leave: str, caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    with ThreadedEmulator() as emulator, caplog.at_level(logging.DEBUG, logger="asyncio"):
        client = Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS)
        loop.run_until_complete(client.generate(MODEL, "Hi"))
        loop.close()
        if leave == "open":
            asyncio.run(client.generate(MODEL, "Hi"))  # forgets the first loop
            assert len(client._transports) == 0
        del client
        gc.collect()
    assert [record.getMessage() for record in caplog.records if "nclosed" in record.getMessage()] == []


# --------------------------------------------------------------------------------------------------------------- forks


async def test_an_idle_connection_ends_for_the_server_though_a_forked_child_has_inherited_it() -> None:
    async with SocketServer(complete_stream) as server, client_of(server.url) as client:
        await client.stream(MODEL, "Hi").response()
        with forked_child():
            await client.aclose()
            async with asyncio.timeout(20):
                await server.deserted()


async def test_a_client_that_is_closed_ends_its_streams_though_a_forked_child_has_inherited_them() -> None:
    async with SocketServer(begin_and_wait) as server, client_of(server.url) as client:
        stream: Any = client.stream(MODEL, "Hi")
        await anext(stream)
        with forked_child():
            await client.aclose()
            async with asyncio.timeout(20):
                await server.deserted()
        with pytest.raises(errors.ClientClosed):
            await stream.response()
