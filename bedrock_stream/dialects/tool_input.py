"""Fragments of tool input: told at once, gathered by block, parsed when the block stops.

Nothing or blank means a tool without arguments: `{}`. Anything else that is not a JSON object stays text, with `input`
None: a cut input must never become a call with `{}`. The first such call of the caller's is remembered, since the
message's end has to say so.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from ..errors import InvalidFrame
from ..types.events import Event, ToolCallDelta, ToolCallEnd, ToolCallStart

__all__ = ("ToolInputs", "parse_input")


def parse_input(raw: str) -> dict[str, Any] | None:
    """The input object; None where the text is not one."""
    if not raw.strip():
        return {}
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    return value if isinstance(value, dict) else None


class ToolInputs:
    """The tool calls of one message. A stream's reader is one: it says what came, and that becomes the events."""

    __slots__ = ("_open_tools", "broken_tool")

    def __init__(self) -> None:
        self._open_tools: dict[int, tuple[ToolCallStart, list[str]]] = {}
        self.broken_tool: ToolCallEnd | None = None  # the first; calls that the service runs itself do not count

    def start_tool(self, start: ToolCallStart, events: deque[Event]) -> None:
        """A call began."""
        self._open_tools[start.index] = (start, [])
        events.append(start)

    def add_tool_input(self, index: int, fragment: str, events: deque[Event]) -> None:
        """A piece of a call's input came. Raises `InvalidFrame` where no call is open there."""
        call = self._open_tools.get(index)
        if call is None:
            raise InvalidFrame(f"tool input came for block {index}, which no tool call opened")
        call[1].append(fragment)
        events.append(ToolCallDelta(index, fragment))

    def stop_tool(self, index: int, events: deque[Event]) -> None:
        """A block ended: so does the call in it, where it held one."""
        call = self._open_tools.pop(index, None)
        if call is None:
            return
        start, fragments = call
        raw = "".join(fragments)
        end = ToolCallEnd(index, start.id, start.name, parse_input(raw), raw, start.server)
        if end.input is None and not end.server and self.broken_tool is None:
            self.broken_tool = end
        events.append(end)

    def stop_tools(self, events: deque[Event]) -> None:
        """The message ended: so does whatever is still open, in the order of the blocks."""
        for index in sorted(self._open_tools):
            self.stop_tool(index, events)
