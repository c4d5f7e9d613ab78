"""The streams that a caller holds: `Stream` with its views, and `RawStream` for a model's own JSON."""

from __future__ import annotations

from typing import Any, Generic, TypeAlias

from ..errors import ConfigurationError
from ..types.events import Event, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from ..types.response import Parsed, Response
from .async_only import AsyncFor
from .base_stream import BaseStream

__all__ = ("RawStream", "Stream", "TextStream", "ToolEvent", "ToolStream")

ToolEvent: TypeAlias = ToolCallStart | ToolCallDelta | ToolCallEnd


class Stream(BaseStream[Event], Generic[Parsed]):
    """One message as typed events; made by `stream()`.

        async with stream(model, prompt) as answer:
            async for event in answer:
                ...

    See `BaseStream` for how it is read and closed, and what it raises. For type checkers, it is a `Stream[City]` with
    `output_schema=City`, and its `response()` a `Response[City]`; a plain `Stream` is a `Stream[Any]`.
    """

    __slots__ = ()

    @property
    def text_stream(self) -> TextStream:
        """The text alone, as str chunks."""
        return TextStream(self)

    @property
    def tool_stream(self) -> ToolStream:
        """The tool calls alone: `ToolCallStart`, `ToolCallDelta`, `ToolCallEnd`."""
        return ToolStream(self)

    async def response(self) -> Response[Parsed]:
        """Read to the end and return the whole `Response`.

        Raises what reading would, and `ConfigurationError` with `keep=False`.
        """
        if not self._call.keep:
            raise ConfigurationError("keep", "is False, so no Response is assembled", "leave keep=False out")
        await self._drain()
        response = self.partial
        assert response is not None  # noqa: S101 - with `keep` it is assembled
        return self._attempts.finish(response)


class RawStream(BaseStream[dict[str, Any]]):
    """A model's own JSON documents as dicts; made by `Client.invoke_stream()`.

    The families mark the end of a response in different ways, so only the transport can detect a truncated one: a body
    that was cut off raises `StreamInterrupted`, a body that a proxy ended properly does not.
    """

    __slots__ = ()


class TextStream(AsyncFor):
    """The text of a stream, as str chunks. It refers to its stream; leaving it leaves the stream open."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream[Any]) -> None:
        self._stream = stream

    def __aiter__(self) -> TextStream:
        return self

    async def __anext__(self) -> str:
        stream = self._stream
        while True:
            event = await stream.__anext__()
            if type(event) is TextDelta:
                return event.text


class ToolStream(AsyncFor):
    """The tool calls of a stream. It refers to its stream; leaving it leaves the stream open."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream[Any]) -> None:
        self._stream = stream

    def __aiter__(self) -> ToolStream:
        return self

    async def __anext__(self) -> ToolEvent:
        stream = self._stream
        while True:
            event = await stream.__anext__()
            if isinstance(event, ToolCallStart | ToolCallDelta | ToolCallEnd):
                return event
