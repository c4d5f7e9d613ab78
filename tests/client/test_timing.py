"""`Response.timing`: seconds from the first attempt's start, in the order in which the parts of a response came."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from bedrock_stream import Client, Response, Timing, errors
from bedrock_stream.testing import Emulator, cut, delay, http_error, start, stop, stream_error, tool_call
from bedrock_stream.testing import text as say
from tests.support.clients import client_of, connected
from tests.support.socket_server import END, START, Connection, text

MODEL = "amazon.nova-lite-v1:0"
THROTTLED = http_error(429, "ThrottlingException", "No.")


def timing_of(response: Response | None) -> tuple[float, float, float]:
    """Return the three times of a streamed response."""
    assert response is not None
    timing = response.timing
    assert timing is not None
    assert timing.first_event is not None
    assert timing.first_content is not None
    assert timing.total is not None
    assert 0 < timing.first_event <= timing.first_content <= timing.total
    return timing.first_event, timing.first_content, timing.total


async def test_a_streamed_response_has_all_times() -> None:
    proceed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START)
        await proceed.wait()
        connection.chunk(text("Hello"))
        await asyncio.sleep(0.01)
        connection.chunk(END)
        connection.end()

    async with connected(answer) as (_, client):
        loop = asyncio.get_running_loop()
        before = loop.time()
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.response())
        while stream.partial is None or stream.partial.timing in (None, Timing()):
            await asyncio.sleep(0)  # the message's start is held back, so no event tells that it was received
        started = loop.time() - before
        proceed.set()
        event, content, total = timing_of(await reading)
        assert event <= started
        assert event < content < total <= loop.time() - before
        assert (await stream.response()).timing == Timing(first_event=event, first_content=content, total=total)


async def test_a_response_that_is_not_streamed_has_its_total_time(client: Client) -> None:
    timing = (await client.generate(MODEL, "Hi")).timing
    assert timing is not None
    assert (timing.first_event, timing.first_content) == (None, None)
    assert timing.total


async def test_an_open_stream_has_the_times_so_far() -> None:
    proceed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START)
        await proceed.wait()
        connection.chunk(text("Hello"))
        await connection.closed.wait()

    async with connected(answer) as (_, client):
        stream = client.stream(MODEL, "Hi")
        assert stream.partial is not None
        assert stream.partial.timing is None
        await stream.open()
        assert stream.partial.timing == Timing()
        proceed.set()
        await anext(stream)
        timing = stream.partial.timing
        assert timing is not None
        assert timing.total is None
        assert timing.first_event
        assert timing.first_content
        await stream.aclose()
        assert timing_of(stream.partial)[:2] == (timing.first_event, timing.first_content)


async def test_a_partial_response_of_an_error_has_its_times(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hello"), cut())
    with pytest.raises(errors.StreamInterrupted) as caught:
        await client.stream(MODEL, "Hi").response()
    timing_of(caught.value.partial)


async def test_times_count_from_the_first_attempt(emulator: Emulator) -> None:
    emulator.script(delay(0.05), THROTTLED)
    emulator.script(start(), stream_error("throttlingException", "No."))
    emulator.script(delay(0.05), say("Hello"))
    async with client_of(emulator.url) as client:
        stream = client.stream(MODEL, "Hi")
        event, _, _ = timing_of(await stream.response())
    assert event > sum(attempt.seconds for attempt in stream.attempts)


async def test_a_tool_run_reports_the_last_round(emulator: Emulator, client: Client) -> None:
    def look() -> str:
        return "nothing"

    emulator.script(tool_call("look"), delay(0.1), stop("tool_use"))
    emulator.script(say("Nothing."))
    run = client.run_tools(MODEL, "Look", tools=[look])
    timing_of(await run.response())


async def test_times_survive_json(client: Client) -> None:
    response = await client.stream(MODEL, "Hi").response()
    assert msgspec.json.decode(msgspec.json.encode(response.timing), type=Timing) == response.timing
