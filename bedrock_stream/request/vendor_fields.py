"""Options that each family of models spells its own way, turned into additional fields of the request.

The same fields serve both routes: Converse takes them as `additionalModelRequestFields`, a native body as members of
its own. What the caller says in `additional_model_request_fields` goes before what is made here.
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

_MINIMUM_BUDGET = 1024  # tokens; Claude refuses less
_LOWEST_TOP_P = 0.95  # beside thinking
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
# The date that follows has eight digits and is no part of the version.
_CLAUDE_VERSION = re.compile(r"claude-[a-z]+-(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
_ADAPTIVE_SINCE = (4, 6)  # from there on Claude decides itself how long to think, guided by an effort


def with_vendor_fields(model: Model, options: Options) -> Options:
    """The options with `top_k`, `reasoning` and `anthropic_beta` moved into the additional fields.

    Raises `ConfigurationError` for options that exclude each other, `UnsupportedOperation` where the family has no such
    thing.
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
    given = options.additional_model_request_fields or {}
    return msgspec.structs.replace(options, additional_model_request_fields={**fields, **given})


def _top_k(model: Model, value: int) -> dict[str, Any]:
    match model.family:
        case "claude" | "mistral" | "qwen" | "deepseek":
            return {"top_k": value}
        case "command-r":
            return {"k": value}
        case "nova":
            return {"inferenceConfig": {"topK": value}}
    raise UnsupportedOperation(
        "top_k", f"{model.id!r} is not known to take it", "leave it out, or use additional_model_request_fields"
    )


def _reasoning(model: Model, options: Options) -> dict[str, Any]:
    write = _REASONING.get(model.family or "")
    if write is None:
        raise UnsupportedOperation(
            "reasoning", f"{model.id!r} is not known to take it", "leave it out, or use additional_model_request_fields"
        )
    return write(model, options)


def _claude(model: Model, options: Options) -> dict[str, Any]:
    reasoning = options.reasoning
    if reasoning == "none":
        return {"thinking": {"type": "disabled"}}
    _check_claude(options)
    version = _CLAUDE_VERSION.search(model.base)
    adaptive = version is not None and (int(version[1]), int(version[2] or 0)) >= _ADAPTIVE_SINCE
    if isinstance(reasoning, str) and adaptive:
        effort = {"minimal": "low"}.get(reasoning, reasoning)
        return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}}
    budget = _BUDGETS[reasoning] if isinstance(reasoning, str) else reasoning or _MINIMUM_BUDGET
    if budget < _MINIMUM_BUDGET:
        raise ConfigurationError(
            "reasoning", f"a budget of {budget} tokens is too small", f"give {_MINIMUM_BUDGET} or more"
        )
    if options.max_tokens is not None and options.max_tokens <= budget:
        raise ConfigurationError(
            "max_tokens",
            f"{options.max_tokens} leaves no room for an answer behind {budget} tokens of reasoning",
            f"give more than {budget}, or a smaller reasoning=",
        )
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _check_claude(options: Options) -> None:
    if options.temperature not in (None, 1):
        raise ConfigurationError("temperature", f"{options.temperature:g} excludes reasoning", "leave one of them out")
    if options.top_p is not None and options.top_p < _LOWEST_TOP_P:
        raise ConfigurationError("top_p", f"{options.top_p:g} excludes reasoning", f"give {_LOWEST_TOP_P} or more")
    if options.top_k is not None:
        raise ConfigurationError("top_k", f"{options.top_k} excludes reasoning", "leave one of them out")
    choice = options.tool_choice
    if choice is not None and choice not in ("auto", "none") and choice != {"auto": {}}:
        raise ConfigurationError("tool_choice", f"{choice!r} excludes reasoning", 'use "auto", or leave reasoning out')


def _effort(field: Callable[[str], dict[str, Any]], *allowed: str) -> Callable[[Model, Options], dict[str, Any]]:
    """A family that takes a word."""

    def write(model: Model, options: Options) -> dict[str, Any]:
        if options.reasoning not in allowed:
            raise ConfigurationError(
                "reasoning", f"{options.reasoning!r} is not offered by {model.id}", f"use {', '.join(allowed)}"
            )
        return field(str(options.reasoning))

    return write


_REASONING: dict[str, Callable[[Model, Options], dict[str, Any]]] = {
    "claude": _claude,
    "gpt-oss": _effort(lambda word: {"reasoning_effort": word}, "low", "medium", "high"),
    "nova": _effort(
        lambda word: {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}}, "low", "medium", "high"
    ),
    "qwen": _effort(lambda word: {"reasoning_config": word}, "low", "high"),
}


def _claude_only(model: Model, option: str) -> None:
    if model.family not in ("claude", None):
        raise UnsupportedOperation(option, f"{model.id!r} is not one of Anthropic's models", "leave it out")
