"""The decoder of server-sent events: the rules of the standard for every split, limits, and linear work."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedrock_stream.errors import BedrockStreamError, FrameSizeError, InvalidFrame, StreamInterrupted
from bedrock_stream.sse import MAX_EVENT, ServerSentEvent, SSEDecoder
from bedrock_stream.sse import decoder as decoder_module


class Outcome(NamedTuple):
    """The result of decoding a stream of bytes."""

    events: list[ServerSentEvent]
    error: type[BedrockStreamError] | None
    sentence: str


def read(pieces: Iterable[bytes | bytearray | memoryview], max_event: int = MAX_EVENT) -> Outcome:
    """Feed all pieces to a decoder and finish it. Events delivered before a failure are part of the result."""
    decoder = SSEDecoder(max_event=max_event)
    events: list[ServerSentEvent] = []
    failure: BedrockStreamError | None = None
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        decoder.finish()
    except BedrockStreamError as error:
        failure = error
    else:
        assert decoder.pending == 0
    assert decoder.error is failure, "the decoder did not store its failure"
    return Outcome(events, type(failure) if failure else None, str(failure) if failure else "")


def cut(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    offsets = sorted({0, len(data), *(min(offset, len(data)) for offset in cuts)})
    return [data[start:end] for start, end in pairwise(offsets)]


def read_every_way(data: bytes, cuts: Sequence[int] = (), max_event: int = MAX_EVENT) -> Outcome:
    """Decode `data` in many ways, check that the result is always the same, and return it."""
    expected = read([data], max_event)
    ways: dict[str, Sequence[bytes | bytearray | memoryview]] = {
        "byte by byte": [data[i : i + 1] for i in range(len(data))],
        "at the cuts": [*cut(data, cuts)],
        "with empty pieces": [b"", *(piece for part in cut(data, cuts) for piece in (part, b""))],
        "as bytearrays": [bytearray(part) for part in cut(data, cuts)],
        "as memoryviews": [memoryview(part) for part in cut(data, cuts)],
    }
    for offset in range(1, min(len(data), 200)):
        ways[f"in two at {offset}"] = [data[:offset], data[offset:]]
    for way, pieces in ways.items():
        assert read(pieces, max_event) == expected, way
    return expected


def read_by_the_standard(data: bytes) -> list[tuple[str, str, str]]:
    """Interpret a complete stream step by step, as the section "Interpreting an event stream" of the standard says."""
    stream = data.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _unfinished = re.split("\r\n|\n|\r", stream)
    events = []
    buffer = name = last_id = ""
    for line in lines:
        if line == "":
            if buffer != "":
                events.append((name or "message", buffer[:-1], last_id))
            buffer = name = ""
            continue
        if line[0] == ":":
            continue
        field, _, value = line.partition(":")
        if value[:1] == " ":
            value = value[1:]
        if field == "event":
            name = value
        elif field == "data":
            buffer += value + "\n"
        elif field == "id" and "\0" not in value:
            last_id = value
    return events


# ------------------------------------------------------------------------------------------- the rules, for every split

VECTORS: dict[str, tuple[bytes, list[tuple[str, bytes, str]]]] = {
    "nothing": (b"", []),
    "data alone": (b'data: {"a":1}\n\n', [("message", b'{"a":1}', "")]),
    "name, then data": (b"event: e\ndata: 1\n\n", [("e", b"1", "")]),
    "data, then name": (b"data: 1\nevent: e\n\n", [("e", b"1", "")]),
    "CR": (b"event: e\rdata: 1\r\rdata: 2\r\r", [("e", b"1", ""), ("message", b"2", "")]),
    "CRLF": (b"event: e\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", [("e", b"1", ""), ("message", b"2", "")]),
    "LF, then CRLF": (b"data: 1\n\r\ndata: 2\n\r\n", [("message", b"1", ""), ("message", b"2", "")]),
    "CRLF, then LF": (b"data: 1\r\n\ndata: 2\r\n\n", [("message", b"1", ""), ("message", b"2", "")]),
    "LF, then CR": (b"data: 1\n\rdata: 2\n\r", [("message", b"1", ""), ("message", b"2", "")]),
    "blank lines around": (b"\n\r\r\n\ndata: 1\n\n\n\r\ndata: 2\n\n\n", [("message", b"1", ""), ("message", b"2", "")]),
    "several data lines": (b"data: 1\ndata\ndata:\ndata:  2\n\n", [("message", b"1\n\n\n 2", "")]),
    "data around the name": (b"data: 1\nevent: e\ndata: 2\n\n", [("e", b"1\n2", "")]),
    "empty data": (b"data\n\ndata:\n\ndata: \n\n", [("message", b"", "")] * 3),
    "two empty lines of data": (b"data\ndata\n\n", [("message", b"\n", "")]),
    "no space, a tab, two spaces": (
        b"data:1\n\ndata:\t1\n\ndata:  1\n\n",
        [("message", b"1", ""), ("message", b"\t1", ""), ("message", b" 1", "")],
    ),
    "colons in data": (b"data:: a: b\n\n", [("message", b": a: b", "")]),
    "a name without data": (b"event: e\n\ndata: 1\n\n", [("message", b"1", "")]),
    "two names": (b"event: e\nevent: f\ndata: 1\n\n", [("f", b"1", "")]),
    "an empty name": (
        b"event: e\nevent: \ndata: 1\n\nevent\ndata: 2\n\n",
        [("message", b"1", ""), ("message", b"2", "")],
    ),
    "comments": (b":\n: a\n\n:data: 0\ndata: 1\n:event: e\ndata: 2\n: b\n\n", [("message", b"1\n2", "")]),
    "other fields": (b"Data: 0\n data: 0\ndata : 0\nretry: 1\nx\n{}\ndata: 1\n\n", [("message", b"1", "")]),
    "only other fields": (b"retry: 10\n\nfoo: bar\n\n<html>\n\n", []),
    "ids": (
        b"data: 0\n\nid: 7\ndata: 1\n\ndata: 2\n\nid: 8\n\nid: 9\0\ndata: 3\n\nid\ndata: 4\n\n",
        [
            ("message", b"0", ""),
            ("message", b"1", "7"),
            ("message", b"2", "7"),
            ("message", b"3", "8"),
            ("message", b"4", ""),
        ],
    ),
    "a byte order mark": (b"\xef\xbb\xbfdata: 1\n\n", [("message", b"1", "")]),
    "a byte order mark alone": (b"\xef\xbb\xbf", []),
    "a byte order mark and CRLF": (b"\xef\xbb\xbf\r\ndata: 1\r\n\r\n", [("message", b"1", "")]),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbfdata: 0\n\ndata: 1\n\n", [("message", b"1", "")]),
    "half a byte order mark": (b"\xef\xbbdata: 0\n\ndata: 1\n\n", [("message", b"1", "")]),
    "a late byte order mark": (b"\n\xef\xbb\xbfdata: 0\n\ndata: 1\n\n", [("message", b"1", "")]),
    "other line separators": (
        "data: \v\f\x1c\x1d\x1e\x85\u0085\u2028\u2029\0\n\n".encode(),
        [("message", "\v\f\x1c\x1d\x1e\x85\u0085\u2028\u2029\0".encode(), "")],
    ),
    "invalid UTF-8": (b"event: \xff\nid: \xc3\ndata: \xff\xe2\x82\n\n", [("\ufffd", b"\xff\xe2\x82", "\ufffd")]),
    "a long name": (b"event: " + b"n" * 300 + b"\ndata: 1\n\n", [("n" * 300, b"1", "")]),
}


@pytest.mark.parametrize(("data", "events"), VECTORS.values(), ids=VECTORS)
def test_the_rules_hold_for_every_split(data: bytes, events: list[tuple[str, bytes, str]]) -> None:
    expected = [ServerSentEvent(*event) for event in events]
    assert read_every_way(data, [3, 7, 8, 20]) == Outcome(expected, None, "")
    assert read_by_the_standard(data) == [(one.event, one.data.decode("utf-8", "replace"), one.id) for one in expected]


def test_all_vectors_in_one_stream() -> None:
    # An id stays for the events after it, and a byte order mark counts at the start alone.
    names = [name for name in VECTORS if "byte order" not in name and "id" not in name and name != "nothing"]
    stream = b"".join(VECTORS[name][0] for name in names)
    events = [ServerSentEvent(*event) for name in names for event in VECTORS[name][1]]
    assert read_every_way(stream, range(0, len(stream), 7)).events == events


def test_an_event_is_returned_with_the_first_byte_that_ends_its_blank_line() -> None:
    for end in (b"\n\n", b"\r\r", b"\r\n\n", b"\n\r", b"\r\n\r"):
        decoder = SSEDecoder()
        assert decoder.feed(b"data: 1" + end[:-1]) == []
        assert decoder.feed(end[-1:]) == [ServerSentEvent("message", b"1", "")]
        assert decoder.pending == 0


def test_the_callers_buffer_can_be_reused_after_feed() -> None:
    decoder = SSEDecoder()
    buffer = bytearray(b"data: 1\n\ndata: 2")
    (first,) = decoder.feed(buffer)
    buffer[:] = bytes(len(buffer))
    buffer.extend(b"more")
    assert first.data == b"1"
    assert decoder.feed(b"\n\n") == [ServerSentEvent("message", b"2", "")]


# ------------------------------------------------------------------------------------------------------------ any bytes

_ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])
_FIELDS = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"data",
        b"event: ",
        b"event:",
        b"event",
        b"id: ",
        b"id",
        b"retry: 1",
        b": ",
        b":",
        b"",
        b"Data: ",
    ]
)
_VALUES = st.sampled_from([b"", b" ", b"{}", b"a: b", b"[DONE]", b"\0", b"\xff", "\u2028é".encode(), b"\xef\xbb\xbf"])
_LINES = st.builds(lambda *parts: b"".join(parts), _FIELDS, _VALUES | st.binary(max_size=8), _ENDS)
_STREAMS = st.lists(_LINES | _ENDS, max_size=24).map(b"".join)
streams = st.builds(lambda start, lines: start + lines, st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef"]), _STREAMS)
cut_places = st.lists(st.integers(0, 300), max_size=12)


@settings(max_examples=400)
@given(streams | st.binary(max_size=200), cut_places)
@example(b"data: 1\r", [])
def test_any_bytes_for_any_split_are_read_as_the_standard_says(data: bytes, cuts: list[int]) -> None:
    outcome = read_every_way(data, cuts)
    assert [(one.event, one.data.decode("utf-8", "replace"), one.id) for one in outcome.events] == read_by_the_standard(
        data
    )
    assert outcome.error in (None, StreamInterrupted)


@settings(max_examples=200)
@given(streams, cut_places, st.integers(0, 20))
def test_a_limit_gives_the_same_result_for_every_split(data: bytes, cuts: list[int], limit: int) -> None:
    outcome = read_every_way(data, cuts, limit)
    unlimited = read([data]).events
    assert outcome.events == unlimited[: len(outcome.events)]
    if outcome.error is FrameSizeError:
        assert outcome.sentence == f"a server-sent event has more than {limit} bytes, the maximum"
    else:
        assert outcome.events == unlimited


# -------------------------------------------------------------------------------------------------------------- the end


@pytest.mark.parametrize(
    "data", [b"", b"data: 1\n\n", b"data: 1\r\r", b"\n", b": hi", b": hi\n", b"data: 1\n\n: hi\r\n"]
)
def test_a_stream_may_end_between_events_and_inside_a_comment(data: bytes) -> None:
    assert read_every_way(data).error is None


@pytest.mark.parametrize(
    ("data", "pending"),
    [
        (b"d", 1),
        (b"data: 1", 7),
        (b"data: 1\n", 7),
        (b"data: 1\r\n", 7),
        (b"data: 1\n: a comment\n: anoth", 7),
        (b"event: e\ndata: 1", 15),
        (b"event: e\n", 8),
        (b"id: 1\n", 5),
        (b'{"Output":{}}', 13),
        (b"\xef\xbb", 2),
    ],
)
def test_an_end_inside_an_event_is_an_interruption(data: bytes, pending: int) -> None:
    sentence = f"the stream ended inside a server-sent event: got {pending} bytes of it"
    assert read_every_way(data) == Outcome([], StreamInterrupted, sentence)
    before = b"data: 0\n\n"
    assert read_every_way(before + data).events == [ServerSentEvent("message", b"0", "")]
    decoder = SSEDecoder()
    decoder.feed(data)
    assert decoder.pending == pending


def test_after_an_interruption_every_call_raises_it() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"data: 1")
    with pytest.raises(StreamInterrupted) as caught:
        decoder.finish()
    assert decoder.error is caught.value
    for again in (decoder.finish, lambda: decoder.feed(b"\n\n"), lambda: decoder.feed(b"")):
        with pytest.raises(StreamInterrupted) as later:
            again()
        assert later.value is caught.value


# --------------------------------------------------------------------------------------------------------------- limits


def test_events_before_one_that_is_too_long_are_returned_and_then_every_call_raises() -> None:
    decoder = SSEDecoder(max_event=10)
    assert decoder.feed(b"data: 1234\n\ndata: 12345\n\ndata: 6\n\n") == [ServerSentEvent("message", b"1234", "")]
    error = decoder.error
    assert isinstance(error, InvalidFrame)
    assert str(error) == "a server-sent event has more than 10 bytes, the maximum"
    assert decoder.pending == 0
    for again in (decoder.finish, lambda: decoder.feed(b""), lambda: decoder.feed(b"data: 1\n\n")):
        with pytest.raises(InvalidFrame) as caught:
            again()
        assert caught.value is error


@pytest.mark.parametrize(
    "data",
    [b"data: 12345", b"data: 1\ndata", b"x\n" * 11, b"event: e\nx\ny\nz", b"id: 1\nevent:", b"data: 1\n: c\n1234"],
)
def test_each_line_counts_towards_the_length_of_its_event(data: bytes) -> None:
    assert read_every_way(data, max_event=10).error is FrameSizeError
    decoder = SSEDecoder(max_event=10)
    with pytest.raises(FrameSizeError):
        decoder.feed(data)


def test_comments_and_ends_of_lines_do_not_count() -> None:
    data = b": a long comment\n\r\ndata: 1\r\n: another long comment\r\n:\r\nabc\r\n\r\n"
    assert read_every_way(data, max_event=10) == Outcome([ServerSentEvent("message", b"1", "")], None, "")


def test_the_default_limit_is_that_of_a_frame() -> None:
    value = b"x" * (MAX_EVENT - 6)
    assert read([b"data: ", value, b"\n\n"]) == Outcome([ServerSentEvent("message", value, "")], None, "")
    assert read([b"data: ", value, b"x"]).error is FrameSizeError


# ------------------------------------------------------------------------------------------------------ work and memory


def peak(pieces: Iterator[bytes], decoder: SSEDecoder | None = None) -> int:
    """Return the peak memory while `pieces` are fed and their events are dropped."""
    decoder = decoder or SSEDecoder()
    tracemalloc.start()
    try:
        for piece in pieces:
            decoder.feed(piece)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_comments_take_no_memory() -> None:
    piece = b"x" * 10_000
    assert peak(piece for _ in range(1_000)) > 10_000_000  # a field is kept
    decoder = SSEDecoder()
    decoder.feed(b":")
    assert peak((piece for _ in range(1_000)), decoder) < 1_000_000
    assert decoder.pending == 0
    decoder = SSEDecoder()
    decoder.feed(b"data: 1\n")
    assert peak((b": " + piece + b"\n" for _ in range(1_000)), decoder) < 1_000_000
    assert decoder.feed(b"\n") == [ServerSentEvent("message", b"1", "")]


def test_many_short_lines_of_data_take_little_more_memory_than_their_bytes() -> None:
    decoder = SSEDecoder()
    assert peak((b"data:12\n" * 1_000 for _ in range(200)), decoder) < 2_000_000
    (event,) = decoder.feed(b"\n")
    assert len(event.data) == 3 * 200_000 - 1


def test_the_cache_of_names_is_bounded() -> None:
    # Caching all of these would take more than 2 MB.
    assert peak(b"event: %080d\ndata: 1\n\n" % number for number in range(20_000)) < 500_000
    assert peak(b"event: %020000d\ndata: 1\n\n" % number for number in range(300)) < 1_000_000


def test_a_cached_name_is_the_same_for_all_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_module, "_names", {})
    data = b"event: e\ndata: 1\n\nevent: \ndata: 2\n\n"
    expected = [ServerSentEvent("e", b"1", ""), ServerSentEvent("message", b"2", "")]
    for _ in range(3):
        assert SSEDecoder().feed(data) == expected
    assert decoder_module._names == {b"event: e": "e", b"event: ": "message"}


class CountingDecoder(SSEDecoder):
    """A decoder that counts the bytes of the lines it reads, as a measure of time."""

    parsed = 0

    def _walk(self, lines: Iterable[bytes], events: list[ServerSentEvent]) -> None:
        lines = list(lines)
        self.parsed += sum(map(len, lines))
        super()._walk(lines, events)


@pytest.mark.parametrize("size", [1_000, 65_536])
@pytest.mark.parametrize(
    "data",
    [
        b'event: e\ndata: {"text":"word"}\n\n' * 50_000,
        b"data: " + b"x" * 2_000_000 + b"\n\n",
        b"data: 0123456789\n" * 100_000 + b"\n",
        b"event: e\rdata: 1\r\r" * 100_000,
    ],
    ids=["events", "one line", "many lines", "CR"],
)
def test_every_line_is_read_once(data: bytes, size: int) -> None:
    decoder = CountingDecoder()
    for start in range(0, len(data), size):
        decoder.feed(data[start : start + size])
    decoder.finish()
    assert decoder.parsed == len(data.replace(b"\n", b"").replace(b"\r", b""))
