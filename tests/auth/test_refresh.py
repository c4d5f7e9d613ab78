"""Keys that are kept: one fetch for all, refreshed beside the requests, old ones in use while a refresh fails."""

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
    """A keeper, its clock, and a source that waits to be let go."""

    def __init__(self, *, lasting: bool = True) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.keeper = CredentialCache("the source", lambda: self.now, lasting=lasting)
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
        end = None if self.minutes is None else self.now + timedelta(minutes=self.minutes)
        return Credentials(f"KEY{number}", "secret", expires_at=end)

    async def get(self) -> str:
        return (await self.keeper.get(self.fetch)).access_key_id

    async def settle(self) -> None:
        """Let a fetch that goes on beside finish."""
        while self.keeper._flights:
            await asyncio.sleep(0)


async def test_two_hundred_first_requests_make_one_fetch() -> None:
    scene = Scene()
    scene.gate.clear()
    requests = [asyncio.create_task(scene.get()) for _ in range(200)]
    await asyncio.sleep(0)
    requests[0].cancel()  # whoever began it may leave, the others get their keys
    await asyncio.sleep(0)
    scene.gate.set()
    assert await asyncio.gather(*requests[1:]) == ["KEY1"] * 199
    assert scene.fetches == 1


async def test_keys_that_hold_are_not_asked_for_again() -> None:
    scene = Scene()
    assert [await scene.get() for _ in range(3)] == ["KEY1"] * 3
    scene.now += timedelta(minutes=44)
    assert await scene.get() == "KEY1"
    assert scene.fetches == 1


async def test_keys_that_end_within_fifteen_minutes_are_fetched_beside() -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=46)
    scene.gate.clear()
    assert [await scene.get() for _ in range(3)] == ["KEY1"] * 3
    scene.gate.set()
    await scene.settle()
    assert await scene.get() == "KEY2"
    assert scene.fetches == 2


async def test_keys_that_end_within_ten_minutes_are_waited_for() -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=51)
    assert await scene.get() == "KEY2"


@pytest.mark.parametrize("minutes", [46, 51, 59])
async def test_while_a_refresh_fails_the_old_keys_serve(minutes: float, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=minutes)
    scene.failure = CredentialsUnavailable("the source", "nobody answered")
    with caplog.at_level(logging.WARNING, "bedrock_stream.auth"):
        assert await scene.get() == "KEY1"
        await scene.settle()
        assert [await scene.get() for _ in range(5)] == ["KEY1"] * 5
        await scene.settle()
    assert scene.fetches == 2  # not asked again within the minute
    assert caplog.messages == [
        "the source gave no new keys, the old ones stay in use: the source: nobody answered",
    ]


async def test_keys_that_have_ended_are_never_used() -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=60)
    scene.failure = CredentialsUnavailable("the source", "nobody answered")
    for _ in range(2):
        with pytest.raises(CredentialsUnavailable, match="nobody answered"):
            await scene.get()
    scene.failure, scene.minutes = None, -1
    with pytest.raises(CredentialsUnavailable, match="its keys ended at 2030-01-01 00:59:00 UTC"):
        await scene.get()


async def test_a_source_of_short_lived_keys_is_not_asked_at_every_request() -> None:
    scene = Scene()
    scene.minutes = 12
    assert await scene.get() == "KEY1"
    for _ in range(5):
        await scene.get()
        await scene.settle()
    assert scene.fetches == 2
    scene.now += timedelta(seconds=61)
    await scene.get()
    await scene.settle()
    assert scene.fetches == 3


async def test_without_an_end_a_lasting_source_is_asked_once_and_a_callable_each_time() -> None:
    for lasting, expected in ((True, ["KEY1", "KEY1"]), (False, ["KEY1", "KEY2"])):
        scene = Scene(lasting=lasting)
        scene.minutes = None
        assert [await scene.get() for _ in range(2)] == expected


async def test_refused_keys_are_fetched_anew_and_later_complaints_about_them_change_nothing() -> None:
    scene = Scene()
    scene.minutes = None
    old = await scene.keeper.get(scene.fetch)
    scene.keeper.distrust(old)
    assert await scene.get() == "KEY2"
    scene.keeper.distrust(old)
    assert await scene.get() == "KEY2"


async def test_each_waiter_gets_an_error_of_its_own() -> None:
    scene = Scene()
    scene.failure = CredentialsUnavailable("the source", "nobody answered")
    errors = await asyncio.gather(*(scene.get() for _ in range(3)), return_exceptions=True)
    assert all(isinstance(error, CredentialsUnavailable) for error in errors)
    assert len({id(error) for error in errors}) == 3
    assert scene.fetches == 1


async def test_a_fetch_sees_nobodys_context() -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
    tenant.set("a tenant")

    async def fetch() -> Credentials:
        return Credentials(tenant.get(), "secret")

    keeper = CredentialCache("the source", lambda: datetime.now(UTC), lasting=False)
    assert (await keeper.get(fetch)).access_key_id == "nobody"


async def test_closing_gives_up_what_is_being_fetched() -> None:
    scene = Scene()
    await scene.get()
    scene.now += timedelta(minutes=46)
    scene.gate.clear()
    await scene.get()
    (flight,) = scene.keeper._flights.values()
    scene.keeper.close()
    await asyncio.wait([flight])
    assert flight.cancelled()
    assert not scene.keeper._flights


async def test_whoever_waits_for_what_is_given_up_hears_that_the_client_was_closed() -> None:
    scene = Scene()
    scene.gate.clear()
    waiting, leaving = asyncio.create_task(scene.get()), asyncio.create_task(scene.get())
    await asyncio.sleep(0)
    leaving.cancel()
    scene.keeper.close()
    with pytest.raises(ClientClosed, match="the client was closed before its keys came"):
        await waiting
    with pytest.raises(asyncio.CancelledError):
        await leaving


def test_each_loop_fetches_for_itself() -> None:
    keeper = CredentialCache("the source", lambda: datetime.now(UTC), lasting=False)
    keys = iter("AB")

    async def fetch() -> Credentials:
        return Credentials(next(keys), "secret")

    found = [asyncio.run(keeper.get(fetch)).access_key_id for _ in range(2)]
    assert found == ["A", "B"]
    assert not keeper._flights
