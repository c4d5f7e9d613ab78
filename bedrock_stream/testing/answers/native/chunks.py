"""What the native streams share: Converse events go in one by one, the family's JSON documents come out as chunks.

A script's `event(name, {...})` is one document, sent as it is. Its name is not on the wire here, but names mean what
they mean on Converse: `messageStart`, `messageStop` and `metadata` take the place of the emulator's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import msgspec

from ...steps import Event, Step
from ..facts import FIRST_TOKEN_MS, Facts, last_metadata, stop_of
from ..rendering import EventComposer, WireEvent

__all__ = ("METRICS", "STREAM_HEADERS", "ChunkComposer", "count_headers", "extras", "metrics")

METRICS = "amazon-bedrock-invocationMetrics"
"""The member that Bedrock adds to the last document of a stream."""
STREAM_HEADERS = (("X-Amzn-Bedrock-Content-Type", "application/json"),)


class ChunkComposer(ABC):
    """Turns steps into the chunks of one family's stream."""

    names: ClassVar[dict[str, str]] = {}
    """The family's own names of events that `event` may use, by the Converse event they stand for."""

    def __init__(self, steps: Sequence[Step], facts: Facts) -> None:
        self.facts = facts
        self.steps = steps
        self.said = last_metadata(steps)
        self.closing = facts.metadata(steps, self.said)
        """Counts and latency of the whole answer, as Converse spells them."""
        self.stop = stop_of(steps)
        self._events = EventComposer(steps, facts)

    @abstractmethod
    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The documents that say what a Converse event says."""

    def settle(self) -> Iterator[dict[str, Any]]:
        """What is still to be said when a step has been."""
        yield from ()

    def compose(self, step: Step) -> Iterator[WireEvent]:
        """See `Composer`."""
        if isinstance(step, Event) and isinstance(step.payload, dict):
            self._events.note(self.names.get(step.name, step.name))
            yield _chunk(step.payload)
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
                yield from (_chunk(said, event.is_delta) for said in self.translate(event.name, event.payload))
        yield from map(_chunk, self.settle())


def _chunk(document: dict[str, Any], is_delta: bool = False) -> WireEvent:
    return WireEvent("chunk", {"bytes": b64encode(msgspec.json.encode(document)).decode()}, is_delta)


def metrics(closing: dict[str, Any]) -> dict[str, Any]:
    """Bedrock's own counts, with what a script adds to the metadata beside them."""
    usage, latency = closing["usage"], closing["metrics"]["latencyMs"]
    counted = {
        "inputTokenCount": usage.get("inputTokens", 0),
        "outputTokenCount": usage.get("outputTokens", 0),
        "invocationLatency": latency,
        "firstByteLatency": min(FIRST_TOKEN_MS, latency),
    }
    for kind in ("Read", "Write"):
        if f"cache{kind}InputTokens" in usage:
            counted[f"cache{kind}InputTokenCount"] = usage[f"cache{kind}InputTokens"]
    return {METRICS: counted, **extras(closing)}


def extras(closing: dict[str, Any]) -> dict[str, Any]:
    """The members of the metadata that only a script can have put there."""
    return {name: value for name, value in closing.items() if name not in ("usage", "metrics")}


def count_headers(steps: Sequence[Step], facts: Facts) -> dict[str, str]:
    """The response headers of InvokeModel that say what the stream says in its metrics."""
    said = last_metadata(steps)
    if said.absent:
        return {}
    closing = facts.metadata(steps, said)
    usage = closing["usage"]
    counts = {
        "Input-Token-Count": usage.get("inputTokens"),
        "Output-Token-Count": usage.get("outputTokens"),
        "Cache-Read-Input-Token-Count": usage.get("cacheReadInputTokens"),
        "Cache-Write-Input-Token-Count": usage.get("cacheWriteInputTokens"),
        "Invocation-Latency": closing["metrics"]["latencyMs"],
    }
    return {f"X-Amzn-Bedrock-{name}": str(count) for name, count in counts.items() if count is not None}
