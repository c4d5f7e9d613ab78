"""The sections of a Converse body, and the tool calls and results in it that do not match.

Shared by Converse and all native formats, which are converted to Converse bodies. Each caller has its own error
messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ("is_caller_block", "sections", "unpaired")


def sections(body: dict[str, Any]) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Yield path, role and blocks of every section of a prompt, in the order in which models read and cache it."""
    yield "tools", "tools", (body.get("toolConfig") or {}).get("tools", [])
    yield "system", "system", body.get("system", [])
    for position, message in enumerate(body.get("messages", ())):
        yield f"messages.{position}.content", message.get("role", ""), message["content"]


def unpaired(messages: list[dict[str, Any]]) -> Iterator[tuple[str, int, list[str]]]:
    """Yield kind, message index and ids for each turn of tool calls that is not followed by exactly its results.

    The kind is "missing", with the index where the results should be, or "unexpected", with the index where they are.
    """
    pending: list[str] = []
    for position, message in enumerate(messages):
        # A system message may be between a call and its result.
        if message.get("role") == "system":
            continue
        results = list(_ids(message, "toolResult"))
        given, expected = set(results), set(pending)
        if missing := [call for call in pending if call not in given]:
            yield "missing", position, missing
        if len(results) > len(pending):
            yield "unexpected", position, [call for call in results if call not in expected] or results
        pending = list(_ids(message, "toolUse"))
    if pending:
        yield "missing", len(messages), pending


def is_caller_block(block: dict[str, Any]) -> bool:
    """Return True for a tool call that the caller has to run, and for its result."""
    # Calls of tools that the service runs (`server_tool_use`) have their results in the same turn.
    return any(kind in block and block[kind].get("type") in (None, "tool_use") for kind in ("toolUse", "toolResult"))


def _ids(message: dict[str, Any], kind: str) -> Iterator[str]:
    return (block[kind]["toolUseId"] for block in message["content"] if kind in block and is_caller_block(block))
