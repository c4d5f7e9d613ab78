"""What Claude itself refuses, on whichever route: thinking beside what excludes it, misplaced cache marks.

Bodies are looked at as Converse bodies. The words are Claude's, with what the route writes in front of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..answers.turns import sections
from .refusal import invalid

__all__ = ("check_cache_marks", "check_claude")

_MOST_MARKS = 4
_SMALLEST_BUDGET = 1024


def check_claude(body: dict[str, Any], prefix: str) -> None:
    """Raises `Refusal`, its message beginning with `prefix`."""
    check_cache_marks(body, prefix)
    _check_thinking(body, prefix)
    _check_last_turn(body.get("messages", []), prefix)


def check_cache_marks(body: dict[str, Any], prefix: str) -> None:
    """At most four, and none that lives longer than one in front of it. Raises `Refusal`."""
    marks = list(_cache_marks(body))
    if len(marks) > _MOST_MARKS:
        raise invalid(
            f"{prefix}A maximum of {_MOST_MARKS} blocks with cache_control may be provided. Found {len(marks)}."
        )
    short = False
    for place, ttl in marks:
        if ttl == "1h" and short:
            raise invalid(
                f"{prefix}{place}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: "
                "`tools`, `system`, `messages`."
            )
        short |= ttl != "1h"


def _cache_marks(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, _, blocks in sections(body):
        place = -1  # a cache point is no block of Claude's: it marks the one in front of it
        for block in blocks:
            if "cachePoint" in block:
                yield f"{path}.{place}", block["cachePoint"].get("ttl", "5m")
            else:
                place += 1


def _check_thinking(body: dict[str, Any], prefix: str) -> None:
    fields = body.get("additionalModelRequestFields", {})
    thinking = fields.get("thinking") or fields.get("reasoning_config")
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "adaptive"):
        return
    config = body.get("inferenceConfig", {})
    if thinking["type"] == "enabled":
        _check_budget(thinking.get("budget_tokens"), config.get("maxTokens"), prefix)
    if config.get("temperature", 1) != 1:
        raise invalid(f"{prefix}`temperature` may only be set to 1 when thinking is enabled.")
    if config.get("topP", 1) < 0.95:
        raise invalid(f"{prefix}`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if fields.get("top_k") is not None:
        raise invalid(f"{prefix}`top_k` must be unset when thinking is enabled.")
    choice = body.get("toolConfig", {}).get("toolChoice") or {}
    if "any" in choice or "tool" in choice:
        raise invalid(f"{prefix}Thinking may not be enabled when tool_choice forces tool use.")
    _check_thought_first(body.get("messages", []), prefix)


def _check_budget(budget: Any, limit: Any, prefix: str) -> None:
    if not isinstance(budget, int) or budget < _SMALLEST_BUDGET:
        raise invalid(
            f"{prefix}thinking.enabled.budget_tokens: Input should be greater than or equal to {_SMALLEST_BUDGET}"
        )
    if limit is not None and limit <= budget:
        raise invalid(f"{prefix}`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_thought_first(messages: list[dict[str, Any]], prefix: str) -> None:
    """A turn of tool calls that is being answered has to begin with the thinking that led to them."""
    if len(messages) < 2 or not any("toolResult" in block for block in messages[-1]["content"]):
        return
    position = len(messages) - 2
    first = messages[position]["content"][0]
    if "reasoningContent" not in first:
        found = "tool_use" if "toolUse" in first else "text"
        raise invalid(
            f"{prefix}messages.{position}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{found}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block "
            "(preceding the lastmost set of `tool_use` and `tool_result` blocks)."
        )


def _check_last_turn(messages: list[dict[str, Any]], prefix: str) -> None:
    if not messages or messages[-1].get("role") != "assistant" or not messages[-1]["content"]:
        return
    said = messages[-1]["content"][-1].get("text", "")
    if said != said.rstrip():
        raise invalid(f"{prefix}messages: final assistant content cannot end with trailing whitespace")
