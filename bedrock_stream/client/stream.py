"""The streams that a caller holds: `Stream` with its views, and `RawStream` for a model's own JSON."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias

from ..errors import BedrockStreamError, ConfigurationError
from ..request.output_schema import OutputSchema
from ..types.events import Event, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from ..types.response import Parsed, Response
from .async_only import AsyncFor
from .attempts import Attempts
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

    See `BaseStream` for how it is read and closed, and what it raises. Each event is delivered once: a view, or another
    `async for`, continues where reading is. For type checkers, it is a `Stream[City]` with `output_schema=City`, and
    its `response()` a `Response[City]`; a plain `Stream` is a `Stream[Any]`.
    """

    __slots__ = ("left_out_text", "left_out_tools")

    def __init__(self, attempts: Attempts) -> None:
        super().__init__(attempts)
        self.left_out_text: str = ""  # the view that did so
        self.left_out_tools: str = ""

    @property
    def text_stream(self) -> TextStream:
        """The text alone, as str chunks, from where reading is.

        Reading it raises `ConfigurationError` where it would miss text in silence: after `tool_stream` has left text
        out, and if it begins when the stream was read to its end. `response().text` has the whole text.
        """
        return TextStream(self)

    @property
    def tool_stream(self) -> ToolStream:
        """The tool calls alone, from where reading is: `ToolCallStart`, `ToolCallDelta`, `ToolCallEnd`.

        Reading it raises `ConfigurationError` where it would miss calls in silence: after `text_stream` has left calls
        out, and if it begins when the stream was read to its end. `response().tool_calls` has all calls. To read text
        and calls as they come, iterate over the stream itself.
        """
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

    @property
    def failure(self) -> BedrockStreamError | None:
        """The error that ended the stream, which every later read raises; None if it has not failed or been closed."""
        return self._failure

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


class _Viewed(Protocol):
    """The stream or tool run that a view reads."""

    _finished: bool
    left_out_text: str
    left_out_tools: str

    def __anext__(self) -> Awaitable[Any]: ...


class TextStream(AsyncFor):
    """The text of a stream, as str chunks. It refers to its stream; leaving it leaves the stream open."""

    __slots__ = ("_begun", "_source")

    def __init__(self, source: _Viewed) -> None:
        self._source = source
        self._begun = False

    def __aiter__(self) -> TextStream:
        return self

    async def __anext__(self) -> str:
        source = self._source
        if source.left_out_text or not self._begun:
            _check_view(source, source.left_out_text, "text_stream", "response().text")
            self._begun = True
        while True:
            event = await source.__anext__()
            if type(event) is TextDelta:
                return event.text
            if isinstance(event, ToolCallStart | ToolCallDelta | ToolCallEnd):
                source.left_out_tools = "text_stream"


class ToolStream(AsyncFor):
    """The tool calls of a stream. It refers to its stream; leaving it leaves the stream open."""

    __slots__ = ("_begun", "_source")

    def __init__(self, source: _Viewed) -> None:
        self._source = source
        self._begun = False

    def __aiter__(self) -> ToolStream:
        return self

    async def __anext__(self) -> ToolEvent:
        source = self._source
        if source.left_out_tools or not self._begun:
            _check_view(source, source.left_out_tools, "tool_stream", "response().tool_calls")
            self._begun = True
        while True:
            event = await source.__anext__()
            if isinstance(event, ToolCallStart | ToolCallDelta | ToolCallEnd):
                return event
            if type(event) is TextDelta:
                source.left_out_text = "tool_stream"


class ParsedStream(AsyncFor, Generic[Parsed]):
    """Snapshots of a structured answer. It refers to its stream; leaving it leaves the stream open.

    A snapshot is made whenever the answer has changed and grown by a 64th. The last one is that of the whole answer: it
    is `complete`, or the answer does not fit the schema, for example because `max_tokens` cut it off. Raises what
    reading the stream raises, and `ConfigurationError` if events of the stream have been read elsewhere.
    """

    __slots__ = ("_finished", "_maker", "_seen", "_stream")

    def __init__(self, stream: Stream[Parsed], maker: SnapshotMaker[Parsed]) -> None:
        self._stream = stream
        self._maker = maker
        self._seen = 0  # events
        self._finished = False

    def __aiter__(self) -> ParsedStream[Parsed]:
        return self

    async def __anext__(self) -> Snapshot[Parsed]:
        if self._finished:
            raise StopAsyncIteration
        stream, maker = self._stream, self._maker
        if stream.delivered != self._seen:
            problem = "events of the stream have been read elsewhere, so a part of the answer is missing"
            raise ConfigurationError("parsed_stream", problem, "use response().parsed")
        stream.left_out_text = stream.left_out_tools = "parsed_stream"
        snapshot = None
        try:
            while snapshot is None:
                snapshot = maker.take(await stream.__anext__(), stream._output())
        except StopAsyncIteration:
            self._finished = True
            return maker.last(await stream.response())
        finally:
            self._seen = stream.delivered
        return snapshot


def _check_view(source: _Viewed, left_out: str, name: str, whole: str) -> None:
    """Raise `ConfigurationError` for a view that would miss events without a word."""
    remedy = f"use {whole}, or read every event with `async for event in stream`"
    if left_out:
        raise ConfigurationError(name, f"{left_out} has left out events that belong to it", remedy)
    if source._finished:
        raise ConfigurationError(name, "the stream was read to its end before", remedy)
