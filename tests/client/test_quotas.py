"""The quotas of a client: each call reserves what it may take, waits for it, and settles with what it used."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bedrock_stream import Client, Quota, RetryPolicy, Target, Timeouts, Usage, errors
from bedrock_stream.client.attempts import Attempts
from bedrock_stream.client.document import receive_document, response_parser
from bedrock_stream.testing import Emulator, cut, http_error, metadata, start, stream_error, tool_call
from bedrock_stream.testing import text as say
from bedrock_stream.transport import lanes
from bedrock_stream.types.options import Options
from tests.support.clients import ONCE, client_of, connected
from tests.support.socket_server import END, START, Connection, begin_and_wait, silence, text

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"
HAIKU = "anthropic.claude-3-haiku-20240307-v1:0"
BODY = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
USAGE = metadata({"inputTokens": 30, "outputTokens": 12, "totalTokens": 42})
TOKENS, REQUESTS = 60_000, 600


def frozen(**settings: Any) -> Quota:
    """Return a quota whose clock stands still, so that nothing refills."""
    return Quota(**{"rpm": REQUESTS, "tpm": TOKENS, "burst": 1, **settings}, clock=lambda: 0.0)


def taken(quota: Quota) -> tuple[float, float]:
    """Return the requests and tokens that are taken of a frozen quota."""
    stats = quota.stats()
    assert stats.requests is not None
    assert stats.tokens is not None
    return REQUESTS - stats.requests, TOKENS - stats.tokens


class Ledger:
    """A quota of another library, with nothing but `reserve` and `settle`."""

    def __init__(self) -> None:
        self.reserved: list[int] = []
        self.settled: list[Usage | None] = []

    async def reserve(self, tokens: int) -> Ledger:
        self.reserved.append(tokens)
        return self

    async def settle(self, usage: Usage | None) -> None:
        self.settled.append(usage)


async def read(client: Client, model: str = NOVA, **options: Any) -> None:
    async with client.stream(model, "Hi", **{"max_tokens": 100, **options}) as stream:
        async for _ in stream:
            pass


# ------------------------------------------------------------------------------------------------------------ outcomes


async def _generate(client: Client) -> None:
    await client.generate(NOVA, "Hi", max_tokens=100)


async def _stream(client: Client) -> None:
    await read(client)


async def _stream_without_response(client: Client) -> None:
    await read(client, keep=False)


async def _native(client: Client) -> None:
    await read(client, HAIKU)


async def _native_whole(client: Client) -> None:
    await client.generate(HAIKU, "Hi", max_tokens=100)


async def _invoke(client: Client) -> None:
    await client.invoke(HAIKU, BODY)


async def _invoke_stream(client: Client) -> None:
    async for _ in client.invoke_stream(HAIKU, BODY):
        pass


@pytest.mark.parametrize(
    "call", [_generate, _stream, _stream_without_response, _native, _native_whole, _invoke, _invoke_stream]
)
async def test_a_call_is_settled_with_its_usage(
    emulator: Emulator, call: Callable[[Client], Coroutine[Any, Any, None]]
) -> None:
    emulator.script(say("Hello"), USAGE)
    quota, ledger = frozen(), Ledger()
    async with client_of(emulator.url, quotas={"amazon.": quota, "anthropic.": quota}) as client:
        await call(client)
        assert taken(quota) == (1, 42)
        assert 100 < quota.stats().reserved < 130
    async with client_of(emulator.url, quotas={"": ledger}) as client:
        emulator.script(say("Hello"), USAGE)
        await call(client)
        (usage,) = ledger.settled
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens) == (30, 12)


async def test_output_burns_as_the_table_says_and_cache_reads_are_free(emulator: Emulator) -> None:
    counts = {"inputTokens": 30, "outputTokens": 12, "cacheReadInputTokens": 500, "cacheWriteInputTokens": 7}
    for quota, used in ((frozen(), 30 + 7 + 60), (frozen(burn=2), 30 + 7 + 24)):
        emulator.script(say("Hello"), metadata({**counts, "totalTokens": 549}))
        async with client_of(emulator.url, quotas={CLAUDE: quota}) as client:
            await read(client, "us." + CLAUDE, use_converse=True)
        assert taken(quota) == (1, used)


async def test_without_a_known_usage_the_reservation_stays(emulator: Emulator) -> None:
    quota = frozen()
    async with client_of(emulator.url, retry=ONCE, quotas={"": quota}) as client:
        for fault, kind in (
            (cut(), errors.StreamInterrupted),
            (stream_error("modelStreamErrorException", "No."), errors.ModelStreamError),
        ):
            emulator.script(say("Hello"), fault)
            with pytest.raises(kind):
                await read(client)
        emulator.script(http_error(500, "InternalServerException", "No."))
        with pytest.raises(errors.InternalServerError):
            await read(client)
        assert taken(quota) == (3, quota.stats().reserved)
        assert quota.stats().settled == 0


async def test_what_never_started_is_given_back(emulator: Emulator) -> None:
    quota, ledger = frozen(), Ledger()
    async with client_of(emulator.url, retry=ONCE, quotas={"amazon": quota, "anthropic": ledger}) as client:
        for model in (NOVA, HAIKU):
            emulator.script(http_error(503, "ServiceUnavailableException", "No."))
            emulator.script(start(), stream_error("throttlingException", "No."))
            with pytest.raises(errors.ServiceUnavailable):
                await read(client, model)
            with pytest.raises(errors.Throttled):
                await read(client, model)
        assert taken(quota) == (0, 0)
        assert client.stats().quotas["amazon"].slowed
        assert client.stats().quotas["amazon"].throttles == 1
        assert ledger.settled == [Usage(input_tokens=0, output_tokens=0)] * 2


async def test_a_refused_request_took_no_tokens(emulator: Emulator) -> None:
    quota = frozen()
    async with client_of(emulator.url, quotas={"": quota}) as client:
        emulator.script(http_error(400, "ValidationException", "No."))
        with pytest.raises(errors.ValidationFailed):
            await read(client)
        assert taken(quota) == (1, 0)


async def test_each_attempt_reserves_anew(emulator: Emulator) -> None:
    quota, other = frozen(), frozen()
    emulator.script(http_error(429, "ThrottlingException", "No."))
    emulator.script(http_error(500, "InternalServerException", "No."))
    emulator.script(say("Hello"), USAGE)
    async with client_of(emulator.url, quotas={"amazon": quota}) as client:
        await read(client)
        kept = quota.stats().reserved / 2  # of the two that were sent and not throttled
        assert taken(quota) == (2, kept + 42)
    emulator.script(http_error(429, "ThrottlingException", "No."))
    emulator.script(say("Hello"), USAGE)
    quotas = {"anthropic": quota, "amazon": other}
    async with client_of(emulator.url, failover=[Target(model=NOVA)], quotas=quotas) as client:
        await read(client, HAIKU)
        assert taken(other) == (1, 42), "the quota is that of the target's model"


async def test_a_complete_message_with_broken_tool_input_is_settled(emulator: Emulator) -> None:
    quota = frozen()
    emulator.script(tool_call("look", '{"a":'), USAGE)
    async with client_of(emulator.url, quotas={"": quota}) as client:
        with pytest.raises(errors.ToolInputError):
            await read(client, tools=[{"name": "look", "input_schema": {"type": "object"}}])
    assert taken(quota) == (1, 42)


@pytest.mark.parametrize("way", ["closed", "cancelled", "dropped"])
async def test_a_stream_that_is_left_keeps_its_reservation(way: str) -> None:
    quota, ledger = frozen(), Ledger()
    async with connected(begin_and_wait, quotas={"amazon": quota, "anthropic": ledger}) as (server, client):
        for model in (NOVA, CLAUDE):
            stream = client.stream(model, "Hi", max_tokens=100, use_converse=True)
            await anext(stream)
            if way == "closed":
                await stream.aclose()
            elif way == "cancelled":
                while True:
                    reading = asyncio.create_task(anext(stream))
                    await asyncio.sleep(0)
                    if not reading.done():
                        break
                await asyncio.sleep(0)
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading
            else:
                with pytest.warns(ResourceWarning, match="was dropped"):
                    del stream
                    gc.collect()
            await server.deserted()
        assert taken(quota) == (1, quota.stats().reserved)
        assert ledger.settled == ([] if way == "dropped" else [None])
        assert len(asyncio.all_tasks()) == 1 + len(server.peers)


# -------------------------------------------------------------------------------------------------------------- waiting


async def test_calls_wait_in_order_and_nothing_is_sent_meanwhile(emulator: Emulator) -> None:
    quota = Quota(tpm=400, burst=1)
    holds = await quota.reserve(400)
    for _ in range(3):
        emulator.script(say("Hi"), metadata({"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}))
    async with client_of(emulator.url, quotas={"": quota}) as client:
        calls = [asyncio.create_task(read(client, max_tokens=290 + number)) for number in range(3)]
        while client.stats().quotas[""].waiting < 3:
            await asyncio.sleep(0)
        assert emulator.request_count == 0
        assert client.stats().open_streams == client.stats().attempts == 0
        holds.give_back()
        await asyncio.gather(*calls)
        limits = [request.json["inferenceConfig"]["maxTokens"] for request in emulator.requests]
        assert limits == [290, 291, 292]


async def test_the_wait_for_a_quota_counts_toward_the_total_limit_alone(emulator: Emulator) -> None:
    quota = Quota(rpm=1, burst=1)
    await quota.reserve(0)
    limits = Timeouts(pool=0.001, first_event=5, idle=0.001, connect=5, credentials=5, total=0.05)
    async with client_of(emulator.url, quotas={"": quota}, timeouts=limits) as client:
        with pytest.raises(errors.TotalTimeout):
            await read(client)
        assert quota.stats().waiting == 0
    assert emulator.request_count == 0


async def test_the_wait_for_a_quota_does_not_count_for_the_retry_policy(emulator: Emulator) -> None:
    quota = Quota(rpm=600, burst=1 / 600)
    await quota.reserve(0)
    policy = RetryPolicy(base=0, cap=0, total=0.09)  # less than the wait of 0.1 s
    emulator.script(http_error(500, "InternalServerException", "No."))
    async with client_of(emulator.url, quotas={"": quota}, retry=policy) as client:
        await read(client)
    assert emulator.request_count == 2


async def test_a_call_that_is_cancelled_while_it_waits_takes_nothing(emulator: Emulator) -> None:
    quota = Quota(rpm=1, burst=1)
    holds = await quota.reserve(0)
    async with client_of(emulator.url, quotas={"": quota}) as client:
        first, second = (asyncio.create_task(read(client)) for _ in range(2))
        while quota.stats().waiting < 2:
            await asyncio.sleep(0)
        first.cancel()
        holds.give_back()
        await second
    assert emulator.request_count == 1


@pytest.mark.parametrize("way", ["pool", "cancelled", "closed", "client"])
async def test_a_call_that_gets_no_connection_gives_back(way: str) -> None:
    quota = frozen()
    limits = Timeouts(pool=0.02 if way == "pool" else 60)
    async with (
        connected(begin_and_wait, quotas={"": quota}, max_connections=1, timeouts=limits) as (_, client),
        client.stream(NOVA, "Hi", max_tokens=100) as first,
    ):
        await first.open()
        before = taken(quota)
        second = client.stream(NOVA, "Hi", max_tokens=100)
        opening = asyncio.create_task(second.open())
        while not client.stats().waiting:
            await asyncio.sleep(0)
        assert taken(quota) == (2, 2 * before[1])
        if way == "cancelled":
            opening.cancel()
        elif way == "closed":
            await second.aclose()
        elif way == "client":
            await client.aclose()
        with pytest.raises((errors.BedrockStreamError, asyncio.CancelledError)):
            await opening
        assert taken(quota) == before


async def test_a_quota_and_a_lane_work_together(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_FIRST_PAUSE", 0.002)
    quota = frozen()
    emulator.script(http_error(429, "ThrottlingException", "Wait.", {"Retry-After": "0.01"}))
    policy = RetryPolicy(patience=60, max_attempts=1)
    async with client_of(emulator.url, quotas={"": quota}, retry=policy) as client:
        await asyncio.gather(*(read(client) for _ in range(5)))
    assert emulator.request_count == 6
    assert taken(quota)[0] == 5


# -------------------------------------------------------------------------------------------- which quota, and how much


@pytest.mark.parametrize(
    ("model", "which"),
    [
        (NOVA, "amazon.nova"),
        ("eu.amazon.nova-lite-v1:0", "amazon.nova"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0", "amazon.nova"),
        ("amazon.nova-pro-v1:0", "us.amazon.nova-pro"),
        ("global.anthropic.claude-sonnet-4-20250514-v1:0", "anthropic"),
        ("meta.llama3-1-8b-instruct-v1:0", None),
    ],
)
async def test_the_longest_prefix_without_the_geo_prefix_decides(
    emulator: Emulator, model: str, which: str | None
) -> None:
    quotas = {"amazon": Ledger(), "amazon.nova": Ledger(), "us.amazon.nova-pro": Ledger(), "anthropic": Ledger()}
    async with client_of(emulator.url, quotas=quotas) as client:
        await read(client, model)
    assert [name for name, ledger in quotas.items() if ledger.settled] == ([] if which is None else [which])


async def test_a_quota_of_the_call_is_reserved_beside_that_of_the_client(emulator: Emulator) -> None:
    quota, own = Ledger(), frozen()
    emulator.script(say("Hello"), USAGE)
    async with client_of(emulator.url, quotas={"": quota}) as client:
        attempts: Attempts = client._attempts(NOVA, "Hi", Options(max_tokens=100), streaming=False)
        attempts.use_quota(own, tokens=7)
        await receive_document(attempts, response_parser(attempts))
    assert quota.reserved == [107]
    assert own.stats().reserved == 107
    assert taken(own) == (1, 42)


async def test_counting_tokens_takes_nothing(emulator: Emulator) -> None:
    quota = Ledger()
    async with client_of(emulator.url, quotas={"": quota}) as client:
        assert await client.count_tokens("anthropic.claude-3-5-haiku-20241022-v1:0", "Hello")
    assert quota.reserved == []


async def test_the_estimate_of_the_input_is_learned_from_the_usage(emulator: Emulator) -> None:
    quota, prompt = Ledger(), "word " * 400  # 2,000 bytes
    async with client_of(emulator.url, quotas={"": quota}) as client:
        for _ in range(3):
            emulator.script(say("Hello"), metadata({"inputTokens": 1000, "outputTokens": 1, "totalTokens": 1001}))
            await client.generate(NOVA, prompt, max_tokens=1)
        await client.generate("amazon.nova-pro-v1:0", prompt, max_tokens=1)
    first, second, third, other = quota.reserved
    assert 500 <= first <= 510
    assert (second, third) == (1001, 1001)
    assert other == first, "another model counts in its own way"


async def test_without_max_tokens_the_models_maximum_is_reserved_with_one_warning(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    quota = Ledger()
    async with client_of(emulator.url, quotas={"": quota}) as client:
        with caplog.at_level(logging.WARNING, "bedrock_stream.quotas"):
            for _ in range(2):
                await client.generate(CLAUDE, "Hi", use_converse=True)
        assert [tokens // 1000 for tokens in quota.reserved] == [64, 64]
        (record,) = caplog.records
        assert (
            f"each call of {CLAUDE} reserves 64000 output tokens of its quota; pass max_tokens" in record.getMessage()
        )


async def test_a_part_of_the_output_is_reserved_where_the_quota_says_so(emulator: Emulator) -> None:
    quota = frozen(reserve_output=0.25)
    async with client_of(emulator.url, quotas={"": quota}) as client:
        await client.generate(NOVA, "Hi", max_tokens=1000)
    assert 250 < quota.stats().reserved < 280


async def test_a_quota_of_requests_alone_needs_no_limit_of_the_output(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(emulator.url, quotas={"": Quota(rpm=100)}) as client:
        await client.generate(NOVA, "Hi")
    assert not caplog.records


async def test_a_quota_that_cannot_settle_costs_no_answer(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Ledger):
        async def settle(self, usage: Usage | None) -> None:
            raise OSError("gone")

    async with client_of(emulator.url, quotas={"": Broken()}) as client:
        assert (await client.generate(NOVA, "Hi", max_tokens=10)).text
    assert "could not be settled" in caplog.text


async def test_the_usage_that_comes_after_the_message_settles_the_call() -> None:
    proceed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello"))
        await proceed.wait()
        connection.chunk(END)
        connection.end()

    quota = frozen()
    async with connected(answer, quotas={"": quota}) as (_, client):
        async with client.stream(NOVA, "Hi", max_tokens=100, keep=False) as stream:
            await anext(stream)
            assert taken(quota) == (1, quota.stats().reserved)
            proceed.set()
            async for _ in stream:
                pass
        assert taken(quota) == (1, 3)


async def test_a_timeout_before_the_answer_keeps_the_reservation() -> None:
    quota = frozen()
    options: dict[str, Any] = {"quotas": {"": quota}, "retry": ONCE, "timeouts": Timeouts(first_event=0.02)}
    async with connected(silence, **options) as (_, client):
        with pytest.raises(errors.FirstEventTimeout):
            await read(client)
    assert taken(quota) == (1, quota.stats().reserved)


@pytest.mark.parametrize(
    ("quotas", "problem"),
    [
        (Quota(rpm=1), "quotas: expected a mapping of model ids to Quota, got Quota"),
        ({"amazon": 100}, r"quotas\['amazon'\]: expected a Quota, got int"),
        ({"amazon": Quota}, r"quotas\['amazon'\]: expected a Quota, got Quota"),
        ({"a b": Quota(rpm=1)}, "model: 'a b' contains white space"),
    ],
)
def test_quotas_that_make_no_sense_are_errors(quotas: Any, problem: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=problem):
        Client(quotas=quotas)
