"""Going elsewhere: targets in their order, each signed for its own region, and those passed over that are down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from bedrock_stream import Client, Credentials, MessageStart, RetryPolicy, Target, Timeouts, ToolCallEnd, errors
from bedrock_stream.client.state import ClientState
from bedrock_stream.testing import (
    API_KEY,
    REGION,
    Emulator,
    Keys,
    cut,
    http_error,
    start,
    stop,
    stream_error,
    tool_call,
)
from bedrock_stream.testing import text as say
from tests.conftest import KEYS
from tests.support.socket_server import END, START, Connection, SocketServer, silence, text

NOVA = "amazon.nova-lite-v1:0"
PRO = "amazon.nova-pro-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
CLAUDE = "anthropic.claude-3-5-sonnet-20241022-v2:0"
ELSEWHERE = "eu-central-1"

QUICK = RetryPolicy(base=0, cap=0)
ONCE = RetryPolicy(max_attempts=1)
DOWN = http_error(503, "ServiceUnavailableException", "Down.")


def always(fault: Any) -> Callable[[Any], Any]:
    return lambda _request: fault


@asynccontextmanager
async def two(
    first: Any = None, second: Any = None, **options: Any
) -> AsyncIterator[tuple[Emulator, Emulator, Client]]:
    """Two regions with an emulator each, and a client that goes to the first and then to the second."""
    async with (
        Emulator(script=first) as here,
        Emulator(script=second, region=ELSEWHERE) as there,
        Client(
            region=REGION,
            endpoint_url=here.url,
            credentials=KEYS,
            **{"failover": [Target(region=ELSEWHERE, endpoint_url=there.url)], "retry": QUICK, **options},
        ) as client,
    ):
        yield here, there, client


# -------------------------------------------------------------------------------------------------------- where it goes


async def test_a_failed_request_is_sent_to_the_next_region_at_once_and_signed_for_it() -> None:
    failed: list[Any] = []
    policy = RetryPolicy(base=60, cap=60, on_retry=failed.append)
    async with asyncio.timeout(20), two([DOWN], [[say("There.")]], retry=policy) as (here, there, client):
        stream = client.stream(NOVA, "Hi")
        assert stream.target == Target(model=NOVA, region=REGION, endpoint_url=here.url)
        assert (await stream.response()).text == "There."
        assert stream.target == Target(model=NOVA, region=ELSEWHERE, endpoint_url=there.url)
        assert [attempt.target for attempt in stream.attempts] == [
            Target(model=NOVA, region=REGION, endpoint_url=here.url),
            stream.target,
        ]
        assert [request.region for request in here.requests + there.requests] == [REGION, ELSEWHERE]
        assert [attempt.wait for attempt in failed] == [0.0]
        assert client.stats().retries_left == 100, "another target's turn draws on no budget"


async def test_failover_without_a_retry_refills_the_budget_as_any_success() -> None:
    async with two(always(DOWN)) as (_, _, client):
        with pytest.raises(errors.ServiceUnavailable):
            await client.generate(NOVA, "Hi", failover=[], retry=RetryPolicy(max_attempts=3, base=0, cap=0))
        assert client.stats().retries_left == 98
        for _ in range(4):  # each at the second target, without a retry
            await client.generate(NOVA, "Hi", retry=ONCE)
        assert client.stats().retries_left == 98


async def test_targets_are_tried_in_order_and_again_after_a_wait() -> None:
    asked: list[str] = []
    waits: list[float] = []

    def script(request: Any) -> Any:
        asked.append(request.model)
        return http_error(429, "ThrottlingException", "No.", {"x-amz-retry-after": "10"})

    policy = RetryPolicy(max_attempts=3, base=0, cap=0, on_retry=lambda attempt: waits.append(attempt.wait))
    targets = [Target(model=PRO), Target(model=CLAUDE)]
    async with two(script, failover=targets, retry=policy) as (_, _, client):
        stream = client.stream(NOVA, "Hi")
        with pytest.raises(errors.Throttled) as caught:
            await stream.response()
    assert asked == [NOVA, PRO, CLAUDE, NOVA, NOVA]
    assert waits == [0, 0, 0.01, 0.01]
    assert [attempt.number for attempt in stream.attempts] == [1, 2, 3, 4, 5]
    assert caught.value.model == NOVA


async def test_a_target_with_another_model_uses_its_dialect_and_route() -> None:
    async with two([DOWN, [say("From GPT.")]], failover=[Target(model=GPT)]) as (here, _, client):
        stream = client.stream(CLAUDE, "Hi", use_converse=False)
        assert stream.route == "invoke"
        response = await stream.response()
        assert (response.text, response.model, stream.model) == ("From GPT.", GPT, GPT)
        assert [request.model for request in here.requests] == [CLAUDE, GPT]
        assert here.requests[0].json["anthropic_version"]
        assert "anthropic_version" not in here.requests[1].json


async def test_a_target_has_its_own_credentials() -> None:
    theirs = Keys("AKIDOTHER", "other/secret")
    async with Emulator(credentials=theirs) as there:
        targets = [
            Target(endpoint_url=there.url, credentials=Credentials("AKIDOTHER", "other/secret")),
            Target(endpoint_url=there.url, api_key=API_KEY),
        ]
        async with two(always(DOWN), failover=targets) as (here, _, client):
            there.script(DOWN)
            await client.generate(NOVA, "Hi")
            assert here.requests[0].access_key_id == KEYS.access_key_id
            assert [request.auth for request in there.requests] == ["sigv4", "bearer"]
            assert there.requests[0].access_key_id == "AKIDOTHER"
        for target in targets:
            assert "secret" not in repr(target) + str(targets)
            assert API_KEY not in repr(target)


async def test_a_targets_session_is_loaded_once_for_many_calls() -> None:
    class Session:
        """As botocore's, as far as it is looked at."""

        providers = ()
        asked = 0

        def get_component(self, _name: str) -> Session:
            return self

        def get_credentials(self) -> None:
            raise AssertionError

        def load_credentials(self) -> Session:
            self.asked += 1
            return self

        def get_frozen_credentials(self) -> SimpleNamespace:
            return SimpleNamespace(access_key=KEYS.access_key_id, secret_key=KEYS.secret_access_key, token=None)

    session = Session()
    async with Emulator() as there:
        target = Target(endpoint_url=there.url, credentials=session)
        async with two(always(DOWN), failover=[target]) as (_, _, client):
            for _ in range(3):
                await client.generate(NOVA, "Hi")
        assert there.request_count == 3
        assert session.asked == 1


