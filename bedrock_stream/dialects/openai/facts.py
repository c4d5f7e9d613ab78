"""What a chunk and a whole answer say alike: why it ended, what was counted, and what this version does not know.

Whatever has a place in an event or a `Response` is taken out of the JSON; what stays behind then is passed on.
Source: OpenAI's Chat Completions reference, and recorded traffic.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ...types.events import MessageStop, Metadata, Usage
from ..chunks import metrics_of, stop_of
from ..payloads import pop_as, present

__all__ = ("read_stop", "rest_of", "rest_of_choice", "take_counts")

_Wire = dict[str, Any]

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered"}
_USAGE = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
# Said of every chunk and every answer, and nothing that an event has a place for. `obfuscation` is padding, as `p` is.
_ENVELOPE = frozenset({"id", "object", "created", "model", "service_tier", "system_fingerprint", "obfuscation"})


def read_stop(reason: str | None, *, blocked: bool) -> MessageStop:
    """The end of a message, in Converse's words."""
    return stop_of("finish_reason", reason, _STOPS, blocked=blocked)


def take_counts(wire: _Wire) -> Metadata:
    """Take the model's counts out, and Bedrock's own, which are worth more."""
    counted = Metadata()
    usage = wire.pop("usage", None)
    if usage is not None:
        usage = msgspec.convert(usage, _Wire)
        counts = {name: pop_as(usage, key, int) for key, name in _USAGE.items()}
        counted = Metadata(usage=Usage(**counts, extra=present(usage)))
    return counted.merged(metrics_of(wire) or Metadata())


def rest_of_choice(choice: _Wire, key: str, inner: _Wire) -> _Wire:
    """What is left of a choice and of its delta or message."""
    choice.pop("index", None)
    inner, rest = present(inner), present(choice)
    return {**rest, key: inner} if inner else rest


def rest_of(wire: _Wire, choices: list[_Wire]) -> _Wire:
    """What is left of a chunk or an answer when all that is known has been taken out."""
    rest = {key: value for key, value in present(wire).items() if key not in _ENVELOPE}
    if choices := [choice for choice in choices if choice]:
        rest["choices"] = choices
    return rest
