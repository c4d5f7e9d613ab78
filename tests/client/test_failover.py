"""Failover: the order of targets, which failures cause it, and circuit breakers that skip a target."""

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
from tests.conftest import KEYS, QUICK_RETRIES
from tests.support.clients import ONCE, complete_stream
from tests.support.socket_server import START, Connection, SocketServer, silence

NOVA = "amazon.nova-lite-v1:0"
PRO = "amazon.nova-pro-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
CLAUDE = "anthropic.claude-3-5-sonnet-20241022-v2:0"
CLAUDE_4 = "anthropic.claude-sonnet-4-20250514-v1:0"
OPAQUE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456"
OTHER_REGION = "eu-central-1"

DOWN = http_error(503, "ServiceUnavailableException", "Down.")


def always(fault: Any) -> Callable[[Any], Any]:
    return lambda _request: fault


@asynccontextmanager
async def two_regions(
    first: Any = None, second: Any = None, **options: Any
) -> AsyncIterator[tuple[Emulator, Emulator, Client]]:
    """Start an emulator in each of two regions, and a client with the second one as failover."""
    async with (
        Emulator(script=first) as primary,
        Emulator(script=second, region=OTHER_REGION) as secondary,
        Client(
            region=REGION,
            endpoint_url=primary.url,
            credentials=KEYS,
            **{
                "failover": [Target(region=OTHER_REGION, endpoint_url=secondary.url)],
                "retry": QUICK_RETRIES,
                **options,
            },
        ) as client,
    ):
        yield primary, secondary, client


# ----------------------------------------------------------------------------------------------------- order of targets


async def test_a_failed_request_is_sent_to_the_next_region_at_once_and_signed_for_it() -> None:
    failed: list[Any] = []
    policy = RetryPolicy(base=60, cap=60, on_retry=failed.append)
    async with (
        asyncio.timeout(20),
        two_regions([DOWN], [[say("Second.")]], retry=policy) as (primary, secondary, client),
    ):
        stream = client.stream(NOVA, "Hi")
        assert stream.target == Target(model=NOVA, region=REGION, endpoint_url=primary.url)
        assert (await stream.response()).text == "Second."
        assert stream.target == Target(model=NOVA, region=OTHER_REGION, endpoint_url=secondary.url)
        assert [attempt.target for attempt in stream.attempts] == [
            Target(model=NOVA, region=REGION, endpoint_url=primary.url),
            stream.target,
        ]
        assert [request.region for request in primary.requests + secondary.requests] == [REGION, OTHER_REGION]
        assert [attempt.wait for attempt in failed] == [0.0]
        assert client.stats().retries_left == 100, "the first attempt at another target takes no tokens"


async def test_failover_without_a_retry_refills_the_budget_as_any_success() -> None:
    async with two_regions(always(DOWN)) as (_, _, client):
        with pytest.raises(errors.ServiceUnavailable):
            await client.generate(NOVA, "Hi", failover=[], retry=RetryPolicy(max_attempts=3, base=0, cap=0))
        assert client.stats().retries_left == 98
        for _ in range(4):  # each success returns one token; a retry takes five
            await client.generate(NOVA, "Hi", retry=ONCE)
        assert client.stats().retries_left == 98


async def test_targets_are_tried_in_order_and_again_after_a_wait() -> None:
    models: list[str] = []
    waits: list[float] = []

    def script(request: Any) -> Any:
        models.append(request.model)
        return http_error(429, "ThrottlingException", "No.", {"x-amz-retry-after": "10"})

    policy = RetryPolicy(max_attempts=3, base=0, cap=0, on_retry=lambda attempt: waits.append(attempt.wait))
    targets = [Target(model=PRO), Target(model=CLAUDE)]
    async with two_regions(script, failover=targets, retry=policy) as (_, _, client):
        stream = client.stream(NOVA, "Hi")
        with pytest.raises(errors.Throttled) as caught:
            await stream.response()
    assert models == [NOVA, PRO, CLAUDE, NOVA, NOVA]
    assert waits == [0, 0, 0.01, 0.01]
    assert [attempt.number for attempt in stream.attempts] == [1, 2, 3, 4, 5]
    assert caught.value.model == NOVA


