"""Checks a call's options against what the model takes: sampling, stop sequences, limits, tools and tool choices.

The fields of `extra` and `additional_model_request_fields` are the caller's own and are never checked.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..types.messages import Message, Raw, ToolCall
from ..types.options import Options
from .conversation.blocks import is_result
from .conversation.reasoning import is_replayable
from .models import Model
from .reasoning import budget_of, check_reasoning, effort_of, named, reasons, uses_claude_thinking
from .unsupported import Refusals

__all__ = ("check_last_message", "check_on_converse", "check_options", "check_thinking_turn")

_MIN_TOP_P = 0.95  # with Claude's thinking
_DEFAULTS = Options()


def check_options(model: Model, options: Options, refusals: Refusals) -> Options:
    """Return the options without those that the model refuses and `refusals` drops.

    Raises `UnsupportedOperation` for them otherwise.
    """
    for check in _CHECKS:
        options = check(model, options, refusals)
    return options


def check_last_message(
    model: Model, messages: tuple[Message, ...], options: Options, refusals: Refusals
) -> tuple[Message, ...]:
    """Return the messages, without a last one of the assistant if the model refuses it and `refusals` drops it.

    Raises `UnsupportedOperation` for it otherwise.
    """
    facts = model.facts
    reasoning = options.reasoning not in (None, "none") and not facts.prefill_with_reasoning
    taken = facts.prefill and not reasoning
    if taken or not messages or messages[-1].role != "assistant" or _is_paused(messages[-1]):
        return messages
    problem = f"{named(model)} does not take a last message of the assistant (prefill)"
    problem += " while it reasons" if facts.prefill else ""
    if refusals.drops(f"messages[{len(messages) - 1}]", problem, "end with a message of the user"):
        return messages[:-1]
    return messages


def check_thinking_turn(model: Model, messages: tuple[Message, ...], options: Options, refusals: Refusals) -> Options:
    """Return the options, without `reasoning` if the turn whose results are sent has no thinking that may go back.

    Claude refuses a budget beside such a turn. Raises `UnsupportedOperation` unless `refusals` drops or sends it.
    """
    if model.family != "claude" or budget_of(model, options.reasoning) is None:
        return options
    last = max((number for number, message in enumerate(messages) if message.role == "assistant"), default=None)
    if last is None or not any(is_result(block) for message in messages[last + 1 :] for block in message.content):
        return options
    if any(is_replayable(block) for block in messages[last].content):
        return options
    problem = f"{named(model)} takes no budget while the turn of the tool calls has no signed reasoning"
    if refusals.drops("reasoning", f"{problem}, messages[{last}]", "omit it until the calls are answered"):
        return _without(options, "reasoning")
    return options


def check_on_converse(model: Model, options: Options, refusals: Refusals) -> Options:
    """Return the options for Converse, without those that only the model's native format takes.

    Raises `UnsupportedOperation` for them unless `refusals` drops or sends them.
    """
    if not options.stop_sequences or model.facts.converse_stop_sequences:
        return options
    problem = f"Converse does not take it for {named(model)}"
    if refusals.drops("stop_sequences", problem, "omit it, or call without tools"):
        return _without(options, "stop_sequences")
    return options


def _is_paused(message: Message) -> bool:
    """Return whether a turn ends inside the service's own tools: it is sent back for the model to continue it."""
    return any(
        block.server if isinstance(block, ToolCall) else isinstance(block, Raw) and _is_server_call(block.value)
        for block in message.content
    )


def _is_server_call(wire: Any) -> bool:
    return str(wire.get("type", "")).endswith("_tool_use")


def _without(options: Options, *names: str) -> Options:
    return msgspec.structs.replace(options, **{name: getattr(_DEFAULTS, name) for name in names})


# ------------------------------------------------------------------------------------------------------------- sampling


def _check_temperature(model: Model, options: Options, refusals: Refusals) -> Options:
    value, taken = options.temperature, model.facts.temperature
    if value is None or taken == "any" or (taken == "one" and value == 1):
        return options
    expected = "1 or None" if taken == "one" else "None"
    if refusals.drops("temperature", f"expected {expected} for {named(model)}, got {value:g}"):
        return _without(options, "temperature")
    return options


def _check_top_p(model: Model, options: Options, refusals: Refusals) -> Options:
    value = options.top_p
    if value is None:
        return options
    if not model.facts.top_p:
        dropped = refusals.drops("top_p", f"is not supported by {named(model)}, got {value:g}")
    elif options.temperature is not None and not model.facts.temperature_with_top_p:
        dropped = refusals.drops("top_p", f"{named(model)} does not take it together with temperature", "omit one")
    else:
        return options
    return _without(options, "top_p") if dropped else options


def _check_top_k(model: Model, options: Options, refusals: Refusals) -> Options:
    if options.top_k is None or model.facts.top_k is not None:
        return options
    remedy = "omit it, or use additional_model_request_fields"
    if refusals.drops("top_k", f"not known to be supported by {named(model)}", remedy):
        return _without(options, "top_k")
    return options


