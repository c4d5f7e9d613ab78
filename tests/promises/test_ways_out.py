"""However a stream is left, its socket is closed within a quarter of a second and its slot is free.

Each way to leave is repeated ten times as often as the pool has slots, so that a leaked slot stops the test.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import anyio
import pytest

from bedrock_stream import Client, MessageStart, Stream, Timeouts, errors
from tests.conftest import KEYS
from tests.support.socket_server import END, START, Connection, SocketServer, begin_and_wait, silence, text
from tests.support.soon import soon

MODEL = "amazon.nova-lite-v1:0"
SLOTS = 3
ROUNDS = 10 * SLOTS


class Boom(Exception):
    pass


async def break_off(stream: Stream) -> None:
    async with stream:
        async for _ in stream:
            break


async def raise_inside(stream: Stream) -> None:
    with suppress(Boom):
        async with stream:
            async for _ in stream:
                raise Boom


async def cancel_the_reader(stream: Stream) -> None:
    task = asyncio.create_task(stream.response())
    await until_it_waits(stream)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancel_before_the_headers(stream: Stream) -> None:
    task = asyncio.create_task(stream.response())
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def time_out_by_asyncio(stream: Stream) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await stream.response()


async def time_out_by_wait_for(stream: Stream) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.response(), 0.02)


async def time_out_by_anyio(stream: Stream) -> None:
    with anyio.move_on_after(0.02):
        await stream.response()


async def cancel_a_task_group(stream: Stream) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(stream.response)
        await until_it_waits(stream)
        group.cancel_scope.cancel()


async def close_a_wrapping_generator(stream: Stream) -> None:
    async def wrap() -> AsyncGenerator[Any]:
        async with stream:
            async for event in stream:
                yield event

    async with aclosing(wrap()) as wrapped:
        await anext(wrapped)


async def close_a_generator_around_the_text(stream: Stream) -> None:
    async def wrap() -> AsyncGenerator[str]:
        async with stream:
            async for piece in stream.text_stream:
                yield piece

    async with aclosing(wrap()) as wrapped:
        await anext(wrapped)


async def leave_a_wrapping_generator_to_the_loop(stream: Stream) -> None:
    async def wrap() -> AsyncGenerator[Any]:
        async with stream:
            async for event in stream:
                yield event

    async for _ in wrap():
        break  # the generator is not closed here; the event loop closes it, since it is no longer referenced


async def break_off_its_text(stream: Stream) -> None:
    async with stream:
        async for _ in stream.text_stream:
            break


async def cancel_a_reader_of_tools(stream: Stream) -> None:
    async def wait() -> None:
        async for _ in stream.tool_stream:
            pass

    task = asyncio.create_task(wait())
    await until_it_waits(stream)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def open_here_and_read_there(stream: Stream) -> None:
    await stream.open()
    await asyncio.create_task(break_off(stream))


async def close_it(stream: Stream) -> None:
    await anext(stream)
    await stream.aclose()


async def open_and_close_it(stream: Stream) -> None:
    await stream.open()
    await stream.aclose()


async def start_here_and_close_there(stream: Stream) -> None:
    await anext(stream)
    await asyncio.create_task(stream.aclose())


async def until_it_waits(stream: Stream) -> None:
    while stream.partial is None or stream.partial.text != "Hello":
        await asyncio.sleep(0)


WAYS: list[Callable[[Stream], Awaitable[None]]] = [
    break_off,
    raise_inside,
    cancel_the_reader,
    cancel_before_the_headers,
    time_out_by_asyncio,
    time_out_by_wait_for,
    time_out_by_anyio,
    cancel_a_task_group,
    close_a_wrapping_generator,
    close_a_generator_around_the_text,
    leave_a_wrapping_generator_to_the_loop,
    break_off_its_text,
    cancel_a_reader_of_tools,
    open_here_and_read_there,
    close_it,
    open_and_close_it,
    start_here_and_close_there,
]


@pytest.fixture
async def server() -> AsyncIterator[SocketServer]:
    async with SocketServer(begin_and_wait) as running:
        yield running


@pytest.fixture
async def client(server: SocketServer) -> AsyncIterator[Client]:
    limits = Timeouts(pool=20)
    async with Client(
        region="us-east-1", endpoint_url=server.url, credentials=KEYS, max_connections=SLOTS, timeouts=limits
    ) as client:
        yield client


async def all_closed(server: SocketServer) -> None:
    await soon(server.deserted())


async def all_slots_are_free(server: SocketServer, client: Client) -> None:
    """Check that new streams can take all slots at once."""
    async with asyncio.timeout(20):
        streams = [client.stream(MODEL, "Hi") for _ in range(SLOTS)]
        for stream in streams:
            assert isinstance(await anext(stream), MessageStart)
        for stream in streams:
            await stream.aclose()
    await all_closed(server)


@pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)
async def test_every_way_to_leave_frees_socket_and_slot(
    server: SocketServer, client: Client, leave: Callable[[Stream], Awaitable[None]]
) -> None:
    for _ in range(ROUNDS):
        await leave(client.stream(MODEL, "Hi"))
        await all_closed(server)
        assert client.stats().open_streams == 0
    await all_slots_are_free(server, client)


async def break_bare(client: Client) -> None:
    async for _ in client.stream(MODEL, "Hi"):
        break


async def break_text(client: Client) -> None:
    async for _ in client.stream(MODEL, "Hi").text_stream:
        break


async def break_tools(client: Client) -> None:
    async for _ in client.stream(MODEL, "Hi").tool_stream:
        break


async def drop_a_cycle(client: Client) -> None:
    holder: dict[str, Any] = {"stream": client.stream(MODEL, "Hi")}
    holder["self"] = holder
    await anext(holder["stream"])
    del holder
    gc.collect()


async def drop_a_caught_exception(client: Client) -> None:
    stream = client.stream(MODEL, "Hi")
    try:
        async for _ in stream:
            raise Boom
    except Boom:
        pass


async def drop_an_opened_one(client: Client) -> None:
    await client.stream(MODEL, "Hi").open()


async def drop_a_view(client: Client) -> None:
    view = client.stream(MODEL, "Hi").text_stream
    await anext(view)
    del view


async def drop_by_ending_a_task(client: Client) -> None:
    await asyncio.create_task(break_bare(client))


async def close_a_generator_that_closes_nothing(client: Client) -> None:
    async def wrap() -> AsyncGenerator[Any]:
        async for event in client.stream(MODEL, "Hi"):
            yield event

    async with aclosing(wrap()) as wrapped:
        await anext(wrapped)


DROPS: list[Callable[[Client], Awaitable[None]]] = [
    break_bare,
    break_text,
    break_tools,
    drop_an_opened_one,
    drop_a_view,
    drop_by_ending_a_task,
    drop_a_cycle,
    drop_a_caught_exception,
    close_a_generator_that_closes_nothing,
]


@pytest.mark.parametrize("drop", DROPS, ids=lambda drop: drop.__name__)
async def test_a_dropped_stream_frees_its_socket_and_warns_once(
    server: SocketServer, client: Client, drop: Callable[[Client], Awaitable[None]]
) -> None:
    for _ in range(ROUNDS):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await drop(client)
        assert [warning.category for warning in caught] == [ResourceWarning]
        assert "use `async with`" in str(caught[0].message)
        await all_closed(server)
    await all_slots_are_free(server, client)


async def test_a_stream_that_was_never_read_was_never_sent_and_warns_of_nothing(
    server: SocketServer, client: Client
) -> None:
    for _ in range(ROUNDS):
        stream = client.stream(MODEL, "Hi")
        views = stream.text_stream, stream.tool_stream
        del stream, views
        async with client.stream(MODEL, "Hi"):
            pass
        await client.stream(MODEL, "Hi").aclose()
    assert server.connections == []
    assert client.stats().attempts == client.stats().open_streams == 0
    await all_slots_are_free(server, client)


async def test_a_stream_kept_by_a_caught_exception_is_closed_as_unread(server: SocketServer) -> None:
    async def fail(client: Client) -> None:
        stream = client.stream(MODEL, "Hi")
        async for _ in stream:
            raise Boom

    limits = Timeouts(pool=20, unread=0.1)
    async with Client(
        region="us-east-1", endpoint_url=server.url, credentials=KEYS, max_connections=SLOTS, timeouts=limits
    ) as client:
        kept: list[Boom] = []  # like the queue of a logger, which keeps their frames alive
        async with asyncio.timeout(20):
            for _ in range(ROUNDS):
                try:
                    await fail(client)
                except Boom as boom:
                    kept.append(boom)
            await server.deserted()
        assert client.stats().open_streams == 0
        await all_slots_are_free(server, client)
        kept.clear()


async def test_a_stream_dropped_on_another_thread_frees_its_socket(server: SocketServer, client: Client) -> None:
    kept = [client.stream(MODEL, "Hi")]
    await anext(kept[0])
    with pytest.warns(ResourceWarning, match="dropped before its end"):
        thread = threading.Thread(target=kept.clear)
        thread.start()
        thread.join()
    await all_closed(server)
    await all_slots_are_free(server, client)


async def test_streams_kept_by_finished_tasks_are_closed_as_unread(server: SocketServer) -> None:
    async def begin(stream: Stream) -> Stream:
        await anext(stream)
        return stream

    limits = Timeouts(pool=20, unread=0.1)
    async with Client(
        region="us-east-1", endpoint_url=server.url, credentials=KEYS, max_connections=SLOTS, timeouts=limits
    ) as client:
        tasks = [asyncio.create_task(begin(client.stream(MODEL, "Hi"))) for _ in range(ROUNDS)]
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)
            await server.deserted()
        for task in tasks:
            with pytest.raises(errors.UnreadTimeout):
                await task.result().response()
        await all_slots_are_free(server, client)


async def test_a_full_pool_is_pool_timeout(server: SocketServer) -> None:
    limits = Timeouts(pool=0.05)
    async with Client(
        region="us-east-1", endpoint_url=server.url, credentials=KEYS, max_connections=SLOTS, timeouts=limits
    ) as client:
        streams = [client.stream(MODEL, "Hi") for _ in range(SLOTS)]
        for stream in streams:
            await stream.open()
        with pytest.raises(errors.PoolTimeout, match=f"all {SLOTS} slots are taken by {SLOTS} open streams"):
            await client.stream(MODEL, "Hi").open()
        for stream in streams:
            await stream.aclose()
        await all_slots_are_free(server, client)


async def test_waiters_for_a_slot_are_served_in_order_and_can_be_cancelled(server: SocketServer) -> None:
    async with Client(region="us-east-1", endpoint_url=server.url, credentials=KEYS, max_connections=1) as client:
        first = await client.stream(MODEL, "Hi").open()
        waiting = [asyncio.create_task(client.stream(MODEL, str(number)).open()) for number in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await first.aclose()
        second = await waiting[1]
        assert not waiting[2].done()
        # The slot is handed to the third waiter, which is cancelled at once; it must not be lost.
        await second.aclose()
        waiting[2].cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False, True]
        async with client.stream(MODEL, "Hi") as last:
            assert isinstance(await anext(last), MessageStart)
        await all_closed(server)


async def test_generate_frees_its_socket_when_cancelled(server: SocketServer, client: Client) -> None:
    server.answer = silence
    for number in range(ROUNDS):
        task = asyncio.create_task(client.generate(MODEL, "Hi"))
        await server.arrived(number + 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await all_closed(server)


async def test_closing_the_client_ends_its_streams_with_client_closed(server: SocketServer) -> None:
    client = Client(region="us-east-1", endpoint_url=server.url, credentials=KEYS)
    idle, read = client.stream(MODEL, "Hi"), client.stream(MODEL, "Hi")
    await anext(idle)
    reading = asyncio.create_task(read.response())
    await until_it_waits(read)
    await client.aclose()
    await all_closed(server)
    with pytest.raises(errors.ClientClosed):
        await reading
    with pytest.raises(errors.ClientClosed):
        await idle.response()
    with pytest.raises(errors.ClientClosed):
        await client.stream(MODEL, "Hi").open()
    await client.aclose()


async def test_closing_the_client_during_a_request_is_client_closed(server: SocketServer) -> None:
    server.answer = silence
    client = Client(region="us-east-1", endpoint_url=server.url, credentials=KEYS)
    task = asyncio.create_task(client.stream(MODEL, "Hi").open())
    await server.arrived(1)
    await client.aclose()
    with pytest.raises(errors.ClientClosed):
        await task
    await all_closed(server)


async def test_a_finished_stream_leaves_its_connection_for_the_next(server: SocketServer) -> None:
    async def send_all(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + END)
        connection.end()

    server.answer = send_all
    async with Client(region="us-east-1", endpoint_url=server.url, credentials=KEYS) as client:
        for _ in range(5):
            assert (await client.stream(MODEL, "Hi").response()).text == "Hello"
            assert len(server.peers) == 1
    await all_closed(server)


async def test_256_streams_wait_for_their_first_event_on_one_thread() -> None:
    count = 256
    all_waiting = asyncio.Event()
    waiting = 0

    async def slow(connection: Connection) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == count:
            all_waiting.set()
        await all_waiting.wait()
        await asyncio.sleep(0.5)  # the time to the first token
        await begin_and_wait(connection)

    async with (
        SocketServer(slow) as server,
        Client(region="us-east-1", endpoint_url=server.url, credentials=KEYS) as client,
    ):
        streams = [client.stream(MODEL, "Hi") for _ in range(count)]
        threads = threading.active_count()
        tasks = [asyncio.create_task(anext(stream)) for stream in streams]
        await all_waiting.wait()
        assert threading.active_count() == threads
        assert all(isinstance(event, MessageStart) for event in await asyncio.gather(*tasks))
        assert len(server.peers) == count
        assert threading.active_count() == threads
        await asyncio.gather(*(stream.aclose() for stream in streams))
        await server.deserted()
