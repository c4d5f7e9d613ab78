"""Token counts as other APIs define them."""

from __future__ import annotations

from typing import Any

from ..types.events import Usage

__all__ = ("total_input_tokens", "usage_of_ui")


def total_input_tokens(usage: Usage) -> int | None:
    """Return the number of input tokens with the cached ones, which Bedrock counts separately; None if unknown."""
    if usage.input_tokens is None:
        return None
    return usage.input_tokens + (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)


def usage_of_ui(usage: Usage) -> dict[str, Any]:
    """Return the counts under the AI SDK's names (`LanguageModelUsage`), without the unknown ones."""
    details = {"cacheReadTokens": usage.cache_read_tokens, "cacheWriteTokens": usage.cache_write_tokens}
    reasoning = {"reasoningTokens": usage.reasoning_tokens}
    counts = {
        "inputTokens": total_input_tokens(usage),  # the cached ones too, as in the AI SDK
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.total_tokens,
        "inputTokenDetails": _known(details) or None,
        "outputTokenDetails": _known(reasoning) or None,
    }
    return _known(counts)


def _known(counts: dict[str, Any]) -> dict[str, Any]:
    return {name: count for name, count in counts.items() if count is not None}
