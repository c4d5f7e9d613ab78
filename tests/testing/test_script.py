"""Every word of a script, seen on the wire by a client that hides nothing."""

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
from tests.support.emulator_client import HELLO, Connection, RawAnswer, opened, post, written

BEGIN = ("messageStart", {"role": "assistant"})
USAGE = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}


def delta(index: int, **value: Any) -> tuple[str, Any]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": value}


def begun(index: int, name: str, call: str) -> tuple[str, Any]:
    start = {"toolUse": {"toolUseId": call, "name": name}}
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def ended(index: int) -> tuple[str, Any]:
    return "contentBlockStop", {"contentBlockIndex": index}


def stopped(reason: str = "end_turn", **more: Any) -> tuple[str, Any]:
    return "messageStop", {"stopReason": reason, **more}


async def scripted(*steps: Step, operation: str = "converse-stream") -> RawAnswer:
    async with Emulator(script=[steps]) as emulator:
        return await asyncio.wait_for(post(emulator, operation=operation), 5)


# -------------------------------------------------------------------------------------------------------- the message


@pytest.mark.parametrize(
    ("steps", "events"),
    [
        ([text(["Hel", "lo"])], [BEGIN, delta(0, text="Hel"), delta(0, text="lo"), ended(0), stopped()]),
        ([text("Hello, you")], [BEGIN, *(delta(0, text=t) for t in ("Hello", ",", " you")), ended(0), stopped()]),
        ([text("")], [BEGIN, delta(0, text=""), ended(0), stopped()]),
        ([text("a"), text("b")], [BEGIN, delta(0, text="a"), ended(0), delta(1, text="b"), ended(1), stopped()]),
        ([text("a"), text("b", joined=True)], [BEGIN, delta(0, text="a"), delta(0, text="b"), ended(0), stopped()]),
        (
            [reasoning(["Let", " me"], signature="c2ln")],
            [
                BEGIN,
                delta(0, reasoningContent={"text": "Let"}),
                delta(0, reasoningContent={"text": " me"}),
                delta(0, reasoningContent={"signature": "c2ln"}),
                ended(0),
                stopped(),
            ],
        ),
        (
            [reasoning(["Hm"], signature=None)],
            [BEGIN, delta(0, reasoningContent={"text": "Hm"}), ended(0), stopped()],
        ),
        (
            [reasoning(redacted=b"\x00\xff")],
            [BEGIN, delta(0, reasoningContent={"redactedContent": "AP8="}), ended(0), stopped()],
        ),
        (
            [tool_call("f", {"a": 1}, id="t1", fragments=2)],
            [
                BEGIN,
                begun(0, "f", "t1"),
                delta(0, toolUse={"input": '{"a"'}),
                delta(0, toolUse={"input": ": 1}"}),
                ended(0),
                stopped("tool_use"),
            ],
        ),
        ([tool_call("f", id="t1")], [BEGIN, begun(0, "f", "t1"), ended(0), stopped("tool_use")]),
        (
            [tool_call("f", id="t1", fragments=["", "{}"])],
            [
                BEGIN,
                begun(0, "f", "t1"),
                delta(0, toolUse={"input": ""}),
                delta(0, toolUse={"input": "{}"}),
                ended(0),
                stopped("tool_use"),
            ],
        ),
        (
            [tool_call("f", '{"a": 1', id="t1", fragments=1), stop("max_tokens")],
            [BEGIN, begun(0, "f", "t1"), delta(0, toolUse={"input": '{"a": 1'}), ended(0), stopped("max_tokens")],
        ),
        (
            [text("a"), citation(title="T", documentChar={"documentIndex": 0, "start": 0, "end": 1})],
            [
                BEGIN,
                delta(0, text="a"),
                delta(
                    0, citation={"title": "T", "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 1}}}
                ),
                ended(0),
                stopped(),
            ],
        ),
        ([citation(source="s")], [BEGIN, delta(0, citation={"source": "s"}), ended(0), stopped()]),
        ([], [BEGIN, stopped()]),
        ([stop("refusal", fields={"a": 1})], [BEGIN, stopped("refusal", additionalModelResponseFields={"a": 1})]),
        ([start(), text("a"), end_block()], [BEGIN, delta(0, text="a"), ended(0), stopped()]),
        (
            [text("a"), event("weather", {"sky": "blue"})],
            [BEGIN, delta(0, text="a"), ("weather", {"sky": "blue"}), ended(0), stopped()],
        ),
        ([event("messageStart", {"role": "x"}), text("a")], [("messageStart", {"role": "x"}), delta(0, text="a"), ended(0), stopped()]),  # noqa: E501
    ],
)  # fmt: skip
async def test_content_becomes_events_in_order(steps: list[Step], events: list[tuple[str, Any]]) -> None:
    answer = await scripted(*steps, metadata(USAGE, latency_ms=7))
    assert answer.events == [*events, ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 7}})]
    assert answer.complete


