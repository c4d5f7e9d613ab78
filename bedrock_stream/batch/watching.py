"""The observers of one batch, as one. A batch without observers has no `Watch`, and pays nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..client.logs import LogLines
from ..observing import BatchSubject, Observations, Observer, batch_row, observers
from .rows import Row

__all__ = ("Watch", "watch")


class Watch(Observations):
    """Reports the steps of a batch."""

    __slots__ = ("_subject",)

    _observed = "batch"

    def __init__(self, subject: BatchSubject) -> None:
        super().__init__()
        self._subject = subject

    def enter(self, key: str) -> None:
        """Note that this task works for a row from now on, for the observers of its calls."""
        batch_row.set((self._subject, key))

    def row(self, row: Row) -> None:
        """Report a row that has ended."""
        outcome = "reused" if row.reused else "ok" if row.error is None else "failed"
        self.tell("row", outcome, row.seconds)

    def synced(self, seconds: float) -> None:
        """Report a sync of the journal."""
        self.tell("synced", seconds)

    def ended(self, error: BaseException | None) -> None:
        """Report the end."""
        self.tell("ended", error)


def watch(own: Iterable[Observer], model: str, concurrency: int, progress: Callable[[], Any]) -> Watch | None:
    """Ask a client's own observers and those of every client. Return None if nobody observes calls or batches."""
    asked = [observer for observer in (*own, *observers) if not isinstance(observer, LogLines)]
    if not asked:
        return None
    subject = BatchSubject(model=model, concurrency=concurrency, progress=progress)
    batch = Watch(subject)
    for observer in asked:
        if getattr(observer, "watch_batch", None) is not None:
            batch.begin(observer, "watch_batch", subject)
    return batch
