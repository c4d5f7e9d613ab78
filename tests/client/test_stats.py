"""The statistics of a client, and adaptive concurrency."""

from __future__ import annotations

import asyncio
from itertools import count
from time import monotonic

import pytest

from bedrock_stream import Client, Stats, Timeouts, errors
from bedrock_stream.testing import REGION, Emulator, cut, http_error, start, stream_error
from bedrock_stream.testing import text as say
from bedrock_stream.transport import hold, slots
from tests.support.clients import ONCE, client_of, complete_stream, connected
from tests.support.socket_server import END, START, Connection, begin_and_wait, text

MODEL = "amazon.nova-lite-v1:0"
THROTTLED = http_error(429, "ThrottlingException", "No.")


async def test_a_new_client_has_empty_stats() -> None:
    async with Client(max_connections=7) as client:
        assert client.stats() == Stats(
            open_streams=0,
            waiting=0,
            max_connections=7,
            attempts=0,
            retries=0,
            retries_left=100,
            bytes_received=0,
            lanes={},
        )


async def test_open_streams_and_waiting_calls_are_counted() -> None:
    async with connected(begin_and_wait, max_connections=2) as (_, client):
        streams = [client.stream(MODEL, "Hi") for _ in range(3)]
        for stream in streams[:2]:
            await anext(stream)
        third = asyncio.create_task(anext(streams[2]))
        while not client.stats().waiting:
            await asyncio.sleep(0)
        assert (client.stats().open_streams, client.stats().waiting) == (2, 1)
        assert client.stats().bytes_received > 0, "the bytes of open streams are counted"
        await streams[0].aclose()
        await third
        assert (client.stats().open_streams, client.stats().waiting, client.stats().attempts) == (2, 0, 3)
        for stream in streams:
            await stream.aclose()
        assert client.stats().open_streams == 0


async def test_the_bytes_of_all_bodies_are_counted() -> None:
    body = START + text("Hello") + END
    async with connected(complete_stream) as (_, client):
        for _ in range(3):
            await client.stream(MODEL, "Hi").response()
        assert client.stats().bytes_received == 3 * len(body)


async def test_attempts_and_retries_are_counted(emulator: Emulator) -> None:
    async with client_of(emulator.url) as client:
        emulator.script(THROTTLED)
        emulator.script(start(), stream_error("throttlingException", "No."))
        await client.stream(MODEL, "Hi").response()
        await client.generate(MODEL, "Hi")
        stats = client.stats()
    assert (stats.attempts, stats.retries, stats.retries_left) == (4, 2, 99)


# ------------------------------------------------------------------------------------------------- adaptive concurrency


async def test_there_are_no_lanes_by_default(emulator: Emulator) -> None:
    async with client_of(emulator.url) as client:
        await client.generate(MODEL, "Hi")
        assert client.stats().lanes == {}


async def test_throttling_lowers_the_limit_once_a_round_and_success_raises_it(emulator: Emulator) -> None:
    lane = (REGION, MODEL)
    async with client_of(emulator.url, retry=ONCE, adaptive_concurrency=True, max_connections=9) as client:
        await client.generate(MODEL, "Hi")
        assert client.stats().lanes == {lane: 9}

        async def throttled() -> None:
            with pytest.raises(errors.Throttled):
                await client.generate(MODEL, "Hi")

        for _ in range(9):
            emulator.script(THROTTLED)
        await asyncio.gather(*(throttled() for _ in range(9)))
        assert client.stats().lanes == {lane: 6}, "nine at once lower the limit once"
        emulator.script(THROTTLED)
        await throttled()
        assert client.stats().lanes == {lane: 4}
        for _ in range(4):
            await client.stream(MODEL, "Hi").response()
        assert client.stats().lanes == {lane: 5}
        emulator.script(start(), stream_error("throttlingException", "No."))
        with pytest.raises(errors.Throttled):
            await client.stream(MODEL, "Hi").response()
        assert client.stats().lanes == {lane: 3}, "a frame counts as much as a status"
        assert client.stats().open_streams == 0