async def test_converse_tells_the_same_message_as_json() -> None:
    answer = await scripted(
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
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == {
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


async def test_what_metadata_leaves_out_is_counted() -> None:
    answer = await scripted(text(["a", "b"]), metadata(trace={"z": 1}))
    last = answer.events[-1][1]
    assert last["usage"]["outputTokens"] == 2
    assert last["usage"]["totalTokens"] == last["usage"]["inputTokens"] + 2
    assert last["trace"] == {"z": 1}


async def test_metadata_can_be_absent_or_stand_where_it_is_said() -> None:
    assert (await scripted(text("a"), metadata(None))).events[-1] == stopped()
    assert (await scripted(text("a"), stop(), metadata(USAGE), cut())).events[-1][0] == "metadata"


async def test_events_carry_padding_headers_in_order_and_repeat_exactly() -> None:
    first, second = await scripted(text("Hi")), await scripted(text("Hi"))
    assert first.body == second.body
    for frame in first.frames:
        assert list(frame.headers) == [":event-type", ":content-type", ":message-type"]
        assert "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".startswith(
            json.loads(frame.payload)["p"]
        )
    assert len({len(json.loads(frame.payload)["p"]) for frame in first.frames}) > 1


async def test_raw_frames_and_raw_payloads_go_out_untouched() -> None:
    frame = Frame({":message-type": "event", "n": 7}, b"\x00\x01")
    answer = await scripted(raw_frame(frame), event("odd", b"not json"), cut())
    assert answer.frames[0] == frame
    assert answer.frames[1].payload == b"not json"
    assert answer.complete


# ------------------------------------------------------------------------------------------ decided before the headers


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
async def test_http_errors_have_the_services_shape(operation: str) -> None:
    answer = await scripted(http_error(429, "ThrottlingException", "slow", {"Retry-After": "3"}), operation=operation)
    assert answer.error == (429, "ThrottlingException", {"message": "slow"})
    assert answer.headers["x-amzn-errortype"].endswith(":http://internal.amazon.com/coral/com.amazon.bedrock/")
    assert answer.headers["retry-after"] == "3"
    assert "x-amzn-requestid" in answer.headers


async def test_an_http_error_may_lack_its_type() -> None:
    assert (await scripted(http_error(502, None, "gateway"))).error == (502, None, {"message": "gateway"})


async def test_headers_are_added() -> None:
    assert (await scripted(headers({"X-More": "1"}), text("a"))).headers["x-more"] == "1"


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
async def test_a_wrong_content_type_with_and_without_another_body(operation: str) -> None:
    page = await scripted(content_type("text/html", b"<html>", status=502), operation=operation)
    assert (page.status, page.headers["content-type"], page.body) == (502, "text/html", b"<html>")
    answer = await scripted(content_type("text/plain"), text("a"), operation=operation)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain")
    assert answer.body


async def test_a_recording_is_replayed_as_it_is(tmp_path: Path) -> None:
    recorded = (await scripted(text("Hi"))).body
    file = tmp_path / "answer.bin"
    file.write_bytes(recorded)
    assert (await scripted(replay(file))).body == recorded
    assert (await scripted(replay(recorded[:100]))).body == recorded[:100]
    assert (await scripted(replay(b"{}"), operation="converse")).body == b"{}"


async def test_hanging_before_the_headers_ends_when_the_client_leaves() -> None:
    async with Emulator(script=[hang_before_headers(), [hang_before_headers(0), text("a")]]) as emulator:
        connection = await opened(emulator)
        await emulator.wait_for_streams(1)
        await connection.leave()
        await emulator.wait_until_idle(0.25)
        assert (await post(emulator)).events[-2] == stopped()


# -------------------------------------------------------------------------------------------------------------- faults


async def test_a_stream_error_is_an_exception_frame_and_the_end() -> None:
    answer = await scripted(text("a"), stream_error("ModelStreamErrorException", "broke", originalStatusCode=424))
    frame = answer.frames[-1]
    assert list(frame.headers.items()) == [
        (":exception-type", "modelStreamErrorException"),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ]
    assert json.loads(frame.payload) == {"message": "broke", "originalStatusCode": 424}
    assert answer.events[-2] == delta(0, text="a")
    assert answer.complete


async def test_a_stream_error_may_be_all_there_is() -> None:
    assert [name for name, _ in (await scripted(stream_error("throttlingException", "x"))).events] == [
        "throttlingException"
    ]


async def test_an_unmodeled_error_has_headers_only() -> None:
    answer = await scripted(start(), unmodeled_error("InternalError", "boom"))
    assert answer.frames[-1] == Frame(
        {":error-code": "InternalError", ":error-message": "boom", ":message-type": "error"}
    )


async def test_converse_tells_stream_errors_as_http_errors() -> None:
    answer = await scripted(stream_error("throttlingException", "x"), operation="converse")
    assert answer.error == (429, "ThrottlingException", {"message": "x"})
    answer = await scripted(unmodeled_error("Odd", "x"), operation="converse")
    assert answer.error == (500, "Odd", {"message": "x"})


async def test_a_clean_cut_ends_the_body_in_front_of_its_own_end() -> None:
    answer = await scripted(text("a"), cut())
    assert answer.events == [BEGIN, delta(0, text="a")]
    assert answer.complete


async def test_a_torn_cut_leaves_the_chunked_body_open() -> None:
    answer = await scripted(text("a"), cut(torn=True))
    assert answer.events == [BEGIN, delta(0, text="a")]
    assert not answer.complete


@pytest.mark.parametrize("torn", [False, True])
async def test_a_cut_inside_a_frame(torn: bool) -> None:
    answer = await scripted(text("a"), cut(torn=torn, inside=20), text("b", joined=True))
    decoder = Decoder()
    assert len(decoder.feed(answer.body)) == 2
    assert decoder.pending == 20
    with pytest.raises(StreamInterrupted):
        decoder.finish()
    assert answer.complete is not torn


async def test_a_cut_inside_a_json_answer_breaks_the_promised_length() -> None:
    answer = await scripted(text("a"), cut(inside=9), operation="converse")
    assert (len(answer.body), answer.complete) == (9, False)
    assert not (await scripted(text("a"), cut(), operation="converse")).complete


async def test_a_reset_comes_behind_what_was_written() -> None:
    answer = await scripted(text("a"), reset())
    assert answer.events == [BEGIN, delta(0, text="a")]
    assert answer.reset
    assert (await scripted(text("a"), reset(), operation="converse")).reset


async def test_a_stall_is_silence_after_what_was_written_until_the_client_leaves() -> None:
    async with Emulator(script=[[rechunk(10_000), text("a"), stall()]]) as emulator:
        connection = await opened(emulator)
        answer = RawAnswer()
        await connection.read_head(answer)
        await connection.read_chunk(answer)
        assert answer.events == [BEGIN, delta(0, text="a")]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.read_chunk(answer), 0.05)
        assert emulator.open_streams == 1
        await connection.leave()
        await emulator.wait_until_idle(0.25)


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
async def test_delays_and_short_stalls_pass(operation: str) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    answer = await scripted(delay(0.05), text("a"), stall(0.05), operation=operation)
    assert loop.time() - before >= 0.1
    assert answer.complete


@pytest.mark.parametrize("bit", [0, 70, 400, -1])
async def test_a_flipped_bit_damages_one_frame(bit: int) -> None:
    whole, damaged = await scripted(text("a")), await scripted(start(), flip_bit(bit), text("a"))
    changed = int.from_bytes(whole.body) ^ int.from_bytes(damaged.body)
    assert changed.bit_count() == 1
    decoder = Decoder()
    assert len(decoder.feed(damaged.body)) == 1
    assert isinstance(decoder.error, ChecksumMismatch)


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_rechunked_bodies_are_the_same_bytes_in_other_pieces(size: int) -> None:
    whole, pieces = await scripted(text("Hello")), await scripted(rechunk(size), text("Hello"))
    assert pieces.body == whole.body
    assert {len(chunk) for chunk in pieces.chunks[:-1]} <= {size}
    assert 0 < len(pieces.chunks[-1]) <= size


# ---------------------------------------------------------------------------------------------------------- the queue


async def test_answers_are_used_in_order_and_then_the_emulator_speaks_for_itself() -> None:
    async with Emulator(script=[text("one"), [text("two")], None]) as emulator:
        emulator.script(text("four"))
        said = [(await post(emulator)).events[1] for _ in range(4)]
        assert said[:2] == [delta(0, text="one"), delta(0, text="two")]
        assert said[3] == delta(0, text="four")
        own = (await post(emulator)).events
        assert own[1] == said[2]
        assert own[1] not in (said[0], said[1], said[3])


async def test_a_script_may_be_a_function_of_the_request() -> None:
    def echo(request: ReceivedRequest) -> Step | list[Step] | None:
        said = request.json["messages"][-1]["content"][0]["text"]
        return None if said == "Hello" else text([said])

    async with Emulator(script=echo) as emulator:
        body = {"messages": [{"role": "user", "content": [{"text": "again"}]}]}
        for _ in range(2):
            assert (await post(emulator, body)).events[1] == delta(0, text="again")
        assert (await post(emulator, HELLO)).events[1] != delta(0, text="Hello")
    async with Emulator(script=[echo]) as emulator:
        assert (await post(emulator, body)).events[1] == delta(0, text="again")


async def test_refused_requests_use_up_no_answer() -> None:
    async with Emulator(script=[text("kept")]) as emulator:
        refused = await post(emulator, {"messages": []})
        assert refused.status == 400
        assert (await post(emulator)).events[1] == delta(0, text="kept")


async def test_a_bearer_key_needs_no_signature() -> None:
    async with Emulator(script=[text("in")]) as emulator:
        connection = await Connection.to(emulator)
        fields = {"Host": emulator.url.removeprefix("http://"), "Authorization": f"Bearer {API_KEY}"}
        connection.writer.write(written("/model/m/converse-stream", fields, json.dumps(HELLO).encode()))
        answer = RawAnswer()
        await connection.read_head(answer)
        await connection.read_body(answer)
        await connection.leave()
        assert answer.events[1] == delta(0, text="in")
