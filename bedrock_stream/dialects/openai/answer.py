"""A whole answer of Chat Completions: reasoning and text lie in one content, and tool calls stand behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from ...types.events import MessageStop, Metadata, ToolCallEnd
from ...types.messages import Block, Reasoning, Text, ToolCall
from ...types.response import Response, whole_response
from ..chunks import close_metadata, take_blocked, take_trace
from ..payloads import answer_as_described, decode_object, pop_as
from ..tool_input import parse_input
from .facts import read_stop, rest_of, rest_of_choice, take_counts
from .tags import TagSplitter

__all__ = ("read_answer",)

_Wire = dict[str, Any]


def read_answer(body: bytes, *, request_id: str | None, model: str, route: str) -> Response:
    """The `Response`. Raises `InvalidFrame`, and `ToolInputError` as a stream would."""
    wire = decode_object(body, "the answer")
    with answer_as_described():
        blocks, stop, metadata = _read(wire)
    return whole_response(blocks, stop, metadata, request_id=request_id, model=model, route=route)


def _read(wire: _Wire) -> tuple[list[Block | ToolCallEnd], MessageStop, Metadata]:
    """Blocks, with a `ToolCallEnd` for each call whose input is no object, and what is said about them."""
    metadata, blocked = take_trace(wire).merged(take_counts(wire)), take_blocked(wire)
    choice, *others = pop_as(wire, "choices", list[_Wire]) or [{}]
    message = msgspec.convert(choice.pop("message"), _Wire)
    message.pop("role", None)
    blocks: list[Block | ToolCallEnd] = list(_read_content(pop_as(message, "content", str) or ""))
    blocks += _read_calls(pop_as(message, "tool_calls", list[_Wire]) or (), len(blocks))
    stop = read_stop(pop_as(choice, "finish_reason", str), blocked=blocked)
    extra = rest_of(wire, [rest_of_choice(choice, "message", message), *others])
    return blocks, stop, close_metadata(metadata.merged(Metadata(extra=extra)))


def _read_content(content: str) -> Iterator[Block]:
    tags = TagSplitter()
    pieces = [*tags.feed(content), *tags.finish()]
    for reasoning, group in groupby(pieces, key=lambda piece: piece[0]):
        text = "".join(piece for _, piece in group)
        yield Reasoning(text) if reasoning else Text(text)


def _read_calls(calls: Sequence[_Wire], first: int) -> Iterator[ToolCall | ToolCallEnd]:
    for index, wire in enumerate(calls, first):
        function = msgspec.convert(wire["function"], _Wire)
        call_id, name = msgspec.convert((wire["id"], function["name"]), tuple[str, str])
        raw = pop_as(function, "arguments", str) or ""
        parsed = parse_input(raw)
        yield ToolCallEnd(index, call_id, name, None, raw) if parsed is None else ToolCall(call_id, name, parsed)
