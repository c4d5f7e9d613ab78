"""The items of an answer while they come: each part of a message, each call and each reasoning is a block.

An event that says that something is done holds all of it: what has not come before is taken from there.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import Any, TypeAlias

import msgspec

from ...errors import InvalidFrame
from ...types.events import BlockStop, CitationDelta, Event, ReasoningDelta, TextDelta, ToolCallStart, UnknownEvent
from ..openai.ids import qualified
from ..payloads import pop, pop_as, without_nulls
from ..reasoning_items import pack_item
from ..sse_reader import SSEReader
from ..tool_input import parse_input
from .blocks import PART_TEXTS, SEPARATOR, read_annotation, reasoning_parts

__all__ = ("OpenItems",)

_Wire = dict[str, Any]
_Events: TypeAlias = MutableSequence[Event]

# Members of items without information that callers need.
_ENVELOPE = frozenset({"id", "type", "role", "status", "phase", "content", "call_id", "name", "arguments", "item_id"})


class _Part(msgspec.Struct):
    index: int
    """The index of its block."""
    length: int = 0
    """The characters of its text that have come; the text itself is not kept."""
    citations: int = 0


class _Reasoning(msgspec.Struct):
    index: int
    lengths: dict[tuple[str, int], int] = {}
    """The characters that have come of each part, by its member and its place there."""
    last: tuple[str, int] | None = None


class OpenItems(SSEReader):
    """Base of the reader: the items of one answer, by their index in it. Its methods append the events of blocks."""

    __slots__ = (
        "_calls",
        "_done",
        "_done_ids",
        "_next",
        "_others",
        "_parts",
        "_reasoning",
        "answer_id",
        "called",
        "refused",
    )

    def __init__(self) -> None:
        super().__init__()
        self._next = 0  # the index of the next block
        self._parts: dict[tuple[int, int], _Part] = {}  # of messages, by their item and their place in it
        self._calls: dict[int, int] = {}  # the blocks of started calls
        self._reasoning: dict[int, _Reasoning] = {}
        self._others: dict[int, int] = {}  # the blocks of items of unknown types
        self._done: set[int] = set()  # the items that are complete
        self._done_ids: set[str] = set()
        self.answer_id: str | None = None
        self.called: bool = False  # whether the answer calls a function
        self.refused: bool = False  # whether it says that the model refuses

    # ------------------------------------------------------------------------------------------------------------ text

    def text_part(self, item: int, place: int) -> _Part:
        """Return a part of a message. Raises `InvalidFrame` if its item is complete."""
        part = self._parts.get((item, place))
        if part is None:
            part = self._parts[item, place] = _Part(self._block(item))
        return part

    def add_rest(self, item: int, place: int, text: str, events: _Events) -> None:
        """Add what a part's whole text has more than what has come of it."""
        part = self.text_part(item, place)
        if len(text) > part.length:
            events.append(TextDelta(part.index, text[part.length :]))
            part.length = len(text)

    def finish_part(self, item: int, place: int, wire: _Wire, events: _Events) -> None:
        """Add what a whole part has more than what has come of it."""
        member = PART_TEXTS.get(wire["type"])
        if member is None:  # reasoning, which has events of its own
            return
        self.refused |= wire["type"] == "refusal"
        self.add_rest(item, place, pop(wire, member, str), events)
        annotations = pop_as(wire, "annotations", list[_Wire]) or []
        for annotation in annotations[self.text_part(item, place).citations :]:
            self.add_annotation(item, place, annotation, events)

    def add_annotation(self, item: int, place: int, annotation: Any, events: _Events) -> None:
        """Add a citation of a part."""
        part = self.text_part(item, place)
        part.citations += 1
        events.append(CitationDelta(part.index, read_annotation(annotation)))

    # ----------------------------------------------------------------------------------------------------------- calls

    def add_arguments(self, item: int, fragment: str, events: _Events) -> None:
        """Add a fragment of a call's input. Raises `InvalidFrame` if no call is open there."""
        index = self._calls.get(item)
        if index is None:
            raise InvalidFrame(f"received arguments for item {item}, which is not a function call that has started")
        if fragment:
            self.add_tool_input(index, fragment, events)

    def add_rest_of_arguments(self, item: int, arguments: str, events: _Events) -> None:
        """Add what a call's whole input has more. Raises `InvalidFrame` if it is another one: it must not be run."""
        index = self._calls.get(item)
        came = "" if index is None else self.tool_input(index)
        if arguments.startswith(came):
            self.add_arguments(item, arguments[len(came) :], events)
        elif arguments and parse_input(arguments) != parse_input(came):
            raise InvalidFrame(f"the arguments of item {item} differ from their deltas")

    def _start_call(self, item: int, wire: _Wire, events: _Events) -> None:
        if item not in self._calls:
            call_id, name = pop(wire, "call_id", str), pop(wire, "name", str)
            index = self._calls[item] = self._block(item)
            self.called = True
            self.start_tool(ToolCallStart(index, qualified(self.answer_id, call_id), name), events)

    # ------------------------------------------------------------------------------------------------------- reasoning

    def add_reasoning(self, item: int, place: tuple[str, int], text: str, events: _Events) -> None:
        """Add a fragment of a part of reasoning."""
        reasoning = self._reasoning_of(item)
        if place != reasoning.last and text:
            if reasoning.last is not None:
                events.append(ReasoningDelta(reasoning.index, SEPARATOR))
            reasoning.last = place
        if text:
            reasoning.lengths[place] = reasoning.lengths.get(place, 0) + len(text)
            events.append(ReasoningDelta(reasoning.index, text))

    def add_rest_of_reasoning(self, item: int, place: tuple[str, int], text: str, events: _Events) -> None:
        """Add what a part's whole text has more than what has come of it."""
        self.add_reasoning(item, place, text[self._reasoning_of(item).lengths.get(place, 0) :], events)

    def _reasoning_of(self, item: int) -> _Reasoning:
        reasoning = self._reasoning.get(item)
        if reasoning is None:
            reasoning = self._reasoning[item] = _Reasoning(self._block(item))
        return reasoning

    # ----------------------------------------------------------------------------------------------------------- items

    def add_item(self, item: int, wire: _Wire, events: _Events) -> None:
        """Take the start of an item, and remove it from `wire` if its type is known."""
        members = msgspec.convert(wire["item"], _Wire)
        kind = pop(dict(members), "type", str)
        if kind == "function_call":
            self._start_call(item, members, events)
        elif kind not in ("message", "reasoning"):  # their parts come in events of their own, or with their end
            self._others[item] = self._block(item)
            return
        del wire["item"]

    def finish_item(self, item: int, wire: _Wire, events: _Events) -> None:
        """Take the end of an item, and remove what is known of it from `wire`."""
        members = pop(wire, "item", dict)
        kind = pop(dict(members), "type", str)
        rest: _Wire = {}
        match kind:
            case "message":
                rest = self._finish_message(item, members, events)
            case "function_call":
                self._start_call(item, members, events)
                self.add_rest_of_arguments(item, pop_as(members, "arguments", str) or "", events)
                self.stop_tool(self._calls[item], events)
                events.append(BlockStop(self._calls.pop(item)))
                rest = members
            case "reasoning":
                self._finish_reasoning(item, members, events)
            case _:  # it goes back as it is
                index = self._others.pop(item, None)
                events.append(BlockStop(self._block(item) if index is None else index, members))
                wire["item"] = members
        self._done.add(item)
        if isinstance(item_id := members.get("id"), str):
            self._done_ids.add(item_id)
        if rest := {name: value for name, value in without_nulls(rest).items() if name not in _ENVELOPE}:
            wire["item"] = rest

    def finish_late_item(self, item: int, members: _Wire, events: _Events) -> None:
        """Take an item of the whole answer, unless it has ended before."""
        if item in self._done or members.get("id") in self._done_ids:
            return
        wire: _Wire = {"item": members}
        self.finish_item(item, wire, events)
        if rest := wire.get("item"):
            events.append(UnknownEvent("response.output_item.done", {"item": rest}))

    def stop_items(self, events: _Events) -> None:
        """End all open blocks, in their order: an answer may end, e.g. at its limit, with items open."""
        self.stop_tools(events)
        indexes = [part.index for part in self._parts.values()] + list(self._calls.values())
        indexes += [reasoning.index for reasoning in self._reasoning.values()]
        events.extend(BlockStop(index) for index in sorted(indexes))

    def _finish_message(self, item: int, members: _Wire, events: _Events) -> _Wire:
        """End the parts of a message. Return its members, with the parts of unknown types under another name."""
        unknown = []
        for place, part in enumerate(pop_as(members, "content", list[_Wire]) or ()):
            if part.get("type") in PART_TEXTS:
                self.finish_part(item, place, part, events)
            else:
                unknown.append(part)
        for key in [key for key in self._parts if key[0] == item]:
            events.append(BlockStop(self._parts.pop(key).index))
        return {**members, "parts": unknown} if unknown else members

    def _finish_reasoning(self, item: int, members: _Wire, events: _Events) -> None:
        for member, place, text in reasoning_parts(members):
            self.add_rest_of_reasoning(item, (member, place), text, events)
        index = self._reasoning_of(item).index
        del self._reasoning[item]
        events.append(ReasoningDelta(index, redacted=pack_item(members)))
        events.append(BlockStop(index))

    def _block(self, item: int) -> int:
        """Return the index of a new block. Raises `InvalidFrame` if its item is complete."""
        if item in self._done:
            raise InvalidFrame(f"more of item {item} follows its end")
        self._next += 1
        return self._next - 1
