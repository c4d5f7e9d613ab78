"""A quota of one process: reservations are granted in order, and whole or not at all."""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_stream import Quota, Usage, errors
from tests.support.quota_schedules import SCHEDULES, play
from tests.support.simulated_time import run_simulated


def simulated(**settings: Any) -> Quota:
    """Return a quota that runs on the time of the running loop."""
    return Quota(**settings, clock=asyncio.get_running_loop().time)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str) -> None:
    schedule = SCHEDULES[name]

    async def main() -> None:
        quota = simulated(**schedule.settings)
        order, seconds = await play(quota, schedule)
        assert order == schedule.order
        assert seconds == pytest.approx(schedule.seconds, abs=1e-6), "as early as possible"
        assert quota.stats().waiting == 0

    run_simulated(main())


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 2), st.integers(0, 200), st.one_of(st.none(), st.floats(0, 20)), st.floats(0, 1.2)),
        max_size=25,
    )
)
def test_any_schedule_is_granted_in_order_and_never_beyond_the_rate(
    callers: list[tuple[float, int, float | None, float]],
) -> None:
    """Callers come after a while, are cancelled after a while or not, and use a part of what they reserve, or more."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        quota = simulated(tpm=6000, burst=0.01)  # 100 a second, 60 at once
        granted: list[int] = []
        net = 0

        async def call(number: int, tokens: int, used: float) -> None:
            nonlocal net
            reservation = await quota.reserve(tokens)
            granted.append(number)
            net += tokens
            assert net - max(0, tokens - 60) <= 60 + loop.time() * 100 + 1e-6
            await asyncio.sleep(0.5)
            net += int(tokens * used) - tokens
            await reservation.settle(Usage(input_tokens=int(tokens * used), output_tokens=0))

        tasks, moment = [], 0.0
        for number, (pause, tokens, patience, used) in enumerate(callers):
            await asyncio.sleep(pause)
            tasks.append(asyncio.create_task(call(number, tokens, used)))
            if patience is not None:
                loop.call_later(patience, tasks[-1].cancel)
            moment += pause
        await asyncio.gather(*tasks, return_exceptions=True)
        failures = [task.exception() for task in tasks if not task.cancelled()]
        assert not any(failures)
        assert granted == sorted(granted)
        assert quota.stats().waiting == 0

    run_simulated(main())


def test_many_waiters_use_one_timer_and_all_of_the_rate() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        quota = simulated(rpm=600)  # 10 a second, 60 at once
        waiting = [asyncio.create_task(quota.reserve(1)) for _ in range(160)]
        await asyncio.sleep(0)
        assert quota.stats().waiting == 100
        assert len([handle for handle in loop._scheduled if not handle.cancelled()]) == 1  # type: ignore[attr-defined]
        await asyncio.gather(*waiting)
        assert loop.time() == pytest.approx(10)

    run_simulated(main())


def test_a_quota_serves_several_loops_and_threads() -> None:
    quota = Quota(tpm=60, burst=1)
    holds = asyncio.run(quota.reserve(60))
    granted: list[int] = []

    async def take() -> None:
        granted.append((await quota.reserve(20)).tokens)

    threads = [Thread(target=asyncio.run, args=(take(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    while quota.stats().waiting < 3:
        pass
    holds.give_back()  # here is no loop at all
    for thread in threads:
        thread.join()
    assert granted == [20, 20, 20]


def test_waiters_of_a_loop_that_was_closed_hold_up_nobody() -> None:
    quota = Quota(tpm=60, burst=1)
    loop = asyncio.new_event_loop()
    holds = loop.run_until_complete(quota.reserve(60))
    left = loop.create_task(quota.reserve(60))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert quota.stats().waiting == 1

    async def main() -> None:
        waiting = asyncio.create_task(quota.reserve(60))
        await asyncio.sleep(0)
        await holds.settle(Usage(input_tokens=0, output_tokens=0))
        await waiting

    asyncio.run(main())
    left._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_throttle_is_counted_and_shown() -> None:
    async def main() -> None:
        quota = simulated(rpm=60, tpm=6000, burst=0.5)
        reservation = await quota.reserve(1000)
        assert quota.stats().tokens == 2000
        reservation.throttled()
        reservation.give_back()
        stats = quota.stats()
        assert (stats.throttles, stats.slowed, stats.reserved, stats.tokens, stats.requests) == (1, True, 0, 3000, 30)
        await (await quota.reserve(100)).settle(Usage(input_tokens=30, output_tokens=10))
        assert (quota.stats().reserved, quota.stats().settled) == (100, 40)

    run_simulated(main())


async def test_the_burn_of_the_quota_takes_precedence_over_that_of_the_model() -> None:
    usage = Usage(input_tokens=0, output_tokens=10)
    for burn, of_the_model, used in ((None, None, 10), (None, 5, 50), (2, 5, 20)):
        quota = Quota(tpm=1000, burn=burn)
        await (await quota.reserve(100, burn=of_the_model)).settle(usage)
        assert quota.stats().settled == used


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "Quota.rpm: expected a limit, got neither rpm nor tpm"),
        ({"rpm": 0}, "Quota.rpm: expected a positive number or None, got 0"),
        ({"rpm": True}, "Quota.rpm: expected a positive number or None, got True"),
        ({"tpm": "1000"}, "Quota.tpm: expected a positive number or None, got '1000'"),
        ({"tpm": float("inf")}, "Quota.tpm: expected a positive number or None, got inf"),
        ({"rpm": 1, "burn": -5}, "Quota.burn: expected a positive number or None, got -5"),
        ({"rpm": 1, "reserve_output": -1}, "Quota.reserve_output: expected a number of at least 0, got -1"),
        ({"rpm": 1, "burst": 0}, "Quota.burst: expected a number above 0 and up to 1, got 0"),
    ],
)
def test_settings_that_make_no_sense_are_errors(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        Quota(**settings)
    assert str(caught.value).startswith(problem)


async def test_arguments_of_reservations_are_checked() -> None:
    quota = Quota(rpm=10)
    for tokens in (-1, 1.5, True, "1"):
        with pytest.raises(errors.ConfigurationError, match="tokens: expected a number of at least 0"):
            await quota.reserve(tokens)  # type: ignore[arg-type]
    reservation = await quota.reserve(1)
    with pytest.raises(errors.ConfigurationError, match="usage: expected a Usage or None, got dict"):
        await reservation.settle({"inputTokens": 1})  # type: ignore[arg-type]
    assert repr(quota) == "Quota(rpm=10)"
    assert repr(reservation) == "<Reservation of 1 tokens, open>"
