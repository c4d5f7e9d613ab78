"""The credential cache: shared fetches, refreshes in the background, and cached values while a refresh fails."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

import pytest

from bedrock_stream import Credentials
from bedrock_stream.auth.refresh import CredentialCache
from bedrock_stream.errors import ClientClosed, CredentialsUnavailable


class Scene:
    """A cache, its clock, and a source that waits for a gate."""

    def __init__(self, *, cache_unexpiring: bool = True, outlives_expiry: bool = False) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.cache = CredentialCache(
            "the source", lambda: self.now, cache_unexpiring=cache_unexpiring, outlives_expiry=outlives_expiry
        )
        self.fetches = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.minutes: float | None = 60
        self.failure: Exception | None = None

    async def fetch(self) -> Credentials:
        self.fetches += 1
        number = self.fetches
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        expires_at = None if self.minutes is None else self.now + timedelta(minutes=self.minutes)
        return Credentials(f"KEY{number}", "secret", expires_at=expires_at)

    async def get(self) -> str:
        return (await self.cache.get(self.fetch)).access_key_id

    async def finish_fetches(self) -> None:
        """Wait for fetches in the background."""
        while self.cache._fetch_tasks:
            await asyncio.sleep(0)


async def test_two_hundred_first_requests_make_one_fetch() -> None:
    scene = Scene()
    scene.gate.clear()
    requests = [asyncio.create_task(scene.get()) for _ in range(200)]
    await asyncio.sleep(0)
    requests[0].cancel()  # the one that started the fetch is cancelled, the others still get credentials
    await asyncio.sleep(0)
    scene.gate.set()
    assert await asyncio.gather(*requests[1:]) == ["KEY1"] * 199
    assert scene.fetches == 1


async def test_valid_credentials_are_not_fetched_again() -> None:
    scene = Scene()
    assert [await scene.get() for _ in range(3)] == ["KEY1"] * 3
    scene.now += timedelta(minutes=44)
    assert await scene.get() == "KEY1"
    assert scene.fetches == 1


async def test_credentials_that_expire_within_fifteen_minutes_are_refreshed_in_the_background() -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=46)
    scene.gate.clear()
    assert [await scene.get() for _ in range(3)] == ["KEY1"] * 3
    scene.gate.set()
    await scene.finish_fetches()
    assert await scene.get() == "KEY2"
    assert scene.fetches == 2


async def test_credentials_that_expire_within_ten_minutes_are_refreshed_first() -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=51)
    assert await scene.get() == "KEY2"


@pytest.mark.parametrize("minutes", [46, 51, 59])
async def test_cached_credentials_are_used_while_a_refresh_fails(
    minutes: float, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=minutes)
    scene.failure = CredentialsUnavailable("the source", "no response")
    with caplog.at_level(logging.WARNING, "bedrock_stream.auth"):
        assert await scene.get() == "KEY1"
        await scene.finish_fetches()
        assert [await scene.get() for _ in range(5)] == ["KEY1"] * 5
        await scene.finish_fetches()
    assert scene.fetches == 2  # not fetched again within the minute
    assert caplog.messages == [
        "refreshing the credentials of the source failed, the cached ones are used: the source: no response",
    ]


async def test_cached_credentials_are_not_used_past_their_end() -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=60)
    scene.failure = CredentialsUnavailable("the source", "no response")
    for _ in range(2):
        with pytest.raises(CredentialsUnavailable, match="no response"):
            await scene.get()
    scene.failure = None
    assert await scene.get() == "KEY4"


async def test_just_fetched_credentials_are_used_whatever_the_clock_says(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.minutes = -1
    assert [await scene.get() for _ in range(3)] == ["KEY1"] * 3
    (warning,) = caplog.messages
    assert warning.startswith("the credentials of the source expired at 2029-12-31 23:59:00 UTC by the local clock")
    scene.now += timedelta(seconds=61)
    assert await scene.get() == "KEY2"


async def test_a_source_that_outlives_an_expiry_is_asked_in_the_background() -> None:
    scene = Scene(outlives_expiry=True)
    await scene.get()
    scene.now += timedelta(minutes=90)
    scene.failure = CredentialsUnavailable("the source", "no response")
    assert [await scene.get() for _ in range(3)] == ["KEY1"] * 3
    await scene.finish_fetches()
    assert [await scene.get() for _ in range(3)] == ["KEY1"] * 3
    assert scene.fetches == 2  # not again within the minute
    scene.now += timedelta(seconds=61)
    scene.failure = None
    assert await scene.get() == "KEY1"
    await scene.finish_fetches()
    assert await scene.get() == "KEY3"


async def test_a_wrong_clock_of_one_host_ends_the_credentials_of_no_other() -> None:
    scene = Scene()
    await scene.get()
    for _ in range(3):
        assert (await scene.cache.get(scene.fetch, host="wrong", skew=timedelta(days=2))).access_key_id == "KEY1"
    scene.now += timedelta(minutes=2)
    scene.failure = CredentialsUnavailable("the source", "no response")
    with pytest.raises(CredentialsUnavailable):
        await scene.cache.get(scene.fetch, host="wrong", skew=timedelta(days=2))
    assert await scene.get() == "KEY1"


async def test_a_refusal_of_one_host_ends_the_credentials_of_no_other() -> None:
    scene = Scene()
    old = await scene.cache.get(scene.fetch, host="right")
    scene.cache.invalidate(old, "wrong")
    scene.failure = CredentialsUnavailable("the source", "no response")
    for _ in range(2):
        with pytest.raises(CredentialsUnavailable):
            await scene.cache.get(scene.fetch, host="wrong")
    assert await scene.cache.get(scene.fetch, host="right") is old
    scene.failure = None
    assert (await scene.cache.get(scene.fetch, host="wrong")).access_key_id == "KEY4"
    assert (await scene.cache.get(scene.fetch, host="right")).access_key_id == "KEY4"


async def test_a_fetch_that_hangs_is_left_behind_at_the_limit_of_each_waiter() -> None:
    scene = Scene()
    scene.gate.clear()
    patient = asyncio.create_task(scene.cache.get(scene.fetch, limit=30))
    results = await asyncio.gather(
        *(scene.cache.get(scene.fetch, limit=0.05) for _ in range(3)), return_exceptions=True
    )
    for error in results:
        assert isinstance(error, CredentialsUnavailable)
        assert error.retryable
        assert str(error) == "the source: no credentials within 0.05 s (Timeouts.credentials)"
    assert scene.fetches == 1
    anew = asyncio.create_task(scene.cache.get(scene.fetch, limit=30))
    while scene.fetches < 2:
        await asyncio.sleep(0)
    scene.gate.set()
    assert [keys.access_key_id for keys in await asyncio.gather(patient, anew)] == ["KEY1", "KEY2"]
    assert await scene.get() == "KEY2"
    assert not scene.cache._running


async def test_a_background_refresh_that_hangs_is_not_joined() -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=46)
    scene.gate.clear()
    assert (await scene.cache.get(scene.fetch, limit=0.01)).access_key_id == "KEY1"
    (hanging,) = scene.cache._fetch_tasks.values()
    await asyncio.wait([hanging], timeout=0.02)
    scene.gate.set()
    scene.now += timedelta(minutes=6)
    assert (await scene.cache.get(scene.fetch, limit=0.01)).access_key_id == "KEY3"
    assert hanging.cancelled()


async def test_a_source_of_short_lived_credentials_is_not_called_for_every_request() -> None:
    scene = Scene()
    scene.minutes = 12
    assert await scene.get() == "KEY1"
    for _ in range(5):
        await scene.get()
        await scene.finish_fetches()
    assert scene.fetches == 2
    scene.now += timedelta(seconds=61)
    await scene.get()
    await scene.finish_fetches()
    assert scene.fetches == 3


async def test_credentials_without_an_expiry_are_cached_for_a_source_and_not_for_a_callable() -> None:
    for cache_unexpiring, expected in ((True, ["KEY1", "KEY1"]), (False, ["KEY1", "KEY2"])):
        scene = Scene(cache_unexpiring=cache_unexpiring)
        scene.minutes = None
        assert [await scene.get() for _ in range(2)] == expected


async def test_invalidated_credentials_are_fetched_again_and_repeating_it_has_no_effect() -> None:
    scene = Scene()
    scene.minutes = None
    old = await scene.cache.get(scene.fetch)
    scene.cache.invalidate(old)
    assert await scene.get() == "KEY2"
    scene.cache.invalidate(old)
    assert await scene.get() == "KEY2"


async def test_each_waiter_gets_its_own_error_object() -> None:
    scene = Scene()
    scene.failure = CredentialsUnavailable("the source", "no response")
    errors = await asyncio.gather(*(scene.get() for _ in range(3)), return_exceptions=True)
    assert all(isinstance(error, CredentialsUnavailable) for error in errors)
    assert len({id(error) for error in errors}) == 3
    assert scene.fetches == 1


async def test_a_fetch_runs_in_an_empty_context() -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="none")
    tenant.set("a tenant")

    async def fetch() -> Credentials:
        return Credentials(tenant.get(), "secret")

    cache = CredentialCache("the source", lambda: datetime.now(UTC), cache_unexpiring=False)
    assert (await cache.get(fetch)).access_key_id == "none"


async def test_close_cancels_a_fetch() -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=46)
    scene.gate.clear()
    await scene.get()
    (task,) = scene.cache._fetch_tasks.values()
    scene.cache.close()
    await asyncio.wait([task])
    assert task.cancelled()
    assert not scene.cache._fetch_tasks


async def test_a_waiter_for_a_cancelled_fetch_gets_client_closed() -> None:
    scene = Scene()
    scene.gate.clear()
    waiting, cancelled = asyncio.create_task(scene.get()), asyncio.create_task(scene.get())
    await asyncio.sleep(0)
    cancelled.cancel()
    scene.cache.close()
    with pytest.raises(ClientClosed, match="the client was closed while it was fetching credentials"):
        await waiting
    with pytest.raises(asyncio.CancelledError):
        await cancelled


def test_each_loop_fetches_for_itself() -> None:
    cache = CredentialCache("the source", lambda: datetime.now(UTC), cache_unexpiring=False)
    names = iter("AB")

    async def fetch() -> Credentials:
        return Credentials(next(names), "secret")

    fetched = [asyncio.run(cache.get(fetch)).access_key_id for _ in range(2)]
    assert fetched == ["A", "B"]
    assert not cache._fetch_tasks