async def test_throttling_in_the_middle_of_a_stream_lowers_the_limit(emulator: Emulator) -> None:
    async with client_of(emulator.url, adaptive_concurrency=True, max_connections=9) as client:
        for fault, kind in (
            (stream_error("throttlingException", "No."), errors.Throttled),
            (cut(), errors.StreamInterrupted),
        ):
            emulator.script(say("Hello"), fault)
            with pytest.raises(kind):
                await client.stream(MODEL, "Hi").response()
            assert client.stats().lanes == {(REGION, MODEL): 6}
        assert emulator.request_count == 2


async def test_only_throttling_lowers_the_limit(emulator: Emulator) -> None:
    async with client_of(emulator.url, adaptive_concurrency=True, max_connections=9) as client:
        emulator.script(http_error(503, "ServiceUnavailableException", "Down."))
        emulator.script(http_error(429, "ModelNotReadyException", "Soon."))
        await client.generate(MODEL, "Hi")
        assert client.stats().lanes == {(REGION, MODEL): 9}


async def test_a_lane_limits_open_streams_and_admits_calls_in_order() -> None:
    refusal = b"HTTP/1.1 429 Slow\r\nx-amzn-ErrorType: ThrottlingException\r\ncontent-length: 2\r\n\r\n{}"
    proceed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        if len(server.connections) <= 2:
            connection.write(refusal)
            return
        connection.begin()
        connection.chunk(START + text("Hello"))
        await proceed.wait()
        connection.chunk(END)
        connection.end()

    options = {"retry": ONCE, "adaptive_concurrency": True, "max_connections": 3}
    async with connected(answer, **options) as (server, client):
        for _ in range(2):
            with pytest.raises(errors.Throttled):
                await client.generate(MODEL, "Hi")
        assert client.stats().lanes == {(REGION, MODEL): 1}
        done: list[int] = []

        async def call(number: int) -> None:
            await client.stream(MODEL, "Hi").response()
            done.append(number)

        calls = [asyncio.create_task(call(number)) for number in range(3)]
        await server.arrived(3)
        assert client.stats().open_streams == 1
        cancelled = calls.pop(1)
        cancelled.cancel()
        proceed.set()
        await asyncio.gather(*calls)
        assert done == [0, 2]
        assert cancelled.cancelled()
        assert len(server.connections) == 4
        assert client.stats().open_streams == 0


async def test_the_wait_for_a_lane_counts_toward_the_pool_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"retry": ONCE, "adaptive_concurrency": True, "max_connections": 1, "timeouts": Timeouts(pool=60)}
    async with connected(begin_and_wait, **options) as (_, client):
        async with client.stream(MODEL, "Hi") as first:
            await first.open()
            second = client.stream("amazon.nova-pro-v1:0", "Hi")
            calls = count()  # the whole limit passes in the lane, between the first call and the second
            for module in (hold, slots):
                monkeypatch.setattr(module, "monotonic", lambda: monotonic() + 100 * min(next(calls), 1))
            async with asyncio.timeout(20):
                with pytest.raises(errors.PoolTimeout, match="all 1 slots are taken by 1 open streams") as caught:
                    await second.open()
        assert caught.value.limit == 60
        assert caught.value.elapsed >= 100
        assert client.stats().open_streams == client.stats().waiting == 0


async def test_each_model_has_its_own_lane(emulator: Emulator) -> None:
    other = "amazon.nova-pro-v1:0"
    async with client_of(emulator.url, retry=ONCE, adaptive_concurrency=True, max_connections=3) as client:
        emulator.script(THROTTLED)
        with pytest.raises(errors.Throttled):
            await client.generate(MODEL, "Hi")
        await client.generate(other, "Hi")
        assert client.stats().lanes == {(REGION, MODEL): 2, (REGION, other): 3}
