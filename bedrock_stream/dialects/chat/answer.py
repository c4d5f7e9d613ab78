"""Complete responses of Chat Completions: reasoning, text and tool calls are members of one message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ...types.events import Metadata, ToolCallEnd
from ...types.messages import Block, Reasoning, Text
from ..base import ParsedResponse
from ..documents import take_blocked, take_trace, with_total
from ..openai.answer import read_calls, read_content
from ..openai.facts import read_stop, rest_of, rest_of_choice
from ..openai.ids import is_counter, qualified
from ..payloads import pop_as
from .reader import take_counts

__all__ = ("parse", "parse_tagged")

_Wire = dict[str, Any]


def parse(wire: _Wire) -> ParsedResponse:
    """Parse a response. Only the first choice becomes the message; others (`n`) are passed on as unknown."""
    return _parse(wire, tagged=False)


def parse_tagged(wire: _Wire) -> ParsedResponse:
    """Parse a response whose content has the reasoning in tags."""
    return _parse(wire, tagged=True)


def _parse(wire: _Wire, *, tagged: bool) -> ParsedResponse:
    metadata, blocked = take_trace(wire).merged(take_counts(wire)), take_blocked(wire)
    choice, *others = pop_as(wire, "choices", list[_Wire]) or [{}]
    message = msgspec.convert(choice.pop("message"), _Wire)
    message.pop("role", None)  # always `assistant`
    refusal = pop_as(message, "refusal", str)
    blocks: list[Block | ToolCallEnd] = list(_read_texts(message, refusal, tagged=tagged))
    calls = [_with_own_id(call, wire.get("id")) for call in pop_as(message, "tool_calls", list[_Wire]) or ()]
    blocks += read_calls(calls, len(blocks))
    stop = read_stop(pop_as(choice, "finish_reason", str), blocked=blocked)
    if refusal and stop.stop_reason == "end_turn":
        stop = msgspec.structs.replace(stop, stop_reason="content_filtered")
    extra = rest_of(wire, [rest_of_choice(choice, "message", message), *others])
    return blocks, stop, with_total(metadata.merged(Metadata(extra=extra)))


def _read_texts(message: _Wire, refusal: str | None, *, tagged: bool) -> Iterator[Block]:
    reasoning = [pop_as(message, name, str) for name in ("reasoning", "reasoning_content")]
    if text := next(filter(None, reasoning), None):  # some servers send it under both names
        yield Reasoning(text)
    content = pop_as(message, "content", str) or ""
    if tagged:
        yield from read_content(content)
    elif content:
        yield Text(content)
    if refusal:
        yield Text(refusal)


def _with_own_id(call: _Wire, answer_id: Any) -> _Wire:
    """Return a call with an id that no other answer has."""
    call_id = call.get("id")
    if isinstance(call_id, str) and isinstance(answer_id, str) and is_counter(call_id):
        return {**call, "id": qualified(answer_id, call_id)}
    return call
