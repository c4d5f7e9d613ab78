"""Observers: each call is reported exactly once from start to end, however it ends, and is never affected."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from bedrock_stream import Client, Event, Message, MessageStop, Metadata, RetryPolicy, Stream, errors
from bedrock_stream.observing import Attempt, Ending, Observation, Subject, observe
from bedrock_stream.testing import REGION, Emulator, cut, http_error, stall, stream_error, text
from tests.conftest import KEYS

MODEL = "amazon.nova-lite-v1:0"


class Recorder:
    """An observer that records everything it is notified of."""

    def __init__(self) -> None:
        self.subjects: list[Subject] = []
        self.steps: list[str] = []
        self.events: list[Any] = []
        self.endings: list[Ending] = []
        self.failures: list[Attempt] = []
        self.answering: Attempt | None = None

    def watch(self, subject: Subject) -> Observation:
        self.subjects.append(subject)
        return self

    def began(self) -> None:
        self.steps.append("began")

    def failed(self, attempt: Attempt) -> None:
        self.steps.append("failed")
        self.failures.append(attempt)

    def first(self, attempt: Attempt) -> None:
        self.answering = attempt
        self.steps.append("first")

    def came(self, events: Iterable[Event]) -> None:
        self.events += events

    def ended(self, ending: Ending) -> None:
        self.steps.append("ended")
        self.endings.append(ending)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def client(emulator: Emulator, recorder: Recorder) -> AsyncIterator[Client]:
    retry = RetryPolicy(max_attempts=2, base=0)
    async with Client(
        region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=retry, observers=[recorder]
    ) as client:
        yield client


async def test_a_call_is_reported_from_start_to_end(client: Client, recorder: Recorder) -> None:
    stream = client.stream(MODEL, "Hello", max_tokens=50)
    assert recorder.steps == []
    response = await stream.response()
    assert recorder.steps == ["began", "first", "ended"]
    (subject,), (ending,) = recorder.subjects, recorder.endings
    assert (subject.model, subject.route, subject.streaming) == (MODEL, "converse", True)
    assert subject.operation == "converse-stream"
    assert subject.messages == (Message.user("Hello"),)
    assert subject.options is not None
    assert subject.options.max_tokens == 50
    assert b"Hello" in subject.body()
    assert (ending.way, ending.error, ending.request_id) == ("finished", None, stream.request_id)
    assert ending.response == msgspec.structs.replace(response, cost=None)
    assert [type(event) for event in recorder.events[-2:]] == [MessageStop, Metadata]
    assert ending.seconds > 0


async def test_generate_is_reported_too(client: Client, recorder: Recorder) -> None:
    response = await client.generate(MODEL, "Hello")
    assert recorder.steps == ["began", "first", "ended"]
    assert recorder.endings[0].response == msgspec.structs.replace(response, cost=None)
    assert not recorder.subjects[0].streaming


async def test_a_failed_attempt_is_reported_before_the_next_one(
    emulator: Emulator, client: Client, recorder: Recorder
) -> None:
    emulator.script(http_error(429, "ThrottlingException", "slow down"))
    await client.stream(MODEL, "Hello").response()
    assert recorder.steps == ["began", "failed", "first", "ended"]
    assert isinstance(recorder.failures[0].error, errors.Throttled)
    assert [attempt.number for attempt in recorder.endings[0].attempts] == [1, 2]
    assert recorder.answering == recorder.endings[0].attempts[-1]
    emulator.script(http_error(429, "ThrottlingException"))
    emulator.script(http_error(429, "ThrottlingException"))
    with pytest.raises(errors.Throttled) as caught:
        await client.generate(MODEL, "Hello")
    assert recorder.steps[4:] == ["began", "failed", "ended"]
    assert recorder.endings[1].error is caught.value


async def leave(stream: Stream) -> None:
    async with stream:
        await anext(stream)


async def cancel(stream: Stream) -> None:
    await anext(stream)
    task = asyncio.create_task(stream.response())
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def fail(stream: Stream) -> None:
    with pytest.raises(errors.BedrockStreamError):
        await stream.response()


async def drop(stream: Stream) -> None:
    await anext(stream)


EXITS: list[tuple[str, Callable[[Stream], Awaitable[None]], list[Any], type[BaseException] | None]] = [
    ("closed", leave, [text("Hello"), stall()], errors.StreamInterrupted),
    ("cancelled", cancel, [text("Hello"), stall()], errors.StreamInterrupted),
    ("failed", fail, [text("Hello"), cut()], errors.StreamInterrupted),
    ("failed", fail, [text("Hello"), stream_error("throttlingException", "no")], errors.Throttled),
    ("failed", fail, [http_error(400, "ValidationException", "no")], errors.ValidationFailed),
]


@pytest.mark.parametrize(("way", "leaving", "steps", "error"), EXITS)
async def test_however_a_stream_ends_its_observation_ends_once(
    emulator: Emulator, client: Client, recorder: Recorder, way: str, leaving: Any, steps: Any, error: Any
) -> None:
    emulator.script(*steps)
    stream = client.stream(MODEL, "Hello")
    await leaving(stream)
    await stream.aclose()
    with suppress(errors.BedrockStreamError):
        await anext(stream)
    (ending,) = recorder.endings
    assert ending.way == way
    assert type(ending.error) is error
    assert ending.response is None or ending.response.text in ("", "Hello")


async def test_a_dropped_stream_ends_its_observation(emulator: Emulator, client: Client, recorder: Recorder) -> None:
    emulator.script(text("Hello"), stall())
    with pytest.warns(ResourceWarning, match="dropped before its end"):
        await drop(client.stream(MODEL, "Hello"))
        gc.collect()
    assert [ending.way for ending in recorder.endings] == ["dropped"]
    await emulator.wait_until_idle()


async def test_a_stream_may_be_dropped_by_another_thread(
    emulator: Emulator, client: Client, recorder: Recorder
) -> None:
    emulator.script(text("Hello"), stall())
    held = [client.stream(MODEL, "Hello")]
    await anext(held[0])
    with pytest.warns(ResourceWarning, match="dropped before its end"):
        await asyncio.to_thread(held.clear)
    assert [ending.way for ending in recorder.endings] == ["dropped"]
    await emulator.wait_until_idle()


async def test_a_stream_dropped_after_its_client_closed_ends_its_observation(
    emulator: Emulator, client: Client, recorder: Recorder
) -> None:
    emulator.script(text("Hello"), stall())
    stream = client.stream(MODEL, "Hello")
    await anext(stream)
    await client.aclose()
    del stream
    gc.collect()
    assert [ending.way for ending in recorder.endings] == ["dropped"]


async def test_invoke_is_reported_by_its_operation(emulator: Emulator, client: Client, recorder: Recorder) -> None:
    emulator.script(http_error(400, "ValidationException", "no"))
    with pytest.raises(errors.ValidationFailed):
        await client.invoke("amazon.titan-embed-text-v2:0", {"inputText": "Hello"})
    (subject,) = recorder.subjects
    assert (subject.operation, subject.options, subject.messages) == ("invoke", None, ())


async def test_a_stream_that_is_never_read_is_not_reported(client: Client, recorder: Recorder) -> None:
    await client.stream(MODEL, "Hello").aclose()
    assert recorder.steps == []


async def test_an_observer_may_observe_every_client(emulator: Emulator, recorder: Recorder) -> None:
    stop = observe(recorder)
    try:
        async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS) as client:
            await client.generate(MODEL, "Hello")
            stop()
            await client.generate(MODEL, "Hello")
    finally:
        stop()
    assert recorder.steps == ["began", "first", "ended"]


class Broken:
    def __init__(self, at: str) -> None:
        self._at = at

    def watch(self, subject: Subject) -> Any:
        if self._at == "watch":
            raise LookupError("watch")
        return self

    def __getattr__(self, name: str) -> Any:
        def step(*_: Any) -> None:
            if name == self._at:
                raise LookupError(name)

        return step


@pytest.mark.parametrize("at", ["watch", "began", "failed", "first", "came", "ended"])
async def test_a_broken_observer_changes_nothing(emulator: Emulator, caplog: pytest.LogCaptureFixture, at: str) -> None:
    emulator.script(http_error(429, "ThrottlingException"))
    async with Client(
        region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=RetryPolicy(base=0), observers=[Broken(at)]
    ) as client:
        assert (await client.stream(MODEL, "Hello").response()).text
    assert {record.message for record in caplog.records} == {f"an observer failed at {at!r}; the call goes on"}


# ------------------------------------------------------------------------------------------------------------ log lines


async def test_each_attempt_is_logged_in_one_line_at_debug(
    emulator: Emulator, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bedrock_stream.requests")
    emulator.script(http_error(503, "ServiceUnavailableException"))
    await client.stream(MODEL, "Hello").response()
    emulator.script(text("Hel"), stream_error("internalServerException", "no"))
    with pytest.raises(errors.InternalServerError):
        await client.stream(MODEL, "Hello").response()
    emulator.script(http_error(403, "AccessDeniedException"))
    with pytest.raises(errors.AccessDenied) as refused:
        await client.stream(MODEL, "Hello").response()
    lines = [record.getMessage() for record in caplog.records if record.name == "bedrock_stream.requests"]
    seconds = r"\d+\.\d\d s"
    named = r"request [0-9a-f]{8}-[0-9a-f-]{27}"
    end = rf"{named}, first event {seconds}, {seconds}"
    never_begun = rf"{named}, first event none, {seconds}"
    given_up = rf"ServiceUnavailableException 503, {named}, {seconds}; again in 0\.00 s"
    expected = [
        rf"{MODEL} converse attempt 1 in us-east-1: {given_up}",
        rf"{MODEL} converse attempt 2 in us-east-1: finished, {end}, \d+\+\d+ tokens",
        rf"{MODEL} converse attempt 1 in us-east-1: InternalServerException 500, {end}, tokens unknown",
        rf"{MODEL} converse attempt 1 in us-east-1: AccessDeniedException 403, {never_begun}, tokens unknown",
    ]
    assert refused.value.request_id is not None
    assert refused.value.request_id in lines[-1]
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), line


async def test_without_the_log_level_nothing_is_observed(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bedrock_stream")
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS) as client:
        stream = client.stream(MODEL, "Hello")
        assert not stream._attempts.observers
        await stream.response()
    assert not [record for record in caplog.records if record.name == "bedrock_stream.requests"]
