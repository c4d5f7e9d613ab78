"""Members that chunks and complete responses share: stop reason, token counts, and unknown members.

Members that an event or a `Response` has a field for are removed from the JSON. The rest is passed on as unknown.
Source: OpenAI's Chat Completions reference, and recorded traffic.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...types.events import MessageStop, Metadata, Usage
from ..documents import message_stop, take_metrics
from ..payloads import pop_as, take_nested, without_nulls

__all__ = ("read_stop", "rest_of", "rest_of_choice", "take_counts")

_Wire = dict[str, Any]

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered"}
_USAGE = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
# Members of each chunk and response without information that callers need. `obfuscation` is padding, as `p` is.
_ENVELOPE = frozenset({"id", "object", "created", "model", "service_tier", "system_fingerprint", "obfuscation"})


def read_stop(reason: str | None, *, blocked: bool) -> MessageStop:
    """Return the end of a message, with Converse's stop reason."""
    return message_stop("finish_reason", reason, _STOPS, blocked=blocked)


def take_counts(wire: _Wire) -> Metadata:
    """Remove the model's counts and Bedrock's own and return them. Bedrock's take precedence."""
    metadata = Metadata()
    usage = wire.pop("usage", None)
    if usage is not None:
        metadata = Metadata(usage=_read_usage(msgspec.convert(usage, _Wire)))
    return metadata.merged(take_metrics(wire))


def _read_usage(wire: _Wire) -> Usage:
    counts = {name: pop_as(wire, key, int) for key, name in _USAGE.items()}
    reasoning = take_nested(wire, "completion_tokens_details", "reasoning_tokens", int)
    return Usage(**counts, extra=without_nulls(wire), reasoning_tokens=reasoning)


def rest_of_choice(choice: _Wire, key: str, inner: _Wire) -> _Wire:
    """Return the unknown members of a choice and of its delta or message."""
    choice.pop("index", None)
    inner, rest = without_nulls(inner), without_nulls(choice)
    return {**rest, key: inner} if inner else rest


def rest_of(wire: _Wire, choices: list[_Wire]) -> _Wire:
    """Return the unknown members of a chunk or a response."""
    rest = {key: value for key, value in without_nulls(wire).items() if key not in _ENVELOPE}
    if choices := [choice for choice in choices if choice]:
        rest["choices"] = choices
    return rest
