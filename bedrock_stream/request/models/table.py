"""The capability table: one row for each generation of models; the first row whose pattern matches counts.

A pattern is matched at the start of the foundation model's id, without ARN and geo prefix. Where ids share a beginning,
the longer one comes first (`opus-5-5` before `opus-5`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ...types.model_facts import ModelFacts

__all__ = ("ROWS", "UNKNOWN", "Row", "facts_of")

UNKNOWN = ModelFacts()
"""A model of an unknown maker, or an opaque id: nothing is refused and nothing is added."""


class Row(NamedTuple):
    """The facts of the models whose ids begin with a pattern."""

    pattern: str
    facts: ModelFacts


ROWS: tuple[Row, ...] = (
    Row(
        r"anthropic\.claude-opus-4-6",
        ModelFacts(
            name="Claude Opus 4.6",
            family="claude",
            native="anthropic",
            thinking="adaptive",
            takes_budget=True,
            efforts=("low", "medium", "high", "max"),
            effort_words={"minimal": "low", "xhigh": "max"},
            top_k=("top_k",),
            prefill=False,
            max_output=128_000,
            default_max_tokens=32_000,
        ),
    ),
    Row(
        r"anthropic\.claude",
        ModelFacts(name="Claude", family="claude", native="anthropic", thinking="budget", top_k=("top_k",)),
    ),
    Row(
        r"openai\.gpt-oss",
        ModelFacts(
            name="gpt-oss",
            family="gpt-oss",
            native="openai",
            thinking="effort",
            thinking_default=True,
            thinking_off="never",
            efforts=("low", "medium", "high"),
            reasoning_path=("reasoning_effort",),
        ),
    ),
    Row(r"meta\.llama2", ModelFacts(name="Llama 2", family="llama2", native="llama")),
    Row(r"meta\.llama4", ModelFacts(name="Llama 4", family="llama4", native="llama")),
    Row(r"meta\.llama", ModelFacts(name="Llama 3", family="llama3", native="llama")),
    Row(r"cohere\.command-r", ModelFacts(name="Command R", family="command-r", top_k=("k",))),
    Row(
        r"amazon\.nova-2",
        ModelFacts(
            name="Nova 2",
            family="nova",
            thinking="effort",
            efforts=("low", "medium", "high"),
            reasoning_path=("reasoningConfig", "maxReasoningEffort"),
            reasoning_beside={"type": "enabled"},
            excluded_at_high=("max_tokens", "temperature", "top_p", "top_k"),
            top_k=("inferenceConfig", "topK"),
        ),
    ),
    Row(r"amazon\.nova", ModelFacts(name="Nova", family="nova", thinking="none", top_k=("inferenceConfig", "topK"))),
    Row(r"amazon\.titan", ModelFacts(name="Titan", family="titan")),
    Row(r"mistral\.", ModelFacts(name="Mistral", family="mistral", top_k=("top_k",))),
    Row(r"ai21\.", ModelFacts(name="Jamba", family="ai21")),
    Row(r"deepseek\.", ModelFacts(name="DeepSeek", family="deepseek", top_k=("top_k",))),
    Row(
        r"qwen\.",
        ModelFacts(
            name="Qwen",
            family="qwen",
            thinking="effort",
            thinking_off="none",
            efforts=("low", "high"),
            reasoning_path=("reasoning_config",),
            top_k=("top_k",),
        ),
    ),
    Row(r"writer\.", ModelFacts(name="Palmyra", family="palmyra")),
)


@lru_cache(maxsize=256)
def facts_of(base: str) -> ModelFacts:
    """Return the facts of a foundation model's id."""
    return next((facts for pattern, facts in ROWS if re.match(pattern, base)), UNKNOWN)
