"""A batch with a quota: its rows wait for it, and a batch that stops does not wait for those."""

from __future__ import annotations

import asyncio

import pytest

from bedrock_stream import Ask, Quota, Stop, errors
from bedrock_stream.testing import Emulator, http_error
from tests.support.clients import client_of

NOVA = "amazon.nova-lite-v1:0"


async def test_rows_reserve_and_settle_beside_the_quotas_of_the_client(emulator: Emulator) -> None:
    own, client_own = (Quota(tpm=60_000, burst=1, clock=lambda: 0.0) for _ in range(2))
    async with client_of(emulator.url, quotas={"": client_own}) as client:
        rows = [Ask("One"), Ask("Two", tokens=500)]
        async with client.map(NOVA, rows, max_tokens=100, quota=own) as batch:
            used = sum([row.response.usage.total_tokens async for row in batch])
    for quota in (own, client_own):
        assert 700 < quota.stats().reserved < 710
        assert quota.stats().settled == used


async def test_a_batch_that_stops_leaves_the_rows_open_that_wait_for_a_quota(emulator: Emulator) -> None:
    quota = Quota(rpm=2, burst=1, clock=lambda: 0.0)
    async with client_of(emulator.url) as client:
        batch = client.map(
            NOVA, [f"Say {number}" for number in range(9)], max_tokens=5, quota=quota, stop=Stop(seconds=0.1)
        )
        rows = []
        with pytest.raises(errors.BatchStopped):
            async for row in batch:
                rows.append(row)  # noqa: PERF401 - kept when reading raises
        assert len(rows) == emulator.request_count == client.stats().attempts == 2
    assert quota.stats().waiting == 0


async def test_the_progress_says_that_the_quota_is_slowed(emulator: Emulator) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Wait.", {"Retry-After": "0.01"}))
    async with (
        asyncio.timeout(20),
        client_of(emulator.url) as client,
        client.map(NOVA, ["Hi"], max_tokens=5, quota=Quota(rpm=600)) as batch,
    ):
        (row,) = [row async for row in batch]
        assert row.error is None
        assert batch.progress.reason == "throttled although the quota had room, so its rate is halved"


async def test_an_object_that_is_not_a_quota_is_an_error(emulator: Emulator) -> None:
    async with client_of(emulator.url) as client:
        with pytest.raises(errors.ConfigurationError, match="quota: expected a Quota, got int"):
            client.map(NOVA, ["Hi"], quota=5)  # type: ignore[arg-type]
