"""The parts of the capability table: a row, how an id is matched to it, and the facts of a maker's unknown models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from ...types.model_facts import ModelFacts

__all__ = ("Row", "changed", "milder", "row", "unknown_row")

# What continues a version number: `opus-5` begins `opus-50`, `opus-5-5` and `grok-5.1`, which are other generations.
# A date has more digits (`sonnet-4-20250514`), and a size a letter behind them (`llama3-1-70b`).
_OTHER_VERSION = re.compile(r"\d|[-.]\d{1,2}(?![\da-z])")

_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")


class Row(NamedTuple):
    """The facts of one generation of models."""

    ids: tuple[str, ...]
    """Beginnings of the foundation models' ids, without ARN and geo prefix."""
    facts: ModelFacts
    known: bool = True
    """False for a row that stands for the models of a maker that the table does not know."""

    def matches(self, base: str) -> bool:
        """Return whether a foundation model's id is of this generation."""
        return any(base.startswith(start) and _ends_version(start, base) for start in self.ids)


def _ends_version(start: str, base: str) -> bool:
    return not start[-1].isdigit() or _OTHER_VERSION.match(base, len(start)) is None


def row(facts: ModelFacts, name: str, *ids: str, **changes: Any) -> Row:
    """Return the row of a generation that differs from `facts` by `changes`."""
    return Row(ids, changed(facts, name=name, **changes))


def changed(facts: ModelFacts, **changes: Any) -> ModelFacts:
    """Return facts that differ from others by `changes`."""
    return msgspec.structs.replace(facts, **changes)


def unknown_row(newest: ModelFacts, rows: Iterable[Row], name: str, *ids: str, **changes: Any) -> Row:
    """Return the row of a maker's models that the table does not know: the newest row, as mild as all of `rows`."""
    facts = milder(newest, [row.facts for row in rows if row.facts.refused is None])
    return Row(ids, changed(facts, name=name, **changes), known=False)


def milder(newest: ModelFacts, others: Sequence[ModelFacts]) -> ModelFacts:
    """Return the facts of `newest` without the refusals that are not shared by all of `others`.

    A field that is refused costs the caller a call, and a model that is newer than the table may take it.
    """
    changes: dict[str, Any] = {name: any(getattr(facts, name) for facts in others) for name in _TAKEN}
    changes |= {
        "temperature": next(mode for mode in ("any", "one", "none") if any(f.temperature == mode for f in others)),
        "tool_choices": tuple(c for c in ("auto", "any", "tool") if any(c in f.tool_choices for f in others)),
        "results_alone": all(facts.results_alone for facts in others),
        "cache": any(facts.cache for facts in others),
        "min_max_tokens": min(facts.min_max_tokens for facts in others),
        "max_output": None,
        "count_tokens": None,
        "excluded_at_high": (),
        "refused_in_results": tuple(
            kind for kind in newest.refused_in_results if all(kind in facts.refused_in_results for facts in others)
        ),
    }
    caching = [facts for facts in others if facts.cache]
    changes |= {name: any(getattr(facts, name) for facts in caching) for name in _CACHING if caching}
    same_path = [facts for facts in others if facts.reasoning_path == newest.reasoning_path]
    changes["efforts"] = tuple(word for word in _EFFORTS if any(word in facts.efforts for facts in same_path))
    if newest.thinking == "none" and any(facts.thinking != "none" for facts in others):
        changes["thinking"] = "unknown"
    if newest.thinking_off == "never":
        switches = [facts.thinking_off for facts in same_path if facts.thinking_off != "never"]
        changes["thinking_off"] = switches[0] if switches else "never"
    return changed(newest, **changes)


# Fields that refuse something where they are False.
_TAKEN = (
    "takes_budget",
    "top_p",
    "temperature_with_top_p",
    "stop_sequences",
    "converse_stop_sequences",
    "blank_stop_sequences",
    "tools",
    "stream_with_tools",
    "system",
    "forced_with_thinking",
    "forced_with_budget",
    "tool_status",
    "prefill",
    "prefill_with_reasoning",
    "leading_assistant",
    "final_white_space",
    "images",
    "documents",
    "documents_in_turns",
    "video",
    "citations",
    "s3_images",
)

# The same, where cache points are taken at all.
_CACHING = ("cache_ttl", "cache_tools", "cache_beside_tools")
