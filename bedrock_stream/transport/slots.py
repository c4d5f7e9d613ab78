"""Limits how many requests are open at once on an event loop, and spreads their starts; first come, first served.

A released slot is handed directly to the first waiter, so late arrivals cannot overtake. A `Lane` also learns how many
requests the service takes. Its limit starts low and doubles in each round of successes, until a request is throttled;
from then on it falls by a third when one is throttled, and rises by one after as many successes as it has slots.
Throttling of a patient request also pauses the lane: nothing starts until the pause is over, and then one request
alone, the probe. Once it is accepted, twice as many follow in each round, until as many run as the limit allows. A
`StartPacer` lets one request start per visit of the loop, and a `Hold` is what one request holds of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic

from ..errors import BedrockStreamError, PoolTimeout
from ..types.settings import backoff

__all__ = ("Hold", "Lane", "LaneTicket", "Lanes", "Slots", "StartPacer", "hold_slots")

_MOST_LANES = 1024  # models that are named call by call must not pile up
_FIRST_LIMIT = 16  # of a lane: a burst of hundreds would find a small quota by being throttled hundreds of times
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds
# A refusal comes at once, an answer after many seconds. So requests count as accepted if none is refused for as long.
_PROBE_SECONDS = 1.0


class StartPacer:
    """Lets one request start in each visit of the event loop to its ready callbacks; the first of a visit never waits.

    A start, from signing to sending, takes some 0.3 ms in one piece: a thousand at once would stop the loop for 0.3 s.
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

    async def acquire(self, seconds: float | None, began: float | None = None, *, first: bool = False) -> None:
        """Take a slot within this many seconds of `began`, by the monotonic clock, or of now; None for no limit.

        `first` waits before all others. Raises `PoolTimeout`. A slot that is received together with a cancellation is
        passed on.
        """
        if self._has_room() and not self._waiting:
            self._take()
        else:
            await self._wait(seconds, began, first)
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

    def _has_room(self) -> bool:
        return self.taken < self.limit

    def _take(self) -> None:
        self.taken += 1

    def _give_back(self) -> None:
        """Release a slot that was not used."""
        self.release()

    async def _wait(self, seconds: float | None, began: float | None, first: bool) -> None:
        waiter = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if first else self._waiting.append)(waiter)
        now = monotonic()
        began = now if began is None else began
        try:
            async with asyncio.timeout(None if seconds is None else seconds - (now - began)):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._give_back()
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove(waiter)
            if isinstance(error, TimeoutError):
                detail = f"all {self.limit} {self._name} are taken by {self.taken} open streams"
                raise PoolTimeout(seconds or 0, monotonic() - began, detail=detail) from None
            raise

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._take()
                waiter.set_result(None)


