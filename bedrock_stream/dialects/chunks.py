"""Frames of InvokeModelWithResponseStream: each `chunk` holds one JSON document of the model, in base64.

Shared by the native dialects: unwrapping, exceptions and unknown events. Each dialect parses the documents.
Source: ResponseStream and PayloadPart in the Bedrock Runtime service model, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence

import msgspec

from ..errors import InvalidFrame
from ..eventstream import Frame
from ..types.events import Event, UnknownEvent
from .documents import UNREADABLE, DocumentReader
from .payloads import decode_object, frame_error, unknown_event

__all__ = ("ChunkReader",)


class _Chunk(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    data: bytes = msgspec.field(name="bytes")
    p: str = ""  # padding of random length, which hides token lengths from traffic analysis


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ChunkReader(DocumentReader):
    """Feeds the documents in frames to `read`."""

    __slots__ = ()

    frequent_event = "chunk"

    def feed(self, frames: Iterable[Frame], events: MutableSequence[Event]) -> None:
        """See `dialects.Reader`."""
        for frame in frames:
            headers = frame.headers
            if headers is self._frequent_headers or self._is_frequent(headers):
                # A chunk is JSON around base64 around JSON: this is the first decode, `read` does the second.
                try:
                    document = _decode_chunk(frame.payload).data
                except ValueError:
                    document = self._unwrap(frame, events)
                try:
                    self.read(document, events)
                except UNREADABLE as error:
                    raise InvalidFrame(f"a chunk does not match the model's format: {error!r}") from None
            else:
                self._feed_other(frame, events)

    def _feed_other(self, frame: Frame, events: MutableSequence[Event]) -> None:
        kind = frame.headers.get(":event-type")
        if frame.headers.get(":message-type", "event") != "event" or not isinstance(kind, str):
            raise frame_error(frame)
        # `chunk` is the only event today.
        events.append(unknown_event(kind, frame.payload))

    def _unwrap(self, frame: Frame, events: MutableSequence[Event]) -> bytes:
        """Return the document of a chunk that has unknown members beside it, which are passed on."""
        wire = decode_object(frame.payload, "the payload of a chunk")
        wire.pop("p", None)  # padding
        try:
            document = msgspec.convert(wire.pop("bytes"), bytes)
        except (KeyError, ValueError) as error:
            raise InvalidFrame(f"a chunk has no `bytes` in base64: {error!r}") from None
        if wire:
            events.append(UnknownEvent("chunk", wire))
        return document