async def test_a_target_with_another_model_uses_its_dialect_and_route() -> None:
    async with two_regions([DOWN, [say("From GPT.")]], failover=[Target(model=GPT)]) as (primary, _, client):
        stream = client.stream(CLAUDE, "Hi", use_converse=False)
        assert stream.route == "invoke"
        response = await stream.response()
        assert (response.text, response.model, stream.model) == ("From GPT.", GPT, GPT)
        assert [request.model for request in primary.requests] == [CLAUDE, GPT]
        assert primary.requests[0].json["anthropic_version"]
        assert "anthropic_version" not in primary.requests[1].json


async def test_options_of_a_target_take_precedence_and_none_removes_one() -> None:
    changes = {"max_tokens": 7, "temperature": None, "effort": None, "system": None, "prompt_cache": None}
    async with two_regions([DOWN, [say("Second.")]], failover=[Target(model=GPT, options=changes)]) as (
        primary,
        _,
        client,
    ):
        response = await client.generate(
            CLAUDE_4,
            "Hi",
            max_tokens=5000,
            reasoning=2048,
            system="Be brief.",
            prompt_cache="auto",
            stop_sequences=["END"],
            use_converse=True,
        )
        first, second = (request.json for request in primary.requests)
    assert response.model == GPT
    assert first["system"] == [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}]
    assert first["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 2048
    assert second["inferenceConfig"] == {"maxTokens": 7}  # gpt-oss refuses stop sequences on Converse
    assert set(second) == {"messages", "inferenceConfig"}


async def test_options_of_a_target_may_choose_its_route_and_its_limits() -> None:
    target = Target(options={"use_converse": True, "timeouts": Timeouts(total=9)})
    async with two_regions([DOWN, [say("Second.")]], failover=[target]) as (_, _, client):
        stream = client.stream(CLAUDE, "Hi")
        assert stream.route == "invoke"
        assert (await stream.response()).route == "converse"


async def test_what_the_model_of_a_call_is_says_nothing_about_a_targets_model() -> None:
    async with two_regions([DOWN, [say("Second.")]], failover=[Target(model=PRO)]) as (primary, _, client):
        await client.generate(OPAQUE, "Hi", base_model=CLAUDE)
    assert "anthropic_version" in primary.requests[0].json
    assert "anthropic_version" not in primary.requests[1].json


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"max_tokens": 0}, r"failover\[1\].options.max_tokens: expected a positive int, got 0"),
        ({"max_token": 5}, r"failover\[1\].options.max_token: unknown option; did you mean max_tokens\?"),
        ({"max_token": None}, r"failover\[1\].options.max_token: unknown option; did you mean max_tokens\?"),
        ({"effort": "huge"}, r"failover\[1\].options.effort: expected one of none, minimal"),
        (
            {"effort": "low", "reasoning": 5},
            r"failover\[1\].options.effort: cannot be combined with reasoning; pass one of them",
        ),
        (
            {"region": "eu-west-1"},
            r"failover\[1\].options.region: cannot be an option of a target; use Target\(region=...\)",
        ),
        ({"session_token": "t"}, r"cannot be an option of a target; use Target\(credentials=...\)"),
        ({"keep": False}, r"failover\[1\].options.keep: cannot be an option of a target; use the option of the call"),
        ({"show_retries": True}, r"show_retries: cannot be an option of a target; use the option of the call"),
        ({"provider_options": {}}, r"cannot be an option of a target; use the names of the options"),
    ],
)
async def test_an_invalid_option_of_a_target_is_refused_with_its_path(changes: Any, sentence: str) -> None:
    targets = [Target(), Target(options=changes)]
    with pytest.raises(errors.ConfigurationError, match=sentence):
        Client(failover=targets)
    async with two_regions() as (_, _, client):
        with pytest.raises(errors.ConfigurationError, match=sentence):
            client.stream(NOVA, "Hi", failover=targets)


