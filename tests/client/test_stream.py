"""Streams: their events, how they end, and the errors of truncated, failed and late responses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from bedrock_stream import (
    BlockStop,
    Client,
    MessageStart,
    MessageStop,
    Metadata,
    TextDelta,
    Timeouts,
    ToolCallEnd,
    ToolCallStart,
    UnknownEvent,
    errors,
)
from bedrock_stream.client import checks
from bedrock_stream.testing import (
    Emulator,
    content_type,
    cut,
    event,
    flip_bit,
    http_error,
    metadata,
    reasoning,
    rechunk,
    stop,
    stream_error,
    tool_call,
    unmodeled_error,
)
from bedrock_stream.testing import text as say
from tests.support.clients import ONCE, collect, connected
from tests.support.reading import partial_of
from tests.support.socket_server import (
    END,
    START,
    Connection,
    begin_and_wait,
    exception,
    frame,
    silence,
    text,
)

MODEL = "amazon.nova-lite-v1:0"

connected_once = partial(connected, retry=ONCE)

# ------------------------------------------------------------------------------------------------- events and responses


async def test_events_are_in_the_services_order(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["Hel", "lo"]))
    events = await collect(client.stream(MODEL, "Hi"))
    assert [type(item) for item in events] == [MessageStart, TextDelta, TextDelta, BlockStop, MessageStop, Metadata]
    assert [item.text for item in events if isinstance(item, TextDelta)] == ["Hel", "lo"]


async def test_an_event_is_encoded_as_json_for_browsers(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["Hi"]))
    async with client.stream(MODEL, "Hi") as stream:
        await anext(stream)
        assert msgspec.json.encode(await anext(stream)) == b'{"type":"text_delta","index":0,"text":"Hi"}'


async def test_the_text_stream_yields_only_text(emulator: Emulator, client: Client) -> None:
    emulator.script(reasoning("Thinking"), say(["One", " two"]), tool_call("look", {"at": 1}), say([" three"]))
    assert [piece async for piece in client.stream(MODEL, "Hi").text_stream] == ["One", " two", " three"]


async def test_the_tool_stream_yields_only_tool_calls(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Let me look."), tool_call("look", {"at": [1, 2]}, id="call-1", fragments=['{"at":', "[1,2]}"]))
    events = [item async for item in client.stream(MODEL, "Hi").tool_stream]
    assert [type(item).__name__ for item in events] == ["ToolCallStart"] + ["ToolCallDelta"] * 2 + ["ToolCallEnd"]
    assert isinstance(events[0], ToolCallStart)
    assert (events[0].id, events[0].name) == ("call-1", "look")
    assert isinstance(events[-1], ToolCallEnd)
    assert (events[-1].input, events[-1].raw) == ({"at": [1, 2]}, '{"at":[1,2]}')


async def test_the_response_has_everything_that_was_streamed(emulator: Emulator, client: Client) -> None:
    emulator.script(
        reasoning("Hm.", signature="c2ln"),
        say("Looking."),
        tool_call("look", {"at": 1}, id="call-1"),
        metadata(usage={"inputTokens": 5, "outputTokens": 7, "totalTokens": 12, "cacheReadInputTokens": 3}),
    )
    stream = client.stream(MODEL, "Hi")
    response = await stream.response()
    assert (response.text, response.reasoning, response.stop_reason) == ("Looking.", "Hm.", "tool_use")
    assert [(call.id, call.name, call.input) for call in response.tool_calls] == [("call-1", "look", {"at": 1})]
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.cache_read_tokens) == (5, 3)
    assert response.usage.cache_write_tokens is None
    assert (response.model, response.route) == (MODEL, "converse")
    assert response.request_id == stream.request_id is not None
    assert await stream.response() == response


async def test_the_response_is_available_after_iteration(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hello"))
    async with client.stream(MODEL, "Hi") as stream:
        pieces = [piece async for piece in stream.text_stream]
        assert (await stream.response()).text == "".join(pieces) == "Hello"


async def test_generate_returns_the_same_response_as_a_stream(emulator: Emulator, client: Client) -> None:
    steps = (reasoning("Hm."), say("Looking."), tool_call("look", {"at": 1}, id="call-1"))
    emulator.script(*steps)
    emulator.script(*steps)
    generated, streamed = await client.generate(MODEL, "Hi"), await client.stream(MODEL, "Hi").response()
    assert generated.message == streamed.message
    for name in ("text", "reasoning", "stop_reason"):
        assert getattr(generated, name) == getattr(streamed, name)
    assert [request.operation for request in emulator.requests] == ["Converse", "ConverseStream"]


async def test_the_message_can_be_sent_as_history(emulator: Emulator, client: Client) -> None:
    emulator.script(reasoning("Hm.", signature="c2ln"), say("Looking."), tool_call("look", {"at": 1}, id="call-1"))
    emulator.script(say("Found it."))
    tools = [{"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}]
    question: dict[str, Any] = {"role": "user", "content": "Where is it?"}
    claude = "anthropic.claude-sonnet-4-20250514-v1:0"  # takes signed reasoning back
    first = await client.stream(claude, [question], tools=tools).response()
    result = {"role": "user", "content": [{"toolResult": {"toolUseId": "call-1", "content": [{"text": "there"}]}}]}
    second = await client.stream(claude, [question, first.message, result], tools=tools).response()
    assert second.text == "Found it."
    sent = emulator.requests[1].json["messages"][1]["content"]
    assert sent[0] == {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
    assert sent[2]["toolUse"] == {"toolUseId": "call-1", "name": "look", "input": {"at": 1}}


async def test_unknown_events_and_stop_reasons_are_passed_on(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hi"), event("somethingNew", {"a": 1}), stop("brand_new_reason"))
    events = await collect(client.stream(MODEL, "Hi"))
    assert UnknownEvent("somethingNew", {"a": 1}) in events
    assert "brand_new_reason" in [item.stop_reason for item in events if isinstance(item, MessageStop)]


async def test_without_metadata_the_usage_is_unknown(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hi"), metadata(None))
    response = await client.stream(MODEL, "Hi").response()
    assert response.usage is None
    assert response.latency_ms is None


async def test_the_split_of_the_bytes_makes_no_difference(emulator: Emulator, client: Client) -> None:
    emulator.script(rechunk(1), say("Hello there"), tool_call("look", {"at": 1}))
    emulator.script(say("Hello there"), tool_call("look", {"at": 1}))
    single, together = [await client.stream(MODEL, "Hi").response() for _ in range(2)]
    assert (single.text, single.stop_reason, single.tool_calls[0].input) == (
        together.text,
        together.stop_reason,
        together.tool_calls[0].input,
    )


async def test_keep_false_assembles_nothing(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["a", "b"]))
    async with client.stream(MODEL, "Hi", keep=False) as stream:
        assert "".join([piece async for piece in stream.text_stream]) == "ab"
        assert stream.partial is None
        with pytest.raises(errors.ConfigurationError, match="keep"):
            await stream.response()


async def test_open_returns_before_any_event(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hello"))
    stream = client.stream(MODEL, "Hi")
    assert stream.request_id is None
    assert "not sent" in repr(stream)
    async with stream:
        assert await stream.open() is stream
        assert stream.request_id
        assert await stream.open() is stream
        assert stream.delivered == 0
        assert (await stream.response()).text == "Hello"
        assert "finished" in repr(stream)
    assert len(emulator.requests) == 1


async def test_nothing_is_sent_before_the_first_await(emulator: Emulator, client: Client) -> None:
    stream = client.stream(MODEL, "Hi")
    await stream.aclose()
    del stream
    client.stream(MODEL, "Hi")
    async with client.stream(MODEL, "Hi"):
        pass
    assert emulator.requests == []


async def test_the_partial_response_grows(emulator: Emulator) -> None:
    proceed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello"))
        await proceed.wait()
        connection.chunk(text(" there") + END)
        connection.end()

    async with connected_once(answer) as (_, client), client.stream(MODEL, "Hi") as stream:
        assert [type(await anext(stream)) for _ in range(2)] == [MessageStart, TextDelta]
        assert stream.partial is not None
        assert (stream.partial.text, stream.partial.stop_reason) == ("Hello", None)
        proceed.set()
        assert (await stream.response()).text == "Hello there"


# -------------------------------------------------------------------------------------------------- truncated responses


@pytest.mark.parametrize("fault", [cut(), cut(torn=True), cut(inside=7), cut(inside=40, torn=True)], ids=str)
async def test_a_truncated_stream_raises_with_the_partial_response(
    emulator: Emulator, client: Client, fault: Any
) -> None:
    emulator.script(say(["Hello", " there"]), fault)
    stream = client.stream(MODEL, "Hi")
    events: list[Any] = []
    with pytest.raises(errors.StreamInterrupted) as caught:
        await collect(stream, events)
    assert "".join(item.text for item in events if isinstance(item, TextDelta)) == "Hello there"
    error = caught.value
    assert partial_of(error).text == "Hello there"
    assert (error.model, error.region) == (MODEL, "us-east-1")
    assert error.request_id == stream.request_id is not None
    assert error.events_received == stream.delivered == 3
    for later_read in (anext(stream), stream.response()):
        with pytest.raises(errors.StreamInterrupted):
            await later_read


async def test_an_empty_body_raises() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.end()

    async with connected_once(answer) as (_, client):
        with pytest.raises(errors.StreamInterrupted, match="before the message did"):
            await client.stream(MODEL, "Hi").response()


async def test_a_reset_after_the_end_of_the_message_loses_only_the_usage() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + frame("messageStop", {"stopReason": "end_turn"}))
        connection.reset()

    async with connected_once(answer) as (_, client):
        response = await client.stream(MODEL, "Hi").response()
        assert (response.text, response.stop_reason, response.usage) == ("Hello", "end_turn", None)


async def test_a_complete_message_does_not_wait_for_the_end_of_the_body() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + END)
        await connection.closed.wait()

    async with connected_once(answer) as (server, client):
        response = await client.stream(MODEL, "Hi").response()
        assert (response.text, response.usage is not None) == ("Hello", True)
        await server.connections[0].closed.wait()


async def test_an_exception_frame_after_the_end_of_the_message_still_raises() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + END + exception("internalServerException", "late"))
        connection.end()

    async with connected_once(answer) as (_, client):
        with pytest.raises(errors.InternalServerError, match="late"):
            await client.stream(MODEL, "Hi").response()


async def test_tool_input_that_is_not_an_object_raises_after_the_message(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Looking."), tool_call("look", '{"at": ', id="call-1"), stop("max_tokens"))
    events: list[Any] = []
    with pytest.raises(errors.ToolInputError) as caught:
        await collect(client.stream(MODEL, "Hi"), events)
    ends = [item for item in events if isinstance(item, ToolCallEnd)]
    assert [(end.input, end.raw) for end in ends] == [(None, '{"at": ')]
    assert isinstance(events[-1], Metadata)
    error = caught.value
    assert (error.name, error.call_id, error.raw, error.stop_reason) == ("look", "call-1", '{"at": ', "max_tokens")
    assert error.usage is not None
    assert partial_of(error).tool_calls == ()
    assert partial_of(error).text == "Looking."


# ------------------------------------------------------------------------------------------------ errors of the service

CODES: list[tuple[str, int, type[errors.ServiceError]]] = [
    ("ThrottlingException", 429, errors.Throttled),
    ("ModelStreamErrorException", 424, errors.ModelStreamError),
    ("InternalServerException", 500, errors.InternalServerError),
    ("ServiceUnavailableException", 503, errors.ServiceUnavailable),
    ("ModelTimeoutException", 408, errors.ModelTimeout),
    ("ValidationException", 400, errors.ValidationFailed),
]


@pytest.mark.parametrize(("code", "status", "expected"), CODES, ids=[code for code, *_ in CODES])
async def test_an_error_has_the_same_class_as_a_status_and_as_a_frame(
    emulator: Emulator, client: Client, code: str, status: int, expected: type[errors.ServiceError]
) -> None:
    emulator.script(http_error(status, code, "too bad"))
    emulator.script(say("Hel"), stream_error(code[0].lower() + code[1:], "too bad"))
    caught = []
    for _ in range(2):
        with pytest.raises(expected) as info:
            await client.stream(MODEL, "Hi").response()
        caught.append(info.value)
    as_status, as_frame = caught
    assert [type(error) for error in caught] == [expected] * 2
    assert (as_status.code, as_status.status, as_status.message) == (as_frame.code, as_frame.status, as_frame.message)
    assert (as_status.mid_stream, as_frame.mid_stream) == (False, True)
    assert partial_of(as_frame).text == "Hel"
    assert all(error.request_id and error.model == MODEL and error.region == "us-east-1" for error in caught)


async def test_an_exception_can_be_the_only_frame(emulator: Emulator, client: Client) -> None:
    emulator.script(stream_error("throttlingException", "slow down"))
    with pytest.raises(errors.Throttled, match="slow down") as caught:
        await client.stream(MODEL, "Hi").response()
    assert caught.value.retryable
    assert caught.value.events_received == 0


async def test_an_unmodeled_error_keeps_its_name_and_message(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hi"), unmodeled_error("SomethingOdd", "it broke"))
    with pytest.raises(errors.ServiceError, match=r"SomethingOdd.*it broke"):
        await client.stream(MODEL, "Hi").response()


async def test_extra_members_of_an_exception_are_attributes(emulator: Emulator, client: Client) -> None:
    emulator.script(stream_error("modelStreamErrorException", "no", originalStatusCode=529, originalMessage="busy"))
    with pytest.raises(errors.ModelStreamError) as caught:
        await client.stream(MODEL, "Hi").response()
    assert (caught.value.original_status, caught.value.original_message) == (529, "busy")


async def test_an_html_page_is_not_an_event_stream(emulator: Emulator, client: Client) -> None:
    page = b"<html>" + b"x" * 500
    emulator.script(content_type("text/html", page))
    with pytest.raises(errors.NotAnEventStream) as caught:
        await client.stream(MODEL, "Hi").response()
    error = caught.value
    assert (error.status, error.content_type, error.body) == (200, "text/html", page[:200])
    emulator.script(content_type("text/html", page))
    with pytest.raises(errors.NotAnEventStream):
        await client.generate(MODEL, "Hi")


async def test_an_error_without_json_keeps_its_status_and_text() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 9\r\n\r\nno luck.\n")

    async with connected_once(answer) as (_, client):
        with pytest.raises(errors.ServiceUnavailable, match="no luck") as caught:
            await client.stream(MODEL, "Hi").open()
        assert (caught.value.status, caught.value.code) == (502, "")


@pytest.mark.parametrize(
    "body", [b'{"a": "\xff"}', b"[1]", b"{", b'{"message": null}', b'{"__type": "ns#ThrottlingException"}']
)
async def test_an_error_with_any_body_is_a_service_error(body: bytes) -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 429 No\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

    async with connected_once(answer) as (_, client):
        with pytest.raises(errors.Throttled):
            await client.stream(MODEL, "Hi").open()


async def test_an_error_with_an_incomplete_body_is_classified_by_its_status() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b'HTTP/1.1 429 Slow\r\ncontent-length: 99\r\n\r\n{"mess')
        await connection.closed.wait()

    async with connected_once(answer, timeouts=Timeouts(idle=0.05)) as (server, client):
        with pytest.raises(errors.Throttled):
            await client.stream(MODEL, "Hi").open()
        await server.connections[0].closed.wait()


@pytest.mark.parametrize("generate", [False, True], ids=["stream", "generate"])
async def test_an_error_is_raised_without_waiting_long_for_its_body(
    monkeypatch: pytest.MonkeyPatch, generate: bool
) -> None:
    """The limit for the body of an error is independent of the idle limit, which may be minutes."""
    monkeypatch.setattr(checks, "_ERROR_BODY_SECONDS", 0.05)

    async def answer(connection: Connection) -> None:
        connection.write(b'HTTP/1.1 503 Slow\r\nx-amzn-requestid: request-1\r\ncontent-length: 99\r\n\r\n{"mess')
        await connection.closed.wait()

    for idle in (300, None):
        async with connected_once(answer, timeouts=Timeouts(idle=idle)) as (server, client), asyncio.timeout(20):
            call = client.generate(MODEL, "Hi") if generate else client.stream(MODEL, "Hi").response()
            with pytest.raises(errors.ServiceUnavailable) as caught:
                await call
            assert caught.value.request_id == "request-1"
            await server.deserted()


async def test_a_redirect_is_not_followed() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")

    async with connected_once(answer) as (server, client):
        with pytest.raises(errors.NotAnEventStream, match="302"):
            await client.stream(MODEL, "Hi").open()
        assert len(server.connections) == 1


# ----------------------------------------------------------------------------------------- received data before the end


@pytest.mark.parametrize("end", [Connection.close, Connection.reset], ids=["close", "reset"])
async def test_an_exception_frame_before_a_close_is_raised(end: Callable[[Connection], None]) -> None:
    first_read, closed = asyncio.Event(), asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hel"))
        await first_read.wait()
        connection.chunk(text("lo") + exception("throttlingException", "slow down"))
        end(connection)
        closed.set()

    async with connected_once(answer) as (_, client):
        stream = client.stream(MODEL, "Hi")
        assert [type(await anext(stream)) for _ in range(2)] == [MessageStart, TextDelta]
        first_read.set()
        await closed.wait()
        await asyncio.sleep(0.05)  # the bytes and the close are received while the caller works
        assert await anext(stream) == TextDelta(0, "lo")
        with pytest.raises(errors.Throttled, match="slow down"):
            await anext(stream)


async def test_damage_followed_by_silence_is_reported_at_once() -> None:
    damaged = bytearray(text("there"))
    damaged[60] ^= 1

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + bytes(damaged))
        await connection.closed.wait()

    async with connected_once(answer) as (server, client):
        stream = client.stream(MODEL, "Hi")
        assert [type(await anext(stream)) for _ in range(2)] == [MessageStart, TextDelta]
        with pytest.raises(errors.ChecksumMismatch) as caught:
            await anext(stream)
        assert caught.value.offset == len(START + text("Hello"))
        assert caught.value.request_id == "request-1"
        await server.connections[0].closed.wait()


async def test_a_flipped_bit_is_an_error(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["Hello"]), flip_bit(300), say(["there"]))
    with pytest.raises(errors.InvalidFrame):
        await client.stream(MODEL, "Hi").response()


# ---------------------------------------------------------------------------------------------------------- time limits


async def test_missing_headers_raise_first_event_timeout() -> None:
    async with connected_once(silence, timeouts=Timeouts(first_event=0.1)) as (server, client):
        for call in (client.stream(MODEL, "Hi").open(), client.generate(MODEL, "Hi")):
            with pytest.raises(errors.FirstEventTimeout) as caught:
                await call
            assert caught.value.limit == 0.1
            assert caught.value.elapsed >= 0.09
            assert caught.value.model == MODEL
        for connection in server.connections:
            await connection.closed.wait()


async def test_a_missing_first_event_raises_first_event_timeout() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START[:20])
        await connection.closed.wait()

    # The headers and these bytes must come in time on a busy machine, too.
    async with connected_once(answer, timeouts=Timeouts(first_event=0.3)) as (server, client):
        with pytest.raises(errors.FirstEventTimeout) as caught:
            await client.stream(MODEL, "Hi").response()
        assert caught.value.bytes_received == 20
        await server.connections[0].closed.wait()


async def test_a_stream_that_stalls_raises_idle_timeout() -> None:
    async with connected_once(begin_and_wait, timeouts=Timeouts(idle=0.1)) as (server, client):
        with pytest.raises(errors.IdleTimeout) as caught:
            await client.stream(MODEL, "Hi").response()
        assert partial_of(caught.value).text == "Hello"
        assert caught.value.bytes_received > 0
        await server.connections[0].closed.wait()


async def test_a_document_that_stalls_raises_idle_timeout() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{")
        await connection.closed.wait()

    async with connected_once(answer, timeouts=Timeouts(idle=0.1)) as (_, client):
        with pytest.raises(errors.IdleTimeout):
            await client.generate(MODEL, "Hi")


@pytest.mark.parametrize(
    ("name", "limit", "kind"),
    # The total limit starts with the call, so it must leave enough time for the headers.
    [("idle", 0.2, errors.IdleTimeout), ("total", 1.5, errors.TotalTimeout)],
)
async def test_a_late_document_raises_with_the_number_of_bytes_received(
    name: str, limit: float, kind: type[errors.TimeLimitError]
) -> None:
    async def answer(connection: Connection) -> None:
        connection.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-amzn-requestid: request-1\r\n"
            b"content-length: 99\r\n\r\n{..."
        )
        await connection.closed.wait()

    async with connected_once(answer, timeouts=Timeouts(**{name: limit})) as (server, client):
        with pytest.raises(kind) as caught:
            await client.generate(MODEL, "Hi")
        assert (caught.value.limit, caught.value.bytes_received) == (limit, 4)
        assert caught.value.elapsed >= 0.95 * limit
        assert (caught.value.request_id, caught.value.model, caught.value.region) == ("request-1", MODEL, "us-east-1")
        await server.deserted()


async def test_the_limits_of_reading_do_not_count_while_the_caller_works() -> None:
    proceed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        await proceed.wait()
        connection.chunk(START)
        connection.chunk(text("Hello"))
        await proceed.wait()
        connection.chunk(END)
        connection.end()

    limits = Timeouts(first_event=0.3, idle=0.3)
    async with connected_once(answer) as (_, client), client.stream(MODEL, "Hi", timeouts=limits) as stream:
        await stream.open()
        await asyncio.sleep(0.4)  # the caller works for longer than both limits
        proceed.set()
        await anext(stream)
        proceed.clear()
        await anext(stream)
        await asyncio.sleep(0.4)
        proceed.set()
        assert (await stream.response()).text == "Hello"


async def test_a_stream_that_is_not_read_releases_its_connection() -> None:
    async with connected_once(begin_and_wait, timeouts=Timeouts(unread=0.1)) as (server, client):
        stream = client.stream(MODEL, "Hi")
        assert isinstance(await anext(stream), MessageStart)
        await server.connections[0].closed.wait()
        received: list[Any] = []
        with pytest.raises(errors.UnreadTimeout) as caught:
            await collect(stream, received)
        assert received[0] == TextDelta(0, "Hello")
        assert caught.value.limit == 0.1
        assert partial_of(caught.value).text == "Hello"


@pytest.mark.parametrize("ended", [True, False], ids=["body ended", "body open"])
async def test_a_complete_response_stays_readable_after_the_unread_limit(ended: bool) -> None:
    """The whole response had been received before the limit was reached, so nothing of it is lost."""

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + END)
        if ended:
            connection.end()
        await connection.closed.wait()

    async with connected_once(answer, timeouts=Timeouts(unread=0.1)) as (_, client):
        stream = client.stream(MODEL, "Hi")
        assert isinstance(await anext(stream), MessageStart)
        while client.stats().open_streams:
            await asyncio.sleep(0.01)
        rest = await collect(stream)
        assert [type(item) for item in rest] == [TextDelta, MessageStop, Metadata]
        response = await stream.response()
        assert (response.text, response.stop_reason, response.usage is None) == ("Hello", "end_turn", False)
        assert stream.attempts[0].error is None


async def test_a_complete_response_stays_readable_after_the_client_is_closed() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + END)
        await connection.closed.wait()

    async with connected_once(answer) as (server, client):
        stream = client.stream(MODEL, "Hi")
        assert isinstance(await anext(stream), MessageStart)
        await client.aclose()
        await server.deserted()
        response = await stream.response()
        assert (response.text, response.stop_reason, response.usage is None) == ("Hello", "end_turn", False)


async def test_a_slow_reader_does_not_reach_the_unread_limit() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + b"".join(text(str(number)) for number in range(5)) + END)
        connection.end()

    limits = Timeouts(unread=0.2, idle=0.1)
    async with connected_once(answer, timeouts=limits) as (_, client), client.stream(MODEL, "Hi") as stream:
        pieces = []
        async for piece in stream.text_stream:
            pieces.append(piece)
            await asyncio.sleep(0.1)  # half a second in total, more than both limits
        assert pieces == ["0", "1", "2", "3", "4"]


async def test_time_limits_can_be_disabled() -> None:
    limits = Timeouts(connect=None, pool=None, first_event=None, idle=None, unread=None)

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello"))
        connection.chunk(END)
        connection.end()

    async with connected_once(answer, timeouts=limits) as (_, client):
        assert (await client.stream(MODEL, "Hi").response()).text == "Hello"


# ------------------------------------------------------------------------------------------------- one reader at a time


async def test_a_second_reader_gets_an_error_and_the_first_continues() -> None:
    proceed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        await proceed.wait()
        connection.chunk(START + text("Hello") + END)
        connection.end()

    async with connected_once(answer) as (_, client), client.stream(MODEL, "Hi") as stream:
        await stream.open()
        first = asyncio.create_task(stream.response())
        await asyncio.sleep(0)
        with pytest.raises(errors.ConfigurationError, match="is being read by another task"):
            await anext(stream)
        proceed.set()
        assert (await first).text == "Hello"


async def test_closing_raises_in_a_task_that_reads() -> None:
    async with connected_once(begin_and_wait) as (_, client):
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.response())
        while stream.partial is None or not stream.partial.text:
            await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
            await reading


async def test_closing_raises_in_a_task_that_waits_for_headers() -> None:
    proceed = asyncio.Event()

    async def answer(connection: Connection) -> None:
        await proceed.wait()
        await begin_and_wait(connection)

    async with connected_once(answer) as (server, client):
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.response())
        await server.arrived(1)
        await stream.aclose()
        proceed.set()
        with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
            await reading
        await server.connections[0].closed.wait()


async def test_a_stream_closed_early_does_not_look_finished(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["Hello", " there"]))
    stream = client.stream(MODEL, "Hi")
    await anext(stream)
    await stream.aclose()
    await stream.aclose()
    assert "closed" in repr(stream)
    with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
        await anext(stream)
