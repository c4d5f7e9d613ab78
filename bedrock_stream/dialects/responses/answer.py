"""Complete responses of the Responses API: a list of items."""

from __future__ import annotations

from typing import Any

import msgspec

from ...types.events import Metadata, ToolCallEnd
from ...types.messages import Block, CitedText, Raw, Reasoning, Text, ToolCall
from ..base import ParsedResponse
from ..openai.ids import qualified
from ..payloads import pop_as
from ..reasoning_items import pack_item
from ..tool_input import parse_input
from .blocks import PART_TEXTS, SEPARATOR, read_annotation, read_end, reasoning_parts

__all__ = ("parse",)

_Wire = dict[str, Any]


def parse(wire: _Wire) -> ParsedResponse:
    """Parse a response. Parts of an unknown type become `Metadata.extra`; items of one go back as they are."""
    answer = _Answer(wire.get("id"))
    for item in msgspec.convert(wire["output"], list[_Wire]):
        answer.add(item)
    stop, metadata = read_end(wire, called=answer.called, refused=answer.refused)
    if answer.unknown:
        metadata = metadata.merged(Metadata(extra={"output": answer.unknown}))
    return answer.blocks, stop, metadata


class _Answer:
    """The content of an answer while its items are read."""

    def __init__(self, answer_id: Any) -> None:
        self._id = answer_id if isinstance(answer_id, str) else None
        self.blocks: list[Block | ToolCallEnd] = []
        self.unknown: list[_Wire] = []
        self.called = False
        self.refused = False

    def add(self, item: _Wire) -> None:
        match item.get("type"):
            case "message":
                for part in msgspec.convert(item["content"], list[_Wire]):
                    self._add_part(part)
            case "function_call":
                self._add_call(item)
            case "reasoning":
                text = SEPARATOR.join(text for _, _, text in reasoning_parts(item))
                self.blocks.append(Reasoning(text, redacted=pack_item(item)))
            case _:
                self.blocks.append(Raw(item))

    def _add_part(self, part: _Wire) -> None:
        kind = part.get("type")
        if not isinstance(kind, str) or kind not in PART_TEXTS:
            self.unknown.append(part)
            return
        self.refused |= kind == "refusal"
        text = msgspec.convert(part[PART_TEXTS[kind]], str)
        citations = tuple(map(read_annotation, pop_as(part, "annotations", list[_Wire]) or ()))
        self.blocks.append(CitedText((text,), citations) if citations else Text(text))

    def _add_call(self, item: _Wire) -> None:
        self.called = True
        call_id, name = msgspec.convert((item["call_id"], item["name"]), tuple[str, str])
        call_id = qualified(self._id, call_id)
        raw = pop_as(item, "arguments", str) or ""
        parsed = parse_input(raw)
        if parsed is None:
            self.blocks.append(ToolCallEnd(len(self.blocks), call_id, name, None, raw))
        else:
            self.blocks.append(ToolCall(call_id, name, parsed))
