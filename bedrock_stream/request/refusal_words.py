"""Find the option of a call that the service refuses, or a better model id or endpoint, in the words of its error.

The table of models may be older than the service, so the service may refuse what the table lets pass.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import ValidationFailed
from ..types.options import Options
from .call import Call
from .endpoints import BEDROCK_RUNTIME
from .models import Model, is_plain, profiles_for

__all__ = ("explain_model", "explain_refusal")


class _Words(NamedTuple):
    pattern: str
    """A regular expression, compiled at its first use: most programs never see a refusal."""
    option: str
    """An option, or `messages` for the conversation, which every call has."""
    remedy: str


def _words(pattern: str, option: str, remedy: str = "omit it for this model") -> _Words:
    return _Words(pattern, option, remedy)


_ONE_OF_TWO = "omit it, or omit temperature"
_AUTO = 'use "auto", or omit it'
_EFFORT = "use another effort, or omit it"

# Real answers of the service, in the order in which they are compared. In a message on Converse, fields of Claude's own
# format follow "The model returned the following errors: ".
_TABLE = (
    _words(r"`temperature` and `top_p` cannot both be specified", "top_p", _ONE_OF_TWO),
    _words(r"`temperature` may only be set to 1", "temperature", "omit it, pass 1, or omit reasoning"),
    _words(r"`temperature` is deprecated|support the temperature field", "temperature"),
    _words(r"`top_p` is deprecated|support the topP field", "top_p"),
    _words(r"`top_k` is deprecated|support the topK field", "top_k"),
    _words(r'thinking\.type\.enabled"? is not supported', "reasoning", "use a word, such as low or high"),
    _words(r'thinking\.type\.disabled"? is not supported', "reasoning", "omit it: this model always reasons"),
    _words(r"output_config\.effort: |reasoning config value is invalid|reasoning_effort", "reasoning", _EFFORT),
    _words(r"Thinking may not be enabled when tool_choice", "tool_choice", 'use "auto", or omit reasoning'),
    _words(r'tool_choice: type "|support the toolConfig\.toolChoice', "tool_choice", _AUTO),
    _words(r"support the stopSequences field", "stop_sequences"),
    _words(r"stop_sequences: each stop sequence", "stop_sequences", "remove those of white space only"),
    _words(r"output_config\.format: |support the outputConfig", "output_schema", "use a tool, or another model"),
    _words(r"custom\.strict: Extra inputs|support the strict field", "tools", "leave strict out of Tool(...)"),
    _words(r"support the cachePoint field", "anthropic_prompt_cache", "omit prompt_cache for this model"),
    _words(r"support the cachePoint field", "messages", "remove the cache points"),
    _words(r"support assistant message prefill", "messages", "end with a message of the user"),
    _words(r"support the status field", "messages", "leave status out of ToolResult(...)"),
    _words(r"support the s3Uri field", "messages", "pass the bytes instead of a location in S3"),
    _words(r"support the video content block", "messages", "remove the video"),
    _words(r"support citations", "messages", "leave citations out of Document(...)"),
    _words(
        r"Encrypted content cannot be used in a different region", "messages", "remove the reasoning of that region"
    ),
)
_EMPTY = (None, (), False)

_NEEDS_PROFILE = re.compile("on-demand throughput isn.t supported", re.IGNORECASE)


# Ids that bedrock-runtime does not know may be those of bedrock-mantle, but not of these makers.
_UNKNOWN = re.compile("model identifier is invalid", re.IGNORECASE)
_NOT_ON_MANTLE = frozenset({"ai21", "amazon", "cohere", "luma", "meta", "stability", "twelvelabs", "writer"})


def explain_model(error: ValidationFailed, call: Call) -> None:
    """Name the inference profile or the endpoint to use, if the service refused a model because it needs that."""
    model, on_runtime = call.model, call.destination.service is BEDROCK_RUNTIME
    if call.operation == "count-tokens":
        if on_runtime and model.vendor == "anthropic":
            error.explain("model", 'if it is not supported here, use endpoint="mantle", which counts for every Claude')
    elif _UNKNOWN.search(error.message) and on_runtime and is_plain(model) and model.vendor not in _NOT_ON_MANTLE:
        error.explain("model", 'check the id; if only bedrock-mantle serves it, use endpoint="mantle"')
    elif _NEEDS_PROFILE.search(error.message):
        _explain_profile(error, model, call.region)


def _explain_profile(error: ValidationFailed, model: Model, region: str) -> None:
    profiles = profiles_for(model, region)
    if profiles:
        error.explain("model", f"use the inference profile {' or '.join(map(repr, profiles))}")
    else:
        error.explain("model", "use an inference profile that contains this model")


def explain_refusal(error: ValidationFailed, options: Options | None, *, schema: bool = False) -> None:
    """Add the option that the service refused, and the remedy, to its error.

    Only options that the call had set are named; without `options` the body is the caller's own. With `schema`, a
    refused tool choice is the one that `output_schema` made.
    """
    if options is None:
        return
    for words in _TABLE:
        if not re.search(words.pattern, error.message, re.IGNORECASE):
            continue
        if words.option == "messages" or getattr(options, words.option) not in _EMPTY:
            made = schema and words.option in ("tool_choice", "tools")
            error.explain("output_schema" if made else words.option, words.remedy)
            return
