"""Items and ends of answers of the Responses API: what a stream and a complete response share.

Source: OpenAI's Responses reference, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ...types.events import Citation, MessageStop, Metadata
from ..documents import with_total
from ..openai.usage import read_usage
from ..payloads import pop, pop_as, take, without_nulls

__all__ = ("PART_TEXTS", "SEPARATOR", "read_annotation", "read_end", "reasoning_parts")

_Wire = dict[str, Any]

PART_TEXTS: Mapping[str, str] = {"output_text": "text", "refusal": "refusal"}
"""The types of the parts of a message -> the member with their text."""
SEPARATOR = "\n\n"
"""Between the parts of reasoning, which become one block: their item goes back whole."""

_INCOMPLETE = {"max_output_tokens": "max_tokens", "content_filter": "content_filtered"}
# Members of an answer that repeat the request, and those that are read elsewhere.
_ENVELOPE = frozenset(
    {"background", "completed_at", "conversation", "created_at", "error", "frequency_penalty", "incomplete_details"}
    | {"instructions", "max_output_tokens", "max_tool_calls", "metadata", "model", "object", "output", "output_text"}
    | {"parallel_tool_calls", "presence_penalty", "previous_response_id", "prompt", "prompt_cache_key", "reasoning"}
    | {"prompt_cache_retention", "safety_identifier", "service_tier", "status", "store", "temperature", "text"}
    | {"tool_choice", "tools", "top_logprobs", "top_p", "truncation", "usage", "user"}
)


def read_end(answer: _Wire, *, called: bool, refused: bool) -> tuple[MessageStop, Metadata]:
    """Return the end of an answer: why it stopped, its counts, and the members that are unknown.

    `called`: it calls a function; `refused`: it says that the model refuses. The answer's id, by which a stored one is
    continued, is `extra["id"]`.
    """
    status = msgspec.convert(answer["status"], str)
    stop_reason, raw = status, status  # another status is not an end that this version knows
    if status == "completed":
        stop_reason = "content_filtered" if refused else "tool_use" if called else "end_turn"
    elif status == "incomplete":
        details = pop_as(answer, "incomplete_details", _Wire) or {}
        raw = pop_as(details, "reason", str) or status
        stop_reason = _INCOMPLETE.get(raw, raw)
    usage = pop_as(answer, "usage", _Wire)
    metadata = Metadata(
        usage=read_usage(usage, input="input", output="output") if usage else None,
        service_tier=take(answer, "service_tier", str),
        extra={name: value for name, value in without_nulls(answer).items() if name not in _ENVELOPE},
    )
    return MessageStop(stop_reason, raw), with_total(metadata)


def reasoning_parts(item: _Wire) -> Iterator[tuple[str, int, str]]:
    """Yield the readable parts of a reasoning item: the member that it is in, its place there, its text."""
    for member in ("summary", "content"):
        for place, part in enumerate(msgspec.convert(item.get(member) or [], list[_Wire])):
            if isinstance(text := part.get("text"), str):
                yield member, place, text


def read_annotation(wire: Any) -> Citation:
    """Return a citation with its location in Converse's format. Of an unknown kind, all members are in `extra`."""
    rest = without_nulls(msgspec.convert(wire, _Wire))
    kind = pop(dict(rest), "type", str)
    if kind == "url_citation" and isinstance(rest.get("url"), str):
        del rest["type"]
        location: _Wire = {"web": {"url": rest.pop("url")}}
        return Citation(title=take(rest, "title", str), location=location, extra=rest)
    return Citation(title=take(rest, "filename", str), location={kind: {}}, extra=rest)
