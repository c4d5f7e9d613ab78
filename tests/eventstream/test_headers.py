"""Header blocks, both ways: ten types read and written, and everything that must be refused."""

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


def test_all_ten_types_are_read_from_hand_written_bytes() -> None:
    headers = decode_headers(golden_block())
    assert plain(Frame(headers)) == plain(SAMPLES["all ten types"][1])
    assert list(headers) == ["t", "f", "b", "s", "i", "l", "y", "str", "ts", "u"]
    assert {type(headers[name]) for name in "bsil"} == {int}


def test_all_ten_types_are_written_as_hand_written_bytes() -> None:
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
def test_each_value_has_one_way_to_be_written(value: HeaderValue, written: str) -> None:
    assert encode_headers({"n": value}) == b"\x01n" + bytes.fromhex(written)


@given(st.dictionaries(st.text(min_size=1, max_size=60), values, max_size=12))
@example({"n" * 255: "", "é" * 127: b""})
@example({"longest": "x" * MAX_VALUE})
@example({"first": datetime.min.replace(tzinfo=UTC), "last": datetime.max.replace(microsecond=999_000, tzinfo=UTC)})
def test_what_is_written_is_read_back(headers: dict[str, HeaderValue]) -> None:
    decoded = decode_headers(encode_headers(headers))
    assert plain(Frame(decoded)) == plain(Frame(headers))
    assert list(decoded) == list(headers)


def test_an_empty_block_has_no_headers() -> None:
    assert decode_headers(b"") == {}
    assert encode_headers({}) == b""


def test_values_beyond_what_may_be_written_are_still_read() -> None:
    block = b"\x01n\x07" + pack(">H", 65_535) + b"x" * 65_535
    assert decode_headers(block) == {"n": "x" * 65_535}


# ------------------------------------------------------------------------------------------------------- reading damage

DAMAGE = {
    "a name of no bytes": ("00 07 0001 61", "has no length"),
    "a second header whose name has no bytes": ("01 61 00 00 01", "byte 3 of the block has no length"),
    "a name longer than the block": ("05 61", "its name or type is missing"),
    "a name and nothing behind it": ("01 61", "its name or type is missing"),
    "a lone name length": ("01", "its name or type is missing"),
    "a name that is not UTF-8": ("02 c328 00", "'name' is not UTF-8"),
    "a name cut inside a character": ("01 c3 00", "'name' is not UTF-8"),
    "the same name twice": ("01 61 00 01 61 01", "'a' appears twice"),
    "type 10": ("01 61 0a", "unknown type 10"),
    "type 255": ("01 61 ff 0000", "unknown type 255"),
    "an int8 with no byte": ("01 61 02", "needs 1 bytes, 0 are left"),
    "an int16 of one byte": ("01 61 03 00", "needs 2 bytes, 1 are left"),
    "an int32 of three bytes": ("01 61 04 000000", "needs 4 bytes, 3 are left"),
    "an int64 of seven bytes": ("01 61 05 00000000000000", "needs 8 bytes, 7 are left"),
    "bytes without a length": ("01 61 06", "the length of its value is missing"),
    "bytes with half a length": ("01 61 06 00", "the length of its value is missing"),
    "bytes longer than the block": ("01 61 06 0003 0000", "needs 3 bytes, 2 are left"),
    "a string without a length": ("01 61 07", "the length of its value is missing"),
    "a string with half a length": ("01 61 07 00", "the length of its value is missing"),
    "a string longer than the block": ("01 61 07 ffff 61", "needs 65535 bytes, 1 are left"),
    "a string that is not UTF-8": ("01 61 07 0001 ff", "'a' is not UTF-8"),
    "a string that holds a surrogate": ("01 61 07 0003 eda080", "'a' is not UTF-8"),
    "a timestamp of seven bytes": ("01 61 08 00000000000000", "needs 8 bytes, 7 are left"),
    "a timestamp far after the year 9999": ("01 61 08 7fffffffffffffff", "timestamp out of range"),
    "a timestamp far before the year 1": ("01 61 08 8000000000000000", "timestamp out of range"),
    "a timestamp just after the year 9999": ("01 61 08 0000e677d21fdc00", "timestamp out of range"),
    "a UUID of fifteen bytes": ("01 61 09 000000000000000000000000000000", "needs 16 bytes, 15 are left"),
}


