"""A live stream: what it yields, how it ends, and what it raises when the answer is not whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from bedrock_stream import (
    BlockStop,
    Client,
    MessageStart,
    MessageStop,
    Metadata,
    RetryPolicy,
    Stream,
    TextDelta,
    Timeouts,
    ToolCallEnd,
    ToolCallStart,
    UnknownEvent,
    errors,
)
from bedrock_stream.client import send
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
from tests.conftest import KEYS
from tests.support.socket_server import (
    END,
    START,
    Answer,
    Connection,
    SocketServer,
    begin_and_wait,
    exception,
    frame,
    silence,
    text,
)

ONCE = RetryPolicy(max_attempts=1)
MODEL = "amazon.nova-lite-v1:0"


@asynccontextmanager
async def talking_to(answer: Answer, **options: Any) -> AsyncIterator[tuple[SocketServer, Client]]:
    async with (
        SocketServer(answer) as server,
        Client(region="us-east-1", endpoint_url=server.url, credentials=KEYS, **{"retry": ONCE, **options}) as client,
    ):
        yield server, client


async def read(stream: Stream, into: list[Any] | None = None) -> list[Any]:
    """Every event; in `into` stands what came before an error."""
    events: list[Any] = [] if into is None else into
    async for item in stream:
        events.append(item)  # noqa: PERF401 - a comprehension would lose them
    return events


# ------------------------------------------------------------------------------------------------------ what it yields


async def test_events_come_in_the_service_s_order(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["Hel", "lo"]))
    events = await read(client.stream(MODEL, "Hi"))
    assert [type(item) for item in events] == [MessageStart, TextDelta, TextDelta, BlockStop, MessageStop, Metadata]
    assert [item.text for item in events if isinstance(item, TextDelta)] == ["Hel", "lo"]


async def test_an_event_becomes_the_json_that_a_browser_gets(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["Hi"]))
    async with client.stream(MODEL, "Hi") as stream:
        await anext(stream)
        assert msgspec.json.encode(await anext(stream)) == b'{"type":"text_delta","index":0,"text":"Hi"}'


async def test_the_text_stream_is_the_text_alone(emulator: Emulator, client: Client) -> None:
    emulator.script(reasoning("Thinking"), say(["One", " two"]), tool_call("look", {"at": 1}), say([" three"]))
    assert [piece async for piece in client.stream(MODEL, "Hi").text_stream] == ["One", " two", " three"]


async def test_the_tool_stream_is_the_tool_calls_alone(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Let me look."), tool_call("look", {"at": [1, 2]}, id="call-1", fragments=['{"at":', "[1,2]}"]))
    events = [item async for item in client.stream(MODEL, "Hi").tool_stream]
    assert [type(item).__name__ for item in events] == ["ToolCallStart"] + ["ToolCallDelta"] * 2 + ["ToolCallEnd"]
    assert isinstance(events[0], ToolCallStart)
    assert (events[0].id, events[0].name) == ("call-1", "look")
    assert isinstance(events[-1], ToolCallEnd)
    assert (events[-1].input, events[-1].raw) == ({"at": [1, 2]}, '{"at":[1,2]}')


async def test_the_response_is_the_whole_answer(emulator: Emulator, client: Client) -> None:
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


async def test_iterating_first_and_asking_for_the_response_then_gives_both(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hello"))
    async with client.stream(MODEL, "Hi") as stream:
        pieces = [piece async for piece in stream.text_stream]
        assert (await stream.response()).text == "".join(pieces) == "Hello"


async def test_generate_gives_the_same_response_as_the_stream(emulator: Emulator, client: Client) -> None:
    steps = (reasoning("Hm."), say("Looking."), tool_call("look", {"at": 1}, id="call-1"))
    emulator.script(*steps)
    emulator.script(*steps)
    whole, streamed = await client.generate(MODEL, "Hi"), await client.stream(MODEL, "Hi").response()
    assert whole.message == streamed.message
    assert (whole.text, whole.reasoning, whole.stop_reason) == (streamed.text, streamed.reasoning, streamed.stop_reason)
    assert [request.operation for request in emulator.requests] == ["Converse", "ConverseStream"]


async def test_the_message_goes_back_as_history(emulator: Emulator, client: Client) -> None:
    emulator.script(reasoning("Hm.", signature="c2ln"), say("Looking."), tool_call("look", {"at": 1}, id="call-1"))
    emulator.script(say("Found it."))
    tools = [{"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}]
    question: dict[str, Any] = {"role": "user", "content": "Where is it?"}
    first = await client.stream(MODEL, [question], tools=tools).response()
    result = {"role": "user", "content": [{"toolResult": {"toolUseId": "call-1", "content": [{"text": "there"}]}}]}
    second = await client.stream(MODEL, [question, first.message, result], tools=tools).response()
    assert second.text == "Found it."
    sent = emulator.requests[1].json["messages"][1]["content"]
    assert sent[0] == {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
    assert sent[2]["toolUse"] == {"toolUseId": "call-1", "name": "look", "input": {"at": 1}}


async def test_what_this_version_does_not_know_is_passed_on(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hi"), event("somethingNew", {"a": 1}), stop("brand_new_reason"))
    events = await read(client.stream(MODEL, "Hi"))
    assert UnknownEvent("somethingNew", {"a": 1}) in events
    assert "brand_new_reason" in [item.stop_reason for item in events if isinstance(item, MessageStop)]


async def test_a_missing_metadata_leaves_the_usage_unknown(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hi"), metadata(None))
    response = await client.stream(MODEL, "Hi").response()
    assert response.usage is None
    assert response.latency_ms is None


async def test_the_cut_of_the_bytes_makes_no_difference(emulator: Emulator, client: Client) -> None:
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
    go_on = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello"))
        await go_on.wait()
        connection.chunk(text(" there") + END)
        connection.end()

    async with talking_to(answer) as (_, client), client.stream(MODEL, "Hi") as stream:
        assert [type(await anext(stream)) for _ in range(2)] == [MessageStart, TextDelta]
        assert stream.partial is not None
        assert (stream.partial.text, stream.partial.stop_reason) == ("Hello", None)
        go_on.set()
        assert (await stream.response()).text == "Hello there"


# ------------------------------------------------------------------------------------------ a cut is never a whole one


@pytest.mark.parametrize("fault", [cut(), cut(torn=True), cut(inside=7), cut(inside=40, torn=True)], ids=str)
async def test_a_cut_answer_raises_with_what_had_come(emulator: Emulator, client: Client, fault: Any) -> None:
    emulator.script(say(["Hello", " there"]), fault)
    stream = client.stream(MODEL, "Hi")
    events: list[Any] = []
    with pytest.raises(errors.StreamInterrupted) as caught:
        await read(stream, events)
    assert "".join(item.text for item in events if isinstance(item, TextDelta)) == "Hello there"
    error = caught.value
    assert error.partial.text == "Hello there"
    assert (error.model, error.region) == (MODEL, "us-east-1")
    assert error.request_id == stream.request_id is not None
    assert error.events_received == stream.delivered == 3
    for again in (anext(stream), stream.response()):
        with pytest.raises(errors.StreamInterrupted):
            await again


async def test_an_empty_body_raises() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.end()

    async with talking_to(answer) as (_, client):
        with pytest.raises(errors.StreamInterrupted, match="before the message did"):
            await client.stream(MODEL, "Hi").response()


async def test_a_reset_after_the_message_s_end_costs_only_the_usage() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("whole") + frame("messageStop", {"stopReason": "end_turn"}))
        connection.reset()

    async with talking_to(answer) as (_, client):
        response = await client.stream(MODEL, "Hi").response()
        assert (response.text, response.stop_reason, response.usage) == ("whole", "end_turn", None)


async def test_a_body_that_is_never_ended_does_not_hold_up_a_message_that_is() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("whole") + END)
        await connection.closed.wait()

    async with talking_to(answer) as (server, client):
        response = await client.stream(MODEL, "Hi").response()
        assert (response.text, response.usage is not None) == ("whole", True)
        await server.connections[0].closed.wait()


async def test_an_exception_frame_behind_the_message_s_end_still_raises() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("whole") + END + exception("internalServerException", "late"))
        connection.end()

    async with talking_to(answer) as (_, client):
        with pytest.raises(errors.InternalServerError, match="late"):
            await client.stream(MODEL, "Hi").response()


async def test_tool_input_that_is_no_object_is_an_error_after_the_message(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Looking."), tool_call("look", '{"at": ', id="call-1"), stop("max_tokens"))
    events: list[Any] = []
    with pytest.raises(errors.ToolInputError) as caught:
        await read(client.stream(MODEL, "Hi"), events)
    ends = [item for item in events if isinstance(item, ToolCallEnd)]
    assert [(end.input, end.raw) for end in ends] == [(None, '{"at": ')]
    assert isinstance(events[-1], Metadata)
    error = caught.value
    assert (error.name, error.call_id, error.raw, error.stop_reason) == ("look", "call-1", '{"at": ', "max_tokens")
    assert error.usage is not None
    assert error.partial.tool_calls == ()
    assert error.partial.text == "Looking."


# --------------------------------------------------------------------------------------------- what the service refuses

CODES: list[tuple[str, int, type[errors.ServiceError]]] = [
    ("ThrottlingException", 429, errors.Throttled),
    ("ModelStreamErrorException", 424, errors.ModelStreamError),
    ("InternalServerException", 500, errors.InternalServerError),
    ("ServiceUnavailableException", 503, errors.ServiceUnavailable),
    ("ModelTimeoutException", 408, errors.ModelTimeout),
    ("ValidationException", 400, errors.ValidationFailed),
]


@pytest.mark.parametrize(("code", "status", "expected"), CODES, ids=[code for code, *_ in CODES])
async def test_an_error_is_the_same_class_as_a_status_and_as_a_frame(
    emulator: Emulator, client: Client, code: str, status: int, expected: type[errors.ServiceError]
) -> None:
    emulator.script(http_error(status, code, "too bad"))
    emulator.script(say("Hel"), stream_error(code[0].lower() + code[1:], "too bad"))
    caught = []
    for _ in range(2):
        with pytest.raises(expected) as info:
            await client.stream(MODEL, "Hi").response()
        caught.append(info.value)
    before, inside = caught
    assert [type(error) for error in caught] == [expected] * 2
    assert (before.code, before.status, before.message) == (inside.code, inside.status, inside.message)
    assert (before.mid_stream, inside.mid_stream) == (False, True)
    assert inside.partial.text == "Hel"
    assert all(error.request_id and error.model == MODEL and error.region == "us-east-1" for error in caught)


async def test_an_exception_can_be_the_only_frame(emulator: Emulator, client: Client) -> None:
    emulator.script(stream_error("throttlingException", "slow down"))
    with pytest.raises(errors.Throttled, match="slow down") as caught:
        await client.stream(MODEL, "Hi").response()
    assert caught.value.retryable
    assert caught.value.events_received == 0


async def test_an_error_that_nobody_modelled_keeps_its_name_and_text(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hi"), unmodeled_error("SomethingOdd", "it broke"))
    with pytest.raises(errors.ServiceError, match=r"SomethingOdd.*it broke"):
        await client.stream(MODEL, "Hi").response()


async def test_extra_members_of_an_exception_are_facts(emulator: Emulator, client: Client) -> None:
    emulator.script(stream_error("modelStreamErrorException", "no", originalStatusCode=529, originalMessage="busy"))
    with pytest.raises(errors.ModelStreamError) as caught:
        await client.stream(MODEL, "Hi").response()
    assert (caught.value.original_status, caught.value.original_message) == (529, "busy")


async def test_a_page_of_a_proxy_is_no_event_stream(emulator: Emulator, client: Client) -> None:
    page = b"<html>" + b"x" * 500
    emulator.script(content_type("text/html", page))
    with pytest.raises(errors.NotAnEventStream) as caught:
        await client.stream(MODEL, "Hi").response()
    error = caught.value
    assert (error.status, error.content_type, error.body) == (200, "text/html", page[:200])
    emulator.script(content_type("text/html", page))
    with pytest.raises(errors.NotAnEventStream):
        await client.generate(MODEL, "Hi")


async def test_an_error_page_without_json_keeps_its_status_and_words() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 9\r\n\r\nno luck.\n")

    async with talking_to(answer) as (_, client):
        with pytest.raises(errors.ServiceUnavailable, match="no luck") as caught:
            await client.stream(MODEL, "Hi").open()
        assert (caught.value.status, caught.value.code) == (502, "")


@pytest.mark.parametrize(
    "body", [b'{"a": "\xff"}', b"[1]", b"{", b'{"message": null}', b'{"__type": "ns#ThrottlingException"}']
)
async def test_an_error_whatever_its_body_is_a_service_error(body: bytes) -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 429 No\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

    async with talking_to(answer) as (_, client):
        with pytest.raises(errors.Throttled):
            await client.stream(MODEL, "Hi").open()


async def test_an_error_whose_body_dawdles_is_told_by_its_status() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b'HTTP/1.1 429 Slow\r\ncontent-length: 99\r\n\r\n{"mess')
        await connection.closed.wait()

    async with talking_to(answer, timeouts=Timeouts(idle=0.05)) as (server, client):
        with pytest.raises(errors.Throttled):
            await client.stream(MODEL, "Hi").open()
        await server.connections[0].closed.wait()


@pytest.mark.parametrize("whole_answer", [False, True], ids=["stream", "generate"])
async def test_a_refusal_is_told_soon_though_its_body_dawdles(
    monkeypatch: pytest.MonkeyPatch, whole_answer: bool
) -> None:
    """Minutes may pass between two bytes of an answer; nobody waits as long for the words of a refusal."""
    monkeypatch.setattr(send, "_ERROR_BODY_SECONDS", 0.05)

    async def answer(connection: Connection) -> None:
        connection.write(b'HTTP/1.1 503 Slow\r\nx-amzn-requestid: request-1\r\ncontent-length: 99\r\n\r\n{"mess')
        await connection.closed.wait()

    for idle in (300, None):
        async with talking_to(answer, timeouts=Timeouts(idle=idle)) as (server, client), asyncio.timeout(20):
            call = client.generate(MODEL, "Hi") if whole_answer else client.stream(MODEL, "Hi").response()
            with pytest.raises(errors.ServiceUnavailable) as caught:
                await call
            assert caught.value.request_id == "request-1"
            await server.deserted()


async def test_a_redirect_is_not_followed() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")

    async with talking_to(answer) as (server, client):
        with pytest.raises(errors.NotAnEventStream, match="302"):
            await client.stream(MODEL, "Hi").open()
        assert len(server.connections) == 1


# ---------------------------------------------------------------------------------- what arrived is read before the end


@pytest.mark.parametrize("leave", [Connection.close, Connection.reset], ids=["close", "reset"])
async def test_an_exception_frame_before_a_close_is_raised_as_itself(leave: Callable[[Connection], None]) -> None:
    said, left = asyncio.Event(), asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hel"))
        await said.wait()
        connection.chunk(text("lo") + exception("throttlingException", "slow down"))
        leave(connection)
        left.set()

    async with talking_to(answer) as (_, client):
        stream = client.stream(MODEL, "Hi")
        assert [type(await anext(stream)) for _ in range(2)] == [MessageStart, TextDelta]
        said.set()
        await left.wait()
        await asyncio.sleep(0.05)  # the consumer works while bytes and the close arrive
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

    async with talking_to(answer) as (server, client):
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


# --------------------------------------------------------------------------------------------------------------- clocks


async def test_headers_that_never_come_end_in_first_event_timeout() -> None:
    async with talking_to(silence, timeouts=Timeouts(first_event=0.1)) as (server, client):
        for call in (client.stream(MODEL, "Hi").open(), client.generate(MODEL, "Hi")):
            with pytest.raises(errors.FirstEventTimeout) as caught:
                await call
            assert caught.value.limit == 0.1
            assert caught.value.elapsed >= 0.09
            assert caught.value.model == MODEL
        for connection in server.connections:
            await connection.closed.wait()


async def test_an_event_that_never_comes_ends_in_first_event_timeout() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START[:20])
        await connection.closed.wait()

    async with talking_to(answer, timeouts=Timeouts(first_event=0.1)) as (server, client):
        with pytest.raises(errors.FirstEventTimeout) as caught:
            await client.stream(MODEL, "Hi").response()
        assert caught.value.bytes_received == 20
        await server.connections[0].closed.wait()


async def test_bytes_that_stop_coming_end_in_idle_timeout() -> None:
    async with talking_to(begin_and_wait, timeouts=Timeouts(idle=0.1)) as (server, client):
        with pytest.raises(errors.IdleTimeout) as caught:
            await client.stream(MODEL, "Hi").response()
        assert caught.value.partial.text == "Hello"
        assert caught.value.bytes_received > 0
        await server.connections[0].closed.wait()


async def test_a_whole_answer_that_stops_coming_ends_in_idle_timeout() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{")
        await connection.closed.wait()

    async with talking_to(answer, timeouts=Timeouts(idle=0.1)) as (_, client):
        with pytest.raises(errors.IdleTimeout):
            await client.generate(MODEL, "Hi")


@pytest.mark.parametrize(
    ("clock", "limit", "kind"),
    [("idle", 0.2, errors.IdleTimeout), ("total", 1.5, errors.TotalTimeout)],  # the second runs from the beginning
)
async def test_a_whole_answer_that_is_late_tells_what_had_come(
    clock: str, limit: float, kind: type[errors.TimeLimitError]
) -> None:
    async def answer(connection: Connection) -> None:
        connection.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-amzn-requestid: request-1\r\n"
            b"content-length: 99\r\n\r\n{..."
        )
        await connection.closed.wait()

    async with talking_to(answer, timeouts=Timeouts(**{clock: limit})) as (server, client):
        with pytest.raises(kind) as caught:
            await client.generate(MODEL, "Hi")
        assert (caught.value.limit, caught.value.bytes_received) == (limit, 4)
        assert caught.value.elapsed >= 0.95 * limit
        assert (caught.value.request_id, caught.value.model, caught.value.region) == ("request-1", MODEL, "us-east-1")
        await server.deserted()


async def test_the_waiting_clocks_stand_still_while_the_consumer_works() -> None:
    go_on = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        await go_on.wait()
        connection.chunk(START)
        connection.chunk(text("Hello"))
        await go_on.wait()
        connection.chunk(END)
        connection.end()

    limits = Timeouts(first_event=0.1, idle=0.1)
    async with talking_to(answer) as (_, client), client.stream(MODEL, "Hi", timeouts=limits) as stream:
        await stream.open()
        await asyncio.sleep(0.2)  # the consumer works, longer than both limits
        go_on.set()
        await anext(stream)
        go_on.clear()
        await anext(stream)
        await asyncio.sleep(0.2)
        go_on.set()
        assert (await stream.response()).text == "Hello"


async def test_a_stream_that_nobody_reads_gives_its_connection_back() -> None:
    async with talking_to(begin_and_wait, timeouts=Timeouts(unread=0.1)) as (server, client):
        stream = client.stream(MODEL, "Hi")
        assert isinstance(await anext(stream), MessageStart)
        await server.connections[0].closed.wait()
        arrived: list[Any] = []
        with pytest.raises(errors.UnreadTimeout) as caught:
            await read(stream, arrived)
        assert arrived[0] == TextDelta(0, "Hello")
        assert caught.value.limit == 0.1
        assert caught.value.partial.text == "Hello"


@pytest.mark.parametrize("ended", [True, False], ids=["body ended", "body open"])
async def test_an_answer_that_is_whole_stays_whole_however_long_its_reader_takes(ended: bool) -> None:
    """Somebody has to approve what the model wants, and has lunch: all that was said had come by then."""

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + END)
        if ended:
            connection.end()
        await connection.closed.wait()

    async with talking_to(answer, timeouts=Timeouts(unread=0.1)) as (_, client):
        stream = client.stream(MODEL, "Hi")
        assert isinstance(await anext(stream), MessageStart)
        while client.stats().open_streams:
            await asyncio.sleep(0.01)
        rest = await read(stream)
        assert [type(item) for item in rest] == [TextDelta, MessageStop, Metadata]
        response = await stream.response()
        assert (response.text, response.stop_reason, response.usage is None) == ("Hello", "end_turn", False)
        assert stream.attempts[0].error is None


async def test_an_answer_that_is_whole_stays_whole_when_the_client_is_closed() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello") + END)
        await connection.closed.wait()

    async with talking_to(answer) as (server, client):
        stream = client.stream(MODEL, "Hi")
        assert isinstance(await anext(stream), MessageStart)
        await client.aclose()
        await server.deserted()
        response = await stream.response()
        assert (response.text, response.stop_reason, response.usage is None) == ("Hello", "end_turn", False)


async def test_a_slow_reader_is_not_taken_for_one_who_left() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + b"".join(text(str(number)) for number in range(5)) + END)
        connection.end()

    limits = Timeouts(unread=0.2, idle=0.1)
    async with talking_to(answer, timeouts=limits) as (_, client), client.stream(MODEL, "Hi") as stream:
        pieces = []
        async for piece in stream.text_stream:
            pieces.append(piece)
            await asyncio.sleep(0.1)  # half a second in all
        assert pieces == ["0", "1", "2", "3", "4"]


async def test_clocks_can_be_switched_off() -> None:
    limits = Timeouts(connect=None, pool=None, first_event=None, idle=None, unread=None)

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hello"))
        connection.chunk(END)
        connection.end()

    async with talking_to(answer, timeouts=limits) as (_, client):
        assert (await client.stream(MODEL, "Hi").response()).text == "Hello"


# ---------------------------------------------------------------------------------------------- one reader at a time


async def test_a_second_reader_is_told_so_and_the_first_goes_on() -> None:
    go_on = asyncio.Event()

    async def answer(connection: Connection) -> None:
        connection.begin()
        await go_on.wait()
        connection.chunk(START + text("Hello") + END)
        connection.end()

    async with talking_to(answer) as (_, client), client.stream(MODEL, "Hi") as stream:
        await stream.open()
        first = asyncio.create_task(stream.response())
        await asyncio.sleep(0)
        with pytest.raises(errors.ConfigurationError, match="is being read by another task"):
            await anext(stream)
        go_on.set()
        assert (await first).text == "Hello"


async def test_closing_under_a_reader_ends_its_wait_with_an_error() -> None:
    async with talking_to(begin_and_wait) as (_, client):
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.response())
        while stream.partial is None or not stream.partial.text:
            await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
            await reading


async def test_closing_while_the_request_is_on_its_way_ends_in_an_error() -> None:
    go_on = asyncio.Event()

    async def answer(connection: Connection) -> None:
        await go_on.wait()
        await begin_and_wait(connection)

    async with talking_to(answer) as (server, client):
        stream = client.stream(MODEL, "Hi")
        reading = asyncio.create_task(stream.response())
        await server.arrived(1)
        await stream.aclose()
        go_on.set()
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
