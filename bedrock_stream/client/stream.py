"""The streams that a caller holds: `Stream` with its views, and `RawStream` for a model's own JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from ..errors import ConfigurationError
from ..request.output_schema import OutputSchema
from ..types.events import Event, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from ..types.response import Parsed, Response
from .async_only import AsyncFor
from .base_stream import BaseStream

if TYPE_CHECKING:
    from .snapshots import Snapshot, SnapshotMaker

__all__ = ("ParsedStream", "RawStream", "Stream", "TextStream", "ToolEvent", "ToolStream")

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

    @property
    def parsed_stream(self) -> ParsedStream[Parsed]:
        """Snapshots of the answer to `output_schema` while it grows; see `Snapshot`. Needs the extra `structured`.

            async for snapshot in stream.parsed_stream:
                show(snapshot.value)

        Raises `ConfigurationError` without `output_schema`, with `keep=False`, and if jiter is not installed.
        """
        from .snapshots import SnapshotMaker

        self._check_kept()
        self._output()
        return ParsedStream(self, SnapshotMaker())

    async def response(self) -> Response[Parsed]:
        """Read to the end and return the whole `Response`.

        Raises what reading would, and `ConfigurationError` with `keep=False`.
        """
        self._check_kept()
        await self._drain()
        response = self.partial
        assert response is not None  # noqa: S101 - with `keep` it is assembled
        return await self._attempts.with_list_cost(self._attempts.finish(response))

    def _check_kept(self) -> None:
        if not self._call.keep:
            raise ConfigurationError("keep", "is False, so no Response is assembled", "leave keep=False out")

    def _output(self) -> OutputSchema:
        """Return the output schema, in its form for the current target."""
        output = self._call.output
        if output is None:
            raise ConfigurationError("parsed_stream", "the call has no output_schema", "pass output_schema=...")
        return output


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


class ParsedStream(AsyncFor, Generic[Parsed]):
    """Snapshots of a structured answer. It refers to its stream; leaving it leaves the stream open.

    A snapshot is made whenever the answer has changed and grown by a 64th. The last one is that of the whole answer: it
    is `complete`, or the answer does not fit the schema, for example because `max_tokens` cut it off. Raises what
    reading the stream raises, and `ConfigurationError` if events have been read before.
    """

    __slots__ = ("_begun", "_finished", "_maker", "_stream")

    def __init__(self, stream: Stream[Parsed], maker: SnapshotMaker[Parsed]) -> None:
        self._stream = stream
        self._maker = maker
        self._begun = self._finished = False

    def __aiter__(self) -> ParsedStream[Parsed]:
        return self

    async def __anext__(self) -> Snapshot[Parsed]:
        if self._finished:
            raise StopAsyncIteration
        stream, maker = self._stream, self._maker
        if stream.delivered and not self._begun:
            raise ConfigurationError("parsed_stream", "events of the stream have been read", "read it from its start")
        self._begun = True
        try:
            while True:
                event = await stream.__anext__()
                snapshot = maker.take(event, stream._output())
                if snapshot is not None:
                    return snapshot
        except StopAsyncIteration:
            self._finished = True
        return maker.last(await stream.response())
