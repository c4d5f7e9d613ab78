"""The turns that an answer adds to the history wherever it was stopped: valid before the next turn on every family.

A tool call without a result, a result without its call, reasoning at the end of a message and half of an image are
refused. Text may end anywhere. What only some models refuse, such as their own reasoning, is left out when it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .media import Image
from .messages import Block, Message, Raw, Reasoning, ToolCall, ToolResult

__all__ = ("NOT_RUN", "turns_of")

NOT_RUN = "The answer was stopped before this tool was run."
"""The result of a call that nothing has answered."""


def turns_of(message: Message, *, whole: bool, results: Sequence[ToolResult] = ()) -> tuple[Message, ...]:
    """Return the message without what the next request cannot have, and a turn with a result for each of its calls.

    `whole`: the message has its own end, so its last block is complete. `results`: those of the calls, in their order;
    without them, each call gets an error result. Empty if nothing of the message can be sent.
    """
    blocks = list(message.content)
    if not whole:
        if blocks and isinstance(blocks[-1], Image | ToolResult):
            del blocks[-1]  # more of it may have been under way
        blocks = _without_half_pairs(blocks)
    # Reasoning must precede an answer. Its signature is invalid unless all of it is here.
    while blocks and _is_reasoning(blocks[-1]):
        del blocks[-1]
    if not blocks:
        return ()
    answer = Message(message.role, blocks)
    calls = answer.tool_calls
    if not calls:
        return (answer,)
    return answer, Message("user", results or [ToolResult(call.id, NOT_RUN, "error", name=call.name) for call in calls])


def _without_half_pairs(blocks: list[Block]) -> list[Block]:
    """Return the blocks without calls that the service runs and has not answered, and without results of other calls.

    Both are in the same message.
    """
    calls = {_server_call(block) for block in blocks}
    results = {_server_result(block) for block in blocks}
    lone = (calls ^ results) - {None}
    return [block for block in blocks if not {_server_call(block) or _server_result(block)} & lone]


def _server_call(block: Block) -> str | None:
    match block:
        case ToolCall(id=id, server=True):
            return id
        case Raw({"toolUse": {"toolUseId": str(id), "type": "server_tool_use"}}):
            return id
        case Raw({"type": str(kind), "id": str(id)}) if kind.endswith("_tool_use"):  # Claude's `mcp_tool_use`
            return id
    return None


def _server_result(block: Block) -> str | None:
    match block:
        case ToolResult(id=id) | Raw({"toolResult": {"toolUseId": str(id)}}):
            return id
        case Raw({"type": str(), "tool_use_id": str(id)}):
            return id
    return None


def _is_reasoning(block: Block) -> bool:
    if isinstance(block, Raw):
        wire: Any = block.value
        return "reasoningContent" in wire or wire.get("type") in ("thinking", "redacted_thinking")
    return isinstance(block, Reasoning)
