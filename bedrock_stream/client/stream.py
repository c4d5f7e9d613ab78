"""Pulling an answer: bytes are read when the caller wants an event, decoded in batches, and handed out one by one.

No task, queue or thread stands behind it. A class and not an async generator, so that cancellation inside `__anext__`
closes the connection right there, and nothing is held open while the caller works. Nothing that lives long holds a
stream: views hold it, it holds no view; its timer holds it weakly. So the last reference dropping frees the socket.

A cut answer never looks finished: iteration ends normally only after the message's own end.

Longer than most files: every way in and out of one stream's state is in sight of the others.
"""

from __future__ import annotations

import asyncio
import warnings
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar

from ..errors import (
    BedrockStreamError,
    ClientClosed,
    ConfigurationError,
    FirstContentTimeout,
    FirstEventTimeout,
    IdleTimeout,
    StreamInterrupted,
    TimeLimitError,
    TotalTimeout,
    UnreadTimeout,
)
from ..eventstream import Decoder
from ..observing import Attempt
from ..types.events import Event, MessageStart, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from ..types.response import Assembly, Response, tool_input_error
from ..types.settings import Target, Timeouts
from .attempts import Approach, Attempts
from .call import Call, request_id
from .timer import StreamTimer

if TYPE_CHECKING:
    from ..transport.http_response import HttpResponse

__all__ = (
    "BaseStream",
    "RawStream",
    "Stream",
    "TextStream",
    "ToolEvent",
    "ToolStream",
    "read_answer",
)


_E = TypeVar("_E")


_LINGER = 1.0  # seconds to wait for the body's end once the message has said everything


