"""The slots that one request holds: first that of its lane, then that of the event loop's connections."""

from __future__ import annotations

from time import monotonic

from .slots import LaneTicket, Slots

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
