"""The four client metrics of the conventions, with the buckets that they advise."""

from __future__ import annotations

from opentelemetry.metrics import Meter

__all__ = ("Instruments",)

_SECONDS = [0.01 * 2**step for step in range(14)]
"""From 10 ms to 82 s."""
_TOKENS = [4.0**step for step in range(14)]
"""From 1 to 67 million."""


class Instruments:
    """Histograms of one meter."""

    __slots__ = ("between_chunks", "duration", "first_chunk", "tokens")

    def __init__(self, meter: Meter) -> None:
        self.duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Time from the request to the first chunk of a stream.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.between_chunks = meter.create_histogram(
            "gen_ai.client.operation.time_per_output_chunk",
            unit="s",
            description="Time between two chunks of a stream.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
