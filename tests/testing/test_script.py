"""Every step of a script, as a raw client receives it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bedrock_stream.errors import ChecksumMismatch, StreamInterrupted
from bedrock_stream.eventstream import Decoder, Frame
from bedrock_stream.testing import (
    API_KEY,
    Emulator,
    ReceivedRequest,
    Step,
    citation,
    content_type,
    cut,
    delay,
    end_block,
    event,
    flip_bit,
    hang_before_headers,
    headers,
    http_error,
    metadata,
    raw_frame,
    reasoning,
    rechunk,
    replay,
    reset,
    stall,
    start,
    stop,
    stream_error,
    text,
    tool_call,
    unmodeled_error,
)
from tests.support.emulator_client import HELLO, Connection, RawResponse, open_request, play, post, request_bytes
from tests.support.soon import soon

START = ("messageStart", {"role": "assistant"})
USAGE = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}


def delta(index: int, **value: Any) -> tuple[str, Any]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": value}


def tool_start(index: int, name: str, call: str) -> tuple[str, Any]:
    start = {"toolUse": {"toolUseId": call, "name": name}}
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def block_stop(index: int) -> tuple[str, Any]:
    return "contentBlockStop", {"contentBlockIndex": index}


def message_stop(reason: str = "end_turn", **more: Any) -> tuple[str, Any]:
    return "messageStop", {"stopReason": reason, **more}


STOP = message_stop()


# ------------------------------------------------------------------------------------------------------------ message


@pytest.mark.parametrize(
    ("steps", "events"),
    [
        ([text(["Hel", "lo"])], [START, delta(0, text="Hel"), delta(0, text="lo"), block_stop(0), STOP]),
        ([text("Hello, you")], [START, *(delta(0, text=t) for t in ("Hello", ",", " you")), block_stop(0), STOP]),
        ([text("")], [START, delta(0, text=""), block_stop(0), STOP]),
        ([text("a"), text("b")], [START, delta(0, text="a"), block_stop(0), delta(1, text="b"), block_stop(1), STOP]),
        ([text("a"), text("b", joined=True)], [START, delta(0, text="a"), delta(0, text="b"), block_stop(0), STOP]),
        (
            [reasoning(["Let", " me"], signature="c2ln")],
            [
                START,
                delta(0, reasoningContent={"text": "Let"}),
                delta(0, reasoningContent={"text": " me"}),
                delta(0, reasoningContent={"signature": "c2ln"}),
                block_stop(0),
                STOP,
            ],
        ),
        (
            [reasoning(["Hm"], signature=None)],
            [START, delta(0, reasoningContent={"text": "Hm"}), block_stop(0), STOP],
        ),
        (
            [reasoning(redacted=b"\x00\xff")],
            [START, delta(0, reasoningContent={"redactedContent": "AP8="}), block_stop(0), STOP],
        ),
        (
            [tool_call("f", {"a": 1}, id="t1", fragments=2)],
            [
                START,
                tool_start(0, "f", "t1"),
                delta(0, toolUse={"input": '{"a"'}),
                delta(0, toolUse={"input": ": 1}"}),
                block_stop(0),
                message_stop("tool_use"),
            ],
        ),
        ([tool_call("f", id="t1")], [START, tool_start(0, "f", "t1"), block_stop(0), message_stop("tool_use")]),
        (
            [tool_call("f", id="t1", fragments=["", "{}"])],
            [
                START,
                tool_start(0, "f", "t1"),
                delta(0, toolUse={"input": ""}),
                delta(0, toolUse={"input": "{}"}),
                block_stop(0),
                message_stop("tool_use"),
            ],
        ),
        (
            [tool_call("f", '{"a": 1', id="t1", fragments=1), stop("max_tokens")],
            [
                START,
                tool_start(0, "f", "t1"),
                delta(0, toolUse={"input": '{"a": 1'}),
                block_stop(0),
                message_stop("max_tokens"),
            ],
        ),
        (
            [text("a"), citation(title="T", documentChar={"documentIndex": 0, "start": 0, "end": 1})],
            [
                START,
                delta(0, text="a"),
                delta(
                    0, citation={"title": "T", "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 1}}}
                ),
                block_stop(0),
                STOP,
            ],
        ),
        ([citation(source="s")], [START, delta(0, citation={"source": "s"}), block_stop(0), STOP]),
        ([], [START, STOP]),
        ([stop("refusal", fields={"a": 1})], [START, message_stop("refusal", additionalModelResponseFields={"a": 1})]),
        ([start(), text("a"), end_block()], [START, delta(0, text="a"), block_stop(0), STOP]),
        (
            [text("a"), event("weather", {"sky": "blue"})],
            [START, delta(0, text="a"), ("weather", {"sky": "blue"}), block_stop(0), STOP],
        ),
        ([event("messageStart", {"role": "x"}), text("a")], [("messageStart", {"role": "x"}), delta(0, text="a"), block_stop(0), STOP]),  # noqa: E501
    ],
)  # fmt: skip
async def test_content_becomes_events_in_order(steps: list[Step], events: list[tuple[str, Any]]) -> None:
    response = await play(*steps, metadata(USAGE, latency_ms=7))
    assert response.events == [*events, ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 7}})]
    assert response.complete


async def test_converse_returns_the_same_message_as_json() -> None:
    response = await play(
        reasoning("Hm", signature="c2ln"),
        reasoning(redacted=b"\x00"),
        text("Hello, "),
        text("you", joined=True),
        text("cited"),
        citation(title="T"),
        text(" on", joined=True),
        tool_call("f", {"a": 1}, id="t1"),
        tool_call("g", '{"cut', id="t2"),
        tool_call("h", id="t3"),
        stop("max_tokens", fields={"x": 1}),
        metadata(USAGE, latency_ms=7, trace={"y": 2}),
        operation="converse",
    )
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.body) == {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
                    {"reasoningContent": {"redactedContent": "AA=="}},
                    {"text": "Hello, you"},
                    {"citationsContent": {"content": [{"text": "cited on"}], "citations": [{"title": "T"}]}},
                    {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
                    {"toolUse": {"toolUseId": "t2", "name": "g", "input": '{"cut'}},
                    {"toolUse": {"toolUseId": "t3", "name": "h", "input": {}}},
                ],
            }
        },
        "stopReason": "max_tokens",
        "additionalModelResponseFields": {"x": 1},
        "usage": USAGE,
        "metrics": {"latencyMs": 7},
        "trace": {"y": 2},
    }


async def test_missing_metadata_members_are_computed() -> None:
    response = await play(text(["a", "b"]), metadata(trace={"z": 1}))
    last = response.events[-1][1]
    assert last["usage"]["outputTokens"] == 2
    assert last["usage"]["totalTokens"] == last["usage"]["inputTokens"] + 2
    assert last["trace"] == {"z": 1}


async def test_metadata_can_be_absent_or_at_its_own_position() -> None:
    assert (await play(text("a"), metadata(None))).events[-1] == STOP
    assert (await play(text("a"), stop(), metadata(USAGE), cut())).events[-1][0] == "metadata"


async def test_events_have_padding_and_ordered_headers_and_repeat_exactly() -> None:
    first, second = await play(text("Hi")), await play(text("Hi"))
    assert first.body == second.body
    for frame in first.frames:
        assert list(frame.headers) == [":event-type", ":content-type", ":message-type"]
        assert "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".startswith(
            json.loads(frame.payload)["p"]
        )
    assert len({len(json.loads(frame.payload)["p"]) for frame in first.frames}) > 1


async def test_raw_frames_and_raw_payloads_are_sent_unchanged() -> None:
    frame = Frame({":message-type": "event", "n": 7}, b"\x00\x01")
    response = await play(raw_frame(frame), event("odd", b"not json"), cut())
    assert response.frames[0] == frame
    assert response.frames[1].payload == b"not json"
    assert response.complete


# -------------------------------------------------------------------------------------------------- before the headers


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
async def test_http_errors_have_the_services_format(operation: str) -> None:
    response = await play(http_error(429, "ThrottlingException", "slow", {"Retry-After": "3"}), operation=operation)
    assert response.error == (429, "ThrottlingException", {"message": "slow"})
    assert response.headers["x-amzn-errortype"].endswith(":http://internal.amazon.com/coral/com.amazon.bedrock/")
    assert response.headers["retry-after"] == "3"
    assert "x-amzn-requestid" in response.headers


async def test_an_http_error_can_omit_its_type() -> None:
    assert (await play(http_error(502, None, "gateway"))).error == (502, None, {"message": "gateway"})


async def test_headers_are_added() -> None:
    assert (await play(headers({"X-More": "1"}), text("a"))).headers["x-more"] == "1"


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
async def test_a_wrong_content_type_with_and_without_another_body(operation: str) -> None:
    page = await play(content_type("text/html", b"<html>", status=502), operation=operation)
    assert (page.status, page.headers["content-type"], page.body) == (502, "text/html", b"<html>")
    response = await play(content_type("text/plain"), text("a"), operation=operation)
    assert (response.status, response.headers["content-type"]) == (200, "text/plain")
    assert response.body


async def test_a_raw_body_is_replayed_unchanged(tmp_path: Path) -> None:
    raw = (await play(text("Hi"))).body
    file = tmp_path / "response.bin"
    file.write_bytes(raw)
    assert (await play(replay(file))).body == raw
    assert (await play(replay(raw[:100]))).body == raw[:100]
    assert (await play(replay(b"{}"), operation="converse")).body == b"{}"


async def test_hanging_before_the_headers_ends_when_the_client_disconnects() -> None:
    async with Emulator(script=[hang_before_headers(), [hang_before_headers(0), text("a")]]) as emulator:
        connection = await open_request(emulator)
        await emulator.wait_for_streams(1)
        await connection.close()
        await soon(emulator.wait_until_idle(None))
        assert (await post(emulator)).events[-2] == STOP


# -------------------------------------------------------------------------------------------------------------- faults


async def test_a_stream_error_is_an_exception_frame_that_ends_the_body() -> None:
    response = await play(text("a"), stream_error("ModelStreamErrorException", "broke", originalStatusCode=424))
    frame = response.frames[-1]
    assert list(frame.headers.items()) == [
        (":exception-type", "modelStreamErrorException"),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ]
    assert json.loads(frame.payload) == {"message": "broke", "originalStatusCode": 424}
    assert response.events[-2] == delta(0, text="a")
    assert response.complete


async def test_a_stream_can_consist_of_a_stream_error_only() -> None:
    assert [name for name, _ in (await play(stream_error("throttlingException", "x"))).events] == [
        "throttlingException"
    ]


async def test_an_unmodeled_error_has_headers_only() -> None:
    response = await play(start(), unmodeled_error("InternalError", "boom"))
    assert response.frames[-1] == Frame(
        {":error-code": "InternalError", ":error-message": "boom", ":message-type": "error"}
    )


async def test_converse_returns_stream_errors_as_http_errors() -> None:
    response = await play(stream_error("throttlingException", "x"), operation="converse")
    assert response.error == (429, "ThrottlingException", {"message": "x"})
    response = await play(unmodeled_error("Odd", "x"), operation="converse")
    assert response.error == (500, "Odd", {"message": "x"})


async def test_a_clean_cut_ends_the_body_before_the_message_is_complete() -> None:
    response = await play(text("a"), cut())
    assert response.events == [START, delta(0, text="a")]
    assert response.complete


async def test_a_torn_cut_leaves_the_chunked_body_unterminated() -> None:
    response = await play(text("a"), cut(torn=True))
    assert response.events == [START, delta(0, text="a")]
    assert not response.complete


@pytest.mark.parametrize("torn", [False, True])
async def test_a_cut_inside_a_frame(torn: bool) -> None:
    response = await play(text("a"), cut(torn=torn, inside=20), text("b", joined=True))
    decoder = Decoder()
    assert len(decoder.feed(response.body)) == 2
    assert decoder.pending == 20
    with pytest.raises(StreamInterrupted):
        decoder.finish()
    assert response.complete is not torn


async def test_a_cut_inside_a_json_response_is_shorter_than_its_content_length() -> None:
    response = await play(text("a"), cut(inside=9), operation="converse")
    assert (len(response.body), response.complete) == (9, False)
    assert not (await play(text("a"), cut(), operation="converse")).complete


async def test_a_reset_follows_the_bytes_written_before() -> None:
    response = await play(text("a"), reset())
    assert response.events == [START, delta(0, text="a")]
    assert response.reset
    assert (await play(text("a"), reset(), operation="converse")).reset


async def test_a_stall_lasts_until_the_client_disconnects() -> None:
    async with Emulator(script=[[rechunk(10_000), text("a"), stall()]]) as emulator:
        connection = await open_request(emulator)
        response = RawResponse()
        await connection.read_head(response)
        await connection.read_chunk(response)
        assert response.events == [START, delta(0, text="a")]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.read_chunk(response), 0.05)
        assert emulator.open_streams == 1
        await connection.close()
        await soon(emulator.wait_until_idle(None))


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
async def test_delays_and_short_stalls_end(operation: str) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    response = await play(delay(0.05), text("a"), stall(0.05), operation=operation)
    assert loop.time() - before >= 0.1
    assert response.complete


@pytest.mark.parametrize("bit", [0, 70, 400, -1])
async def test_a_flipped_bit_damages_one_frame(bit: int) -> None:
    intact, damaged = await play(text("a")), await play(start(), flip_bit(bit), text("a"))
    changed = int.from_bytes(intact.body) ^ int.from_bytes(damaged.body)
    assert changed.bit_count() == 1
    decoder = Decoder()
    assert len(decoder.feed(damaged.body)) == 1
    assert isinstance(decoder.error, ChecksumMismatch)


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_rechunked_bodies_are_the_same_bytes_in_other_chunks(size: int) -> None:
    intact, pieces = await play(text("Hello")), await play(rechunk(size), text("Hello"))
    assert pieces.body == intact.body
    assert {len(chunk) for chunk in pieces.chunks[:-1]} <= {size}
    assert 0 < len(pieces.chunks[-1]) <= size


# -------------------------------------------------------------------------------------------------------------- queue


async def test_answers_are_used_in_order_and_later_ones_are_unscripted() -> None:
    async with Emulator(script=[text("one"), [text("two")], None]) as emulator:
        emulator.script(text("four"))
        first_deltas = [(await post(emulator)).events[1] for _ in range(4)]
        assert first_deltas[:2] == [delta(0, text="one"), delta(0, text="two")]
        assert first_deltas[3] == delta(0, text="four")
        unscripted = (await post(emulator)).events[1]
        assert unscripted == first_deltas[2]
        assert unscripted not in (first_deltas[0], first_deltas[1], first_deltas[3])


async def test_a_script_can_be_a_function_of_the_request() -> None:
    def echo(request: ReceivedRequest) -> Step | list[Step] | None:
        prompt = request.json["messages"][-1]["content"][0]["text"]
        return None if prompt == "Hello" else text([prompt])

    async with Emulator(script=echo) as emulator:
        body = {"messages": [{"role": "user", "content": [{"text": "again"}]}]}
        for _ in range(2):
            assert (await post(emulator, body)).events[1] == delta(0, text="again")
        assert (await post(emulator, HELLO)).events[1] != delta(0, text="Hello")
    async with Emulator(script=[echo]) as emulator:
        assert (await post(emulator, body)).events[1] == delta(0, text="again")


async def test_refused_requests_do_not_consume_an_answer() -> None:
    async with Emulator(script=[text("unused")]) as emulator:
        refused = await post(emulator, {"messages": []})
        assert refused.status == 400
        assert (await post(emulator)).events[1] == delta(0, text="unused")


async def test_a_bearer_key_needs_no_signature() -> None:
    async with Emulator(script=[text("in")]) as emulator:
        connection = await Connection.open(emulator)
        fields = {"Host": emulator.url.removeprefix("http://"), "Authorization": f"Bearer {API_KEY}"}
        connection.writer.write(request_bytes("/model/m/converse-stream", fields, json.dumps(HELLO).encode()))
        response = RawResponse()
        await connection.read_head(response)
        await connection.read_body(response)
        await connection.close()
        assert response.events[1] == delta(0, text="in")
