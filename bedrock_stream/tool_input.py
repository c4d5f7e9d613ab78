"""Fragments of tool input, gathered by block and parsed when the block stops.

Nothing or blank means a tool without arguments: `{}`. Anything else that is not a JSON object stays text, with `input`
None: a cut input must never become a call with `{}`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .events import ToolCallEnd, ToolCallStart

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
    """The open tool calls of one message."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[int, tuple[ToolCallStart, list[str]]] = {}

    def start(self, event: ToolCallStart) -> None:
        """A call began."""
        self._open[event.index] = (event, [])

    def add(self, index: int, fragment: str) -> bool:
        """Keep a fragment; False where no call is open there."""
        entry = self._open.get(index)
        if entry is None:
            return False
        entry[1].append(fragment)
        return True

    def stop(self, index: int) -> ToolCallEnd | None:
        """The finished call, or None where the block held none."""
        entry = self._open.pop(index, None)
        if entry is None:
            return None
        start, fragments = entry
        raw = "".join(fragments)
        return ToolCallEnd(index, start.id, start.name, parse_input(raw), raw, start.server)

    def stop_all(self) -> list[ToolCallEnd]:
        """Whatever is still open when the message itself has ended."""
        return [end for index in sorted(self._open) if (end := self.stop(index)) is not None]
