"""The parts of a Converse body, and which tool calls and results in it do not belong together.

Written once for Converse and for every native body, which are read as Converse bodies; who refuses chooses the words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ("is_callers", "sections", "unpaired")


def sections(body: dict[str, Any]) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Path, role and blocks of every part of a prompt, in the order in which models read and cache it."""
    yield "tools", "tools", (body.get("toolConfig") or {}).get("tools", [])
    yield "system", "system", body.get("system", [])
    for position, message in enumerate(body.get("messages", ())):
        yield f"messages.{position}.content", message.get("role", ""), message["content"]


def unpaired(messages: list[dict[str, Any]]) -> Iterator[tuple[str, int, list[str]]]:
    """Where a turn of tool calls is not followed by a turn with exactly their results.

    `missing` with the position where the results should be, `unexpected` with the position where they are, and ids.
    """
    waiting: list[str] = []
    for position, message in enumerate(messages):
        if message.get("role") == "system":
            continue
        results = list(_ids(message, "toolResult"))
        if missing := [call for call in waiting if call not in results]:
            yield "missing", position, missing
        if len(results) > len(waiting):
            yield "unexpected", position, [call for call in results if call not in waiting] or results
        waiting = list(_ids(message, "toolUse"))
    if waiting:
        yield "missing", len(messages), waiting


def is_callers(block: dict[str, Any]) -> bool:
    """Whether a block is a call for the caller to carry out, or the result of one."""
    # Calls that ran on the service's own side come with their results in the same turn.
    return any(kind in block and block[kind].get("type") in (None, "tool_use") for kind in ("toolUse", "toolResult"))


def _ids(message: dict[str, Any], kind: str) -> Iterator[str]:
    return (block[kind]["toolUseId"] for block in message["content"] if kind in block and is_callers(block))
