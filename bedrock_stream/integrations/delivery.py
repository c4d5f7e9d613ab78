"""Delivery of a stream in a protocol: to one HTTP response, or to the log of a relay."""

from __future__ import annotations

from typing import Protocol

from ..client.stream import Stream
from ..client.tool_loop import ToolRun
from ..errors import BedrockStreamError, StreamInterrupted
from ..types.events import MessageStart
from .protocols import Writer

__all__ = ("Sink", "deliver")


class Sink(Protocol):
    """Where the encoded events of one stream are written."""

    async def write(self, data: bytes) -> None:
        """Write data that does not end the response."""

    async def close(self, data: bytes) -> None:
        """Write the last data."""

    async def refuse(self, error: BedrockStreamError) -> bool:
        """Report a failure in place of a response. Return False if it must be written as data."""


async def deliver(stream: Stream | ToolRun, writer: Writer, sink: Sink) -> None:
    """Read a stream to its end, or to the error that ends it, and write it to a sink."""
    data = b""
    try:
        async for event in stream:
            data += writer.event(event)
            # Held back until the next event, since a failure after it can still be an HTTP status.
            if type(event) is MessageStart:
                continue
            if data:
                await sink.write(data)
                data = b""
        await sink.close(data + writer.end())
    except BedrockStreamError as error:
        # A stream that the program closed did not fail; the protocol says so where it can.
        stopped = isinstance(error, StreamInterrupted) and error.closed and getattr(writer, "writes_abort", False)
        if stopped or not await sink.refuse(error):
            await sink.close(data + writer.failed(error))