class BaseStream(Generic[_E]):
    """One answer as it comes. Nothing is sent before the first await.

    `async for` reads it; `async with` besides closes it on every way out. One task reads at a time. Reading raises
    `ServiceError`, `StreamInterrupted`, `InvalidFrame`, `NotAnEventStream`, `TransportError`, and after the message's
    end `ToolInputError`; an error stays, every later read raises it again. Cancelling a read closes.
    """

    __slots__ = (
        "__weakref__",
        "_answer",
        "_approach",
        "_attempts",
        "_begun",
        "_call",
        "_decoder",
        "_failure",
        "_finished",
        "_held",
        "_reader",
        "_reading",
        "_ready",
        "_waited",
        "_watch",
        "delivered",
    )

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._approach = Approach(attempts, attempts.call.timeouts.total)
        self._begin(attempts.call)
        self._ready: deque[Any] = deque()
        self._begun = False  # whether more than the message's start has come; from then on nothing is tried again
        self._failure: BedrockStreamError | None = None
        self._finished = False
        self._reading = False
        self._watch: StreamTimer | None = None
        self.delivered: int = 0
        """Events that have reached the caller."""

    def _begin(self, call: Call) -> None:
        """Be ready for the answer of an attempt."""
        self._call = call
        self._answer: HttpResponse | None = None
        self._decoder = Decoder()
        self._reader = call.dialect.reader()
        self._held: list[Any] = []  # the message's start, until something follows
        self._waited = 0.0  # for the first content

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
    def attempts(self) -> tuple[Attempt, ...]:
        """Every attempt so far, failed ones with their error; empty before anything is sent."""
        return self._attempts.history()

    @property
    def target(self) -> Target:
        """Where the answer comes from, or would: model, region and address, without keys."""
        return self._call.target

    @property
    def partial(self) -> Response | None:
        """The `Response` so far; None where nothing is assembled."""
        return None

    def __repr__(self) -> str:
        state = "closed" if self._failure else "finished" if self._finished else "open" if self._answer else "not sent"
        return f"<{type(self).__name__} {self.model} by {self.route}, {state}, {self.delivered} events>"

    # ------------------------------------------------------------------------------------------------------- reading

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _E:
        ready = self._ready
        while not ready:
            await self._receive()
        self.delivered += 1
        event: _E = ready.popleft()
        return event

    async def open(self) -> Self:
        """Send, and return once status and headers are here, before any event. Raises what reading would."""
        if self._answer is None:
            await self._receive()
        return self

    def _skip(self) -> None:
        """Have the events that are ready reach a caller who does not look at each."""
        self.delivered += len(self._ready)
        self._ready.clear()

    def _keep(self, events: deque[Any]) -> None:
        """What a subclass does with each batch of events before anybody reads them."""

    # ------------------------------------------------------------------------------------------------------- closing

    async def aclose(self) -> None:
        """Close the connection, at once and for good. Closing twice is fine."""
        if not self._finished:
            self._stop(StreamInterrupted("the stream was closed before its end"), "closed")
        self._ready.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # The answer closes itself when it goes; here is only said that nobody should count on that.
        answer = getattr(self, "_answer", None)
        if answer is None:
            return
        self._attempts.ended("dropped", None, self.request_id)  # heard only where no other end was told
        if not answer.closed:
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
            answer = self._answer
            if answer is None:
                await self._open()
            elif self._begun:
                await self._read(answer)
            else:
                await self._read_or_try_again(answer)
        except BedrockStreamError as error:
            self._stop(error)
            raise
        except BaseException as error:
            way = "cancelled" if isinstance(error, asyncio.CancelledError) else "failed"
            self._stop(StreamInterrupted(f"a read ended with {type(error).__name__}, which closed the stream"), way)
            raise
        finally:
            self._reading = False

    async def _open(self) -> None:
        attempts = self._attempts
        try:
            answer = await self._approach.open()
        finally:
            if self._call is not attempts.call:
                self._begin(attempts.call)
        loop, timeouts = asyncio.get_running_loop(), self._call.timeouts
        self._answer = answer
        self._waited = loop.time() - answer.sent
        total = None if timeouts.total is None else (timeouts.total, attempts.began or answer.sent)
        self._watch = StreamTimer(loop, self, timeouts.unread, total)

    async def _read_or_try_again(self, answer: HttpResponse) -> None:
        try:
            await self._read(answer)
        except BedrockStreamError as error:
            if self._begun or self._failure is not None:
                raise
            if not await self._try_again(error, answer):
                if not self._held:
                    raise
                self._hand_out_held()  # what came before the failure is delivered first
                self._stop(error)

    async def _try_again(self, error: BedrockStreamError, answer: HttpResponse) -> bool:
        """Give up an answer of which nothing was seen; whether there is another attempt."""
        self._call.describe(error, self.request_id)
        if self._watch is not None:
            self._watch.stop()
        answer.close()
        if not await self._approach.again(error, answer):
            return False
        self._begin(self._attempts.call)
        return True

    async def _read(self, answer: HttpResponse) -> None:
        reader, watch = self._reader, self._watch
        assert watch is not None  # noqa: S101 - made with the answer
        if reader.complete:
            data = await self._read_end(answer)
        else:
            if self._begun:
                watch.begin_wait(IdleTimeout, self._call.timeouts.idle)
            else:
                self._begin_first_wait(watch, self._call.timeouts)
            try:
                data = await answer.read()
            except StreamInterrupted:
                if not reader.ended or self._decoder.pending:
                    raise
                data = b""  # the message is whole; only what comes after it is lost
            if not self._begun:
                self._waited += watch.waited
            watch.end_wait()
        if data:
            self._take(data)
        else:
            self._end()

    def _begin_first_wait(self, watch: StreamTimer, timeouts: Timeouts) -> None:
        """Which limit comes first before there is any content."""
        waited, content = self._waited, timeouts.first_content
        kind: type[TimeLimitError] = FirstEventTimeout
        limit, spent = timeouts.first_event, waited
        if self._held:
            kind, limit, spent = IdleTimeout, timeouts.idle, 0.0
        if content is not None and (limit is None or content - waited < limit - spent):
            kind, limit, spent = FirstContentTimeout, content, waited
        watch.begin_wait(kind, limit, spent)

    async def _read_end(self, answer: HttpResponse) -> bytes:
        """The message has said everything; only the body's end is awaited, for the connection's next use."""
        try:
            async with asyncio.timeout(_LINGER):
                return await answer.read()
        except (StreamInterrupted, ClientClosed, TimeoutError):
            return b""

    def _take(self, data: bytes) -> None:
        """Bytes to events. A failure waits until the events before it have been read."""
        ready, decoder = self._ready, self._decoder
        try:
            self._reader.feed(decoder.feed(data), ready)
            failure = decoder.error
        except BedrockStreamError as error:
            failure = error
        if not self._begun:
            self._hold_back()
        self._keep(ready)
        if self._attempts.observers:
            self._attempts.observers.tell("came", ready)
        if failure is not None:
            if not ready:
                raise failure
            self._stop(failure)

    def _hold_back(self) -> None:
        """Keep the message's start until something follows: a failure right behind it can still be tried again."""
        ready = self._ready
        if ready and type(ready[-1]) is not MessageStart:
            self._begun = True
            self._attempts.succeeded()
            ready.extendleft(reversed(self._held))
        else:
            self._held.extend(ready)
            ready.clear()

    def _hand_out_held(self) -> None:
        self._begun = True
        self._ready.extend(self._held)
        self._keep(self._ready)

    def _end(self) -> None:
        """The body ended; did the message?"""
        self._decoder.finish()
        if not self._reader.ended and self._reader.has_end_marker:
            raise StreamInterrupted("the body ended before the message did")
        if self._reader.broken_tool is not None:
            raise tool_input_error(self._reader.broken_tool, self.partial)
        self._finished = True
        self._release()
        self._attempts.ended("finished", None, self.request_id, lambda: self.partial)

    def expire(self, kind: type[TimeLimitError], limit: float, elapsed: float) -> None:
        """See `clocks.TimedStream`."""
        if self._answer is None:
            return
        if kind is UnreadTimeout and self._reader.complete:
            self._release()  # all that was said is here, however long it takes the caller to read it
            return
        error = kind(limit, elapsed, self._answer.bytes_received)
        if self._begun or kind is UnreadTimeout or kind is TotalTimeout:
            self._stop(error)
        else:
            self._answer.fail(error)  # whoever waits gets it, and may try again

    def _stop(self, error: BedrockStreamError, way: str = "failed") -> None:
        """Close, with a failure that every later read raises; the first failure stays."""
        if self._failure is None:
            self._failure = error
            self._call.describe(error, self.request_id)
            error.events_received = self.delivered
            error.partial = self.partial
            self._attempts.failed(error)
            self._attempts.ended(way, error, error.request_id, error.partial)
        self._release(error)

    def _release(self, error: BedrockStreamError | None = None) -> None:
        if self._watch is not None:
            self._watch.stop()
        if self._answer is not None:
            if error is not None:
                self._answer.fail(error)  # whoever waits in another task hears of it
            self._answer.close()
        if error is not None:
            self._approach.break_off(error)  # so does whoever opens or waits to try again


