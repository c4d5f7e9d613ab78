"""Server-sent events of the vendors' own APIs: the data of each event is one JSON document.

A blank event is a keep-alive, and `[DONE]` is the end of a body; neither is a document. `[DONE]` before the message's
end is a truncated answer. An unfinished event at the end of the body is never read, as the standard requires: it
interrupts the stream unless the message has ended. Source: the HTML standard, "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableSequence
from typing import TYPE_CHECKING, ClassVar

from ..errors import InvalidFrame, StreamInterrupted
from ..sse import ServerSentEvent, SSEDecoder
from ..types.events import Event
from .documents import UNREADABLE, DocumentReader

if TYPE_CHECKING:
    from . import BodyDecoder

__all__ = ("SSEReader",)


class SSEReader(DocumentReader):
    """Feeds the data of server-sent events to `read`."""

    __slots__ = ()

    new_decoder: ClassVar[Callable[[], BodyDecoder]] = staticmethod(SSEDecoder)
    ignores_tail = True

    def feed(self, received: Iterable[ServerSentEvent], events: MutableSequence[Event], /) -> None:
        """See `dialects.Reader`."""
        for event in received:
            data = event.data
            if data[:1] == b"[" and data.strip() == b"[DONE]":
                self._end_body()
            elif data or event.event == "error":  # an error without data is one all the same
                self.event_name: str = event.event
                try:
                    self.read(data, events)
                except UNREADABLE as error:
                    raise InvalidFrame(f"an event does not match the API's format: {error!r}") from None

    def _end_body(self) -> None:
        if not self.ended:
            raise StreamInterrupted("[DONE] came before the message's end")
        self.complete: bool = True
