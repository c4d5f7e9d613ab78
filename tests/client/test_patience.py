"""Patience: throttled calls pause their model's lane and are tried again, one at a time, until they succeed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bedrock_stream import Attempt, Client, RetryPolicy, Timeouts, errors
from bedrock_stream.testing import REGION, Emulator, http_error, start, stream_error
from bedrock_stream.testing import text as say
from bedrock_stream.transport import lanes
from tests.support.clients import client_of, complete_stream, connected
from tests.support.socket_server import Connection

MODEL = "amazon.nova-lite-v1:0"
THROTTLED = http_error(429, "ThrottlingException", "Too many requests.")
LANE = (REGION, MODEL)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(lanes, "_LONGEST_PAUSE", 0.002)
    monkeypatch.setattr(lanes, "_PROBE_SECONDS", 600.0)  # only its answer ends a probe


def refusal(header: bytes = b"", body: bytes = b"{}") -> bytes:
    """Return an HTTP response that throttles."""
    head = b"HTTP/1.1 429 Slow\r\nx-amzn-ErrorType: ThrottlingException\r\n" + header
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def patient_client(url: str, patience: float = 60, **policy: Any) -> Client:
    return client_of(url, retry=RetryPolicy(max_attempts=1, patience=patience, **policy))


@pytest.mark.parametrize(
    "failure",
    [
        THROTTLED,
        http_error(503, "ServiceUnavailableException", "Down."),
        http_error(429, "ModelNotReadyException", "Soon."),
        http_error(400, "ServiceQuotaExceededException", "Used up."),
    ],
    ids=["throttled", "unavailable", "not ready", "quota"],
)
async def test_throttling_is_waited_out_without_the_budget(emulator: Emulator, failure: Any) -> None:
    for _ in range(8):
        emulator.script(failure)
    async with patient_client(emulator.url) as client:
        stream = client.stream(MODEL, "Hi")
        assert (await stream.response()).text
        assert (await client.generate(MODEL, "Hi")).text
        assert len(stream.attempts) == 9
        assert client.stats().retries_left == 100
    assert emulator.request_count == 10


async def test_throttling_as_the_first_frame_is_waited_out(emulator: Emulator) -> None:
    emulator.script(stream_error("throttlingException", "No."))
    emulator.script(start(), stream_error("serviceUnavailableException", "No."))
    async with patient_client(emulator.url) as client:
        assert (await client.stream(MODEL, "Hi").response()).text


async def test_throttling_after_content_is_raised(emulator: Emulator) -> None:
    emulator.script(say("Hello"), stream_error("throttlingException", "No."))
    async with patient_client(emulator.url) as client:
        with pytest.raises(errors.Throttled):
            await client.stream(MODEL, "Hi").response()
        assert (await client.generate(MODEL, "Hi")).text, "the next call waits for the end of the pause"


async def test_other_failures_are_counted_as_ever(emulator: Emulator) -> None:
    emulator.script(THROTTLED)
    emulator.script(http_error(500, "InternalServerException", "No."))
    async with patient_client(emulator.url) as client:
        with pytest.raises(errors.InternalServerError):
            await client.generate(MODEL, "Hi")


async def test_after_a_pause_one_call_tries_alone() -> None:
    proceed, refused = asyncio.Event(), 12

    async def answer(connection: Connection) -> None:
        if server.connections.index(connection) < refused:
            connection.write(refusal())
            return
        await proceed.wait()
        await complete_stream(connection)

    async with connected(answer, retry=RetryPolicy(patience=60)) as (server, client):
        calls = [asyncio.create_task(client.stream(MODEL, "Hi").response()) for _ in range(10)]
        await server.arrived(13)
        while client.stats().open_streams > 1:  # the refusals of the others are still read
            await asyncio.sleep(0)
        assert len(server.connections) == 13, "the last one is alone until it is answered"
        assert client.stats().lanes[LANE] == 10, "a probe does not lower the limit"
        proceed.set()
        await asyncio.gather(*calls)
        assert len(server.connections) == 22


async def test_a_call_that_is_refused_alone_does_not_hold_up_the_others() -> None:
    """The probe after a refused probe is another call."""
    ended: list[int] = []

    async def answer(connection: Connection) -> None:
        if b"Number 0." in connection.body and len(ended) < 20:
            connection.write(refusal())
        else:
            await complete_stream(connection)

    async with connected(answer, retry=RetryPolicy(patience=60)) as (_, client):

        async def call(number: int) -> None:
            await client.stream(MODEL, f"Number {number}.").response()
            ended.append(number)

        await asyncio.gather(*map(call, range(21)))
    assert ended[-1] == 0


async def test_a_probe_that_is_not_refused_for_a_second_ends_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_PROBE_SECONDS", 0.002)
    proceed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        if connection is server.connections[0]:
            connection.write(refusal())
            return
        await proceed.wait()
        await complete_stream(connection)

    async with connected(answer, retry=RetryPolicy(patience=60)) as (server, client):
        calls = [asyncio.create_task(client.stream(MODEL, "Hi").response()) for _ in range(3)]
        await server.arrived(4)
        proceed.set()
        await asyncio.gather(*calls)


async def test_calls_fail_with_the_throttling_once_patience_is_over() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(refusal(b"retry-after: 3600\r\n", b'{"message": "Daily limit."}'))

    async with connected(answer, retry=RetryPolicy(max_attempts=1, patience=0.05)) as (server, client):
        calls = [client.generate(MODEL, "Hi") for _ in range(20)]
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert 1 <= len(server.connections) <= 16, "no more than the first limit of the lane were sent"
        assert all(isinstance(error, errors.Throttled) and "Daily limit" in str(error) for error in failures)
        assert len({id(error) for error in failures}) == 20
        assert client.stats().open_streams == client.stats().waiting == 0


async def test_a_retry_after_is_waited_for_and_the_total_limit_ends_the_call(emulator: Emulator) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Wait.", {"Retry-After": "3600"}))
    failed: list[Attempt] = []
    timeouts = Timeouts(total=0.5, pool=0.01)
    policy = RetryPolicy(patience=7200, on_retry=failed.append)
    async with client_of(emulator.url, retry=policy, timeouts=timeouts) as client:
        with pytest.raises(errors.TotalTimeout):
            await client.generate(MODEL, "Hi")
        assert [attempt.wait > 3599 for attempt in failed] == [True]
    assert emulator.request_count == 1


async def test_a_cancelled_call_leaves_the_lane_to_the_others(emulator: Emulator) -> None:
    emulator.script(THROTTLED)
    waits = asyncio.Event()
    async with patient_client(emulator.url, on_retry=lambda _attempt: waits.set()) as client:
        first = asyncio.create_task(client.generate(MODEL, "Hi"))
        await waits.wait()
        first.cancel()
        assert (await client.generate(MODEL, "Hi")).text
        assert client.stats().open_streams == 0


async def test_a_probe_that_is_cancelled_or_fails_otherwise_is_followed_by_another_one() -> None:
    async def answer(connection: Connection) -> None:
        match server.connections.index(connection) + 1:
            case 1:
                connection.write(refusal())
            case 2:
                await connection.closed.wait()
            case 3:
                connection.reset()
            case _:
                await complete_stream(connection)

    policy = RetryPolicy(patience=60, base=0, cap=0)
    async with connected(answer, retry=policy) as (server, client):
        first = asyncio.create_task(client.stream(MODEL, "Hi").response())
        await server.arrived(2)  # it was throttled, and is the probe
        others = [asyncio.create_task(client.stream(MODEL, "Hi").response()) for _ in range(2)]
        first.cancel()
        await asyncio.gather(*others)


@pytest.mark.parametrize("patience", [0, -1, float("inf"), True, "60"])
def test_an_invalid_patience_is_an_error(patience: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"RetryPolicy\.patience: expected a finite, positive number"):
        RetryPolicy(patience=patience)
