"""The models of makers with few generations on Bedrock: xAI, Moonshot, Z.ai, DeepSeek, Qwen, MiniMax and others.

Sources: the makers' and AWS's model pages; live answers of the service.
"""

from __future__ import annotations

from ...types.model_facts import ModelFacts
from .openai import MANTLE
from .rows import Row, changed, row, unknown_row

__all__ = ("OTHERS",)

# None of these makers' models takes cache points, video or citations.
_OTHER = ModelFacts(cache=False, video=False, citations=False, leading_assistant=False)
_PLAIN = changed(_OTHER, thinking="none", replay="none")

_EFFORT = ("reasoning_effort",)
_ALL = ("low", "medium", "high", "xhigh", "max")


# -------------------------------------------------------------------------------------------------------------- xAI

_GROK = changed(
    _OTHER,
    family="grok",
    thinking="effort",
    thinking_default=True,
    thinking_off="never",
    efforts=("low", "medium", "high", "xhigh"),
    reasoning_path=("reasoning", "effort"),
    temperature="none",
    top_p=False,
    stop_sequences=False,
    min_max_tokens=16,
)
_GROK_ROWS: tuple[Row, ...] = (
    # Only what is known of all: neither page nor answer settles what this one refuses.
    row(
        _GROK,
        "Grok 4.3",
        "xai.grok-4.3",
        mantle="chat",
        refused=MANTLE.format("xai.grok-4.7"),
        temperature="any",
        top_p=True,
        stop_sequences=True,
        min_max_tokens=1,
    ),
    row(_GROK, "Grok 4.6", "xai.grok-4.6", max_output=500_000),
    row(_GROK, "Grok 4.7", "xai.grok-4.7", native_schema=True, max_output=524_288),
)

# --------------------------------------------------------------------------------------------------------- Moonshot

_KIMI = changed(
    _OTHER,
    family="kimi",
    refused_in_results=("image", "document", "video"),
    thinking="effort",
    efforts=("low", "high", "max"),
    reasoning_path=_EFFORT,
    leading_assistant=True,
    native_schema=True,
    strict_tools=True,
    replay="unsigned",
    max_output=16_000,
)
# Reasoning comes encrypted, and goes back to the region that made it.
_K3 = changed(_KIMI, thinking_default=True, thinking_off="never", replay="redacted", min_max_tokens=16)
_K3_1 = changed(_K3, thinking_off="none", efforts=_ALL, max_output=131_072)
_KIMI_ROWS: tuple[Row, ...] = (
    row(
        _KIMI,
        "Kimi K2 Thinking",
        "moonshotai.kimi-k2-thinking",
        "moonshot.kimi-k2-thinking",
        thinking_default=True,
        images=False,
    ),
    row(_KIMI, "Kimi K2.5", "moonshotai.kimi-k2.5"),
    row(_K3_1, "Kimi K3.1", "moonshotai.kimi-k3.1"),
    row(_K3, "Kimi K3", "moonshotai.kimi-k3", temperature="none", top_p=False, max_output=131_072),
)

# ------------------------------------------------------------------------------------------------------------- Z.ai

# Other efforts are taken, but only `high` reasons.
_GLM = changed(
    _OTHER,
    family="glm",
    tool_choices=("auto", "any"),
    thinking="effort",
    efforts=("high",),
    reasoning_path=_EFFORT,
    stop_sequences=False,
    leading_assistant=True,
    native_schema=True,
    strict_tools=True,
    schema_contains=False,
    replay="unsigned",
    images=False,
    max_output=128_000,
)
_GLM_5_3 = changed(
    _GLM, tool_choices=("auto", "any", "tool"), thinking_default=True, thinking_off="never", efforts=_ALL
)
_GLM_ROWS: tuple[Row, ...] = (
    row(_GLM_5_3, "GLM-5.3", "zai.glm-5.3"),
    row(_GLM, "GLM-4.7 and GLM-5", "zai.glm-4.7", "zai.glm-5"),
)

# --------------------------------------------------------------------------------------------------------- DeepSeek

_DEEPSEEK = changed(_OTHER, family="deepseek", top_k=("top_k",), images=False, replay="unsigned")
# Only the effort `high` is known. A choice of one tool is taken and not obeyed; with reasoning only `auto` is.
_V3 = changed(
    _DEEPSEEK,
    thinking="effort",
    efforts=("high",),
    reasoning_path=_EFFORT,
    tool_choices=("auto", "any"),
    forced_with_thinking=False,
    native_schema=True,
    strict_tools=True,
)
_DEEPSEEK_ROWS: tuple[Row, ...] = (
    row(
        _DEEPSEEK,
        "DeepSeek-R1",
        "deepseek.r1",
        replay="own",  # its makers leave reasoning out of the history; recorded traffic sends its own back
        thinking="none",
        thinking_default=True,
        thinking_off="never",
        tools=False,
        tool_choices=(),
        stream_with_tools=False,
        max_output=32_768,
    ),
    row(
        _V3,
        "DeepSeek-V3.2",
        "deepseek.v3.2",
        stop_sequences=False,
        max_output=163_840,
    ),
    row(_V3, "DeepSeek-V3.1", "deepseek.v3-v1", "deepseek.v3.1", max_output=81_920),
)

# ------------------------------------------------------------------------------------------------------------- Qwen

