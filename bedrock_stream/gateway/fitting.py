"""Fits a request to what the model takes, where the client cannot know better. Every change is noted in a sentence.

Options that a model refuses are left out by the library itself (`unsupported="drop"`). This module handles what only
OpenAI's API has, what its clients do to a conversation, and attachments, which must not be left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from ..errors import ConfigurationError
from ..request.conversation import fit_content
from ..request.unsupported import Refusals
from ..types.messages import CachePoint, Message, Reasoning, Text, ToolCall, ToolResult
from ..types.model_facts import ModelFacts
from ..types.options import read_options
from ..types.tools import Tool

__all__ = ("Caching", "Fitting", "PromptCache", "tool_choice_without_parallel_calls")

PromptCache: TypeAlias = bool | Literal["auto"]

_SystemItem: TypeAlias = Text | CachePoint
_ToolItem: TypeAlias = Tool | dict[str, Any]


class Caching(msgspec.Struct, frozen=True):
    """The gateway's own prompt caching. Raises `ConfigurationError` for invalid values."""

    mode: PromptCache = False
    ttl: str | None = None

    def __post_init__(self) -> None:
        if self.ttl is not None and not self.mode:
            raise ConfigurationError("prompt_cache_ttl", "requires prompt_cache", 'pass prompt_cache=True or "auto"')
        if self.mode:
            read_options({"prompt_cache": self.mode, "prompt_cache_ttl": self.ttl})

    def options(self, facts: ModelFacts) -> dict[str, Any]:
        """Return the options that set cache points for a model; none for a model that takes no cache points."""
        if not self.mode or not facts.cache:
            return {}
        # Models without the longer lifetime refuse it; the service's own default is the shorter one.
        takes_ttl = facts.cache_ttl and (self.ttl != "1h" or facts.cache_one_hour)
        ttl = {"prompt_cache_ttl": self.ttl} if self.ttl is not None and takes_ttl else {}
        return {"prompt_cache": self.mode, **ttl}


class Fitting:
    """The fitting of one request; `notes` are the changes of it."""

    def __init__(self, facts: ModelFacts) -> None:
        self.facts = facts
        self.notes: list[str] = []

    def check_attachments(self, messages: Sequence[Message]) -> None:
        """Raise `UnsupportedOperation` for attachments that the model refuses.

        They are not left out: the answer would be wrong without them.
        """
        fit_content(tuple(messages), self.facts, Refusals(self.facts.name))

    def reasoning(self, effort: str | None, messages: Sequence[Message]) -> str | None:
        """Return the reasoning effort; None if the conversation does not allow reasoning."""
        facts = self.facts
        if effort in (None, "none") or facts.family != "claude" or facts.thinking not in ("budget", "unknown"):
            return effort
        # With a thinking budget, Claude requires that a turn which goes on after tool results begins with its thinking.
        # Most clients of OpenAI's API drop it. With adaptive thinking, Claude accepts the turn without it.
        if not _lost_reasoning(messages):
            return effort
        self.notes.append("reasoning_effort was left out: the tool calls came back without their reasoning_details")
        return None

    def stop_sequences(self, sequences: Sequence[str]) -> list[str]:
        """Return the stop sequences without blank ones, if the model refuses those."""
        # An empty one is invalid for every model, and remains an error.
        kept = [text for text in sequences if self.facts.blank_stop_sequences or text.strip() or not text]
        if len(kept) < len(sequences):
            self.notes.append("stop: blank stop sequences were left out: the model refuses them")
        return kept

    def tool_choice(self, choice: str | dict[str, Any] | None, *, parallel: bool, thinking: bool) -> dict[str, Any]:
        """Return the options for the choice of tools. `choice`: None or in the form of the library's `tool_choice`."""
        if parallel or choice == "none":
            return {"tool_choice": choice}
        facts = self.facts
        if not facts.tool_choice_field:
            self.notes.append("parallel_tool_calls was left out: the model has no such option")
            return {"tool_choice": choice}
        wire = tool_choice_without_parallel_calls(choice)
        kind = wire["type"]
        # A choice in the additional fields is not checked by the library.
        if kind != "auto" and (kind not in facts.tool_choices or (thinking and not facts.forced_with_thinking)):
            self.notes.append("tool_choice was left out: the model refuses a forced tool call here")
            wire = tool_choice_without_parallel_calls(None)
        return {"additional_model_request_fields": {"tool_choice": wire}}

    def cache_points(
        self, messages: Sequence[Message], system: Sequence[_SystemItem], tools: Sequence[_ToolItem]
    ) -> tuple[tuple[Message, ...], list[_SystemItem], list[_ToolItem]]:
        """Return the parts of the request without cache points, if the model refuses them."""
        nowhere, not_at_tools = self.facts.cache is False, self.facts.cache is False or not self.facts.cache_tools
        kept_system = [item for item in system if not (nowhere and isinstance(item, CachePoint))]
        kept_tools = [tool for tool in tools if isinstance(tool, Tool) or not not_at_tools]
        # A model that takes none after the tools (Nova) takes none beside tool calls and results either.
        kept_messages = tuple(
            _without_points(message) if nowhere or (not_at_tools and _has_tool_blocks(message)) else message
            for message in messages
        )
        if (kept_messages, len(kept_system), len(kept_tools)) != (tuple(messages), len(system), len(tools)):
            self.notes.append("cache_control was left out: the model takes no cache points there")
        return kept_messages, kept_system, kept_tools


def tool_choice_without_parallel_calls(choice: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return Claude's own `tool_choice` for a choice in the library's form, with at most one call at a time."""
    # Converse has no field for it. Its additional field `tool_choice` takes the place of `toolConfig.toolChoice`;
    # the service refuses a request with both.
    wire: dict[str, Any] = {"type": choice or "auto"}
    if isinstance(choice, Mapping):
        wire = {"type": "tool", "name": choice["tool"]["name"]}
    return {**wire, "disable_parallel_tool_use": True}


def _lost_reasoning(messages: Sequence[Message]) -> bool:
    """Return whether the model's unfinished turn is without the reasoning that it began with.

    The turn consists of all messages since the user's last one that has no tool results.
    """
    start: Message | None = None
    answered = False
    for message in reversed(messages):
        if message.role != "assistant":
            # Texts beside tool results are part of the same turn.
            answered = answered or any(isinstance(block, ToolResult) for block in message.content)
        elif answered:
            start, answered = message, False
        else:
            break
    return start is not None and not (start.content and isinstance(start.content[0], Reasoning))


def _has_tool_blocks(message: Message) -> bool:
    return any(isinstance(block, ToolCall | ToolResult) for block in message.content)


def _without_points(message: Message) -> Message:
    return Message(message.role, [block for block in message.content if not isinstance(block, CachePoint)])
