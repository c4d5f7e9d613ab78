"""Each call has one span that ends once, however the call ends, with the conventions' attributes and no content."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from bedrock_stream import (
    CachePoint,
    Client,
    Document,
    Guarded,
    Image,
    Message,
    Reasoning,
    RetryPolicy,
    SearchResult,
    Stream,
    Text,
    Timeouts,
    ToolCall,
    ToolResult,
    Video,
    errors,
)
from bedrock_stream.integrations.otel import OpenTelemetry, instrument
from bedrock_stream.testing import (
    REGION,
    Emulator,
    cut,
    flip_bit,
    hang_before_headers,
    http_error,
    metadata,
    reset,
    stall,
    stop,
    stream_error,
    text,
    tool_call,
    wrong_content_type,
)
from bedrock_stream.types.settings import Target
from tests.conftest import KEYS

NOVA = "amazon.nova-lite-v1:0"
SONNET_4 = "anthropic.claude-sonnet-4-20250514-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
CAPTURE_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
LIMITS = {"FirstEventTimeout": Timeouts(first_event=0.1), "IdleTimeout": Timeouts(idle=0.1)}


class Scope:
    """The recorded spans and metrics."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)

    def observer(self, capture_content: bool | None = None) -> OpenTelemetry:
        return OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters, capture_content=capture_content)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    @property
    def attributes(self) -> dict[str, Any]:
        return dict(self.span.attributes or {})

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        metrics = [] if data is None else data.resource_metrics[0].scope_metrics[0].metrics
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def scope() -> Iterator[Scope]:
    recorded = Scope()
    yield recorded
    recorded.tracers.shutdown()
    recorded.meters.shutdown()


