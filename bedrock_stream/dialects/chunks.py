"""Frames of InvokeModelWithResponseStream: each `chunk` holds one JSON document of the model's own, in base64.

What the native dialects share: unwrapping, exceptions, unknown events, and what Bedrock itself adds to a model's
documents: its counts, and what a guardrail did. A dialect reads the documents.
Source: ResponseStream and PayloadPart in the Bedrock Runtime service model, and recorded traffic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ..errors import InvalidFrame
from ..eventstream import Frame, HeaderValue
from ..types.events import Event, MessageStop, Metadata, UnknownEvent, Usage
from .payloads import decode_object, failure, pop_as
from .tool_input import ToolInputs

__all__ = (
    "ACTION",
    "METRICS",
    "TRACE",
    "ChunkReader",
    "close_metadata",
    "metrics_of",
    "stop_of",
    "take_blocked",
    "take_trace",
)

ACTION = "amazon-bedrock-guardrailAction"
"""The member that says whether a guardrail stepped in."""
TRACE = "amazon-bedrock-trace"
"""The member that says what it saw."""
METRICS = "amazon-bedrock-invocationMetrics"
"""The member that Bedrock adds to a model's last document."""


class _Chunk(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    data: bytes = msgspec.field(name="bytes")
    p: str = ""


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ChunkReader(ToolInputs, ABC):
    """Reads one native stream; see `dialects.Reader`. A subclass reads documents and says when the message ended."""

    __slots__ = ("_chunk_headers", "blocked", "complete", "ended", "metadata")

    has_end_marker = True

    def __init__(self) -> None:
        super().__init__()
        self._chunk_headers: Mapping[str, HeaderValue] | None = None
        self.ended: bool = False
        self.complete: bool = False
        self.blocked: bool = False  # by a guardrail
        self.metadata: Metadata = Metadata()  # what is known about the message and has not been told yet

    @abstractmethod
    def read(self, document: bytes, events: deque[Event]) -> None:
        """Append the events of one document. Whatever it raises but errors of ours becomes `InvalidFrame`."""

    def feed(self, frames: Iterable[Frame], events: deque[Event]) -> None:
        """See `dialects.Reader`."""
        for frame in frames:
            headers = frame.headers
            if headers is self._chunk_headers or self._announces_chunk(headers):
                try:
                    document = _decode_chunk(frame.payload).data
                except ValueError:
                    document = self._unwrap(frame, events)
                try:
                    self.read(document, events)
                except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
                    raise InvalidFrame(f"a chunk is not as the model describes it: {error!r}") from None
            else:
                self._feed_other(frame, events)

    def _announces_chunk(self, headers: Mapping[str, HeaderValue]) -> bool:
        """One look tells the next hundred: the decoder gives the same object for the same header block."""
        if headers.get(":event-type") != "chunk" or headers.get(":message-type", "event") != "event":
            return False
        self._chunk_headers = headers
        return True

    def _feed_other(self, frame: Frame, events: deque[Event]) -> None:
        kind = frame.headers.get(":event-type")
        if frame.headers.get(":message-type", "event") != "event" or not isinstance(kind, str):
            raise failure(frame)
        events.append(UnknownEvent(kind, decode_object(frame.payload, f"the payload of a {kind} event")))

    def _unwrap(self, frame: Frame, events: deque[Event]) -> bytes:
        """The document of a chunk with members that this version does not know: they are passed on."""
        wire = decode_object(frame.payload, "the payload of a chunk")
        wire.pop("p", None)
        try:
            document = msgspec.convert(wire.pop("bytes"), bytes)
        except (KeyError, ValueError) as error:
            raise InvalidFrame(f"a chunk holds no base64 bytes: {error!r}") from None
        if wire:
            events.append(UnknownEvent("chunk", wire))
        return document

    def take_guardrail(self, wire: dict[str, Any]) -> bool:
        """Take a guardrail's action and trace out of a document, and keep them. Whether it stepped in here."""
        blocked = take_blocked(wire)
        self.blocked |= blocked
        if TRACE in wire:
            self.metadata = self.metadata.merged(take_trace(wire))
        return blocked

    def tell_metadata(self, events: deque[Event]) -> None:
        """Append what is known about the message, if anything is new, once it has ended."""
        if self.ended and self.metadata != Metadata():
            events.append(close_metadata(self.metadata))
            self.complete = self.complete or self.metadata.usage is not None
            self.metadata = Metadata()


def take_blocked(wire: dict[str, Any]) -> bool:
    """Take a guardrail's action out of a document: whether it stepped in."""
    return bool(wire.pop(ACTION, None) == "INTERVENED")


def take_trace(wire: dict[str, Any]) -> Metadata:
    """Take a guardrail's trace out of a document. Raises `ValueError` where it is no object."""
    return Metadata(trace=pop_as(wire, TRACE, dict[str, Any]))


def stop_of(member: str, reason: str | None, words: Mapping[str, str], *, blocked: bool) -> MessageStop:
    """A message's end in Converse's words. A guardrail that speaks in the model's place may give no reason.

    Raises `KeyError`, naming the `member` that should have had it, where nobody gives one.
    """
    if blocked:
        return MessageStop("guardrail_intervened", reason)
    if reason is None:
        raise KeyError(member)
    return MessageStop(words.get(reason, reason), reason)


_COUNTS = {
    "inputTokenCount": "input_tokens",
    "outputTokenCount": "output_tokens",
    "cacheReadInputTokenCount": "cache_read_tokens",
    "cacheWriteInputTokenCount": "cache_write_tokens",
}


def metrics_of(document: dict[str, Any]) -> Metadata | None:
    """Take Bedrock's own counts out of a document: usage and latency in milliseconds. None where there are none."""
    metrics = document.get(METRICS)
    if not isinstance(metrics, dict):
        return None
    metrics = dict(document.pop(METRICS))
    counts = {name: metrics.pop(key) for key, name in _COUNTS.items() if type(metrics.get(key)) is int}
    latency = metrics.pop("invocationLatency", None)
    return Metadata(usage=Usage(**counts), latency_ms=latency if type(latency) is int else None, extra=metrics)


def close_metadata(metadata: Metadata) -> Metadata:
    """With the total that no model says itself: input, cache and output, where input and output are known."""
    usage = metadata.usage
    if usage is None or usage.total_tokens is not None or usage.input_tokens is None or usage.output_tokens is None:
        return metadata
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    total = usage.input_tokens + cached + usage.output_tokens
    return msgspec.structs.replace(metadata, usage=msgspec.structs.replace(usage, total_tokens=total))
