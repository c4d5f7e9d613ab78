"""The emulator's own table of what each generation of models refuses, one row per generation, the first match wins.

It is written by hand from the service's answers and the makers' documentation. It shares nothing with the library's
table, so that the two cannot share a mistake. Where the sources disagree or nothing is known, a row accepts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from .families import maker_of

__all__ = ("Effort", "Rules", "rules_of")

_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Effort:
    """An effort of reasoning among the additional fields: its path and the words that are taken."""

    path: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What one generation refuses. The defaults, which unknown models get, refuse nothing."""

    fields: frozenset[str] = _NOTHING
    """Converse members that are refused by their name: `temperature`, `toolConfig.toolChoice.any`, `s3Uri`, ..."""
    additional: frozenset[str] = _NOTHING
    """Additional fields that are refused as extraneous keys."""
    unknown_parameters: frozenset[str] = _NOTHING
    """Additional fields that are refused in the words of OpenAI."""
    content: frozenset[str] = _NOTHING
    """Kinds of content that are refused everywhere."""
    result_content: frozenset[str] = _NOTHING
    """Kinds of content that are refused in tool results."""
    turn_content: frozenset[str] = _NOTHING
    """Kinds of content that are refused outside tool results."""
    beside_results: frozenset[str] = _NOTHING
    """Kinds of content that are refused beside tool results."""
    results_alone: bool = False
    """True if every other block beside tool results is refused."""
    citations: bool = True
    system: bool = True
    tools: bool = True
    tool_id: str | None = None
    """The pattern of tool-use ids, `claude` or `mistral`."""

    thinking: frozenset[str] | None = None
    """The types of Claude's `thinking` that are taken; None if that is not known."""
    claude_efforts: tuple[str, ...] | None = None
    """The words of `output_config.effort` that are taken; None if that is not known."""
    mild_off: bool = False
    """True if thinking can be switched off with an effort of `high` at most."""
    effort: Effort | None = None
    high_alone: bool = False
    """True if the effort `high` excludes the limit of tokens and all sampling settings."""
    prefill: Literal["yes", "text", "no", "unless reasoning"] = "yes"
    """`text`: a last turn of the assistant is refused, but one of reasoning alone passes."""
    replay: Literal["any", "signed", "unsigned", "none"] = "any"
    """The reasoning of earlier turns that is taken."""

    deprecated_sampling: bool = False
    """True if any temperature but 1, any `top_p` but 1 and any `top_k` is refused."""
    both_samplings: bool = True
    """False if temperature and `top_p` exclude each other."""
    forced_tools: bool = True
    """False if a Claude model refuses every tool choice that forces a call."""
    min_tokens: int = 1
    max_tokens: int | None = None
    schema: Literal["any", "subset", "no"] = "any"
    """The schemas of structured output that are taken: any, those of the constrained decoder's subset, or none."""
    strict: bool = True
    """False if `strict` of a tool is refused."""
    automatic_cache: bool = True
    """False if a Claude model refuses `cache_control` at the top of a native body."""
    cache: Literal["yes", "no access", "no field"] = "yes"
    """How cache points are refused: as an unsupported model or as an unsupported field."""
    cache_ttl: bool = True
    cache_with_tools: bool = True
    """False if cache points are refused after tools, tool calls and tool results."""
    count_tokens: bool = True


# -------------------------------------------------------------------------------------------------------------- Claude

# What all Claude models refuse, and so what a Claude model that is not in the table refuses.
_CLAUDE = Rules(
    fields=frozenset({"s3Uri"}),
    content=frozenset({"audio", "video"}),
    beside_results=frozenset({"document", "video"}),
    tool_id="claude",
    replay="signed",
)
_CLAUDE_3 = replace(
    _CLAUDE, thinking=frozenset({"disabled"}), claude_efforts=(), schema="no", strict=False, automatic_cache=False,
    max_tokens=4096,
)  # fmt: skip
_BUDGET = replace(_CLAUDE_3, thinking=frozenset({"enabled", "disabled"}))
_CLAUDE_45 = replace(_BUDGET, both_samplings=False, schema="subset", strict=True, max_tokens=64_000)
# `xhigh` on 4.6: the sources disagree.
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_CLAUDE_46 = replace(
    _CLAUDE_45, thinking=frozenset({"enabled", "adaptive", "disabled"}), claude_efforts=_EFFORTS, prefill="text",
    max_tokens=128_000,
)  # fmt: skip
# Native schemas were refused everywhere until October 2026 and are accepted by some models and accounts since.
_ADAPTIVE = replace(
    _CLAUDE_46, thinking=frozenset({"adaptive", "disabled"}), prefill="no", deprecated_sampling=True,
    both_samplings=True, automatic_cache=True, count_tokens=False,
)  # fmt: skip
_ALWAYS = replace(_ADAPTIVE, thinking=frozenset({"adaptive"}))
_BETWEEN = replace(_ADAPTIVE, thinking=frozenset({"adaptive", "between_tools"}), forced_tools=False, mild_off=True)

