"""Token counts as other APIs define them."""

from __future__ import annotations

from ..types.events import Usage

__all__ = ("total_input_tokens",)


def total_input_tokens(usage: Usage) -> int | None:
    """Return the number of input tokens with the cached ones, which Bedrock counts separately; None if unknown."""
    if usage.input_tokens is None:
        return None
    return usage.input_tokens + (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
