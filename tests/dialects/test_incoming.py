"""`EventStream` and `Document`: from the bytes of a response to its events, without I/O."""

from __future__ import annotations

import json
import tracemalloc
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedrock_stream import MessageStart, MessageStop, Metadata, Response, TextDelta, ToolCallEnd, UnknownEvent
from bedrock_stream.dialects import Reader
from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.dialects.incoming import Document, EventStream
from bedrock_stream.dialects.openai import OpenAI
from bedrock_stream.dialects.raw import Raw
from bedrock_stream.errors import BedrockStreamError, ChecksumMismatch, InvalidFrame, StreamInterrupted, Throttled
from bedrock_stream.eventstream import Decoder, Frame, encode_frame
from bedrock_stream.types.response import Assembly
from tests.support import converse_frames as frames
from tests.support.reading import raw_chunk

FIXTURES = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parents[2] / "fixtures").glob("*.bin"))}

START = encode_frame(frames.event("messageStart", role="assistant"))
HELLO = encode_frame(frames.delta(0, text="Hello"))
STOP = encode_frame(frames.message_stop())
METADATA = encode_frame(frames.event("metadata", usage={"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}))
UNKNOWN = encode_frame(frames.event("newEvent", a=1))
THROTTLED = encode_frame(frames.exception("throttlingException", b'{"message":"Slow down."}'))
CALL = encode_frame(frames.tool_start(1)) + encode_frame(frames.delta(1, toolUse={"input": '{"a": 1}'}))
CALL_STOP = encode_frame(frames.stop(1))
DAMAGED = HELLO[:-6] + bytes([HELLO[-6] ^ 1]) + HELLO[-5:]


class Incoming:
    """An `EventStream` with its queue and what it reports."""

    def __init__(self, reader: Reader | None = None) -> None:
        self.events: deque[Any] = deque()
        self.bytes: list[bytes] = []
        self.frames: list[Frame] = []
        self.stream = EventStream(
            reader or Converse().reader(), self.events, Assembly(), self.bytes.append, self.frames.extend
        )

    def receive(self, data: bytes) -> tuple[list[Any], BedrockStreamError | None]:
        """Return the events that these bytes deliver, and the failure after them."""
        failure = self.stream.receive(data)
        return self.take(), failure

    def take(self) -> list[Any]:
        """Empty the queue, as its owner does before the next bytes."""
        events = list(self.events)
        self.events.clear()
        return events

    @property
    def response(self) -> Response:
        assert self.stream.assembly is not None
        return self.stream.assembly.response()


# -------------------------------------------------------------------------------------------------- the held back start


def test_the_start_is_held_back_until_another_event_follows() -> None:
    incoming = Incoming()
    assert incoming.receive(START) == ([], None)
    assert (incoming.stream.started, incoming.stream.begun) == (True, False)
    assert incoming.receive(HELLO) == ([MessageStart("assistant"), TextDelta(0, "Hello")], None)
    assert incoming.stream.begun
    assert incoming.receive(HELLO) == ([TextDelta(0, "Hello")], None)


def test_a_start_followed_by_another_event_in_the_same_bytes_is_delivered_at_once() -> None:
    incoming = Incoming()
    assert incoming.receive(START + HELLO) == ([MessageStart("assistant"), TextDelta(0, "Hello")], None)
    assert incoming.stream.begun


def test_an_unknown_event_delivers_the_start() -> None:
    incoming = Incoming()
    incoming.receive(START)
    assert incoming.receive(UNKNOWN) == ([MessageStart("assistant"), UnknownEvent("newEvent", {"a": 1})], None)
    assert incoming.stream.begun


def test_part_of_a_frame_delivers_nothing() -> None:
    incoming = Incoming()
    assert incoming.receive(START[:20]) == ([], None)
    assert (incoming.stream.started, incoming.stream.begun) == (False, False)
    assert incoming.receive(START[20:] + HELLO[:20]) == ([], None)
    assert (incoming.stream.started, incoming.stream.begun) == (True, False)


@pytest.mark.parametrize("separate", [False, True])
def test_a_failure_right_after_the_start_leaves_it_held_back(separate: bool) -> None:
    incoming = Incoming()
    for data in (START, THROTTLED) if separate else (START + THROTTLED,):
        events, failure = incoming.receive(data)
        assert events == []
    assert isinstance(failure, Throttled)
    assert not incoming.stream.begun


def test_release_delivers_the_start() -> None:
    incoming = Incoming()
    incoming.receive(START + THROTTLED)
    assert incoming.response == Assembly().response()
    assert incoming.stream.release() is True
    assert incoming.take() == [MessageStart("assistant")]
    assert (incoming.stream.started, incoming.stream.begun) == (True, True)


@pytest.mark.parametrize("data", [b"", START[:20], THROTTLED], ids=["nothing", "part of a frame", "exception"])
def test_release_delivers_nothing_if_nothing_is_held_back(data: bytes) -> None:
    incoming = Incoming()
    incoming.receive(data)
    assert incoming.stream.release() is False
    assert incoming.take() == []
    assert (incoming.stream.started, incoming.stream.begun) == (False, False)


# ------------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(("broken", "kind"), [(THROTTLED, Throttled), (DAMAGED, ChecksumMismatch)])
@pytest.mark.parametrize("separate", [False, True])
def test_a_failure_follows_the_intact_events(broken: bytes, kind: type[BedrockStreamError], separate: bool) -> None:
    incoming = Incoming()
    intact = START + HELLO
    delivered: list[Any] = []
    for data in (intact, broken) if separate else (intact + broken,):
        events, failure = incoming.receive(data)
        delivered += events
    assert type(failure) is kind
    assert delivered == [MessageStart("assistant"), TextDelta(0, "Hello")]
    assert incoming.stream.begun
    assert incoming.response.text == "Hello"


def test_damage_is_final() -> None:
    incoming = Incoming()
    _, failure = incoming.receive(START + HELLO + DAMAGED + HELLO)
    assert isinstance(failure, ChecksumMismatch)
    assert failure.offset == len(START + HELLO)
    assert incoming.receive(HELLO) == ([], failure)
    with pytest.raises(ChecksumMismatch):
        incoming.stream.finish(None)


def test_an_exception_frame_precedes_damage_behind_it() -> None:
    _, failure = Incoming().receive(START + THROTTLED + DAMAGED)
    assert isinstance(failure, Throttled)


def test_a_payload_that_is_not_json_is_a_failure_after_the_intact_events() -> None:
    events, failure = Incoming().receive(START + HELLO + encode_frame(frames.raw_event("messageStop", b"{")))
    assert events == [MessageStart("assistant"), TextDelta(0, "Hello")]
    assert isinstance(failure, InvalidFrame)


WIDE = b'{"a":[' + b"{}," * (1 << 20) + b"{}]}"


@pytest.mark.parametrize(
    ("reader", "frame"),
    [
        (Converse().reader(), frames.raw_event("contentBlockDelta", WIDE)),
        (Raw().reader(), raw_chunk(WIDE)),
        (OpenAI().reader(), raw_chunk(WIDE)),
        (OpenAI().reader(), raw_chunk(b'{"choices":[],"id":' + WIDE + b"}")),
        (Anthropic().reader(), raw_chunk(b'{"type":"new","a":' + WIDE + b"}")),
    ],
)
def test_a_payload_that_costs_far_more_memory_than_its_size_is_refused(reader: Reader, frame: Frame) -> None:
    """It is refused before it is decoded, and the events in front of it are delivered."""
    data = encode_frame(frame)
    tracemalloc.start()
    try:
        _, failure = Incoming(reader).receive(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(failure, InvalidFrame)
    assert "more than 10 times its size in memory" in str(failure)
    assert peak < 10 * len(data)


def test_an_unknown_event_that_costs_far_more_memory_than_its_size_is_not_decoded() -> None:
    events, failure = Incoming(Converse().reader()).receive(encode_frame(frames.raw_event("newEvent", WIDE)))
    assert failure is None
    assert events == [UnknownEvent("newEvent", WIDE)]


def test_a_wide_exception_frame_is_still_an_error() -> None:
    _, failure = Incoming().receive(encode_frame(frames.exception("throttlingException", WIDE)))
    assert isinstance(failure, Throttled)


# -------------------------------------------------------------------------------------------------------------- the end


TRUNCATED = {
    "nothing": b"",
    "the start": START,
    "a delta": START + HELLO,
    "part of the first frame": START[:20],
    "part of a frame": START + HELLO + STOP[:-1],
    "part of a frame after the end": START + HELLO + STOP + METADATA[:5],
}


@pytest.mark.parametrize("name", TRUNCATED)
def test_a_truncated_message_raises_at_the_end_of_the_body(name: str) -> None:
    incoming = Incoming()
    incoming.receive(TRUNCATED[name])
    assert not incoming.stream.ended
    expected = "ended inside a frame" if "part" in name else "the body ended before the message did"
    with pytest.raises(StreamInterrupted, match=expected):
        incoming.stream.finish("request-1")


def test_a_message_has_ended_with_its_stop_and_is_complete_with_its_metadata() -> None:
    incoming = Incoming()
    incoming.receive(START + HELLO)
    assert (incoming.stream.ended, incoming.stream.complete) == (False, False)
    events, _ = incoming.receive(STOP)
    assert [type(event) for event in events] == [MessageStop]
    assert (incoming.stream.ended, incoming.stream.complete) == (True, False)
    incoming.stream.finish(None)  # the metadata is optional
    events, _ = incoming.receive(METADATA)
    assert [type(event) for event in events] == [Metadata]
    assert (incoming.stream.ended, incoming.stream.complete) == (True, True)
    incoming.stream.finish(None)


def test_a_raw_stream_may_end_after_any_frame_but_not_inside_one() -> None:
    document = encode_frame(raw_chunk(b'{"a":1}'))
    incoming = Incoming(Raw().reader())
    incoming.stream.finish(None)
    assert incoming.receive(document) == ([{"a": 1}], None)
    incoming.stream.finish(None)
    incoming.receive(document[:-1])
    with pytest.raises(StreamInterrupted, match="ended inside a frame"):
        incoming.stream.finish(None)


def test_a_tool_call_with_invalid_input_is_remembered() -> None:
    incoming = Incoming()
    truncated = encode_frame(frames.tool_start(2)) + encode_frame(frames.delta(2, toolUse={"input": '{"a": '}))
    incoming.receive(START + CALL + CALL_STOP)
    assert incoming.stream.broken_tool is None
    incoming.receive(truncated + encode_frame(frames.stop(2)) + STOP + METADATA)
    broken = incoming.stream.broken_tool
    assert isinstance(broken, ToolCallEnd)
    assert (broken.index, broken.input, broken.raw) == (2, None, '{"a": ')
    incoming.stream.finish(None)


# --------------------------------------------------------------------------------------------- reports and the assembly


def test_bytes_and_intact_frames_are_reported() -> None:
    incoming = Incoming()
    pieces = [START[:20], START[20:] + HELLO, HELLO + DAMAGED + HELLO]
    for piece in pieces:
        incoming.receive(piece)
    assert incoming.bytes == pieces
    assert incoming.frames == Decoder().feed(START + HELLO + HELLO)


def test_frames_are_reported_before_their_events_and_never_empty() -> None:
    events: deque[Any] = deque()
    batches: list[tuple[int, int]] = []

    def on_frames(batch: Sequence[Frame]) -> None:
        batches.append((len(batch), len(events)))

    stream = EventStream(Converse().reader(), events, on_frames=on_frames)
    for data in (START[:20], START[20:], HELLO[:1], HELLO[1:] + STOP + METADATA):
        stream.receive(data)
    assert batches == [(1, 0), (3, 0)]
    assert len(events) == 4


def test_each_event_is_assembled_once() -> None:
    incoming = Incoming()
    for data in (START, HELLO, HELLO + STOP, METADATA):
        incoming.receive(data)
    assert (incoming.response.text, incoming.response.stop_reason) == ("HelloHello", "end_turn")


def test_without_an_assembly_the_events_are_the_same() -> None:
    events: deque[Any] = deque()
    stream = EventStream(Converse().reader(), events)
    assert stream.receive(START + HELLO + STOP + METADATA) is None
    assert stream.assembly is None
    assert list(events) == Incoming().receive(START + HELLO + STOP + METADATA)[0]


# ------------------------------------------------------------------------------------------------------------ any split


class Outcome(NamedTuple):
    """The result of a response, up to its first failure or its end."""

    events: list[Any]
    begun: bool
    error: tuple[type[BedrockStreamError], str] | None
    released: list[Any]
    response: Response


def outcome(pieces: Iterable[bytes], reader: Reader) -> Outcome:
    incoming = Incoming(reader)
    delivered: list[Any] = []
    error: BedrockStreamError | None = None
    for piece in pieces:
        events, error = incoming.receive(piece)
        delivered += events
        if error is not None:
            break
    else:
        try:
            incoming.stream.finish(None)
        except BedrockStreamError as raised:
            error = raised
    begun = incoming.stream.begun
    if not begun:
        incoming.stream.release()
    failure = None if error is None else (type(error), str(error))
    return Outcome(delivered, begun, failure, incoming.take(), incoming.response)


def split(body: bytes, positions: Iterable[int]) -> list[bytes]:
    """Split a body at these positions, taken modulo its length."""
    ends = sorted({0, len(body), *(position % (len(body) + 1) for position in positions)})
    return [body[start:end] for start, end in pairwise(ends)]


positions = st.lists(st.integers(0, 2000), max_size=12)
# A message begins with its start. Anything may follow.
bodies = st.builds(
    lambda parts, length: (START + b"".join(parts))[:length],
    st.lists(st.sampled_from([HELLO, CALL, CALL_STOP, UNKNOWN, STOP, METADATA, THROTTLED, DAMAGED]), max_size=6),
    st.none() | st.integers(0, 1000),
)


@given(body=bodies, positions=positions)
@example(body=START + THROTTLED, positions=[len(START)])
@example(body=START + HELLO + DAMAGED, positions=[len(START), len(START + HELLO)])
def test_any_split_has_the_same_outcome(body: bytes, positions: list[int]) -> None:
    expected = outcome([body], Converse().reader())
    assert outcome(split(body, positions), Converse().reader()) == expected
    assert outcome([body[i : i + 1] for i in range(len(body))], Converse().reader()) == expected


@pytest.mark.parametrize("name", FIXTURES)
@given(positions=positions)
def test_any_split_of_a_recorded_stream_has_the_same_outcome(name: str, positions: list[int]) -> None:
    body = FIXTURES[name]
    expected = outcome([body], Converse().reader())
    assert outcome(split(body, positions), Converse().reader()) == expected
    assert expected.begun is (name != "converse_exception_only")


@given(documents=st.lists(st.dictionaries(st.text(), st.integers()), max_size=5), positions=positions)
def test_any_split_of_a_raw_stream_has_the_same_outcome(documents: list[dict[str, int]], positions: list[int]) -> None:
    body = b"".join(encode_frame(raw_chunk(json.dumps(document).encode())) for document in documents)
    expected = outcome([body], Raw().reader())
    assert (expected.events, expected.begun, expected.error) == (documents, bool(documents), None)
    assert outcome(split(body, positions), Raw().reader()) == expected


# ------------------------------------------------------------------------------------------------------------ documents


def test_a_document_is_delivered_at_its_end() -> None:
    events: deque[Any] = deque()
    calls: list[tuple[bytes, str | None]] = []

    def read(body: bytes, request_id: str | None) -> str:
        calls.append((body, request_id))
        return "the value"

    document = Document(read, events)
    for piece in (b'{"a"', b": ", b"1}"):
        assert document.receive(piece) is None
        assert (list(events), document.begun, calls) == ([], False, [])
    document.finish("request-1")
    assert calls == [(b'{"a": 1}', "request-1")]
    assert (list(events), document.begun) == (["the value"], True)


def test_an_invalid_document_raises_and_has_not_begun() -> None:
    events: deque[Any] = deque()

    def read(_body: bytes, _request_id: str | None) -> Any:
        raise InvalidFrame("not JSON")

    document = Document(read, events)
    document.receive(b"{")
    with pytest.raises(InvalidFrame, match="not JSON"):
        document.finish(None)
    assert (list(events), document.begun) == ([], False)


def test_a_document_holds_nothing_back_and_ends_with_its_body() -> None:
    document = Document(lambda body, _: body, deque())
    document.receive(b"{}")
    assert document.release() is False
    assert not document.begun
    assert (document.started, document.ended, document.complete) == (True, False, False)
    assert (document.broken_tool, document.assembly) == (None, None)


def test_the_bytes_of_a_document_are_reported() -> None:
    reported: list[bytes] = []
    document = Document(lambda body, _: body, deque(), reported.append)
    for piece in (b"{", b"}"):
        document.receive(piece)
    assert reported == [b"{", b"}"]


@given(body=st.binary(max_size=100), positions=positions)
def test_any_split_of_a_document_gives_the_same_body(body: bytes, positions: list[int]) -> None:
    events: deque[Any] = deque()
    document = Document(lambda data, _: data, events)
    for piece in split(body, positions):
        document.receive(piece)
    document.finish(None)
    assert list(events) == [body]
