"""Attempts: which failures are retried, after which wait and with which signature, and the time limits of a call."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
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
from tests.conftest import QUICK_RETRIES
from tests.support.clients import ONCE, client_of, collect, complete_stream, connected
from tests.support.socket_server import END, START, Connection, begin_and_wait, exception, text

MODEL = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-3-5-sonnet-20241022-v2:0"
THROTTLED = http_error(429, "ThrottlingException", "Too many requests.")
WAIT_A_MINUTE = http_error(429, "ThrottlingException", "Wait.", {"Retry-After": "60"})


def quick_policy(hook: Any) -> RetryPolicy:
    """Return a policy that retries without waiting and calls this hook."""
    return RetryPolicy(base=0, cap=0, on_retry=hook)


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    async with client_of(emulator.url) as client:
        yield client


class WaitEvent(asyncio.Event):
    """An event that is set when a call begins to wait before a retry."""

    @property
    def policy(self) -> RetryPolicy:
        return RetryPolicy(on_retry=self.hook)

    def hook(self, _attempt: Attempt) -> None:
        self.set()


class HookError(Exception):
    """Raised by a hook to end the call."""


# ----------------------------------------------------------------------------------------------------- retried failures

POSITIONS: dict[str, list[Any]] = {
    "as a status": [THROTTLED],
    "as the first frame": [stream_error("throttlingException", "Too many requests.")],
    "after the message's start": [start(), stream_error("throttlingException", "Too many requests.")],
}


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
@pytest.mark.parametrize("position", POSITIONS)
async def test_throttling_before_any_content_is_retried_invisibly(
    emulator: Emulator, client: Client, position: str, model: str
) -> None:
    emulator.script(*POSITIONS[position])
    emulator.script(say(["Hel", "lo"]))
    stream = client.stream(model, "Hi", use_converse=model == MODEL)
    events = await collect(stream)
    assert sum(isinstance(event, MessageStart) for event in events) == 1
    assert isinstance(events[0], MessageStart)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello"
    assert (await stream.response()).text == "Hello"
    assert emulator.request_count == 2
    failed, succeeded = stream.attempts
    assert isinstance(failed.error, errors.Throttled)
    assert failed.error.request_id != stream.request_id
    assert (failed.number, succeeded.number, succeeded.error) == (1, 2, None)


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


@pytest.mark.parametrize("as_frame", [False, True], ids=["status", "frame"])
@pytest.mark.parametrize(("code", "status"), [*RETRYABLE.items(), *FINAL.items()])
async def test_only_transient_errors_are_retried(
    emulator: Emulator, client: Client, code: str, status: int, as_frame: bool
) -> None:
    fault = stream_error(code[:1].lower() + code[1:], "No.") if as_frame else http_error(status, code, "No.")
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


async def test_input_that_is_too_long_is_never_retried(emulator: Emulator, client: Client) -> None:
    emulator.script(http_error(400, "ValidationException", "Input is too long for requested model."))
    with pytest.raises(errors.ContextWindowExceeded):
        await client.generate(MODEL, "Hi")
    assert emulator.request_count == 1


async def test_throttling_is_recognized_by_its_name_and_not_by_its_message(emulator: Emulator, client: Client) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Too many tokens, please wait before trying again."))
    emulator.script(http_error(429, "ThrottlingException", "Input is too long, please wait."))
    await client.generate(MODEL, "Hi")
    assert emulator.request_count == 3


@pytest.mark.parametrize(
    "fault", [stream_error("throttlingException", "No."), cut(), cut(torn=True), reset()], ids=lambda step: str(step)
)
async def test_nothing_is_retried_after_content(emulator: Emulator, client: Client, fault: Any) -> None:
    emulator.script(say(["Hello"]), fault)
    stream, events = client.stream(MODEL, "Hi"), list[Any]()
    with pytest.raises((errors.Throttled, errors.StreamInterrupted)) as caught:
        await collect(stream, events)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello"
    assert caught.value.events_received == len(events)
    assert (caught.value.model, caught.value.region) == (MODEL, REGION)
    assert caught.value.request_id == stream.request_id is not None
    assert emulator.request_count == 1
    assert [attempt.error for attempt in stream.attempts] == [caught.value]


@pytest.mark.parametrize("fault", [cut(), cut(torn=True), cut(inside=20), reset()], ids=lambda step: str(step))
@pytest.mark.parametrize("before", [[], [start()]], ids=["nothing", "start"])
async def test_a_stream_that_is_interrupted_before_any_content_is_retried(
    emulator: Emulator, client: Client, before: list[Any], fault: Any
) -> None:
    emulator.script(*before, fault)
    emulator.script(say(["Hello"]))
    response = await client.stream(MODEL, "Hi").response()
    assert response.text == "Hello"
    assert emulator.request_count == 2


async def test_nothing_remains_of_a_failed_attempt(emulator: Emulator) -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        if len(server.connections) == 1:
            connection.chunk(START + text("lost")[:-5])  # the decoder of this attempt holds an incomplete frame
            connection.close()
        else:
            connection.chunk(START + text("Hello") + END)
            connection.end()

    async with connected(answer) as (server, client):
        stream = client.stream(MODEL, "Hi")
        assert [type(event).__name__ for event in await collect(stream)] == [
            "MessageStart",
            "TextDelta",
            "MessageStop",
            "Metadata",
        ]
        assert (await stream.response()).text == "Hello"
        assert client.stats().open_streams == 0


async def test_the_last_failure_is_raised_with_its_own_attributes(emulator: Emulator, client: Client) -> None:
    for number in range(3):
        emulator.script(http_error(503, "ServiceUnavailableException", f"Failure {number}."))
    emulator.script(start(), stream_error("throttlingException", "The last."))
    stream = client.stream(MODEL, "Hi")
    assert isinstance(await anext(stream), MessageStart)  # the held back start is delivered before the failure
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


async def test_a_stale_connection_is_replaced_at_once() -> None:
    async def answer(connection: Connection) -> None:
        if len(server.connections) == 2:
            connection.close()  # a pooled connection that the other side closes
        else:
            await complete_stream(connection)

    failed: list[Attempt] = []
    policy = RetryPolicy(base=60, cap=60, on_retry=failed.append)
    async with asyncio.timeout(20), connected(answer, retry=policy) as (server, client):
        await client.stream(MODEL, "Hi").response()
        assert (await client.stream(MODEL, "Hi").response()).text == "Hello"
        assert len(server.connections) == 3
        assert failed == []
        assert client.stats().retries_left == 100


@pytest.mark.parametrize("end", [Connection.close, Connection.reset], ids=["close", "reset"])
async def test_only_the_first_dropped_connection_is_replaced_at_once(end: Any) -> None:
    async def answer(connection: Connection) -> None:
        end(connection)

    waits: list[float] = []

    def hook(attempt: Attempt) -> None:
        waits.append(attempt.wait)
        if len(waits) == 2:
            raise HookError

    async with connected(answer, retry=RetryPolicy(base=1e-9, cap=1e-9, on_retry=hook)) as (server, client):
        with pytest.raises(HookError):
            await client.generate(MODEL, "Hi")
        assert len(server.connections) == 2
        assert waits[0] == 0.0


async def test_a_refused_connection_is_retried_until_no_attempts_are_left() -> None:
    with socket.socket() as unused:  # bound, but not listening
        unused.bind(("127.0.0.1", 0))
        async with client_of(f"http://127.0.0.1:{unused.getsockname()[1]}") as client:
            stream = client.stream(MODEL, "Hi")
            with pytest.raises(errors.ConnectionFailed) as caught:
                await stream.response()
    assert len(stream.attempts) == 4
    assert stream.attempts[-1].error is caught.value
    assert stream.request_id is None


# ----------------------------------------------------------------------------------------------------------- signatures


async def test_each_attempt_has_its_own_signature() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def hook(_attempt: Attempt) -> None:
        nonlocal now
        now += timedelta(minutes=20)

    async with (
        Emulator(clock=lambda: now, script=[THROTTLED, THROTTLED]) as emulator,
        client_of(emulator.url, retry=quick_policy(hook), clock=lambda: now) as client,
    ):
        await client.generate(MODEL, "Hi")
        dates = [request.headers["X-Amz-Date"] for request in emulator.requests]
    assert dates == ["20260101T000000Z", "20260101T002000Z", "20260101T004000Z"]


async def test_each_attempt_fetches_credentials() -> None:
    tokens: list[str] = []

    async def provider() -> Credentials:
        tokens.append(f"token-{len(tokens)}")
        return Credentials("AKIDEXAMPLE", "secret", tokens[-1])

    async def answer(connection: Connection) -> None:
        if len(server.connections) == 1:
            connection.begin()
            connection.chunk(exception("throttlingException", "No."))
            connection.end()
        else:
            await complete_stream(connection)

    async with connected(answer, credentials=provider) as (server, client):
        await client.stream(MODEL, "Hi").response()
        sent = [connection.headers["x-amz-security-token"] for connection in server.connections]
    assert sent == ["token-0", "token-1"]


async def test_a_request_sent_again_with_a_new_signature_is_not_a_retry() -> None:
    async with (
        Emulator(clock=lambda: datetime.now(UTC) + timedelta(minutes=10)) as emulator,
        client_of(emulator.url, retry=ONCE) as client,
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
async def test_retry_after_sets_the_wait(emulator: Emulator, headers: dict[str, str], seconds: float) -> None:
    waits: list[float] = []

    def hook(attempt: Attempt) -> None:
        waits.append(attempt.wait)
        raise HookError

    emulator.script(http_error(429, "ThrottlingException", "Wait.", headers))
    async with client_of(emulator.url, retry=quick_policy(hook)) as client:
        with pytest.raises(HookError):
            await client.stream(MODEL, "Hi").response()
    assert waits == [seconds]


async def test_retry_after_may_be_a_date() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(
            b"HTTP/1.1 503 Busy\r\nx-amzn-ErrorType: ServiceUnavailableException\r\ncontent-length: 2\r\n"
            b"Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nRetry-After: Sun, 22 Nov 2026 10:00:09 GMT\r\n\r\n{}"
        )

    async with connected(answer, retry=ONCE) as (_, client):
        with pytest.raises(errors.ServiceUnavailable) as caught:
            await client.generate(MODEL, "Hi")
    assert caught.value.retry_after == 9.0


async def test_a_wait_beyond_the_policys_total_is_not_started(emulator: Emulator, client: Client) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Wait.", {"Retry-After": "121"}))
    with pytest.raises(errors.Throttled) as caught:
        await client.generate(MODEL, "Hi")
    assert caught.value.retry_after == 121
    assert emulator.request_count == 1


async def test_the_wait_is_recorded_and_passed_to_the_hook(emulator: Emulator) -> None:
    failed: list[Attempt] = []
    emulator.script(http_error(429, "ThrottlingException", "Wait.", {"x-amz-retry-after": "20"}))
    async with client_of(emulator.url, retry=quick_policy(failed.append)) as client:
        stream = client.stream(MODEL, "Hi")
        await stream.response()
    assert [attempt.wait for attempt in failed] == [0.02]
    assert stream.attempts[0] == failed[0]
    assert failed[0].seconds > 0
    assert failed[0].target.model == MODEL


async def test_an_exception_from_the_hook_ends_the_call(emulator: Emulator) -> None:
    def hook(_attempt: Attempt) -> None:
        raise HookError

    for fault in POSITIONS.values():
        emulator.script(*fault)
    async with client_of(emulator.url, retry=quick_policy(hook)) as client:
        for _ in POSITIONS:
            stream = client.stream(MODEL, "Hi")
            with pytest.raises(HookError):
                await anext(stream)
            with pytest.raises(errors.StreamInterrupted, match="HookError"):
                await anext(stream)
        emulator.script(THROTTLED)
        with pytest.raises(HookError):
            await client.generate(MODEL, "Hi")
        assert client.stats().open_streams == 0
    assert emulator.request_count == 4


async def test_a_timeout_error_from_the_hook_is_raised_unchanged(emulator: Emulator) -> None:
    def hook(_attempt: Attempt) -> None:
        raise TimeoutError("mine")

    emulator.script(THROTTLED)
    emulator.script(THROTTLED)
    async with client_of(emulator.url, retry=quick_policy(hook), timeouts=Timeouts(total=60)) as client:
        with pytest.raises(TimeoutError, match="mine"):
            await client.stream(MODEL, "Hi").response()
        with pytest.raises(TimeoutError, match="mine"):
            await client.generate(MODEL, "Hi")


# --------------------------------------------------------------------------------------------------- number of attempts


async def test_max_attempts_of_one_means_no_retry(emulator: Emulator, client: Client) -> None:
    emulator.script(THROTTLED)
    with pytest.raises(errors.Throttled):
        await client.stream(MODEL, "Hi", retry=ONCE).response()
    assert emulator.request_count == 1


async def test_the_calls_policy_takes_precedence_over_the_clients(emulator: Emulator) -> None:
    async with client_of(emulator.url, retry=ONCE) as client:
        emulator.script(THROTTLED)
        await client.generate(MODEL, "Hi", retry=QUICK_RETRIES)
        emulator.script(THROTTLED)
        await client.stream(MODEL, "Hi", retry=QUICK_RETRIES).response()
        emulator.script(THROTTLED)
        await client.invoke(CLAUDE, CLAUDE_BODY, retry=QUICK_RETRIES)
    assert emulator.request_count == 6


async def test_all_calls_share_one_budget() -> None:
    twice = RetryPolicy(max_attempts=2, base=0, cap=0)
    async with Emulator(script=lambda _: THROTTLED) as emulator, client_of(emulator.url, retry=twice) as client:

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


async def test_every_operation_retries(emulator: Emulator, client: Client) -> None:
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


async def test_a_truncated_document_is_retried(emulator: Emulator, client: Client) -> None:
    emulator.script(say("lost"), cut(torn=True))
    emulator.script(say("Hello"))
    assert (await client.generate(MODEL, "Hi")).text == "Hello"
    assert emulator.request_count == 2


async def test_each_round_of_a_tool_run_retries(emulator: Emulator, client: Client) -> None:
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


# --------------------------------------------------------------------------------------------- closing between attempts


@pytest.mark.parametrize("fault", ["status", "frame"])
async def test_cancelling_the_wait_before_a_retry_closes_the_stream(fault: str) -> None:
    waiting = WaitEvent()
    script: list[Any] = [WAIT_A_MINUTE] if fault == "status" else [start(), stream_error("throttlingException", "No.")]
    # An exception frame has no Retry-After, so the policy's own wait must be long.
    policy = RetryPolicy(base=1e9, cap=1e9, total=None, on_retry=waiting.hook)
    async with Emulator(script=[script]) as emulator, client_of(emulator.url, retry=policy) as client:
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.response())
        await waiting.wait()
        assert client.stats().open_streams == 0, "no slot is held during the wait"
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        with pytest.raises(errors.StreamInterrupted, match="CancelledError"):
            await anext(stream)
        assert emulator.request_count == 1
        assert [attempt.number for attempt in stream.attempts] == [1]


async def test_closing_the_stream_ends_the_wait_before_a_retry() -> None:
    waiting = WaitEvent()
    async with (
        asyncio.timeout(20),
        Emulator(script=[[WAIT_A_MINUTE]]) as emulator,
        client_of(emulator.url, retry=waiting.policy) as client,
    ):
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.response())
        await waiting.wait()
        await stream.aclose()
        with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
            await reading
        assert emulator.request_count == 1


@pytest.mark.parametrize("generate", [False, True], ids=["stream", "generate"])
async def test_closing_the_client_ends_the_wait_before_a_retry(generate: bool) -> None:
    waiting = WaitEvent()
    async with asyncio.timeout(20), Emulator(script=[[WAIT_A_MINUTE]]) as emulator:
        client = client_of(emulator.url, retry=waiting.policy)
        call = client.generate(MODEL, "Hi") if generate else client.stream(MODEL, "Hi").response()
        reading = asyncio.create_task(call)
        await waiting.wait()
        await client.aclose()
        with pytest.raises(errors.ClientClosed):
            await reading
        assert emulator.request_count == 1


async def test_closing_the_stream_ends_its_wait_for_a_slot() -> None:
    async with asyncio.timeout(20), connected(begin_and_wait, max_connections=1) as (server, client):
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


async def test_closing_the_stream_ends_its_wait_for_credentials() -> None:
    fetching = asyncio.Event()

    async def provider() -> Credentials:
        fetching.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with (
        asyncio.timeout(20),
        Client(region=REGION, endpoint_url="http://127.0.0.1:9", credentials=provider) as client,
    ):
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.open())
        await fetching.wait()
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

    async with connected(answer) as (server, client):
        with pytest.warns(ResourceWarning, match="dropped before its end"):
            async for _ in client.stream(MODEL, "Hi"):
                break
        await server.connections[1].closed.wait()
        assert client.stats().open_streams == 0


# ---------------------------------------------------------------------------------------------------------- time limits


async def silent_after(headers: bool, *chunks: bytes, connection: Connection) -> None:
    """Send the headers, if wanted, and these chunks, and nothing more until the client closes."""
    if headers:
        connection.begin()
    for chunk in chunks:
        connection.chunk(chunk)
    await connection.closed.wait()


# A limit that starts with the call, while something is received, leaves a busy machine enough time for that.
@pytest.mark.parametrize(
    ("headers", "chunks", "limits", "kind", "limit"),
    [
        (False, [], {"first_event": 0.1}, errors.FirstEventTimeout, 0.1),
        (False, [], {"first_event": 9, "first_content": 0.1}, errors.FirstContentTimeout, 0.1),
        (True, [], {"first_event": 0.1, "first_content": 9}, errors.FirstEventTimeout, 0.1),
        (True, [START], {"first_event": 9, "first_content": 0.3}, errors.FirstContentTimeout, 0.3),
        (True, [START], {"first_event": 9, "idle": 0.1}, errors.IdleTimeout, 0.1),
        (True, [START], {"first_event": 9, "idle": 0.1, "first_content": 9}, errors.IdleTimeout, 0.1),
        (True, [START, text("Hello")], {"first_event": 9, "idle": 0.1, "first_content": 9}, errors.IdleTimeout, 0.1),
        (True, [START, text("Hello")], {"total": 0.3}, errors.TotalTimeout, 0.3),
        (True, [], {"total": 0.1}, errors.TotalTimeout, 0.1),
        (False, [], {"total": 0.1}, errors.TotalTimeout, 0.1),
    ],
)
async def test_each_time_limit_has_its_own_error(
    headers: bool, chunks: list[bytes], limits: dict[str, float], kind: type[errors.TimeLimitError], limit: float
) -> None:
    async def answer(connection: Connection) -> None:
        await silent_after(headers, *chunks, connection=connection)

    async with connected(answer, timeouts=Timeouts(**limits)) as (server, client):
        stream, events = client.stream(MODEL, "Hi"), list[Any]()
        with pytest.raises(kind) as caught:
            await collect(stream, events)
        assert type(caught.value) is kind
        assert caught.value.limit == limit
        assert caught.value.elapsed >= limit * 0.9
        assert caught.value.bytes_received == sum(map(len, chunks))
        assert caught.value.events_received == len(events) == len(chunks)
        assert [attempt.error for attempt in stream.attempts] == [caught.value]
        await server.deserted()


async def test_waiting_for_a_slot_does_not_count_toward_the_first_event() -> None:
    proceed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        if len(server.connections) == 2:
            await proceed.wait()
        connection.chunk(START + text("Hello") + END)
        connection.end()

    limits = Timeouts(first_event=0.5, first_content=0.5)
    async with connected(answer, max_connections=1) as (server, client):
        first = await client.stream(MODEL, "Hi").open()
        second = client.stream(MODEL, "Hi", timeouts=limits)
        opening = asyncio.create_task(second.open())
        await asyncio.sleep(0.6)  # longer than the limit, but the request has not been sent
        await first.response()
        await opening
        reading = asyncio.create_task(second.response())
        await asyncio.sleep(0)
        proceed.set()
        assert (await reading).text == "Hello"


async def test_the_total_limit_counts_while_the_caller_works() -> None:
    async with connected(begin_and_wait, timeouts=Timeouts(total=0.5)) as (server, client):
        stream = client.stream(MODEL, "Hi")
        await anext(stream)
        await server.connections[0].closed.wait()  # the connection is closed although nobody reads
        with pytest.raises(errors.TotalTimeout) as caught:
            await stream.response()
        assert caught.value.partial is not None
        assert caught.value.partial.text == "Hello"


@pytest.mark.parametrize("generate", [False, True], ids=["stream", "generate"])
async def test_the_total_limit_includes_all_attempts_and_waits(generate: bool) -> None:
    waiting = WaitEvent()
    async with (
        asyncio.timeout(20),
        Emulator(script=[[WAIT_A_MINUTE]]) as emulator,
        client_of(emulator.url, retry=waiting.policy, timeouts=Timeouts(total=0.5)) as client,
    ):
        call = client.generate(MODEL, "Hi") if generate else client.stream(MODEL, "Hi").response()
        with pytest.raises(errors.TotalTimeout) as caught:
            await call
        assert waiting.is_set()
        assert (caught.value.limit, caught.value.model, caught.value.region) == (0.5, MODEL, REGION)
        assert emulator.request_count == 1


async def test_the_total_limit_starts_with_the_first_attempt() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        if len(server.connections) == 1:
            await asyncio.sleep(0.05)
            connection.close()
        else:
            await connection.closed.wait()

    async with connected(answer, timeouts=Timeouts(total=1)) as (server, client):
        stream = client.stream(MODEL, "Hi")
        with pytest.raises(errors.TotalTimeout) as caught:
            await stream.response()
        assert len(server.connections) == len(stream.attempts) == 2
        assert caught.value.elapsed > sum(attempt.seconds or 0 for attempt in stream.attempts) - 0.1


async def test_first_content_does_not_apply_to_documents() -> None:
    async def answer(connection: Connection) -> None:
        await asyncio.sleep(0.2)
        body = b'{"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn"}'
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
        connection.write(body)

    async with connected(answer, timeouts=Timeouts(first_content=0.1)) as (_, client):
        assert (await client.generate(MODEL, "Hi")).text == "Hello"


async def test_an_opened_stream_that_is_not_read_is_not_retried() -> None:
    async def answer(connection: Connection) -> None:
        await silent_after(True, START, connection=connection)

    async with connected(answer, timeouts=Timeouts(unread=0.1, first_content=0.05)) as (server, client):
        stream = await client.stream(MODEL, "Hi").open()
        await server.deserted()
        with pytest.raises(errors.UnreadTimeout):
            await anext(stream)
        assert len(server.connections) == 1
