"""Shared by the event-stream tests: golden frames, splitting of bytes, damaged frames, Hypothesis strategies.

The golden frames are hand-written hex, so that decoder and encoder are checked against the format, not each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from struct import pack
from typing import NamedTuple, TypeAlias
from uuid import UUID

from crcmod.predefined import mkPredefinedCrcFun
from hypothesis import strategies as st

from bedrock_stream.errors import BedrockStreamError
from bedrock_stream.eventstream import Decoder, Frame, HeaderValue, Int8, Int16, Int32, Int64

crc32: Callable[[bytes], int] = mkPredefinedCrcFun("crc-32")
"""An independent CRC-32, which shares no code with the decoder's."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
JSON = "application/json"

GOLDEN: dict[str, tuple[str, Frame]] = {
    "empty": ("00000010 00000000 05c248eb 7d98c8ff", Frame({})),
    "event": (
        (
            "0000009f 00000057 c37babff"
            "0b 3a6576656e742d74797065 07 0011 636f6e74656e74426c6f636b44656c7461"
            "0d 3a636f6e74656e742d74797065 07 0010 6170706c69636174696f6e2f6a736f6e"
            "0d 3a6d6573736167652d74797065 07 0005 6576656e74"
            "7b22636f6e74656e74426c6f636b496e646578223a302c2264656c7461223a7b2274657874223a224869227d2c"
            "2270223a2261626364227d"
            "f2ace5ff"
        ),
        Frame(
            {":event-type": "contentBlockDelta", ":content-type": JSON, ":message-type": "event"},
            b'{"contentBlockIndex":0,"delta":{"text":"Hi"},"p":"abcd"}',
        ),
    ),
    "exception": (
        (
            "00000090 00000061 8e91a9b7"
            "0f 3a657863657074696f6e2d74797065 07 0013 7468726f74746c696e67457863657074696f6e"
            "0d 3a636f6e74656e742d74797065 07 0010 6170706c69636174696f6e2f6a736f6e"
            "0d 3a6d6573736167652d74797065 07 0009 657863657074696f6e"
            "7b226d657373616765223a22546f6f206d616e79207265717565737473227d"
            "e67f8005"
        ),
        Frame(
            {":exception-type": "throttlingException", ":content-type": JSON, ":message-type": "exception"},
            b'{"message":"Too many requests"}',
        ),
    ),
    "error": (
        (
            "00000058 00000048 154692c1"
            "0b 3a6572726f722d636f6465 07 000d 496e7465726e616c4572726f72"
            "0e 3a6572726f722d6d657373616765 07 0004 626f6f6d"
            "0d 3a6d6573736167652d74797065 07 0005 6572726f72"
            "f9da682d"
        ),
        Frame({":error-code": "InternalError", ":error-message": "boom", ":message-type": "error"}),
    ),
    "chunk": (
        (
            "0000007c 0000004b b80e4abf"
            "0b 3a6576656e742d74797065 07 0005 6368756e6b"
            "0d 3a636f6e74656e742d74797065 07 0010 6170706c69636174696f6e2f6a736f6e"
            "0d 3a6d6573736167652d74797065 07 0005 6576656e74"
            "7b226279746573223a2265794a68496a6f7866513d3d222c2270223a226162227d"
            "4a5e2cdc"
        ),
        Frame(
            {":event-type": "chunk", ":content-type": JSON, ":message-type": "event"},
            b'{"bytes":"eyJhIjoxfQ==","p":"ab"}',
        ),
    ),
    "all ten types": (
        (
            "00000060 00000050 977bf9d0"
            "01 74 00"
            "01 66 01"
            "01 62 02 ff"
            "01 73 03 fffe"
            "01 69 04 fffffffd"
            "01 6c 05 fffffffffffffffc"
            "01 79 06 0002 00ff"
            "03 737472 07 0002 c3a9"
            "02 7473 08 0000018bcfe5687b"
            "01 75 09 000102030405060708090a0b0c0d0e0f"
            "d43a1494"
        ),
        Frame(
            {
                "t": True,
                "f": False,
                "b": Int8(-1),
                "s": Int16(-2),
                "i": Int32(-3),
                "l": Int64(-4),
                "y": b"\x00\xff",
                "str": "é",
                "ts": EPOCH + timedelta(milliseconds=1_700_000_000_123),
                "u": UUID(int=0x000102030405060708090A0B0C0D0E0F),
            }
        ),
    ),
}

SAMPLES = {name: (bytes.fromhex(text), frame) for name, (text, frame) in GOLDEN.items()}
EVENT = SAMPLES["event"][0]
CHUNK = SAMPLES["chunk"][0]


