"""Reads a response: bytes are read when the caller wants an event, decoded in batches, and delivered one by one.

It uses no task, queue, thread or async generator: cancelling `__anext__` closes the connection right there, and
nothing is held open while the caller works. Nothing long-lived refers to a stream (its views refer to it, its timer
weakly), so dropping the last reference frees the socket. A truncated response never looks complete: iteration ends
normally only after the message's own end.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec

from ..dialects.base import EVENT_STREAM
from ..dialects.incoming import EventStream, Incoming
from ..errors import (
    BedrockStreamError,
    ClientClosed,
    ConfigurationError,
    FirstEventTimeout,
    IdleTimeout,
    StreamInterrupted,
    TimeLimitError,
    TotalTimeout,
    UnreadTimeout,
)
from ..observing import Attempt, Observer
from ..request.call import Call
from ..types.messages import Message
from ..types.response import Assembly, Response, tool_input_error
from ..types.settings import Target
from .async_only import AsyncFor, AsyncWith
from .attempts import Attempts
from .timer import Stopwatch, StreamTimer

if TYPE_CHECKING:
    from ..transport.http_response import HttpResponse

__all__ = ("BaseStream",)

_E = TypeVar("_E")

_END_SECONDS = 1.0  # how long the body's end is awaited once the message is complete


class BaseStream(AsyncFor, AsyncWith, Generic[_E]):
    """One response while it is received. Nothing is sent before the first await.

    `async for` reads it; `async with` also closes it on every way out. One task reads at a time. Reading raises
    `ServiceError`, `StreamInterrupted`, `InvalidFrame`, `NotAnEventStream`, `TransportError`, and after the message's
    end `ToolInputError`. An error is final: every later read raises it again. Cancelling a read closes the stream.
    """

    __slots__ = (
        "__weakref__",
        "_attempts",
        "_call",
        "_failure",
        "_finished",
        "_idle",
        "_incoming",
        "_reading",
        "_ready",
        "_response",
        "_stopwatch",
        "_timer",
        "_waited",
        "delivered",
    )

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._ready: list[Any] = []  # the next event is the last one
        self._failure: BedrockStreamError | None = None
        self._finished = False
        self._reading = False
        self._timer: StreamTimer | None = None
        self.delivered: int = 0
        """How many events the caller has received."""
        self._begin_attempt()

    def _begin_attempt(self) -> None:
        self._call = self._attempts.call
        self._response: HttpResponse | None = None
        self._incoming = self._expect(self._call)
        self._idle = self._call.timeouts.idle
        self._waited = 0.0  # seconds, for the first content
        self._stopwatch = Stopwatch(self._attempts.elapsed)

    def _expect(self, call: Call) -> Incoming:
        """Return the sans-I/O half of the response to a call; a subclass may expect another form of response."""
        dialect, on_bytes = call.dialect, self._reporter("received")
        on_frames = self._reporter("frames") if dialect.stream_type == EVENT_STREAM else None
        return EventStream(dialect.reader(), self._ready, Assembly() if call.keep else None, on_bytes, on_frames)

    def _reporter(self, step: str) -> Callable[..., None] | None:
        observers = self._attempts.observers
        return None if observers is None else observers.reporter(step)

    # ------------------------------------------------------------------------------------------------------ attributes

    @property
    def model(self) -> str:
        """The model id or ARN as it was sent."""
        return self._attempts.call.model.id

    @property
    def route(self) -> str:
        """The API that is used: `converse`, `invoke`, `messages`, `chat` or `responses`."""
        return self._attempts.call.dialect.route

    @property
    def request_id(self) -> str | None:
        """The service's id of the request; None before the response's headers are here."""
        return self._attempts.request_id

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every attempt so far, failed ones with their error; empty before anything is sent."""
        return self._attempts.history()

    @property
    def target(self) -> Target:
        """The target of the current attempt: model, region and endpoint, without credentials."""
        return self._attempts.call.target

    @property
    def changes(self) -> tuple[str, ...]:
        """What was changed of the caller's arguments for the current target, in sentences."""
        return self._attempts.call.changes

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation as it is sent; empty once content has been received, and for a body of the caller's own."""
        return self._call.messages

    @property
    def partial(self) -> Response | None:
        """The `Response` so far; None if nothing is assembled, as with `keep=False`."""
        assembly = self._incoming.assembly
        if assembly is None:
            return None
        response = assembly.response(
            request_id=self.request_id, model=self.model, route=self.route, family=self._attempts.call.model.family
        )
        return msgspec.structs.replace(response, timing=self._stopwatch.timing if self._attempts.began else None)

    def __repr__(self) -> str:
        state = (
            "closed" if self._failure else "finished" if self._finished else "open" if self._response else "not sent"
        )
        return f"<{type(self).__name__} {self.model} by {self.route}, {state}, {self.delivered} events>"

    def observe(self, observer: Observer) -> None:
        """Add an observer of this stream alone, beside those of its client. See `observing`.

        Raises `ConfigurationError` once the stream has been sent or closed.
        """
        if self._attempts.began or self._failure is not None:
            raise ConfigurationError("stream", "has begun", "add an observer before anything is awaited on it")
        self._attempts.observe(observer)
        self._begin_attempt()

    # --------------------------------------------------------------------------------------------------------- reading

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _E:
        ready = self._ready
        while not ready:
            await self._receive()
        self.delivered += 1
        event: _E = ready.pop()
        return event

    async def open(self) -> Self:
        """Send, and return once status and headers are here, before any event. Raises what reading would."""
        while self._response is None:
            await self._receive()
            self._skip()  # retries that have been waited for
        return self

    async def _drain(self) -> None:
        """Read to the end for a caller who needs no single event."""
        try:
            while True:
                self._skip()
                await self._receive()
        except StopAsyncIteration:
            return

    def _skip(self) -> None:
        """Count the events that are ready as delivered."""
        self.delivered += len(self._ready)
        self._ready.clear()

    # --------------------------------------------------------------------------------------------------------- closing

    async def aclose(self) -> None:
        """Close the connection at once. Closing twice is fine."""
        self._close()
        await self._attempts.settle()

    def __del__(self) -> None:
        # The response closes itself when it is freed; this only reports that a program must not rely on that.
        response = getattr(self, "_response", None)
        if response is None:
            return
        self._attempts.ended("dropped")  # without effect where another end has been reported
        if not response.closed:
            warnings.warn(f"{self!r} was dropped before its end: use `async with`", ResourceWarning, stacklevel=2)

    # ------------------------------------------------------------------------------------------------------- internals

    def _close(self) -> None:
        if not self._finished:
            self._stop(StreamInterrupted("the stream was closed before its end", closed=True), "closed")
        self._ready.clear()

    async def _receive(self) -> None:
        """Send, or wait for bytes and make events of them. Raises the failure, `StopAsyncIteration` at the end.

        On every failure the connection is closed before the error is raised.
        """
        if self._failure is not None or self._finished or self._reading:
            self._refuse()
        self._reading = True
        try:
            response, incoming, timer = self._response, self._incoming, self._timer
            if response is None or timer is None:
                timer = self._begin_opening()
                opened = await self._attempts.open(self._begin_sending)
                if opened is None:
                    self._show_retry(timer)
                else:
                    self._opened(opened, timer)
            elif incoming.over and incoming.begun and (incoming.complete or self._call.timeouts.after_end is not None):
                self._take(await self._read_end(response))
            elif not incoming.begun:
                await self._read_or_retry(response, timer)
            else:
                timer.begin_wait(IdleTimeout, self._idle)
                self._take(await response.read())
                timer.end_wait()
        except BedrockStreamError as error:
            await self._fail(error)
        except BaseException as error:
            cancelled, kind = isinstance(error, asyncio.CancelledError), type(error).__name__
            failure = StreamInterrupted(f"a read ended with {kind}, which closed the stream", closed=cancelled)
            self._stop(failure, "cancelled" if cancelled else "failed")
            if cancelled:
                await self._attempts.settle()
            raise
        finally:
            self._reading = False
        if self._finished:
            await self._attempts.settle(self._incoming)

    def _refuse(self) -> None:
        """Raise why the stream cannot be read."""
        if self._failure is not None:
            self._failure.events_received = self.delivered
            raise self._failure
        if self._finished:
            raise StopAsyncIteration
        raise ConfigurationError("stream", "is being read by another task", "read a stream from one task")

    async def _fail(self, error: BedrockStreamError) -> None:
        """Close with the error of a read and raise it, unless the message is complete: only its end is lost then."""
        if isinstance(error, StreamInterrupted) and self._failure is None and self._incoming.ended:
            try:
                self._end()
            except BedrockStreamError as final:
                error = final
            else:
                return
        self._stop(error)
        await self._attempts.settle()
        raise error

    def _begin_opening(self) -> StreamTimer:
        timer = self._timer
        if timer is None:
            loop, timeouts = asyncio.get_running_loop(), self._attempts.call.timeouts
            total = None if timeouts.total is None else (timeouts.total, loop.time())
            timer = self._timer = StreamTimer(loop, self, timeouts.unread, total)
        timer.begin_wait(FirstEventTimeout, None)  # until a request is sent, only the total limit counts
        return timer

    def _begin_sending(self) -> None:
        """Begin to wait for the response."""
        if self._call is not self._attempts.call:
            self._begin_attempt()
        if self._timer is not None:
            call = self._call
            self._timer.begin_first_wait(call.timeouts, self._waited, started=False, streaming=call.streaming)

    def _opened(self, response: HttpResponse, timer: StreamTimer) -> None:
        """Take a response whose headers are here."""
        self._waited = timer.waited
        timer.begin_unread()
        self._response = response
        self._incoming.take_headers(response.headers)
        if (report := self._reporter("responded")) is not None:
            report(response.status, response.headers)

    async def _read_or_retry(self, response: HttpResponse, timer: StreamTimer) -> None:
        """Read before the first content. A failure may be retried; else what was held back is delivered before it."""
        call, started = self._call, self._incoming.started
        timer.begin_first_wait(call.timeouts, self._waited, started=started, streaming=call.streaming)
        try:
            data = await response.read()
            self._waited += timer.waited
            timer.end_wait()
            self._take(data)
        except BedrockStreamError as error:
            if self._incoming.begun or self._incoming.ended or self._failure is not None:
                raise
            response.close()
            timer.begin_wait(FirstEventTimeout, None)
            if await self._attempts.retry(error):
                self._begin_attempt()
                self._show_retry(timer)
            elif self._incoming.release():
                self._ready.reverse()
                self._report(error)
            else:
                raise

    def _show_retry(self, timer: StreamTimer) -> None:
        """Make the event of a retry that follows, if the caller asked for it. It is not an event of the message."""
        retrying = self._attempts.take_retrying()
        if retrying is not None:
            timer.begin_unread()
            self._ready.append(retrying)
            self.delivered -= 1

    async def _read_end(self, response: HttpResponse) -> bytes:
        """Wait for what follows the message's own end: its usage, and the end of the body.

        Silence loses nothing of the message.
        """
        if response.ended:
            return b""
        complete = self._incoming.complete
        try:
            async with asyncio.timeout(_END_SECONDS if complete else self._call.timeouts.after_end):
                return await response.read()
        except BedrockStreamError as error:  # also a limit of the stream, which is a TimeoutError
            if not complete or not isinstance(error, StreamInterrupted | ClientClosed):
                raise
        except TimeoutError:
            pass
        return b""

    def _take(self, data: bytes) -> None:
        """Make events of bytes, or end without any. A failure waits until the events before it have been read."""
        incoming = self._incoming
        if not data:
            self._end()
            return
        begun = incoming.begun
        failure = incoming.receive(data)
        if not begun and incoming.started and self._call.streaming:
            self._stopwatch.note_start(content=incoming.begun)
            if incoming.begun:
                self._begun()
        self._ready.reverse()
        if failure is not None or self._attempts.observers is not None:
            self._report(failure)

    def _report(self, failure: BedrockStreamError | None) -> None:
        """Report new events to the observers, and keep the failure that follows them."""
        ready, observers = self._ready, self._attempts.observers
        if observers is not None and ready:
            observers.tell("came", ready[::-1])
        if failure is not None:
            if not ready:
                raise failure
            self._stop(failure)

    def _begun(self) -> None:
        """Note that content has been received, so that no other attempt follows."""
        self._attempts.succeeded()
        self._call = self._attempts.call
        if self._response is not None:
            self._response.forget_head()

    def _end(self) -> None:
        """Take the end of the body. Raises `StreamInterrupted` if the message has not ended, and `ToolInputError`."""
        incoming, begun = self._incoming, self._incoming.begun
        self._stopwatch.note_end()
        incoming.finish(self.request_id)
        if incoming.broken_tool is not None:
            raise tool_input_error(incoming.broken_tool, self.partial)
        if not begun and incoming.begun:
            self._begun()
        self._finished = True
        self._release()
        self._attempts.ended("finished", None, self._outcome)

    def _outcome(self) -> Response | None:
        """Return the response as observers receive it."""
        return self.partial

    def expire(self, kind: type[TimeLimitError], limit: float, elapsed: float) -> None:
        """Take a time limit that was reached; called by the timer."""
        if kind is UnreadTimeout and self._incoming.complete:
            self._release()  # the message is complete, however long the caller takes to read it
            return
        response = self._response
        received, detail = (0, "no headers came") if response is None else (response.bytes_received, "")
        error = kind(limit, elapsed, received, detail=detail)
        if self._incoming.begun or kind is UnreadTimeout or kind is TotalTimeout:
            self._stop(error)
        elif response is None:
            self._attempts.interrupt(error)  # the opening task gets it, and may retry
        else:
            response.fail(error)  # so does the reading task

    def _stop(self, error: BedrockStreamError, way: str = "failed") -> None:
        """Close with a failure that every later read raises; the first failure stays."""
        if self._failure is None:
            self._failure = error
            self._stopwatch.note_end()
            self._attempts.failed(error, events=self.delivered, partial=self.partial)
            self._attempts.ended(way, error, error.partial)
        self._release(error)

    def _release(self, error: BedrockStreamError | None = None) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self._response is not None:
            if error is not None:
                self._response.fail(error)  # raised in another task that reads
            self._response.close()
        if error is not None:
            self._attempts.abort(error)  # raised in another task that opens or waits before a retry