_QWEN = changed(
    _OTHER,
    family="qwen",
    refused_in_results=("image", "document", "video"),
    top_k=("top_k",),
    leading_assistant=True,
    native_schema=True,
    strict_tools=True,
    schema_contains=False,
)
# Of the efforts only `high` reasons.
_QWEN_REASONING = changed(
    _QWEN, thinking="effort", efforts=("low", "high"), reasoning_path=("reasoning_config",), replay="unsigned"
)
_QWEN_3 = changed(_QWEN_REASONING, images=False, max_output=16_384)
_QWEN_ROWS: tuple[Row, ...] = (
    row(
        _QWEN_3,
        "Qwen3 32B",
        "qwen.qwen3-32b",
        stop_sequences=False,
    ),
    row(_QWEN_3, "Qwen3 235B and Next", "qwen.qwen3-235b", "qwen.qwen3-next"),
    row(_QWEN, "Qwen3-Coder", "qwen.qwen3-coder", thinking="none", replay="none", images=False, max_output=65_536),
    row(
        _QWEN_REASONING,
        "Qwen3-VL",
        "qwen.qwen3-vl",
        stop_sequences=False,
        max_output=8192,
    ),
)

# ------------------------------------------------------------------------------------------- MiniMax, NVIDIA, Google

_MINIMAX = changed(
    _OTHER,
    family="minimax",
    thinking_default=True,
    native_schema=True,
    strict_tools=True,
    replay="unsigned",
    images=False,
)
_MINIMAX_ROWS: tuple[Row, ...] = (
    row(_MINIMAX, "MiniMax M2", "minimax.minimax-m2", "minimax.minimax-m2.", max_output=8192),
)

_NEMOTRON = changed(_OTHER, family="nemotron")
_NANO = changed(
    _NEMOTRON,
    thinking="none",
    replay="none",
    stop_sequences=False,
    native_schema=True,
    strict_tools=True,
)
_NEMOTRON_ROWS: tuple[Row, ...] = (
    row(_NANO, "Nemotron Nano", "nvidia.nemotron-nano", max_output=8192),
    row(_NEMOTRON, "Nemotron Super", "nvidia.nemotron-super", images=False, max_output=32_000),
)

_GEMMA = changed(
    _PLAIN,
    family="gemma",
    stop_sequences=False,
    schema_contains=False,
    max_output=8000,
)
_GEMMA_ROWS: tuple[Row, ...] = (
    row(_GEMMA, "Gemma 3 4B", "google.gemma-3-4b"),
    row(_GEMMA, "Gemma 3 12B and 27B", "google.gemma-3-12b", "google.gemma-3-27b", native_schema=True),
    row(
        ModelFacts(family="gemma", cache=False, citations=False),
        "Gemma 4",
        "google.gemma-4",
        mantle="chat",
        refused=MANTLE.format("google.gemma-3-27b-it"),
    ),
)

# --------------------------------------------------------------------------------- Cohere, AI21, Writer, TwelveLabs

_WITHOUT_TOOLS = changed(_PLAIN, tools=False, tool_choices=(), stream_with_tools=False, images=False)
_AI21_ROWS: tuple[Row, ...] = (
    row(
        _PLAIN,
        "Jamba 1.5",
        "ai21.jamba-1-5",
        family="ai21",
        tool_choices=("auto",),
        images=False,
        max_output=4096,
    ),
    row(_WITHOUT_TOOLS, "Jamba-Instruct", "ai21.jamba-instruct", family="ai21"),
    row(_WITHOUT_TOOLS, "Jurassic-2", "ai21.j2", family="ai21", system=False),
)

_PALMYRA = changed(_PLAIN, family="palmyra", results_alone=True)
_WRITER_ROWS: tuple[Row, ...] = (
    row(_PALMYRA, "Palmyra X4 and X5", "writer.palmyra-x", tool_status=False, images=False, max_output=8192),
    row(_PALMYRA, "Palmyra Vision", "writer.palmyra-vision", max_output=4096),
)

_PEGASUS = "takes no conversation, only InvokeModel bodies of its own; use invoke or invoke_stream"

OTHERS: tuple[Row, ...] = (
    *_GROK_ROWS,
    unknown_row(_GROK_ROWS[-1].facts, _GROK_ROWS, "a newer Grok", "xai.grok"),
    *_KIMI_ROWS,
    unknown_row(_K3_1, _KIMI_ROWS, "a newer Kimi", "moonshotai.kimi", "moonshot.kimi"),
    *_GLM_ROWS,
    unknown_row(_GLM_5_3, _GLM_ROWS, "another GLM", "zai.glm"),
    *_DEEPSEEK_ROWS,
    unknown_row(_V3, _DEEPSEEK_ROWS, "another DeepSeek model", "deepseek."),
    *_QWEN_ROWS,
    unknown_row(_QWEN_3, _QWEN_ROWS, "another Qwen model", "qwen."),
    *_MINIMAX_ROWS,
    unknown_row(_MINIMAX, _MINIMAX_ROWS, "another MiniMax model", "minimax.minimax"),
    *_NEMOTRON_ROWS,
    unknown_row(_NANO, _NEMOTRON_ROWS, "another Nemotron", "nvidia.nemotron"),
    *_GEMMA_ROWS,
    unknown_row(_GEMMA, _GEMMA_ROWS, "a newer Gemma", "google.gemma"),
    row(
        _PLAIN,
        "Command R and R+",
        "cohere.command-r",
        family="command-r",
        top_k=("k",),
        tool_choices=("auto",),
        images=False,
        max_output=4000,
    ),
    row(_WITHOUT_TOOLS, "Command", "cohere.command-text", "cohere.command-light-text", system=False, max_output=4096),
    *_AI21_ROWS,
    unknown_row(_AI21_ROWS[0].facts, _AI21_ROWS, "another AI21 model", "ai21."),
    *_WRITER_ROWS,
    unknown_row(_PALMYRA, _WRITER_ROWS, "another Writer model", "writer."),
    row(ModelFacts(family="pegasus", refused=_PEGASUS), "Pegasus", "twelvelabs.pegasus"),
)
