"""What one generation of models takes: the type of the rows of the capability table (`request.models`).

Dialects and other modules receive these facts as values. Every default is what an unknown model gets: nothing is
refused and nothing is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

__all__ = ("MantleApi", "ModelFacts", "Replay", "Thinking", "ThinkingOff")

Thinking: TypeAlias = Literal["unknown", "none", "budget", "adaptive", "effort"]
"""How a model is told to reason: not at all, by a budget in tokens, by Claude's adaptive thinking, or by an effort.

`none` with `ThinkingOff` `never` is a model that always reasons and takes no field about it (DeepSeek R1).
"""

ThinkingOff: TypeAlias = Literal["omit", "disabled", "between_tools", "none", "never"]
"""How reasoning is switched off: by leaving it out, by the type or the effort of this name, or never."""

MantleApi: TypeAlias = Literal["messages", "chat", "responses"]
"""The APIs of vendors, as the option `api` names them."""

Replay: TypeAlias = Literal["any", "signed", "unsigned", "own", "redacted", "items", "none"]
"""Which reasoning of earlier turns may go back: any, signed or redacted, unsigned text, unsigned text that is known to
be of the model's own family, redacted alone, items of the Responses API, or none."""


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one generation of models takes. A field that is left out refuses nothing and adds nothing.

    Source of the table: the makers' and AWS's documentation, and live answers of the service that were reported.
    """

    name: str = "an unknown model"
    """The generation's name in errors and in the documentation."""
    family: str | None = None
    """`claude`, `gpt-oss`, `gpt`, `llama2`, `llama3`, `llama4`, `nova`, `mistral`, ...; None if unknown."""
    native: str | None = None
    """The dialect for InvokeModel: `anthropic`, `openai`, `llama`; None if only Converse is used."""
    refused: str | None = None
    """Why no conversation reaches the model on bedrock-runtime, as `problem; remedy`; None if Converse takes it."""
    mantle: MantleApi | None = None
    """The API by which bedrock-mantle serves an id without geo prefix that Converse does not serve; None if it does."""

    thinking: Thinking = "unknown"
    thinking_default: bool = False
    """Whether the model reasons without being told to, so that the answer shares `max_tokens` with the reasoning."""
    thinking_off: ThinkingOff = "omit"
    takes_budget: bool = False
    """Whether `reasoning` may be a budget in tokens."""
    efforts: tuple[str, ...] = ()
    """The words of `reasoning` that are taken, without `none`."""
    effort_words: Mapping[str, str] = {}
    """Words that the wire spells differently, such as `minimal` -> `low`."""
    reasoning_path: tuple[str, ...] = ()
    """With `effort`: the path of the effort in the additional fields, such as `("reasoning", "effort")`."""
    reasoning_beside: Mapping[str, str] = {}
    """Members that are sent beside the effort, such as `{"type": "enabled"}`."""
    excluded_at_high: tuple[str, ...] = ()
    """Options that are refused together with the effort `high`."""
    binds_thinking: bool = False
    """Whether replayed thinking is bound to the system prompt, the tools and the earlier messages."""

    temperature: Literal["any", "one", "none"] = "any"
    """`one`: any value but 1 is refused; `none`: any value is refused."""
    top_p: bool = True
    top_k: tuple[str, ...] | None = None
    """The path of `top_k` in the additional fields; None if the model has no such field."""
    temperature_with_top_p: bool = True
    """Whether both may be set at once."""
    stop_sequences: bool = True
    blank_stop_sequences: bool = True
    min_max_tokens: int = 1

    tools: bool = True
    stream_with_tools: bool = True
    system: bool = True
    tool_choices: tuple[str, ...] = ("auto", "any", "tool")
    """`auto`, `any`, `tool`: the forms of a tool choice that are taken."""
    forced_with_thinking: bool = True
    """Whether a tool choice that forces a call is taken while the model reasons."""
    tool_choice_field: bool = False
    """Whether the additional field `tool_choice` is taken, which can say `none` and `disable_parallel_tool_use`."""
    strict_tools: bool = False
    tool_status: bool = True
    """Whether `status` of a tool result is taken."""
    tool_id: Literal["any", "claude", "nine"] = "any"
    """The form of tool-use ids: Converse's, Claude's `[a-zA-Z0-9_-]`, or exactly nine letters and digits."""
    results_alone: bool = False
    """Whether tool results must be alone in their turn."""
    inline_defs: bool = False
    """Whether `$defs` of a schema are invisible to the model, so that they are inlined."""

    prefill: bool = True
    """Whether the last message may be the assistant's."""
    leading_assistant: bool = True
    """Whether the first message may be the assistant's."""
    final_white_space: bool = True
    """Whether the assistant's last text may end in white space."""
    replay: Replay = "any"

    max_output: int | None = None
    """The limit of `max_tokens`; None if unknown."""
    default_max_tokens: int | None = None
    """What is sent as `max_tokens` where the native format needs one; None for the dialect's own default."""
    native_schema: bool = False
    """Whether structured output is constrained by a schema in the request."""
    schema_contains: bool = True
    """Whether the constrained decoder takes `contains`."""

    cache: bool | None = None
    """Whether cache points are taken; None if unknown, so that only the caller's own are sent."""
    cache_min_tokens: int | None = None
    cache_ttl: bool = True
    """Whether the member `ttl` of a cache point is taken."""
    cache_one_hour: bool = False
    cache_tools: bool = True
    """Whether a cache point may follow the tools."""

    images: bool = True
    documents: bool = True
    video: bool = True
    citations: bool = True
    s3_images: bool = True
    count_tokens: bool | None = None
    burndown: int = 1
    """How many tokens of a quota one output token takes."""

    forced_with_budget: bool = True
    """Whether a tool choice that forces a call is taken beside a budget in tokens (`forced_with_thinking`: at all)."""
    converse_stop_sequences: bool = True
    """Whether Converse takes `stop_sequences`, for models whose native format takes them all the same."""
    cache_beside_tools: bool = True
    """Whether a cache point may be in a message with tool calls or tool results."""
    refused_in_results: tuple[str, ...] = ()
    """Attachments that are refused in tool results alone: `image`, `document`, `video`."""
    documents_in_turns: bool = True
    """Whether documents are taken outside tool results."""
    prefill_with_reasoning: bool = True
    """Whether the last message may be the assistant's while the model reasons (`prefill`: at all)."""
