"""Lanes, which learn their limit, pause, and probe."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import errors
from bedrock_stream.transport import lanes
from bedrock_stream.transport.lanes import Lane, Lanes, LaneTicket
from tests.support.acquiring import acquired, run, start_acquiring


async def test_a_pool_timeout_names_the_lane_and_its_limit() -> None:
    lane = Lane(1, "nova in us-east-1")
    await lane.acquire(None)
    with pytest.raises(errors.PoolTimeout, match="all 1 slots for nova in us-east-1 are taken by 1 open") as caught:
        await lane.acquire(0.01)
    assert caught.value.limit == 0.01
    assert lane.waiting == 0


# -------------------------------------------------------------------------------------------------- the limit of a lane


async def acquire_tickets(lane: Lane, count: int) -> list[LaneTicket]:
    tickets = [LaneTicket(lane) for _ in range(count)]
    for ticket in tickets:
        await ticket.acquire(None)
    return tickets


async def test_a_round_of_throttled_requests_lowers_the_limit_once() -> None:
    lane = Lane(12, "model in region")
    for ticket in await acquire_tickets(lane, 12):
        ticket.throttled()
        ticket.release()
    assert lane.limit == 8
    for ticket in await acquire_tickets(lane, 8):
        ticket.throttled()
    assert lane.limit == 5


async def test_a_request_that_waited_while_the_limit_fell_counts_for_the_new_limit() -> None:
    lane = Lane(3, "model in region")
    first = await acquire_tickets(lane, 3)
    late = LaneTicket(lane)
    waiting = await start_acquiring(late)
    first[0].throttled()
    assert lane.limit == 2
    for ticket in first:
        ticket.release()
    assert await acquired(waiting) == [True]
    late.throttled()
    assert lane.limit == 1


async def test_a_lowered_limit_applies_to_waiting_requests() -> None:
    lane = Lane(6, "model in region")
    first = await acquire_tickets(lane, 6)
    waiting = await start_acquiring(lane, 6)
    first[0].throttled()  # the limit is now four
    for admitted, ticket in zip((0, 0, 1, 2, 3, 4), first, strict=True):
        ticket.release()
        assert sum(await acquired(waiting)) == admitted
        assert lane.taken == max(4, 5 - first.index(ticket))


async def test_success_raises_the_limit_up_to_the_maximum_and_admits_a_waiter() -> None:
    lane = Lane(3, "model in region")
    first = await acquire_tickets(lane, 3)
    first[0].throttled()
    first[0].release()
    waiting = await start_acquiring(lane)
    assert await acquired(waiting) == [False]
    first[1].succeeded()
    first[2].succeeded()
    assert lane.limit == 3
    assert await acquired(waiting) == [True]
    for _ in range(20):
        first[1].succeeded()
    assert lane.limit == 3


async def test_the_limit_never_falls_below_one() -> None:
    lane = Lane(2, "model in region")
    for _ in range(5):
        (ticket,) = await acquire_tickets(lane, 1)
        ticket.throttled()
        ticket.release()
    assert lane.limit == 1


async def test_the_limit_doubles_in_each_round_until_the_first_throttling() -> None:
    lane = Lane(100, "model in region")
    limits = []
    for _ in range(3):
        limits.append(lane.limit)
        for ticket in await acquire_tickets(lane, lane.limit):
            ticket.succeeded()
            ticket.release()
    assert limits == [16, 32, 64]
    assert lane.limit == 100
    (ticket,) = await acquire_tickets(lane, 1)
    ticket.throttled()
    ticket.release()
    for ticket in await acquire_tickets(lane, 66):
        ticket.succeeded()
        ticket.release()
    assert lane.limit == 67


# --------------------------------------------------------------------------------------------------- pauses of a lane


def throttled(retry_after: float | None = None) -> errors.Throttled:
    error = errors.Throttled("ThrottlingException", "Slow down.", 429)
    error.retry_after = retry_after
    return error


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.5), (1.0, 1.0)])
async def test_pauses_double_up_to_30_seconds(chance: float, factor: float) -> None:
    lane = Lane(9, "model in region", lambda: chance)
    pauses = [lane.refused(lane.epoch, throttled()) for _ in range(9)]
    assert pauses == pytest.approx([wait * factor for wait in (0.5, 1, 2, 4, 8, 16, 30, 30, 30)], abs=0.1)
    assert (lane.pauses, lane.throttles) == (9, 9)


async def test_a_burst_of_throttled_requests_is_one_pause_as_long_as_any_of_them_asks_for() -> None:
    lane = Lane(9, "model in region")
    tickets = await acquire_tickets(lane, 9)
    for ticket in tickets:
        ticket.refused(throttled())
    assert (lane.limit, lane.pauses, lane.throttles) == (6, 1, 9)
    assert tickets[0].refused(throttled(retry_after=100)) == pytest.approx(100, abs=1)
    assert lane.pauses == 1
    assert tickets[0].refused(throttled(retry_after=50)) == pytest.approx(100, abs=1)


async def test_a_success_of_a_request_that_began_before_does_not_end_a_pause() -> None:
    lane = Lane(9, "model in region")
    first, second = await acquire_tickets(lane, 2)
    first.refused(throttled(retry_after=100))
    waiting = await start_acquiring(lane)
    second.succeeded()
    assert await acquired(waiting) == [False]
    assert first.is_refused
    waiting[0].cancel()


async def test_after_a_pause_twice_as_many_start_in_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(lanes, "_PROBE_SECONDS", 600.0)
    lane = Lane(100, "model in region")
    for ticket in await acquire_tickets(lane, 16):
        ticket.succeeded()
        ticket.release()
    (first,) = await acquire_tickets(lane, 1)
    first.refused(throttled())
    first.release()
    assert lane.limit == 21
    rounds, started = list[int](), list[LaneTicket]()

    async def start() -> None:
        ticket = LaneTicket(lane, 60, asyncio.get_running_loop().time())
        await ticket.acquire(None)
        started.append(ticket)

    waiting = [asyncio.create_task(start()) for _ in range(60)]
    while len(rounds) < 6:
        while not started:
            await asyncio.sleep(0)
        await acquired(waiting)
        rounds.append(len(started))
        current, started = started, []
        for ticket in current:
            ticket.release()
            ticket.succeeded()
    assert rounds == [1, 2, 4, 8, 16, 22], "up to the limit, which 31 successes have raised"
    for task in waiting:
        task.cancel()


async def test_throttling_while_a_lane_opens_lowers_the_limit_to_what_was_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "_FIRST_PAUSE", 0.001)
    lane = Lane(16, "model in region")
    (first,) = await acquire_tickets(lane, 1)
    first.refused(throttled())
    first.release()
    assert lane.limit == 10
    tickets = [LaneTicket(lane, 60, asyncio.get_running_loop().time()) for _ in range(9)]
    waiting = [asyncio.create_task(ticket.acquire(None)) for ticket in tickets]
    await waiting[0]
    tickets[0].release()
    tickets[0].succeeded()
    await waiting[2]
    tickets[1].release()
    tickets[1].refused(throttled())
    assert lane.limit == 1, "two thirds of two"
    for task in waiting:
        task.cancel()


# ----------------------------------------------------------------------------------------------------------- many lanes


async def test_idle_lanes_are_dropped() -> None:
    """Callers may use a model ARN for each tenant or call. Lanes in use or recently used are kept."""
    lanes = Lanes(2)
    busy, learned, idle = (lanes.lane("here", model) for model in ("busy", "learned", "idle"))
    await busy.acquire(None)
    learned.throttled(learned.epoch)
    for number in range(5000):
        lanes.lane("here", f"model-{number}")
        if number % 500 == 0:
            assert lanes.lane("here", "learned") is learned
    assert len(lanes.limits()) == 1024
    assert lanes.lane("here", "busy") is busy
    assert lanes.limits()["here", "learned"] == 1
    assert lanes.lane("here", "idle") is not idle
    busy.release()


async def test_lanes_in_use_are_kept_until_they_are_idle() -> None:
    lanes = Lanes(1)
    busy: list[Lane] = []
    for number in range(1500):
        busy.append(lanes.lane("here", f"model-{number}"))
        await busy[-1].acquire(None)
    assert [lanes.lane("here", f"model-{number}") for number in range(1500)] == busy
    for lane in busy:
        lane.release()
    for _ in range(1500):
        lanes.lane("here", "another")
    assert len(lanes.limits()) == 1024


@given(steps=st.lists(st.sampled_from(["acquire", "release", "cancel", "throttle", "succeed"]), max_size=60))
def test_no_slot_is_lost_or_granted_twice(steps: list[str]) -> None:
    async def run_steps() -> None:
        lane, tasks, released = Lane(3, "model in region"), list[asyncio.Task[None]](), set[asyncio.Task[None]]()
        for step in steps:
            held = [task for task in tasks if task.done() and not task.cancelled() and task not in released]
            match step:
                case "acquire":
                    tasks += await start_acquiring(lane)
                case "release" if held:
                    released.add(held[0])
                    lane.release()
                case "cancel" if tasks:
                    tasks[-1].cancel()
                case "throttle":
                    lane.throttled(lane.epoch)
                case "succeed":
                    lane.succeeded(lane.epoch)
            taken = sum(await acquired(tasks)) - len(released)
            waiting = sum(not task.done() for task in tasks)
            assert (lane.taken, lane.waiting) == (taken, waiting)
            assert not waiting or lane.taken >= lane.limit, "a task waits although a slot is free"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(run_steps())
