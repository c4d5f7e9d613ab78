"""The observer that makes a span and the metrics of each call.

Locks are why a dropped stream's span is ended by its loop and not at once: a finaliser runs wherever memory is
collected, perhaps inside the SDK, which would wait for its own lock for ever.
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
    TracerProvider,
    get_tracer,
    set_span_in_context,
)

from ..._version import __version__
from ...observing import Attempt, Ending, Subject
from ...types.events import BlockStop, Event, MessageStart, MessageStop, Metadata, Usage
from .attributes import (
    Attributes,
    error_type,
    of_answer,
    of_failure,
    of_place,
    of_request,
    of_retry,
    of_usage,
    operation_name,
    sentence,
)
from .content import input_messages, output_messages, system_instructions
from .instruments import Embeddings, Inference

__all__ = ("OpenTelemetry",)

_SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ON = ("true", "span_only", "span_and_event")
_NO_OUTPUT = (MessageStart, BlockStop, MessageStop, Metadata)


class OpenTelemetry:
    """Give it to `Client(observers=[...])`, or have `instrument` give it to every client; not both.

    `tracer_provider`, `meter_provider`: the global ones where they are left out.
    `capture_content`: whether spans hold what was said; left out, the environment decides, and by default they do not.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        capture_content: bool | None = None,
    ) -> None:
        if capture_content is None:
            capture_content = os.environ.get(_SWITCH, "").strip().lower() in _ON
        self.capture_content = capture_content
        self.tracer = get_tracer("bedrock_stream", __version__, tracer_provider)
        meter = get_meter("bedrock_stream", __version__, meter_provider)
        self.inference: Inference = Inference(meter)
        self.embeddings: Embeddings = Embeddings(meter)

    def watch(self, subject: Subject) -> _Call | None:
        """See `observing.Observer`."""
        operation = operation_name(subject)
        return None if operation is None else _Call(self, subject, operation)


class _Call:
    """See `observing.Observation`."""

    __slots__ = (
        "_began",
        "_chunk",
        "_common",
        "_context",
        "_first",
        "_loop",
        "_metadata",
        "_observer",
        "_span",
        "_stop",
        "_subject",
    )

    def __init__(self, observer: OpenTelemetry, subject: Subject, operation: str) -> None:
        self._observer = observer
        self._subject = subject
        self._context = get_current()  # the caller's; by the first read another task's may be current
        self._common: Attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "aws.bedrock",
            "gen_ai.request.model": subject.model,
            **of_place(subject.target),
        }
        self._began = 0.0
        self._first: float | None = None
        self._chunk = 0.0
        self._metadata = Metadata()
        self._stop: str | None = None

    def began(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = monotonic()
        common, subject = self._common, self._subject
        self._span = self._observer.tracer.start_span(
            f"{common['gen_ai.operation.name']} {subject.model}",
            context=self._context,
            kind=SpanKind.CLIENT,
            attributes=common | of_request(subject),
        )
        self._context = set_span_in_context(self._span, self._context)  # what the metrics' examples point at
        if self._captures and subject.options is not None:
            self._span.set_attribute("gen_ai.input.messages", input_messages(subject.messages))
            if subject.options.system:
                self._span.set_attribute("gen_ai.system_instructions", system_instructions(subject.options))

    def failed(self, attempt: Attempt) -> None:
        self._span.add_event("retry", of_retry(attempt))

    def first(self, attempt: Attempt) -> None:
        self._first = monotonic() - self._began
        self._common |= of_place(attempt.target) | {"gen_ai.response.model": attempt.target.model or ""}
        if self._subject.streaming:
            self._span.add_event("first_chunk")

    def came(self, events: Iterable[Event]) -> None:
        """What has arrived at once is one chunk."""
        is_chunk = False
        for event in events:
            kind = type(event)
            if kind not in _NO_OUTPUT:
                is_chunk = True
            elif isinstance(event, Metadata):
                self._metadata = self._metadata.merged(event)
            elif isinstance(event, MessageStop):
                self._stop = event.stop_reason
        if is_chunk:
            now = monotonic()
            if self._chunk:
                self._record(self._observer.inference.between_chunks, now - self._chunk)
            self._chunk = now

    def ended(self, ending: Ending) -> None:
        at = time_ns()
        if ending.way == "dropped" and self._loop.is_running():
            with suppress(RuntimeError):  # closed at this very moment
                self._loop.call_soon_threadsafe(self._finish, ending, at)
                return
        self._finish(ending, at)

    # ------------------------------------------------------------------------------------------------ what it rests on

    @property
    def _captures(self) -> bool:
        return self._observer.capture_content and self._span.is_recording()

    def _finish(self, ending: Ending, at: int) -> None:
        try:
            self._describe(ending)
            self._measure(ending)
        finally:
            self._span.end(at)

    def _describe(self, ending: Ending) -> None:
        span, stop, usage = self._span, self._stop_reason(ending), self._usage(ending)
        target = ending.attempts[-1].target
        self._common |= of_place(target)
        found = self._common | of_answer(ending, stop, begun=self._first is not None)
        if target.region is not None:
            found["cloud.region"] = target.region
        if usage is not None:
            found |= of_usage(usage)
        if self._first is not None and self._subject.streaming:
            found["gen_ai.response.time_to_first_chunk"] = self._first
        if ending.way == "failed":
            found |= of_failure(ending.error)
            said = sentence(ending.error, quoting=self._observer.capture_content)
            span.set_status(Status(StatusCode.ERROR, said))
        span.set_attributes(found)
        if self._captures and ending.response is not None:
            span.set_attribute("gen_ai.output.messages", output_messages(ending.response))

    def _measure(self, ending: Ending) -> None:
        failure = {"error.type": error_type(ending.error)} if ending.way == "failed" else {}
        if self._common["gen_ai.operation.name"] == "embeddings":
            self._record(self._observer.embeddings.duration, ending.seconds, **failure)
            return
        inference = self._observer.inference
        self._record(inference.duration, ending.seconds, **failure)
        if self._first is not None and self._subject.streaming:
            self._record(inference.first_chunk, self._first)
        usage = self._usage(ending)
        if usage is not None:
            inference.count(usage, self._common, failure, self._context)

    def _record(self, instrument: Any, amount: float, **attributes: str) -> None:
        instrument.record(amount, {**self._common, **attributes}, context=self._context)

    def _usage(self, ending: Ending) -> Usage | None:
        return self._metadata.usage or (None if ending.response is None else ending.response.usage)

    def _stop_reason(self, ending: Ending) -> str | None:
        return self._stop or (None if ending.response is None else ending.response.stop_reason)
