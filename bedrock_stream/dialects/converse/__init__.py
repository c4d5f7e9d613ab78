"""Converse and ConverseStream: Bedrock's own form of a conversation, the same for every family of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...assembly import Response, build_response, tool_input_error
from ...errors import InvalidFrame
from ...events import ToolCallEnd
from ...messages import Block, Message, Raw
from ...options import Options
from .blocks import read_block
from .body import write_body
from .members import pop
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
            blocks = [read_block(block) for block in pop(message, "content", list)]
            stop = read_stop(wire)
            metadata = read_metadata(wire)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidFrame(f"the answer is not as the service describes it: {error!r}") from None
        broken = tuple(_broken_call(index, block) for index, block in enumerate(blocks))
        calls = tuple(call for call in broken if call is not None)
        response = build_response(
            [block for block, call in zip(blocks, broken, strict=True) if call is None],
            stop,
            metadata,
            broken=calls,
            request_id=request_id,
            model=model,
            route=self.route,
        )
        for call in calls:
            if not call.server:
                raise tool_input_error(call, response)
        return response


def _broken_call(index: int, block: Block) -> ToolCallEnd | None:
    """A call whose input is not an object: it is no block that could go back."""
    match block:
        case Raw({"toolUse": {"toolUseId": str(id), "name": str(name), **rest}}):
            raw = msgspec.json.encode(rest.get("input")).decode()
            return ToolCallEnd(index, id, name, None, raw, rest.get("type") == "server_tool_use")
    return None
