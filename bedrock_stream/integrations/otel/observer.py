"""The observer that records a span and the metrics of each call.

The span of a dropped stream is ended by the stream's event loop, not by the finalizer: a finalizer may run inside the
SDK while it holds a lock, and ending the span there would wait for the same lock forever.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic, time_ns
from typing import Any

from opentelemetry.context import get_current
from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import (
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    get_tracer,
    set_span_in_context,
)

from ..._version import __version__
from ...observing import Attempt, Ending, Subject
from ...types.events import BlockStop, Event, MessageStart, MessageStop, Metadata, Usage
from .attributes import (
    Attributes,
    error_attributes,
    error_type,
    operation_name,
    request_attributes,
    response_attributes,
    retry_attributes,
    server_attributes,
    status_description,
    usage_attributes,
)
from .content import input_messages, output_messages, system_instructions
from .instruments import EmbeddingsMetrics, InferenceMetrics

__all__ = ("OpenTelemetry",)

_CAPTURE_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
# Not "event_only": this observer emits no events.
_ENABLED = ("true", "span_only", "span_and_event")
_NO_OUTPUT = (MessageStart, BlockStop, MessageStop, Metadata)


class OpenTelemetry:
    """An observer for `Client(observers=[...])`. `instrument` adds one to every client; do not use both.

    `tracer_provider`, `meter_provider`: default to the global ones. `capture_content`: record message content in spans;
    by default, only if the environment variable `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` enables it.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        capture_content: bool | None = None,
    ) -> None:
        if capture_content is None:
            capture_content = os.environ.get(_CAPTURE_CONTENT, "").strip().lower() in _ENABLED
        self.capture_content = capture_content
        self.tracer: Tracer = get_tracer("bedrock_stream", __version__, tracer_provider)
        meter = get_meter("bedrock_stream", __version__, meter_provider)
        self.inference: InferenceMetrics = InferenceMetrics(meter)
        self.embeddings: EmbeddingsMetrics = EmbeddingsMetrics(meter)

    def watch(self, subject: Subject) -> _Call | None:
        """See `observing.Observer`."""
        operation = operation_name(subject)
        return None if operation is None else _Call(self, subject, operation)


class _Call:
    """The observation of one call; see `observing.Observation`."""

    __slots__ = (
        "_attributes",
        "_context",
        "_last_chunk",
        "_loop",
        "_metadata",
        "_observer",
        "_span",
        "_started",
        "_stop_reason",
        "_subject",
        "_time_to_first_chunk",
    )

    def __init__(self, observer: OpenTelemetry, subject: Subject, operation: str) -> None:
        self._observer = observer
        self._subject = subject
        self._context = get_current()  # the caller's: the stream may be read in another context
        self._attributes: Attributes = {  # of the span and of every metric
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "aws.bedrock",
            "gen_ai.request.model": subject.model,
            **server_attributes(subject.target),
        }
        self._started = 0.0
        self._time_to_first_chunk: float | None = None
        self._last_chunk = 0.0
        self._metadata = Metadata()
        self._stop_reason: str | None = None

    def began(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started = monotonic()
        attributes, subject = self._attributes, self._subject
        self._span = self._observer.tracer.start_span(
            f"{attributes['gen_ai.operation.name']} {subject.model}",
            context=self._context,
            kind=SpanKind.CLIENT,
            attributes=attributes | request_attributes(subject),
        )
        self._context = set_span_in_context(self._span, self._context)  # exemplars of the metrics refer to the span
        if self._captures_content and subject.options is not None:
            self._span.set_attribute("gen_ai.input.messages", input_messages(subject.messages))
            if subject.options.system:
                self._span.set_attribute("gen_ai.system_instructions", system_instructions(subject.options))

    def failed(self, attempt: Attempt) -> None:
        self._span.add_event("retry", retry_attributes(attempt))

    def first(self, attempt: Attempt) -> None:
        self._time_to_first_chunk = monotonic() - self._started
        self._attributes |= server_attributes(attempt.target) | {"gen_ai.response.model": attempt.target.model or ""}
        if self._subject.streaming:
            self._span.add_event("first_chunk")

    def came(self, events: Iterable[Event]) -> None:
        """Record the events that were received together as one chunk."""
        is_chunk = False
        for event in events:
            kind = type(event)
            if kind not in _NO_OUTPUT:
                is_chunk = True
            elif isinstance(event, Metadata):
                self._metadata = self._metadata.merged(event)
            elif isinstance(event, MessageStop):
                self._stop_reason = event.stop_reason
        if is_chunk:
            now = monotonic()
            if self._last_chunk:
                self._record(self._observer.inference.between_chunks, now - self._last_chunk)
            self._last_chunk = now

    def ended(self, ending: Ending) -> None:
        end_time = time_ns()
        if ending.way == "dropped" and self._loop.is_running():
            with suppress(RuntimeError):  # the loop was closed in the meantime
                self._loop.call_soon_threadsafe(self._finish, ending, end_time)
                return
        self._finish(ending, end_time)

    # ------------------------------------------------------------------------------------------------------- internals

    @property
    def _captures_content(self) -> bool:
        return self._observer.capture_content and self._span.is_recording()

    def _finish(self, ending: Ending, end_time: int) -> None:
        try:
            self._describe_span(ending)
            self._record_metrics(ending)
        finally:
            self._span.end(end_time)

    def _describe_span(self, ending: Ending) -> None:
        span, stop_reason, usage = self._span, self._find_stop_reason(ending), self._find_usage(ending)
        # With failover, the last attempt's target is the one that responded.
        target = ending.attempts[-1].target
        self._attributes |= server_attributes(target)
        started = self._time_to_first_chunk is not None
        attributes = self._attributes | response_attributes(ending, stop_reason, started=started)
        if target.region is not None:
            attributes["cloud.region"] = target.region
        if usage is not None:
            attributes |= usage_attributes(usage)
        if self._time_to_first_chunk is not None and self._subject.streaming:
            attributes["gen_ai.response.time_to_first_chunk"] = self._time_to_first_chunk
        # In the conventions, a stream that the caller closes or cancels is not an error.
        if ending.way == "failed":
            attributes |= error_attributes(ending.error)
            description = status_description(ending.error, capture_content=self._observer.capture_content)
            span.set_status(Status(StatusCode.ERROR, description))
        span.set_attributes(attributes)
        if self._captures_content and ending.response is not None:
            span.set_attribute("gen_ai.output.messages", output_messages(ending.response))

    def _record_metrics(self, ending: Ending) -> None:
        error = {"error.type": error_type(ending.error)} if ending.way == "failed" else {}
        if self._attributes["gen_ai.operation.name"] == "embeddings":
            self._record(self._observer.embeddings.duration, ending.seconds, **error)
            return
        inference = self._observer.inference
        self._record(inference.duration, ending.seconds, **error)
        if self._time_to_first_chunk is not None and self._subject.streaming:
            self._record(inference.first_chunk, self._time_to_first_chunk)
        usage = self._find_usage(ending)
        if usage is not None:
            inference.record_usage(usage, self._attributes, error, self._context)

    def _record(self, instrument: Any, amount: float, **attributes: str) -> None:
        instrument.record(amount, {**self._attributes, **attributes}, context=self._context)

    # A stream reports these as events; a response that is not streamed has them in `ending.response`.

    def _find_usage(self, ending: Ending) -> Usage | None:
        return self._metadata.usage or (None if ending.response is None else ending.response.usage)

    def _find_stop_reason(self, ending: Ending) -> str | None:
        return self._stop_reason or (None if ending.response is None else ending.response.stop_reason)
