"""Memory of streams: nothing for events that were read and dropped, the response for events that are kept.

`tracemalloc` counts the bytes of each allocation. The server, where one is needed, runs in another process.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bedrock_stream import Client, MessageStart, Stream, TextDelta, Timeouts, errors
from bedrock_stream.transport import connections
from tests.conftest import KEYS
from tests.support.firehose import firehose
from tests.support.socket_server import START, STREAM_HEAD, SocketServer, begin_and_wait, text

MODEL = "amazon.nova-lite-v1:0"
KB, MB = 1024, 1024 * 1024


class Memory:
    """Bytes allocated since the start of the block: still held at its end, and at the peak."""

    held = peak = 0


@contextmanager
def traced() -> Iterator[Memory]:
    memory = Memory()
    gc.collect()
    tracemalloc.start()
    try:
        yield memory
        gc.collect()
        memory.held, memory.peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


@pytest.fixture(autouse=True)
async def _no_debug_mode() -> None:
    """Leave debug mode, which stores a stack for each task and timer."""
    asyncio.get_running_loop().set_debug(False)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with (
        firehose() as url,
        Client(region="us-east-1", endpoint_url=url, credentials=KEYS) as warmed,
        asyncio.timeout(50),
    ):
        await warmed.stream(MODEL, "10 10").response()  # creates the objects that only the first call creates
        yield warmed


async def test_memory_stays_flat_over_a_stream_of_100_mb_that_is_not_kept(client: Client) -> None:
    size, count = 64 * KB, 1600
    received = 0
    with traced() as memory:
        async with client.stream(MODEL, f"{count} {size}", keep=False) as stream:
            async for event in stream:
                if type(event) is TextDelta:
                    received += len(event.text)
    assert received == count * size == 100 * MB
    assert memory.peak < 2 * MB
    assert memory.held < 100 * KB


async def test_a_response_that_is_kept_costs_its_text_and_not_an_object_per_delta(client: Client) -> None:
    few, many, size = 5_000, 50_000, 4
    held = []
    for count in (few, many):
        with traced() as memory:
            stream = client.stream(MODEL, f"{count} {size}")
            async with stream:
                async for _ in stream:
                    pass
        assert stream.delivered == count + 4
        assert stream.partial is not None
        assert len(stream.partial.text) == count * size
        held.append(memory.held)
        assert memory.peak < 3 * count * size + MB
    assert held[1] - held[0] < 1.5 * (many - few) * size


async def time_out(stream: Stream) -> None:
    with pytest.raises(errors.IdleTimeout):
        await stream.response()


async def close_under_its_reader(stream: Stream) -> None:
    reading = asyncio.create_task(stream.response())
    while not stream.partial or not stream.partial.text:
        await asyncio.sleep(0)
    await stream.aclose()
    with pytest.raises(errors.StreamInterrupted):
        await reading


async def cancel(stream: Stream) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await stream.response()


@pytest.mark.parametrize("fail", [time_out, close_under_its_reader, cancel], ids=lambda fail: fail.__name__)
async def test_a_failed_stream_is_freed(fail: Callable[[Stream], Awaitable[None]]) -> None:
    async def once(client: Client) -> weakref.ref[Stream]:
        stream = client.stream(MODEL, "Hi", timeouts=Timeouts(idle=0.02))
        await fail(stream)
        return weakref.ref(stream)

    async with (
        SocketServer(begin_and_wait) as server,
        Client(region="us-east-1", endpoint_url=server.url, credentials=KEYS) as client,
    ):
        failed = [await once(client) for _ in range(5)]
        await server.deserted()
        await asyncio.sleep(0)  # the loop holds the arguments of its last callbacks until its next visit
        gc.collect()
        assert [reference() for reference in failed] == [None] * 5


async def test_a_reader_that_does_not_read_stops_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = 0
    full = asyncio.Event()
    open_socket = connections.open_socket

    def open_small_socket(address: tuple[Any, ...]) -> socket.socket:
        """Open a socket with a small receive buffer; the kernel's default may hold many megabytes."""
        sock = open_socket(address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * KB)
        return sock

    monkeypatch.setattr(connections, "open_socket", open_small_socket)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        await reader.readuntil(b"\r\n\r\n")
        chunk = text("x" * KB)
        chunk = b"%x\r\n%s\r\n" % (len(chunk), chunk)
        writer.transport.set_write_buffer_limits(0)
        writer.write(STREAM_HEAD + b"%x\r\n%s\r\n" % (len(START), START))
        try:
            while True:
                writer.write(chunk)
                async with asyncio.timeout(0.5):  # the client does not read
                    await writer.drain()
                accepted += len(chunk)
        except TimeoutError:
            full.set()
        writer.transport.abort()

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * KB)  # accepted sockets inherit it
    server = await asyncio.start_server(pour, sock=listening)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with (
        server,
        Client(region="us-east-1", endpoint_url=url, credentials=KEYS) as client,
        client.stream(MODEL, "Hi") as stream,
    ):
        with traced() as memory:
            assert isinstance(await anext(stream), MessageStart)
            async with asyncio.timeout(20):
                await full.wait()
        assert memory.held < 500 * KB  # in the library and in aiohttp's read buffer
        assert accepted < MB  # in the kernel's buffers as well
