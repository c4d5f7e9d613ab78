"""OpenAI's models: GPT, which always reasons and takes no sampling parameters, and gpt-oss.

Converse serves GPT by inference profiles alone, bedrock-mantle serves its plain ids.

Sources: OpenAI's and AWS's model pages; live answers of the service.
"""

from __future__ import annotations

from ...types.model_facts import ModelFacts
from .rows import Row, changed, row, unknown_row

__all__ = ("MANTLE", "OPENAI")

MANTLE = (
    "is served by the endpoint bedrock-mantle only; "
    'use its plain id with endpoint="mantle", or a model that Converse supports, such as {}'
)
"""Why a model is refused that bedrock-runtime does not serve."""

_GPT = ModelFacts(
    family="gpt",
    mantle="responses",
    thinking="effort",
    thinking_default=True,
    thinking_off="none",
    efforts=("low", "medium", "high", "xhigh", "max"),
    # Converse answers the flat `reasoning_effort` with a 400, unknown_parameter.
    reasoning_path=("reasoning", "effort"),
    temperature="none",
    top_p=False,
    stop_sequences=False,
    min_max_tokens=16,
    leading_assistant=False,
    replay="redacted",
    max_output=128_000,
    refused_in_results=("image",),
    cache=False,  # caching is implicit
    video=False,
    citations=False,
)

_OSS = ModelFacts(
    family="gpt-oss",
    native="openai",
    thinking="effort",
    thinking_default=True,
    thinking_off="never",
    efforts=("low", "medium", "high"),
    reasoning_path=("reasoning_effort",),
    inline_defs=True,
    images=False,
    leading_assistant=False,
    replay="unsigned",
    cache=False,
    video=False,
    citations=False,
)

_ASTRA = changed(_GPT, thinking_off="never")

_ROWS: tuple[Row, ...] = (
    row(_GPT, "GPT-5.4 and 5.5", "openai.gpt-5.4", "openai.gpt-5.5"),
    row(
        _GPT,
        "GPT-5.6 Cyber and Daybreak",
        "openai.gpt-5.6-cyber",
        "openai.gpt-daybreak",
        refused=MANTLE.format("us.openai.gpt-6-sol"),
    ),
    row(_GPT, "GPT-5.6 Sol, Terra and Luna", "openai.gpt-5.6-sol", "openai.gpt-5.6-terra", "openai.gpt-5.6-luna"),
    row(_ASTRA, "GPT-6 Astra and GPT-6.1 Sol", "openai.gpt-6-astra", "openai.gpt-6.1-sol"),
    row(_GPT, "GPT-6.1 Terra", "openai.gpt-6.1-terra"),
    row(_GPT, "GPT-6 Sol and Luna", "openai.gpt-6-sol", "openai.gpt-6-luna"),
    # Constrained by a schema, unlike gpt-oss itself.
    row(
        _OSS,
        "gpt-oss-safeguard",
        "openai.gpt-oss-safeguard",
        native_schema=True,
        max_output=16_000,
    ),
    row(
        _OSS,
        "gpt-oss",
        "openai.gpt-oss-20b",
        "openai.gpt-oss-120b",
        # InvokeModel takes them, but they stop the hidden reasoning too.
        converse_stop_sequences=False,
        max_output=128_000,
    ),
)

OPENAI: tuple[Row, ...] = (
    *_ROWS,
    unknown_row(_OSS, _ROWS, "a newer gpt-oss", "openai.gpt-oss", native="openai"),
    unknown_row(_ASTRA, _ROWS, "a newer GPT", "openai.gpt-"),
)
