"""`show_retries`: the event comes before the wait, is not part of the message, and changes nothing of the retries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bedrock_stream import (
    Client,
    MessageStart,
    Retrying,
    RetryPolicy,
    Stream,
    Target,
    TextDelta,
    Timeouts,
    ToolResult,
    errors,
)
from bedrock_stream.testing import Emulator, http_error, start, stop, stream_error, tool_call
from bedrock_stream.testing import text as say
from tests.support.clients import client_of, collect

MODEL = "amazon.nova-lite-v1:0"
THROTTLED = http_error(429, "ThrottlingException", "Too many requests.")
WAIT_A_MINUTE = http_error(429, "ThrottlingException", "Wait.", {"Retry-After": "60"})
REFUSED = http_error(403, "AccessDeniedException", "No.")
HELLO = say(["Hel", "lo"])

POSITIONS: dict[str, list[Any]] = {
    "as a status": [THROTTLED],
    "as the first frame": [stream_error("throttlingException", "Too many requests.")],
    "after the message's start": [start(), stream_error("throttlingException", "Too many requests.")],
}


def shown(client: Client, **options: Any) -> Stream:
    return client.stream(MODEL, "Hi", show_retries=True, **options)


@pytest.mark.parametrize("position", POSITIONS)
async def test_each_retry_is_an_event_before_the_message(position: str) -> None:
    script = [POSITIONS[position], POSITIONS[position], [HELLO]]
    async with Emulator(script=script) as emulator, client_of(emulator.url) as client:
        stream = shown(client)
        first, second, begin, *rest = await collect(stream)
        assert (first, second) == (Retrying(2, 0.0, "Throttled"), Retrying(3, 0.0, "Throttled"))
        assert isinstance(begin, MessageStart)
        assert "".join(event.text for event in rest if isinstance(event, TextDelta)) == "Hello"
        assert not any(isinstance(event, Retrying) for event in rest)
        assert (await stream.response()).text == "Hello"
        assert stream.delivered == 1 + len(rest)
        assert client.stats().retries == 2


async def test_the_event_comes_before_the_wait() -> None:
    async with Emulator(script=[[WAIT_A_MINUTE]]) as emulator, client_of(emulator.url, retry=RetryPolicy()) as client:
        async with asyncio.timeout(20):
            stream = shown(client)
            assert await anext(stream) == Retrying(2, 60.0, "Throttled")
        assert (stream.attempts[-1].number, stream.attempts[-1].wait) == (1, 60.0)
        assert client.stats().open_streams == 0, "no slot is held meanwhile"
        assert client.stats().retries == 0
        reading = asyncio.create_task(anext(stream))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not reading.done()
        await stream.aclose()
        with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
            await reading
        assert emulator.request_count == 1


async def test_without_the_option_no_such_event_is_delivered() -> None:
    async with Emulator(script=[[THROTTLED], [HELLO]]) as emulator, client_of(emulator.url) as client:
        assert isinstance((await collect(client.stream(MODEL, "Hi", show_retries=False)))[0], MessageStart)


async def test_the_time_between_the_event_and_the_next_read_is_part_of_the_wait() -> None:
    policy = RetryPolicy(base=0.2, cap=0.2)
    async with Emulator(script=[[THROTTLED], [HELLO]]) as emulator, client_of(emulator.url, retry=policy) as client:
        stream = shown(client)
        retrying = await anext(stream)
        assert isinstance(retrying, Retrying)
        loop = asyncio.get_running_loop()
        due = loop.time() + retrying.wait
        await asyncio.sleep(retrying.wait)
        calls = []
        original = asyncio.sleep

        async def sleep(seconds: float, result: Any = None) -> Any:
            calls.append(seconds)
            return await original(seconds, result)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bedrock_stream.client.attempts.asyncio.sleep", sleep)
            await anext(stream)
        assert loop.time() >= due
        assert all(seconds <= 0.05 for seconds in calls)


async def test_failover_is_shown_and_the_target_is_the_next_one() -> None:
    failover = [Target(model="amazon.nova-pro-v1:0")]
    async with Emulator(script=[[THROTTLED], [HELLO]]) as emulator, client_of(emulator.url) as client:
        stream = shown(client, failover=failover)
        assert await anext(stream) == Retrying(2, 0.0, "Throttled")
        assert stream.target.model == stream.model == "amazon.nova-pro-v1:0"
        assert (await stream.response()).text == "Hello"


async def test_the_views_skip_it() -> None:
    async with Emulator(script=[[THROTTLED], [HELLO]]) as emulator, client_of(emulator.url) as client:
        assert "".join([text async for text in shown(client).text_stream]) == "Hello"
        emulator.script(THROTTLED)
        emulator.script(tool_call("f", {"a": 1}), stop("tool_use"))
        stream = shown(client, tools=[{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}])
        assert [type(event).__name__ async for event in stream.tool_stream][-1] == "ToolCallEnd"


async def test_open_waits_and_the_events_of_its_retries_are_dropped() -> None:
    async with Emulator(script=[[THROTTLED], [THROTTLED], [HELLO]]) as emulator, client_of(emulator.url) as client:
        stream = await shown(client).open()
        assert isinstance(await anext(stream), MessageStart)
        assert stream.delivered == 1
        assert len(stream.attempts) == 3


async def test_response_reads_through_retries() -> None:
    async with Emulator(script=[[THROTTLED], [HELLO]]) as emulator, client_of(emulator.url) as client:
        stream = shown(client)
        assert (await stream.response()).text == "Hello"
        assert stream.delivered > 2


@pytest.mark.parametrize("fault", [REFUSED, stream_error("accessDeniedException", "No.")])
async def test_a_final_failure_is_raised_and_counts_no_event(fault: Any) -> None:
    async with Emulator(script=[[THROTTLED], [fault]]) as emulator, client_of(emulator.url) as client:
        stream = shown(client)
        assert isinstance(await anext(stream), Retrying)
        with pytest.raises(errors.AccessDenied) as caught:
            await anext(stream)
        assert caught.value.events_received == 0
        assert [attempt.number for attempt in stream.attempts] == [1, 2]


async def test_each_round_of_a_tool_run_shows_its_retries() -> None:
    def look() -> str:
        return "nothing"

    script: list[Any] = [[THROTTLED], [tool_call("look"), stop("tool_use")], [THROTTLED], [HELLO]]
    async with Emulator(script=script) as emulator, client_of(emulator.url) as client:
        events = [event async for event in client.run_tools(MODEL, "Look", tools=[look], show_retries=True)]
    kinds = [type(event) for event in events if isinstance(event, Retrying | MessageStart | ToolResult)]
    assert kinds == [Retrying, MessageStart, ToolResult, Retrying, MessageStart]


@pytest.mark.parametrize("timeouts", [Timeouts(total=0.1), Timeouts(unread=0.1)], ids=["total", "unread"])
async def test_time_limits_end_a_stream_that_is_not_read_after_the_event(timeouts: Timeouts) -> None:
    options: Any = {"retry": RetryPolicy(), "timeouts": timeouts}
    async with Emulator(script=[[WAIT_A_MINUTE]]) as emulator, client_of(emulator.url, **options) as client:
        stream = shown(client)
        await anext(stream)
        async with asyncio.timeout(20):
            while "closed" not in repr(stream):
                await asyncio.sleep(0.01)
        with pytest.raises((errors.TotalTimeout, errors.UnreadTimeout)):
            await anext(stream)


async def test_closing_the_client_ends_a_stream_that_shows_a_retry() -> None:
    async with Emulator(script=[[WAIT_A_MINUTE]]) as emulator:
        client = client_of(emulator.url, retry=RetryPolicy())
        stream = shown(client)
        await anext(stream)
        await client.aclose()
        with pytest.raises(errors.ClientClosed):
            await anext(stream)


async def test_a_call_without_events_refuses_the_option(client: Client) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"show_retries: generate\(\) delivers no events; use stream"):
        await client.generate(MODEL, "Hi", show_retries=True)
    with pytest.raises(errors.ConfigurationError, match="show_retries: expected a bool, got 'yes'"):
        client.stream(MODEL, "Hi", show_retries="yes")  # type: ignore[arg-type]
