"""Chunks of Claude's native stream as Bedrock sends them, and their way through a reader."""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from bedrock_stream import Event, Response
from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.dialects.anthropic.reader import AnthropicReader
from bedrock_stream.eventstream import Frame
from bedrock_stream.types.response import Assembly

METRICS = {"inputTokenCount": 12, "outputTokenCount": 30, "invocationLatency": 640, "firstByteLatency": 210}


def raw_chunk(document: bytes) -> Frame:
    """A frame around any document."""
    payload = msgspec.json.encode({"bytes": b64encode(document).decode(), "p": "abcd"})
    return Frame({":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}, payload)


def chunk(kind: str, /, **members: Any) -> Frame:
    """A chunk of this type."""
    return raw_chunk(msgspec.json.encode({"type": kind, **members}))


def message_start(**members: Any) -> Frame:
    """The message begins."""
    message = {
        "id": "msg_bdrk_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-20250514",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        **members,
    }
    return chunk("message_start", message=message)


def start(index: int, kind: str, **block: Any) -> Frame:
    """A block begins."""
    return chunk("content_block_start", index=index, content_block={"type": kind, **block})


def tool_start(index: int, id: str = "toolu_1", name: str = "f", **block: Any) -> Frame:
    """A tool call begins."""
    return start(index, "tool_use", **{"id": id, "name": name, "input": {}, **block})


def delta(index: int, kind: str, **delta: Any) -> Frame:
    """A piece of a block."""
    return chunk("content_block_delta", index=index, delta={"type": kind, **delta})


def text(index: int, piece: str) -> Frame:
    """A piece of text."""
    return delta(index, "text_delta", text=piece)


def tool(index: int, fragment: str) -> Frame:
    """A piece of a tool call's input."""
    return delta(index, "input_json_delta", partial_json=fragment)


def stop(index: int) -> Frame:
    """A block ends."""
    return chunk("content_block_stop", index=index)


def message_delta(reason: str | None = "end_turn", *, usage: Any = None, **members: Any) -> Frame:
    """What is known about the message near its end."""
    said = {"stop_reason": reason, "stop_sequence": None, **members}
    return chunk("message_delta", delta=said, **({} if usage is None else {"usage": usage}))


def message_stop(**members: Any) -> Frame:
    """The message ends."""
    return chunk("message_stop", **members)


def feed(reader: AnthropicReader, frames: Iterable[Frame]) -> list[Event]:
    """What one reader makes of these frames."""
    events: deque[Event] = deque()
    reader.feed(frames, events)
    return list(events)


def read(*frames: Frame) -> list[Event]:
    """What a new reader makes of these frames."""
    return feed(Anthropic().reader(), frames)


def assembled(*frames: Frame) -> Response:
    """The response that these frames add up to."""
    assembly = Assembly()
    assembly.extend(read(*frames))
    return assembly.response(request_id="r-1", model="m", route="invoke")
