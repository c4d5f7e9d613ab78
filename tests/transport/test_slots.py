"""Connection slots, granted in order of arrival, and starts in visits of their own."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.transport.lanes import Lane, LaneTicket
from bedrock_stream.transport.slots import Slots
from tests.support.acquiring import acquired, run, start_acquiring


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