# ------------------------------------------------------------------------------------------------------- other makers

_ANY_TOOL = frozenset({"toolConfig.toolChoice.any", "toolConfig.toolChoice.tool"})
_TOOL = frozenset({"toolConfig.toolChoice.tool"})
_STOP = frozenset({"stopSequences"})
_SAMPLING = frozenset({"temperature", "topP"})
_MEDIA = frozenset({"image", "video"})
_VIDEO = frozenset({"video"})
_RESULT_MEDIA = frozenset({"document", "image", "video"})
_REASONING_FIELDS = frozenset({"reasoning", "reasoningConfig", "reasoning_config", "reasoning_effort", "thinking"})

# Models that see images, and models of text alone. `strict` is refused outside the list of native schemas.
_SEEING = Rules(content=_VIDEO, citations=False, cache="no access", schema="no", strict=False)
_READING = replace(_SEEING, content=_MEDIA)
_SEEING_SCHEMA = replace(_SEEING, schema="subset", strict=True)
_READING_SCHEMA = replace(_READING, schema="subset", strict=True)

_NOVA = Rules(
    citations=False,
    schema="no",
    strict=False,
    cache_ttl=False,
    cache_with_tools=False,
    additional=frozenset({"top_k"}),
)
_NOVA_1 = replace(_NOVA, additional=_NOVA.additional | {"reasoningConfig"}, replay="none", max_tokens=10_000)
_NOVA_2 = replace(
    _NOVA, replay="unsigned", effort=Effort(("reasoningConfig", "maxReasoningEffort"), ("low", "medium", "high")),
    high_alone=True, prefill="unless reasoning", max_tokens=65_535,
)  # fmt: skip
_GPT = replace(
    _SEEING, fields=_SAMPLING | _STOP, result_content=frozenset({"image"}), cache="no field", schema="subset",
    content=_VIDEO | {"audio"}, unknown_parameters=frozenset({"reasoning_effort", "top_k"}), min_tokens=16,
    max_tokens=128_000, effort=Effort(("reasoning", "effort"), ("none", *_EFFORTS)),
)  # fmt: skip
_GPT_THINKING = replace(_GPT, effort=Effort(("reasoning", "effort"), _EFFORTS))
_GPT_OSS = replace(
    _READING, fields=_STOP, content=_MEDIA | {"audio"}, replay="unsigned", max_tokens=128_000,
    effort=Effort(("reasoning_effort",), ("low", "medium", "high")),
)  # fmt: skip
_GROK = replace(
    _SEEING, fields=_SAMPLING | _STOP, additional=frozenset({"top_k"}), min_tokens=16, max_tokens=500_000,
    effort=Effort(("reasoning", "effort"), ("low", "medium", "high", "xhigh")),
)  # fmt: skip
_KIMI = replace(_SEEING_SCHEMA, result_content=_RESULT_MEDIA, max_tokens=16_000)
_KIMI_3 = replace(
    _KIMI, fields=_SAMPLING, cache="no field", min_tokens=16, max_tokens=131_072,
    effort=Effort(("reasoning_effort",), ("low", "high", "max")),
)  # fmt: skip
_KIMI_31 = replace(
    _KIMI,
    cache="no field",
    min_tokens=16,
    max_tokens=131_072,
    effort=Effort(("reasoning_effort",), ("none", *_EFFORTS)),
)
_GLM = replace(_READING_SCHEMA, fields=_TOOL | _STOP, max_tokens=128_000)
_GLM_53 = replace(_GLM, fields=_STOP, effort=Effort(("reasoning_effort",), _EFFORTS))
_DEEPSEEK = replace(_READING_SCHEMA, replay="unsigned", max_tokens=163_840)
_QWEN = replace(_READING_SCHEMA, result_content=_RESULT_MEDIA, max_tokens=16_384)
_MISTRAL = replace(_SEEING, results_alone=True, tool_id="mistral")
_LLAMA = replace(_SEEING, results_alone=True, additional=frozenset({"top_k"}), max_tokens=8192)
_WRITER = replace(_SEEING, results_alone=True, fields=frozenset({"status"}), max_tokens=8192)
_TITAN = replace(_READING, system=False, tools=False)

