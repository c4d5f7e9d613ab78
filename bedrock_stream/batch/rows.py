"""One row of a batch with its outcome."""

from __future__ import annotations

from typing import Any

import msgspec

from ..types.settings import Target

__all__ = ("Row",)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a batch: either its answer or its error."""

    index: int
    """Its position among the prompts, from 0."""
    key: str
    """The `key` of its `Ask`, or else a digest of what was asked."""
    response: Any = None
    """The `Response`; for a `body`, the model's own JSON as a dict. None with an error, and where `each` did not read
    its stream to the end."""
    value: Any = None
    """What `each` returned. A reused row has it as its JSON was read."""
    error: Exception | None = None
    """Why the row has no answer: a `BedrockStreamError`, or what `each` raised."""
    reused: bool = False
    """Whether it comes from the journal, from an earlier run, or with `dedupe` from an equal row, at no cost."""
    attempts: int = 0
    """How many requests were sent for it."""
    seconds: float = 0.0
    """From its start to its end."""
    cost: float | None = None
    """Its cost by the client's price table; None if a price or a count is unknown."""
    target: Target | None = None
    """The target that was asked last, without credentials; None if none was."""