async def test_targets_of_a_call_replace_the_clients() -> None:
    async with two(always(DOWN)) as (here, there, client):
        with pytest.raises(errors.ServiceUnavailable):
            await client.generate(NOVA, "Hi", failover=[], retry=ONCE)
        with pytest.raises(errors.ServiceUnavailable):
            await client.generate(NOVA, "Hi", failover=[Target(model=PRO)], retry=ONCE)
        assert [request.model for request in here.requests] == [NOVA, NOVA, PRO]
        assert there.request_count == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (Target(model=PRO), "failover: expected a list of Target, got Target"),
        ("us-west-2", "failover: expected a list of Target, got str"),
        ([Target(), "us-west-2"], r"failover\[1\]: expected a Target, got str"),
    ],
)
def test_an_invalid_target_is_refused(given: Any, sentence: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=sentence):
        Client(failover=given)


# -------------------------------------------------------------------------------------------------------- what switches

FAULTS = {
    "throttled": [http_error(429, "ThrottlingException", "No.")],
    "first frame": [stream_error("internalServerException", "No.")],
    "behind the start": [start(), stream_error("throttlingException", "No.")],
    "quota": [http_error(400, "ServiceQuotaExceededException", "No.")],
    "cut": [start(), cut()],
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_failures_that_another_target_may_not_have_cause_failover(fault: str) -> None:
    async with two([FAULTS[fault]], [[say("There.")]]) as (here, there, client):
        events = [event async for event in client.stream(NOVA, "Hi")]
        assert sum(isinstance(event, MessageStart) for event in events) == 1
        assert (here.request_count, there.request_count) == (1, 1)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ValidationException"), (403, "AccessDeniedException"), (404, "ResourceNotFoundException")],
)
async def test_errors_of_the_caller_cause_no_failover(status: int, code: str) -> None:
    async with two([http_error(status, code, "No.")]) as (here, there, client):
        with pytest.raises(errors.ServiceError) as caught:
            await client.stream(NOVA, "Hi").response()
        assert caught.value.region == REGION
        assert (here.request_count, there.request_count) == (1, 0)