def sealed(block: bytes = b"", payload: bytes = b"", *, length: int | None = None, headers: int | None = None) -> bytes:
    """Build a frame with valid checksums from any header block and any declared lengths."""
    total = 16 + len(block) + len(payload) if length is None else length
    lengths = pack(">II", total, len(block) if headers is None else headers)
    body = lengths + pack(">I", crc32(lengths)) + block + payload
    return body + pack(">I", crc32(body))


Plain: TypeAlias = tuple[dict[str, tuple[type, HeaderValue]], bytes]


def plain(frame: Frame) -> Plain:
    """Convert a frame to a form in which `True` and `1` differ and the width of an int does not matter."""
    headers = {
        name: (bool if isinstance(value, bool) else int if isinstance(value, int) else type(value), value)
        for name, value in frame.headers.items()
    }
    return headers, frame.payload


class Outcome(NamedTuple):
    """The result of decoding a stream of bytes."""

    frames: list[Plain]
    error: type[BedrockStreamError] | None
    sentence: str


def read(pieces: Iterable[bytes | bytearray | memoryview]) -> Outcome:
    """Feed all pieces to a decoder and finish it. Frames delivered before a failure are part of the result."""
    decoder = Decoder()
    frames: list[Frame] = []
    failure: BedrockStreamError | None = None
    try:
        for piece in pieces:
            frames += decoder.feed(piece)
        decoder.finish()
    except BedrockStreamError as error:
        failure = error
    else:
        assert decoder.pending == 0
    assert decoder.error is failure, "the decoder did not store its failure"
    return Outcome(
        [plain(frame) for frame in frames], type(failure) if failure else None, str(failure) if failure else ""
    )


def cut(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Split `data` at the given offsets."""
    offsets = sorted({0, len(data), *(min(offset, len(data)) for offset in cuts)})
    return [data[start:end] for start, end in pairwise(offsets)]


def read_every_way(data: bytes, cuts: Sequence[int] = ()) -> Outcome:
    """Decode `data` in many ways, check that the result is always the same, and return it.

    The ways: at once, byte by byte, split at `cuts`, in two pieces, with empty pieces, as other buffer types, after a
    valid frame and before one.
    """
    expected = read([data])
    ways: dict[str, Sequence[bytes | bytearray | memoryview]] = {
        "byte by byte": [data[i : i + 1] for i in range(len(data))],
        "at the cuts": [*cut(data, cuts)],
        "with empty pieces": [b"", *(piece for part in cut(data, cuts) for piece in (part, b""))],
        "as bytearrays": [bytearray(part) for part in cut(data, cuts)],
        "as memoryviews": [memoryview(part) for part in cut(data, cuts)],
    }
    for offset in {1, 4, 11, 12, 13, 15, 16, len(data) // 2, len(data) - 4, len(data) - 1}:
        ways[f"in two at {offset}"] = [data[:offset], data[offset:]] if offset >= 0 else [data]
    for way, pieces in ways.items():
        assert read(pieces) == expected, way

    good = plain(SAMPLES["event"][1])
    for parts in ([EVENT + data], [EVENT, data], cut(EVENT + data, cuts)):
        outcome = read(parts)
        assert outcome.frames == [good, *expected.frames]
        assert outcome.error is expected.error
    if expected.error is None:
        for parts in ([data + EVENT], [data, EVENT], cut(data + EVENT, cuts)):
            assert read(parts) == Outcome([*expected.frames, good], None, "")
    return expected


names = st.text(min_size=1, max_size=40).filter(lambda name: len(name.encode()) <= 255)
_MILLISECONDS = st.integers(-62_135_596_800_000, 253_402_300_799_999)  # the range of datetime: the years 1 to 9999
values: st.SearchStrategy[HeaderValue] = st.one_of(
    st.booleans(),
    st.integers(-(1 << 7), (1 << 7) - 1).map(Int8),
    st.integers(-(1 << 15), (1 << 15) - 1).map(Int16),
    st.integers(-(1 << 31), (1 << 31) - 1).map(Int32),
    st.integers(-(1 << 63), (1 << 63) - 1).map(Int64),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.binary(max_size=60),
    st.text(max_size=40),
    _MILLISECONDS.map(lambda milliseconds: EPOCH + milliseconds * timedelta(milliseconds=1)),
    st.uuids(),
)
frames = st.builds(Frame, st.dictionaries(names, values, max_size=11), st.binary(max_size=200))
"""Frames with headers of every type."""
cut_places = st.lists(st.integers(0, 600), max_size=12)
