"""Complete responses of Chat Completions: reasoning and text are in one content, tool calls in a list beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from ...types.events import Metadata, ToolCallEnd
from ...types.messages import Block, Reasoning, Text, ToolCall
from ..base import ParsedResponse
from ..documents import take_blocked, take_trace, with_total
from ..payloads import pop_as
from ..tool_input import parse_input
from .facts import read_stop, rest_of, rest_of_choice, take_counts
from .tags import TagSplitter

__all__ = ("parse", "read_calls", "read_content")

_Wire = dict[str, Any]


def parse(wire: _Wire) -> ParsedResponse:
    """Parse a response. Only the first choice becomes the message; others (`n`) are passed on as unknown."""
    metadata, blocked = take_trace(wire).merged(take_counts(wire)), take_blocked(wire)
    choice, *others = pop_as(wire, "choices", list[_Wire]) or [{}]
    message = msgspec.convert(choice.pop("message"), _Wire)
    message.pop("role", None)  # always `assistant`
    blocks: list[Block | ToolCallEnd] = list(read_content(pop_as(message, "content", str) or ""))
    blocks += read_calls(pop_as(message, "tool_calls", list[_Wire]) or (), len(blocks))
    stop = read_stop(pop_as(choice, "finish_reason", str), blocked=blocked)
    extra = rest_of(wire, [rest_of_choice(choice, "message", message), *others])
    return blocks, stop, with_total(metadata.merged(Metadata(extra=extra)))


def read_content(content: str) -> Iterator[Block]:
    """Yield the blocks of a content with tagged reasoning."""
    tags = TagSplitter()
    pieces = [*tags.feed(content), *tags.finish()]
    # Adjacent pieces of reasoning, each with its own tags, are one block.
    for reasoning, group in groupby(pieces, key=lambda piece: piece[0]):
        text = "".join(piece for _, piece in group)
        yield Reasoning(text) if reasoning else Text(text)


def read_calls(calls: Sequence[_Wire], first: int) -> Iterator[ToolCall | ToolCallEnd]:
    """Yield tool calls, with a `ToolCallEnd` for one whose input is not a JSON object; `first` is its block's index."""
    for index, wire in enumerate(calls, first):
        function = msgspec.convert(wire["function"], _Wire)
        call_id, name = msgspec.convert((wire["id"], function["name"]), tuple[str, str])
        raw = pop_as(function, "arguments", str) or ""
        parsed = parse_input(raw)
        yield ToolCallEnd(index, call_id, name, None, raw) if parsed is None else ToolCall(call_id, name, parsed)
