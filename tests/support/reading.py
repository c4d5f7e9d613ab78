"""Chunk frames of InvokeModelWithResponseStream, frames read by the reader of a dialect, and partial responses."""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from bedrock_stream import Event, Response
from bedrock_stream.dialects import Reader
from bedrock_stream.errors import BedrockStreamError
from bedrock_stream.eventstream import Frame
from bedrock_stream.types.response import Assembly


def raw_chunk(document: bytes, **members: Any) -> Frame:
    """Return a chunk frame with this document, padding, and these members beside it."""
    payload = msgspec.json.encode({"bytes": b64encode(document).decode(), "p": "abcd", **members})
    return Frame({":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}, payload)


def feed(reader: Reader, frames: Iterable[Frame]) -> list[Event]:
    """Feed frames to a reader and return their events."""
    events: deque[Event] = deque()
    reader.feed(frames, events)
    return list(events)


def assemble(events: Iterable[Event], **call: str | None) -> Response:
    """Return the response that events add up to."""
    assembly = Assembly()
    assembly.extend(events)
    return assembly.response(**call)


def partial_of(error: BedrockStreamError) -> Response:
    """Return the response so far that an error carries."""
    assert error.partial is not None
    return error.partial