class Lane(Slots):
    """Slots for one model in one region: as many as it has taken without throttling, and none during a pause.

    `chance` returns a random number from 0 to 1.
    """

    __slots__ = (
        "_chance",
        "_doubles",
        "_is_probing",
        "_most",
        "_pauses_in_a_row",
        "_starts",
        "_successes",
        "_timer",
        "epoch",
        "is_paused",
        "paused_seconds",
        "paused_until",
        "pauses",
        "refusal",
        "succeeded_at",
        "throttles",
    )

    def __init__(self, most: int, name: str, chance: Callable[[], float] = random.random) -> None:
        # The pool's slot, which is taken next, is paced.
        super().__init__(min(most, _FIRST_LIMIT), f"slots for {name}", is_paced=False)
        self._most = most
        self._chance = chance
        self._doubles = True  # until the first throttle
        self._successes = 0
        self._starts = inf  # how many requests may start: none during a pause, then the probe, then more
        self._is_probing = False
        self._pauses_in_a_row = 0
        self._timer: asyncio.TimerHandle | None = None
        self.epoch: int = 0
        """Grows when a request is throttled. One that began before says nothing about what follows."""
        self.is_paused: bool = False
        """Whether nothing may start."""
        self.paused_until: float = 0.0
        """When the current or last pause ends, by the loop's clock."""
        self.paused_seconds: float = 0.0
        """How long the pauses were, together, with what is left of the current one."""
        self.pauses: int = 0
        """How many pauses there were."""
        self.throttles: int = 0
        """How many patient requests were throttled."""
        self.succeeded_at: float = 0.0
        """When a request last succeeded, by the loop's clock."""
        self.refusal: BedrockStreamError | None = None
        """The last error of a patient request that was throttled; None once another one has succeeded."""

    def throttled(self, epoch: int) -> None:
        """Note that a request that began in this epoch was throttled."""
        if epoch != self.epoch:  # a burst is one sign, however many of its requests are throttled
            return
        self.epoch += 1
        self._successes = 0
        self._doubles = False
        if not self._is_probing:  # a probe says nothing about how many are too many
            most = self.limit if self._starts == inf else self.taken + 1
            self.limit = max(1, min(self.limit, most) * 2 // 3)

    def refused(self, epoch: int, error: BedrockStreamError) -> float:
        """Note that a patient request of this epoch was throttled: pause. Return the seconds that are left of it."""
        now = asyncio.get_running_loop().time()
        wait = error.retry_after or 0.0
        if epoch == self.epoch:
            pause = backoff(_FIRST_PAUSE, _LONGEST_PAUSE, self._pauses_in_a_row)
            wait = max(wait, pause * (0.5 + self._chance() / 2))
            self._pauses_in_a_row += 1
            self.pauses += 1
        self.throttles += 1
        self.refusal = copy.copy(error)  # without its traceback, whose frames hold the stream
        self.throttled(epoch)
        if wait and now + wait > self.paused_until:
            self.paused_seconds += now + wait - max(now, self.paused_until)
            self.is_paused, self.paused_until = True, now + wait
            self._starts = 0
            self._call_at(self.paused_until, self._probe)
        return max(0.0, self.paused_until - now)

    def succeeded(self, epoch: int) -> None:
        """Note that a request that began in this epoch was not throttled."""
        self.succeeded_at = asyncio.get_running_loop().time()
        self._successes += 1
        if self._doubles or self._successes >= self.limit:
            self._successes = 0
            self.limit: int = min(self.limit + 1, self._most)
        if epoch == self.epoch and not self.is_paused:
            self.refusal = None
            self._pauses_in_a_row = 0
            self._open(2)
        self._admit()

    def undecided(self, epoch: int) -> None:
        """Note that a request of this epoch ended, and it is unknown whether it would have been throttled."""
        if self._is_probing and not self.is_paused and epoch == self.epoch:
            self._starts = 1
            self._admit()

    def _has_room(self) -> bool:
        return self._starts > 0 and self.taken < self.limit

    def _take(self) -> None:
        super()._take()
        self._starts -= 1

    def _give_back(self) -> None:
        if not self.is_paused:
            self._starts += 1
        self.release()

    def _probe(self) -> None:
        """End the pause: let one request start."""
        self.is_paused, self._starts, self._is_probing = False, 1, True
        self._call_at(self.paused_until + _PROBE_SECONDS, self._double)
        self._admit()

    def _open(self, more: int) -> None:
        """Let more requests start after a pause; any number once as many run as the limit allows."""
        self._is_probing = False
        if self._starts == inf:
            return
        self._starts += more
        self._admit()
        if self._starts > 0:  # nobody waits, or the limit is reached
            self._starts = inf
            self._cancel_timer()

    def _double(self) -> None:
        """Let as many more start as run: none of these was refused for a second."""
        self._timer = None
        self._open(max(1, self.taken))
        if self._starts != inf:
            self._call_at(asyncio.get_running_loop().time() + _PROBE_SECONDS, self._double)

    def _call_at(self, moment: float, callback: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_at(moment, callback)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


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
    """One request's slot in a lane. Its outcome counts for the limit under which it got the slot.

    With `patience`, in seconds, throttling pauses the lane, and the wait for a slot ends once the lane has had no
    success for so long since `began`, by the loop's clock. `first` waits before all others: the call has waited before.
    """

    __slots__ = ("_began", "_epoch", "_first", "_lane", "patience")

    def __init__(self, lane: Lane, patience: float | None = None, began: float = 0.0, *, first: bool = False) -> None:
        self._lane = lane
        self._began = began
        self._first = first
        self._epoch: int | None = None  # until it has a slot
        self.patience: float | None = patience

    async def acquire(self, seconds: float | None, began: float | None = None) -> None:
        """See `Slots.acquire`. With patience, `seconds` has no effect, and the lane's last refusal is raised."""
        if self.patience is None:
            await self._lane.acquire(seconds, began, first=self._first)
        else:
            await self._acquire_patiently(self.patience)
        self._epoch = self._lane.epoch  # it may have grown while it waited
        self._first = True  # if it waits again

    async def _acquire_patiently(self, patience: float) -> None:
        while True:
            # A lane that is merely full has no refusal: its requests may take any time.
            left = patience - self.starved if self.is_refused else patience
            try:
                return await self._lane.acquire(left, first=self._first)
            except PoolTimeout:
                self._first = True  # it has waited the longest
                if self._lane.refusal is not None and self.starved >= patience:
                    raise copy.copy(self._lane.refusal) from None

    @property
    def starved(self) -> float:
        """Seconds without a success in the lane since the call began."""
        return asyncio.get_running_loop().time() - max(self._began, self._lane.succeeded_at)

    @property
    def is_paused(self) -> bool:
        """Whether the lane pauses now."""
        return self._lane.is_paused

    @property
    def is_refused(self) -> bool:
        """Whether the service throttled the lane, and has taken no request since."""
        return self._lane.refusal is not None

    def release(self) -> None:
        """See `Slots.release`."""
        self._lane.release()

    def throttled(self) -> None:
        """Note that the request was throttled."""
        if self._epoch is not None:
            self._lane.throttled(self._epoch)

    def refused(self, error: BedrockStreamError) -> float:
        """Note that the request, which is patient, was throttled. Return the seconds that the lane pauses."""
        return 0.0 if self._epoch is None else self._lane.refused(self._epoch, error)

    def undecided(self) -> None:
        """Note that the request failed for another reason, or was cancelled."""
        if self._epoch is not None:
            self._lane.undecided(self._epoch)

    def succeeded(self) -> None:
        """Note that it was not."""
        if self._epoch is not None:
            self._lane.succeeded(self._epoch)


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


async def hold_slots(
    slots: Slots, ticket: LaneTicket | None, seconds: float | None, reserve: Callable[[], Awaitable[None]] | None = None
) -> Hold:
    """Wait for a slot of the lane, if any, and of `slots`, within `seconds` for both. Raises `PoolTimeout`.

    Between the two, `reserve` waits for a quota. That wait, and a patient request's for its lane, do not count.
    """
    hold, began = Hold(), monotonic()
    try:
        while True:
            if ticket is not None:
                await ticket.acquire(seconds, began)
                hold.add(ticket)
                began = began if ticket.patience is None else monotonic()
            if reserve is not None:
                waits = monotonic()
                await reserve()
                began += monotonic() - waits
            await slots.acquire(seconds, began)
            hold.add(slots)
            if ticket is None or not ticket.is_paused:
                return hold
            hold.release()  # the lane was paused during the wait for the other slot
    except BaseException:
        hold.release()
        raise
