"""The scope in which a response is opened, or a retry is awaited: a timer or another task can end it with an error.

One scope without a timer of its own stands around all steps. The timer of the stream, which exists anyway, tells when
a limit is reached.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

from ..errors import BedrockStreamError

__all__ = ("Opening",)


class Opening:
    """A scope that `interrupt` ends. `async with` raises the error of the first interruption."""

    __slots__ = ("_openings", "_scope", "error")

    def __init__(self, openings: set[Opening]) -> None:
        """`openings` holds the openings of a transport while they are entered."""
        self._openings = openings
        self._scope = asyncio.timeout(None)
        self.error: BedrockStreamError | None = None
        """The first interruption. It is not raised by a block that had ended by then."""

    async def __aenter__(self) -> Opening:
        await self._scope.__aenter__()
        self._openings.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._openings.discard(self)
        try:
            await self._scope.__aexit__(kind, error, traceback)
        except TimeoutError:
            if self.error is None or not self._scope.expired():
                raise  # the caller's own, from `on_retry`
            raise self.error from None

    def interrupt(self, error: BedrockStreamError) -> None:
        """Raise this error in the task that is inside the block."""
        if self.error is None:
            self.error = error
            if self in self._openings:
                self._scope.reschedule(0.0)
