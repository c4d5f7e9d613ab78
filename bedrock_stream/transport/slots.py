"""Limits how many requests are open at once on an event loop, and spreads their starts; first come, first served.

A released slot is handed directly to the first waiter, so late arrivals cannot overtake. A `Lane` also learns how many
requests the service takes: its limit falls by a third when one is throttled, and rises by one after as many successes
as it has slots. A `StartPacer` lets one request start per visit of the loop, however many have a slot. A `Hold` is what
one request holds of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from time import monotonic

from ..errors import PoolTimeout

__all__ = ("Hold", "Lane", "LaneTicket", "Lanes", "Slots", "StartPacer", "hold_slots")

_MOST_LANES = 1024  # models that are named call by call must not pile up


class StartPacer:
    """Lets one request start in each visit of the event loop to its ready callbacks; the first of a visit never waits.

    A start, from signing to sending, takes about 0.3 ms in one piece: a thousand in one visit would stop the loop for
    0.3 s.
    """

    __slots__ = ("_is_taken", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_taken = False  # the turn of this visit and, while some wait, of the next ones

    async def wait_turn(self) -> None:
        """Return at once if nothing else starts in this visit, else in one in which nothing else does; in order."""
        loop = asyncio.get_running_loop()
        if not self._is_taken:
            self._is_taken = True
            loop.call_soon(self._begin_visit, loop)
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _begin_visit(self, loop: asyncio.AbstractEventLoop, is_taken: bool = False) -> None:
        """Give the turn of the next visit to the first that waits; `is_taken` is whether this visit's was given."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else it was cancelled
                turn.set_result(None)
                loop.call_soon(self._begin_visit, loop, True)
                return
        if is_taken:
            loop.call_soon(self._begin_visit, loop)
        else:
            self._is_taken = False


class Slots:
    """Connection slots. `name` describes them in errors; `is_paced` is whether a `StartPacer` spreads the starts."""

    __slots__ = ("_name", "_pacer", "_waiting", "limit", "taken")

    def __init__(self, limit: int, name: str = "slots", *, is_paced: bool = True) -> None:
        self._name = name
        self._pacer = StartPacer() if is_paced else None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.limit: int = limit
        """How many slots there are."""
        self.taken: int = 0
        """How many slots are taken."""

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return len(self._waiting)

    async def acquire(self, seconds: float | None, began: float | None = None) -> None:
        """Take a slot within this many seconds of `began`, by the monotonic clock, or of now; None for no limit.

        Raises `PoolTimeout`. A slot that is received together with a cancellation is passed on.
        """
        if self.taken < self.limit and not self._waiting:
            self.taken += 1
        else:
            await self._wait(seconds, began)
        if self._pacer is not None:
            try:
                await self._pacer.wait_turn()
            except BaseException:
                self.release()
                raise

    def release(self) -> None:
        """Give a slot back to the next waiter."""
        self.taken -= 1
        self._admit()

    async def _wait(self, seconds: float | None, began: float | None) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        now = monotonic()
        began = now if began is None else began
        try:
            async with asyncio.timeout(None if seconds is None else seconds - (now - began)):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self.release()
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                detail = f"all {self.limit} {self._name} are taken by {self.taken} open streams"
                raise PoolTimeout(seconds or 0, monotonic() - began, detail=detail) from None
            raise

    def _admit(self) -> None:
        while self._waiting and self.taken < self.limit:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self.taken += 1
                waiter.set_result(None)


class Lane(Slots):
    """Slots for one model in one region: as many as it has taken without throttling."""

    __slots__ = ("_most", "_successes", "epoch")

    def __init__(self, most: int, name: str) -> None:
        super().__init__(most, f"slots for {name}", is_paced=False)  # the pool's slot, which is taken next, is
        self._most = most
        self._successes = 0
        self.epoch: int = 0
        """Grows when the limit falls. A request that began before says nothing about the new limit."""

    def throttled(self, epoch: int) -> None:
        """Note that a request that began in this epoch was throttled."""
        if epoch == self.epoch:  # a burst is one sign, however many of its requests are throttled
            self.epoch += 1
            self._successes = 0
            self.limit = max(1, self.limit * 2 // 3)

    def succeeded(self) -> None:
        """Note that a request was not throttled."""
        self._successes += 1
        if self._successes >= self.limit < self._most:
            self._successes = 0
            self.limit: int = self.limit + 1
            self._admit()


class Lanes:
    """The lanes of a client on an event loop, by region and model. Above a thousand, idle ones are dropped."""

    __slots__ = ("_lanes", "_most")

    def __init__(self, most: int) -> None:
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._most = most

    def lane(self, region: str, model: str) -> Lane:
        """Return the lane of a model in a region."""
        key = region, model
        lane = self._lanes.pop(key, None)
        if lane is None:
            lane = Lane(self._most, f"{model} in {region}")
        self._lanes[key] = lane  # the most recently used one is last
        self._forget()
        return lane

    def limits(self) -> dict[tuple[str, str], int]:
        """Return the learned limit of each lane."""
        return {key: lane.limit for key, lane in list(self._lanes.items())}

    def _forget(self) -> None:
        """Look at the two least recently used lanes: drop an idle one, move a busy one to the end."""
        for _ in range(2):
            if len(self._lanes) <= _MOST_LANES:
                break
            key = next(iter(self._lanes))
            lane = self._lanes.pop(key)
            if lane.taken or lane.waiting:
                self._lanes[key] = lane


class LaneTicket:
    """One request's slot in a lane. Its outcome counts for the limit under which it got the slot."""

    __slots__ = ("_epoch", "_lane")

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._epoch = lane.epoch

    async def acquire(self, seconds: float | None, began: float | None = None) -> None:
        """See `Slots.acquire`."""
        await self._lane.acquire(seconds, began)
        self._epoch = self._lane.epoch  # the limit may have fallen while it waited

    def release(self) -> None:
        """See `Slots.release`."""
        self._lane.release()

    def throttled(self) -> None:
        """Note that the request was throttled."""
        self._lane.throttled(self._epoch)

    def succeeded(self) -> None:
        """Note that it was not."""
        self._lane.succeeded()


class Hold:
    """Slots that are held until `release`."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: list[Slots | LaneTicket] = []

    def add(self, slots: Slots | LaneTicket) -> None:
        """Note a slot that was acquired."""
        self._held.append(slots)

    def release(self) -> None:
        """Give all slots back; a second time does nothing."""
        while self._held:
            self._held.pop().release()


async def hold_slots(slots: Slots, ticket: LaneTicket | None, seconds: float | None) -> Hold:
    """Wait for a slot of the lane, if any, and of `slots`, within `seconds` for both. Raises `PoolTimeout`."""
    hold, began = Hold(), monotonic()
    try:
        for place in (slots,) if ticket is None else (ticket, slots):
            await place.acquire(seconds, began)
            hold.add(place)
    except BaseException:
        hold.release()
        raise
    return hold