async def test_there_is_no_failover_after_content() -> None:
    async with two([[say("Hello"), cut()]]) as (_, there, client):
        stream = client.stream(NOVA, "Hi")
        with pytest.raises(errors.StreamInterrupted):
            await stream.response()
        assert stream.target.region == REGION
        assert there.request_count == 0


@pytest.mark.parametrize(
    ("clock", "begin"), [("first_event", b""), ("first_content", b""), ("first_content", START), ("idle", START)]
)
async def test_a_silent_target_causes_failover(clock: str, begin: bytes) -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        if begin:
            connection.chunk(begin)
        await connection.closed.wait()

    async with (
        SocketServer(answer) as silent,
        Emulator(script=[[say("There.")]]) as there,
        Client(
            region=REGION,
            endpoint_url=silent.url,
            credentials=KEYS,
            retry=QUICK,
            timeouts=Timeouts(**{clock: 0.1}),
            failover=[Target(endpoint_url=there.url)],
        ) as client,
    ):
        switched = client.stream(NOVA, "Hi")
        assert (await switched.response()).text == "There."
        await silent.deserted()
        kinds = {
            "first_event": errors.FirstEventTimeout,
            "first_content": errors.FirstContentTimeout,
            "idle": errors.IdleTimeout,
        }
        assert type(switched.attempts[0].error) is kinds[clock]


async def test_a_target_that_sends_no_headers_is_tried_once() -> None:
    async with (
        SocketServer(silence) as first,
        SocketServer(silence) as second,
        Client(
            region=REGION,
            endpoint_url=first.url,
            credentials=KEYS,
            retry=QUICK,
            timeouts=Timeouts(first_event=0.1),
            failover=[Target(endpoint_url=second.url)],
        ) as client,
    ):
        stream = client.stream(NOVA, "Hi")
        with pytest.raises(errors.FirstEventTimeout):
            await stream.open()
        assert [attempt.target.endpoint_url for attempt in stream.attempts] == [first.url, second.url]


async def test_a_stale_connection_causes_no_failover() -> None:
    async def answer(connection: Connection) -> None:
        if len(server.connections) == 2:
            connection.close()
            return
        connection.begin()
        connection.chunk(START + text("Hello") + END)
        connection.end()

    async with (
        SocketServer(answer) as server,
        Emulator() as there,
        Client(
            region=REGION,
            endpoint_url=server.url,
            credentials=KEYS,
            retry=QUICK,
            failover=[Target(endpoint_url=there.url)],
        ) as client,
    ):
        await client.stream(NOVA, "Hi").response()
        assert (await client.stream(NOVA, "Hi").response()).text == "Hello"
        assert (len(server.connections), there.request_count) == (3, 0)


async def test_only_events_of_the_responding_target_are_delivered() -> None:
    first = [start(), cut()]
    second = [tool_call("look", {"at": "it"}, id="call-2"), stop("tool_use")]
    async with two([first, first], [second, second]) as (_, _, client):
        calls = [event async for event in client.stream(NOVA, "Hi").tool_stream]
        assert [event.id for event in calls if isinstance(event, ToolCallEnd)] == ["call-2"]
        stream = client.stream(NOVA, "Hi")
        response = await stream.response()
        assert [call.id for call in response.tool_calls] == ["call-2"]
        assert response.request_id == stream.request_id
        assert response.usage is not None


