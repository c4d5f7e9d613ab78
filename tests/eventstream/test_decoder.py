"""The incremental decoder: every sample for every split, every kind of damage, and work linear in the input."""

from __future__ import annotations

import copy
import itertools
import pickle
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_stream.errors import (
    BedrockStreamError,
    ChecksumMismatch,
    FrameSizeError,
    InvalidFrame,
    InvalidHeader,
    StreamInterrupted,
)
from bedrock_stream.eventstream import MAX_FRAME, MAX_HEADERS, Decoder, Frame, encode_frame, encode_headers
from bedrock_stream.eventstream import decoder as decoder_module
from tests.support.frame_samples import (
    CHUNK,
    EVENT,
    SAMPLES,
    Outcome,
    crc32,
    cut_places,
    frames,
    plain,
    read,
    read_every_way,
    sealed,
)


def write(*many: Frame) -> bytes:
    return b"".join(encode_frame(frame, crc=crc32) for frame in many)


# -------------------------------------------------------------------------------------- the same result for every split


@pytest.mark.parametrize(("data", "frame"), SAMPLES.values(), ids=SAMPLES)
def test_golden_frames_are_decoded_for_every_split(data: bytes, frame: Frame) -> None:
    assert read_every_way(data, [3, 12, 40, 90]) == Outcome([plain(frame)], None, "")


def test_all_golden_frames_in_one_stream_are_decoded_for_every_split() -> None:
    stream = b"".join(data for data, _ in SAMPLES.values())
    expected = [plain(frame) for _, frame in SAMPLES.values()]
    assert read_every_way(stream, range(0, len(stream), 7)).frames == expected


@pytest.mark.parametrize("position", range(len(EVENT) + len(CHUNK) + 1))
def test_two_frames_may_be_split_at_any_position(position: int) -> None:
    data = EVENT + CHUNK
    expected = [plain(SAMPLES["event"][1]), plain(SAMPLES["chunk"][1])]
    assert read([data[:position], data[position:]]).frames == expected


@settings(max_examples=60)
@given(st.lists(frames, max_size=4), cut_places)
def test_every_split_yields_the_encoded_frames(many: list[Frame], cuts: list[int]) -> None:
    assert read_every_way(write(*many), cuts) == Outcome([plain(frame) for frame in many], None, "")


@given(st.lists(frames, min_size=1, max_size=4), cut_places, st.data())
def test_damage_gives_the_same_result_for_every_split(many: list[Frame], cuts: list[int], data: st.DataObject) -> None:
    stream = bytearray(write(*many))
    position = data.draw(st.integers(0, len(stream) - 1))
    stream[position] ^= data.draw(st.integers(1, 255))
    outcome = read_every_way(bytes(stream), cuts)
    assert outcome.error is not None
    assert outcome.frames == [plain(frame) for frame in many[: len(outcome.frames)]]


