"""Documents of a model's own API: one JSON object each, whatever carries them.

`DocumentReader` is the base of the readers of these APIs. `ChunkReader` feeds it from event-stream frames and
`SSEReader` from server-sent events. Shared here: what Bedrock adds to a model's documents (its own counts, and the
result of a guardrail), and content after a message's end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableSequence
from typing import Any

import msgspec

from ..types.events import Event, MessageStop, Metadata, Usage
from .base import BaseReader, header_metadata
from .payloads import pop_as

__all__ = (
    "ACTION",
    "METRICS",
    "TRACE",
    "UNREADABLE",
    "DocumentReader",
    "message_stop",
    "take_blocked",
    "take_metrics",
    "take_trace",
    "with_total",
)

ACTION = "amazon-bedrock-guardrailAction"
"""The member with a guardrail's action: `NONE` or `INTERVENED`."""
TRACE = "amazon-bedrock-trace"
"""The member with a guardrail's assessments."""
METRICS = "amazon-bedrock-invocationMetrics"
"""The member with token counts and latency, which Bedrock adds to a model's last document."""


UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""What `read` may raise for a document that does not match the API."""


class DocumentReader(BaseReader, ABC):
    """Base of the readers of a model's documents; see `dialects.Reader`.

    A subclass parses documents in `read` and sets `ended` and `complete`. Another one, `ChunkReader` or `SSEReader`,
    feeds it: `class MessagesReader(SSEReader, AnthropicReader)`.
    """

    __slots__ = ("_late_content", "blocked", "event_name", "metadata")

    def __init__(self) -> None:
        super().__init__()
        self._late_content = False  # content has followed the message's end
        self.blocked: bool = False  # a guardrail intervened
        self.event_name: str = ""
        """The name of the server-sent event that holds the document, for one without a `type`; empty on frames."""
        self.metadata: Metadata = Metadata()  # received, and not yet emitted

    def take_headers(self, headers: Mapping[str, str]) -> None:
        """Keep what the headers tell for the metadata after the message's end."""
        self.metadata = header_metadata(headers)

    @abstractmethod
    def read(self, document: bytes, events: MutableSequence[Event]) -> None:
        """Append the events of one document. Raises `UNREADABLE`, which becomes `InvalidFrame`, and errors of ours."""

    def note_late(self, *, starts: bool = False, content: bool = False, ends: bool = False) -> None:
        """Take what a chunk after the end holds, for APIs whose chunks do not say whether a message starts or ends.

        Late content is passed on as unknown. Raises `InvalidFrame` if it is a message of its own.
        """
        self._late_content |= content
        if self._late_content and (starts or ends):
            self.check_open("another message")

    def take_guardrail(self, wire: dict[str, Any]) -> bool:
        """Remove a guardrail's action and trace from a document and keep them. Return whether it intervened here."""
        blocked = take_blocked(wire)
        self.blocked |= blocked
        if TRACE in wire:
            self.metadata = self.metadata.merged(take_trace(wire))
        return blocked

    def emit_metadata(self, events: MutableSequence[Event]) -> None:
        """Append the metadata received so far, once the message has ended.

        The counts may be on the chunk that ends the message or on a later one. Each new part becomes an event, and
        the stream is complete once there is a usage.
        """
        if self.ended and self.metadata != Metadata():
            events.append(with_total(self.metadata))
            self.complete: bool = self.complete or self.metadata.usage is not None
            self.metadata = Metadata()


def take_blocked(wire: dict[str, Any]) -> bool:
    """Remove a guardrail's action from a document and return whether the guardrail intervened."""
    return bool(wire.pop(ACTION, None) == "INTERVENED")


def take_trace(wire: dict[str, Any]) -> Metadata:
    """Remove a guardrail's trace from a document and return it. Raises `ValueError` if it is not an object."""
    return Metadata(trace=pop_as(wire, TRACE, dict[str, Any]))


def message_stop(member: str, reason: str | None, reasons: Mapping[str, str], *, blocked: bool) -> MessageStop:
    """Return the end of a message, with the stop reason that Converse uses; unknown reasons are unchanged.

    Raises `KeyError`, with the name `member`, if the reason is missing.
    """
    if blocked:  # a guardrail's answer replaces the model's, and may come without a reason
        return MessageStop("guardrail_intervened", reason)
    if reason is None:
        raise KeyError(member)
    return MessageStop(reasons.get(reason, reason), reason)


_COUNTS = {
    "inputTokenCount": "input_tokens",
    "outputTokenCount": "output_tokens",
    "cacheReadInputTokenCount": "cache_read_tokens",
    "cacheWriteInputTokenCount": "cache_write_tokens",
}


def take_metrics(document: dict[str, Any]) -> Metadata:
    """Remove Bedrock's own metrics from a document and return them: usage, and latency in milliseconds."""
    metrics = document.get(METRICS)
    if not isinstance(metrics, dict):
        return Metadata()
    metrics = dict(document.pop(METRICS))  # what is unknown, `firstByteLatency` for one, becomes `extra`
    counts = {name: metrics.pop(key) for key, name in _COUNTS.items() if type(metrics.get(key)) is int}
    latency = metrics.pop("invocationLatency", None)
    return Metadata(usage=Usage(**counts), latency_ms=latency if type(latency) is int else None, extra=metrics)


def with_total(metadata: Metadata) -> Metadata:
    """Return the metadata with `total_tokens`, if input and output are known.

    The input count excludes cache reads and writes, as on Converse, where the total is the sum of all four.
    """
    usage = metadata.usage
    if usage is None or usage.total_tokens is not None or usage.input_tokens is None or usage.output_tokens is None:
        return metadata
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    total = usage.input_tokens + cached + usage.output_tokens
    return msgspec.structs.replace(metadata, usage=msgspec.structs.replace(usage, total_tokens=total))