# ---------------------------------------------------------------------------------------------------------- the breaker


class Hands:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr(
        ClientState.__init__, "__defaults__", (hands,)
    )  # the clock of the breakers, and of nothing else
    return hands


async def test_a_target_that_failed_five_times_in_a_row_is_skipped_and_tried_again_later(hands: Hands) -> None:
    async with two(always(DOWN)) as (here, there, client):
        for _ in range(8):
            await client.generate(NOVA, "Hi")
        assert (here.request_count, there.request_count) == (5, 8)
        stream = client.stream(NOVA, "Hi")
        await stream.response()
        assert [attempt.target.region for attempt in stream.attempts] == [ELSEWHERE]
        hands.now += 30
        await asyncio.gather(*(client.generate(NOVA, "Hi") for _ in range(5)))
        assert here.request_count == 6, "one call tries it again, the others go on"
        assert there.request_count == 14


async def test_a_target_that_recovers_is_the_first_again(hands: Hands) -> None:
    async with two([DOWN] * 5) as (here, there, client):
        for _ in range(6):
            await client.generate(NOVA, "Hi")
        assert here.request_count == 5
        hands.now += 30
        for _ in range(3):
            await client.generate(NOVA, "Hi")
        assert (here.request_count, there.request_count) == (8, 6)


async def test_a_refusal_closes_the_breaker_of_a_target(hands: Hands) -> None:
    async with two([DOWN] * 5 + [http_error(400, "ValidationException", "No.")]) as (here, _, client):
        for _ in range(5):
            await client.generate(NOVA, "Hi")
        hands.now += 30
        with pytest.raises(errors.ValidationFailed):
            await client.generate(NOVA, "Hi")
        await client.generate(NOVA, "Hi")
        assert here.request_count == 7


async def test_if_all_targets_are_down_the_first_is_tried(hands: Hands) -> None:
    async with two(always(DOWN), always(DOWN), retry=ONCE) as (here, there, client):
        for _ in range(7):
            with pytest.raises(errors.ServiceUnavailable):
                await client.generate(NOVA, "Hi")
        assert (here.request_count, there.request_count) == (7, 5)


async def test_a_second_target_that_is_down_is_skipped(hands: Hands) -> None:
    faults = [DOWN] * 5 + [[say("Here.")]] * 9
    async with two(faults, always(DOWN), retry=ONCE) as (here, there, client):
        for _ in range(5):
            with pytest.raises(errors.ServiceUnavailable):
                await client.generate(NOVA, "Hi")
        assert (await client.generate(NOVA, "Hi")).text == "Here."
        here.script(DOWN)
        assert (here.request_count, there.request_count) == (6, 5)


async def test_accounts_at_one_endpoint_have_separate_breakers(hands: Hands) -> None:
    async with (
        Emulator(script=lambda request: DOWN if request.auth == "sigv4" else None) as emulator,
        Client(
            region=REGION,
            endpoint_url=emulator.url,
            credentials=KEYS,
            retry=QUICK,
            failover=[Target(api_key=API_KEY)],
        ) as client,
    ):
        for _ in range(8):
            await client.generate(NOVA, "Hi")
        assert [request.auth for request in emulator.requests].count("sigv4") == 5
        assert [request.auth for request in emulator.requests].count("bearer") == 8


async def test_a_single_target_is_never_skipped(hands: Hands) -> None:
    async with two([DOWN] * 9, failover=[], retry=ONCE) as (here, _, client):
        for _ in range(9):
            with pytest.raises(errors.ServiceUnavailable):
                await client.generate(NOVA, "Hi")
        assert (await client.generate(NOVA, "Hi")).text
        assert here.request_count == 10
