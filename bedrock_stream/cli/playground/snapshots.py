"""Snapshots of a structured answer beside its events.

`Stream.parsed_stream` reads the stream, so the events reach the page through an observer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from anyio.streams.memory import MemoryObjectSendStream

from ...client.stream import Stream
from ...errors import BedrockStreamError
from ...observing import Attempt, Ending, Subject
from ...types.events import Event

__all__ = ("EventObserver", "SnapshotReader", "SnapshotView")


class SnapshotView(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """A structured answer, as far as it was received."""

    value: Any
    complete: bool
    """Whether the answer is whole and matches the schema."""


class EventObserver:
    """Observes one call and reports its events before they are read."""

    def __init__(self, report: Callable[[Event], None]) -> None:
        self._report = report

    def watch(self, subject: Subject) -> EventObserver:
        """See `observing.Observer`; it observes this call itself."""
        return self

    def began(self) -> None:
        """See `observing.Observation`."""

    def first(self, attempt: Attempt) -> None:
        """See `observing.Observation`."""

    def failed(self, attempt: Attempt) -> None:
        """See `observing.Observation`."""

    def came(self, events: Iterable[Event]) -> None:
        """Report the events."""
        for event in events:
            self._report(event)

    def ended(self, ending: Ending) -> None:
        """See `observing.Observation`."""


class SnapshotReader:
    """Reads a stream to its end and sends its snapshots; keeps the error that ended it."""

    def __init__(self, stream: Stream[Any], lines: MemoryObjectSendStream[Any]) -> None:
        self._stream = stream
        self._lines = lines
        self.failure: BedrockStreamError | None = None

    async def read(self) -> None:
        """Send every snapshot, then close the lines."""
        try:
            async for snapshot in self._stream.parsed_stream:
                self._lines.send_nowait(SnapshotView(snapshot.value, snapshot.complete))
        except BedrockStreamError as error:
            self.failure = error
        finally:
            self._lines.close()
