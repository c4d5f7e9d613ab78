"""Check and write `reasoning`: the words and budgets of a call, as each model spells them.

Claude reasons by a budget in tokens or by adaptive thinking with an effort, other models by an effort. Both routes send
the same fields: Converse in `additionalModelRequestFields`, a native body at its top level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..errors import UnsupportedOperation
from ..types.options import Options
from .models import Model
from .unsupported import Refusals

__all__ = (
    "budget_of", "check_reasoning", "effort_of", "named", "nested", "reasoning_fields", "reasons",
    "uses_claude_thinking",
)  # fmt: skip

_MIN_BUDGET = 1024  # tokens; Claude refuses smaller budgets
# Tokens for each effort, for the versions of Claude that know budgets only.
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
_ELSEWHERE = "omit it, or use additional_model_request_fields"


def named(model: Model) -> str:
    """Return the model's id for a message, with the name of its generation if that is known."""
    return f"{model.id!r} ({model.facts.name})" if model.facts.family else f"{model.id!r}"


def reasons(model: Model, options: Options) -> bool:
    """Return whether the model reasons in this call, as far as `reasoning` and its own default say."""
    if options.reasoning is None:
        return model.facts.thinking_default
    return options.reasoning != "none" or model.facts.thinking_off == "never"


def uses_claude_thinking(model: Model, options: Options) -> bool:
    """Return whether the call turns Claude's thinking on, which restricts sampling and tool choices."""
    return model.facts.thinking in ("budget", "adaptive") and options.reasoning not in (None, "none")


def budget_of(model: Model, reasoning: str | int | None) -> int | None:
    """Return the budget in tokens that is sent for this value; None if none is sent."""
    if isinstance(reasoning, int):
        return reasoning if model.facts.thinking in ("budget", "adaptive") else None
    return _BUDGETS.get(reasoning or "") if model.facts.thinking == "budget" else None


def effort_of(model: Model, reasoning: str | int | None) -> str | int | None:
    """Return a word as the model spells it."""
    return model.facts.effort_words.get(reasoning, reasoning) if isinstance(reasoning, str) else reasoning


# ------------------------------------------------------------------------------------------------------------- checking


def check_reasoning(model: Model, options: Options, refusals: Refusals) -> Options:
    """Return the options, without `reasoning` if the model does not take it and `refusals` drops it.

    Raises `UnsupportedOperation` otherwise. With "send" it is raised as well if no way to write the value is known.
    """
    reasoning, facts = options.reasoning, model.facts
    if reasoning is None:
        return options
    if reasoning == "none":
        refusal = _refusal_of_none(model)
        if facts.thinking_default and facts.thinking_off == "omit":
            refusals.changed(f"reasoning='none' sends nothing: {named(model)} is not known to take a field for it")
    elif facts.thinking in ("unknown", "none"):
        refusal = (f"not known to be supported by {named(model)}", _ELSEWHERE)
        if refusals.mode == "send":
            raise UnsupportedOperation("reasoning", *refusal)
    else:
        refusal = _refusal_of_budget(model, reasoning) if isinstance(reasoning, int) else _refusal_of(model, reasoning)
    if refusal is not None and refusals.drops("reasoning", *refusal):
        return msgspec.structs.replace(options, reasoning=None)
    return _check_room(model, options, refusals)


def _words(model: Model) -> str:
    return ", ".join(model.facts.efforts or _BUDGETS)


def _refusal_of_none(model: Model) -> tuple[str, str] | None:
    if model.facts.thinking == "unknown" or model.facts.thinking_off != "never":
        return None
    # Some models always reason, and take no field about it.
    remedy = "omit it" if model.facts.thinking == "none" else f"use {_words(model)}, or omit it"
    return f"'none' is not supported by {named(model)}, which always reasons", remedy


def _refusal_of(model: Model, word: str) -> tuple[str, str] | None:
    facts = model.facts
    # A budget is made of any word. Where no efforts are listed, the service decides.
    if facts.thinking == "budget" or not facts.efforts or word in facts.efforts or word in facts.effort_words:
        return None
    return f"{word!r} is not supported by {named(model)}", f"use {_words(model)}"


def _refusal_of_budget(model: Model, budget: int) -> tuple[str, str] | None:
    facts = model.facts
    if facts.thinking != "budget" and not facts.takes_budget:
        # A budget has no faithful effort, so none is chosen here.
        return f"{budget!r} is not supported by {named(model)}, which takes no budget", f"use {_words(model)}"
    if budget < _MIN_BUDGET:
        problem = f"expected a budget of at least {_MIN_BUDGET} tokens, got {budget}, for {named(model)}"
        return problem, f"pass {_MIN_BUDGET} or more"
    # Thinking tokens count towards max_tokens, which must exceed the budget.
    if facts.max_output is not None and budget >= facts.max_output:
        problem = f"expected a budget below the {facts.max_output} output tokens of {named(model)}, got {budget}"
        return problem, "pass less"
    return None


def _check_room(model: Model, options: Options, refusals: Refusals) -> Options:
    """Check that `max_tokens` exceeds the budget: thinking tokens count towards it."""
    budget = budget_of(model, options.reasoning)
    if budget is None or options.max_tokens is None or options.max_tokens > budget:
        return options
    problem = f"expected more than the reasoning budget of {budget} tokens, got {options.max_tokens}"
    remedy = f"pass more than {budget}, or a smaller reasoning="
    # A limit that the caller set is never lifted: if anything is left out, it is the reasoning.
    option = "reasoning" if refusals.mode == "drop" else "max_tokens"
    if refusals.drops(
        option, f"{problem}, for {named(model)}" if option == "max_tokens" else _no_room(options), remedy
    ):
        return msgspec.structs.replace(options, reasoning=None)
    return options


def _no_room(options: Options) -> str:
    return f"max_tokens={options.max_tokens} leaves no room for {options.reasoning!r}"


# -------------------------------------------------------------------------------------------------------------- writing


def reasoning_fields(model: Model, reasoning: str | int) -> dict[str, Any]:
    """Return the model's fields for a value that `check_reasoning` let pass."""
    if reasoning == "none":
        return _none_fields(model)
    budget = budget_of(model, reasoning)
    if budget is not None:
        return {"thinking": {"type": "enabled", "budget_tokens": budget}}
    effort = effort_of(model, reasoning)
    match model.facts.thinking:
        case "adaptive":
            # Newer models return no text of their thinking unless a summary is requested.
            return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}}
        case "effort":
            return _effort_fields(model, {model.facts.reasoning_path[-1]: effort, **model.facts.reasoning_beside})
    return {}


def _none_fields(model: Model) -> dict[str, Any]:
    off, thinking = model.facts.thinking_off, model.facts.thinking
    if off == "omit" or thinking in ("unknown", "none"):
        return {}
    if thinking == "effort":
        # "never" comes here only with unsupported="send".
        word = model.facts.effort_words.get("none", "none")
        members = {model.facts.reasoning_path[-1]: word} if off in ("none", "never") else {"type": off}
        return _effort_fields(model, members)
    # `between_tools` must be alone: the service refuses a `display` beside it.
    return {"thinking": {"type": "between_tools" if off == "between_tools" else "disabled"}}


def _effort_fields(model: Model, members: dict[str, Any]) -> dict[str, Any]:
    """Return members in the object that the effort is in."""
    return nested(model.facts.reasoning_path[:-1], members)


def nested(names: Sequence[str], fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields inside objects of these names, the outermost first."""
    for name in reversed(names):
        fields = {name: fields}
    return fields
