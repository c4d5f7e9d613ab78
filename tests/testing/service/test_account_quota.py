"""The emulator throttles as Bedrock counts: at the start, while the answer is written, and at its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bedrock_stream import Quota, errors
from bedrock_stream.testing import AccountQuota, Emulator, http_error, metadata, stall, stream_error
from bedrock_stream.testing import text as say
from bedrock_stream.testing.service.refusal import Refusal
from tests.support.clients import ONCE, client_of

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_requests_beyond_the_quota_are_throttled_until_it_has_refilled() -> None:
    clock = Clock()
    async with (
        Emulator(quota=AccountQuota(rpm=60, burst=0.05, clock=clock)) as emulator,
        client_of(emulator.url, retry=ONCE) as client,
    ):
        emulator.script(say("First"))
        emulator.script(say("Second"))
        for _ in range(3):
            await client.generate(NOVA, "Hi")
        with pytest.raises(errors.Throttled, match="Too many requests, please wait before trying again") as caught:
            await client.generate(NOVA, "Hi")
        assert (caught.value.status, caught.value.code) == (429, "ThrottlingException")
        await client.generate("us." + NOVA, "Hi")  # each model id has its own
        clock.now = 1.0
        emulator.script(say("Kept for the next"))
        assert (await client.stream(NOVA, "Hi").response()).text == "Kept for the next"
        with pytest.raises(errors.Throttled):
            await client.generate(NOVA, "Hi")
        quota = emulator.quota
        assert (quota.asked, quota.answered, quota.throttled, quota.open) == (7, 5, 2, 0)


@pytest.mark.parametrize(("model", "burn"), [(NOVA, 1), (CLAUDE, 5), ("us.anthropic.claude-3-haiku-20240307-v1:0", 1)])
async def test_tokens_are_reserved_by_max_tokens_and_settled_by_what_was_used(model: str, burn: int) -> None:
    counts = {"inputTokens": 10, "outputTokens": 6, "cacheReadInputTokens": 50, "cacheWriteInputTokens": 4}
    async with (
        Emulator(quota=AccountQuota(tpm=1000, clock=Clock())) as emulator,
        client_of(emulator.url, retry=ONCE) as client,
    ):
        with pytest.raises(errors.Throttled, match="Too many tokens, please wait before trying again"):
            await client.generate(model, "Hi", max_tokens=1000)
        with pytest.raises(errors.Throttled):
            await client.generate(model, "Hi", use_converse=True)  # the model's maximum
        emulator.script(say("Hello"), metadata(counts))
        await client.generate(model, "Hi", max_tokens=998)
        assert emulator.quota.tokens == 14 + 6 * burn
        with pytest.raises(errors.Throttled):
            await client.generate(model, "Hi", max_tokens=990)
        emulator.script(say("Hello"), metadata(counts))
        await client.stream(model, "Hi", max_tokens=940).response()
        assert emulator.quota.tokens == 2 * (14 + 6 * burn)


async def test_the_burndown_takes_more_while_the_answer_is_written() -> None:
    async with (
        Emulator(quota={"tpm": 1000, "burn": 100}) as emulator,
        client_of(emulator.url, retry=ONCE) as client,
    ):
        emulator.script(say("one two three four five six seven eight nine"), stall())
        async with client.stream(NOVA, "Hi", max_tokens=20) as stream:
            for _ in range(9):
                await anext(stream)
            with pytest.raises(errors.Throttled):
                await client.generate(NOVA, "Hi", max_tokens=500)
        await emulator.wait_until_idle()
        assert emulator.quota.tokens >= 900, "what was written was used, though the client left"
        assert emulator.quota.answered == 0


async def test_what_a_script_refuses_takes_nothing(emulator: Emulator) -> None:
    emulator.script(http_error(503, "ServiceUnavailableException", "No."))
    emulator.script(say("Hello"), stream_error("modelStreamErrorException", "No."))
    async with client_of(emulator.url, retry=ONCE) as client:
        with pytest.raises(errors.ServiceUnavailable):
            await client.generate(NOVA, "Hi")
        assert emulator.quota.tokens == 0
        with pytest.raises(errors.ModelStreamError):
            await client.stream(NOVA, "Hi").response()
        assert emulator.quota.tokens == 3, "two of input, and one that was written"
        with pytest.raises(errors.ValidationFailed):
            await client.generate(NOVA, "Hi", max_tokens=10**9, unsupported="send")
        assert (emulator.quota.asked, emulator.quota.answered, emulator.quota.throttled) == (2, 0, 0)


async def test_the_most_requests_at_once_are_counted(emulator: Emulator) -> None:
    for _ in range(3):
        emulator.script(say("Hello"), stall(0.05))
    async with client_of(emulator.url) as client:
        await asyncio.gather(*(client.stream(NOVA, "Hi").response() for _ in range(3)))
        await client.count_tokens("anthropic.claude-3-5-haiku-20241022-v1:0", "Hi")
    assert (emulator.quota.peak, emulator.quota.asked) == (3, 3)


def test_the_settings_may_be_those_of_a_quota() -> None:
    quota = Emulator(quota=Quota(rpm=5, tpm=100, burn=2, burst=0.5)).quota
    assert (quota.rpm, quota.tpm, quota.burn, quota.burst) == (5, 100, 2, 1.0), "the burst is the client's own"
    with pytest.raises(Refusal):
        quota.admit(NOVA, 60, 60)


@pytest.mark.parametrize(
    ("quota", "problem"),
    [
        ({"rpm": 0}, r"quota\.rpm: expected a positive number or None, got 0"),
        ({"rps": 1}, r"quota\['rps'\]: is unknown; known are rpm, tpm, burn, burst"),
        ({"tpm": 1, "burst": 2}, r"quota\.burst: expected a number above 0 and up to 1, got 2"),
        (100, "quota: expected settings of a quota, got int"),
    ],
)
def test_settings_that_make_no_sense_are_errors(quota: Any, problem: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=problem):
        Emulator(quota=quota)
