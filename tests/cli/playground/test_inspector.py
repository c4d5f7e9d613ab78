"""The frame inspector: frames described from their own bytes, for any split of the body and any damage."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.cli.playground.inspector import FrameInspector, FrameView, view
from bedrock_stream.eventstream import Frame, HeaderValue, Int8, Int16, Int64, encode_frame

FRAMES = [
    encode_frame(Frame({":message-type": "event", ":event-type": "first"}, b'{"a": 1}')),
    encode_frame(Frame({}, b"")),
    encode_frame(Frame({"data": b"\x00\xff", "yes": True}, b"\x80" * 300)),
]


def reported(pieces: list[bytes]) -> list[FrameView]:
    """Return the frames that the inspector reports of a body that is received in these pieces."""
    views: list[FrameView] = []
    inspector = FrameInspector(views.append, 1)
    for piece in pieces:
        inspector.received(piece)
    inspector.finish()
    return views


def split(body: bytes, positions: list[int]) -> list[bytes]:
    """Split a body at these positions, taken modulo its length."""
    ends = sorted(position % (len(body) + 1) for position in positions)
    return [body[begin:end] for begin, end in zip([0, *ends], [*ends, len(body)], strict=True)]


def test_each_type_of_header_is_named() -> None:
    headers: dict[str, HeaderValue] = {
        "yes": True, "no": False, "a": Int8(1), "b": Int16(2), "c": 3, "d": Int64(4), "e": b"\x01\xab", "f": "text",
        "g": datetime(2026, 1, 2, tzinfo=UTC), "h": UUID(int=5),
    }  # fmt: skip
    shown = view(encode_frame(Frame(headers, b"")))
    assert [header.type for header in shown.headers] == [
        "true", "false", "int8", "int16", "int32", "int64", "bytes", "string", "timestamp", "uuid",
    ]  # fmt: skip
    assert [header.name for header in shown.headers] == list(headers)
    assert shown.headers[6].value == "01 ab"
    assert shown.headers[7].value == "text"


def test_a_frame_is_described_by_its_own_bytes() -> None:
    shown = view(FRAMES[0], round=2, number=3, offset=4)
    assert (shown.round, shown.number, shown.offset) == (2, 3, 4)
    assert (shown.total, shown.size, shown.payload_length) == (len(FRAMES[0]), len(FRAMES[0]), 8)
    assert shown.prelude_crc is not None
    assert shown.prelude_crc.received == FRAMES[0][8:12].hex()
    assert shown.message_crc is not None
    assert shown.message_crc.received == shown.message_crc.computed == FRAMES[0][-4:].hex()


@given(st.lists(st.integers(0), max_size=8))
def test_any_split_reports_the_same_frames(splits: list[int]) -> None:
    body = b"".join(FRAMES)
    assert reported(split(body, splits)) == reported([body])
    assert [shown.raw for shown in reported([body])] == FRAMES


@given(st.integers(0), st.integers(0, 7), st.lists(st.integers(0), max_size=4))
def test_a_damaged_byte_is_reported_once_and_last(position: int, bit: int, splits: list[int]) -> None:
    body = bytearray(b"".join(FRAMES))
    body[position % len(body)] ^= 1 << bit
    *intact, damaged = reported(split(bytes(body), splits))
    assert [shown.raw for shown in intact] == FRAMES[: len(intact)]
    assert all(shown.problem is None for shown in intact)
    assert damaged.problem is not None
    assert damaged.offset == sum(map(len, FRAMES[: len(intact)]))


@given(st.integers(1), st.lists(st.integers(0), max_size=4))
def test_a_body_that_ends_inside_a_frame_shows_the_start_of_the_frame(length: int, splits: list[int]) -> None:
    body = b"".join(FRAMES)
    body = body[: length % len(body)]
    views = reported(split(body, splits))
    assert b"".join(shown.raw for shown in views) == body
    assert all(shown.problem is None for shown in views[:-1])


@given(st.binary(max_size=200))
def test_any_bytes_can_be_described(data: bytes) -> None:
    assert view(data).size == len(data)


def test_a_large_frame_is_shown_in_part() -> None:
    shown = view(encode_frame(Frame({}, b"x" * 1_000_000)))
    assert shown.size == 1_000_016
    assert len(shown.raw) < 100_000
    assert shown.message_crc is not None
    assert shown.message_crc.matches


def test_server_sent_events_are_no_frames() -> None:
    views: list[FrameView] = []
    inspector = FrameInspector(views.append, 1)
    inspector.responded(200, {"Content-Type": "text/event-stream; charset=utf-8"})
    inspector.received(b'data: {"type":"message_stop"}\n\n' * 3)
    inspector.finish()
    assert views == []
