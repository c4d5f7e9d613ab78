"""Trying again: only what nobody has seen anything of, signed anew, with nothing left of what was given up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bedrock_stream import (
    Attempt,
    Client,
    Credentials,
    MessageStart,
    RetryPolicy,
    TextDelta,
    Timeouts,
    ToolCallEnd,
    errors,
)
from bedrock_stream.testing import REGION, Emulator, cut, http_error, reset, start, stop, stream_error, tool_call
from bedrock_stream.testing import text as say
from tests.conftest import KEYS
from tests.support.socket_server import END, START, Answer, Connection, SocketServer, begin_and_wait, exception, text

MODEL = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-3-5-sonnet-20241022-v2:0"
QUICK = RetryPolicy(base=0, cap=0)
THROTTLED = http_error(429, "ThrottlingException", "Too many requests.")


def patient(hook: Any = None) -> RetryPolicy:
    return RetryPolicy(base=0, cap=0, on_retry=hook)


def calling(url: str, **options: Any) -> Client:
    return Client(region=REGION, endpoint_url=url, credentials=KEYS, **{"retry": QUICK, **options})


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    async with calling(emulator.url) as made:
        yield made


@asynccontextmanager
async def talking_to(answer: Answer, **options: Any) -> AsyncIterator[tuple[SocketServer, Client]]:
    async with SocketServer(answer) as server, calling(server.url, **options) as client:
        yield server, client


async def whole(connection: Connection) -> None:
    connection.begin()
    connection.chunk(START + text("Hello") + END)
    connection.end()


class Waiting:
    """A retry hook that tells when a call begins to wait, which it does for a minute."""

    FAULT = http_error(429, "ThrottlingException", "Wait.", {"Retry-After": "60"})

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    @property
    def policy(self) -> RetryPolicy:
        return RetryPolicy(on_retry=lambda _attempt: self.begun.set())


class Enough(Exception):
    """What a hook raises that has seen enough."""


# ------------------------------------------------------------------------------------------------------ what is retried

PLACES: dict[str, list[Any]] = {
    "as a status": [THROTTLED],
    "as the first frame": [stream_error("throttlingException", "Too many requests.")],
    "behind the message's start": [start(), stream_error("throttlingException", "Too many requests.")],
}


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
@pytest.mark.parametrize("place", PLACES)
async def test_throttling_before_any_content_is_tried_again_and_not_seen(
    emulator: Emulator, client: Client, place: str, model: str
) -> None:
    emulator.script(*PLACES[place])
    emulator.script(say(["Hel", "lo"]))
    stream = client.stream(model, "Hi", use_converse=model == MODEL)
    events = [event async for event in stream]
    assert sum(isinstance(event, MessageStart) for event in events) == 1
    assert isinstance(events[0], MessageStart)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello"
    assert (await stream.response()).text == "Hello"
    assert emulator.request_count == 2
    first, second = stream.attempts
    assert isinstance(first.error, errors.Throttled)
    assert first.error.request_id != stream.request_id
    assert (first.number, second.number, second.error) == (1, 2, None)


RETRYABLE = {
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "ModelTimeoutException": 408,
    "ModelStreamErrorException": 424,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}
FINAL = {
    "AccessDeniedException": 403,
    "ModelErrorException": 424,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 400,
    "ValidationException": 400,
}


@pytest.mark.parametrize("framed", [False, True], ids=["status", "frame"])
@pytest.mark.parametrize(("code", "status"), [*RETRYABLE.items(), *FINAL.items()])
async def test_what_may_pass_is_tried_again_and_nothing_else(
    emulator: Emulator, client: Client, code: str, status: int, framed: bool
) -> None:
    fault = stream_error(code[:1].lower() + code[1:], "No.") if framed else http_error(status, code, "No.")
    emulator.script(fault)
    if code in RETRYABLE:
        assert await client.stream(MODEL, "Hi").response()
        assert emulator.request_count == 2
    else:
        stream = client.stream(MODEL, "Hi")
        with pytest.raises(errors.ServiceError) as caught:
            await stream.response()
        assert caught.value.code == code
        assert emulator.request_count == 1
        assert [attempt.error for attempt in stream.attempts] == [caught.value]


async def test_input_that_is_too_long_is_never_tried_again(emulator: Emulator, client: Client) -> None:
    emulator.script(http_error(400, "ValidationException", "Input is too long for requested model."))
    with pytest.raises(errors.ContextWindowExceeded):
        await client.generate(MODEL, "Hi")
    assert emulator.request_count == 1


async def test_throttling_is_told_by_its_name_whatever_its_words(emulator: Emulator, client: Client) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Too many tokens, please wait before trying again."))
    emulator.script(http_error(429, "ThrottlingException", "Input is too long, please wait."))
    await client.generate(MODEL, "Hi")
    assert emulator.request_count == 3


@pytest.mark.parametrize(
    "fault", [stream_error("throttlingException", "No."), cut(), cut(torn=True), reset()], ids=lambda step: str(step)
)
async def test_after_content_nothing_is_tried_again(emulator: Emulator, client: Client, fault: Any) -> None:
    emulator.script(say(["Hello"]), fault)
    stream, events = client.stream(MODEL, "Hi"), []
    with pytest.raises((errors.Throttled, errors.StreamInterrupted)) as caught:
        async for event in stream:
            events.append(event)  # noqa: PERF401 - a comprehension would lose them
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello"
    assert caught.value.events_received == len(events)
    assert (caught.value.model, caught.value.region) == (MODEL, REGION)
    assert caught.value.request_id == stream.request_id is not None
    assert emulator.request_count == 1
    assert [attempt.error for attempt in stream.attempts] == [caught.value]


@pytest.mark.parametrize("fault", [cut(), cut(torn=True), cut(inside=20), reset()], ids=lambda step: str(step))
@pytest.mark.parametrize("before", [[], [start()]], ids=["nothing", "start"])
async def test_an_answer_that_breaks_off_before_any_content_is_tried_again(
    emulator: Emulator, client: Client, before: list[Any], fault: Any
) -> None:
    emulator.script(*before, fault)
    emulator.script(say(["Hello"]))
    response = await client.stream(MODEL, "Hi").response()
    assert response.text == "Hello"
    assert emulator.request_count == 2


async def test_nothing_of_an_answer_that_was_given_up_is_left(emulator: Emulator) -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        if len(server.connections) == 1:
            connection.chunk(START + text("torn")[:-5])  # half a frame stays in the decoder
            connection.close()
        else:
            connection.chunk(START + text("Hello") + END)
            connection.end()

    async with talking_to(answer) as (server, client):
        stream = client.stream(MODEL, "Hi")
        assert [type(event).__name__ for event in [event async for event in stream]] == [
            "MessageStart",
            "TextDelta",
            "MessageStop",
            "Metadata",
        ]
        assert (await stream.response()).text == "Hello"
        assert client.stats().open_streams == 0


async def test_the_last_failure_is_raised_with_its_own_facts(emulator: Emulator, client: Client) -> None:
    for number in range(3):
        emulator.script(http_error(503, "ServiceUnavailableException", f"Failure {number}."))
    emulator.script(start(), stream_error("throttlingException", "The last."))
    stream = client.stream(MODEL, "Hi")
    assert isinstance(await anext(stream), MessageStart)  # what came before the failure is delivered first
    with pytest.raises(errors.Throttled, match=r"The last\.") as caught:
        await anext(stream)
    assert caught.value.mid_stream
    assert (caught.value.events_received, caught.value.model, caught.value.region) == (1, MODEL, REGION)
    assert caught.value.request_id == stream.request_id is not None
    assert caught.value.partial is not None
    assert caught.value.partial.text == ""
    assert [type(attempt.error) for attempt in stream.attempts] == [errors.ServiceUnavailable] * 3 + [errors.Throttled]
    assert stream.attempts[-1].error is caught.value
    assert emulator.request_count == 4


# ---------------------------------------------------------------------------------------------------------- connections


async def test_a_connection_dropped_before_any_byte_is_replaced_at_once() -> None:
    async def answer(connection: Connection) -> None:
        if len(server.connections) == 2:
            connection.close()  # a kept connection, whose other side has had enough of it
        else:
            await whole(connection)

    failed: list[Attempt] = []
    policy = RetryPolicy(base=60, cap=60, on_retry=failed.append)
    async with asyncio.timeout(20), talking_to(answer, retry=policy) as (server, client):
        await client.stream(MODEL, "Hi").response()
        assert (await client.stream(MODEL, "Hi").response()).text == "Hello"
        assert len(server.connections) == 3
        assert [attempt.wait for attempt in failed] == [0.0]
        assert isinstance(failed[0].error, errors.ConnectionFailed)


@pytest.mark.parametrize("leave", [Connection.close, Connection.reset], ids=["close", "reset"])
async def test_only_the_first_drop_is_retried_at_once(leave: Any) -> None:
    async def answer(connection: Connection) -> None:
        leave(connection)

    waits: list[float] = []

    def hook(attempt: Attempt) -> None:
        waits.append(attempt.wait)
        if len(waits) == 2:
            raise Enough

    async with talking_to(answer, retry=RetryPolicy(base=1e-9, cap=1e-9, on_retry=hook)) as (server, client):
        with pytest.raises(Enough):
            await client.generate(MODEL, "Hi")
        assert len(server.connections) == 2
        assert waits[0] == 0.0


async def test_a_refused_connection_is_tried_again_until_the_attempts_are_used_up() -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        async with calling(f"http://127.0.0.1:{taken.getsockname()[1]}") as client:
            stream = client.stream(MODEL, "Hi")
            with pytest.raises(errors.ConnectionFailed) as caught:
                await stream.response()
    assert len(stream.attempts) == 4
    assert stream.attempts[-1].error is caught.value
    assert stream.request_id is None


# ----------------------------------------------------------------------------------------------------------- signatures


async def test_each_attempt_is_signed_anew() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def hook(_attempt: Attempt) -> None:
        nonlocal now
        now += timedelta(minutes=20)

    async with (
        Emulator(clock=lambda: now, script=[THROTTLED, THROTTLED]) as emulator,
        calling(emulator.url, retry=patient(hook), clock=lambda: now) as client,
    ):
        await client.generate(MODEL, "Hi")
        dates = [request.headers["X-Amz-Date"] for request in emulator.requests]
    assert dates == ["20260101T000000Z", "20260101T002000Z", "20260101T004000Z"]


async def test_each_attempt_asks_for_keys() -> None:
    given: list[str] = []

    async def provider() -> Credentials:
        given.append(f"token-{len(given)}")
        return Credentials("AKIDEXAMPLE", "secret", given[-1])

    async def answer(connection: Connection) -> None:
        if len(server.connections) == 1:
            connection.begin()
            connection.chunk(exception("throttlingException", "No."))
            connection.end()
        else:
            await whole(connection)

    async with (
        SocketServer(answer) as server,
        Client(region=REGION, endpoint_url=server.url, credentials=provider, retry=QUICK) as client,
    ):
        await client.stream(MODEL, "Hi").response()
        sent = [connection.headers["x-amz-security-token"] for connection in server.connections]
    assert sent == ["token-0", "token-1"]


async def test_a_refusal_that_a_new_signature_cures_is_no_retry() -> None:
    async with (
        Emulator(clock=lambda: datetime.now(UTC) + timedelta(minutes=10)) as emulator,
        calling(emulator.url, retry=RetryPolicy(max_attempts=1)) as client,
    ):
        stream = client.stream(MODEL, "Hi")
        await stream.response()
        assert len(stream.attempts) == 1
        assert client.stats().retries == 0
        assert emulator.request_count == 2


# ------------------------------------------------------------------------------------------------------------- the wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"x-amz-retry-after": "1500", "Retry-After": "7"}, 1.5),
        ({"Retry-After": "-7"}, 0.0),
        ({"Retry-After": "soon"}, 0.0),
        ({"x-amz-retry-after": "soon"}, 0.0),
        ({"Retry-After": "9" * 400}, 0.0),
    ],
)
async def test_the_service_says_how_long_to_wait(emulator: Emulator, headers: dict[str, str], seconds: float) -> None:
    waits: list[float] = []

    def hook(attempt: Attempt) -> None:
        waits.append(attempt.wait)
        raise Enough

    emulator.script(http_error(429, "ThrottlingException", "Wait.", headers))
    async with calling(emulator.url, retry=patient(hook)) as client:
        with pytest.raises(Enough):
            await client.stream(MODEL, "Hi").response()
    assert waits == [seconds]


async def test_the_service_may_name_a_date() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(
            b"HTTP/1.1 503 Busy\r\nx-amzn-ErrorType: ServiceUnavailableException\r\ncontent-length: 2\r\n"
            b"Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nRetry-After: Sun, 22 Nov 2026 10:00:09 GMT\r\n\r\n{}"
        )

    async with talking_to(answer, retry=RetryPolicy(max_attempts=1)) as (_, client):
        with pytest.raises(errors.ServiceUnavailable) as caught:
            await client.generate(MODEL, "Hi")
    assert caught.value.retry_after == 9.0


async def test_a_wait_longer_than_the_policy_s_total_is_not_begun(emulator: Emulator, client: Client) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Wait.", {"Retry-After": "121"}))
    with pytest.raises(errors.Throttled) as caught:
        await client.generate(MODEL, "Hi")
    assert caught.value.retry_after == 121
    assert emulator.request_count == 1


async def test_the_wait_is_kept_and_told(emulator: Emulator) -> None:
    failed: list[Attempt] = []
    emulator.script(http_error(429, "ThrottlingException", "Wait.", {"x-amz-retry-after": "20"}))
    async with calling(emulator.url, retry=patient(failed.append)) as client:
        stream = client.stream(MODEL, "Hi")
        await stream.response()
    assert [attempt.wait for attempt in failed] == [0.02]
    assert stream.attempts[0] == failed[0]
    assert failed[0].seconds > 0
    assert failed[0].target.model == MODEL


async def test_what_the_hook_raises_ends_the_call(emulator: Emulator) -> None:
    def hook(_attempt: Attempt) -> None:
        raise Enough("of it")

    for fault in PLACES.values():
        emulator.script(*fault)
    async with calling(emulator.url, retry=patient(hook)) as client:
        for _ in PLACES:
            stream = client.stream(MODEL, "Hi")
            with pytest.raises(Enough):
                await anext(stream)
            with pytest.raises(errors.StreamInterrupted, match="Enough"):
                await anext(stream)
        emulator.script(THROTTLED)
        with pytest.raises(Enough):
            await client.generate(MODEL, "Hi")
        assert client.stats().open_streams == 0
    assert emulator.request_count == 4


async def test_a_timeout_error_of_the_hook_is_not_taken_for_a_clock(emulator: Emulator) -> None:
    def hook(_attempt: Attempt) -> None:
        raise TimeoutError("mine")

    emulator.script(THROTTLED)
    emulator.script(THROTTLED)
    async with calling(emulator.url, retry=patient(hook), timeouts=Timeouts(total=60)) as client:
        with pytest.raises(TimeoutError, match="mine"):
            await client.stream(MODEL, "Hi").response()
        with pytest.raises(TimeoutError, match="mine"):
            await client.generate(MODEL, "Hi")


# ------------------------------------------------------------------------------------------------------- how many times


async def test_one_attempt_is_one_attempt(emulator: Emulator, client: Client) -> None:
    emulator.script(THROTTLED)
    with pytest.raises(errors.Throttled):
        await client.stream(MODEL, "Hi", retry=RetryPolicy(max_attempts=1)).response()
    assert emulator.request_count == 1


async def test_the_call_s_policy_goes_before_the_client_s(emulator: Emulator) -> None:
    async with calling(emulator.url, retry=RetryPolicy(max_attempts=1)) as client:
        emulator.script(THROTTLED)
        await client.generate(MODEL, "Hi", retry=QUICK)
        emulator.script(THROTTLED)
        await client.stream(MODEL, "Hi", retry=QUICK).response()
        emulator.script(THROTTLED)
        await client.invoke(CLAUDE, CLAUDE_BODY, retry=QUICK)
    assert emulator.request_count == 6


async def test_all_calls_draw_on_one_budget() -> None:
    twice = RetryPolicy(max_attempts=2, base=0, cap=0)
    async with Emulator(script=lambda _: THROTTLED) as emulator, calling(emulator.url, retry=twice) as client:

        async def call() -> None:
            with pytest.raises(errors.Throttled):
                await client.generate(MODEL, "Hi")

        await asyncio.gather(*(call() for _ in range(110)))
        assert emulator.request_count == 210
        assert client.stats().retries_left == 0
        with pytest.raises(errors.Throttled):
            await client.generate(MODEL, "Hi", retry=RetryPolicy(max_attempts=3, base=0, cap=0, budget=False))
        assert emulator.request_count == 213


CLAUDE_BODY = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}


async def test_every_operation_tries_again(emulator: Emulator, client: Client) -> None:
    emulator.script(THROTTLED)
    assert (await client.generate(MODEL, "Hi")).text
    emulator.script(THROTTLED)
    assert (await client.invoke(CLAUDE, CLAUDE_BODY))["type"] == "message"
    emulator.script(stream_error("throttlingException", "No."))
    assert [document async for document in client.invoke_stream(CLAUDE, CLAUDE_BODY)]
    emulator.script(THROTTLED)
    assert await client.count_tokens(CLAUDE, "Hi") > 0
    assert emulator.request_count == 8
    assert client.stats().retries == 4


async def test_a_torn_whole_answer_is_tried_again(emulator: Emulator, client: Client) -> None:
    emulator.script(say("torn"), cut(torn=True))
    emulator.script(say("Hello"))
    assert (await client.generate(MODEL, "Hi")).text == "Hello"
    assert emulator.request_count == 2


async def test_each_round_of_a_tool_run_tries_again(emulator: Emulator, client: Client) -> None:
    ran: list[str] = []

    def look(at: str) -> str:
        """Look at something."""
        ran.append(at)
        return "nothing"

    emulator.script(THROTTLED)
    emulator.script(tool_call("look", {"at": "it"}), stop("tool_use"))
    emulator.script(start(), stream_error("throttlingException", "No."))
    emulator.script(say("Nothing."))
    run = client.run_tools(MODEL, "Look", tools=[look])
    events = [event async for event in run]
    assert sum(isinstance(event, ToolCallEnd) for event in events) == 1
    assert (await run.response()).text == "Nothing."
    assert ran == ["it"]
    assert emulator.request_count == 4


# --------------------------------------------------------------------------------------------- leaving between attempts


@pytest.mark.parametrize("fault", ["status", "frame"])
async def test_cancelling_the_wait_before_the_next_attempt_closes_the_stream(fault: str) -> None:
    waiting = Waiting()
    script: list[Any] = [Waiting.FAULT] if fault == "status" else [start(), stream_error("throttlingException", "No.")]
    # A frame names no time to wait.
    policy = RetryPolicy(base=1e9, cap=1e9, total=None, on_retry=waiting.policy.on_retry)
    async with Emulator(script=[script]) as emulator, calling(emulator.url, retry=policy) as client:
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.response())
        await waiting.begun.wait()
        assert client.stats().open_streams == 0, "nothing is held while it waits"
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        with pytest.raises(errors.StreamInterrupted, match="CancelledError"):
            await anext(stream)
        assert emulator.request_count == 1
        assert [attempt.number for attempt in stream.attempts] == [1]


async def test_closing_the_stream_ends_the_wait_before_the_next_attempt() -> None:
    waiting = Waiting()
    async with (
        asyncio.timeout(20),
        Emulator(script=[[Waiting.FAULT]]) as emulator,
        calling(emulator.url, retry=waiting.policy) as client,
    ):
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.response())
        await waiting.begun.wait()
        await stream.aclose()
        with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
            await reading
        assert emulator.request_count == 1


@pytest.mark.parametrize("whole_answer", [False, True], ids=["stream", "generate"])
async def test_closing_the_client_ends_the_wait_before_the_next_attempt(whole_answer: bool) -> None:
    waiting = Waiting()
    async with asyncio.timeout(20), Emulator(script=[[Waiting.FAULT]]) as emulator:
        client = calling(emulator.url, retry=waiting.policy)
        call = client.generate(MODEL, "Hi") if whole_answer else client.stream(MODEL, "Hi").response()
        reading = asyncio.create_task(call)
        await waiting.begun.wait()
        await client.aclose()
        with pytest.raises(errors.ClientClosed):
            await reading
        assert emulator.request_count == 1


async def test_closing_the_stream_ends_its_wait_for_a_slot() -> None:
    async with asyncio.timeout(20), talking_to(begin_and_wait, max_connections=1) as (server, client):
        async with client.stream(MODEL, "Hi") as first:
            await anext(first)
            second = client.stream(MODEL, "Hi")
            reading = asyncio.create_task(second.response())
            while not client.stats().waiting:
                await asyncio.sleep(0)
            await second.aclose()
            with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
                await reading
            assert (client.stats().waiting, client.stats().open_streams) == (0, 1)
        assert client.stats().open_streams == 0
        assert len(server.connections) == 1


async def test_closing_the_stream_ends_its_wait_for_keys() -> None:
    asked = asyncio.Event()

    async def provider() -> Credentials:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with (
        asyncio.timeout(20),
        Client(region=REGION, endpoint_url="http://127.0.0.1:9", credentials=provider) as client,
    ):
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.open())
        await asked.wait()
        await stream.aclose()
        with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
            await reading
        assert client.stats().open_streams == 0


async def test_a_stream_dropped_after_a_retry_frees_its_socket() -> None:
    async def answer(connection: Connection) -> None:
        if len(server.connections) == 1:
            connection.begin()
            connection.chunk(exception("throttlingException", "No."))
            connection.end()
        else:
            await begin_and_wait(connection)

    async with talking_to(answer) as (server, client):
        with pytest.warns(ResourceWarning, match="dropped before its end"):
            async for _ in client.stream(MODEL, "Hi"):
                break
        await server.connections[1].closed.wait()
        assert client.stats().open_streams == 0


# ----------------------------------------------------------------------------------------------------------- the clocks


async def silent_after(head: bool, *chunks: bytes, connection: Connection) -> None:
    if head:
        connection.begin()
    for chunk in chunks:
        connection.chunk(chunk)
    await connection.closed.wait()


@pytest.mark.parametrize(
    ("head", "chunks", "limits", "kind", "limit"),
    [
        (False, [], {"first_event": 0.1}, errors.FirstEventTimeout, 0.1),
        (False, [], {"first_event": 9, "first_content": 0.1}, errors.FirstContentTimeout, 0.1),
        (True, [], {"first_event": 0.1, "first_content": 9}, errors.FirstEventTimeout, 0.1),
        (True, [START], {"first_event": 9, "first_content": 0.1}, errors.FirstContentTimeout, 0.1),
        (True, [START], {"first_event": 9, "idle": 0.1}, errors.IdleTimeout, 0.1),
        (True, [START], {"first_event": 9, "idle": 0.1, "first_content": 9}, errors.IdleTimeout, 0.1),
        (True, [START, text("Hello")], {"first_event": 9, "idle": 0.1, "first_content": 9}, errors.IdleTimeout, 0.1),
        (True, [START, text("Hello")], {"total": 0.1}, errors.TotalTimeout, 0.1),
        (True, [], {"total": 0.1}, errors.TotalTimeout, 0.1),
        (False, [], {"total": 0.1}, errors.TotalTimeout, 0.1),
    ],
)
async def test_each_clock_has_an_error_of_its_own(
    head: bool, chunks: list[bytes], limits: dict[str, float], kind: type[errors.TimeLimitError], limit: float
) -> None:
    async def answer(connection: Connection) -> None:
        await silent_after(head, *chunks, connection=connection)

    async with talking_to(answer, timeouts=Timeouts(**limits)) as (server, client):
        stream, events = client.stream(MODEL, "Hi"), []
        with pytest.raises(kind) as caught:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - a comprehension would lose them
        assert type(caught.value) is kind
        assert caught.value.limit == limit
        assert caught.value.elapsed >= limit * 0.9
        assert caught.value.bytes_received == sum(map(len, chunks))
        assert caught.value.events_received == len(events) == len(chunks)
        assert [attempt.error for attempt in stream.attempts] == [caught.value]
        await server.deserted()


async def test_standing_in_line_is_no_part_of_the_wait_for_the_first_event() -> None:
    go_on = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        if len(server.connections) == 2:
            await go_on.wait()
        connection.chunk(START + text("Hello") + END)
        connection.end()

    limits = Timeouts(first_event=0.5, first_content=0.5)
    async with talking_to(answer, max_connections=1) as (server, client):
        first = await client.stream(MODEL, "Hi").open()
        second = client.stream(MODEL, "Hi", timeouts=limits)
        opening = asyncio.create_task(second.open())
        await asyncio.sleep(0.6)  # longer than the limit, and none of the service's time
        await first.response()
        await opening
        reading = asyncio.create_task(second.response())
        await asyncio.sleep(0)
        go_on.set()
        assert (await reading).text == "Hello"


async def test_the_total_goes_on_while_the_caller_works() -> None:
    async with talking_to(begin_and_wait, timeouts=Timeouts(total=0.2)) as (server, client):
        stream = client.stream(MODEL, "Hi")
        await anext(stream)
        await server.connections[0].closed.wait()  # the caller works, and the connection is given back all the same
        with pytest.raises(errors.TotalTimeout) as caught:
            await stream.response()
        assert caught.value.partial is not None
        assert caught.value.partial.text == "Hello"


@pytest.mark.parametrize("whole_answer", [False, True], ids=["stream", "generate"])
async def test_the_total_holds_over_all_attempts_and_their_waits(whole_answer: bool) -> None:
    waiting = Waiting()
    async with (
        asyncio.timeout(20),
        Emulator(script=[[Waiting.FAULT]]) as emulator,
        calling(emulator.url, retry=waiting.policy, timeouts=Timeouts(total=0.2)) as client,
    ):
        call = client.generate(MODEL, "Hi") if whole_answer else client.stream(MODEL, "Hi").response()
        with pytest.raises(errors.TotalTimeout) as caught:
            await call
        assert waiting.begun.is_set()
        assert (caught.value.limit, caught.value.model, caught.value.region) == (0.2, MODEL, REGION)
        assert emulator.request_count == 1


async def test_the_total_counts_from_the_first_attempt() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        if len(server.connections) == 1:
            await asyncio.sleep(0.2)
            connection.close()
        else:
            await connection.closed.wait()

    async with talking_to(answer, timeouts=Timeouts(total=1)) as (server, client):
        stream = client.stream(MODEL, "Hi")
        with pytest.raises(errors.TotalTimeout) as caught:
            await stream.response()
        assert len(server.connections) == len(stream.attempts) == 2
        assert caught.value.elapsed > sum(attempt.seconds or 0 for attempt in stream.attempts) - 0.1


async def test_first_content_says_nothing_about_whole_answers() -> None:
    async def answer(connection: Connection) -> None:
        await asyncio.sleep(0.2)
        body = b'{"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn"}'
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
        connection.write(body)

    async with talking_to(answer, timeouts=Timeouts(first_content=0.1)) as (_, client):
        assert (await client.generate(MODEL, "Hi")).text == "Hello"


async def test_an_opened_stream_that_nobody_reads_is_tried_no_further() -> None:
    async def answer(connection: Connection) -> None:
        await silent_after(True, START, connection=connection)

    async with talking_to(answer, timeouts=Timeouts(unread=0.1, first_content=0.05)) as (server, client):
        stream = await client.stream(MODEL, "Hi").open()
        await server.deserted()
        with pytest.raises(errors.UnreadTimeout):
            await anext(stream)
        assert len(server.connections) == 1
