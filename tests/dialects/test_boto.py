"""Readers of answers in boto3's form: any bytes become dicts or an error of this library, and blobs survive."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.dialects.boto import BLOBS, DOCUMENTS, BotoConverse, BotoInvoke, read_answer, to_wire
from bedrock_stream.dialects.encoding import encode_body
from bedrock_stream.errors import BedrockStreamError, InvalidFrame, UnsupportedOperation
from bedrock_stream.types.options import Options
from tests.support.converse_frames import raw_event

NAMES = st.sampled_from(["a", "text", *sorted(BLOBS), *sorted(DOCUMENTS)])
PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
KINDS = ["messageStart", "contentBlockDelta", "messageStop", "metadata", "chunk", "news"]


@given(st.sampled_from(KINDS), JSON.map(msgspec.json.encode) | st.binary(max_size=30))
def test_any_payload_becomes_a_dict_or_an_error(kind: str, payload: bytes) -> None:
    for dialect in (BotoConverse(), BotoInvoke()):
        events: list[Any] = []
        try:
            dialect.reader().feed([raw_event(kind, payload)], events)
        except BedrockStreamError:
            assert not events
        else:
            assert [[*event] for event in events] == [[kind]]


@given(JSON.map(msgspec.json.encode) | st.binary(max_size=30))
def test_any_body_becomes_an_answer_or_an_error(body: bytes) -> None:
    with contextlib.suppress(BedrockStreamError):
        assert {"output", "stopReason"} <= read_answer(body).keys()


DOCUMENT = st.sampled_from([0, "text", [None], {"bytes": "text"}, {"json": {"redactedContent": None}}])
DATA = st.binary(max_size=20)
BLOCK = st.fixed_dictionaries(
    {}, optional={"bytes": DATA, "redactedContent": DATA, "json": DOCUMENT, "text": st.text(max_size=3)}
)


@given(st.lists(BLOCK, max_size=3) | st.dictionaries(st.just("a"), BLOCK))
def test_what_is_sent_comes_back_the_same(value: Any) -> None:
    """An answer in the shape of a request is read to the values that were written."""
    message = {"output": {"message": {"a": value}}, "stopReason": "end_turn"}
    assert read_answer(encode_body(to_wire(message)).data) == message


def test_an_event_without_a_payload_is_empty() -> None:
    events: list[Any] = []
    BotoConverse().reader().feed([raw_event("news", b"")], events)
    assert events == [{"news": {}}]


def test_events_after_the_end_are_refused_except_for_metadata() -> None:
    reader, events = BotoConverse().reader(), list[Any]()
    reader.feed([raw_event("messageStop", b'{"stopReason":"end_turn"}'), raw_event("metadata", b"{}")], events)
    assert reader.ended
    assert reader.complete
    with pytest.raises(InvalidFrame, match="follows the end"):
        reader.feed([raw_event("contentBlockDelta", b"{}")], events)


def test_the_caller_writes_the_body_and_reads_the_answer() -> None:
    with pytest.raises(UnsupportedOperation):
        BotoConverse().body([], Options())
    with pytest.raises(UnsupportedOperation):
        BotoConverse().answer(b"{}", request_id=None, model="m")
