"""A live stream: bytes are pulled when the reader wants an event, decoded in batches, and handed out one by one.

No task, queue or thread stands behind it. A class and not an async generator, so that cancellation inside `__anext__`
closes the connection right there, and nothing is held open while the caller works. Nothing that lives long holds a
`Stream`: views hold it, it holds no view; its timer holds it weakly. So the last reference dropping frees the socket.

A cut answer never looks finished: iteration ends normally only after the message's own end.
"""

from __future__ import annotations

import asyncio
import warnings
from collections import deque
from types import TracebackType
from typing import TypeAlias

from .assembly import Assembly, Response, tool_input_error
from .attempt import Call, open_answer, request_id
from .clocks import Watch
from .errors import (
    BedrockStreamError,
    ConfigurationError,
    FirstEventTimeout,
    IdleTimeout,
    StreamInterrupted,
    TimeLimitError,
)
from .events import Event, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from .eventstream import Decoder
from .transport import Answer

__all__ = ("Stream", "TextStream", "ToolEvent", "ToolStream")

ToolEvent: TypeAlias = ToolCallStart | ToolCallDelta | ToolCallEnd

_LINGER = 1.0  # seconds to wait for the body's end once the message has said everything


class Stream:
    """One answer as it comes. Made by `stream()`; nothing is sent before the first await.

    `async for event in stream` reads it; `async with` besides closes it on every way out. One task reads at a time.
    Reading raises `ServiceError`, `StreamInterrupted`, `InvalidFrame`, `NotAnEventStream`, `TransportError`, and after
    the message's end `ToolInputError`; an error stays, every later read raises it again. Cancelling a read closes.
    """

    __slots__ = (
        "__weakref__",
        "_answer",
        "_assembly",
        "_call",
        "_decoder",
        "_failure",
        "_finished",
        "_reader",
        "_reading",
        "_ready",
        "_waited",
        "_watch",
        "delivered",
    )

    def __init__(self, call: Call) -> None:
        self._call = call
        self._answer: Answer | None = None
        self._decoder = Decoder()
        self._reader = call.dialect.reader()
        self._assembly = Assembly() if call.keep else None
        self._ready: deque[Event] = deque()
        self._failure: BedrockStreamError | None = None
        self._finished = False
        self._reading = False
        self._watch: Watch | None = None
        self._waited = 0.0  # for the first event
        self.delivered = 0
        """Events that have reached the caller."""

    # ---------------------------------------------------------------------------------------------------- what it is

    @property
    def model(self) -> str:
        """The model id or ARN as it was sent."""
        return self._call.model

    @property
    def route(self) -> str:
        """`converse` or `invoke`."""
        return self._call.dialect.route

    @property
    def request_id(self) -> str | None:
        """The service's id of the request; None before the answer's headers are here."""
        return None if self._answer is None else request_id(self._answer)

    @property
    def partial(self) -> Response | None:
        """The `Response` so far; None with `keep=False`."""
        if self._assembly is None:
            return None
        return self._assembly.response(request_id=self.request_id, model=self.model, route=self.route)

    def __repr__(self) -> str:
        state = "closed" if self._failure else "finished" if self._finished else "open" if self._answer else "not sent"
        return f"<Stream {self.model} by {self.route}, {state}, {self.delivered} events>"

    # ------------------------------------------------------------------------------------------------------- reading

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Event:
        ready = self._ready
        while not ready:
            await self._receive()
        self.delivered += 1
        return ready.popleft()

    @property
    def text_stream(self) -> TextStream:
        """The text alone, as str chunks."""
        return TextStream(self)

    @property
    def tool_stream(self) -> ToolStream:
        """The tool calls alone: `ToolCallStart`, `ToolCallDelta`, `ToolCallEnd`."""
        return ToolStream(self)

    async def open(self) -> Stream:
        """Send, and return once status and headers are here, before any event. Raises what reading would."""
        if self._answer is None:
            await self._receive()
        return self

    async def response(self) -> Response:
        """Read to the end and return the whole `Response`. Raises what reading would, and with `keep=False`."""
        if self._assembly is None:
            raise ConfigurationError("keep", "False keeps nothing to make a response of", "leave keep=False out")
        ready = self._ready
        try:
            while True:
                self.delivered += len(ready)
                ready.clear()
                await self._receive()
        except StopAsyncIteration:
            return self._assembly.response(request_id=self.request_id, model=self.model, route=self.route)

    # ------------------------------------------------------------------------------------------------------- closing

    async def aclose(self) -> None:
        """Close the connection, at once and for good. Closing twice is fine."""
        if not self._finished:
            self._stop(StreamInterrupted("the stream was closed before its end"))
        self._ready.clear()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # The answer closes itself when it goes; here is only said that nobody should count on that.
        answer = getattr(self, "_answer", None)
        if answer is not None and not answer.closed:
            warnings.warn(f"{self!r} was dropped before its end: use `async with`", ResourceWarning, stacklevel=2)

    # ------------------------------------------------------------------------------------------------ what it rests on

    async def _receive(self) -> None:
        """Send, or wait for bytes and make events of them. Raises the failure, or `StopAsyncIteration` at the end.

        On every bad way out the connection is closed before anybody hears of it.
        """
        if self._failure is not None:
            self._failure.events_received = self.delivered
            raise self._failure
        if self._finished:
            raise StopAsyncIteration
        if self._reading:
            raise ConfigurationError("stream", "another task is reading it", "read a stream from one task")
        self._reading = True
        try:
            if self._answer is None:
                await self._open()
            else:
                await self._read(self._answer)
        except BedrockStreamError as error:
            self._stop(error)
            raise
        except BaseException:
            self._stop(StreamInterrupted("a read was cancelled, which closed the stream"))
            raise
        finally:
            self._reading = False

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer = await open_answer(self._call)
        if self._failure is not None:  # closed by another task meanwhile
            answer.close()
            raise self._failure
        self._answer = answer
        self._waited = loop.time() - began
        self._watch = Watch(loop, self, self._call.timeouts.unread)

    async def _read(self, answer: Answer) -> None:
        if self._reader.settled:
            data = await self._read_end(answer)
        else:
            data = await self._read_more(answer)
        if data:
            self._take(data)
        else:
            self._end()

    async def _read_more(self, answer: Answer) -> bytes:
        watch, timeouts = self._watch, self._call.timeouts
        assert watch is not None  # noqa: S101 - made with the answer
        if self.delivered:
            watch.begin_wait(IdleTimeout, timeouts.idle)
        else:
            watch.begin_wait(FirstEventTimeout, timeouts.first_event, self._waited)
        try:
            data = await answer.read()
        except StreamInterrupted:
            if self._reader.ended and not self._decoder.pending:
                return b""  # the message is whole; only what comes after it is lost
            raise
        waited = watch.end_wait()
        if not self.delivered:
            self._waited = waited
        return data

    async def _read_end(self, answer: Answer) -> bytes:
        """The message has said everything; only the body's end is awaited, for the connection's next use."""
        try:
            async with asyncio.timeout(_LINGER):
                return await answer.read()
        except (StreamInterrupted, TimeoutError):
            return b""

    def _take(self, data: bytes) -> None:
        """Bytes to events. A failure waits until the events before it have been read."""
        ready, decoder = self._ready, self._decoder
        try:
            self._reader.feed(decoder.feed(data), ready)
            failure = decoder.error
        except BedrockStreamError as error:
            failure = error
        if self._assembly is not None:
            self._assembly.extend(ready)
        if failure is not None:
            if not ready:
                raise failure
            self._stop(failure)

    def _end(self) -> None:
        """The body ended; did the message?"""
        self._decoder.finish()
        if not self._reader.ended:
            raise StreamInterrupted("the body ended before the message did")
        if self._reader.broken_tool is not None:
            raise tool_input_error(self._reader.broken_tool, self.partial)
        self._finished = True
        self._release()

    def expire(self, kind: type[TimeLimitError], limit: float, elapsed: float) -> None:
        """See `clocks.Watched`."""
        if self._answer is not None:
            self._stop(kind(limit, elapsed, self._answer.bytes_received))

    def _stop(self, error: BedrockStreamError) -> None:
        """Close, with a failure that every later read raises; the first failure stays."""
        if self._failure is None:
            self._failure = error
            self._call.describe(error, self.request_id)
            error.events_received = self.delivered
            error.partial = self.partial
        self._release(error)

    def _release(self, error: BedrockStreamError | None = None) -> None:
        if self._watch is not None:
            self._watch.stop()
        if self._answer is not None:
            if error is not None:
                self._answer.fail(error)  # whoever waits in another task hears of it
            self._answer.close()


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
