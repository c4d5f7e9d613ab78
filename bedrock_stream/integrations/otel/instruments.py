"""The client metrics of the conventions, with the buckets that they advise.

Bedrock counts tokens without telling which of them were text and which an image, so their modality is `unknown`. What
it did not count is not recorded: a zero would be a number that nobody said.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import Histogram, Meter

from ...types.events import Usage
from .attributes import input_tokens

__all__ = ("Embeddings", "Inference")

_SECONDS = [0.01 * 2**step for step in range(14)]
"""From 10 ms to 82 s."""
_TOKENS = [4.0**step for step in range(14)]
"""From 1 to 67 million."""
_OF_UNKNOWN_KIND = {"gen_ai.token.modality": "unknown"}


class Inference:
    """The metrics of one meter for calls that a model answers in words."""

    __slots__ = ("_counted", "_spread", "between_chunks", "duration", "first_chunk")

    def __init__(self, meter: Meter) -> None:
        self.duration: Histogram = _seconds(meter, "inference.duration", "GenAI client inference operation duration.")
        self.first_chunk: Histogram = _seconds(
            meter, "inference.time_to_first_chunk", "Time from the request to the first chunk of a stream."
        )
        self.between_chunks: Histogram = _seconds(
            meter, "inference.time_per_output_chunk", "Time between two chunks of a stream."
        )
        self._counted = {
            kind: meter.create_counter(
                f"gen_ai.client.inference.usage.{kind}_tokens",
                unit="{token}",
                description=f"The number of {kind.replace('.', ' ')} tokens used.",
            )
            for kind in ("input", "output", "cache_read.input", "cache_write.input")
        }
        self._spread = {
            kind: meter.create_histogram(
                f"gen_ai.client.inference.operation.{kind}_tokens",
                unit="{token}",
                description=f"The number of {kind} tokens used per inference operation.",
                explicit_bucket_boundaries_advisory=_TOKENS,
            )
            for kind in ("input", "output")
        }

    def count(self, usage: Usage, attributes: dict[str, Any], failure: dict[str, str], context: Any) -> None:
        """What a call used. `failure` is said of the call, not of its tokens."""
        counts = {
            "input": input_tokens(usage),
            "output": usage.output_tokens,
            "cache_read.input": usage.cache_read_tokens,
            "cache_write.input": usage.cache_write_tokens,
        }
        for kind, count in counts.items():
            if count is None:
                continue
            self._counted[kind].add(count, attributes | _OF_UNKNOWN_KIND, context=context)
            if kind in self._spread:
                self._spread[kind].record(count, attributes | failure, context=context)


class Embeddings:
    """The metrics of one meter for calls that turn words into numbers."""

    __slots__ = ("duration",)

    def __init__(self, meter: Meter) -> None:
        self.duration: Histogram = _seconds(meter, "embeddings.duration", "GenAI client embeddings operation duration.")


def _seconds(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(
        f"gen_ai.client.{name}", unit="s", description=description, explicit_bucket_boundaries_advisory=_SECONDS
    )
