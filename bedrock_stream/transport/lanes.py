"""Learns how many requests to a model the service takes: one `Lane` of slots for each model and region.

Its limit starts low and doubles in each round of successes, until a request is throttled; from then on it falls by a
third when one is throttled, and rises by one after as many successes as it has slots. Throttling of a patient request
also pauses the lane: nothing starts until the pause is over, and then one request alone, the probe. Once it is
accepted, twice as many follow in each round, until as many run as the limit allows.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Callable
from math import inf

from ..errors import BedrockStreamError, PoolTimeout, Throttled
from ..types.settings import THROTTLES, backoff
from .slots import Slots

__all__ = ("Lane", "LaneTicket", "Lanes")

_MOST_LANES = 1024  # models that are named call by call must not pile up
_FIRST_LIMIT = 16  # of a lane: a burst of hundreds would find a small quota by being throttled hundreds of times
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds
# A refusal comes at once, an answer after many seconds. So requests count as accepted if none is refused for as long.
_PROBE_SECONDS = 1.0


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

    def is_probe(self, epoch: int) -> bool:
        """Return whether a request of this epoch is the one that may start after a pause."""
        return self._is_probing and epoch == self.epoch

    def undecided(self, epoch: int) -> None:
        """Note that a request of this epoch ended, and it is unknown whether it would have been throttled."""
        if self.is_probe(epoch) and not self.is_paused:
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
    success for so long since `began`, by the loop's clock. `first` waits before all others.
    """

    __slots__ = ("_began", "_epoch", "_lane", "first", "patience")

    def __init__(self, lane: Lane, patience: float | None = None, began: float = 0.0, *, first: bool = False) -> None:
        self._lane = lane
        self._began = began
        self._epoch: int | None = None  # until it has a slot
        self.first: bool = first
        """Whether the call waits before all others: it has waited before, and its request was not a refused probe."""
        self.patience: float | None = patience

    async def acquire(self, seconds: float | None, began: float | None = None) -> None:
        """See `Slots.acquire`. With patience, `seconds` has no effect, and the lane's last refusal is raised."""
        if self.patience is None:
            await self._lane.acquire(seconds, began, first=self.first)
        else:
            await self._acquire_patiently(self.patience)
        self._epoch = self._lane.epoch  # it may have grown while it waited
        self.first = True  # if it waits again

    async def _acquire_patiently(self, patience: float) -> None:
        while True:
            # A lane that is merely full has no refusal: its requests may take any time.
            left = patience - self.starved if self.is_refused else patience
            try:
                return await self._lane.acquire(left, first=self.first)
            except PoolTimeout:
                self.first = True  # it has waited the longest
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

    def failed(self, error: BedrockStreamError) -> float:
        """Note how the request failed. Return the seconds that the lane pauses."""
        if self.patience is not None and isinstance(error, THROTTLES):
            return self.refused(error)
        if isinstance(error, Throttled):
            self.throttled()
        else:
            self.undecided()
        return 0.0

    def throttled(self) -> None:
        """Note that the request was throttled."""
        if self._epoch is not None:
            self._lane.throttled(self._epoch)

    def refused(self, error: BedrockStreamError) -> float:
        """Note that the request, which is patient, was throttled. Return the seconds that the lane pauses."""
        if self._epoch is None:
            return 0.0
        # A service may refuse this request alone, so the next probe is another one.
        self.first = not self._lane.is_probe(self._epoch)
        return self._lane.refused(self._epoch, error)

    def undecided(self) -> None:
        """Note that the request failed for another reason, or was cancelled."""
        if self._epoch is not None:
            self._lane.undecided(self._epoch)

    def succeeded(self) -> None:
        """Note that it was not."""
        if self._epoch is not None:
            self._lane.succeeded(self._epoch)
