"""Batches: one span each, and the metrics of all of them.

The calls of the rows are spans of their own, with a link to the batch instead of a parent: a trace of a million spans
is of no use, and no backend takes it. What is a level, such as the rows in flight, is read when metrics are collected,
so that a row costs nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from opentelemetry.context import get_current
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import Link, Span, Status, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.span import INVALID_SPAN

from ...observing import BatchSubject, Subject
from .attributes import Attributes, error_type, usage_attributes

if TYPE_CHECKING:
    from opentelemetry.context import Context

__all__ = ("Batches",)

_SYNC_BUCKETS = [0.0001 * 4**step for step in range(10)]
"""0.1 ms to 26 s."""
_WAIT_BUCKETS = [0.01 * 4**step for step in range(9)]
"""10 ms to 11 min."""


class Batches:
    """The batches that one observer watches."""

    def __init__(self, tracer: Tracer, meter: Meter) -> None:
        self._tracer = tracer
        self._running: dict[BatchSubject, _Batch] = {}
        self._past_pauses: dict[str, float] = {}  # seconds, by model
        self.rows: Any = meter.create_counter(
            "bedrock_stream.batch.rows", unit="{row}", description="Rows of batches that ended."
        )
        self.sync: Any = meter.create_histogram(
            "bedrock_stream.batch.journal.sync",
            unit="s",
            description="Duration of a sync of the journal.",
            explicit_bucket_boundaries_advisory=_SYNC_BUCKETS,
        )
        self._wait: Any = meter.create_histogram(
            "bedrock_stream.batch.quota.wait",
            unit="s",
            description="Time that a request waited for its quotas.",
            explicit_bucket_boundaries_advisory=_WAIT_BUCKETS,
        )
        self._reserved, self._settled = (
            meter.create_counter(f"bedrock_stream.batch.quota.{name}", unit="{token}", description=description)
            for name, description in (
                ("reserved", "Tokens that requests reserved of their quotas."),
                ("settled", "Tokens of quotas that requests used."),
            )
        )
        self._observe(meter.create_observable_up_down_counter, "in_flight", "{row}", "Rows whose request was sent.")
        self._observe(meter.create_observable_gauge, "window", "{row}", "Rows that may be in flight, as learned.")
        meter.create_observable_counter(
            "bedrock_stream.batch.paused", [self._pauses], unit="s", description="Time that throttling paused batches."
        )

    def begin(self, subject: BatchSubject) -> _Batch:
        """Begin to observe a batch."""
        batch = self._running[subject] = _Batch(self, subject, self._tracer)
        return batch

    def end(self, subject: BatchSubject) -> None:
        """Forget a batch that has ended."""
        if self._running.pop(subject, None) is not None:
            model = subject.model
            self._past_pauses[model] = self._past_pauses.get(model, 0.0) + subject.progress().paused_seconds

    def reserved(self, model: str, tokens: int, seconds: float) -> None:
        """Record a reservation of a quota."""
        attributes = attributes_of(model)
        self._wait.record(seconds, attributes)
        self._reserved.add(tokens, attributes)

    def settled(self, model: str, tokens: int) -> None:
        """Record what a reservation was settled with."""
        self._settled.add(tokens, attributes_of(model))

    def place(self, subject: Subject, context: Context) -> tuple[Context, list[Link]]:
        """Return the context and the links of the span of a call."""
        batch = None if subject.batch is None else self._running.get(subject.batch)
        if batch is None:
            return context, []
        if get_current_span(context) is batch.parent:  # else it is a span of `each`
            context = set_span_in_context(INVALID_SPAN, context)
        return context, [Link(batch.span.get_span_context())]

    def _observe(self, create: Callable[..., Any], name: str, unit: str, description: str) -> None:
        def levels(_options: CallbackOptions) -> Iterable[Observation]:
            sums: dict[str, int] = {}
            for subject in list(self._running):
                sums[subject.model] = sums.get(subject.model, 0) + getattr(subject.progress(), name)
            return [Observation(count, attributes_of(model)) for model, count in sums.items()]

        create(f"bedrock_stream.batch.{name}", [levels], unit=unit, description=description)

    def _pauses(self, _options: CallbackOptions) -> Iterator[Observation]:
        sums = dict(self._past_pauses)
        for subject in list(self._running):
            sums[subject.model] = sums.get(subject.model, 0.0) + subject.progress().paused_seconds
        for model, seconds in sums.items():
            yield Observation(seconds, attributes_of(model))


class _Batch:
    """The observation of one batch; see `observing.BatchObservation`."""

    def __init__(self, batches: Batches, subject: BatchSubject, tracer: Tracer) -> None:
        self._batches = batches
        self._subject = subject
        self._attributes = attributes_of(subject.model)
        self.parent: Span = get_current_span()
        """The span that was current at its start."""
        own: Attributes = {"bedrock_stream.batch.concurrency": subject.concurrency}
        self.span: Span = tracer.start_span(
            f"batch {subject.model}", context=get_current(), attributes=self._attributes | own
        )

    def row(self, outcome: str, seconds: float) -> None:
        self._batches.rows.add(1, {**self._attributes, "outcome": outcome})

    def synced(self, seconds: float) -> None:
        self._batches.sync.record(seconds, self._attributes)

    def ended(self, error: BaseException | None) -> None:
        self._batches.end(self._subject)
        progress = self._subject.progress()
        counts = ("done", "failed", "reused", "paid_again", "throttled", "pauses", "paused_seconds")
        attributes: Attributes = {f"bedrock_stream.batch.{name}": getattr(progress, name) for name in counts}
        attributes |= usage_attributes(progress.usage)
        if progress.cost is not None:
            attributes["bedrock_stream.batch.cost"] = progress.cost
        if error is not None:
            attributes["error.type"] = error_type(error)
            self.span.set_status(Status(StatusCode.ERROR, str(error)))
        self.span.set_attributes(attributes)
        self.span.end()


def attributes_of(model: str) -> Attributes:
    """Return the attributes that the span and the metrics of a batch have."""
    return {"gen_ai.provider.name": "aws.bedrock", "gen_ai.request.model": model}