async def test_options_of_a_target_must_fit_those_of_the_call() -> None:
    tools: Any = [{"name": "f"}]
    async with two_regions() as (_, _, client):
        with pytest.raises(errors.ConfigurationError, match="tool_choice: 'any' requires tools"):
            client.stream(NOVA, "Hi", tools=tools, tool_choice="any", failover=[Target(options={"tools": None})])
    with pytest.raises(errors.ConfigurationError, match=r"Target.options: expected a dict, got list"):
        Target(options=["max_tokens"])  # type: ignore[arg-type]


def test_options_of_a_target_are_not_part_of_its_repr() -> None:
    assert repr(Target(model=PRO, options={"extra": {"key": "secret"}})) == (
        f"Target(model={PRO!r}, region=None, endpoint_url=None)"
    )


async def test_a_target_has_its_own_credentials() -> None:
    other_keys = Keys("AKIDOTHER", "other/secret")
    async with Emulator(credentials=other_keys) as secondary:
        targets = [
            Target(endpoint_url=secondary.url, credentials=Credentials("AKIDOTHER", "other/secret")),
            Target(endpoint_url=secondary.url, api_key=API_KEY),
        ]
        async with two_regions(always(DOWN), failover=targets) as (primary, _, client):
            secondary.script(DOWN)
            await client.generate(NOVA, "Hi")
            assert primary.requests[0].access_key_id == KEYS.access_key_id
            assert [request.auth for request in secondary.requests] == ["sigv4", "bearer"]
            assert secondary.requests[0].access_key_id == "AKIDOTHER"
        for target in targets:
            assert "secret" not in repr(target) + str(targets)
            assert API_KEY not in repr(target)


async def test_a_targets_session_is_loaded_once_for_many_calls() -> None:
    class Session:
        """The parts of a botocore session that the library uses."""

        providers = ()
        loads = 0

        def get_component(self, _name: str) -> Session:
            return self

        def get_credentials(self) -> None:
            raise AssertionError

        def load_credentials(self) -> Session:
            self.loads += 1
            return self

        def get_frozen_credentials(self) -> SimpleNamespace:
            return SimpleNamespace(access_key=KEYS.access_key_id, secret_key=KEYS.secret_access_key, token=None)

    session = Session()
    async with Emulator() as secondary:
        target = Target(endpoint_url=secondary.url, credentials=session)
        async with two_regions(always(DOWN), failover=[target]) as (_, _, client):
            for _ in range(3):
                await client.generate(NOVA, "Hi")
        assert secondary.request_count == 3
        assert session.loads == 1


async def test_targets_of_a_call_replace_the_clients() -> None:
    async with two_regions(always(DOWN)) as (primary, secondary, client):
        with pytest.raises(errors.ServiceUnavailable):
            await client.generate(NOVA, "Hi", failover=[], retry=ONCE)
        with pytest.raises(errors.ServiceUnavailable):
            await client.generate(NOVA, "Hi", failover=[Target(model=PRO)], retry=ONCE)
        assert [request.model for request in primary.requests] == [NOVA, NOVA, PRO]
        assert secondary.request_count == 0


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (Target(model=PRO), "failover: expected a list of Target, got Target"),
        ("us-west-2", "failover: expected a list of Target, got str"),
        ([Target(), "us-west-2"], r"failover\[1\]: expected a Target, got str"),
    ],
)
def test_an_invalid_target_is_refused(value: Any, sentence: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=sentence):
        Client(failover=value)


# --------------------------------------------------------------------------------------------------- causes of failover

