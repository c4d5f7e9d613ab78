"""Header blocks: decoding and encoding of the ten types, and everything that must be rejected."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from struct import pack
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedrock_stream.errors import InvalidHeader
from bedrock_stream.eventstream import (
    Frame,
    Headers,
    HeaderValue,
    Int8,
    Int16,
    Int32,
    Int64,
    decode_headers,
    encode_headers,
)
from bedrock_stream.eventstream.headers import MAX_VALUE
from tests.support.frame_samples import EPOCH, SAMPLES, plain, values

MILLISECOND = timedelta(milliseconds=1)


def golden_block() -> bytes:
    return SAMPLES["all ten types"][0][12:-4]


def test_all_ten_types_are_decoded_from_hand_written_bytes() -> None:
    headers = decode_headers(golden_block())
    assert plain(Frame(headers)) == plain(SAMPLES["all ten types"][1])
    assert list(headers) == ["t", "f", "b", "s", "i", "l", "y", "str", "ts", "u"]
    assert {type(headers[name]) for name in "bsil"} == {int}


def test_all_ten_types_are_encoded_as_hand_written_bytes() -> None:
    assert encode_headers(SAMPLES["all ten types"][1].headers) == golden_block()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "00"),
        (False, "01"),
        (Int8(-128), "02 80"),
        (Int8(127), "02 7f"),
        (Int16(-32_768), "03 8000"),
        (Int16(32_767), "03 7fff"),
        (Int32(5), "04 00000005"),
        (Int64(5), "05 0000000000000005"),
        (5, "04 00000005"),
        (-(1 << 31), "04 80000000"),
        ((1 << 31) - 1, "04 7fffffff"),
        (1 << 31, "05 0000000080000000"),
        (-(1 << 31) - 1, "05 ffffffff7fffffff"),
        ((1 << 63) - 1, "05 7fffffffffffffff"),
        (b"", "06 0000"),
        (b"\x00\xff", "06 0002 00ff"),
        ("", "07 0000"),
        ("\N{GRINNING FACE}", "07 0004 f09f9880"),
        (EPOCH, "08 0000000000000000"),
        (EPOCH - MILLISECOND, "08 ffffffffffffffff"),
        (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), "08 0000000000000000"),
        (EPOCH + timedelta(microseconds=1999), "08 0000000000000001"),
        (UUID(int=1), "09 00000000000000000000000000000001"),
    ],
)
def test_each_value_has_one_encoding(value: HeaderValue, written: str) -> None:
    assert encode_headers({"n": value}) == b"\x01n" + bytes.fromhex(written)


@given(st.dictionaries(st.text(min_size=1, max_size=60), values, max_size=12))
@example({"n" * 255: "", "é" * 127: b""})
@example({"longest": "x" * MAX_VALUE})
@example({"first": datetime.min.replace(tzinfo=UTC), "last": datetime.max.replace(microsecond=999_000, tzinfo=UTC)})
def test_decoding_undoes_encoding(headers: dict[str, HeaderValue]) -> None:
    decoded = decode_headers(encode_headers(headers))
    assert plain(Frame(decoded)) == plain(Frame(headers))
    assert list(decoded) == list(headers)


def test_an_empty_block_has_no_headers() -> None:
    assert decode_headers(b"") == {}
    assert encode_headers({}) == b""


def test_values_longer_than_the_encoders_limit_are_decoded() -> None:
    block = b"\x01n\x07" + pack(">H", 65_535) + b"x" * 65_535
    assert decode_headers(block) == {"n": "x" * 65_535}


# ---------------------------------------------------------------------------------------------- decoding invalid blocks

DAMAGE = {
    "a name of no bytes": ("00 07 0001 61", "has no length"),
    "a second header whose name has no bytes": ("01 61 00 00 01", "byte 3 of the block has no length"),
    "a name longer than the block": ("05 61", "its name or type is missing"),
    "a name without a type": ("01 61", "its name or type is missing"),
    "a name length without a name": ("01", "its name or type is missing"),
    "a name that is not UTF-8": ("02 c328 00", "'name' is not UTF-8"),
    "a name cut inside a character": ("01 c3 00", "'name' is not UTF-8"),
    "the same name twice": ("01 61 00 01 61 01", "'a' appears twice"),
    "type 10": ("01 61 0a", "unknown type 10"),
    "type 255": ("01 61 ff 0000", "unknown type 255"),
    "an int8 with no byte": ("01 61 02", "has 1 bytes, but 0 are left"),
    "an int16 of one byte": ("01 61 03 00", "has 2 bytes, but 1 are left"),
    "an int32 of three bytes": ("01 61 04 000000", "has 4 bytes, but 3 are left"),
    "an int64 of seven bytes": ("01 61 05 00000000000000", "has 8 bytes, but 7 are left"),
    "bytes without a length": ("01 61 06", "the length of its value is missing"),
    "bytes with half a length": ("01 61 06 00", "the length of its value is missing"),
    "bytes longer than the block": ("01 61 06 0003 0000", "has 3 bytes, but 2 are left"),
    "a string without a length": ("01 61 07", "the length of its value is missing"),
    "a string with half a length": ("01 61 07 00", "the length of its value is missing"),
    "a string longer than the block": ("01 61 07 ffff 61", "has 65535 bytes, but 1 are left"),
    "a string that is not UTF-8": ("01 61 07 0001 ff", "'a' is not UTF-8"),
    "a string that holds a surrogate": ("01 61 07 0003 eda080", "'a' is not UTF-8"),
    "a timestamp of seven bytes": ("01 61 08 00000000000000", "has 8 bytes, but 7 are left"),
    "a timestamp far after the year 9999": ("01 61 08 7fffffffffffffff", "timestamp out of range"),
    "a timestamp far before the year 1": ("01 61 08 8000000000000000", "timestamp out of range"),
    "a timestamp just after the year 9999": ("01 61 08 0000e677d21fdc00", "timestamp out of range"),
    "a UUID of fifteen bytes": ("01 61 09 000000000000000000000000000000", "has 16 bytes, but 15 are left"),
}


@pytest.mark.parametrize(("block", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_block_that_violates_the_format_is_rejected(block: str, message: str) -> None:
    with pytest.raises(InvalidHeader, match=message):
        decode_headers(bytes.fromhex(block))


@pytest.mark.parametrize("size", range(1, len(golden_block())))
def test_a_truncated_block_is_rejected_unless_it_ends_between_headers(size: int) -> None:
    block = golden_block()[:size]
    try:
        headers = decode_headers(block)
    except InvalidHeader:
        return
    original = SAMPLES["all ten types"][1].headers
    assert encode_headers({name: original[name] for name in headers}) == block


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_decoded_or_raise_invalid_header(block: bytes) -> None:
    try:
        headers = decode_headers(block)
    except InvalidHeader:
        return
    # Decoded integers have lost their width, so the block may grow; its values must not change.
    assert plain(Frame(decode_headers(encode_headers(headers)))) == plain(Frame(headers))


# ---------------------------------------------------------------------------------------- values that cannot be encoded


class UnknownOffset(tzinfo):
    """A time zone without an offset, which makes a datetime naive."""

    def utcoffset(self, _when: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"": "x"}, "'' has 0 bytes; expected 1 to 255"),
        ({"n" * 256: "x"}, "has 256 bytes; expected 1 to 255"),
        ({"é" * 128: "x"}, "has 256 bytes; expected 1 to 255"),
        ({"a": "x" * (MAX_VALUE + 1)}, "has a value of 32768 bytes; the maximum is 32767"),
        ({"a": b"x" * (MAX_VALUE + 1)}, "has a value of 32768 bytes; the maximum is 32767"),
        ({"a": "é" * 16_384}, "has a value of 32768 bytes; the maximum is 32767"),
        ({"a": Int8(128)}, "128, which does not fit into 8 bits"),
        ({"a": Int8(-129)}, "-129, which does not fit into 8 bits"),
        ({"a": Int16(1 << 15)}, "does not fit into 16 bits"),
        ({"a": Int32(1 << 31)}, "does not fit into 32 bits"),
        ({"a": Int64(1 << 63)}, "does not fit into 64 bits"),
        ({"a": 1 << 63}, "does not fit into 64 bits"),
        ({"a": -(1 << 63) - 1}, "does not fit into 64 bits"),
        ({"a": datetime(2025, 1, 1)}, "a datetime without a time zone"),  # noqa: DTZ001  # the value under test
        ({"a": datetime(2025, 1, 1, tzinfo=UnknownOffset())}, "a datetime without a time zone"),
        ({"a": 1.5}, "has a value of type float, which the format does not support"),
        ({"a": None}, "has a value of type NoneType, which the format does not support"),
        ({"a": date(2025, 1, 1)}, "has a value of type date, which the format does not support"),
        ({"a\ud800": "x"}, "cannot be encoded as UTF-8"),
        ({"a": "\udfff"}, "cannot be encoded as UTF-8"),
    ],
)
def test_what_the_format_cannot_represent_is_not_encoded(headers: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidHeader, match=message):
        encode_headers(headers)


@pytest.mark.parametrize("value", [bytearray(b"ab"), memoryview(b"ab")], ids=["bytearray", "memoryview"])
def test_other_buffers_are_encoded_as_bytes(value: Any) -> None:
    assert encode_headers({"a": value}) == bytes.fromhex("01 61 06 0002 6162")


# ------------------------------------------------------------------------------------------------------------ read-only


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers.__setitem__("a", "c"),
        lambda headers: headers.__delitem__("a"),
        lambda headers: headers.__ior__({"a": "c"}),
        lambda headers: headers.clear(),
        lambda headers: headers.pop("a"),
        lambda headers: headers.popitem(),
        lambda headers: headers.setdefault("c", "d"),
        lambda headers: headers.update(a="c"),
    ],
    ids=["set", "delete", "ior", "clear", "pop", "popitem", "setdefault", "update"],
)
def test_decoded_headers_are_read_only(change: Any) -> None:
    headers = decode_headers(encode_headers({"a": "b"}))
    with pytest.raises(TypeError, match="change a copy: dict\\(headers\\)"):
        change(headers)
    assert headers == {"a": "b"}


def test_pickled_and_copied_headers_are_equal_and_read_only() -> None:
    headers = decode_headers(golden_block())
    for copied in (pickle.loads(pickle.dumps(headers)), copy.copy(headers), copy.deepcopy(headers)):  # noqa: S301  # ours
        assert type(copied) is Headers
        assert plain(Frame(copied)) == plain(Frame(headers))
        with pytest.raises(TypeError):
            cast("dict[str, HeaderValue]", copied)["a"] = "c"


def test_a_dict_of_decoded_headers_can_be_changed() -> None:
    headers = decode_headers(encode_headers({"a": "b"}))
    for changeable in (dict(headers), headers.copy(), headers | {}):
        changeable["a"] = "c"
    assert headers == {"a": "b"}
