"""Connection slots, granted in order of arrival, and lanes, which learn their limit."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import errors
from bedrock_stream.transport.slots import Lane, Lanes, LaneTicket, Slots


async def start_acquiring(slots: Slots | LaneTicket, count: int = 1) -> list[asyncio.Task[None]]:
    """Start this many tasks that each acquire a slot."""
    waiting = [asyncio.create_task(slots.acquire(None)) for _ in range(count)]
    await asyncio.sleep(0)
    return waiting


async def acquired(tasks: list[asyncio.Task[None]]) -> list[bool]:
    """Return which of the tasks have acquired their slot."""
    for _ in range(3):
        await asyncio.sleep(0)
    return [task.done() and not task.cancelled() for task in tasks]


async def test_slots_are_granted_in_order_of_arrival() -> None:
    slots = Slots(1)
    await slots.acquire(None)
    waiting = await start_acquiring(slots, 3)
    assert slots.waiting == 3
    for expected in ([True, False, False], [True, True, False], [True, True, True]):
        slots.release()
        assert await acquired(waiting) == expected
    assert (slots.taken, slots.waiting) == (1, 0)


async def test_a_late_arrival_cannot_take_a_slot_that_was_handed_over() -> None:
    slots = Slots(1)
    await slots.acquire(None)
    first = await start_acquiring(slots)
    slots.release()
    late = await start_acquiring(slots)
    assert await acquired(first + late) == [True, False]
    slots.release()
    assert await acquired(late) == [True]


async def test_a_cancelled_waiter_is_removed() -> None:
    slots = Slots(1)
    await slots.acquire(None)
    cancelled, other = await start_acquiring(slots, 2)
    cancelled.cancel()
    assert await acquired([cancelled, other]) == [False, False]
    slots.release()
    assert await acquired([cancelled, other]) == [False, True]
    assert (slots.taken, slots.waiting) == (1, 0)


async def test_a_slot_granted_to_a_cancelled_waiter_is_passed_on() -> None:
    slots = Slots(1)
    await slots.acquire(None)
    cancelled, other = await start_acquiring(slots, 2)
    slots.release()
    cancelled.cancel()
    assert await acquired([cancelled, other]) == [False, True]
    assert (slots.taken, slots.waiting) == (1, 0)


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
                    lane.succeeded()
            taken = sum(await acquired(tasks)) - len(released)
            waiting = sum(not task.done() for task in tasks)
            assert (lane.taken, lane.waiting) == (taken, waiting)
            assert not waiting or lane.taken >= lane.limit, "a task waits although a slot is free"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(run_steps())


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner() as runner:
        runner.run(coroutine)
