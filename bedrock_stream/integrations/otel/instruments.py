"""The client metrics of the conventions, with the bucket boundaries that they recommend.

Bedrock does not count tokens by modality, so their modality is `unknown`. Counts that the service did not report are
not recorded as zero.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import Histogram, Meter

from ...types.events import Usage
from ..usage import total_input_tokens

__all__ = ("EmbeddingsMetrics", "InferenceMetrics")

# The boundaries that the conventions advise.
_DURATION_BUCKETS = [0.01 * 2**step for step in range(14)]
"""10 ms to 82 s."""
_TOKEN_BUCKETS = [4.0**step for step in range(14)]
"""1 to 67 million tokens."""
_UNKNOWN_MODALITY = {"gen_ai.token.modality": "unknown"}


class InferenceMetrics:
    """The metrics of calls that generate content."""

    __slots__ = ("_counters", "_histograms", "between_chunks", "duration", "first_chunk")

    def __init__(self, meter: Meter) -> None:
        self.duration: Histogram = _duration_histogram(
            meter, "inference.duration", "GenAI client inference operation duration."
        )
        self.first_chunk: Histogram = _duration_histogram(
            meter, "inference.time_to_first_chunk", "Time from the request to the first chunk of a stream."
        )
        self.between_chunks: Histogram = _duration_histogram(
            meter, "inference.time_per_output_chunk", "Time between two chunks of a stream."
        )
        self._counters = {
            kind: meter.create_counter(
                f"gen_ai.client.inference.usage.{kind}_tokens",
                unit="{token}",
                description=f"The number of {kind.replace('.', ' ')} tokens used.",
            )
            for kind in ("input", "output", "cache_read.input", "cache_write.input")
        }
        self._histograms = {
            kind: meter.create_histogram(
                f"gen_ai.client.inference.operation.{kind}_tokens",
                unit="{token}",
                description=f"The number of {kind} tokens used per inference operation.",
                explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
            )
            for kind in ("input", "output")
        }

    def record_usage(
        self, usage: Usage, attributes: dict[str, Any], error_attributes: dict[str, str], context: Any
    ) -> None:
        """Record the tokens of a call. `error_attributes` describe the call, so token counters do not have them."""
        counts = {
            "input": total_input_tokens(usage),
            "output": usage.output_tokens,
            "cache_read.input": usage.cache_read_tokens,
            "cache_write.input": usage.cache_write_tokens,
        }
        for kind, count in counts.items():
            if count is None:
                continue  # unknown is not zero
            self._counters[kind].add(count, attributes | _UNKNOWN_MODALITY, context=context)
            if kind in self._histograms:
                self._histograms[kind].record(count, attributes | error_attributes, context=context)


class EmbeddingsMetrics:
    """The metrics of calls that compute embeddings."""

    __slots__ = ("duration",)

    def __init__(self, meter: Meter) -> None:
        self.duration: Histogram = _duration_histogram(
            meter, "embeddings.duration", "GenAI client embeddings operation duration."
        )


def _duration_histogram(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(
        f"gen_ai.client.{name}",
        unit="s",
        description=description,
        explicit_bucket_boundaries_advisory=_DURATION_BUCKETS,
    )
