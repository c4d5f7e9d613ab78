"""Bedrock's rules for a whole conversation: what can be fixed without loss is fixed, the rest is rejected.

Each change is reported to `Refusals.changed`, each rejection names its path. `normalize_conversation` has the rules of
both routes, `finish_for_converse` those of Converse alone, which are applied once the route is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from ...errors import ConfigurationError
from ...types.messages import Message
from ...types.options import Options
from ...types.tools import Tool
from ..models import Model
from ..unsupported import Refusals
from .blocks import all_blocks, call_name, is_plain_text, is_tool_block
from .checks import check_attachments, check_results, check_sizes, check_turns
from .content import check_tool_blocks, fit_content
from .documents import with_document_names
from .ids import with_safe_ids
from .points import has_points, points_apart, tidy_points
from .reasoning import fit_reasoning
from .results import fit_status, gather_results, split_results
from .text import strip_last_text, system_without_blanks, without_blanks

__all__ = ("check_sizes", "finish_for_converse", "fit_content", "normalize_conversation", "uses_tools")


def uses_tools(messages: Sequence[Message]) -> bool:
    """Return whether the history contains tool calls or results."""
    return any(is_tool_block(block) for message in messages for block in message.content)


def normalize_conversation(
    model: Model, messages: tuple[Message, ...], options: Options, refusals: Refusals
) -> tuple[tuple[Message, ...], Options]:
    """Return the conversation in a form that the model accepts. Raises `ConfigurationError` for what cannot be fixed.

    The checks come first, so that a path in an error is the caller's.
    """
    facts = model.facts
    is_plain = is_plain_text(messages)
    if not is_plain:
        check_turns(messages)
        if options.previous_response_id is None:  # else the calls may be in what the service keeps
            check_results(messages)
        check_attachments(messages)
        check_tool_blocks(messages, facts, refusals)
        messages = fit_content(messages, facts, refusals)
        messages = without_blanks(messages, refusals)
    options = system_without_blanks(options, refusals)
    if not is_plain:
        messages = fit_reasoning(messages, facts, refusals)
        messages = fit_status(messages, facts, refusals)
        messages = gather_results(messages, refusals)
        messages = split_results(messages, facts, refusals, converse=False)
        messages = with_safe_ids(messages, facts.tool_id, refusals)
    if not facts.final_white_space:
        messages = strip_last_text(messages, refusals)
    needs_tools = not is_plain and not options.tools and options.previous_response_id is None
    if needs_tools and uses_tools(messages) and "toolConfig" not in options.extra:
        # Tool blocks in the history require a `toolConfig`, even if no tool may be called again.
        options = msgspec.structs.replace(options, tools=tuple(_stubs(messages)))
        refusals.changed("the tools of earlier calls were added, marked as not available: the service requires them")
    if has_points(messages, options):
        messages, options = tidy_points(messages, options, refusals, converse=False)
        messages = points_apart(messages, facts, refusals)
    if not messages:
        raise ConfigurationError("prompt", "has only blank text or reasoning that is not sent", "add a user message")
    return messages, options


def finish_for_converse(
    model: Model, messages: tuple[Message, ...], options: Options, refusals: Refusals
) -> tuple[tuple[Message, ...], Options]:
    """Return a normalized conversation as Converse accepts it."""
    if not is_plain_text(messages):
        messages = with_document_names(messages, refusals)
        messages = split_results(messages, model.facts, refusals, converse=True)
    if has_points(messages, options):
        messages, options = tidy_points(messages, options, refusals, converse=True)
        messages = points_apart(messages, model.facts, refusals)
    if options.tool_choice == "none" and options.tools and model.facts.tool_choice_field and uses_tools(messages):
        # Converse has no choice "none", and the tools must stay for the history. The model's own field has it.
        own = options.additional_model_request_fields or {}
        fields = {"tool_choice": {"type": "none"}, **own}
        options = msgspec.structs.replace(options, additional_model_request_fields=fields)
    return messages, options


def _stubs(messages: Sequence[Message]) -> Iterator[Tool]:
    names = {name: None for _, block in all_blocks(messages) if (name := call_name(block)) is not None}
    # A raw call may lack its name, but `toolConfig` needs at least one tool.
    for name in names or {"unknown_tool": None}:
        yield Tool(name=name, description="Used earlier in this conversation; not available any more.")
