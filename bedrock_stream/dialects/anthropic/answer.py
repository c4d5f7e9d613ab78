"""A whole answer of the Messages API."""

from __future__ import annotations

from typing import Any

import msgspec

from ...types.events import Metadata, ToolCallEnd
from ...types.messages import Block, Raw
from ...types.response import Response, whole_response
from ..chunks import close_metadata, metrics_of, take_blocked, take_trace
from ..payloads import answer_as_described, decode_object, present
from .blocks import read_block
from .reader import read_stop, read_usage

__all__ = ("read_answer",)

_KNOWN = frozenset({"content", "id", "model", "role", "type", "usage", "stop_reason", "stop_sequence"})


def read_answer(body: bytes, *, request_id: str | None, model: str, route: str) -> Response:
    """The `Response`. Raises `InvalidFrame`, and `ToolInputError` as a stream would."""
    wire = decode_object(body, "the answer")
    with answer_as_described():
        blocks = [_or_broken(index, read_block(block)) for index, block in enumerate(wire["content"])]
        blocked = take_blocked(wire)
        metadata = _metadata(wire)
        stop = read_stop({key: wire.get(key) for key in ("stop_reason", "stop_sequence")}, blocked=blocked)
    return whole_response(blocks, stop, metadata, request_id=request_id, model=model, route=route)


def _metadata(wire: dict[str, Any]) -> Metadata:
    usage = wire.get("usage")
    counted = Metadata(usage=read_usage(usage) if isinstance(usage, dict) else None)
    metadata = take_trace(wire).merged(counted).merged(metrics_of(wire) or Metadata())
    extra = {key: value for key, value in present(wire).items() if key not in _KNOWN}
    return close_metadata(metadata.merged(Metadata(extra=extra)))


def _or_broken(index: int, block: Block) -> Block | ToolCallEnd:
    """The block, but for a call whose input is not an object: that could not go back."""
    match block:
        case Raw({"type": "tool_use" | "server_tool_use" as kind, "id": str(id), "name": str(name), **rest}):
            raw = msgspec.json.encode(rest.get("input")).decode()
            return ToolCallEnd(index, id, name, None, raw, kind == "server_tool_use")
    return block
