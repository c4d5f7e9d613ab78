"""The estimate of what a JSON document costs in memory, against what it costs."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable

import msgspec
import pytest

from bedrock_stream.types.checks import check_cost

SIZE = 2 << 20
SAMPLE = 1 << 16
"""The size of documents that are decoded to measure their cost. A larger one costs as many times its size."""

Document = Callable[[int], bytes]
"""Returns a document of at least this many bytes."""


def array(item: bytes) -> Document:
    """Return a document that is an array of this item."""
    return lambda size: b"[" + b",".join([item] * (size // len(item))) + b"]"


def rows(value: object) -> Document:
    return array(json.dumps(value).encode())


WIDE: dict[str, Document] = {
    "lists": array(b"[]"),
    "objects": array(b"{}"),
    "lists of one": array(b"[1]"),
    "lists in lists": array(b"[[],[]]"),
    "deep lists": array(b"[" * 100 + b"]" * 100),
    "objects of one": array(b'{"a":1}'),
    "deep objects": array(b'{"a":' * 100 + b"0" + b"}" * 100),
    "short strings": array(b'"ab"'),
    "spaced lists": array(b"[ ]"),
    "beside a string": lambda size: b'{"text":"' + b"x" * size + b'","more":' + array(b"[]")(size) + b"}",
    "in an object": lambda size: b'{"new":{"a":' + array(b"{}")(size) + b"}}",
}
ORDINARY: dict[str, Document] = {
    "one string": lambda size: b'{"text":"' + b"[{,:" * size + b'"}',
    "escaped quotes": lambda size: b'{"text":"' + rb"\"[],[],\"{},\\" * (size // 10) + b'"}',
    "an embedding": array(b"-0.0123456"),
    "a quantized embedding": lambda size: (
        b"[" + b",".join(b"%d" % (index * 37 % 256 - 128) for index in range(size // 2)) + b"]"
    ),
    "long rows": rows({"title": "t" * 80, "url": "u" * 80, "rank": 1}),
    "lines": rows("a line of a text, which has some words in it"),
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
    assert cost(WIDE[name](SAMPLE)) > 10
    with pytest.raises(ValueError, match="more than 10 times its size"):
        check_cost(WIDE[name](SIZE))


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_document_is_accepted(name: str) -> None:
    check_cost(ORDINARY[name](SIZE))
    assert cost(ORDINARY[name](SAMPLE)) < 10


def test_a_text_that_is_not_json_is_accepted() -> None:
    check_cost(b'"' * SIZE)


def test_a_small_document_is_accepted_whatever_is_in_it() -> None:
    check_cost(array(b"[]")(1 << 19))