@given(st.lists(frames, max_size=3))
def test_botocore_decodes_the_same_payloads_and_names(many: list[Frame]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(write(*many))
    theirs = [(list(message.headers), message.payload) for message in buffer]
    assert theirs == [(list(frame.headers), frame.payload) for frame in Decoder().feed(write(*many))]


def test_a_frame_is_returned_as_soon_as_its_last_byte_is_received() -> None:
    decoder = Decoder()
    assert decoder.feed(EVENT[:-1]) == []
    assert decoder.pending == len(EVENT) - 1
    assert decoder.feed(EVENT[-1:] + CHUNK[:5]) == [SAMPLES["event"][1]]
    assert decoder.pending == 5
    assert decoder.feed(CHUNK[5:]) == [SAMPLES["chunk"][1]]
    assert decoder.pending == 0


def test_the_callers_buffer_can_be_reused_after_feed() -> None:
    decoder = Decoder()
    buffer = bytearray(EVENT)
    (first,) = decoder.feed(buffer)
    buffer[:] = bytes(len(buffer))
    assert first == SAMPLES["event"][1]
    part = bytearray(EVENT[:50])
    decoder.feed(part)
    part[:] = bytes(50)
    part.extend(b"more")
    assert decoder.feed(EVENT[50:]) == [SAMPLES["event"][1]]


# -------------------------------------------------------------------------------------------------------------- the end


def test_a_stream_may_end_between_frames() -> None:
    for pieces in ([], [b""], [EVENT], [EVENT + CHUNK]):
        assert read(pieces).error is None


@pytest.mark.parametrize("size", range(1, len(EVENT)))
def test_an_end_inside_a_frame_is_an_interruption(size: int) -> None:
    needed = 12 if size < 12 else len(EVENT)
    assert read_every_way(EVENT[:size], [size // 3]) == Outcome(
        [],
        StreamInterrupted,
        f"the stream ended inside a frame: got {size} bytes, expected at least {needed}",
    )


def test_after_an_interruption_every_call_raises_it() -> None:
    decoder = Decoder()
    decoder.feed(EVENT[:20])
    with pytest.raises(StreamInterrupted) as caught:
        decoder.finish()
    assert decoder.error is caught.value
    for again in (decoder.finish, lambda: decoder.feed(EVENT[20:])):
        with pytest.raises(StreamInterrupted) as later:
            again()
        assert later.value is caught.value


# --------------------------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("name", SAMPLES)
def test_every_flipped_bit_is_detected(name: str) -> None:
    data, _ = SAMPLES[name]
    for position, bit in itertools.product(range(len(data)), range(8)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << bit
        outcome = read([bytes(damaged)])
        assert outcome.frames == [], (position, bit)
        assert outcome.error is ChecksumMismatch, (position, bit)
        assert outcome.sentence.startswith("prelude" if position < 12 else "message"), (position, bit)


def test_the_prelude_is_checked_as_soon_as_its_twelve_bytes_are_received() -> None:
    damaged = bytearray(EVENT[:12])
    damaged[3] ^= 1
    decoder = Decoder()
    for position in range(11):
        assert decoder.feed(damaged[position : position + 1]) == []
    with pytest.raises(ChecksumMismatch, match="prelude checksum is 0xc37babff, computed 0x") as caught:
        decoder.feed(damaged[11:12])
    assert caught.value.part == "prelude"
    assert caught.value.expected == 0xC37BABFF
    assert caught.value.computed == crc32(bytes(damaged[:8]))
    assert caught.value.offset == 0


@pytest.mark.parametrize(
    ("length", "headers", "message"),
    [
        (0, 0, "a frame declares 0 bytes; the minimum is 16"),
        (8, 0, "a frame declares 8 bytes; the minimum is 16"),
        (15, 0, "a frame declares 15 bytes; the minimum is 16"),
        (15, 1 << 31, "a frame declares 15 bytes; the minimum is 16"),
        (MAX_FRAME + 1, 0, f"a frame declares {MAX_FRAME + 1} bytes; the maximum is {MAX_FRAME}"),
        ((1 << 32) - 1, 0, f"a frame declares 4294967295 bytes; the maximum is {MAX_FRAME}"),
        (16, 1, "a frame of 16 bytes declares 1 bytes of headers; the maximum is 0"),
        (100, 85, "a frame of 100 bytes declares 85 bytes of headers; the maximum is 84"),
        (100, (1 << 32) - 1, "a frame of 100 bytes declares 4294967295 bytes of headers; the maximum is 84"),
        (
            MAX_FRAME,
            MAX_HEADERS + 1,
            f"a frame of {MAX_FRAME} bytes declares {MAX_HEADERS + 1} bytes of headers; the maximum is {MAX_HEADERS}",
        ),
    ],
)
def test_an_impossible_length_is_rejected_at_twelve_bytes(length: int, headers: int, message: str) -> None:
    prelude = sealed(length=length, headers=headers)[:12]
    assert read_every_way(prelude, [5]) == Outcome([], FrameSizeError, f"{message} (frame at byte 0 of the stream)")
    decoder = Decoder()
    decoder.feed(EVENT + prelude[:11])
    with pytest.raises(FrameSizeError, match=f"frame at byte {len(EVENT)} of the stream") as caught:
        decoder.feed(prelude[11:])
    assert caught.value.offset == len(EVENT)
    assert decoder.pending == 0


def test_the_longest_allowed_frame_is_accepted() -> None:
    decoder = Decoder()
    assert decoder.feed(sealed(length=MAX_FRAME, headers=MAX_HEADERS)[:12]) == []
    assert decoder.error is None
    assert decoder.pending == 12


def test_the_limits_are_configurable() -> None:
    assert len(Decoder(max_frame=len(EVENT), max_headers=0x57).feed(EVENT)) == 1
    with pytest.raises(FrameSizeError, match=f"declares {len(EVENT)} bytes; the maximum is {len(EVENT) - 1}"):
        Decoder(max_frame=len(EVENT) - 1).feed(EVENT[:12])
    with pytest.raises(FrameSizeError, match="declares 87 bytes of headers; the maximum is 86"):
        Decoder(max_headers=0x56).feed(EVENT[:12])


@pytest.mark.parametrize(
    "block",
    [
        "00 07 0001 61",
        "01 61 00 01 61 01",
        "01 61 0a",
        "01 61 04 000000",
        "01 61 07 0001 ff",
        "02 c328 00",
        "01 61 06 0003 0000",
        "01 61 08 7fffffffffffffff",
        "05 61",
    ],
)
def test_an_invalid_header_block_with_valid_checksums_raises_invalid_header(block: str) -> None:
    outcome = read_every_way(sealed(bytes.fromhex(block), b'{"a":1}'), [13, 15])
    assert outcome.frames == []
    assert outcome.error is InvalidHeader
    assert outcome.sentence.endswith("(frame at byte 0 of the stream)")


def test_a_header_cannot_extend_into_the_payload() -> None:
    block = b"\x01a\x07\x00\x05he"
    assert read([sealed(block, b"llo")]).error is InvalidHeader
    assert read([sealed(block + b"llo", b"")]).error is None


def test_valid_frames_before_damage_are_returned_and_then_every_call_raises() -> None:
    damaged = bytearray(CHUNK)
    damaged[60] ^= 0x10
    decoder = Decoder()
    delivered = decoder.feed(EVENT + EVENT + bytes(damaged) + EVENT)
    assert delivered == [SAMPLES["event"][1]] * 2
    error = decoder.error
    assert isinstance(error, ChecksumMismatch)
    assert error.part == "message"
    assert error.offset == 2 * len(EVENT)
    assert decoder.pending == 0
    for again in (lambda: decoder.feed(EVENT), lambda: decoder.feed(b""), decoder.finish, lambda: decoder.feed(EVENT)):
        with pytest.raises(ChecksumMismatch) as caught:
            again()
        assert caught.value is error


def test_damage_in_the_first_frame_raises_at_once_and_on_every_later_call() -> None:
    decoder = Decoder()
    with pytest.raises(InvalidFrame) as caught:
        decoder.feed(b"HTTP/1.1 502 Bad Gateway\r\n")
    for again in (decoder.finish, lambda: decoder.feed(EVENT)):
        with pytest.raises(InvalidFrame) as later:
            again()
        assert later.value is caught.value is decoder.error


# --------------------------------------------------------------------------------------------- no other error is raised


@st.composite
def mutated_streams(draw: st.DrawFn) -> bytes:
    """Generate valid streams with a few changes. Changed header blocks get valid checksums, so that they are parsed."""
    parts: list[bytes] = []
    for frame in draw(st.lists(frames, min_size=1, max_size=3)):
        block = bytearray(encode_headers(frame.headers))
        if block and draw(st.booleans()):
            position = draw(st.integers(0, len(block) - 1))
            block[position : position + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
            length = draw(st.none() | st.integers(0, (1 << 32) - 1))
            headers = draw(st.none() | st.integers(0, len(block) + 20))
            parts.append(sealed(bytes(block), frame.payload, length=length, headers=headers))
        else:
            parts.append(write(frame))
    stream = bytearray(b"".join(parts))
    if draw(st.booleans()):
        position = draw(st.integers(0, len(stream)))
        stream[position : position + draw(st.integers(0, 20))] = draw(st.binary(max_size=20))
    return bytes(stream)


@settings(max_examples=300)
@given(st.binary(max_size=300) | mutated_streams(), cut_places)
def test_any_bytes_in_any_pieces_raise_only_this_librarys_errors(data: bytes, cuts: list[int]) -> None:
    outcome = read_every_way(data, cuts)  # catches only BedrockStreamError
    assert outcome.error is None or issubclass(outcome.error, BedrockStreamError)


# --------------------------------------------------------------------------------------------------------- header cache


def test_frames_with_the_same_header_block_share_their_headers() -> None:
    first, second, third = Decoder().feed(EVENT + CHUNK + EVENT)
    assert first.headers is third.headers
    assert first.headers is not second.headers


def test_shared_headers_cannot_be_changed_through_one_frame() -> None:
    first, second = Decoder().feed(EVENT + EVENT)
    with pytest.raises(TypeError):
        first.headers[":event-type"] = "messageStop"
    assert second.headers[":event-type"] == "contentBlockDelta"


def test_decoded_frames_survive_pickle_and_copy() -> None:
    (frame,) = Decoder().feed(SAMPLES["all ten types"][0])
    for copied in (pickle.loads(pickle.dumps(frame)), copy.copy(frame), copy.deepcopy(frame)):  # noqa: S301  # ours
        assert plain(copied) == plain(frame)


def retained(many: Iterator[bytes]) -> int:
    """Return the memory still in use after `many` frames have been decoded and dropped."""
    decoder = Decoder()
    tracemalloc.start()
    try:
        for data in many:
            (_,) = decoder.feed(data)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_the_header_cache_is_bounded() -> None:
    # Caching all of these would take more than 10 MB.
    assert retained(write(Frame({"n": f"{number:0400}"})) for number in range(10_000)) < 4_000_000


def test_long_header_blocks_are_not_cached() -> None:
    # The same here, although there are only a few of them.
    assert retained(write(Frame({"n": f"{number:020000}"})) for number in range(300)) < 2_000_000


def test_a_frame_with_cached_headers_is_still_checked() -> None:
    for _ in range(3):
        Decoder().feed(EVENT)
    for position in (len(EVENT) - 1, len(EVENT) - 10, 20):
        damaged = bytearray(EVENT)
        damaged[position] ^= 1
        with pytest.raises(ChecksumMismatch, match="message checksum"):
            Decoder().feed(damaged)
    with pytest.raises(FrameSizeError):
        Decoder(max_frame=len(EVENT) - 1).feed(EVENT)
    with pytest.raises(FrameSizeError):
        Decoder(max_headers=0x56).feed(EVENT)


# ------------------------------------------------------------------------------------------ work is linear in the input


class CountingDecoder(Decoder):
    """A decoder that counts the bytes it parses, as a measure of time."""

    parsed = 0

    def _walk(self, data: bytes, frames: list[Frame]) -> int:
        self.parsed += len(data)
        return super()._walk(data, frames)


def work(data: bytes, size: int) -> tuple[int, int]:
    """Return the number of bytes parsed and hashed when `data` is fed in pieces of `size`."""
    hashed = 0

    def counting_crc32(part: memoryview, start: int = 0) -> int:
        nonlocal hashed
        hashed += len(part)
        return zlib.crc32(part, start)

    decoder = CountingDecoder()
    with mock.patch.object(decoder_module, "crc32", counting_crc32):
        for start in range(0, len(data), size):
            decoder.feed(data[start : start + size])
        decoder.finish()
    return decoder.parsed, hashed


def peak(pieces: Iterator[bytes]) -> int:
    """Return the peak memory while `pieces` are fed."""
    decoder = Decoder()
    frames: list[Frame] = []
    tracemalloc.start()
    try:
        for piece in pieces:
            frames += decoder.feed(piece)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("megabytes", [2, 4])
def test_many_frames_in_one_feed_are_parsed_once(megabytes: int) -> None:
    data = EVENT * (megabytes * 1_000_000 // len(EVENT))
    parsed, hashed = work(data, len(data))
    assert parsed == len(data)
    assert hashed <= len(data)


@pytest.mark.parametrize("megabytes", [2, 4])
@pytest.mark.parametrize("size", [100, 1_000, 65_536])
def test_a_large_frame_in_small_pieces_is_parsed_a_fixed_number_of_times(megabytes: int, size: int) -> None:
    data = write(Frame({":event-type": "chunk"}, bytes(megabytes * 1_000_000)))
    parsed, hashed = work(data, size)
    assert parsed <= len(data) + 2 * size, "once when it is complete, and once for its prelude"
    assert hashed <= len(data) + 100


@pytest.mark.parametrize("size", [1, 13, 100, 1_500])
def test_small_frames_in_small_pieces_are_parsed_a_fixed_number_of_times(size: int) -> None:
    data = EVENT * 500
    parsed, hashed = work(data, size)
    assert parsed <= 3 * len(data)
    assert hashed <= 2 * len(data)


def test_a_feed_of_many_megabytes_is_not_copied_a_second_time() -> None:
    frame = write(Frame({":event-type": "chunk"}, bytes(100_000)))
    assert peak(iter([frame * 40])) < 1.3 * len(frame * 40)


def test_memory_for_a_large_frame_in_small_pieces_is_linear() -> None:
    def pieces(size: int) -> Iterator[Any]:
        data = write(Frame({}, bytes(size)))
        view = memoryview(data)
        return (view[start : start + 4_096] for start in range(0, len(data), 4_096))

    once, twice = peak(pieces(2_000_000)), peak(pieces(4_000_000))
    assert once < 4 * 2_000_000
    assert twice < 2.3 * once
