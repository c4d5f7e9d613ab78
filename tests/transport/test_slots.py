"""Connection slots, granted in order of arrival, starts in visits of their own, and lanes, which learn their limit."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import errors
from bedrock_stream.transport import slots
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


# ---------------------------------------------------------------------------------------------- starts, one in a visit


class Visits:
    """Counts the event loop's visits to its ready callbacks. Used as a context manager around what is counted."""

    def __init__(self) -> None:
        self.count = 0
        self._next: asyncio.Handle | None = None

    def __enter__(self) -> Visits:
        self._next = asyncio.get_running_loop().call_soon(self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._next is not None
        self._next.cancel()

    def _begin(self) -> None:
        self.count += 1
        self.__enter__()


async def start(slots: Slots | LaneTicket, visits: Visits, started: list[int], seconds: float | None = None) -> None:
    """Acquire a slot, and note in which visit."""
    await slots.acquire(seconds)
    started.append(visits.count)


def acquire_now(slots: Slots) -> bool:
    """Return whether a slot is acquired without waiting; a request that would wait is given up."""
    acquiring = slots.acquire(None)
    try:
        acquiring.send(None)
    except StopIteration:
        return True
    acquiring.close()
    return False


async def test_a_request_that_comes_alone_never_waits() -> None:
    slots = Slots(9)
    for _ in range(3):
        assert acquire_now(slots)
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # whichever of this task and the pacer is first in a visit
    assert slots.taken == 3


async def test_requests_that_come_together_start_in_visits_of_their_own() -> None:
    slots, started = Slots(100), list[int]()
    with Visits() as visits:
        await asyncio.gather(*(start(slots, visits, started) for _ in range(50)))
        assert len(set(started)) == 50
        assert started[0] == 1, "the first does not wait"
        assert visits.count < 60, "nor do the others any longer than they must"
    assert (slots.taken, slots.waiting) == (50, 0)


async def test_a_request_that_comes_while_others_are_starting_is_the_last() -> None:
    slots, order = Slots(100), list[str]()

    async def note(name: str) -> None:
        await slots.acquire(None)
        order.append(name)

    early = [asyncio.create_task(note(f"early {number}")) for number in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.gather(note("late"), *early)
    assert order == ["early 0", "early 1", "early 2", "early 3", "late"]


async def test_slots_that_are_released_together_are_passed_on_in_visits_of_their_own() -> None:
    slots, started = Slots(20), list[int]()
    with Visits() as visits:
        await asyncio.gather(*(slots.acquire(None) for _ in range(20)))
        waiting = [asyncio.create_task(start(slots, visits, started)) for _ in range(20)]
        await asyncio.sleep(0)
        assert slots.waiting == 20
        for _ in range(20):
            slots.release()
        await asyncio.gather(*waiting)
    assert len(set(started)) == 20
    assert slots.taken == 20


async def test_a_request_that_is_cancelled_before_it_starts_passes_its_slot_on() -> None:
    slots = Slots(2)
    first, second, third = await start_acquiring(slots, 3)
    assert (first.done(), second.done(), slots.waiting) == (True, False, 1)
    second.cancel()
    assert await acquired([first, second, third]) == [True, False, True]
    assert (slots.taken, slots.waiting) == (2, 0)


async def test_waiting_to_start_is_not_waiting_for_a_slot() -> None:
    slots, started = Slots(20), list[int]()
    with Visits() as visits:
        await asyncio.gather(*(start(slots, visits, started, 1e-9) for _ in range(20)))
    assert len(set(started)) == 20


async def test_only_the_pool_spreads_starts_since_each_request_passes_it_after_its_lane() -> None:
    lane = Lane(16, "model in region")
    with Visits() as visits:
        started = list[int]()
        await asyncio.gather(*(start(lane, visits, started) for _ in range(16)))
    assert len(set(started)) == 1


@given(
    limit=st.integers(1, 6),
    steps=st.lists(st.tuples(st.sampled_from(["acquire", "release", "cancel"]), st.integers(0, 5)), max_size=40),
)
@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_no_two_requests_start_in_one_visit(loop_name: str, limit: int, steps: list[tuple[str, int]]) -> None:
    async def run_steps() -> None:
        slots, started, tasks, released = Slots(limit), list[int](), list[asyncio.Task[None]](), 0
        with Visits() as visits:
            for step, count in steps:
                match step:
                    case "acquire":
                        tasks += [asyncio.create_task(start(slots, visits, started)) for _ in range(count)]
                        continue  # in the same visit as what follows
                    case "release":
                        for _ in range(min(count, len(started) - released)):
                            released += 1
                            slots.release()
                    case "cancel":
                        for task in tasks[-count:]:
                            task.cancel()
                await asyncio.sleep(0)
            while released < len(started) or not all(task.done() for task in tasks):
                if released < len(started):
                    released += 1
                    slots.release()
                await asyncio.sleep(0)
        assert len(set(started)) == len(started)
        assert started == sorted(started)
        assert (slots.taken, slots.waiting) == (0, 0)

    run(run_steps(), loop_name)


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
    monkeypatch.setattr(slots, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(slots, "_PROBE_SECONDS", 600.0)
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
    monkeypatch.setattr(slots, "_FIRST_PAUSE", 0.001)
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


async def test_a_request_that_waited_before_is_the_first() -> None:
    slots = Slots(1)
    await slots.acquire(None)
    early = await start_acquiring(slots)
    again = asyncio.create_task(slots.acquire(None, first=True))
    await asyncio.sleep(0)
    slots.release()
    assert await acquired([*early, again]) == [False, True]
    slots.release()
    assert await acquired(early) == [True]


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


def run(coroutine: Coroutine[Any, Any, None], loop_name: str = "asyncio") -> None:
    factory = asyncio.new_event_loop if loop_name == "asyncio" else pytest.importorskip(loop_name).new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(coroutine)
