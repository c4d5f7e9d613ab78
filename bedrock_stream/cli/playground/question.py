"""What the page asks: the conversation and its options, and these options as the keyword arguments of a call."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ...errors import ConfigurationError
from ...types.messages import Message
from ...types.options import CallOptions
from .tools import TOOLS

__all__ = ("MAX_ROUNDS", "Question", "call_options", "read_question", "with_tools")

MAX_ROUNDS = 6
"""The limit of requests for one question: on AWS each costs money."""
_USE_CONVERSE = {"auto": None, "converse": True, "native": False}


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request of the page: the whole conversation, and its options."""

    model: str
    messages: tuple[Message, ...]
    route: Literal["auto", "converse", "native"] = "auto"
    system: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    stop_sequences: tuple[str, ...] = ()
    reasoning: Literal["", "none", "minimal", "low", "medium", "high", "xhigh", "max"] = ""
    prompt_cache: bool = False
    output_schema: dict[str, Any] | None = None
    tools: bool = False


def read_question(body: bytes) -> Question:
    """Parse the question in a request's body. Raises `ConfigurationError`."""
    try:
        question = msgspec.json.decode(body, type=Question)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError("question", str(error), "reload the page") from None
    if question.tools and question.output_schema is not None:
        # Where a model takes a schema as a tool only, the library would refuse it beside other tools.
        raise ConfigurationError("output_schema", "cannot be combined with the demo tools here", "disable the tools")
    return question


def call_options(question: Question) -> CallOptions:
    """Return the options that are set, without the tools."""
    options: CallOptions = {}
    if (use_converse := _USE_CONVERSE[question.route]) is not None:
        options["use_converse"] = use_converse
    if question.system.strip():
        options["system"] = question.system
    if question.max_tokens is not None:
        options["max_tokens"] = question.max_tokens
    if question.temperature is not None:
        options["temperature"] = question.temperature
    if question.stop_sequences:
        options["stop_sequences"] = list(question.stop_sequences)
    if question.reasoning:
        options["reasoning"] = question.reasoning
    if question.prompt_cache:
        options["prompt_cache"] = "auto"
    if question.output_schema is not None:
        options["output_schema"] = question.output_schema
    return options


def with_tools(question: Question) -> CallOptions:
    """Return the options that are set, with the demo tools if they are enabled."""
    options = call_options(question)
    if question.tools:
        options["tools"] = TOOLS
    return options
