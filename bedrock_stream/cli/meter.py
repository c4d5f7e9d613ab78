"""Measurements of one response: time to first content, output rate, token usage."""

from __future__ import annotations

from time import perf_counter

from ..types.events import Event, MessageStop, Metadata, ReasoningDelta, TextDelta, ToolCallDelta, Usage

__all__ = ("Meter",)


class Meter:
    """Incremental measurements of one response. Create it just before the request is sent."""

    def __init__(self) -> None:
        self._started = perf_counter()
        self._first: float | None = None
        self._last = self._started
        self.usage: Usage = Usage()
        self.stop_reason: str | None = None

    def record(self, event: Event) -> None:
        """Record the next event."""
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallDelta():
                self._last = perf_counter()
                if self._first is None:
                    self._first = self._last
            case MessageStop():
                self.stop_reason = event.stop_reason
            case Metadata(usage=Usage() as usage):
                # Usage may be split over several events, so counts are merged rather than replaced.
                self.usage = self.usage.merged(usage)

    @property
    def first_content(self) -> float | None:
        """Seconds until the first content; None before it."""
        return None if self._first is None else self._first - self._started

    @property
    def tokens_per_second(self) -> float | None:
        """Output tokens divided by the time from first to last content; None if either is unknown."""
        if self._first is None or not self.usage.output_tokens or self._last <= self._first:
            return None
        return self.usage.output_tokens / (self._last - self._first)

    def summary(self) -> str:
        """Return the known measurements as one line; unknown ones are left out."""
        parts = []
        if self.usage.input_tokens is not None:
            parts.append(f"{self.usage.input_tokens} input tokens")
        if self.usage.output_tokens is not None:
            parts.append(f"{self.usage.output_tokens} output tokens")
        if self.first_content is not None:
            parts.append(f"first token after {self.first_content:.2f} s")
        if self.tokens_per_second is not None:
            parts.append(f"{self.tokens_per_second:.0f} tokens/s")
        if self.stop_reason:
            parts.append(f"stop reason {self.stop_reason}")
        return ", ".join(parts)
