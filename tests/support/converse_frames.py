"""Frames of ConverseStream as the service sends them, and their way through a reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from bedrock_stream import Event
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.dialects.converse.reader import ConverseReader
from bedrock_stream.eventstream import Frame


def event(kind: str, /, **payload: Any) -> Frame:
    """An event's frame."""
    return raw_event(kind, msgspec.json.encode(payload))


def raw_event(kind: str, payload: bytes) -> Frame:
    """An event's frame with any payload."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return Frame(dict(headers), payload)


def exception(kind: str, payload: bytes = b"{}") -> Frame:
    """An exception's frame."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return Frame(dict(headers), payload)


def start(index: int, **start: Any) -> Frame:
    """A block begins."""
    return event("contentBlockStart", contentBlockIndex=index, start=start)


def tool_start(index: int, id: str = "id", name: str = "f") -> Frame:
    """A tool call begins."""
    return start(index, toolUse={"toolUseId": id, "name": name})


def delta(index: int, **delta: Any) -> Frame:
    """A piece of a block."""
    return event("contentBlockDelta", contentBlockIndex=index, delta=delta)


def stop(index: int) -> Frame:
    """A block ends."""
    return event("contentBlockStop", contentBlockIndex=index)


def message_stop(reason: str = "end_turn") -> Frame:
    """The message ends."""
    return event("messageStop", stopReason=reason)


def feed(reader: ConverseReader, frames: Iterable[Frame]) -> list[Event]:
    """What one reader makes of these frames."""
    events: deque[Event] = deque()
    reader.feed(frames, events)
    return list(events)


def read(*frames: Frame) -> list[Event]:
    """What a new reader makes of these frames."""
    return feed(Converse().reader(), frames)
