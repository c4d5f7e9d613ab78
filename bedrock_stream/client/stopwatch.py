"""Takes the times of one attempt's response. Events cost nothing: the clock is read for the first ones and for the end."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..types.response import Timing

__all__ = ("Stopwatch",)


class Stopwatch:
    """The `Timing` of a response so far. `elapsed` returns the seconds since the call began, None before that."""

    __slots__ = ("_elapsed", "timing")

    def __init__(self, elapsed: Callable[[], float | None]) -> None:
        self._elapsed = elapsed
        self.timing: Timing = Timing()

    def note_start(self, *, content: bool) -> None:
        """Take the time of the first event, if it has not been taken, and of the first content, if there is any."""
        timing = self.timing
        if content or timing.first_event is None:
            seconds = self._elapsed()
            first = seconds if timing.first_event is None else timing.first_event
            self.timing = Timing(first_event=first, first_content=seconds if content else None)

    def note_end(self) -> None:
        """Take the time of the end."""
        self.timing = msgspec.structs.replace(self.timing, total=self._elapsed())
