"""What one request holds while it is open: a slot of its model's lane, if any, and one of the pool."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic

from .lanes import LaneTicket
from .slots import Slots

__all__ = ("Hold", "hold_slots")


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
