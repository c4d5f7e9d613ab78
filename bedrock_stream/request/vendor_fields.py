"""Map options that each model family spells differently to additional fields of the request.

Both routes send the same fields: Converse in `additionalModelRequestFields`, a native body at its top level. The fields
in the caller's `additional_model_request_fields` take precedence.
Source: the families' parameter pages in the Bedrock user guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from ..errors import ConfigurationError, UnsupportedOperation
from ..types.options import Options
from .models import Model

__all__ = ("with_vendor_fields",)

_MIN_BUDGET = 1024  # tokens; Claude rejects smaller budgets
_MIN_TOP_P = 0.95  # with thinking
# Tokens for each effort, for the versions of Claude that know budgets only.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
# claude-<name>-<major>[-<minor>][-<date>]: the date has eight digits, a version number at most two.
_CLAUDE_VERSION = re.compile(r"claude-[a-z]+-(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
_ADAPTIVE_SINCE = (4, 6)  # adaptive thinking: the model chooses the length, and `effort` guides it


def with_vendor_fields(model: Model, options: Options) -> Options:
    """Return the options with `top_k`, `reasoning` and `anthropic_beta` added to the additional fields.

    Raises `ConfigurationError` for options that cannot be combined, and `UnsupportedOperation` for an option that the
    family does not support.
    """
    fields: dict[str, Any] = {}
    if options.top_k is not None:
        fields |= _top_k(model, options.top_k)
    if options.reasoning is not None:
        fields |= _reasoning(model, options)
    if options.anthropic_beta:
        _claude_only(model, "anthropic_beta")
        fields["anthropic_beta"] = list(options.anthropic_beta)
    if not fields:
        return options
    own = options.additional_model_request_fields or {}
    return msgspec.structs.replace(options, additional_model_request_fields={**fields, **own})


def _top_k(model: Model, value: int) -> dict[str, Any]:
    # `inferenceConfig` of Converse has no top_k, so each family has a field of its own for it.
    match model.family:
        case "claude" | "mistral" | "qwen" | "deepseek":
            return {"top_k": value}
        case "command-r":
            return {"k": value}
        case "nova":
            return {"inferenceConfig": {"topK": value}}
    raise _unsupported("top_k", model)


def _reasoning(model: Model, options: Options) -> dict[str, Any]:
    build = _REASONING.get(model.family or "")
    if build is None:
        raise _unsupported("reasoning", model)
    return build(model, options)


def _unsupported(option: str, model: Model) -> UnsupportedOperation:
    return UnsupportedOperation(
        option, f"not known to be supported by {model.id!r}", "omit it, or use additional_model_request_fields"
    )


def _claude(model: Model, options: Options) -> dict[str, Any]:
    reasoning = options.reasoning
    if reasoning == "none":
        return {"thinking": {"type": "disabled"}}
    _check_claude(options)
    version = _CLAUDE_VERSION.search(model.base)
    adaptive = version is not None and (int(version[1]), int(version[2] or 0)) >= _ADAPTIVE_SINCE
    if isinstance(reasoning, str) and adaptive:
        # Newer models return no text of their thinking unless a summary is requested. The lowest effort is "low".
        effort = {"minimal": "low"}.get(reasoning, reasoning)
        return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}}
    budget = _BUDGETS[reasoning] if isinstance(reasoning, str) else reasoning or _MIN_BUDGET
    if budget < _MIN_BUDGET:
        problem = f"expected a budget of at least {_MIN_BUDGET} tokens, got {budget}"
        raise ConfigurationError("reasoning", problem, f"pass {_MIN_BUDGET} or more")
    # Thinking tokens count towards max_tokens.
    if options.max_tokens is not None and options.max_tokens <= budget:
        raise ConfigurationError(
            "max_tokens",
            f"expected more than the reasoning budget of {budget} tokens, got {options.max_tokens}",
            f"pass more than {budget}, or a smaller reasoning=",
        )
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _check_claude(options: Options) -> None:
    """Raise `ConfigurationError` for options that Claude rejects while thinking is enabled."""
    if options.temperature not in (None, 1):
        problem = f"expected 1 or None with reasoning, got {options.temperature:g}"
        raise ConfigurationError("temperature", problem, "omit one of them")
    if options.top_p is not None and options.top_p < _MIN_TOP_P:
        problem = f"expected at least {_MIN_TOP_P} with reasoning, got {options.top_p:g}"
        raise ConfigurationError("top_p", problem, f"pass {_MIN_TOP_P} or more")
    if options.top_k is not None:
        raise ConfigurationError("top_k", f"expected None with reasoning, got {options.top_k}", "omit one of them")
    # Thinking allows the tool choices auto and none only.
    choice = options.tool_choice
    if choice is not None and choice not in ("auto", "none") and choice != {"auto": {}}:
        problem = f"{choice!r} cannot be combined with reasoning"
        raise ConfigurationError("tool_choice", problem, 'use "auto", or omit reasoning')


def _effort(field: Callable[[str], dict[str, Any]], *allowed: str) -> Callable[[Model, Options], dict[str, Any]]:
    """Return the builder for a family that accepts an effort, but no budget of tokens."""

    def build(model: Model, options: Options) -> dict[str, Any]:
        if options.reasoning not in allowed:
            raise ConfigurationError(
                "reasoning", f"{options.reasoning!r} is not supported by {model.id!r}", f"use {', '.join(allowed)}"
            )
        return field(str(options.reasoning))

    return build


_REASONING: dict[str, Callable[[Model, Options], dict[str, Any]]] = {
    "claude": _claude,
    # gpt-oss always reasons: "none" is a validation error of the service.
    "gpt-oss": _effort(lambda effort: {"reasoning_effort": effort}, "low", "medium", "high"),
    # Only Nova 2 can reason, and it does not by default: without `reasoning` the field is omitted.
    "nova": _effort(
        lambda effort: {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}, "low", "medium", "high"
    ),
    "qwen": _effort(lambda effort: {"reasoning_config": effort}, "low", "high"),
}


def _claude_only(model: Model, option: str) -> None:
    # None: an application inference profile or a provisioned model, which may be a Claude model.
    if model.family not in ("claude", None):
        raise UnsupportedOperation(option, f"{model.id!r} is not an Anthropic model", "omit it")