def _check_sampling_with_thinking(model: Model, options: Options, refusals: Refusals) -> Options:
    if not uses_claude_thinking(model, options):
        return options
    # Claude's rules while it thinks, by a budget and adaptively: temperature 1, top_p from 0.95 to 1, and no top_k.
    suffix, remedy = f", for {named(model)}", "omit one of them"
    temperature, top_p, top_k = options.temperature, options.top_p, options.top_k
    if temperature not in (None, 1):
        problem = f"expected 1 or None with reasoning, got {temperature:g}{suffix}"
        if refusals.drops("temperature", problem, remedy):
            options = _without(options, "temperature")
    if top_p is not None and top_p < _MIN_TOP_P:
        problem = f"expected at least {_MIN_TOP_P} with reasoning, got {top_p:g}{suffix}"
        if refusals.drops("top_p", problem, f"pass {_MIN_TOP_P} or more"):
            options = _without(options, "top_p")
    if top_k is not None and refusals.drops("top_k", f"expected None with reasoning, got {top_k}{suffix}", remedy):
        options = _without(options, "top_k")
    return options


def _check_excluded_at_high(model: Model, options: Options, refusals: Refusals) -> Options:
    if effort_of(model, options.reasoning) != "high":
        return options
    for name in model.facts.excluded_at_high:
        if getattr(options, name) not in (None, ()):
            problem = f"{named(model)} does not take it with reasoning='high'"
            if refusals.drops(name, problem, "omit it, or use a lower effort"):
                options = _without(options, name)
    return options


# --------------------------------------------------------------------------------------------------- limits of the text


def _check_stop_sequences(model: Model, options: Options, refusals: Refusals) -> Options:
    stops, facts = options.stop_sequences, model.facts
    if stops and not facts.stop_sequences:
        if refusals.drops("stop_sequences", f"is not supported by {named(model)}"):
            return _without(options, "stop_sequences")
        return options
    blank = [stop for stop in stops if not stop.strip()]
    if not blank or facts.blank_stop_sequences:
        return options
    problem = f"{named(model)} takes none that consists of white space, got {blank[0]!r}"
    if refusals.drops("stop_sequences", problem, "remove it"):
        rest = tuple(stop for stop in stops if stop.strip())
        return msgspec.structs.replace(options, stop_sequences=rest)
    return options


def _check_max_tokens(model: Model, options: Options, refusals: Refusals) -> Options:
    value, low, high = options.max_tokens, model.facts.min_max_tokens, model.facts.max_output
    if value is None:
        return options
    if value < low:
        if refusals.drops(
            "max_tokens", f"expected at least {low} for {named(model)}, got {value}", f"pass {low} or more"
        ):
            return _without(options, "max_tokens")
    elif high is not None and value > high:
        problem = f"expected at most {high} for {named(model)}, got {value}"
        if refusals.drops("max_tokens", problem, f"pass {high} or less"):
            # What Converse does without the option. Claude's native format needs the number.
            return msgspec.structs.replace(options, max_tokens=high)
    return options


def _check_system(model: Model, options: Options, refusals: Refusals) -> Options:
    if model.facts.system or not options.system:
        return options
    dropped = refusals.drops("system", f"is not supported by {named(model)}", "put it into the first message")
    return _without(options, "system") if dropped else options


def _check_beta(model: Model, options: Options, refusals: Refusals) -> Options:
    # None: an application inference profile or a provisioned model, which may be a Claude model.
    if not options.anthropic_beta or model.family in ("claude", None):
        return options
    dropped = refusals.drops("anthropic_beta", f"{named(model)} is not an Anthropic model")
    return _without(options, "anthropic_beta") if dropped else options


# ---------------------------------------------------------------------------------------------------------------- tools


def _check_tools(model: Model, options: Options, refusals: Refusals) -> Options:
    if model.facts.tools or not options.tools:
        return options
    dropped = refusals.drops("tools", f"is not supported by {named(model)}", "omit it, or use a model with tools")
    return _without(options, "tools", "tool_choice") if dropped else options


def _check_tool_choice(model: Model, options: Options, refusals: Refusals) -> Options:
    form = _form(options.tool_choice)
    if form is None:
        return options
    facts = model.facts
    if form not in facts.tool_choices:
        problem = f"{_shown(options)} is not supported by {named(model)}"
        remedy = f"use {', '.join(facts.tool_choices)}, or omit it" if facts.tool_choices else "omit it"
        dropped = refusals.drops("tool_choice", problem, remedy)
    elif form != "auto" and _thinking_forbids_force(model, options):
        problem = f"{_shown(options)} cannot be combined with reasoning on {named(model)}"
        dropped = refusals.drops("tool_choice", problem, 'use "auto", or omit reasoning')
    else:
        return options
    return _without(options, "tool_choice") if dropped else options


def _shown(options: Options) -> str:
    return f"{options.tool_choice!r}"[:200]


def _form(choice: str | dict[str, Any] | None) -> str | None:
    """Return `auto`, `any` or `tool`; None for no choice, for `none` and for a form that is not known here."""
    if isinstance(choice, dict):  # in Converse's format, where the form is the key
        return next((form for form in ("auto", "any", "tool") if form in choice), None)
    if choice in (None, "none"):
        return None
    return str(choice) if choice in ("auto", "any") else "tool"


def _thinking_forbids_force(model: Model, options: Options) -> bool:
    facts = model.facts
    if budget_of(model, options.reasoning) is not None and not facts.forced_with_budget:
        return True
    return reasons(model, options) and not facts.forced_with_thinking


_CHECKS = (
    _check_system,
    check_reasoning,
    _check_excluded_at_high,
    _check_temperature,
    _check_top_p,
    _check_top_k,
    _check_sampling_with_thinking,
    _check_stop_sequences,
    _check_max_tokens,
    _check_beta,
    _check_tools,
    _check_tool_choice,
)
