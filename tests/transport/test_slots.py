"""Connection slots: first come, first served, none lost; and lanes, whose limit is learned."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import errors
from bedrock_stream.transport.slots import Lane, Lanes, LaneTicket, Slots


async def in_line(slots: Slots | LaneTicket, count: int = 1) -> list[asyncio.Task[None]]:
    """Tasks that stand in line for a slot each."""
    waiting = [asyncio.create_task(slots.acquire(None)) for _ in range(count)]
    await asyncio.sleep(0)
    return waiting


async def settled(tasks: list[asyncio.Task[None]]) -> list[bool]:
    for _ in range(3):
        await asyncio.sleep(0)
    return [task.done() and not task.cancelled() for task in tasks]


async def test_slots_are_granted_in_order_of_arrival() -> None:
    slots = Slots(1)
    await slots.acquire(None)
    waiting = await in_line(slots, 3)
    assert slots.waiting == 3
    for served in ([True, False, False], [True, True, False], [True, True, True]):
        slots.release()
        assert await settled(waiting) == served
    assert (slots.taken, slots.waiting) == (1, 0)


async def test_a_late_arrival_cannot_take_a_slot_that_was_handed_over() -> None:
    slots = Slots(1)
    await slots.acquire(None)
    first = await in_line(slots)
    slots.release()
    late = await in_line(slots)
    assert await settled(first + late) == [True, False]
    slots.release()
    assert await settled(late) == [True]


async def test_a_cancelled_waiter_is_removed() -> None:
    slots = Slots(1)
    await slots.acquire(None)
    left, stays = await in_line(slots, 2)
    left.cancel()
    assert await settled([left, stays]) == [False, False]
    slots.release()
    assert await settled([left, stays]) == [False, True]
    assert (slots.taken, slots.waiting) == (1, 0)


async def test_a_slot_granted_to_a_cancelled_waiter_is_passed_on() -> None:
    slots = Slots(1)
    await slots.acquire(None)
    left, stays = await in_line(slots, 2)
    slots.release()
    left.cancel()
    assert await settled([left, stays]) == [False, True]
    assert (slots.taken, slots.waiting) == (1, 0)


async def test_a_pool_timeout_names_the_lane_and_its_limit() -> None:
    lane = Lane(1, "nova in us-east-1")
    await lane.acquire(None)
    with pytest.raises(errors.PoolTimeout, match="all 1 slots for nova in us-east-1 are taken by 1 open") as caught:
        await lane.acquire(0.01)
    assert caught.value.limit == 0.01
    assert lane.waiting == 0


# --------------------------------------------------------------------------------------------------- what a lane learns


async def turns(lane: Lane, count: int) -> list[LaneTicket]:
    taken = [LaneTicket(lane) for _ in range(count)]
    for turn in taken:
        await turn.acquire(None)
    return taken


async def test_a_round_of_throttled_requests_lowers_the_limit_once() -> None:
    lane = Lane(12, "it")
    for turn in await turns(lane, 12):
        turn.throttled()
        turn.release()
    assert lane.limit == 8
    for turn in await turns(lane, 8):
        turn.throttled()
    assert lane.limit == 5


async def test_a_request_that_waited_while_the_limit_fell_counts_for_the_new_limit() -> None:
    lane = Lane(3, "it")
    first = await turns(lane, 3)
    late = LaneTicket(lane)
    waiting = await in_line(late)
    first[0].throttled()
    assert lane.limit == 2
    for turn in first:
        turn.release()
    assert await settled(waiting) == [True]
    late.throttled()
    assert lane.limit == 1


async def test_a_lowered_limit_applies_to_waiting_requests() -> None:
    lane = Lane(6, "it")
    first = await turns(lane, 6)
    waiting = await in_line(lane, 6)
    first[0].throttled()  # four
    for served, turn in zip((0, 0, 1, 2, 3, 4), first, strict=True):
        turn.release()
        assert sum(await settled(waiting)) == served
        assert lane.taken == max(4, 5 - first.index(turn))


async def test_success_raises_the_limit_up_to_the_maximum_and_admits_a_waiter() -> None:
    lane = Lane(3, "it")
    first = await turns(lane, 3)
    first[0].throttled()
    first[0].release()
    waiting = await in_line(lane)
    assert await settled(waiting) == [False]
    first[1].succeeded()
    first[2].succeeded()
    assert lane.limit == 3
    assert await settled(waiting) == [True]
    for _ in range(20):
        first[1].succeeded()
    assert lane.limit == 3


async def test_the_limit_never_falls_below_one() -> None:
    lane = Lane(2, "it")
    for _ in range(5):
        (turn,) = await turns(lane, 1)
        turn.throttled()
        turn.release()
    assert lane.limit == 1


# -------------------------------------------------------------------------------------------------------- many of them


async def test_idle_lanes_are_dropped() -> None:
    """An ARN for each tenant or each call: what is idle is forgotten, what is in use or in demand is kept."""
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
    async def play() -> None:
        lane, tasks, seen = Lane(3, "it"), list[asyncio.Task[None]](), set[asyncio.Task[None]]()
        for step in steps:
            held = [task for task in tasks if task.done() and not task.cancelled() and task not in seen]
            match step:
                case "acquire":
                    tasks += await in_line(lane)
                case "release" if held:
                    seen.add(held[0])
                    lane.release()
                case "cancel" if tasks:
                    tasks[-1].cancel()
                case "throttle":
                    lane.throttled(lane.epoch)
                case "succeed":
                    lane.succeeded()
            done = await settled(tasks)
            out = sum(done) - len(seen)
            waiting = sum(not task.done() for task in tasks)
            assert (lane.taken, lane.waiting) == (out, waiting)
            assert not waiting or lane.taken >= lane.limit, "a slot is free and somebody waits"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(play())


def run(play: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner() as runner:
        runner.run(play)
