"""The bytes of answers, as frames of ConverseStream and of Claude's native stream, and as server-sent events.

A frame is about 180 bytes long: a delta of one word, with padding as the service adds it. Header blocks repeat, lengths
vary.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from base64 import b64encode
from collections import deque
from functools import lru_cache
from typing import Any, TypeAlias

from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.eventstream import Decoder, Frame, encode_frame
from bedrock_stream.types.events import TextDelta

__all__ = ("READ", "Answer", "answer", "chunk", "reads", "server_sent", "stamped", "texts_of", "words")

READ = 4096
"""Bytes of one read in benchmarks without a network."""
# The service pads each payload with a prefix of this text of random length, in the member `p`.
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Answer:
    """Frames of an answer: those before the deltas, one for each delta, and those after them."""

    __slots__ = ("deltas", "end", "start")

    def __init__(self, start: bytes, deltas: list[bytes], end: bytes) -> None:
        self.start = start
        self.deltas = deltas
        self.end = end

    def whole(self) -> bytes:
        """Return all frames as bytes."""
        return b"".join((self.start, *self.deltas, self.end))


def words(events: int) -> list[str]:
    """Return the texts of an answer, one for each delta."""
    return [f" word{number}" for number in range(events)]


@lru_cache(maxsize=16)
def answer(form: str, events: int) -> Answer:
    """Return an answer with that many text deltas; `form` is `converse`, `invoke`, `messages` or `chat`."""
    return {"converse": _converse, "invoke": _native, "messages": _messages, "chat": _chat}[form](events)


def server_sent(events: int) -> bytes:
    """Return the deltas of a Messages answer as server-sent events; one takes about 140 bytes."""
    return b"".join(_messages(events).deltas)


def _messages(events: int) -> Answer:
    start, deltas, end = _claude(events)
    return Answer(b"".join(map(_named, start)), [_named(delta) for delta in deltas], b"".join(map(_named, end)))


def _named(document: dict[str, Any]) -> bytes:
    return f"event: {document['type']}\n".encode() + _data(document)


def _data(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def _chat(events: int) -> Answer:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        envelope = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1764000000, "model": "gpt-oss"}
        return _data({**envelope, "choices": [choice], "usage": None})

    deltas = [chunk({"content": word}) for word in words(events)]
    usage = {"prompt_tokens": 1, "completion_tokens": events, "total_tokens": events + 1}
    counts = _data({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "choices": [], "usage": usage})
    return Answer(chunk({"role": "assistant"}), deltas, chunk({}, "stop") + counts + b"data: [DONE]\n\n")


def _converse(events: int) -> Answer:
    deltas = [
        _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}, "p": _PADDING[: number % 62]})
        for number, word in enumerate(words(events))
    ]
    usage = {"inputTokens": 1, "outputTokens": events, "totalTokens": events + 1}
    end = (
        _event("contentBlockStop", {"contentBlockIndex": 0}),
        _event("messageStop", {"stopReason": "end_turn"}),
        _event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
    )
    return Answer(_event("messageStart", {"role": "assistant"}), deltas, b"".join(end))


def _native(events: int) -> Answer:
    start, deltas, end = _claude(events)
    metrics = {"inputTokenCount": 1, "outputTokenCount": events, "invocationLatency": 1, "firstByteLatency": 1}
    end[-1]["amazon-bedrock-invocationMetrics"] = metrics
    return Answer(
        b"".join(_chunk(document, number) for number, document in enumerate(start)),
        [_chunk(document, number) for number, document in enumerate(deltas)],
        b"".join(_chunk(document, number) for number, document in enumerate(end, 2)),
    )


_Documents: TypeAlias = list[dict[str, Any]]


def _claude(events: int) -> tuple[_Documents, _Documents, _Documents]:
    """Return the documents of Claude's answer: those before the deltas, the deltas, and those after them."""
    message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    start: _Documents = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    deltas: _Documents = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
        for word in words(events)
    ]
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    end: _Documents = [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": events}},
        {"type": "message_stop"},
    ]
    return start, deltas, end


def _event(kind: str, body: dict[str, Any]) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_frame(Frame(dict(headers), json.dumps(body, separators=(",", ":")).encode()))


def _chunk(document: dict[str, Any], number: int) -> bytes:
    data = b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()
    return _event("chunk", {"bytes": data, "p": _PADDING[: number % 62]})


# A stamped delta is built when it is sent. Only the time differs, so the CRC of the bytes before it is computed once.
_TEMPLATE = _event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "0" * 16}, "p": "abc"})
_BEFORE, _, _AFTER = _TEMPLATE[:-4].partition(b"0" * 16)
_CRC_BEFORE = zlib.crc32(_BEFORE)


def stamped(seconds: float) -> bytes:
    """Return a Converse delta whose text is a time in seconds."""
    rest = b"%016.6f%s" % (seconds, _AFTER)
    return _BEFORE + rest + struct.pack(">I", zlib.crc32(rest, _CRC_BEFORE))


def chunk(data: bytes) -> bytes:
    """Return one chunk of an HTTP/1.1 body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def reads(data: bytes) -> list[bytes]:
    """Split bytes into pieces of `READ` bytes."""
    return [data[start : start + READ] for start in range(0, len(data), READ)]


def texts_of(form: str, received: bytes) -> list[str]:
    """Decode the texts in bytes that a lower-bound contender received, with or without the HTTP framing.

    A web backend may have sent them as server-sent events, whose data is JSON with the text of a delta as `text`.
    """
    head, _, _ = received.partition(b"\r\n\r\n")
    body = _unchunked(received) if head.startswith(b"HTTP/") else received
    if b"text/event-stream" in head:
        data = (json.loads(line[5:]) for line in body.splitlines() if line.startswith(b"data:"))
        return [document["text"] for document in data if document.get("text")]
    events: deque[Any] = deque()
    (Anthropic() if form == "invoke" else Converse()).reader().feed(Decoder().feed(body), events)
    return [event.text for event in events if isinstance(event, TextDelta)]


def _unchunked(answer: bytes) -> bytes:
    body, position, parts = answer.partition(b"\r\n\r\n")[2], 0, []
    while match := re.compile(rb"([0-9a-f]+)\r\n").match(body, position):
        size = int(match[1], 16)
        parts.append(body[match.end() : match.end() + size])
        position = match.end() + size + 2
    return b"".join(parts)
