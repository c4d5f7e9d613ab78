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
    Row(r"anthropic\.claude", ModelFacts(name="Claude", family="claude", native="anthropic")),
    Row(r"openai\.gpt-oss", ModelFacts(name="gpt-oss", family="gpt-oss", native="openai")),
    Row(r"meta\.llama2", ModelFacts(name="Llama 2", family="llama2", native="llama")),
    Row(r"meta\.llama4", ModelFacts(name="Llama 4", family="llama4", native="llama")),
    Row(r"meta\.llama", ModelFacts(name="Llama 3", family="llama3", native="llama")),
    Row(r"cohere\.command-r", ModelFacts(name="Command R", family="command-r")),
    Row(r"amazon\.nova", ModelFacts(name="Nova", family="nova")),
    Row(r"amazon\.titan", ModelFacts(name="Titan", family="titan")),
    Row(r"mistral\.", ModelFacts(name="Mistral", family="mistral")),
    Row(r"ai21\.", ModelFacts(name="Jamba", family="ai21")),
    Row(r"deepseek\.", ModelFacts(name="DeepSeek", family="deepseek")),
    Row(r"qwen\.", ModelFacts(name="Qwen", family="qwen")),
    Row(r"writer\.", ModelFacts(name="Palmyra", family="palmyra")),
)


@lru_cache(maxsize=256)
def facts_of(base: str) -> ModelFacts:
    """Return the facts of a foundation model's id."""
    return next((facts for pattern, facts in ROWS if re.match(pattern, base)), UNKNOWN)