@pytest.fixture(autouse=True)
def _check_contexts(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail if the SDK logs that a context was detached in another context, or that a span was ended twice."""
    yield
    logged = " ".join(record.getMessage() for record in caplog.get_records("call"))
    assert "different Context" not in logged
    assert "ended span" not in logged
    assert not trace.get_current_span().get_span_context().is_valid


def client_of(emulator: Emulator, observer: OpenTelemetry | None, **options: Any) -> Client:
    options.setdefault("retry", RetryPolicy(max_attempts=1))
    observers = () if observer is None else (observer,)
    return Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, observers=observers, **options)


@pytest.fixture
async def client(emulator: Emulator, scope: Scope) -> AsyncIterator[Client]:
    async with client_of(emulator, scope.observer()) as client:
        yield client


# ------------------------------------------------------------------------------------------------------------ recording


async def test_a_stream_is_one_client_span_with_the_attributes_of_the_conventions(
    emulator: Emulator, client: Client, scope: Scope
) -> None:
    emulator.script(
        text(["Hel", "lo"]),
        stop("max_tokens"),
        metadata(
            {"inputTokens": 7, "outputTokens": 3, "totalTokens": 30, "cacheReadInputTokens": 12}
            | {"cacheWriteInputTokens": 8}
        ),
    )
    stream = client.stream(
        NOVA,
        "Hello",
        max_tokens=50,
        temperature=0.5,
        top_p=0.25,
        top_k=20,
        stop_sequences=["END"],
        guardrail={"guardrailIdentifier": "gr-1", "guardrailVersion": "1"},
    )
    await stream.response()
    attributes = scope.attributes
    assert scope.span.name == f"chat {NOVA}"
    assert scope.span.kind is SpanKind.CLIENT
    assert scope.span.status.status_code is StatusCode.UNSET
    assert [event.name for event in scope.span.events] == ["first_chunk"]
    assert attributes.pop("gen_ai.response.time_to_first_chunk") > 0
    port = attributes.pop("server.port")
    assert emulator.url.endswith(f":{port}")
    assert type(attributes["gen_ai.request.top_k"]) is int
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": NOVA,
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.25,
        "gen_ai.request.top_k": 20,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.response.model": NOVA,
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.usage.input_tokens": 27,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 12,
        "gen_ai.usage.cache_write.input_tokens": 8,
        "aws.bedrock.guardrail.id": "gr-1",
        "aws.request_id": stream.request_id,
        "cloud.region": REGION,
        "server.address": "127.0.0.1",
        "bedrock_stream.attempts": 1,
        "bedrock_stream.outcome": "finished",
        "bedrock_stream.route": "converse",
        "bedrock_stream.stop_reason": "max_tokens",
    }


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(("model", "route"), [(NOVA, "converse"), (CLAUDE, "invoke")])
async def test_both_routes_record_usage_and_finish_reason(
    emulator: Emulator, client: Client, scope: Scope, model: str, route: str, keep: bool
) -> None:
    emulator.script(text("Hello"), stop("end_turn"))
    async for _ in client.stream(model, "Hi", max_tokens=50, keep=keep):
        pass
    attributes = scope.attributes
    assert attributes["bedrock_stream.route"] == route
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.usage.input_tokens"] > 0
    assert attributes["gen_ai.usage.output_tokens"] > 0


async def test_a_response_without_streaming_has_no_stream_attributes(client: Client, scope: Scope) -> None:
    response = await client.generate(NOVA, "Hello")
    attributes = scope.attributes
    assert "gen_ai.request.stream" not in attributes
    assert "gen_ai.response.time_to_first_chunk" not in attributes
    assert attributes["aws.request_id"] == response.request_id
    assert response.usage is not None
    assert attributes["gen_ai.usage.output_tokens"] == response.usage.output_tokens
    assert not scope.points("gen_ai.client.inference.time_to_first_chunk")


async def test_an_output_schema_is_recorded_as_json(emulator: Emulator, client: Client, scope: Scope) -> None:
    emulator.script(tool_call("answer", {"city": "Paris"}), stop("tool_use"))
    with suppress(errors.BedrockStreamError):
        await client.generate(NOVA, "Where?", output_schema={"type": "object"})
    assert scope.attributes["gen_ai.output.type"] == "json"


async def test_each_tool_round_is_a_separate_span(emulator: Emulator, client: Client, scope: Scope) -> None:
    def weather(city: str) -> str:
        """The weather."""
        return f"rainy in {city}"

    emulator.script(tool_call("weather", {"city": "Paris"}), stop("tool_use"))
    emulator.script(text("It rains."), stop("end_turn"))
    with scope.tracers.get_tracer("app").start_as_current_span("agent"):
        async for _ in client.run_tools(NOVA, "How is it?", tools=[weather]):
            pass
    first, second, agent = scope.spans
    reasons = [(span.attributes or {})["gen_ai.response.finish_reasons"] for span in (first, second)]
    assert reasons == [("tool_call",), ("stop",)]
    assert agent.context is not None
    assert {span.parent.span_id for span in (first, second) if span.parent} == {agent.context.span_id}


async def test_counting_tokens_has_no_span_and_raw_calls_have_one(
    emulator: Emulator, client: Client, scope: Scope
) -> None:
    with suppress(errors.BedrockStreamError):
        await client.count_tokens(CLAUDE, "Hello")
    assert scope.spans == ()
    emulator.script(http_error(400, "ValidationException", "no"))
    with pytest.raises(errors.ValidationFailed):
        await client.invoke("amazon.titan-embed-text-v2:0", {"inputText": "Hello"})
    assert scope.span.name == "embeddings amazon.titan-embed-text-v2:0"
    (point,) = scope.points("gen_ai.client.embeddings.duration")
    assert point.attributes["error.type"] == "ValidationFailed"
    assert not scope.points("gen_ai.client.inference.duration")


async def test_a_raw_stream_has_a_span(emulator: Emulator, client: Client, scope: Scope) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9, "anthropic_version": "bedrock-2023-05-31"}
    async for _ in client.invoke_stream(CLAUDE, body):
        pass
    assert scope.attributes["bedrock_stream.outcome"] == "finished"
    assert scope.attributes["gen_ai.request.stream"] is True


# ------------------------------------------------------------------------------------------------------- ends of a call

FAULTS: list[tuple[list[Any], str, int | None, str]] = [
    ([http_error(400, "ValidationException", "said: Hello")], "ValidationFailed", 400, "ValidationException"),
    ([http_error(403, "AccessDeniedException", "no")], "AccessDenied", 403, "AccessDeniedException (HTTP 403): no"),
    ([http_error(418, "TeapotException", "said: Hello")], "ServiceError", 418, "TeapotException"),
    ([wrong_content_type()], "NotAnEventStream", None, "NotAnEventStream"),
    ([hang_before_headers()], "FirstEventTimeout", None, "0.1 s"),
    ([text("Hello"), stream_error("throttlingException", "no")], "Throttled", None, "ThrottlingException (HTTP 429)"),
    ([text("Hello"), cut()], "StreamInterrupted", None, "before the message did"),
    ([text("Hello"), reset()], "StreamInterrupted", None, ""),
    ([text("Hello"), stall()], "IdleTimeout", None, "0.1 s"),
    ([text("Hello"), flip_bit(-1), text("again")], "ChecksumMismatch", None, "checksum"),
    ([tool_call("f", '{"secret": '), stop("tool_use")], "ToolInputError", None, "ToolInputError"),
]


@pytest.mark.parametrize(("steps", "kind", "status", "description"), FAULTS)
async def test_a_failure_ends_the_span_once_with_its_error_type(
    emulator: Emulator, client: Client, scope: Scope, steps: Any, kind: str, status: int | None, description: str
) -> None:
    emulator.script(*steps)
    stream = client.stream(NOVA, "Hello", timeouts=LIMITS.get(kind, Timeouts()))
    with pytest.raises(errors.BedrockStreamError):
        await stream.response()
    await stream.aclose()
    attributes = scope.attributes
    assert (attributes["error.type"], attributes.get("http.response.status_code")) == (kind, status)
    assert attributes["bedrock_stream.outcome"] == "failed"
    assert scope.span.status.status_code is StatusCode.ERROR
    assert description in (scope.span.status.description or "")
    assert "said: Hello" not in (scope.span.status.description or "")
    assert "secret" not in (scope.span.status.description or "")
    (point,) = scope.points("gen_ai.client.inference.duration")
    assert point.attributes["error.type"] == kind


async def leave(stream: Stream) -> None:
    async with stream:
        await anext(stream)


async def cancel(stream: Stream) -> None:
    await anext(stream)
    task = asyncio.create_task(stream.response())
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def run_out_of_time(stream: Stream) -> None:
    await anext(stream)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await stream.response()


@pytest.mark.parametrize(("leaving", "way"), [(leave, "closed"), (cancel, "cancelled"), (run_out_of_time, "cancelled")])
async def test_leaving_early_is_not_an_error(
    emulator: Emulator, client: Client, scope: Scope, leaving: Callable[[Stream], Any], way: str
) -> None:
    emulator.script(text("Hello"), stall())
    stream = client.stream(NOVA, "Hello")
    await leaving(stream)
    await stream.aclose()
    assert scope.attributes["bedrock_stream.outcome"] == way
    assert scope.attributes["gen_ai.response.finish_reasons"] == ("error",)  # the response was not completed
    assert "error.type" not in scope.attributes
    assert scope.span.status.status_code is StatusCode.UNSET


async def test_a_dropped_stream_ends_its_span(emulator: Emulator, client: Client, scope: Scope) -> None:
    emulator.script(text("Hello"), stall())
    with pytest.warns(ResourceWarning, match="dropped before its end"):
        await anext(client.stream(NOVA, "Hello"))
        gc.collect()
    assert scope.spans == ()  # a finalizer may run inside the SDK, with its locks held
    await emulator.wait_until_idle()
    assert scope.attributes["bedrock_stream.outcome"] == "dropped"


async def test_a_stream_dropped_by_another_thread_ends_its_span(
    emulator: Emulator, client: Client, scope: Scope
) -> None:
    emulator.script(text("Hello"), stall())
    streams = [client.stream(NOVA, "Hello")]
    await anext(streams[0])
    with pytest.warns(ResourceWarning, match="dropped before its end"):
        await asyncio.to_thread(streams.clear)
    await emulator.wait_until_idle()
    assert scope.attributes["bedrock_stream.outcome"] == "dropped"


def test_a_stream_dropped_after_its_loop_closed_ends_its_span(scope: Scope) -> None:
    async def begin() -> list[Stream]:
        async with Emulator() as emulator:
            emulator.script(text("Hello"), stall())
            async with client_of(emulator, scope.observer()) as client:
                stream = client.stream(NOVA, "Hello")
                await anext(stream)
                return [stream]

    streams = asyncio.run(begin())
    streams.clear()
    gc.collect()
    assert scope.attributes["bedrock_stream.outcome"] == "dropped"


async def test_closing_the_client_fails_its_spans(emulator: Emulator, client: Client, scope: Scope) -> None:
    emulator.script(text("Hello"), stall())
    stream = client.stream(NOVA, "Hello")
    await anext(stream)
    await client.aclose()
    with pytest.raises(errors.ClientClosed):
        await stream.response()
    assert scope.attributes["error.type"] == "ClientClosed"


async def test_a_stream_that_is_never_read_has_no_span(client: Client, scope: Scope) -> None:
    await client.stream(NOVA, "Hello").aclose()
    del client
    gc.collect()
    assert scope.spans == ()
    assert scope.reader.get_metrics_data() is None


# -------------------------------------------------------------------------------------------------------------- retries


async def test_a_retry_is_an_event_of_the_span(emulator: Emulator, scope: Scope) -> None:
    emulator.script(http_error(429, "ThrottlingException", "slow down"))
    async with client_of(emulator, scope.observer(), retry=RetryPolicy(base=0)) as client:
        await client.stream(NOVA, "Hello").response()
    retry, first = scope.span.events
    assert (retry.name, first.name) == ("retry", "first_chunk")
    recorded = dict(retry.attributes or {})
    assert (recorded["error.type"], recorded["bedrock_stream.attempt"]) == ("Throttled", 1)
    assert recorded["bedrock_stream.wait"] == 0
    assert scope.attributes["bedrock_stream.attempts"] == 2
    assert "error.type" not in scope.attributes


async def test_failover_records_the_target_that_responded(emulator: Emulator, scope: Scope) -> None:
    emulator.script(http_error(503, "ServiceUnavailableException"))
    failover = [Target(model="amazon.nova-pro-v1:0", endpoint_url=emulator.url.replace("127.0.0.1", "localhost"))]
    async with client_of(emulator, scope.observer(), failover=failover) as client:
        await client.generate(NOVA, "Hello")
    attributes = scope.attributes
    assert attributes["gen_ai.request.model"] == NOVA
    assert attributes["gen_ai.response.model"] == "amazon.nova-pro-v1:0"
    assert attributes["server.address"] == "localhost"
    assert dict(scope.span.events[0].attributes or {})["server.address"] == "127.0.0.1"
    (duration,) = scope.points("gen_ai.client.inference.duration")
    assert duration.attributes["server.address"] == "localhost"


# -------------------------------------------------------------------------------------------------------------- context


async def test_the_parent_is_the_span_in_which_the_call_was_made(client: Client, scope: Scope) -> None:
    tracer = scope.tracers.get_tracer("app")
    with tracer.start_as_current_span("caller"):
        stream = client.stream(NOVA, "Hello")
    with tracer.start_as_current_span("reader") as reader:
        async for _ in stream:
            assert trace.get_current_span() is reader
            await asyncio.sleep(0)
        response = await asyncio.create_task(client.stream(NOVA, "Hello").response())
    assert response.text
    parents = {span.name: span for span in scope.spans if span.name in ("caller", "reader")}
    first, second = [span for span in scope.spans if span.name.startswith("chat")]
    assert first.parent == parents["caller"].context
    assert second.parent == parents["reader"].context


async def test_a_call_without_a_parent_is_a_root_span(client: Client, scope: Scope) -> None:
    await asyncio.create_task(client.stream(NOVA, "Hello").response())
    assert scope.span.parent is None


# -------------------------------------------------------------------------------------------------------------- metrics


async def test_the_metrics_of_a_stream(emulator: Emulator, client: Client, scope: Scope) -> None:
    emulator.script(
        text(["a"]),
        stall(0.01),
        text(["b"], joined=True),
        stop("end_turn"),
        metadata({"inputTokens": 7, "outputTokens": 3, "totalTokens": 22, "cacheReadInputTokens": 12}),
    )
    await client.stream(NOVA, "Hello").response()
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": NOVA,
        "gen_ai.response.model": NOVA,
        "server.address": "127.0.0.1",
        "server.port": scope.attributes["server.port"],
    }
    (duration,) = scope.points("gen_ai.client.inference.duration")
    assert (dict(duration.attributes), duration.count) == (expected, 1)
    assert duration.explicit_bounds[:3] == (0.01, 0.02, 0.04)
    assert (len(duration.explicit_bounds), duration.explicit_bounds[-1]) == (14, 81.92)
    (first,) = scope.points("gen_ai.client.inference.time_to_first_chunk")
    assert (dict(first.attributes), first.count) == (expected, 1)
    (between,) = scope.points("gen_ai.client.inference.time_per_output_chunk")
    assert (dict(between.attributes), between.count) == (expected, 1)
    for kind, count in (("input", 19), ("output", 3), ("cache_read.input", 12)):
        (counter,) = scope.points(f"gen_ai.client.inference.usage.{kind}_tokens")
        assert (dict(counter.attributes), counter.value) == (expected | {"gen_ai.token.modality": "unknown"}, count)
    assert not scope.points("gen_ai.client.inference.usage.cache_write.input_tokens")  # not counted is not zero
    for kind, count in (("input", 19), ("output", 3)):
        (histogram,) = scope.points(f"gen_ai.client.inference.operation.{kind}_tokens")
        assert (dict(histogram.attributes), histogram.sum, histogram.count) == (expected, count, 1)
        assert histogram.explicit_bounds[-1] == 67108864


async def test_the_metrics_of_a_failed_call_have_its_error_type(
    emulator: Emulator, client: Client, scope: Scope
) -> None:
    emulator.script(tool_call("f", '{"a": '), stop("tool_use"))
    with pytest.raises(errors.ToolInputError):
        await client.stream(NOVA, "Hello").response()
    (histogram,) = scope.points("gen_ai.client.inference.operation.output_tokens")
    assert histogram.attributes["error.type"] == "ToolInputError"
    (counter,) = scope.points("gen_ai.client.inference.usage.output_tokens")
    assert "error.type" not in counter.attributes


async def test_a_call_without_token_counts_records_none(emulator: Emulator, client: Client, scope: Scope) -> None:
    emulator.script(http_error(400, "ValidationException", "no"))
    with pytest.raises(errors.ValidationFailed):
        await client.stream(NOVA, "Hello").response()
    assert scope.points("gen_ai.client.inference.duration")
    assert not scope.points("gen_ai.client.inference.usage.input_tokens")
    assert not scope.points("gen_ai.client.inference.operation.input_tokens")
    assert "gen_ai.response.finish_reasons" not in scope.attributes  # there was no response to finish


# -------------------------------------------------------------------------------------------------------------- content

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
CONVERSATION = [
    Message.user("What is this?", Image(PNG), {"text": "And the weather?"}),
    Message.assistant(Text("Let me see."), ToolCall("t1", "weather", {"city": "Paris"})),
    Message.user(ToolResult("t1", "rainy")),
]


async def send_conversation(client: Client, emulator: Emulator) -> None:
    emulator.script(text("It rains."), stop("end_turn"))
    await client.stream(NOVA, CONVERSATION, system="Be brief.", tools=[weather_tool()]).response()


def weather_tool() -> Any:
    def weather(city: str) -> str:
        """The weather."""
        return city

    return weather


@pytest.mark.parametrize(
    ("switch", "argument", "expected"),
    [
        ("", None, False),
        ("", True, True),
        ("true", None, True),
        ("SPAN_AND_EVENT", None, True),
        ("event_only", None, False),
        ("true", False, False),
    ],
)
async def test_content_is_recorded_only_if_enabled(
    emulator: Emulator,
    scope: Scope,
    monkeypatch: pytest.MonkeyPatch,
    switch: str,
    argument: bool | None,
    expected: bool,
) -> None:
    monkeypatch.setenv(CAPTURE_CONTENT, switch)
    async with client_of(emulator, scope.observer(argument)) as client:
        await send_conversation(client, emulator)
    recorded = scope.span.to_json()
    assert ("Paris" in recorded, "It rains" in recorded, "Be brief" in recorded) == (expected, expected, expected)
    assert KEYS.secret_access_key not in recorded
    assert KEYS.access_key_id not in recorded


async def test_content_has_the_shape_of_the_conventions(emulator: Emulator, scope: Scope) -> None:
    async with client_of(emulator, scope.observer(True)) as client:
        await send_conversation(client, emulator)
    attributes = scope.attributes
    assert json.loads(attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be brief."}]
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is this?"},
                {"type": "image", "format": "png", "byte_size": len(PNG)},
                {"type": "text", "content": "And the weather?"},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Let me see."},
                {"type": "tool_call", "id": "t1", "name": "weather", "arguments": {"city": "Paris"}},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": "rainy"}]},
    ]
    assert json.loads(attributes["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "It rains."}]}
    ]


async def test_system_instructions_are_recorded_as_text_only(emulator: Emulator, scope: Scope) -> None:
    guarded = {"guardContent": {"text": {"text": "Be kind."}}}
    async with client_of(emulator, scope.observer(True)) as client:
        await client.stream(NOVA, "Hello", system=["Be brief.", guarded, CachePoint()]).response()
    assert json.loads(scope.attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be brief."}]


async def test_content_received_before_a_failure_is_recorded(emulator: Emulator, scope: Scope) -> None:
    emulator.script(text("It rai"), stream_error("validationException", "said: Hello"))
    async with client_of(emulator, scope.observer(True)) as client:
        with pytest.raises(errors.ValidationFailed):
            await client.stream(NOVA, "Hello").response()
    (message,) = json.loads(scope.attributes["gen_ai.output.messages"])
    assert message == {"role": "assistant", "parts": [{"type": "text", "content": "It rai"}]}
    assert scope.attributes["gen_ai.response.finish_reasons"] == ("error",)
    assert "said: Hello" in (scope.span.status.description or "")


BLOCKS: list[tuple[Any, Any]] = [
    (CachePoint(), None),
    (Document(b"%PDF-1.4", name="Report"), {"type": "document", "format": "pdf", "byte_size": 8}),
    (
        Video(s3_uri="s3://films/one.mp4"),
        {"type": "uri", "modality": "video", "format": "mp4", "uri": "s3://films/one.mp4"},
    ),
    ({"image": {"format": "png", "source": {"bytes": PNG}}}, {"type": "image", "format": "png", "byte_size": len(PNG)}),
    ({"guardContent": {"text": {"text": "Hello"}}}, {"type": "guardContent"}),
    (Guarded("Hello"), {"type": "text", "content": "Hello"}),
    (Guarded(Image(PNG)), {"type": "image", "format": "png", "byte_size": len(PNG)}),
    (Document(text="größe"), {"type": "document", "format": "txt", "byte_size": 7}),
    (
        SearchResult("s", "t", ["a", "b"]),
        {"type": "search_result", "source": "s", "title": "t", "content": ["a", "b"]},
    ),
]


@pytest.mark.parametrize(("block", "expected"), BLOCKS)
async def test_media_are_recorded_by_kind_format_and_size(
    emulator: Emulator, scope: Scope, block: Any, expected: dict[str, Any] | None
) -> None:
    emulator.script(http_error(400, "ValidationException", "no"))
    async with client_of(emulator, scope.observer(True)) as client:
        with pytest.raises(errors.ValidationFailed):
            await client.generate(NOVA, Message.user("Hello", block))
    (message,) = json.loads(scope.attributes["gen_ai.input.messages"])
    assert message["parts"] == [{"type": "text", "content": "Hello"}, *([] if expected is None else [expected])]


async def test_server_tools_and_client_tools_are_distinguished(emulator: Emulator, scope: Scope) -> None:
    emulator.script(http_error(400, "ValidationException", "no"))
    conversation = [
        Message.user("Hello"),
        Message.assistant(
            Reasoning("Hmm.", "signed"),
            ToolCall("s1", "search", {"q": "rain"}, server=True),
            ToolResult("s1", [{"json": {"found": 1}}, "one"], kind="search_result"),
            ToolCall("t1", "weather"),
        ),
        Message.user(ToolResult("t1", [{"rain": True}], "success")),
    ]
    async with client_of(emulator, scope.observer(True)) as client:
        with pytest.raises(errors.ValidationFailed):
            await client.generate(SONNET_4, conversation, tools=[weather_tool()])
    _, assistant, result = json.loads(scope.attributes["gen_ai.input.messages"])
    call = {"type": "search", "input": {"q": "rain"}}
    response = {"type": "search_result", "content": [{"found": 1}, "one"]}
    assert assistant["parts"] == [
        {"type": "reasoning", "content": "Hmm."},
        {"type": "server_tool_call", "id": "s1", "name": "search", "server_tool_call": call},
        {"type": "server_tool_call_response", "id": "s1", "server_tool_call_response": response},
        {"type": "tool_call", "id": "t1", "name": "weather", "arguments": {}},
    ]
    assert result == {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "id": "t1", "response": [{"rain": True}]}],
    }


# ----------------------------------------------------------------------------------------------------------- instrument


async def test_instrument_observes_every_client_once_until_it_is_stopped(emulator: Emulator, scope: Scope) -> None:
    first = instrument(tracer_provider=scope.tracers, meter_provider=scope.meters)
    second = instrument(tracer_provider=scope.tracers, meter_provider=scope.meters)
    try:
        async with client_of(emulator, None) as client:
            await client.generate(NOVA, "Hello")
            first()
            await client.generate(NOVA, "Hello")
            assert len(scope.spans) == 2
            second()
            await client.generate(NOVA, "Hello")
    finally:
        second()
    assert len(scope.spans) == 2


class BrokenExporter(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise LookupError("no collector")


async def test_a_broken_exporter_changes_nothing(
    emulator: Emulator, scope: Scope, caplog: pytest.LogCaptureFixture
) -> None:
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(BrokenExporter()))
    async with client_of(emulator, OpenTelemetry(tracer_provider=tracers, meter_provider=scope.meters)) as client:
        assert (await client.stream(NOVA, "Hello").response()).text
    assert not [record for record in caplog.records if record.name.startswith("bedrock_stream")]
    assert any(record.levelno >= logging.ERROR for record in caplog.records)


async def test_without_an_sdk_nothing_is_recorded(emulator: Emulator) -> None:
    async with client_of(emulator, OpenTelemetry(capture_content=True)) as client:
        assert (await client.stream(NOVA, "Hello").response()).text


def test_a_missing_package_is_an_error_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("bedrock_stream.integrations.otel")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with pytest.raises(errors.ConfigurationError, match=r'pip install "bedrock-stream\[otel\]"'):
        import bedrock_stream.integrations.otel  # noqa: F401


def test_the_library_never_imports_opentelemetry() -> None:
    program = "import sys, bedrock_stream; bedrock_stream.Client; print('opentelemetry' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert process.stdout.strip() == "False"