@pytest.mark.parametrize(("block", "sentence"), DAMAGE.values(), ids=DAMAGE)
def test_a_block_that_breaks_the_format_is_refused(block: str, sentence: str) -> None:
    with pytest.raises(InvalidHeader, match=sentence):
        decode_headers(bytes.fromhex(block))


@pytest.mark.parametrize("size", range(1, len(golden_block())))
def test_a_block_cut_anywhere_is_refused_or_ends_between_headers(size: int) -> None:
    block = golden_block()[:size]
    try:
        headers = decode_headers(block)
    except InvalidHeader:
        return
    original = SAMPLES["all ten types"][1].headers
    assert encode_headers({name: original[name] for name in headers}) == block


@given(st.binary(max_size=80))
def test_any_bytes_at_all_are_headers_or_invalid_headers(block: bytes) -> None:
    try:
        headers = decode_headers(block)
    except InvalidHeader:
        return
    # Integers come back without their width, so the block may grow; what it means may not change.
    assert plain(Frame(decode_headers(encode_headers(headers)))) == plain(Frame(headers))


# ---------------------------------------------------------------------------------------------------- refusing to write


class Nowhere(tzinfo):
    """A time zone that does not know its offset, which makes a datetime as good as naive."""

    def utcoffset(self, _when: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"": "x"}, "'' is 0 bytes long; 1 to 255 are allowed"),
        ({"n" * 256: "x"}, "is 256 bytes long; 1 to 255 are allowed"),
        ({"é" * 128: "x"}, "is 256 bytes long; 1 to 255 are allowed"),
        ({"a": "x" * (MAX_VALUE + 1)}, "is 32768 bytes long; 32767 are allowed"),
        ({"a": b"x" * (MAX_VALUE + 1)}, "is 32768 bytes long; 32767 are allowed"),
        ({"a": "é" * 16_384}, "is 32768 bytes long; 32767 are allowed"),
        ({"a": Int8(128)}, "128, which does not fit 8 bits"),
        ({"a": Int8(-129)}, "-129, which does not fit 8 bits"),
        ({"a": Int16(1 << 15)}, "does not fit 16 bits"),
        ({"a": Int32(1 << 31)}, "does not fit 32 bits"),
        ({"a": Int64(1 << 63)}, "does not fit 64 bits"),
        ({"a": 1 << 63}, "does not fit 64 bits"),
        ({"a": -(1 << 63) - 1}, "does not fit 64 bits"),
        ({"a": datetime(2025, 1, 1)}, "a datetime without a time zone"),  # noqa: DTZ001  # what is refused
        ({"a": datetime(2025, 1, 1, tzinfo=Nowhere())}, "a datetime without a time zone"),
        ({"a": 1.5}, "holds a float, which the format has no type for"),
        ({"a": None}, "holds a NoneType, which the format has no type for"),
        ({"a": date(2025, 1, 1)}, "holds a date, which the format has no type for"),
        ({"a\ud800": "x"}, "cannot be UTF-8"),
        ({"a": "\udfff"}, "cannot be UTF-8"),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(headers: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidHeader, match=sentence):
        encode_headers(headers)


@pytest.mark.parametrize("value", [bytearray(b"ab"), memoryview(b"ab")], ids=["bytearray", "memoryview"])
def test_other_buffers_are_written_as_bytes(value: Any) -> None:
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
def test_decoded_headers_refuse_to_change(change: Any) -> None:
    headers = decode_headers(encode_headers({"a": "b"}))
    with pytest.raises(TypeError, match="change a dict\\(\\) of them"):
        change(headers)
    assert headers == {"a": "b"}


def test_decoded_headers_survive_pickle_and_copy_and_stay_read_only() -> None:
    headers = decode_headers(golden_block())
    for twin in (pickle.loads(pickle.dumps(headers)), copy.copy(headers), copy.deepcopy(headers)):  # noqa: S301  # ours
        assert type(twin) is Headers
        assert plain(Frame(twin)) == plain(Frame(headers))
        with pytest.raises(TypeError):
            cast("dict[str, HeaderValue]", twin)["a"] = "c"


def test_a_dict_made_of_decoded_headers_can_be_changed() -> None:
    headers = decode_headers(encode_headers({"a": "b"}))
    for twin in (dict(headers), headers.copy(), headers | {}):
        twin["a"] = "c"
    assert headers == {"a": "b"}
