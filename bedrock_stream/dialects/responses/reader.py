"""Reads a Responses stream.

The most frequent events, deltas of one kind each, are decoded directly to structs; any other event is parsed
generically. Each part of a message is a block, and so is each other item. The type in the JSON counts, not the name of
the event. `response.completed` and `response.incomplete` end the message.
Source: OpenAI's Responses streaming reference, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from typing import Any

import msgspec

from ...errors import ServiceError
from ...types.events import Event, Metadata, TextDelta, UnknownEvent
from ..error_events import decode_event
from ..payloads import pop, pop_as, without_nulls
from .blocks import PART_TEXTS, read_end
from .open_items import OpenItems

__all__ = ("ResponsesReader",)

_Wire = dict[str, Any]
_UNREAD = msgspec.Raw()


class _Delta(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="type"):
    delta: str
    output_index: int
    item_id: msgspec.Raw = _UNREAD
    sequence_number: msgspec.Raw = _UNREAD
    obfuscation: msgspec.Raw = _UNREAD  # padding, as `p` is


class _TextDelta(_Delta, forbid_unknown_fields=True, gc=False, tag="response.output_text.delta"):
    content_index: int = 0
    logprobs: tuple[()] | None = None


class _ArgumentsDelta(_Delta, forbid_unknown_fields=True, gc=False, tag="response.function_call_arguments.delta"):
    pass


class _ReasoningDelta(_Delta, forbid_unknown_fields=True, gc=False, tag="response.reasoning_text.delta"):
    content_index: int = 0


class _SummaryDelta(_Delta, forbid_unknown_fields=True, gc=False, tag="response.reasoning_summary_text.delta"):
    summary_index: int = 0


_decode_delta = msgspec.json.Decoder(_TextDelta | _ArgumentsDelta | _ReasoningDelta | _SummaryDelta).decode

# Members of each event without information that callers need.
_ENVELOPE = frozenset({"type", "sequence_number", "item_id", "obfuscation", "output_index", "content_index"})
# Events that repeat what others tell.
_REPEATED = frozenset(
    {"response.in_progress", "response.queued", "response.reasoning_summary_part.added", "keepalive", "ping"}
)


class ResponsesReader(OpenItems):
    """Reader of one Responses stream."""

    __slots__ = ()

    def read(self, document: bytes, events: MutableSequence[Event]) -> None:
        """See `DocumentReader.read`."""
        try:
            wire = _decode_delta(document)
        except ValueError:  # another type of event, an unknown member, or malformed
            self._read_any(decode_event(document, self.event_name, answer=("type",)), events)
            return
        if self.ended:
            self.check_open("a delta")
        if not self._message_started:
            self.start_message("assistant", events)
        if type(wire) is _TextDelta:
            part = self.text_part(wire.output_index, wire.content_index)
            part.length += len(wire.delta)
            events.append(TextDelta(part.index, wire.delta))
        elif type(wire) is _ArgumentsDelta:
            self.add_arguments(wire.output_index, wire.delta, events)
        elif type(wire) is _ReasoningDelta:
            self.add_reasoning(wire.output_index, ("content", wire.content_index), wire.delta, events)
        elif type(wire) is _SummaryDelta:
            self.add_reasoning(wire.output_index, ("summary", wire.summary_index), wire.delta, events)

    def _read_any(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        kind = wire.get("type") or self.event_name
        handle = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handle is None:
            if kind not in _REPEATED:
                events.append(UnknownEvent(str(kind), wire))
            elif not self.ended and "response" in wire:
                self._start(wire, events)
            return
        self.check_open(f"a {kind}")
        if kind not in _ENDS and not self._message_started:
            self._start(wire, events)
        handle(self, wire, events)
        if rest := {name: value for name, value in without_nulls(wire).items() if name not in _ENVELOPE}:
            events.append(UnknownEvent(str(kind), rest))

    def _start(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        """Start the message with the first event of any type. Raises `InvalidFrame` for another answer's start."""
        answer = wire.get("response")
        answer_id = answer.get("id") if isinstance(answer, dict) else None
        if not self._message_started:
            self.start_message("assistant", events)
            self.answer_id = answer_id if isinstance(answer_id, str) else None
        elif answer_id is not None and self.answer_id is not None and answer_id != self.answer_id:
            self.start_message("assistant", events)

    # Each handler removes the members that it knows from `wire`. The rest is passed on as unknown.

    def _created(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self._start(wire, events)
        wire.pop("response", None)

    def _item_added(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.add_item(pop(wire, "output_index", int), wire, events)

    def _item_done(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.finish_item(pop(wire, "output_index", int), wire, events)

    def _text_delta(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self._add_text(wire, pop(wire, "delta", str), events)
        if wire.get("logprobs") == []:
            del wire["logprobs"]

    def _refusal_delta(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.refused = True
        self._add_text(wire, pop(wire, "delta", str), events)

    def _add_text(self, wire: _Wire, text: str, events: MutableSequence[Event]) -> None:
        part = self.text_part(*_place(wire))
        part.length += len(text)
        events.append(TextDelta(part.index, text))

    def _text_done(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.add_rest(*_place(wire), pop(wire, "text", str), events)
        wire.pop("logprobs", None)  # those of the deltas

    def _refusal_done(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.refused = True
        self.add_rest(*_place(wire), pop(wire, "refusal", str), events)

    def _part_added(self, wire: _Wire, _events: MutableSequence[Event]) -> None:
        if _is_known_part(wire):
            del wire["part"]

    def _part_done(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        if _is_known_part(wire):
            self.finish_part(*_place(wire), wire.pop("part"), events)

    def _annotation(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.add_annotation(*_place(wire), wire.pop("annotation"), events)
        wire.pop("annotation_index", None)

    def _arguments_delta(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.add_arguments(pop(wire, "output_index", int), pop(wire, "delta", str), events)

    def _arguments_done(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        self.add_rest_of_arguments(pop(wire, "output_index", int), pop(wire, "arguments", str), events)
        wire.pop("name", None)

    def _reasoning_delta(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        item, place = _reasoning_place(wire)
        self.add_reasoning(item, place, pop(wire, "delta", str), events)

    def _reasoning_done(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        item, place = _reasoning_place(wire)
        self.add_rest_of_reasoning(item, place, pop(wire, "text", str), events)

    def _summary_part_done(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        (item, place), part = _reasoning_place(wire), pop(wire, "part", dict)
        if isinstance(text := part.get("text"), str):
            self.add_rest_of_reasoning(item, place, text, events)

    def _end(self, wire: _Wire, events: MutableSequence[Event]) -> None:
        """End the message. An item of which nothing has come, or not all, is read from the whole answer."""
        self._start(wire, events)
        answer = pop(wire, "response", dict)
        if answer.get("status") == "failed":
            raise _failure(answer)
        for index, item in enumerate(pop_as(answer, "output", list[_Wire]) or ()):
            self.finish_late_item(index, item, events)
        self.stop_items(events)
        stop, metadata = read_end(answer, called=self.called, refused=self.refused)
        self.metadata: Metadata = self.metadata.merged(metadata)
        events.append(stop)
        events.append(self.metadata)
        self.ended = self.complete = True

    def _failed(self, wire: _Wire, _events: MutableSequence[Event]) -> None:
        raise _failure(wire.get("response"))


def _failure(answer: Any) -> ServiceError:
    """Return the error of an answer that has failed; without one, it is a failure of the service."""
    from ..error_documents import foreign_error

    error = answer.get("error") if isinstance(answer, dict) else None
    return foreign_error({"error": error or {}}, mid_stream=True)


def _place(wire: _Wire) -> tuple[int, int]:
    """Remove and return the place of a part of a message: the index of its item, and its own."""
    return pop(wire, "output_index", int), pop_as(wire, "content_index", int) or 0


def _reasoning_place(wire: _Wire) -> tuple[int, tuple[str, int]]:
    """Remove and return the place of a part of reasoning: the index of its item, the member there, and its own."""
    member = "summary" if "summary_index" in wire else "content"
    return pop(wire, "output_index", int), (member, pop_as(wire, f"{member}_index", int) or 0)


def _is_known_part(wire: _Wire) -> bool:
    part = wire.get("part")
    # Reasoning comes in events of its own.
    return isinstance(part, dict) and (part.get("type") in PART_TEXTS or part.get("type") == "reasoning_text")


_HANDLERS: dict[str, Callable[[ResponsesReader, _Wire, MutableSequence[Event]], None]] = {
    "response.created": ResponsesReader._created,
    "response.output_item.added": ResponsesReader._item_added,
    "response.output_item.done": ResponsesReader._item_done,
    "response.content_part.added": ResponsesReader._part_added,
    "response.content_part.done": ResponsesReader._part_done,
    "response.output_text.delta": ResponsesReader._text_delta,
    "response.output_text.done": ResponsesReader._text_done,
    "response.output_text.annotation.added": ResponsesReader._annotation,
    "response.refusal.delta": ResponsesReader._refusal_delta,
    "response.refusal.done": ResponsesReader._refusal_done,
    "response.function_call_arguments.delta": ResponsesReader._arguments_delta,
    "response.function_call_arguments.done": ResponsesReader._arguments_done,
    "response.reasoning_text.delta": ResponsesReader._reasoning_delta,
    "response.reasoning_text.done": ResponsesReader._reasoning_done,
    "response.reasoning_summary_text.delta": ResponsesReader._reasoning_delta,
    "response.reasoning_summary_text.done": ResponsesReader._reasoning_done,
    "response.reasoning_summary_part.done": ResponsesReader._summary_part_done,
    "response.completed": ResponsesReader._end,
    "response.incomplete": ResponsesReader._end,
    "response.failed": ResponsesReader._failed,
}
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
