"""Anthropic's models: one row for each generation of Claude.

Sources: Anthropic's pages on models, thinking, effort and tool use; AWS's pages on adaptive thinking, structured
output, prompt caching and the burndown of quotas; live answers of the service.
"""

from __future__ import annotations

from ...types.model_facts import ModelFacts
from .rows import Row, changed, row

__all__ = ("CLAUDE",)

_ID = "anthropic.claude-"

# Thinking and answer share `max_tokens`, so a model that thinks needs room for both. More than this would reserve too
# much of a quota, which is charged with `max_tokens` when a call begins.
_ROOM = 32_000

# Budgets are counted in tokens; the words stand for budgets.
_WORDS = ("minimal", "low", "medium", "high", "xhigh", "max")

_OLD = ModelFacts(
    family="claude",
    native="anthropic",
    thinking="none",
    top_k=("top_k",),
    blank_stop_sequences=False,
    tool_choice_field=True,
    tool_id="claude",
    final_white_space=False,
    replay="signed",
    schema_contains=False,
    cache=True,
    video=False,
    s3_images=False,
)

# From 3.7 on: thinking by a budget, which excludes a forced tool call.
_BUDGET = changed(
    _OLD,
    thinking="budget",
    takes_budget=True,
    efforts=_WORDS,
    forced_with_thinking=False,
    forced_with_budget=False,
    cache_min_tokens=1024,
    count_tokens=True,
    burndown=5,
)

# 4.5: temperature and top_p exclude each other (since Opus 4.1), output follows a schema, caches last an hour.
_FOUR_FIVE = changed(
    _BUDGET, temperature_with_top_p=False, native_schema=True, strict_tools=True, cache_one_hour=True, max_output=64_000
)

# 4.6: adaptive thinking, guided by an effort; budgets are deprecated. No prefill. The wire has no `xhigh` yet.
_FOUR_SIX = changed(
    _FOUR_FIVE,
    thinking="adaptive",
    efforts=_WORDS,
    effort_words={"minimal": "low", "xhigh": "max"},
    forced_with_thinking=True,
    prefill=False,
    max_output=128_000,
    default_max_tokens=_ROOM,
)

# From 4.7 on: adaptive thinking alone, no sampling parameters but a temperature of 1. Output schemas and strict tools
# were refused on most accounts, so structured output uses a tool.
_ADAPTIVE = changed(
    _FOUR_SIX,
    takes_budget=False,
    effort_words={"minimal": "low"},
    temperature="one",
    top_p=False,
    top_k=None,
    native_schema=False,
    strict_tools=False,
    count_tokens=False,
    cache_min_tokens=1024,
)

# 5: thinks without being told to.
_FIVE = changed(_ADAPTIVE, thinking_default=True, thinking_off="disabled", cache_min_tokens=512)

# Fable and Mythos: thinking cannot be switched off.
_ALWAYS = changed(_FIVE, thinking_off="never")

# 5.1 and newer, except Haiku 5.5: a tool choice must not force a call.
_UNFORCED = {"tool_choices": ("auto",)}

_CLAUDE_2 = row(
    _OLD,
    "Claude 2 and Instant",
    f"{_ID}v1",
    f"{_ID}v2",
    f"{_ID}instant",
    tools=False,
    tool_choices=(),
    tool_choice_field=False,
    stream_with_tools=False,
    images=False,
    cache=False,
    max_output=8191,
)

# As Opus 5.5, but thinking may be switched off, which is done by leaving it out. Each fact holds for every Claude since
# 4.7 or for the newest; a field that is refused costs a call, and a missing one costs little.
_NEWER = changed(_FIVE, thinking_off="omit", count_tokens=None, **_UNFORCED)

# Converse does not serve it.
_MYTHOS = changed(_ALWAYS, mantle="messages")

CLAUDE: tuple[Row, ...] = (
    _CLAUDE_2,
    row(_OLD, "Claude 3.5 Haiku", f"{_ID}3-5-haiku", max_output=8192, cache_min_tokens=2048, count_tokens=True),
    row(_OLD, "Claude 3.5 Sonnet", f"{_ID}3-5-", max_output=8192, cache_min_tokens=1024, count_tokens=True),
    # 128 000 tokens need the beta `output-128k`; the limit without it is 64 000.
    row(_BUDGET, "Claude 3.7 Sonnet", f"{_ID}3-7-sonnet", max_output=128_000),
    row(_OLD, "Claude 3", f"{_ID}3-haiku", f"{_ID}3-sonnet", f"{_ID}3-opus", cache=False, max_output=4096),
    row(_BUDGET, "Claude Opus 4.1", f"{_ID}opus-4-1", temperature_with_top_p=False, max_output=32_000),
    row(_FOUR_FIVE, "Claude Sonnet 4.5", f"{_ID}sonnet-4-5"),
    row(_FOUR_FIVE, "Claude Haiku 4.5", f"{_ID}haiku-4-5", cache_min_tokens=4096),
    row(_FOUR_FIVE, "Claude Opus 4.5", f"{_ID}opus-4-5", cache_min_tokens=4096),
    row(_FOUR_SIX, "Claude Opus 4.6", f"{_ID}opus-4-6", cache_min_tokens=4096),
    row(_FOUR_SIX, "Claude Sonnet 4.6", f"{_ID}sonnet-4-6"),
    row(_ADAPTIVE, "Claude Opus 4.7", f"{_ID}opus-4-7", cache_min_tokens=2048),
    row(_ADAPTIVE, "Claude Opus 4.8", f"{_ID}opus-4-8"),
    row(_BUDGET, "Claude Sonnet 4", f"{_ID}sonnet-4", max_output=64_000),
    row(_BUDGET, "Claude Opus 4", f"{_ID}opus-4", max_output=32_000),
    row(_ALWAYS, "Claude Opus 5.5", f"{_ID}opus-5-5", binds_thinking=True, **_UNFORCED),
    # `between_tools` is the only type that switches the thinking before an answer off.
    row(
        _FIVE,
        "Claude Sonnet 5.5",
        f"{_ID}sonnet-5-5",
        thinking_off="between_tools",
        binds_thinking=True,
        **_UNFORCED,
    ),
    row(_FIVE, "Claude Haiku 5.5", f"{_ID}haiku-5-5", binds_thinking=True),
    row(_FIVE, "Claude Sonnet 5", f"{_ID}sonnet-5", cache_min_tokens=1024),
    row(_FIVE, "Claude Opus 5", f"{_ID}opus-5"),
    row(
        _ALWAYS,
        "Claude Fable 5.1 and 5.2",
        f"{_ID}fable-5-1",
        f"{_ID}fable-5-2",
        binds_thinking=True,
        **_UNFORCED,
    ),
    row(_ALWAYS, "Claude Fable 5", f"{_ID}fable-5"),
    row(_MYTHOS, "Claude Mythos Preview", f"{_ID}mythos-preview"),
    row(_MYTHOS, "Claude Mythos 5.1 and 5.2", f"{_ID}mythos-5-1", f"{_ID}mythos-5-2", **_UNFORCED),
    row(_MYTHOS, "Claude Mythos 5", f"{_ID}mythos-5"),
    Row((f"{_ID}mythos",), changed(_NEWER, name="a newer Claude Mythos", mantle="messages"), known=False),
    Row(("anthropic.claude",), changed(_NEWER, name="a newer Claude"), known=False),
)
