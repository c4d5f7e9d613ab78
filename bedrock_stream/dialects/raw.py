"""Any model's own JSON, passed through: for families whose form has no typed reader here."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from ..errors import UnsupportedOperation
from ..types.messages import Message
from ..types.options import Options
from ..types.response import Response
from .chunks import ChunkReader
from .payloads import decode_object

__all__ = ("Raw",)


class RawReader(ChunkReader):
    """Documents as dicts."""

    __slots__ = ()

    has_end_marker = False

    def read(self, document: bytes, events: deque[Any]) -> None:
        """See `ChunkReader.read`."""
        events.append(decode_object(document, "a chunk"))


class Raw:
    """The dialect of no family: the caller writes the body and reads the documents."""

    route = "invoke"
    operation = "invoke"
    stream_operation = "invoke-with-response-stream"

    def reader(self) -> RawReader:
        """See `dialects.Dialect`."""
        return RawReader()

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """The caller has written it."""
        raise UnsupportedOperation("prompt", "raw calls take a body", "use stream() for messages")

    def answer(self, body: bytes, *, request_id: str | None, model: str) -> Response:
        """The caller reads it."""
        raise UnsupportedOperation("response", "raw answers are dicts", "use generate() for a Response")
