"""Fragments of tool input: emitted immediately, collected by block, parsed when the block stops.

Empty or blank input means a tool without arguments: `{}`. Any other input that is not a JSON object remains text, with
`input` None: truncated input must never become a call with `{}`.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import Any

import msgspec

from ..errors import InvalidFrame
from ..types.checks import check_cost
from ..types.events import Event, ToolCallDelta, ToolCallEnd, ToolCallStart
from ..types.messages import Block, Raw

__all__ = ("ToolInputs", "check_call", "parse_input")


def parse_input(raw: str) -> dict[str, Any] | None:
    """Return the input object, or None if the text is not a JSON object."""
    if not raw.strip():  # a tool without arguments may have no fragment at all, or an empty one
        return {}
    try:
        document = raw.encode()
        check_cost(document)
        value = msgspec.json.decode(document)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def check_call(index: int, block: Block) -> Block | ToolCallEnd:
    """Return a response's block, or a `ToolCallEnd` if it is a tool call whose input is not a JSON object.

    Such a call has no typed form, so the dialects read it as `Raw`. It cannot be sent back as history.
    """
    match block:
        case Raw({"toolUse": {"toolUseId": str(id), "name": str(name), **call}}):  # Converse
            server = call.get("type") == "server_tool_use"
        case Raw({"type": "tool_use" | "server_tool_use" as kind, "id": str(id), "name": str(name), **call}):  # Claude
            server = kind == "server_tool_use"
        case _:
            return block
    return ToolCallEnd(index, id, name, None, msgspec.json.encode(call.get("input")).decode(), server)


class ToolInputs:
    """The tool calls of one message; base of the readers. Its methods append the events of a call."""

    __slots__ = ("_open_tools", "broken_tool")

    def __init__(self) -> None:
        self._open_tools: dict[int, tuple[ToolCallStart, list[str]]] = {}
        # The first one. Reported after the message's end, unless the service runs the tool itself.
        self.broken_tool: ToolCallEnd | None = None

    def start_tool(self, start: ToolCallStart, events: MutableSequence[Event]) -> None:
        """Start a call."""
        self._open_tools[start.index] = (start, [])
        events.append(start)

    def add_tool_input(self, index: int, fragment: str, events: MutableSequence[Event]) -> None:
        """Add a fragment of a call's input. Raises `InvalidFrame` if no call is open in this block."""
        call = self._open_tools.get(index)
        if call is None:
            raise InvalidFrame(f"received tool input for block {index}, where no tool call is open")
        call[1].append(fragment)
        events.append(ToolCallDelta(index, fragment))

    def tool_input(self, index: int) -> str:
        """Return the input of an open call so far."""
        return "".join(self._open_tools[index][1])

    def stop_tool(self, index: int, events: MutableSequence[Event]) -> None:
        """End the call in this block, if it holds one."""
        call = self._open_tools.pop(index, None)
        if call is None:
            return
        start, fragments = call
        raw = "".join(fragments)
        end = ToolCallEnd(index, start.id, start.name, parse_input(raw), raw, start.server)
        if end.input is None and not end.server and self.broken_tool is None:
            self.broken_tool = end
        events.append(end)

    def stop_tools(self, events: MutableSequence[Event]) -> None:
        """End all open calls, in the order of their blocks: a message may end, e.g. at its limit, with calls open."""
        for index in sorted(self._open_tools):
            self.stop_tool(index, events)
