"""Exactly one ended span for each row of the fault table, and for each way to leave or drop a stream."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import StatusCode

from bedrock_stream import Client, Stream, Timeouts, errors
from bedrock_stream.integrations.otel import OpenTelemetry
from bedrock_stream.testing import Emulator
from tests.conftest import KEYS
from tests.promises import test_fault_table as faults
from tests.promises import test_ways_out as ways
from tests.support.socket_server import SocketServer, begin_and_wait


class Ledger(SpanProcessor):
    """A record of every start and end of a span; the SDK itself ignores a second end."""

    def __init__(self) -> None:
        self.started: list[Span] = []
        self.ended: list[ReadableSpan] = []

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        self.started.append(span)
        end = span.end

        def record_and_end(end_time: int | None = None) -> None:
            self.ended.append(span)
            end(end_time)

        span.end = record_and_end  # type: ignore[method-assign]

    def ended_spans(self, count: int = 1) -> Sequence[ReadableSpan]:
        """Return the spans, and check that each of them ended once."""
        assert len(self.started) == len(self.ended) == count
        assert {id(span) for span in self.started} == {id(span) for span in self.ended}
        return self.ended


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def observer(ledger: Ledger) -> Iterator[OpenTelemetry]:
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(ledger)
    yield OpenTelemetry(tracer_provider=tracers, meter_provider=MeterProvider(shutdown_on_exit=False))
    tracers.shutdown()


@faults.every_fault
@faults.every_route
async def test_every_fault_is_one_ended_span(
    fault: faults.Fault, converse: bool, said: tuple[Any, ...], ledger: Ledger, observer: OpenTelemetry
) -> None:
    steps = (*said, *fault.steps) if fault.begun else fault.steps
    async with (
        Emulator(script=lambda _: steps) as emulator,
        Client(
            region="us-east-1", endpoint_url=emulator.url, credentials=KEYS, retry=faults.ONCE, observers=[observer]
        ) as client,
    ):
        stream = client.stream(faults.CLAUDE, "Hi", use_converse=converse, timeouts=fault.timeouts)
        with pytest.raises(fault.kind):
            await stream.response()
        with pytest.raises(errors.BedrockStreamError):
            await anext(stream)
        await stream.aclose()
    (span,) = ledger.ended_spans()
    assert span.status.status_code is StatusCode.ERROR
    attributes = dict(span.attributes or {})
    assert attributes["error.type"] == fault.kind.__name__
    assert ("aws.request_id" in attributes) == fault.answered
    assert "gen_ai.usage.input_tokens" not in attributes


@pytest.fixture
async def server() -> AsyncIterator[SocketServer]:
    async with SocketServer(begin_and_wait) as running:
        yield running


@pytest.fixture
async def client(server: SocketServer, observer: OpenTelemetry) -> AsyncIterator[Client]:
    limits = Timeouts(pool=2)
    async with Client(
        region="us-east-1", endpoint_url=server.url, credentials=KEYS, timeouts=limits, observers=[observer]
    ) as client:
        yield client


@pytest.mark.parametrize("leave", ways.WAYS, ids=lambda way: way.__name__)
async def test_every_way_out_is_one_ended_span(
    server: SocketServer, client: Client, ledger: Ledger, leave: Callable[[Stream], Awaitable[None]]
) -> None:
    await leave(client.stream(ways.MODEL, "Hi"))
    await ways.all_closed(server)
    (span,) = ledger.ended_spans()
    attributes = dict(span.attributes or {})
    assert attributes["bedrock_stream.outcome"] in ("closed", "cancelled", "dropped")
    assert "error.type" not in attributes
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("drop", ways.DROPS, ids=lambda drop: drop.__name__)
async def test_every_dropped_stream_is_one_ended_span(
    server: SocketServer, client: Client, ledger: Ledger, drop: Callable[[Client], Awaitable[None]]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        await drop(client)
    await ways.all_closed(server)
    (span,) = ledger.ended_spans()
    assert dict(span.attributes or {})["bedrock_stream.outcome"] == "dropped"
