"""Documents in server-sent events: what is read, what is skipped, and where a body may end."""

from __future__ import annotations

import json
from collections.abc import MutableSequence
from typing import Any

import pytest

from bedrock_stream import errors
from bedrock_stream.dialects.anthropic.reader import AnthropicReader
from bedrock_stream.dialects.incoming import EventStream
from bedrock_stream.dialects.sse_reader import SSEReader
from bedrock_stream.types.events import MessageStart, MessageStop, Metadata, TextDelta


class MessagesReader(SSEReader, AnthropicReader):
    """Claude's documents in server-sent events."""

    __slots__ = ()


class NamedReader(SSEReader):
    """Reader that yields the name of each event, and its document."""

    __slots__ = ()

    def read(self, document: bytes, events: MutableSequence[Any]) -> None:
        events.append((self.event_name, document))


def event(document: dict[str, Any]) -> bytes:
    return f"event: {document['type']}\ndata: {json.dumps(document)}\n\n".encode()


START = event({"type": "message_start", "message": {"role": "assistant"}})
TEXT = event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}})
END = event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}) + event({"type": "message_stop"})


def read(*pieces: bytes) -> tuple[list[Any], EventStream]:
    events: list[Any] = []
    ready: list[Any] = []
    stream = EventStream(MessagesReader(), ready)
    for piece in pieces:
        failure = stream.receive(piece)
        events += ready
        ready.clear()
        if failure is not None:
            raise failure
    return events, stream


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_documents_of_a_native_stream_are_read_in_server_sent_events(size: int) -> None:
    body = START + TEXT + END
    events, stream = read(*(body[at : at + size] for at in range(0, len(body), size)))
    stream.finish(None)
    assert events == [MessageStart("assistant"), TextDelta(0, "Hi"), MessageStop("end_turn", "end_turn"), Metadata()]
    assert stream.complete


@pytest.mark.parametrize("idle", [b": ping\n\n", b"data:\n\n", b"event: ping\ndata:\n\n", b"retry: 5\n\n", b"\n\n"])
def test_what_keeps_a_connection_open_is_no_content(idle: bytes) -> None:
    events, stream = read(idle, START, idle)
    assert (events, stream.begun) == ([], False)
    events, stream = read(TEXT, idle)
    assert events == [TextDelta(0, "Hi")]


def test_the_name_of_an_event_is_known_where_its_document_is_read() -> None:
    events: list[Any] = []
    stream = EventStream(NamedReader(), events)
    stream.receive(b"event: a\ndata: {}\n\ndata: 1\n\nevent: error\ndata:\n\n")
    assert events == [("a", b"{}"), ("message", b"1"), ("error", b"")]


def test_done_is_the_end_of_a_body_whose_message_has_ended() -> None:
    events, stream = read(TEXT, END, b"data: [DONE]\n\n")
    stream.finish(None)
    assert type(events[-1]) is Metadata


@pytest.mark.parametrize("done", [b"data: [DONE]\n\n", b"data:[DONE] \n\n"])
def test_done_before_the_message_has_ended_is_a_truncated_answer(done: bytes) -> None:
    with pytest.raises(errors.StreamInterrupted):
        read(TEXT, done)


@pytest.mark.parametrize("tail", [b"", b"data: [DONE]", b"data: [DONE]\n", b"da", b": ping"])
def test_an_unfinished_event_behind_the_end_of_the_message_is_dropped(tail: bytes) -> None:
    _, stream = read(TEXT, END, tail)
    assert stream.ended
    stream.finish(None)


@pytest.mark.parametrize("body", [b"", TEXT, TEXT + b"data: [DONE]", TEXT + END[:-1], b'{"Output":{}}'])
def test_a_body_that_ends_before_its_message_is_interrupted(body: bytes) -> None:
    _, stream = read(body)
    assert not stream.ended
    with pytest.raises(errors.StreamInterrupted):
        stream.finish(None)


@pytest.mark.parametrize("data", [b"{", b"[1]", b'{"type":"message_stop"}\xff', b'{"type":"message_start"}', b'"x"'])
def test_a_document_that_does_not_match_the_api_is_an_invalid_frame(data: bytes) -> None:
    with pytest.raises(errors.InvalidFrame):
        read(b"data: " + data + b"\n\n")
