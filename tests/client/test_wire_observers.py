"""Observers of one stream, and observations of bytes and frames: `responded`, `received` and `frames`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bedrock_stream import Client, Event, MessageStart, RetryPolicy, Target, TextDelta, errors
from bedrock_stream.eventstream import Decoder, Frame
from bedrock_stream.observing import Attempt, Ending, Observation, Subject, observe
from bedrock_stream.testing import Emulator, http_error, rechunk, replay, start, stream_error
from bedrock_stream.testing import text as say
from tests.support.clients import ONCE, client_of, collect, complete_stream, connected
from tests.support.refusals import refused
from tests.support.socket_server import END, START, Connection, begin_and_wait, exception, text

MODEL = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-3-5-sonnet-20241022-v2:0"
CLAUDE_BODY = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}
BODIES = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parents[2] / "fixtures").glob("*.bin"))}
BODY = BODIES["converse_tool_call"]
HELLO = START + text("Hello") + END


class EventObservation:
    """An observer and observation with the required methods only. It records the names of its steps."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.events: list[Event] = []

    def watch(self, subject: Subject) -> Observation | None:
        return self

    def began(self) -> None:
        self.steps.append("began")

    def failed(self, attempt: Attempt) -> None:
        self.steps.append("failed")

    def first(self, attempt: Attempt) -> None:
        self.steps.append("first")

    def came(self, events: Iterable[Event]) -> None:
        self.steps.append("came")
        self.events += events

    def ended(self, ending: Ending) -> None:
        self.steps.append("ended")


