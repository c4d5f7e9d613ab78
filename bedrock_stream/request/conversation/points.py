"""Where cache points may be: not first, not after reasoning or another point, not after certain documents in Converse.

A point that is elsewhere moves to the nearest place before it. There it marks a shorter prefix of the same request,
which the service may cache too.
Source: "Cache point cannot be inserted after reasoning block." and other live answers of the service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...types.media import Document, Video
from ...types.messages import Block, CachePoint, Message, Raw
from ...types.model_facts import ModelFacts
from ...types.options import Options
from ..unsupported import Refusals
from .blocks import is_plain_text, is_point, is_reasoning, is_tool_block, with_content

__all__ = ("has_points", "point_ttl", "points_apart", "tidy_points")


def has_points(messages: Sequence[Message], options: Options) -> bool:
    """Return whether a request has cache points."""
    if any(map(is_point, options.tools)) or any(map(is_point, options.system)):
        return True
    if is_plain_text(messages):
        return False
    return any(is_point(block) for message in messages for block in message.content)


def point_ttl(item: Any) -> Any:
    """Return the lifetime of a cache point; None without one."""
    if isinstance(item, CachePoint):
        return item.ttl
    wire = item.value if isinstance(item, Raw) else item
    return wire["cachePoint"].get("ttl")


def tidy_points(
    messages: tuple[Message, ...], options: Options, refusals: Refusals, *, converse: bool
) -> tuple[tuple[Message, ...], Options]:
    """Return the messages and options with each cache point where the service takes it.

    A point with nothing before it in its message moves to the end of the message before, or of the system prompt: it
    marks the same prefix there. One that marks nothing is left out.
    """
    tools, system = _tidy_list(options.tools), _tidy_list(options.system)
    turns: list[list[Block]] = []
    for message in messages:
        blocks, first = _tidy_message(message.content, converse)
        turns.append(blocks)
        if first is not None and not any(_add(turn, first, converse) for turn in reversed(turns[:-1])) and system:
            system = _tidy_list([*system, first])
    tidied = tuple(with_content(message, blocks) for message, blocks in zip(messages, turns, strict=True) if blocks)
    if (tidied, tools, system) == (messages, options.tools, options.system):
        return messages, options
    refusals.changed("cache points were moved or left out where the service refuses them")
    return tidied, msgspec.structs.replace(options, tools=tools, system=system)


def points_apart(messages: tuple[Message, ...], facts: ModelFacts, refusals: Refusals) -> tuple[Message, ...]:
    """Return the messages without cache points beside tool calls and results, for models that refuse them there."""
    if facts.cache_beside_tools:
        return messages
    apart = tuple(
        _without_points(message) if any(map(is_tool_block, message.content)) else message for message in messages
    )
    if apart != messages:
        refusals.changed(f"cache points beside tool calls and results were left out: {facts.name} refuses them there")
    return apart


def _without_points(message: Message) -> Message:
    return with_content(message, [block for block in message.content if not is_point(block)])


def _tidy_list(items: Sequence[Any]) -> tuple[Any, ...]:
    kept: list[Any] = []
    for item in items:
        if not is_point(item):
            kept.append(item)
        elif kept:
            _merge(kept, len(kept), item)
    return tuple(kept)


def _tidy_message(content: Sequence[Block], converse: bool) -> tuple[list[Block], Block | None]:
    """Return the blocks, and the point that has nothing before it which it may follow."""
    blocks: list[Block] = []
    first: Block | None = None
    waiting: Block | None = None  # after a document: the next block that it may follow keeps the document cached
    for block in content:
        if is_point(block):
            if converse and blocks and _is_document(blocks[-1]):
                waiting = block
            elif not _add(blocks, block, converse):
                first = block if first is None else _longer(first, block)
            continue
        blocks.append(block)
        if waiting is not None and _may_precede(block, converse):
            blocks.append(waiting)
            waiting = None
    if waiting is not None and not _add(blocks, waiting, converse):
        first = waiting if first is None else _longer(first, waiting)
    return blocks, first


def _add(blocks: list[Block], point: Block, converse: bool) -> bool:
    """Insert a point after the last block that it may follow. Return whether one was found."""
    at = len(blocks)
    while at and not _may_precede(blocks[at - 1], converse):
        at -= 1
    if at:
        _merge(blocks, at, point)
    return bool(at)


def _merge(items: list[Any], at: int, point: Any) -> None:
    """Insert a point, or let it count with the point before it: the longer lifetime remains."""
    if is_point(items[at - 1]):
        items[at - 1] = _longer(items[at - 1], point)
    else:
        items.insert(at, point)


def _longer(first: Any, second: Any) -> Any:
    return second if point_ttl(second) == "1h" else first


def _may_precede(block: Block, converse: bool) -> bool:
    return not is_reasoning(block) and not (converse and _is_document(block))


def _is_document(block: Block) -> bool:
    """Return whether Converse refuses a cache point after a block: after a video and every document but PDF."""
    match block:
        case Document(format=format) | Raw({"document": {"format": format}}):
            return bool(format != "pdf")
        case Video() | Raw({"video": _}):
            return True
    return False
