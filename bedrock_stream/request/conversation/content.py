"""Blocks that a model does not take: images, documents and videos, and tool blocks where it has no tools.

Attachments in the caller's own blocks (`Raw`, dicts of the wire) always pass: the service decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ...errors import UnsupportedOperation
from ...types.media import Document, Image, Video
from ...types.messages import Block, Message, ToolResult
from ...types.model_facts import ModelFacts
from ..unsupported import Refusals
from .blocks import all_blocks, is_tool_block, with_content

__all__ = ("check_tool_blocks", "fit_content")

_KINDS: dict[str, type] = {"image": Image, "document": Document, "video": Video}
_OMIT = "remove it, or use a model that takes it"


def fit_content(messages: tuple[Message, ...], facts: ModelFacts, refusals: Refusals) -> tuple[Message, ...]:
    """Return the messages without the attachments that the model refuses and `refusals` drops.

    Raises `UnsupportedOperation` for them otherwise.
    """
    refused = _refused(facts)
    in_turns = refused if facts.documents_in_turns else {*refused, "document"}
    in_results = refused.union(facts.refused_in_results)
    if not in_turns and not in_results:
        return messages
    fitted = []
    for number, message in enumerate(messages):
        path = f"messages[{number}].content"
        blocks: list[Any] = []
        for index, block in _kept(message.content, path, in_turns, facts, refusals):
            blocks.append(_fit_result(block, f"{path}[{index}]", in_results, facts, refusals))
        if blocks:
            fitted.append(with_content(message, blocks))
    return tuple(fitted)


def check_tool_blocks(messages: Sequence[Message], facts: ModelFacts, refusals: Refusals) -> None:
    """Raise `UnsupportedOperation` for calls and results in the history of a model without tools."""
    if facts.tools or refusals.mode == "send":
        return
    for path, block in all_blocks(messages):
        if is_tool_block(block):
            problem = f"{facts.name} has no tools, so it takes no tool calls or results"
            raise UnsupportedOperation(path, problem, "use a model with tools, or write them as text")


def _fit_result(block: Block, path: str, refused: set[str], facts: ModelFacts, refusals: Refusals) -> Block:
    """Return a block, without the attachments in a tool result that are not taken there."""
    if not isinstance(block, ToolResult):
        return block
    kept = tuple(item for _, item in _kept(block.content, f"{path}.content", refused, facts, refusals))
    return block if len(kept) == len(block.content) else msgspec.structs.replace(block, content=kept)


def _kept(
    items: Sequence[Any], path: str, refused: set[str], facts: ModelFacts, refusals: Refusals
) -> Iterator[tuple[int, Any]]:
    for index, item in enumerate(items):
        kind = _kind(item)
        if kind in refused:
            place = "" if kind in _refused(facts) else " there"
            if refusals.drops(f"{path}[{index}]", f"{facts.name} takes no {kind}s{place}", _OMIT):
                continue
        yield index, item


def _refused(facts: ModelFacts) -> set[str]:
    """Return the kinds of attachments that the model takes nowhere."""
    taken = {"image": facts.images, "document": facts.documents, "video": facts.video}
    return {kind for kind, is_taken in taken.items() if not is_taken}


def _kind(item: Any) -> str | None:
    return next((kind for kind, type_ in _KINDS.items() if isinstance(item, type_)), None)