class WireResponse:
    """One response as an observation received it."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.body = b""
        self.frames: list[Frame] = []


class WireObservation(EventObservation):
    """An observation that also has the optional methods."""

    def __init__(self) -> None:
        super().__init__()
        self.responses: list[WireResponse] = []
        self.counts: list[tuple[int, int]] = []
        """Frames and events so far, after each batch of either."""

    @property
    def response(self) -> WireResponse:
        """The only response."""
        (response,) = self.responses
        return response

    def responded(self, status: int, headers: Mapping[str, str]) -> None:
        self.steps.append("responded")
        self.responses.append(WireResponse(status, headers))

    def received(self, data: bytes) -> None:
        self.steps.append("received")
        self.responses[-1].body += data

    def frames(self, frames: Sequence[Frame]) -> None:
        self.steps.append("frames")
        self.responses[-1].frames += frames
        self._count()

    def came(self, events: Iterable[Event]) -> None:
        super().came(events)
        self._count()

    def _count(self) -> None:
        self.counts.append((len(self.responses[-1].frames), len(self.events)))


def decoded(body: bytes) -> list[Frame]:
    """Return the frames of a body, which must be intact."""
    decoder = Decoder()
    frames = decoder.feed(body)
    decoder.finish()
    return frames


@pytest.fixture
def observation(caplog: pytest.LogCaptureFixture) -> Iterator[WireObservation]:
    """An observation none of whose methods may fail: their exceptions are only logged."""
    yield WireObservation()
    assert [record.getMessage() for record in caplog.records if record.name == "bedrock_stream"] == []


@pytest.fixture
async def observed(emulator: Emulator, observation: WireObservation) -> AsyncIterator[Client]:
    """A client with an observation of all its calls."""
    async with client_of(emulator.url, observers=[observation]) as client:
        yield client


# ---------------------------------------------------------------------------------------------- observers of one stream


async def test_an_observer_of_one_stream_is_added_to_those_of_the_client(
    observed: Client, observation: WireObservation
) -> None:
    of_stream, of_process = WireObservation(), WireObservation()
    stop = observe(of_process)
    try:
        stream = observed.stream(MODEL, "Hi")
    finally:
        stop()
    stream.observe(of_stream)
    await stream.response()
    assert "responded" in observation.steps
    assert observation.steps == of_stream.steps == of_process.steps
    assert observation.response.body == of_stream.response.body == of_process.response.body
    await observed.stream(MODEL, "Hi").response()
    assert (len(observation.responses), len(of_stream.responses)) == (2, 1)


async def test_a_stream_can_have_many_observers_of_its_own(emulator: Emulator, client: Client) -> None:
    observations = [WireObservation() for _ in range(3)]
    stream = client.stream(MODEL, "Hi")
    for observation in observations:
        stream.observe(observation)
    response = await stream.response()
    for observation in observations:
        assert decoded(observation.response.body) == observation.response.frames
        deltas = [event.text for event in observation.events if isinstance(event, TextDelta)]
        assert "".join(deltas) == response.text


async def test_an_observer_may_return_no_observation(client: Client) -> None:
    class Uninterested:
        def watch(self, _subject: Subject) -> None:
            return None

    stream = client.stream(MODEL, "Hi")
    stream.observe(Uninterested())
    assert (await stream.response()).text


async def test_an_observer_receives_the_subject_of_the_stream(client: Client) -> None:
    subjects: list[Subject] = []

    class Watcher(WireObservation):
        def watch(self, subject: Subject) -> Observation:
            subjects.append(subject)
            return self

    stream = client.stream(MODEL, "Hi")
    stream.observe(Watcher())
    (subject,) = subjects
    assert (subject.model, subject.operation, subject.streaming) == (MODEL, "converse-stream", True)
    assert b"Hi" in subject.body()
    await stream.aclose()


async def test_observe_is_refused_while_a_stream_is_opened_and_later(emulator: Emulator, client: Client) -> None:
    stream = client.stream(MODEL, "Hi")
    opening = asyncio.create_task(stream.open())
    await asyncio.sleep(0)
    for step in (opening, anext(stream), stream.response()):
        with refused("stream", "has begun", "before anything is awaited"):
            stream.observe(WireObservation())
        await step
    with refused("stream", "has begun", "before anything is awaited"):
        stream.observe(WireObservation())


async def test_observe_is_refused_after_a_failure_and_after_closing(emulator: Emulator, client: Client) -> None:
    emulator.script(http_error(400, "ValidationException", "No."))
    failed, closed = client.stream(MODEL, "Hi"), client.stream(MODEL, "Hi")
    with pytest.raises(errors.ValidationFailed):
        await failed.open()
    await closed.aclose()
    for stream in (failed, closed):
        late = WireObservation()
        with refused("stream", "has begun", "before anything is awaited"):
            stream.observe(late)
        assert late.steps == []


# ----------------------------------------------------------------------------------------------------- bytes and frames


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("name", BODIES)
async def test_the_bytes_of_the_body_and_their_frames_are_reported(
    emulator: Emulator, observed: Client, observation: WireObservation, name: str, size: int
) -> None:
    emulator.script(rechunk(size), replay(BODIES[name]))
    stream = observed.stream(MODEL, "Hi", retry=ONCE)
    try:
        await collect(stream)
    except errors.ServiceError:
        assert name == "converse_exception_only"
    response = observation.response
    assert response.body == BODIES[name]
    assert response.frames == decoded(BODIES[name])


async def test_status_and_headers_are_reported_before_any_byte(observed: Client, observation: WireObservation) -> None:
    async with observed.stream(MODEL, "Hi") as stream:
        await stream.open()
        assert observation.steps == ["began", "responded"]
        response = observation.response
        assert response.status == 200
        assert response.headers["content-type"] == "application/vnd.amazon.eventstream"
        assert response.headers["X-AMZN-REQUESTID"] == stream.request_id  # names are matched in any case


async def test_frames_are_reported_before_their_events(observation: WireObservation) -> None:
    """Each of these frames has one event. The start is delivered together with the event after it."""
    chunks: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(connection: Connection) -> None:
        connection.begin()
        while data := await chunks.get():
            connection.chunk(data)
        connection.end()

    async with connected(answer, observers=[observation]) as (_, client):
        stream = client.stream(MODEL, "Hi")
        first = asyncio.create_task(anext(stream))
        chunks.put_nowait(START)
        while not observation.counts:
            await asyncio.sleep(0)
        chunks.put_nowait(text("Hel"))
        assert isinstance(await first, MessageStart)
        assert await anext(stream) == TextDelta(0, "Hel")
        chunks.put_nowait(text("lo"))
        assert await anext(stream) == TextDelta(0, "lo")
        chunks.put_nowait(END)
        chunks.put_nowait(b"")
        await stream.response()
    assert observation.counts == [(1, 0), (2, 0), (2, 2), (3, 2), (3, 3), (5, 3), (5, 5)]


async def test_only_the_bytes_that_were_read_are_reported(observation: WireObservation) -> None:
    async with connected(begin_and_wait, observers=[observation]) as (_, client):
        async with client.stream(MODEL, "Hi") as stream:
            await anext(stream)
        assert observation.response.frames == decoded(observation.response.body)
        assert observation.response.body.startswith(START + text("Hello"))
        assert observation.steps[-1] == "ended"


async def test_a_stream_that_keeps_nothing_reports_its_bytes(emulator: Emulator, client: Client) -> None:
    emulator.script(replay(BODY))
    stream, observation = client.stream(MODEL, "Hi", keep=False), WireObservation()
    stream.observe(observation)
    await collect(stream)
    assert observation.response.body == BODY


async def test_the_frames_of_a_raw_stream_are_reported(emulator: Emulator, client: Client) -> None:
    observation = WireObservation()
    async with client.invoke_stream(CLAUDE, CLAUDE_BODY) as stream:
        stream.observe(observation)
        documents = await collect(stream)
    frames = observation.response.frames
    assert frames == decoded(observation.response.body)
    assert {frame.headers[":event-type"] for frame in frames} == {"chunk"}
    assert len(frames) == len(documents)


@pytest.mark.parametrize("separate", [False, True], ids=["one chunk", "separate chunks"])
async def test_a_damaged_frame_is_only_among_the_bytes(observation: WireObservation, separate: bool) -> None:
    damaged = bytearray(text("there"))
    damaged[-6] ^= 1
    intact = START + text("Hello")
    read = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        if separate:
            connection.chunk(intact)
            await read.wait()
            connection.chunk(bytes(damaged))
        else:
            connection.chunk(intact + damaged)
        await connection.closed.wait()

    async with connected(answer, observers=[observation]) as (_, client):
        stream = client.stream(MODEL, "Hi")
        assert isinstance(await anext(stream), MessageStart)
        read.set()
        with pytest.raises(errors.ChecksumMismatch):
            await stream.response()
    assert observation.response.body == intact + damaged
    assert observation.response.frames == decoded(intact)


async def test_an_exception_frame_is_reported(
    emulator: Emulator, observed: Client, observation: WireObservation
) -> None:
    emulator.script(say("Hello"), stream_error("modelStreamErrorException", "No."))
    with pytest.raises(errors.ModelStreamError):
        await observed.stream(MODEL, "Hi").response()
    last = observation.response.frames[-1]
    assert last.headers[":exception-type"] == "modelStreamErrorException"
    assert observation.response.frames == decoded(observation.response.body)


# ------------------------------------------------------------------------------------------------- retries and failover


async def test_a_retry_begins_again_with_its_response(observation: WireObservation) -> None:
    refusal = START + exception("throttlingException", "No.")

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(refusal if len(server.connections) == 1 else HELLO)
        connection.end()

    async with connected(answer, observers=[observation]) as (server, client):
        assert (await client.stream(MODEL, "Hi").response()).text == "Hello"
    first, second = observation.responses
    assert (first.body, second.body) == (refusal, HELLO)
    assert (first.frames, second.frames) == (decoded(refusal), decoded(HELLO))
    steps = observation.steps
    assert steps[:2] == ["began", "responded"]
    assert steps[steps.index("failed") + 1] == "responded"
    assert (steps.count("responded"), steps.count("ended"), steps[-1]) == (2, 1, "ended")


async def test_an_incomplete_frame_of_a_failed_attempt_is_not_part_of_the_next_one(
    observation: WireObservation,
) -> None:
    truncated = START + text("lost")[:-5]

    async def answer(connection: Connection) -> None:
        if len(server.connections) > 1:
            await complete_stream(connection)
            return
        connection.begin()
        connection.chunk(truncated)
        connection.close()

    async with connected(answer, observers=[observation]) as (server, client):
        await client.stream(MODEL, "Hi").response()
    first, second = observation.responses
    assert (first.body, first.frames) == (truncated, decoded(START))
    assert (second.body, second.frames) == (HELLO, decoded(HELLO))


@pytest.mark.parametrize("own", [False, True], ids=["of the client", "of the stream"])
async def test_an_error_response_is_not_reported(emulator: Emulator, own: bool) -> None:
    observation = WireObservation()
    emulator.script(http_error(503, "ServiceUnavailableException", "No."))
    async with client_of(emulator.url, observers=[] if own else [observation]) as client:
        stream = client.stream(MODEL, "Hi")
        if own:
            stream.observe(observation)
        await stream.response()
    assert observation.response.status == 200
    assert observation.response.headers["x-amzn-requestid"] == stream.request_id
    assert observation.steps[:3] == ["began", "failed", "responded"]


@pytest.mark.parametrize(
    "failure",
    [[http_error(503, "ServiceUnavailableException", "No.")], [start(), stream_error("throttlingException", "No.")]],
    ids=["status", "frame"],
)
async def test_the_response_of_another_target_is_reported(failure: list[Any]) -> None:
    observation = WireObservation()
    async with (
        Emulator(script=[failure]) as first,
        Emulator(script=[[say("Second.")]]) as second,
        client_of(first.url, failover=[Target(endpoint_url=second.url)]) as client,
    ):
        stream = client.stream(MODEL, "Hi")
        stream.observe(observation)
        assert (await stream.response()).text == "Second."
    assert len(observation.responses) == len(failure)
    last = observation.responses[-1]
    assert last.headers["x-amzn-requestid"] == stream.request_id
    assert last.frames == decoded(last.body)


# ------------------------------------------------------------------------------------------------------------ documents


@pytest.mark.parametrize("raw", [False, True], ids=["generate", "invoke"])
async def test_the_bytes_of_a_document_are_reported(observation: WireObservation, raw: bool) -> None:
    body = b'{"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn"}'

    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
        connection.write(body[:50])
        while "received" not in observation.steps:
            await asyncio.sleep(0)
        connection.write(body[50:])

    async with connected(answer, observers=[observation]) as (_, client):
        if raw:
            assert (await client.invoke(CLAUDE, CLAUDE_BODY))["stopReason"] == "end_turn"
        else:
            assert (await client.generate(MODEL, "Hi")).text == "Hello"
    response = observation.response
    assert (response.status, response.headers["content-length"], response.body) == (200, str(len(body)), body)
    assert observation.steps == ["began", "responded", "received", "received", "first", "ended"]


async def test_a_retried_document_begins_again_with_its_response(observation: WireObservation) -> None:
    body = b'{"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn"}'

    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
        if len(server.connections) == 1:
            connection.write(body[:50])
            connection.close()
        else:
            connection.write(body)

    async with connected(answer, observers=[observation]) as (server, client):
        assert (await client.generate(MODEL, "Hi")).text == "Hello"
    assert [response.body for response in observation.responses] == [body[:50], body]


# ----------------------------------------------------------------------------------------- broken and partial observers


@pytest.mark.parametrize("step", ["responded", "received", "frames"])
async def test_an_exception_of_a_wire_method_is_logged_and_changes_nothing(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    def fail(*_: Any) -> None:
        raise LookupError(step)

    broken, intact = WireObservation(), WireObservation()
    setattr(broken, step, fail)
    policy = RetryPolicy(max_attempts=2, base=0)
    emulator.script(start(), stream_error("throttlingException", "No."))
    async with client_of(emulator.url, observers=[broken, intact], retry=policy) as client:
        stream = client.stream(MODEL, "Hi")
        assert (await stream.response()).text
        assert [type(attempt.error) for attempt in stream.attempts] == [errors.Throttled, type(None)]
    logged = [record for record in caplog.records if record.name == "bedrock_stream"]
    messages = {record.getMessage() for record in logged}
    assert f"an observer failed at {step!r}; the call goes on" in messages
    if step != "responded":  # without it, the other two have no response to add to
        assert len(messages) == 1
    assert any(record.exc_info and isinstance(record.exc_info[1], LookupError) for record in logged)
    assert [decoded(response.body) for response in intact.responses] == [
        response.frames for response in intact.responses
    ]
    assert len(intact.responses) == 2
    assert broken.events == intact.events


async def test_an_observation_without_wire_methods_works(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    plain, wire = EventObservation(), WireObservation()
    async with client_of(emulator.url, observers=[plain, wire]) as client:
        await client.stream(MODEL, "Hi").response()
        await client.generate(MODEL, "Hi")
    required = [step for step in wire.steps if step not in ("responded", "received", "frames")]
    assert plain.steps == required
    assert plain.events == wire.events != []
    assert len(wire.responses) == 2
    assert caplog.records == []


async def test_an_observation_may_have_one_of_the_wire_methods(client: Client) -> None:
    class ByteCounter(EventObservation):
        count = 0

        def received(self, data: bytes) -> None:
            self.count += len(data)

    counter, stream = ByteCounter(), client.stream(MODEL, "Hi")
    stream.observe(counter)
    await stream.response()
    assert counter.count == client.stats().bytes_received > 0


async def test_streams_with_different_observers_do_not_share_them(emulator: Emulator, client: Client) -> None:
    emulator.script(replay(BODY))
    emulator.script(say("Other"))
    streams = [client.stream(MODEL, "Hi") for _ in range(2)]
    observations = [WireObservation() for _ in streams]
    for stream, observation in zip(streams, observations, strict=True):
        stream.observe(observation)
    for stream in streams:
        await stream.response()
    assert observations[0].response.body == BODY
    assert observations[1].response.body != BODY
