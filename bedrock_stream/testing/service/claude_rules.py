"""The rules of the Claude models, on every route: settings that exclude thinking, cache points, the last turn.

The checks read Converse bodies. The messages are Claude's own, after the prefix that the route adds to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..answers.turns import sections
from .refusal import invalid

__all__ = ("check_cache_limits", "check_claude")

_MAX_CACHE_POINTS = 4
_MIN_BUDGET = 1024  # tokens


def check_claude(body: dict[str, Any], prefix: str) -> None:
    """Check a Converse body against Claude's rules. Raises `Refusal`, its message beginning with `prefix`."""
    check_cache_limits(body, prefix)
    _check_thinking(body, prefix)
    _check_last_turn(body.get("messages", []), prefix)


def check_cache_limits(body: dict[str, Any], prefix: str) -> None:
    """Check the number of cache points and the order of their TTLs. Raises `Refusal`."""
    points = list(_cache_points(body))
    if len(points) > _MAX_CACHE_POINTS:
        raise invalid(
            f"{prefix}A maximum of {_MAX_CACHE_POINTS} blocks with cache_control may be provided. Found {len(points)}."
        )
    short = False
    for path, ttl in points:
        # A cache point must not live longer than one before it.
        if ttl == "1h" and short:
            raise invalid(
                f"{prefix}{path}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: "
                "`tools`, `system`, `messages`."
            )
        short |= ttl != "1h"


def _cache_points(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, _, blocks in sections(body):
        # In Claude's format a cache point is a member of the block before it, so it does not count as a block.
        index = -1
        for block in blocks:
            if "cachePoint" in block:
                yield f"{path}.{index}", block["cachePoint"].get("ttl", "5m")
            else:
                index += 1


def _check_thinking(body: dict[str, Any], prefix: str) -> None:
    fields = body.get("additionalModelRequestFields", {})
    # `thinking` is the native name, `reasoning_config` the older one of Converse (Claude 3.7).
    thinking = fields.get("thinking") or fields.get("reasoning_config")
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "adaptive"):
        return
    config = body.get("inferenceConfig", {})
    # Adaptive thinking has no budget.
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
    _check_starts_with_thinking(body.get("messages", []), prefix)


def _check_budget(budget: Any, limit: Any, prefix: str) -> None:
    if not isinstance(budget, int) or budget < _MIN_BUDGET:
        raise invalid(f"{prefix}thinking.enabled.budget_tokens: Input should be greater than or equal to {_MIN_BUDGET}")
    # The budget is part of max_tokens, so some tokens must be left for the answer.
    if limit is not None and limit <= budget:
        raise invalid(f"{prefix}`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_starts_with_thinking(messages: list[dict[str, Any]], prefix: str) -> None:
    """Check that the turn whose tool calls are answered last begins with a thinking block. Raises `Refusal`."""
    if len(messages) < 2 or not any("toolResult" in block for block in messages[-1]["content"]):
        return
    position = len(messages) - 2
    first = messages[position]["content"][0]
    if "reasoningContent" not in first:
        kind = "tool_use" if "toolUse" in first else "text"
        raise invalid(
            f"{prefix}messages.{position}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
            f"`{kind}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block "
            "(preceding the lastmost set of `tool_use` and `tool_result` blocks)."
        )


def _check_last_turn(messages: list[dict[str, Any]], prefix: str) -> None:
    # A last turn of the assistant is a prefill, which Claude continues.
    if not messages or messages[-1].get("role") != "assistant" or not messages[-1]["content"]:
        return
    text = messages[-1]["content"][-1].get("text", "")
    if text != text.rstrip():
        raise invalid(f"{prefix}messages: final assistant content cannot end with trailing whitespace")
