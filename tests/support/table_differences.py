"""Where the library's table of models and the emulator's own differ on purpose: each difference with its source."""

from __future__ import annotations

from typing import NamedTuple

from bedrock_stream.request.models import describe
from bedrock_stream.request.models.table import ROWS, Row, row_of

__all__ = ("DIFFERENCES", "ONE_ID_PER_ROW", "Difference")


def _id_of(row: Row) -> str:
    """Return an id of a row that looks like the service's."""
    start = row.ids[0] if row.facts.mantle is None else f"us.{row.ids[0]}"  # Converse serves its profiles alone
    if not row.known:
        return f"{start}{'' if start[-1] in '.-' else '-'}future-v1:0"
    return f"{start}sonnet-20241022-v2:0" if start.endswith("-") else f"{start}-v1:0"


ONE_ID_PER_ROW = {_id_of(row): row for row in ROWS if row.facts.refused is None}
"""An id of every row whose models take a conversation."""
assert all(row_of(describe(model).base) is row for model, row in ONE_ID_PER_ROW.items())


class Difference(NamedTuple):
    """Models, by the names of their rows, for which the two tables differ in one fact, and why."""

    models: frozenset[str]
    source: str
    """What the sources say, where they disagree or are silent."""


_NEWER_CLAUDE = frozenset(
    {
        "Claude Opus 4.7", "Claude Opus 4.8", "Claude Opus 5.5", "Claude Sonnet 5.5", "Claude Haiku 5.5",
        "Claude Sonnet 5", "Claude Opus 5", "Claude Mythos 5.1 and 5.2", "Claude Mythos 5",
    }
)  # fmt: skip
_GPT = frozenset(
    {
        "GPT-5.4 and 5.5",
        "GPT-5.6 Sol, Terra and Luna",
        "GPT-6 Astra and GPT-6.1 Sol",
        "GPT-6.1 Terra",
        "GPT-6 Sol and Luna",
    }
)

# The library avoids what some source says to be refused; the emulator accepts what some source says to be taken.
DIFFERENCES: dict[str, tuple[Difference, ...]] = {
    "efforts": (
        Difference(
            frozenset({"Claude Opus 4.6", "Claude Sonnet 4.6"}),
            "xhigh: pydantic-ai and LiteLLM send `max` for it, Anthropic's page on effort does not name it for 4.6",
        ),
    ),
    "native_schema": (
        Difference(
            _NEWER_CLAUDE | {"Claude Fable 5.1 and 5.2"},
            "refused on every account until September 2026 (vercel/ai 14773), accepted by Opus 4.7 in October "
            "(pydantic-ai); LiteLLM sends it to some of these models only",
        ),
        Difference(_GPT, "an AWS sample uses outputConfig, pydantic-ai lists none of these models"),
    ),
    "strict_tools": (
        Difference(
            _NEWER_CLAUDE,
            "refused for 4.7 and newer by LiteLLM (live, July 2026) and Vercel; pydantic-ai ties it to native schemas",
        ),
        Difference(
            frozenset({"Gemma 3 12B and 27B"}),
            "pydantic-ai ties it to native schemas, LiteLLM sends it to no family but Claude",
        ),
    ),
    "max_output": (
        Difference(
            frozenset(
                {
                    "Llama 3.1 and 3.3",
                    "Llama 3.2 1B and 3B",
                    "Llama 3.2 11B and 90B",
                    "Palmyra Vision",
                    "Mistral Large and Small 24",
                    "Ministral 3",
                    "Magistral Small",
                    "Devstral 2",
                    "Voxtral",
                }
            ),
            "LiteLLM's table alone has the library's limits; no answer of the service confirms them",
        ),
    ),
    "tool_choices": (
        Difference(
            frozenset({"DeepSeek-V3.1", "DeepSeek-V3.2"}),
            "`tool` is accepted and not obeyed, by live answers, so the library does not offer it",
        ),
        Difference(
            frozenset({"Jamba 1.5"}),
            "a live answer refuses `tool`; the documentation of ToolChoice does not name the model for `any`",
        ),
    ),
}
"""By the name of the fact, as in `test_model_tables.FACTS`."""
