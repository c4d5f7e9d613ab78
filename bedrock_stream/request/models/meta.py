"""Meta's models: Llama. Sources: Meta's and AWS's model pages; live answers of the service."""

from __future__ import annotations

from ...types.model_facts import ModelFacts
from .rows import Row, changed, row, unknown_row

__all__ = ("META",)

# `top_k` is not a parameter of Llama on Bedrock. Converse takes tool results only alone in their turn.
_LLAMA_3 = ModelFacts(
    family="llama3",
    native="llama",
    thinking="none",
    tool_choices=("auto",),
    results_alone=True,
    leading_assistant=False,
    replay="none",
    max_output=4096,
    cache=False,
    images=False,
    video=False,
    citations=False,
)

_WITHOUT_TOOLS = changed(_LLAMA_3, tools=False, tool_choices=(), stream_with_tools=False)

_LLAMA_4 = changed(_LLAMA_3, family="llama4", images=True, max_output=8000)

_ROWS: tuple[Row, ...] = (
    row(_WITHOUT_TOOLS, "Llama 2", "meta.llama2", family="llama2", max_output=2048),
    row(_WITHOUT_TOOLS, "Llama 3", "meta.llama3-8b", "meta.llama3-70b", max_output=2048),
    row(_LLAMA_3, "Llama 3.1 and 3.3", "meta.llama3-1", "meta.llama3-3"),
    row(_WITHOUT_TOOLS, "Llama 3.2 1B and 3B", "meta.llama3-2-1b", "meta.llama3-2-3b"),
    row(_LLAMA_3, "Llama 3.2 11B and 90B", "meta.llama3-2-11b", "meta.llama3-2-90b", images=True),
    row(_LLAMA_4, "Llama 4", "meta.llama4"),
)

META: tuple[Row, ...] = (
    *_ROWS,
    # The prompt format of a newer generation is unknown, but Llama 3's has been that of all later ones but Llama 4.
    unknown_row(_LLAMA_4, _ROWS, "a newer Llama", "meta.llama", family="llama3"),
)
