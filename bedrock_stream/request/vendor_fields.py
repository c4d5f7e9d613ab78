"""Map options that each model spells differently to additional fields of the request.

Both routes send the same fields: Converse in `additionalModelRequestFields`, a native body at its top level. The fields
in the caller's `additional_model_request_fields` take precedence.
Source: the families' parameter pages in the Bedrock user guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..types.options import Options
from .models import Model
from .reasoning import nested, reasoning_fields

__all__ = ("with_default_limit", "with_vendor_fields")

# What a budget of thinking leaves for the answer in Claude's native format, which needs a `max_tokens`.
_ANSWER_TOKENS = 4096


def with_vendor_fields(model: Model, options: Options) -> Options:
    """Return the options with `top_k`, `reasoning` and `anthropic_beta` added to the additional fields.

    The options have passed `supported.check_options`.
    """
    fields: dict[str, Any] = {}
    if options.top_k is not None:
        fields = _top_k(model, options.top_k)
    if options.reasoning is not None:
        fields = _merged(fields, reasoning_fields(model, options.reasoning))
    if options.anthropic_beta:
        fields["anthropic_beta"] = list(options.anthropic_beta)
    if fields:
        own = options.additional_model_request_fields or {}
        options = msgspec.structs.replace(options, additional_model_request_fields=_merged(fields, own))
    return options


def _top_k(model: Model, value: int) -> dict[str, Any]:
    # `inferenceConfig` of Converse has no top_k, so each family has a field of its own for it. Without a known field
    # the option comes here only with unsupported="send": under the name that most models use.
    *parents, name = model.facts.top_k or ("top_k",)
    return nested(parents, {name: value})


def _merged(fields: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, objects merged member by member; `own` takes precedence.

    An object of another `type` is another kind of value, so it replaces the first one.
    """
    merged = {**fields, **own}
    for name in fields.keys() & own.keys():
        ours, theirs = fields[name], own[name]
        if isinstance(ours, dict) and isinstance(theirs, Mapping):
            same = "type" not in theirs or theirs["type"] == ours.get("type", theirs["type"])
            merged[name] = _merged(ours, theirs) if same else theirs
    return merged


def with_default_limit(model: Model, options: Options) -> Options:
    """Return the options for a native body: with the `max_tokens` that Claude's format needs, if the caller set none.

    Reasoning and answer share this limit. On Converse nothing is sent: the service then takes the model's maximum.
    """
    facts = model.facts
    if options.max_tokens is not None or facts.native != "anthropic":
        return options
    thinking = (options.additional_model_request_fields or {}).get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    if facts.default_max_tokens is None and (not isinstance(budget, int) or facts.max_output is None):
        return options  # the dialect has a default of its own
    limit = (facts.default_max_tokens or _ANSWER_TOKENS) + (budget if isinstance(budget, int) else 0)
    if facts.max_output is not None:
        limit = min(limit, facts.max_output)
    return msgspec.structs.replace(options, max_tokens=limit)
