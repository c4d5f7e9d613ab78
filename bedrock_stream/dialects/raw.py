"""Raw JSON of any model, passed through: for `invoke` and `invoke_stream`, and families without a typed reader here."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from typing import Any

from ..errors import UnsupportedOperation
from ..eventstream import Frame
from ..types.events import Usage
from ..types.messages import Message
from ..types.options import Options
from ..types.response import Response
from . import Reader
from .base import NO_HEADERS, BaseDialect, Headers
from .chunks import ChunkReader
from .converse.reader import read_metadata
from .documents import METRICS, take_metrics
from .payloads import decode_object, raise_error

__all__ = ("Raw", "RawConverse")


class RawReader(ChunkReader):
    """Reader that passes each document on as a dict."""

    __slots__ = ("raw_usage",)

    # Each family marks the end in its own way, so only the end of the body ends a stream here.
    has_end_marker = False

    def __init__(self) -> None:
        super().__init__()
        self.raw_usage: Usage | None = None

    def read(self, document: bytes, events: MutableSequence[Any]) -> None:
        """See `DocumentReader.read`."""
        wire = decode_object(document, "a chunk")
        raise_error(wire, mid_stream=True)
        if METRICS in wire:  # the last one has Bedrock's own counts, whatever the family
            self.raw_usage = take_metrics(dict(wire)).usage
        events.append(wire)

    def _feed_other(self, frame: Frame, events: MutableSequence[Any]) -> None:
        super()._feed_other(frame, events)
        event = events[-1]
        if event.name == "metadata" and isinstance(event.payload, dict):  # of Converse
            self.raw_usage = read_metadata(event.payload).usage


class Raw(BaseDialect):
    """The dialect of raw calls, where the caller writes the body and reads the documents."""

    def reader(self) -> Reader:
        """See `dialects.Dialect`."""
        return RawReader()

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """Raise `UnsupportedOperation`: the caller writes the body."""
        raise UnsupportedOperation("prompt", "raw calls take a body and no messages", "use stream() or generate()")

    def answer(
        self,
        body: bytes,
        *,
        request_id: str | None,
        model: str,
        family: str | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Response:
        """Raise `UnsupportedOperation`: the caller reads the response."""
        raise UnsupportedOperation("response", "raw calls return dicts and no Response", "use generate()")


class RawConverse(Raw):
    """The dialect of calls whose body is the caller's own, in Converse's format."""

    route = "converse"
    operation = "converse"
    stream_operation = "converse-stream"

    def headers(self, options: Options | None, *, streaming: bool) -> Headers:
        """See `Dialect.headers`: the body has all options."""
        return ()
