"""Chunks of Claude's native stream as Bedrock sends them, and functions that read them."""

from __future__ import annotations

from typing import Any

import msgspec

from bedrock_stream import Event, Response
from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.eventstream import Frame
from tests.support.reading import assemble, feed, raw_chunk

METRICS = {"inputTokenCount": 12, "outputTokenCount": 30, "invocationLatency": 640, "firstByteLatency": 210}


def chunk(kind: str, /, **members: Any) -> Frame:
    """Return a chunk of this type."""
    return raw_chunk(msgspec.json.encode({"type": kind, **members}))


def message_start(**members: Any) -> Frame:
    """Return the chunk that starts a message."""
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
    """Return the chunk that starts a block."""
    return chunk("content_block_start", index=index, content_block={"type": kind, **block})


def tool_start(index: int, id: str = "toolu_1", name: str = "f", **block: Any) -> Frame:
    """Return the chunk that starts a tool call."""
    return start(index, "tool_use", **{"id": id, "name": name, "input": {}, **block})


def delta(index: int, kind: str, **delta: Any) -> Frame:
    """Return a delta of a block."""
    return chunk("content_block_delta", index=index, delta={"type": kind, **delta})


def text(index: int, piece: str) -> Frame:
    """Return a delta of text."""
    return delta(index, "text_delta", text=piece)


def tool(index: int, fragment: str) -> Frame:
    """Return a delta of a tool call's input."""
    return delta(index, "input_json_delta", partial_json=fragment)


def stop(index: int) -> Frame:
    """Return the chunk that stops a block."""
    return chunk("content_block_stop", index=index)


def message_delta(reason: str | None = "end_turn", *, usage: Any = None, **members: Any) -> Frame:
    """Return the chunk with the stop reason and the final usage."""
    delta = {"stop_reason": reason, "stop_sequence": None, **members}
    return chunk("message_delta", delta=delta, **({} if usage is None else {"usage": usage}))


def message_stop(**members: Any) -> Frame:
    """Return the chunk that ends a message."""
    return chunk("message_stop", **members)


def read(*frames: Frame) -> list[Event]:
    """Return the events of these frames, read by a new reader."""
    return feed(Anthropic().reader(), frames)


def assembled(*frames: Frame) -> Response:
    """Return the response that these frames add up to."""
    return assemble(read(*frames), request_id="r-1", model="m", route="invoke")
