"""Encoding of bodies: the same bytes in one go and slice by slice."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_stream.dialects.encoding import SLICE, Blob, Body, blob, blob_data, encode_body
from bedrock_stream.errors import ConfigurationError

sizes = st.sampled_from([0, 1, 2, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE + 2])


@settings(max_examples=30, deadline=None)
@given(st.lists(sizes, max_size=4))
def test_slices_join_to_the_output_of_the_json_encoder(lengths: list[int]) -> None:
    data = [bytes([number]) * length for number, length in enumerate(lengths)]
    body = encode_body({"a": "ü", "blobs": [Blob(item) for item in data], "z": [1, None]})
    expected = msgspec.json.encode({"a": "ü", "blobs": data, "z": [1, None]})
    assert body.data == expected
    assert body.digest == hashlib.sha256(expected).hexdigest()


def test_large_data_has_a_step_per_slice_and_small_data_none() -> None:
    assert list(encode_body({"a": "b"}).steps()) == []
    body = encode_body({"a": blob(bytes(10 * SLICE))})
    assert len(list(body.steps())) >= 10
    assert list(body.steps()) == []


def test_a_long_text_is_hashed_in_slices_too() -> None:
    body = encode_body({"a": "x" * (3 * SLICE)})
    assert len(list(body.steps())) == 3
    assert body.digest == hashlib.sha256(body.data).hexdigest()


def test_an_empty_body_has_a_digest() -> None:
    assert Body(()).data == b""
    assert Body(()).digest == hashlib.sha256().hexdigest()


def test_only_large_data_becomes_a_blob() -> None:
    assert blob(b"x" * SLICE) == b"x" * SLICE
    large = blob(b"x" * (SLICE + 1))
    assert isinstance(large, Blob)
    assert blob_data(large) == b"x" * (SLICE + 1)
    with pytest.raises(TypeError, match="an object of type set is not JSON serializable"):
        blob_data(set())


def test_a_text_that_looks_like_base64_is_not_changed() -> None:
    assert encode_body({"a": "AAAA", "b": Blob(b"\0\0\0")}).data == b'{"a":"AAAA","b":"AAAA"}'


@pytest.mark.parametrize("value", [object(), "\ud800"])
def test_values_that_are_not_json_serializable_are_rejected(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"request: the body cannot be encoded as JSON: .*; use JSON values"):
        encode_body({"a": value})


def test_memory_is_limited_by_the_size_of_the_body() -> None:
    data = bytes(4_000_000)
    body = encode_body({"a": Blob(data)})
    tracemalloc.start()
    size = len(body.data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.5 * size  # the parts, and the joined body
