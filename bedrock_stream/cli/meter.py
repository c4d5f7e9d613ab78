"""The measures of one answer: when its first content came, how fast the rest did, what it cost."""

from __future__ import annotations

from time import perf_counter

from ..types.events import Event, MessageStop, Metadata, ReasoningDelta, TextDelta, ToolCallDelta, Usage

__all__ = ("Pulse",)


class Pulse:
    """Sees every event of one answer. Made just before the answer is asked for."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._first: float | None = None
        self._last = self._began
        self.usage: Usage = Usage()
        self.stop_reason: str | None = None

    def see(self, event: Event) -> None:
        """The next event."""
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallDelta():
                self._last = perf_counter()
                if self._first is None:
                    self._first = self._last
            case MessageStop():
                self.stop_reason = event.stop_reason
            case Metadata(usage=Usage() as usage):
                self.usage = self.usage.merged(usage)

    @property
    def first_content(self) -> float | None:
        """Seconds until the first content; None where none came."""
        return None if self._first is None else self._first - self._began

    @property
    def tokens_per_second(self) -> float | None:
        """Output tokens over the time from the first content to the last; None where that cannot be told."""
        if self._first is None or not self.usage.output_tokens or self._last <= self._first:
            return None
        return self.usage.output_tokens / (self._last - self._first)

    def sentence(self) -> str:
        """What is known, in one line."""
        facts = []
        if self.usage.input_tokens is not None:
            facts.append(f"{self.usage.input_tokens} tokens in")
        if self.usage.output_tokens is not None:
            facts.append(f"{self.usage.output_tokens} tokens out")
        if self.first_content is not None:
            facts.append(f"first after {self.first_content:.2f} s")
        if self.tokens_per_second is not None:
            facts.append(f"{self.tokens_per_second:.0f} tokens/s")
        if self.stop_reason:
            facts.append(self.stop_reason)
        return ", ".join(facts)
