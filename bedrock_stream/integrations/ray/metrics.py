"""The metrics of an actor's batch, as `ray.util.metrics`: the same ones as those of `integrations.otel.batches`.

Ray reports them from each process to wherever the cluster's metrics go. It has no levels that are read when they are
reported, so those of a batch are set every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from ...observing import Attempt, BatchSubject, Ending, Observation, Subject
from ...types.events import Event
from .need import need

__all__ = ("RayMetrics",)

_LEVEL_SECONDS = 5.0
_SYNC_BUCKETS = [0.0001 * 4**step for step in range(10)]
"""0.1 ms to 26 s."""
_WAIT_BUCKETS = [0.01 * 4**step for step in range(9)]
"""10 ms to 11 min."""


class RayMetrics:
    """An observer that measures batches, and with `quotas` what their calls take of these. Ray must be installed."""

    def __init__(self, *, quotas: bool) -> None:
        self._quotas = quotas
        ray = need("ray.util.metrics")
        self.rows: Any = ray.Counter(
            "bedrock_stream_batch_rows", description="Rows of batches that ended.", tag_keys=("model", "outcome")
        )
        self.in_flight: Any = ray.Gauge(
            "bedrock_stream_batch_in_flight", description="Rows whose request was sent.", tag_keys=("model",)
        )
        self.window: Any = ray.Gauge(
            "bedrock_stream_batch_window", description="Rows that may be in flight, as learned.", tag_keys=("model",)
        )
        self.paused: Any = ray.Counter(
            "bedrock_stream_batch_paused_seconds",
            description="Time that throttling paused batches.",
            tag_keys=("model",),
        )
        self.sync: Any = ray.Histogram(
            "bedrock_stream_batch_journal_sync_seconds",
            description="Duration of a sync of the journal.",
            boundaries=_SYNC_BUCKETS,
            tag_keys=("model",),
        )
        self.wait: Any = ray.Histogram(
            "bedrock_stream_batch_quota_wait_seconds",
            description="Time that a request waited for its quotas.",
            boundaries=_WAIT_BUCKETS,
            tag_keys=("model",),
        )
        self.reserved: Any = ray.Counter(
            "bedrock_stream_batch_quota_reserved_tokens",
            description="Tokens that requests reserved of their quotas.",
            tag_keys=("model",),
        )
        self.settled: Any = ray.Counter(
            "bedrock_stream_batch_quota_settled_tokens",
            description="Tokens of quotas that requests used.",
            tag_keys=("model",),
        )

    def watch(self, subject: Subject) -> Observation | None:
        """See `observing.Observer`."""
        return _Call(self, subject.model) if self._quotas and subject.batch is not None else None

    def watch_batch(self, batch: BatchSubject) -> _Batch:
        """See `observing.BatchObserver`."""
        return _Batch(self, batch)


class _Batch:
    """The observation of one batch; see `observing.BatchObservation`."""

    def __init__(self, metrics: RayMetrics, subject: BatchSubject) -> None:
        self._metrics = metrics
        self._subject = subject
        self._tags = {"model": subject.model}
        self._paused = 0.0  # seconds that were counted
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_LEVEL_SECONDS, self._tick)

    def row(self, outcome: str, seconds: float) -> None:
        self._metrics.rows.inc(1, {**self._tags, "outcome": outcome})

    def synced(self, seconds: float) -> None:
        self._metrics.sync.observe(seconds, self._tags)

    def ended(self, error: BaseException | None) -> None:
        self._timer.cancel()
        self._set_levels()

    def _tick(self) -> None:
        self._set_levels()
        self._timer = self._loop.call_later(_LEVEL_SECONDS, self._tick)

    def _set_levels(self) -> None:
        progress, metrics = self._subject.progress(), self._metrics
        metrics.in_flight.set(progress.in_flight, self._tags)
        metrics.window.set(progress.window, self._tags)
        _add(metrics.paused, progress.paused_seconds - self._paused, self._tags)
        self._paused = progress.paused_seconds


class _Call:
    """The observation of one call of a batch: of its quotas alone."""

    def __init__(self, metrics: RayMetrics, model: str) -> None:
        self._metrics = metrics
        self._tags = {"model": model}

    def reserved(self, tokens: int, seconds: float) -> None:
        """See `observing.QuotaObservation`."""
        self._metrics.wait.observe(seconds, self._tags)
        _add(self._metrics.reserved, tokens, self._tags)

    def settled(self, tokens: int) -> None:
        """See `observing.QuotaObservation`."""
        _add(self._metrics.settled, tokens, self._tags)

    def began(self) -> None:
        """Do nothing."""

    def failed(self, attempt: Attempt) -> None:
        """Do nothing."""

    def first(self, attempt: Attempt) -> None:
        """Do nothing."""

    def came(self, events: Iterable[Event]) -> None:
        """Do nothing."""

    def ended(self, ending: Ending) -> None:
        """Do nothing."""


def _add(counter: Any, amount: float, tags: Mapping[str, str]) -> None:
    """Add to a counter. Ray's refuses 0."""
    if amount > 0:
        counter.inc(amount, tags)
