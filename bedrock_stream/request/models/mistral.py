"""Mistral's models. Sources: Mistral's and AWS's model pages; live answers of the service."""

from __future__ import annotations

from ...types.model_facts import ModelFacts
from .rows import Row, changed, row, unknown_row

__all__ = ("MISTRAL",)

# Ids of tool calls have exactly nine letters and digits. Converse takes tool results only alone in their turn.
_MISTRAL = ModelFacts(
    family="mistral",
    thinking="none",
    top_k=("top_k",),
    tool_id="nine",
    results_alone=True,
    leading_assistant=False,
    replay="none",
    cache=False,
    video=False,
    citations=False,
)

# Newer models follow a schema, and take a forced tool call without obeying it, except Large 3.
_NEW = changed(_MISTRAL, native_schema=True, strict_tools=True)

_ROWS: tuple[Row, ...] = (
    row(
        _MISTRAL,
        "Mistral 7B and Mixtral",
        "mistral.mistral-7b",
        "mistral.mixtral-8x7b",
        tools=False,
        tool_choices=(),
        stream_with_tools=False,
        system=False,
        images=False,
        max_output=4096,
    ),
    row(
        _MISTRAL,
        "Mistral Large and Small 24",
        "mistral.mistral-large-2402",
        "mistral.mistral-large-2407",
        "mistral.mistral-small-2402",
        tool_choices=("auto", "any"),
        top_k=None,
        images=False,
        max_output=8191,
    ),
    # It takes documents in tool results only, and images everywhere else. Recorded traffic has ids of other services.
    row(
        _MISTRAL,
        "Pixtral Large",
        "mistral.pixtral",
        tool_choices=("auto", "any"),
        tool_id="any",
        refused_in_results=("image", "video"),
        documents_in_turns=False,
        max_output=16_000,
    ),
    row(_NEW, "Mistral Large 3", "mistral.mistral-large-3", max_output=32_000),
    row(_NEW, "Ministral 3", "mistral.ministral-3", max_output=8000),
    # Whether it can be told to reason is unknown.
    row(_NEW, "Magistral Small", "mistral.magistral", thinking="unknown", replay="any", max_output=40_000),
    row(_NEW, "Devstral 2", "mistral.devstral", native_schema=False, tool_id="any", max_output=32_000),
    row(_NEW, "Voxtral", "mistral.voxtral", max_output=8192),
)

MISTRAL: tuple[Row, ...] = (
    *_ROWS,
    unknown_row(_NEW, _ROWS, "another Mistral model", "mistral."),
)
