"""The observers of one batch, as one. A batch without observers has no `Watch`, and pays nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from ..client.logs import LogLines
from ..observing import BatchObservation, BatchSubject, Observer, batch_row, observers
from .rows import Row

__all__ = ("Watch", "watch")

_log = logging.getLogger("bedrock_stream")
_FAILED = "an observer failed at %r; the batch goes on"


class Watch:
    """Reports the steps of a batch; what an observation raises is logged."""

    __slots__ = ("_observations", "_subject")

    def __init__(self, subject: BatchSubject, observations: list[BatchObservation]) -> None:
        self._subject = subject
        self._observations = observations

    def enter(self, key: str) -> None:
        """Note that this task works for a row from now on, for the observers of its calls."""
        batch_row.set((self._subject, key))

    def row(self, row: Row) -> None:
        """Report a row that has ended."""
        outcome = "reused" if row.reused else "ok" if row.error is None else "failed"
        self._tell("row", outcome, row.seconds)

    def synced(self, seconds: float) -> None:
        """Report a sync of the journal."""
        self._tell("synced", seconds)

    def ended(self, error: BaseException | None) -> None:
        """Report the end."""
        self._tell("ended", error)

    def _tell(self, step: str, *facts: Any) -> None:
        for observation in self._observations:
            try:
                getattr(observation, step)(*facts)
            except Exception:
                _log.exception(_FAILED, step)


def watch(own: Iterable[Observer], model: str, concurrency: int, progress: Callable[[], Any]) -> Watch | None:
    """Ask a client's own observers and those of every client. Return None if nobody observes calls or batches."""
    asked = [observer for observer in (*own, *observers) if not isinstance(observer, LogLines)]
    if not asked:
        return None
    subject = BatchSubject(model=model, concurrency=concurrency, progress=progress)
    observations = []
    for observer in asked:
        begin = getattr(observer, "watch_batch", None)
        if begin is None:
            continue
        try:
            observation = begin(subject)
        except Exception:
            _log.exception(_FAILED, "watch_batch")
            continue
        if observation is not None:
            observations.append(observation)
    return Watch(subject, observations)