FAULTS = {
    "throttled": [http_error(429, "ThrottlingException", "No.")],
    "first frame": [stream_error("internalServerException", "No.")],
    "after the start": [start(), stream_error("throttlingException", "No.")],
    "quota": [http_error(400, "ServiceQuotaExceededException", "No.")],
    "cut": [start(), cut()],
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_failures_that_another_target_may_not_have_cause_failover(fault: str) -> None:
    async with two_regions([FAULTS[fault]], [[say("Second.")]]) as (primary, secondary, client):
        events = [event async for event in client.stream(NOVA, "Hi")]
        assert sum(isinstance(event, MessageStart) for event in events) == 1
        assert (primary.request_count, secondary.request_count) == (1, 1)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ValidationException"), (403, "AccessDeniedException"), (404, "ResourceNotFoundException")],
)
async def test_errors_of_the_caller_cause_no_failover(status: int, code: str) -> None:
    async with two_regions([http_error(status, code, "No.")]) as (primary, secondary, client):
        with pytest.raises(errors.ServiceError) as caught:
            await client.stream(NOVA, "Hi").response()
        assert caught.value.region == REGION
        assert (primary.request_count, secondary.request_count) == (1, 0)


async def test_there_is_no_failover_after_content() -> None:
    async with two_regions([[say("Hello"), cut()]]) as (_, secondary, client):
        stream = client.stream(NOVA, "Hi")
        with pytest.raises(errors.StreamInterrupted):
            await stream.response()
        assert stream.target.region == REGION
        assert secondary.request_count == 0


@pytest.mark.parametrize(
    ("limit", "data"), [("first_event", b""), ("first_content", b""), ("first_content", START), ("idle", START)]
)
async def test_a_silent_target_causes_failover(limit: str, data: bytes) -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        if data:
            connection.chunk(data)
        await connection.closed.wait()

    async with (
        SocketServer(answer) as silent,
        Emulator(script=[[say("Second.")]]) as secondary,
        Client(
            region=REGION,
            endpoint_url=silent.url,
            credentials=KEYS,
            retry=QUICK_RETRIES,
            timeouts=Timeouts(**{limit: 0.1}),
            failover=[Target(endpoint_url=secondary.url)],
        ) as client,
    ):
        stream = client.stream(NOVA, "Hi")
        assert (await stream.response()).text == "Second."
        await silent.deserted()
        kinds = {
            "first_event": errors.FirstEventTimeout,
            "first_content": errors.FirstContentTimeout,
            "idle": errors.IdleTimeout,
        }
        assert type(stream.attempts[0].error) is kinds[limit]


