"""Frames of ConverseStream as the service sends them, and a function that reads them."""

from __future__ import annotations

from typing import Any

import msgspec

from bedrock_stream import Event
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.eventstream import Frame
from tests.support.reading import feed


def event(kind: str, /, **payload: Any) -> Frame:
    """Return the frame of an event."""
    return raw_event(kind, msgspec.json.encode(payload))


def raw_event(kind: str, payload: bytes) -> Frame:
    """Return the frame of an event with this payload."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return Frame(dict(headers), payload)


def exception(kind: str, payload: bytes = b"{}") -> Frame:
    """Return an exception frame."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return Frame(dict(headers), payload)


def start(index: int, **start: Any) -> Frame:
    """Return the frame that starts a block."""
    return event("contentBlockStart", contentBlockIndex=index, start=start)


def tool_start(index: int, id: str = "id", name: str = "f") -> Frame:
    """Return the frame that starts a tool call."""
    return start(index, toolUse={"toolUseId": id, "name": name})


def delta(index: int, **delta: Any) -> Frame:
    """Return a delta of a block."""
    return event("contentBlockDelta", contentBlockIndex=index, delta=delta)


def stop(index: int) -> Frame:
    """Return the frame that stops a block."""
    return event("contentBlockStop", contentBlockIndex=index)


def message_stop(reason: str = "end_turn") -> Frame:
    """Return the frame that ends a message."""
    return event("messageStop", stopReason=reason)


def read(*frames: Frame) -> list[Event]:
    """Return the events of these frames, read by a new reader."""
    return feed(Converse().reader(), frames)
