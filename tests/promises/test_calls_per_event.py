"""The cost of an event in function calls and in memory blocks. Counts, unlike times, are the same on every machine.

The calls counted are those of the library's own functions, and those that these functions make of functions in C. A
count is the difference between a long and a short run, divided by the number of events between them, so that start and
end cancel out.

Each table holds the current counts, which may be exceeded by a tenth. A test that fails names the new count: if the
change is worth it, enter that count, in the commit that explains it. Enter a lower count too, so that the gain is kept.
`python -m benchmarks` measures the time.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import bedrock_stream
from bedrock_stream import Client, Stream
from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.eventstream import Decoder
from benchmarks.answers import answer, reads
from tests.conftest import KEYS
from tests.support.socket_server import Connection, SocketServer

FEW, MANY = 1000, 3000
OWN = str(Path(bedrock_stream.__file__).parent)
MODELS = {"converse": "amazon.nova-lite-v1:0", "invoke": "anthropic.claude-3-haiku-20240307-v1:0"}


class Calls:
    """A profiler that counts calls."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, kind: str, _subject: Any) -> None:
        if kind in ("call", "c_call") and frame.f_code.co_filename.startswith(OWN):
            self.count += 1


@contextmanager
def counting() -> Iterator[Calls]:
    calls = Calls()
    before = sys.getprofile()
    sys.setprofile(calls)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def check(count: float, today: float) -> None:
    # Interpreters keep some blocks in free lists, but not one per event.
    assert count <= 1.1 * today + 0.05, f"{count:.2f} per event, expected about {today}"


def decode(form: str, data: bytes) -> list[Any]:
    """Decode bytes to events, in reads of 4 KiB."""
    decoder, reader = Decoder(), (Anthropic() if form == "invoke" else Converse()).reader()
    ready: deque[Any] = deque()
    for read in reads(data):
        reader.feed(decoder.feed(read), ready)
    return list(ready)


@pytest.mark.parametrize(("form", "today"), [("converse", 7.5), ("invoke", 10.5)])
def test_calls_to_decode_an_event(form: str, today: float) -> None:
    def calls(events: int) -> int:
        data = answer(form, events).whole()
        decode(form, data)  # fill the header cache
        with counting() as counter:
            decode(form, data)
        return counter.count

    check((calls(MANY) - calls(FEW)) / (MANY - FEW), today)


@pytest.mark.parametrize(("form", "today"), [("converse", 2), ("invoke", 2)])
def test_memory_blocks_held_by_an_event(form: str, today: float) -> None:
    def blocks(events: int) -> int:
        data = answer(form, events).whole()
        decode(form, data)
        gc.collect()
        before = sys.getallocatedblocks()
        events_held = decode(form, data)
        gc.collect()
        held = sys.getallocatedblocks() - before
        del events_held
        return held

    check((blocks(MANY) - blocks(FEW)) / (MANY - FEW), today)


Reading = Callable[[Stream], Any]


async def by_event(stream: Stream) -> None:
    async for _ in stream:
        pass


async def by_text(stream: Stream) -> None:
    async for _ in stream.text_stream:
        pass


@pytest.mark.parametrize(
    ("form", "read", "today"),
    [("converse", by_event, 13), ("converse", by_text, 14), ("invoke", by_event, 16)],
    ids=["converse", "converse, text alone", "native"],
)
async def test_calls_per_event_of_a_stream_that_arrives_at_once(form: str, read: Reading, today: float) -> None:
    async def calls(events: int) -> int:
        data = answer(form, events).whole()

        async def send(connection: Connection) -> None:
            connection.begin()
            connection.chunk(data)
            connection.end()

        async with (
            SocketServer(send) as server,
            client_of(server) as client,
            client.stream(MODELS[form], "Hi") as stream,
        ):
            await stream.open()
            with counting() as counter:
                await read(stream)
        return counter.count

    await calls(FEW)
    check((await calls(MANY) - await calls(FEW)) / (MANY - FEW), today)


@pytest.mark.parametrize(("form", "today"), [("converse", 36), ("invoke", 39)])
async def test_calls_per_event_when_each_arrives_alone(form: str, today: float) -> None:
    async def calls(events: int) -> int:
        frames = answer(form, events)
        wanted = asyncio.Event()

        async def send(connection: Connection) -> None:
            connection.begin()
            connection.chunk(frames.start)
            for delta in frames.deltas:
                connection.chunk(delta)
                await wanted.wait()
                wanted.clear()
            await connection.closed.wait()

        async with (
            SocketServer(send) as server,
            client_of(server) as client,
            client.stream(MODELS[form], "Hi") as stream,
        ):
            await anext(stream)  # the message start is held back until a delta follows
            await anext(stream)
            with counting() as counter:
                for _ in range(events - 1):
                    wanted.set()
                    await anext(stream)
        return counter.count

    check((await calls(300) - await calls(100)) / 200, today)


@pytest.mark.parametrize(("keep", "today"), [(False, 0), (True, 0)])
async def test_memory_blocks_left_by_an_event(keep: bool, today: float) -> None:
    async def blocks(events: int) -> int:
        data = answer("converse", events).whole()
        read = asyncio.Event()

        async def send(connection: Connection) -> None:
            connection.begin()
            connection.chunk(data)
            await read.wait()
            connection.end()

        async with (
            SocketServer(send) as server,
            client_of(server) as client,
            client.stream(MODELS["converse"], "Hi", keep=keep) as stream,
        ):
            await stream.open()
            gc.collect()
            before = sys.getallocatedblocks()
            for _ in range(events + 1):
                await anext(stream)
            gc.collect()
            held = sys.getallocatedblocks() - before
            read.set()
        return held

    await blocks(FEW)
    check((await blocks(MANY) - await blocks(FEW)) / (MANY - FEW), today)


def client_of(server: SocketServer) -> Client:
    return Client(region="us-east-1", endpoint_url=server.url, credentials=KEYS)


def own_frames(task: asyncio.Task[Any]) -> int:
    """Return how many coroutines of the package the task awaits, one inside the other."""
    count = 0
    awaited: Any = task.get_coro()
    while awaited is not None:
        code = getattr(awaited, "cr_code", None)
        count += code is not None and code.co_filename.startswith(OWN)
        awaited = getattr(awaited, "cr_await", None)
    return count


@pytest.mark.parametrize("sent", ["nothing", "the head", "an event"])
async def test_few_coroutines_wait_for_an_event(sent: str) -> None:
    frames = answer("converse", 2)

    async def send(connection: Connection) -> None:
        if sent != "nothing":
            connection.begin()
        if sent == "an event":
            connection.chunk(frames.start + frames.deltas[0])
        await connection.closed.wait()

    async with SocketServer(send) as server, client_of(server) as client:
        stream = client.stream(MODELS["converse"], "Hi")
        if sent == "the head":
            await stream.open()
        elif sent == "an event":
            await anext(stream)
            await anext(stream)

        async def read() -> None:
            await anext(stream)

        reading = asyncio.create_task(read())
        await server.arrived(1)
        for _ in range(10):
            await asyncio.sleep(0)
        count = own_frames(reading)
        reading.cancel()
        await asyncio.wait([reading])
    assert 0 < count <= 4