ToolEvent: TypeAlias = ToolCallStart | ToolCallDelta | ToolCallEnd


class Stream(BaseStream[Event]):
    """One message as typed events; made by `stream()`. See `BaseStream`."""

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


class RawStream(BaseStream[dict[str, Any]]):
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


_T = TypeVar("_T")


async def read_answer(attempts: Attempts, read: Callable[[Call, bytes, str | None], _T]) -> _T:
    """Send, read the whole body and make something of it, again where that is allowed.

    Raises what reading a stream would, and what `read` raises, which gets the call, the body and the request id.
    """
    try:
        value, named = await _Reading(attempts, read).within_total()
    except BedrockStreamError as error:
        attempts.ended("failed", error, error.request_id)
        raise
    except BaseException as error:
        attempts.ended("cancelled" if isinstance(error, asyncio.CancelledError) else "failed", error)
        raise
    attempts.ended("finished", None, named, value if isinstance(value, Response) else None)
    return value


class _Reading(Generic[_T]):
    """The attempts of one call, each read to its end."""

    __slots__ = ("_answer", "_attempts", "_read")

    def __init__(self, attempts: Attempts, read: Callable[[Call, bytes, str | None], _T]) -> None:
        self._attempts = attempts
        self._read = read
        self._answer: HttpResponse | None = None  # the last one that came

    async def within_total(self) -> tuple[_T, str | None]:
        """What was made of the answer, and its request id."""
        limit = self._attempts.call.timeouts.total
        try:
            async with asyncio.timeout(limit) as total:
                while True:
                    found = await self._once()
                    if found is not None:
                        return found
        except TimeoutError:
            if limit is None or not total.expired():
                raise  # it is the caller's own, of `on_retry`
            raise self._late(limit) from None

    async def _once(self) -> tuple[_T, str | None] | None:
        """None for an answer that was given up."""
        attempts = self._attempts
        self._answer = answer = await attempts.open()
        call, named = attempts.call, request_id(answer)
        try:
            value = self._read(call, await _body(call, answer), named)
        except BedrockStreamError as error:
            call.describe(error, named)
            answer.close()
            if not await attempts.again(error):
                raise
            return None
        finally:
            answer.close()
        attempts.succeeded()
        return value, named

    def _late(self, limit: float) -> TotalTimeout:
        attempts, answer = self._attempts, self._answer
        elapsed = asyncio.get_running_loop().time() - (attempts.began or 0.0)
        error = TotalTimeout(limit, elapsed, answer.bytes_received if answer else 0)
        attempts.call.describe(error, request_id(answer) if answer else None)
        return error


async def _body(call: Call, answer: HttpResponse) -> bytes:
    """A whole body. Raises `StreamInterrupted` where it broke off, `IdleTimeout` where nothing comes any more."""
    parts: list[bytes] = []
    idle = call.timeouts.idle
    try:
        while True:
            async with asyncio.timeout(idle):
                data = await answer.read()
            if not data:
                return b"".join(parts)
            parts.append(data)
    except TimeoutError:
        raise IdleTimeout(idle or 0, idle or 0, answer.bytes_received) from None
