"""The base class of native streams: it converts Converse events to the family's JSON documents, sent as chunks.

A script's `event(name, {...})` is one document, sent unchanged. Its name is not sent, but has the same meaning as on
Converse: `messageStart`, `messageStop` and `metadata` replace the emulator's own events.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import msgspec

from ...steps import Event, Metadata, Step, Stop
from ..facts import FIRST_TOKEN_MS, Facts, last_metadata, stop_of
from ..rendering import EventComposer, WireEvent

__all__ = ("METRICS", "STREAM_HEADERS", "ChunkComposer", "count_headers", "extras", "metrics")

METRICS = "amazon-bedrock-invocationMetrics"
"""The member with Bedrock's metrics in the last document of a stream."""
STREAM_HEADERS = (("X-Amzn-Bedrock-Content-Type", "application/json"),)


class ChunkComposer(ABC):
    """The composer of a family's stream."""

    names: ClassVar[dict[str, str]] = {}
    """The Converse names of events, by the family's own names, which `event` accepts too."""

    def __init__(self, steps: Sequence[Step], facts: Facts) -> None:
        self.facts = facts
        self.steps = steps
        self.scripted_metadata: Metadata = last_metadata(steps)
        self.metadata: dict[str, Any] = facts.metadata(steps, self.scripted_metadata)
        """Counts and latency of the complete answer, in Converse's format."""
        self.stop: Stop = stop_of(steps)
        self._events = EventComposer(steps, facts)

    @abstractmethod
    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the documents for a Converse event."""

    def flush(self) -> Iterator[dict[str, Any]]:
        """Yield the documents that are still pending at the end of a step."""
        yield from ()

    def wire(self, document: dict[str, Any], *, is_delta: bool = False, name: str | None = None) -> WireEvent:
        """Return the event that carries a document; `name` is that of a script."""
        # The document is a blob, which the JSON payload carries as base64.
        return WireEvent("chunk", {"bytes": b64encode(msgspec.json.encode(document)).decode()}, is_delta)

    def compose(self, step: Step) -> Iterator[WireEvent]:
        """See `Composer`."""
        # Every document of a native stream is a `chunk` event. Bytes are the payload of an event with the given name.
        if isinstance(step, Event) and isinstance(step.payload, dict):
            self._events.note(self.names.get(step.name, step.name))
            yield self.wire(step.payload, name=step.name)
        else:
            yield from self._chunks(self._events.compose(step))

    def finish(self) -> Iterator[WireEvent]:
        """See `Composer`."""
        return self._chunks(self._events.finish())

    def _chunks(self, events: Iterable[WireEvent]) -> Iterator[WireEvent]:
        for event in events:
            if isinstance(event.payload, bytes):
                yield event
            else:
                documents = self.translate(event.name, event.payload)
                yield from (self.wire(document, is_delta=event.is_delta) for document in documents)
        yield from map(self.wire, self.flush())


def metrics(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the member with Bedrock's metrics, and the members that a script adds to the metadata."""
    usage, latency = metadata["usage"], metadata["metrics"]["latencyMs"]
    counted = {
        "inputTokenCount": usage.get("inputTokens", 0),
        "outputTokenCount": usage.get("outputTokens", 0),
        "invocationLatency": latency,
        "firstByteLatency": min(FIRST_TOKEN_MS, latency),
    }
    # Cache counts are present only if the request has cache points.
    for kind in ("Read", "Write"):
        if f"cache{kind}InputTokens" in usage:
            counted[f"cache{kind}InputTokenCount"] = usage[f"cache{kind}InputTokens"]
    return {METRICS: counted, **extras(metadata)}


def extras(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the members of the metadata that a script added."""
    return {name: value for name, value in metadata.items() if name not in ("usage", "metrics")}


def count_headers(steps: Sequence[Step], facts: Facts) -> dict[str, str]:
    """Return the response headers of InvokeModel with the counts that a stream has in its metrics."""
    scripted = last_metadata(steps)
    if scripted.absent:
        return {}
    metadata = facts.metadata(steps, scripted)
    usage = metadata["usage"]
    counts = {
        "Input-Token-Count": usage.get("inputTokens"),
        "Output-Token-Count": usage.get("outputTokens"),
        "Cache-Read-Input-Token-Count": usage.get("cacheReadInputTokens"),
        "Cache-Write-Input-Token-Count": usage.get("cacheWriteInputTokens"),
        "Invocation-Latency": metadata["metrics"]["latencyMs"],
    }
    return {f"X-Amzn-Bedrock-{name}": str(count) for name, count in counts.items() if count is not None}