_NO_MINOR = r"(?!-\d{1,2}(?!\d))"  # a date has eight digits, a minor version at most two
_ROWS: tuple[tuple[str, Rules], ...] = (
    (r"anthropic\.claude-(v1|v2|instant)", replace(_CLAUDE_3, tools=False, content=_MEDIA | {"audio"},
                                                   cache="no field", max_tokens=8191)),
    (r"anthropic\.claude-3-(haiku|sonnet|opus)-", replace(_CLAUDE_3, cache="no field")),
    (r"anthropic\.claude-3-5-sonnet-20240620", _CLAUDE_3),
    (r"anthropic\.claude-3-5-", replace(_CLAUDE_3, max_tokens=8192)),
    (r"anthropic\.claude-3-7-sonnet", replace(_BUDGET, max_tokens=128_000)),
    (r"anthropic\.claude-sonnet-4-(2025|v)", replace(_BUDGET, max_tokens=64_000)),
    (r"anthropic\.claude-opus-4-(2025|v)", replace(_BUDGET, max_tokens=32_000)),
    (r"anthropic\.claude-opus-4-1-", replace(_BUDGET, both_samplings=False, max_tokens=32_000)),
    (r"anthropic\.claude-(sonnet|haiku)-4-5", _CLAUDE_45),
    (r"anthropic\.claude-opus-4-5", replace(_CLAUDE_45, claude_efforts=("low", "medium", "high"))),
    (r"anthropic\.claude-(opus|sonnet)-4-6", _CLAUDE_46),
    (r"anthropic\.claude-opus-4-[78]", _ADAPTIVE),
    (r"anthropic\.claude-sonnet-5-5", _BETWEEN),
    (r"anthropic\.claude-sonnet-5" + _NO_MINOR, _ADAPTIVE),
    (r"anthropic\.claude-opus-5-5", replace(_ALWAYS, forced_tools=False)),
    (r"anthropic\.claude-(opus-5|haiku-5-5)" + _NO_MINOR, replace(_ADAPTIVE, mild_off=True)),
    (r"anthropic\.claude-fable-5-[12]", replace(_ALWAYS, forced_tools=False, strict=False)),
    (r"anthropic\.claude-fable-5" + _NO_MINOR, replace(_ALWAYS, schema="no", strict=False)),
    (r"anthropic\.claude-mythos-preview", replace(_ALWAYS, schema="no", strict=False)),
    (r"anthropic\.claude-mythos-5-[12]", replace(_ALWAYS, forced_tools=False)),
    (r"anthropic\.claude-mythos-5" + _NO_MINOR, _ALWAYS),
    (r"anthropic\.claude-", _CLAUDE),
    (r"amazon\.nova-micro-", replace(_NOVA_1, content=_MEDIA | {"document"})),
    (r"amazon\.nova-(lite|pro|premier)-", _NOVA_1),
    (r"amazon\.nova-2-(lite|pro)", _NOVA_2),
    (r"amazon\.titan-text-lite", replace(_TITAN, max_tokens=4000)),
    (r"amazon\.titan-text-express", replace(_TITAN, max_tokens=8000)),
    (r"amazon\.titan-text", replace(_TITAN, content=_MEDIA | {"document"}, max_tokens=32_000)),
    (r"openai\.gpt-(5\.[45]|5\.6-(sol|terra|luna)|6-(sol|luna)|6\.1-terra)", _GPT),
    (r"openai\.gpt-(6-astra|6\.1-sol)", _GPT_THINKING),
    (r"openai\.gpt-oss-safeguard", replace(_GPT_OSS, fields=_NOTHING, schema="subset", replay="any", max_tokens=None)),
    (r"openai\.gpt-oss-(20b|120b)", _GPT_OSS),
    (r"xai\.grok-4\.6", _GROK),
    (r"xai\.grok-4\.7", replace(_GROK, schema="subset", max_tokens=524_288)),
    (r"moonshot(ai)?\.kimi-k2-thinking", replace(_KIMI, content=_MEDIA)),
    (r"moonshotai\.kimi-k2\.5", _KIMI),
    (r"moonshotai\.kimi-k3\.1", _KIMI_31),
    (r"moonshotai\.kimi-k3(?!\.)", _KIMI_3),
    (r"zai\.glm-(4\.7|5(?!\.))", _GLM),
    (r"zai\.glm-5\.3", _GLM_53),
    (r"deepseek\.r1", replace(_READING, tools=False, additional=_REASONING_FIELDS, replay="unsigned",
                              max_tokens=32_768)),
    (r"deepseek\.v3\.2", replace(_DEEPSEEK, fields=_STOP)),
    (r"deepseek\.v3(-v1|\.1)", replace(_DEEPSEEK, max_tokens=81_920)),
    (r"qwen\.qwen3-32b", replace(_QWEN, fields=_STOP)),
    (r"qwen\.qwen3-(235b|next)", _QWEN),
    (r"qwen\.qwen3-coder", replace(_QWEN, max_tokens=65_536)),
    (r"qwen\.qwen3-vl", replace(_QWEN, content=_VIDEO, fields=_STOP, max_tokens=8192)),
    (r"minimax\.minimax-m2", replace(_READING_SCHEMA, max_tokens=8192)),
    (r"nvidia\.nemotron-nano", replace(_SEEING_SCHEMA, fields=_STOP, max_tokens=8192)),
    (r"nvidia\.nemotron-super", replace(_READING, max_tokens=32_000)),
    (r"google\.gemma-3-4b", replace(_SEEING, fields=_STOP, max_tokens=8000)),
    (r"google\.gemma-3", replace(_SEEING_SCHEMA, fields=_STOP, max_tokens=8000)),
    (r"mistral\.mi(s|x)tral-(7b|8x7b)", replace(_MISTRAL, content=_MEDIA, system=False, tools=False, max_tokens=4096)),
    (r"mistral\.mistral-(large|small)-24", replace(_MISTRAL, content=_MEDIA, fields=_TOOL, max_tokens=8192,
                                                   additional=frozenset({"top_k"}))),
    # Recorded conversations with Pixtral and Devstral have ids of other forms.
    (r"mistral\.pixtral", replace(_MISTRAL, fields=_TOOL, tool_id=None, turn_content=frozenset({"document"}),
                                   result_content=frozenset({"image"}), max_tokens=16_000)),
    (r"mistral\.mistral-large-3", replace(_MISTRAL, schema="subset", strict=True, max_tokens=32_000)),
    (r"mistral\.devstral", replace(_MISTRAL, tool_id=None, strict=True, max_tokens=32_768)),
    (r"mistral\.(ministral-3|magistral|voxtral)", replace(_MISTRAL, schema="subset", strict=True, max_tokens=40_960)),
    (r"meta\.llama(2-|3-(8b|70b))", replace(_LLAMA, content=_MEDIA, tools=False, max_tokens=2048)),
    (r"meta\.llama3-[13]-", replace(_LLAMA, content=_MEDIA, fields=_ANY_TOOL)),
    (r"meta\.llama3-2-(1b|3b)", replace(_LLAMA, content=_MEDIA, tools=False)),
    (r"meta\.llama3-2-(11b|90b)", replace(_LLAMA, fields=_ANY_TOOL)),
    (r"meta\.llama4", replace(_LLAMA, fields=_ANY_TOOL, result_content=_VIDEO, max_tokens=8000)),
    (r"cohere\.command-r", replace(_READING, fields=_ANY_TOOL, max_tokens=4000)),
    (r"cohere\.command-(light-)?text", replace(_READING, system=False, tools=False, max_tokens=4096)),
    (r"ai21\.jamba-1-5", replace(_READING, fields=_TOOL, max_tokens=4096)),
    (r"ai21\.j2", replace(_READING, system=False, tools=False)),
    (r"ai21\.jamba-instruct", replace(_READING, tools=False)),
    (r"writer\.palmyra-x", replace(_WRITER, content=_MEDIA)),
    (r"writer\.palmyra-vision", replace(_WRITER, fields=_NOTHING)),
)  # fmt: skip
_TABLE = tuple((re.compile(pattern), rules) for pattern, rules in _ROWS)


def rules_of(model: str) -> Rules:
    """Return the rules of a model id, a profile's id or an ARN. An unknown model gets rules that refuse nothing."""
    maker, name = maker_of(model)
    base = f"{maker}.{name}"
    return next((rules for pattern, rules in _TABLE if pattern.match(base)), Rules())
