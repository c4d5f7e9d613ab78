"""One response on its way in, from bytes to events, without I/O: `receive(data)` for each read, `finish()` at the end.

`MessageStart` is held back until something follows it, so that a failure right behind it can still be retried. Once
`begun` is true, content has been delivered and the call must not be retried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableSequence, Sequence
from typing import Any, Protocol, TypeAlias

from ..errors import BedrockStreamError, StreamInterrupted
from ..eventstream import Frame
from ..types.events import Metadata, ToolCallEnd, Usage
from ..types.response import Assembly
from . import Reader
from .payloads import document_failure

__all__ = ("Document", "EventStream", "Incoming", "OnBytes", "OnFrames")

OnBytes: TypeAlias = Callable[[bytes], None]
OnFrames: TypeAlias = Callable[[Sequence[Frame]], None]


class Incoming(Protocol):
    """One response while it is received. Its events are appended to a queue that the caller owns and empties."""

    @property
    def begun(self) -> bool:
        """Whether content has been delivered; a retry is allowed only before."""

    @property
    def started(self) -> bool:
        """Whether anything of the message has been received."""

    @property
    def ended(self) -> bool:
        """Whether the message has ended, so that a connection that breaks now loses nothing of it."""

    @property
    def over(self) -> bool:
        """Whether the message's own end has been received; its usage may follow."""

    @property
    def complete(self) -> bool:
        """Whether only the end of the body is still expected."""

    @property
    def broken_tool(self) -> ToolCallEnd | None:
        """The first tool call whose input is not a JSON object."""

    @property
    def assembly(self) -> Assembly | None:
        """The sum of the events so far; None if nothing is kept."""

    @property
    def usage(self) -> Usage | None:
        """The token counts as the response reports them, once it has ended; None if unknown."""

    def take_headers(self, headers: Mapping[str, str]) -> None:
        """Take the HTTP headers, before the first bytes of the body."""

    def receive(self, data: bytes) -> BedrockStreamError | None:
        """Take bytes of the body, with the queue empty. Return the failure that follows the events in them, if any."""

    def release(self) -> bool:
        """Deliver what is held back, since no retry follows. Return whether anything was."""

    def finish(self, request_id: str | None) -> None:
        """Take the end of the body. Raises `StreamInterrupted` if the message has not ended, `InvalidFrame`."""


class EventStream:
    """A response that is a stream: of event-stream frames, or of what else the reader's decoder returns.

    `on_frames` is only for frames.
    """

    __slots__ = (
        "_decoder",
        "_events",
        "_held",
        "_on_bytes",
        "_on_frames",
        "_reader",
        "_usage",
        "assembly",
        "begun",
        "complete",
        "over",
    )

    def __init__(
        self,
        reader: Reader,
        events: MutableSequence[Any],
        assembly: Assembly | None = None,
        on_bytes: OnBytes | None = None,
        on_frames: OnFrames | None = None,
    ) -> None:
        self._decoder = reader.new_decoder()
        self._reader = reader
        self._events = events
        self._held: list[Any] = []  # the message's start, until something follows it
        self._on_bytes = on_bytes
        self._on_frames = on_frames
        self._usage: Usage | None = None
        self.assembly: Assembly | None = assembly
        self.begun: bool = False
        self.complete: bool = False
        self.over: bool = False

    @property
    def started(self) -> bool:
        """See `Incoming`."""
        return self.begun or bool(self._held)

    @property
    def ended(self) -> bool:
        """See `Incoming`."""
        return self._reader.ended and (self._reader.ignores_tail or not self._decoder.pending)

    @property
    def broken_tool(self) -> ToolCallEnd | None:
        """See `Incoming`."""
        return self._reader.broken_tool

    @property
    def usage(self) -> Usage | None:
        """See `Incoming`."""
        return self._usage or self._reader.raw_usage

    def take_headers(self, headers: Mapping[str, str]) -> None:
        """See `Incoming`."""
        self._reader.take_headers(headers)

    def receive(self, data: bytes) -> BedrockStreamError | None:
        """See `Incoming`."""
        events, decoder, reader = self._events, self._decoder, self._reader
        if self._on_bytes is not None:
            self._on_bytes(data)
        try:
            units = decoder.feed(data)
            if self._on_frames is not None and units:
                self._on_frames(units)
            reader.feed(units, events)
            # Intact ones in front of a damaged one have been decoded; their events come before the failure.
            failure = decoder.error
        except BedrockStreamError as error:
            failure = error
        self.over, self.complete = reader.ended, reader.complete
        if self.over:
            self._note_usage()
        if failure is not None and data.startswith(b"{") and not self.started:
            failure = document_failure(data) or failure  # no frame begins like this
        if not self.begun:
            self._hold_back()
        if self.assembly is not None:
            self.assembly.extend(events)
        return failure

    def release(self) -> bool:
        """See `Incoming`."""
        if not self._held:
            return False
        self.begun = True
        self._events.extend(self._held)
        if self.assembly is not None:
            self.assembly.extend(self._held)
        self._held.clear()
        return True

    def finish(self, request_id: str | None) -> None:
        """See `Incoming`."""
        if not (self._reader.ended and self._reader.ignores_tail):
            self._decoder.finish()
        # A proxy may end the body properly in the middle of a message, so the message's own end decides.
        if not self._reader.ended and self._reader.has_end_marker:
            raise StreamInterrupted("the body ended before the message did")

    def _note_usage(self) -> None:
        for event in self._events:
            if type(event) is Metadata and event.usage is not None:
                self._usage = event.usage if self._usage is None else self._usage.merged(event.usage)

    def _hold_back(self) -> None:
        events = self._events
        if all(map(self._reader.is_start, events)):
            self._held.extend(events)
            events.clear()
        else:
            self.begun = True
            for event in reversed(self._held):
                events.insert(0, event)


class Document:
    """A response that is one JSON document: nothing is delivered before its end, so it can be retried until then."""

    __slots__ = ("_events", "_on_bytes", "_parts", "_read", "begun")

    started = True  # once its headers are here, only the idle limit counts
    ended = over = complete = False  # its end is the end of the body
    broken_tool = assembly = None

    def __init__(
        self, read: Callable[[bytes, str | None], Any], events: MutableSequence[Any], on_bytes: OnBytes | None = None
    ) -> None:
        """`read` parses the whole body; it is also passed the request id, and raises what makes the body unusable."""
        self._read = read
        self._events = events
        self._on_bytes = on_bytes
        self._parts: list[bytes] = []
        self.begun: bool = False

    def take_headers(self, headers: Mapping[str, str]) -> None:
        """See `Incoming`. `read` is passed them by its caller, if it needs them."""

    def receive(self, data: bytes) -> BedrockStreamError | None:
        """See `Incoming`."""
        if self._on_bytes is not None:
            self._on_bytes(data)
        self._parts.append(data)
        return None

    def release(self) -> bool:
        """See `Incoming`."""
        return False

    @property
    def usage(self) -> Usage | None:
        """See `Incoming`. Unknown here."""
        return None

    @property
    def body(self) -> bytes:
        """The bytes so far."""
        return b"".join(self._parts)

    def finish(self, request_id: str | None) -> None:
        """See `Incoming`. Raises what `read` raises."""
        self._events.append(self._read(self.body, request_id))
        self.begun = True
