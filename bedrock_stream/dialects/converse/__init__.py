"""Converse and ConverseStream: Bedrock's own API for conversations, the same for all model families."""

from __future__ import annotations

from typing import Any, ClassVar

from ...types.options import Options
from ..base import BaseDialect, Headers, Parse, ParsedResponse, WriteBody
from ..payloads import pop
from ..tool_input import check_call
from .blocks import read_block
from .body import write_body
from .reader import ConverseReader, read_metadata, read_stop

__all__ = ("Converse",)


def _parse(wire: dict[str, Any]) -> ParsedResponse:
    """Parse a response. Source: ConverseResponse in the Bedrock Runtime service model."""
    # `output` is a union whose only member is `message`.
    message = pop(pop(wire, "output", dict), "message", dict)
    content = pop(message, "content", list)
    blocks = [check_call(index, read_block(block)) for index, block in enumerate(content)]
    return blocks, read_stop(wire), read_metadata(wire)


class Converse(BaseDialect):
    """The Converse dialect."""

    route = "converse"
    operation = "converse"
    stream_operation = "converse-stream"
    body: ClassVar[WriteBody] = staticmethod(write_body)
    reader: ClassVar[staticmethod[[], ConverseReader]] = staticmethod(ConverseReader)
    parse: ClassVar[Parse] = staticmethod(_parse)

    def headers(self, options: Options | None, *, streaming: bool) -> Headers:
        """See `Dialect.headers`: the body has all options."""
        return ()
