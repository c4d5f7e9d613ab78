"""Converse and ConverseStream: Bedrock's own form of a conversation, the same for every family of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...errors import InvalidFrame
from ...types.events import ToolCallEnd
from ...types.messages import Block, Message, Raw
from ...types.options import Options
from ...types.response import Response, whole_response
from ..payloads import pop
from .blocks import read_block
from .body import write_body
from .reader import ConverseReader, read_metadata, read_stop

__all__ = ("Converse",)


class Converse:
    """The Converse dialect."""

    route = "converse"
    operation = "converse"
    stream_operation = "converse-stream"

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """See `dialects.Dialect`."""
        return write_body(messages, options)

    def reader(self) -> ConverseReader:
        """See `dialects.Dialect`."""
        return ConverseReader()

    def answer(self, body: bytes, *, request_id: str | None, model: str) -> Response:
        """See `dialects.Dialect`. Source: ConverseResponse in the Bedrock Runtime service model."""
        try:
            wire = msgspec.json.decode(body)
            message = pop(pop(wire, "output", dict), "message", dict)
            content = pop(message, "content", list)
            blocks = [_or_broken(index, read_block(block)) for index, block in enumerate(content)]
            stop = read_stop(wire)
            metadata = read_metadata(wire)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidFrame(f"the answer is not as the service describes it: {error!r}") from None
        return whole_response(blocks, stop, metadata, request_id=request_id, model=model, route=self.route)


def _or_broken(index: int, block: Block) -> Block | ToolCallEnd:
    """The block, but for a call whose input is not an object: that could not go back."""
    match block:
        case Raw({"toolUse": {"toolUseId": str(id), "name": str(name), **rest}}):
            raw = msgspec.json.encode(rest.get("input")).decode()
            return ToolCallEnd(index, id, name, None, raw, rest.get("type") == "server_tool_use")
    return block
