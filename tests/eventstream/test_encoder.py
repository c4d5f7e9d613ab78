"""Encoding frames: against hand-written bytes, against a second CRC-32, and the frames that must be rejected."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
from hypothesis import given

from bedrock_stream.errors import FrameSizeError, InvalidHeader
from bedrock_stream.eventstream import MAX_FRAME, MAX_HEADERS, Decoder, Frame, HeaderValue, encode_frame
from bedrock_stream.eventstream.headers import MAX_VALUE
from tests.support.frame_samples import SAMPLES, crc32, frames, plain


@pytest.mark.parametrize("crc", [zlib.crc32, crc32], ids=["zlib", "crcmod"])
@pytest.mark.parametrize(("data", "frame"), SAMPLES.values(), ids=SAMPLES)
def test_golden_frames_are_encoded_bit_for_bit(data: bytes, frame: Frame, crc: Callable[[bytes], int]) -> None:
    assert encode_frame(frame, crc=crc) == data


@given(frames)
def test_two_independent_checksums_give_the_same_bytes(frame: Frame) -> None:
    assert encode_frame(frame, crc=crc32) == encode_frame(frame, crc=zlib.crc32)


@given(frames)
def test_decoding_undoes_encoding(frame: Frame) -> None:
    decoder = Decoder()
    (decoded,) = decoder.feed(encode_frame(frame, crc=crc32))
    decoder.finish()
    assert plain(decoded) == plain(frame)


def test_an_empty_frame_has_sixteen_bytes() -> None:
    assert len(encode_frame(Frame({}))) == 16


def test_decoded_frames_can_be_encoded_again() -> None:
    data, _ = SAMPLES["event"]
    assert encode_frame(Decoder().feed(data)[0]) == data


def test_the_longest_frame_is_encoded_and_decoded() -> None:
    data = encode_frame(Frame({}, bytes(MAX_FRAME - 16)))
    assert len(data) == MAX_FRAME
    assert len(Decoder().feed(data)[0].payload) == MAX_FRAME - 16


def test_a_frame_one_byte_too_long_is_rejected() -> None:
    with pytest.raises(FrameSizeError, match=f"a frame of {MAX_FRAME + 1} bytes with 0 bytes of headers is too long"):
        encode_frame(Frame({}, bytes(MAX_FRAME - 15)))


def block_of(size: int) -> dict[str, HeaderValue]:
    """Return headers whose encoded block is `size` bytes long."""
    headers: dict[str, HeaderValue] = {}
    while size:
        value = min(MAX_VALUE, size - 5)
        headers[f"{len(headers):x}"] = "x" * value
        size -= value + 5
    return headers


def test_the_longest_header_block_is_encoded_and_decoded() -> None:
    frame = Frame(block_of(MAX_HEADERS))
    data = encode_frame(frame)
    assert len(data) == 16 + MAX_HEADERS
    assert Decoder().feed(data) == [frame]


def test_a_header_block_one_byte_too_long_is_rejected() -> None:
    with pytest.raises(FrameSizeError, match=f"with {MAX_HEADERS + 1} bytes of headers is too long"):
        encode_frame(Frame(block_of(MAX_HEADERS + 1)))


def test_headers_that_the_format_cannot_represent_are_rejected() -> None:
    with pytest.raises(InvalidHeader, match="expected 1 to 255"):
        encode_frame(Frame({"": "x"}))