async def test_a_target_that_sends_no_headers_is_tried_once() -> None:
    async with (
        SocketServer(silence) as first,
        SocketServer(silence) as second,
        Client(
            region=REGION,
            endpoint_url=first.url,
            credentials=KEYS,
            retry=QUICK_RETRIES,
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
        await complete_stream(connection)

    async with (
        SocketServer(answer) as server,
        Emulator() as secondary,
        Client(
            region=REGION,
            endpoint_url=server.url,
            credentials=KEYS,
            retry=QUICK_RETRIES,
            failover=[Target(endpoint_url=secondary.url)],
        ) as client,
    ):
        await client.stream(NOVA, "Hi").response()
        assert (await client.stream(NOVA, "Hi").response()).text == "Hello"
        assert (len(server.connections), secondary.request_count) == (3, 0)


async def test_only_events_of_the_responding_target_are_delivered() -> None:
    first = [start(), cut()]
    second = [tool_call("look", {"at": "it"}, id="call-2"), stop("tool_use")]
    async with two_regions([first, first], [second, second]) as (_, _, client):
        calls = [event async for event in client.stream(NOVA, "Hi").tool_stream]
        assert [event.id for event in calls if isinstance(event, ToolCallEnd)] == ["call-2"]
        stream = client.stream(NOVA, "Hi")
        response = await stream.response()
        assert [call.id for call in response.tool_calls] == ["call-2"]
        assert response.request_id == stream.request_id
        assert response.usage is not None


# ------------------------------------------------------------------------------------------------------------- breakers


class ManualClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    clock = ManualClock()
    # The default argument is the clock of the breakers, and of nothing else.
    monkeypatch.setattr(ClientState.__init__, "__defaults__", (clock,))
    return clock


async def test_a_target_that_failed_five_times_in_a_row_is_skipped_and_tried_again_later(clock: ManualClock) -> None:
    async with two_regions(always(DOWN)) as (primary, secondary, client):
        for _ in range(8):
            await client.generate(NOVA, "Hi")
        assert (primary.request_count, secondary.request_count) == (5, 8)
        stream = client.stream(NOVA, "Hi")
        await stream.response()
        assert [attempt.target.region for attempt in stream.attempts] == [OTHER_REGION]
        clock.now += 30
        await asyncio.gather(*(client.generate(NOVA, "Hi") for _ in range(5)))
        assert primary.request_count == 6, "one call tries it again, the others skip it"
        assert secondary.request_count == 14


async def test_a_target_that_recovers_is_the_first_again(clock: ManualClock) -> None:
    async with two_regions([DOWN] * 5) as (primary, secondary, client):
        for _ in range(6):
            await client.generate(NOVA, "Hi")
        assert primary.request_count == 5
        clock.now += 30
        for _ in range(3):
            await client.generate(NOVA, "Hi")
        assert (primary.request_count, secondary.request_count) == (8, 6)


async def test_a_refusal_closes_the_breaker_of_a_target(clock: ManualClock) -> None:
    async with two_regions([DOWN] * 5 + [http_error(400, "ValidationException", "No.")]) as (primary, _, client):
        for _ in range(5):
            await client.generate(NOVA, "Hi")
        clock.now += 30
        with pytest.raises(errors.ValidationFailed):
            await client.generate(NOVA, "Hi")
        await client.generate(NOVA, "Hi")
        assert primary.request_count == 7


async def test_if_all_targets_are_down_the_first_is_tried(clock: ManualClock) -> None:
    async with two_regions(always(DOWN), always(DOWN), retry=ONCE) as (primary, secondary, client):
        for _ in range(7):
            with pytest.raises(errors.ServiceUnavailable):
                await client.generate(NOVA, "Hi")
        assert (primary.request_count, secondary.request_count) == (7, 5)


async def test_a_second_target_that_is_down_is_skipped(clock: ManualClock) -> None:
    faults = [DOWN] * 5 + [[say("First.")]] * 9
    async with two_regions(faults, always(DOWN), retry=ONCE) as (primary, secondary, client):
        for _ in range(5):
            with pytest.raises(errors.ServiceUnavailable):
                await client.generate(NOVA, "Hi")
        assert (await client.generate(NOVA, "Hi")).text == "First."
        primary.script(DOWN)
        assert (primary.request_count, secondary.request_count) == (6, 5)


async def test_accounts_at_one_endpoint_have_separate_breakers(clock: ManualClock) -> None:
    async with (
        Emulator(script=lambda request: DOWN if request.auth == "sigv4" else None) as emulator,
        Client(
            region=REGION,
            endpoint_url=emulator.url,
            credentials=KEYS,
            retry=QUICK_RETRIES,
            failover=[Target(api_key=API_KEY)],
        ) as client,
    ):
        for _ in range(8):
            await client.generate(NOVA, "Hi")
        assert [request.auth for request in emulator.requests].count("sigv4") == 5
        assert [request.auth for request in emulator.requests].count("bearer") == 8


async def test_a_single_target_is_never_skipped(clock: ManualClock) -> None:
    async with two_regions([DOWN] * 9, failover=[], retry=ONCE) as (primary, _, client):
        for _ in range(9):
            with pytest.raises(errors.ServiceUnavailable):
                await client.generate(NOVA, "Hi")
        assert (await client.generate(NOVA, "Hi")).text
        assert primary.request_count == 10
