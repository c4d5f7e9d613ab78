"""Token counts of OpenAI's own APIs, whose input includes what was read from and written to the prompt cache.

`Usage.input_tokens` excludes both, as on Converse, so they are subtracted. (InvokeModel's answers are read by `facts`.)
Source: OpenAI's references of both APIs, and recorded traffic.
"""

from __future__ import annotations

from typing import Any

from ...types.events import Usage
from ..payloads import pop_as, take_nested, without_nulls

__all__ = ("read_usage",)


def read_usage(wire: dict[str, Any], *, input: str, output: str) -> Usage:
    """Return the counts, with None for counts that are absent or null; `input` and `output` are the API's words."""
    total_input, output_tokens = pop_as(wire, f"{input}_tokens", int), pop_as(wire, f"{output}_tokens", int)
    read = take_nested(wire, f"{input}_tokens_details", "cached_tokens", int)
    written = take_nested(wire, f"{input}_tokens_details", "cache_write_tokens", int)
    return Usage(
        input_tokens=None if total_input is None else max(total_input - (read or 0) - (written or 0), 0),
        output_tokens=output_tokens,
        total_tokens=pop_as(wire, "total_tokens", int),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=take_nested(wire, f"{output}_tokens_details", "reasoning_tokens", int),
        extra=without_nulls(wire),
    )
