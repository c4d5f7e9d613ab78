"""What a caller holds while an answer streams in: `Stream` with its views, and `RawStream` for a model's own JSON."""

from __future__ import annotations

from collections import deque
from typing import Any, TypeAlias

from .assembly import Assembly, Response
from .attempt import Call
from .errors import ConfigurationError
from .events import Event, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from .live import Live

__all__ = ("RawStream", "Stream", "TextStream", "ToolEvent", "ToolStream")

ToolEvent: TypeAlias = ToolCallStart | ToolCallDelta | ToolCallEnd


class Stream(Live[Event]):
    """One message as typed events; made by `stream()`. See `Live` for how it is read, left, and what it raises."""

    __slots__ = ("_assembly",)

    def _begin(self, call: Call) -> None:
        super()._begin(call)
        self._assembly = Assembly() if call.keep else None

    @property
    def partial(self) -> Response | None:
        """The `Response` so far; None with `keep=False`."""
        if self._assembly is None:
            return None
        return self._assembly.response(request_id=self.request_id, model=self.model, route=self.route)

    @property
    def text_stream(self) -> TextStream:
        """The text alone, as str chunks."""
        return TextStream(self)

    @property
    def tool_stream(self) -> ToolStream:
        """The tool calls alone: `ToolCallStart`, `ToolCallDelta`, `ToolCallEnd`."""
        return ToolStream(self)

    async def response(self) -> Response:
        """Read to the end and return the whole `Response`. Raises what reading would, and with `keep=False`."""
        if self._assembly is None:
            raise ConfigurationError("keep", "False keeps nothing to make a response of", "leave keep=False out")
        try:
            while True:
                self._skip()
                await self._receive()
        except StopAsyncIteration:
            response = self._assembly.response(request_id=self.request_id, model=self.model, route=self.route)
            return self._call.finished(response)

    def _keep(self, events: deque[Any]) -> None:
        if self._assembly is not None:
            self._assembly.extend(events)


class RawStream(Live[dict[str, Any]]):
    """A model's own JSON documents as dicts, without a meaning; made by `Client.invoke_stream()`.

    Bedrock marks no end there that all families share, so only the transport can tell a cut: a torn body raises, an
    answer that a proxy ended properly does not.
    """

    __slots__ = ()


class TextStream:
    """The text of a stream, as str chunks. It holds its stream; leaving it leaves the stream."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __aiter__(self) -> TextStream:
        return self

    async def __anext__(self) -> str:
        stream = self._stream
        while True:
            event = await stream.__anext__()
            if type(event) is TextDelta:
                return event.text


class ToolStream:
    """The tool calls of a stream. It holds its stream; leaving it leaves the stream."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __aiter__(self) -> ToolStream:
        return self

    async def __anext__(self) -> ToolEvent:
        stream = self._stream
        while True:
            event = await stream.__anext__()
            if isinstance(event, ToolCallStart | ToolCallDelta | ToolCallEnd):
                return event
