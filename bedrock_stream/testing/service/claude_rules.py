"""The rules of the Claude models, on every route: thinking, sampling, tool choice, replayed thinking, the last turn.

The checks read Converse bodies. The messages are Claude's own, after the prefix that the route adds to them.
"""

from __future__ import annotations

from typing import Any

from .cache_rules import check_cache_limits
from .model_rules import Rules
from .refusal import extraneous, invalid, quoted

__all__ = ("check_claude",)

_MIN_BUDGET = 1024  # tokens
_MILD_EFFORTS = ("low", "medium", "high")
_THINKING_BESIDE_FORCED = "Thinking may not be enabled when tool_choice forces tool use."
_NO_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."


def check_claude(body: dict[str, Any], rules: Rules, prefix: str) -> None:
    """Check a Converse body against Claude's rules. Raises `Refusal`, its message beginning with `prefix`."""
    fields = body.get("additionalModelRequestFields") or {}
    # `thinking` is the native name, `reasoning_config` the older one of Converse (Claude 3.7).
    thinking = fields.get("thinking") or fields.get("reasoning_config")
    check_cache_limits(body, prefix)
    _check_stops(body, prefix)
    thinking = thinking if isinstance(thinking, dict) else {}
    kind = thinking.get("type")
    if kind is not None:
        _check_type(thinking, rules, prefix)
    _check_effort(fields.get("output_config"), kind, rules, prefix)
    _check_sampling(body, kind, rules, prefix)
    if kind == "enabled":
        # Adaptive thinking has no budget.
        _check_budget(thinking.get("budget_tokens"), body.get("inferenceConfig", {}).get("maxTokens"), prefix)
    _check_choice(body, kind, rules, prefix)
    messages = body.get("messages") or []
    _check_replay(messages, prefix)
    if kind == "enabled":  # adaptive thinking has no such rule, by Anthropic's page on it
        _check_starts_with_thinking(messages, prefix)
    _check_last_turn(messages, rules, prefix)


def _check_stops(body: dict[str, Any], prefix: str) -> None:
    sequences = (body.get("inferenceConfig") or {}).get("stopSequences") or ()
    if any(not sequence.strip() for sequence in sequences):
        raise invalid(f"{prefix}stop_sequences: each stop sequence must contain non-whitespace")


# ------------------------------------------------------------------------------------------------------------ thinking


def _check_type(thinking: dict[str, Any], rules: Rules, prefix: str) -> None:
    kind = thinking.get("type")
    if kind == "between_tools" and "display" in thinking:
        raise invalid(f"{prefix}thinking.between_tools.display: Extra inputs are not permitted")
    if rules.thinking is None or kind in rules.thinking:
        return
    if kind == "enabled" and "adaptive" in rules.thinking:
        raise invalid(
            f'{prefix}"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
    if kind == "adaptive":
        raise invalid(f"{prefix}adaptive thinking is not supported on this model")
    if kind == "enabled":
        raise invalid(f"{prefix}thinking: Extra inputs are not permitted")
    raise invalid(f'{prefix}"thinking.type.{kind}" is not supported for this model.')


def _check_effort(config: Any, kind: str | None, rules: Rules, prefix: str) -> None:
    effort = config.get("effort") if isinstance(config, dict) else None
    if effort is None or rules.claude_efforts is None:
        return
    if not rules.claude_efforts:
        raise invalid(f"{prefix}This model does not support the effort parameter.")
    # Some models can be kept from thinking with an effort of `high` at most.
    off = rules.mild_off and kind in ("disabled", "between_tools")
    words = _MILD_EFFORTS if off else rules.claude_efforts
    if effort not in words:
        raise invalid(f"{prefix}output_config.effort: Input should be {quoted(words)}")


def _check_budget(budget: Any, limit: Any, prefix: str) -> None:
    if not isinstance(budget, int) or budget < _MIN_BUDGET:
        raise invalid(f"{prefix}thinking.enabled.budget_tokens: Input should be greater than or equal to {_MIN_BUDGET}")
    # The budget is part of max_tokens, so some tokens must be left for the answer.
    if limit is not None and limit <= budget:
        raise invalid(f"{prefix}`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_sampling(body: dict[str, Any], kind: str | None, rules: Rules, prefix: str) -> None:
    config = body.get("inferenceConfig") or {}
    top_k = (body.get("additionalModelRequestFields") or {}).get("top_k")
    temperature, top_p = config.get("temperature"), config.get("topP")
    if rules.deprecated_sampling:
        # The default values pass.
        values = {
            "temperature": temperature not in (None, 1),
            "top_p": top_p not in (None, 1),
            "top_k": top_k is not None,
        }
        for name, is_set in values.items():
            if is_set:
                raise invalid(f"{prefix}`{name}` is deprecated for this model.")
    if kind in ("enabled", "adaptive"):
        if temperature not in (None, 1):
            raise invalid(f"{prefix}`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.")
        if top_p is not None and top_p < 0.95:
            raise invalid(f"{prefix}`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
        if top_k is not None:
            raise invalid(f"{prefix}`top_k` must be unset when thinking is enabled.")
    if not rules.both_samplings and temperature is not None and top_p is not None:
        raise invalid(
            f"{prefix}`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        )


# --------------------------------------------------------------------------------------------------------- tool choice


def _check_choice(body: dict[str, Any], kind: str | None, rules: Rules, prefix: str) -> None:
    choice = (body.get("toolConfig") or {}).get("toolChoice") or {}
    native = (body.get("additionalModelRequestFields") or {}).get("tool_choice")
    named = native.get("type") if isinstance(native, dict) else None
    if choice and named is not None:
        # The choice can be made in one place only; a flag without a type may be beside it.
        raise extraneous("tool_choice", "#/additionalModelRequestFields")
    if not ({"any", "tool"} & {*choice, named}):
        return
    if not rules.forced_tools:
        raise invalid(f'{prefix}tool_choice: type "tool" and "any" are not supported for this model.')
    # Beside adaptive thinking a forced call is made without thinking.
    if kind == "enabled":
        raise invalid(f"{prefix}{_THINKING_BESIDE_FORCED}")


# ------------------------------------------------------------------------------------------------------------- history


def _check_replay(messages: list[dict[str, Any]], prefix: str) -> None:
    for position, message in enumerate(messages):
        for index, block in enumerate(message["content"]):
            text = block.get("reasoningContent", {}).get("reasoningText")
            if text is not None and not text.get("signature"):
                raise invalid(f"{prefix}messages.{position}.content.{index}.thinking.signature: Field required")


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


def _check_last_turn(messages: list[dict[str, Any]], rules: Rules, prefix: str) -> None:
    # A last turn of the assistant is a prefill, which Claude continues.
    if not messages or messages[-1].get("role") != "assistant":
        return
    content = messages[-1]["content"]
    # A turn that the service paused ends with a block of one of its own tools.
    last = content[-1] if content else {"text": ""}
    prefills = "text" in last or ("reasoningContent" in last and rules.prefill == "no")
    if prefills and rules.prefill in ("no", "text"):
        raise invalid(f"{prefix}{_NO_PREFILL}")
    text = last.get("text", "")
    if text != text.rstrip():
        raise invalid(f"{prefix}messages: final assistant content cannot end with trailing whitespace")
