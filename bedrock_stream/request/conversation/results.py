"""Tool results: in the turn right after their calls, before anything else in it, with a status only for errors.

The service refuses a call whose result is not in the next user turn, and Claude refuses a block before a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from ...types.media import Document, Video
from ...types.messages import Block, Message, Raw, Text, ToolResult
from ...types.model_facts import ModelFacts
from ..unsupported import Refusals
from .blocks import is_kind, is_point, is_result, with_content

__all__ = ("fit_status", "gather_results", "split_results")

FAILED = "The tool call failed."
"""The text behind the content of a failed result where the model takes no status."""


def gather_results(messages: tuple[Message, ...], refusals: Refusals) -> tuple[Message, ...]:
    """Return the messages with the results of adjacent user turns at the beginning of the first of these turns."""
    gathered: list[Message] = []
    for role, group in groupby(messages, lambda message: message.role):
        turns = list(group)
        gathered.extend(_gathered(turns) if role == "user" else turns)
    if tuple(gathered) == messages:
        return messages
    refusals.changed("tool results were moved to the beginning of the turn after their calls")
    return tuple(gathered)


def _gathered(turns: list[Message]) -> Iterator[Message]:
    """Yield the turns, with all results in the first of them.

    The rest of a turn with results joins the first turn too, unless a turn without results is between them.
    """
    parts = [_parted(turn.content) for turn in turns]
    first = [block for results, _ in parts for block in results]
    if not first:
        yield from turns
        return
    rests: list[list[Block]] = [[]]
    adjacent = True
    for place, (results, rest) in enumerate(parts):
        adjacent = adjacent and (bool(results) or place == 0)
        # Documents keep a turn of their own: Claude takes none beside results.
        if adjacent and (place == 0 or not any(map(_is_document, rest))):
            rests[0] += rest
        else:
            adjacent = False
            rests.append(rest)
    yield with_content(turns[0], [*first, *rests[0]])
    yield from (Message("user", rest) for rest in rests[1:] if rest)


def _parted(blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
    """Return the results with the cache points right after them, and the other blocks."""
    parts: tuple[list[Block], list[Block]] = ([], [])
    after_result = False
    for block in blocks:
        after_result = is_result(block) or (after_result and is_point(block))
        parts[0 if after_result else 1].append(block)
    return parts


def split_results(
    messages: tuple[Message, ...], facts: ModelFacts, refusals: Refusals, *, converse: bool
) -> tuple[Message, ...]:
    """Return the messages with results apart from blocks that the model does not take beside them.

    The other blocks become the next user turn. Source: live answers of the service.
    """
    # Claude takes no document and no video right behind results in Converse, only after a text or an image.
    documents = converse and facts.family == "claude"
    if not facts.results_alone and not documents:
        return messages
    apart: Callable[[Block], bool] = (lambda block: True) if facts.results_alone else _is_document
    turns: list[Message] = []
    for message in messages:
        results, rest = _parted(message.content) if message.role == "user" else ([], [])
        if results and any(map(apart, rest if facts.results_alone else rest[:1])):
            turns += Message("user", results), Message("user", rest)
            refusals.changed("tool results were sent in a turn of their own")
        else:
            turns.append(message)
    return tuple(turns)


def _is_document(block: Block) -> bool:
    return is_kind(block, Document, "document") or is_kind(block, Video, "video")


def fit_status(messages: tuple[Message, ...], facts: ModelFacts, refusals: Refusals) -> tuple[Message, ...]:
    """Return the messages with a `status` only in failed results, and as text where the model takes no status."""
    return tuple(
        with_content(message, [_with_status(block, facts, refusals) for block in message.content])
        for message in messages
    )


def _with_status(block: Any, facts: ModelFacts, refusals: Refusals) -> Any:
    status = _status(block)
    if status is None or (status == "error" and facts.tool_status):
        return block
    if status == "success":  # the default of the service, so only the caller's own block says it
        if isinstance(block, Raw) and facts.tool_status:
            return block
        if not facts.tool_status:
            refusals.changed(f"status was left out of tool results: {facts.name} does not take it")
    elif status == "error":
        refusals.changed(f"status was written as text in failed tool results: {facts.name} does not take it")
    else:  # a value that this version does not know
        return block
    if isinstance(block, Raw):
        result = {key: value for key, value in block.value["toolResult"].items() if key != "status"}
        if status == "error":
            result["content"] = [*result.get("content", ()), {"text": FAILED}]
        return Raw({**block.value, "toolResult": result})
    content = (*block.content, Text(FAILED)) if status == "error" else block.content
    return msgspec.structs.replace(block, status=None, content=content)


def _status(block: Block) -> Any:
    if isinstance(block, ToolResult):
        # The results of tools that the service runs are sent back unchanged.
        return block.status if block.kind is None else None
    match block:
        case Raw({"toolResult": {"status": status} as result}) if "type" not in result:
            return status
    return None
