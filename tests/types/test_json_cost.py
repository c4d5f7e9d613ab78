"""The estimate of what a JSON document costs in memory, against what it costs."""

from __future__ import annotations

import json
import tracemalloc

import msgspec
import pytest

from bedrock_stream.types.checks import check_cost

SIZE = 2 << 20


def array(item: bytes) -> bytes:
    """Return an array of at least 2 MiB that consists of this item."""
    return b"[" + b",".join([item] * (SIZE // len(item))) + b"]"


WIDE = {
    "lists": array(b"[]"),
    "objects": array(b"{}"),
    "lists of one": array(b"[1]"),
    "lists in lists": array(b"[[],[]]"),
    "deep lists": array(b"[" * 100 + b"]" * 100),
    "objects of one": array(b'{"a":1}'),
    "deep objects": array(b'{"a":' * 100 + b"0" + b"}" * 100),
    "short strings": array(b'"ab"'),
    "spaced lists": array(b"[ ]"),
    "beside a string": b'{"text":"' + b"x" * SIZE + b'","more":' + array(b"[]") + b"}",
    "in an object": b'{"new":{"a":' + array(b"{}") + b"}}",
}
ORDINARY = {
    "one string": b'{"text":"' + b"[{,:" * SIZE + b'"}',
    "escaped quotes": b'{"text":"' + rb"\"[],[],\"{},\\" * (SIZE // 10) + b'"}',
    "an embedding": array(b"-0.0123456"),
    "a quantized embedding": b"[" + b",".join(b"%d" % (index * 37 % 256 - 128) for index in range(SIZE // 2)) + b"]",
    "long rows": json.dumps([{"title": "t" * 80, "url": "u" * 80, "rank": 1}] * 20_000).encode(),
    "lines": json.dumps(["a line of a text, which has some words in it"] * 50_000).encode(),
    "not JSON": b'"' * SIZE,
}


def cost(document: bytes) -> float:
    """Return what a decoded document takes, in multiples of its size."""
    tracemalloc.start()
    try:
        value = msgspec.json.decode(document)
        taken = tracemalloc.get_traced_memory()[0]
        del value
    finally:
        tracemalloc.stop()
    return taken / len(document)


@pytest.mark.parametrize("name", WIDE)
def test_a_document_that_costs_far_more_than_its_size_is_refused(name: str) -> None:
    assert cost(WIDE[name]) > 10
    with pytest.raises(ValueError, match="more than 10 times its size"):
        check_cost(WIDE[name])


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_document_is_accepted(name: str) -> None:
    check_cost(ORDINARY[name])
    if name != "not JSON":
        assert cost(ORDINARY[name]) < 10


def test_a_small_document_is_accepted_whatever_is_in_it() -> None:
    check_cost(array(b"[]")[: 1 << 19])
