"""All attempts of one call: which target is next, whether and when, and what the client remembers of it.

Nothing here knows what a caller has seen; whoever asks for another attempt has made sure that it is nothing. A target
that failed is left for the next one at once. Only when every target that is not known to be down has had its turn,
there is a wait.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Coroutine, Sequence
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..auth.signer import Signer
from ..errors import (
    BedrockStreamError,
    ConnectionFailed,
    FirstContentTimeout,
    FirstEventTimeout,
    NotAnEventStream,
    ServiceError,
    Throttled,
    TotalTimeout,
    service_error,
)
from ..observing import Attempt, Ending, Observer, Observers, Subject
from ..request.http import EVENT_STREAM
from ..transport.slots import LaneTicket
from ..types.response import Response
from ..types.settings import RetryPolicy
from .call import Call, request_id
from .retry import Breaker, Memory, _is_the_targets_fault

if TYPE_CHECKING:
    from ..transport.http_response import HttpResponse
    from ..transport.transport import Transport

__all__ = (
    "Approach",
    "Attempts",
    "open_answer",
)


_ERROR_BODY = 64 * 1024  # more of an error's body than anybody reads


_ERROR_PATIENCE = 5.0  # seconds for it; its status is here already


async def open_answer(call: Call, signer: Signer, turn: LaneTicket | None = None) -> HttpResponse:
    """Send once and return the answer, whose status is 200 and whose content type is what was asked for.

    With `turn` it waits for its turn in a lane besides. `signer` is the attempt's own.

    Raises `TransportError`, `ServiceError`, `NotAnEventStream`, `MissingCredentials`, `ConfigurationError`,
    `CredentialsUnavailable`.
    """
    try:
        transport = await call.transport()
        for _ in call.request.body.steps():
            await asyncio.sleep(0)  # a large body must not hold up the other streams
        while True:
            answer = await _send(call, transport, signer, turn)
            try:
                await _check(call, answer)
            except BedrockStreamError as error:
                answer.close()
                error.request_id = request_id(answer)
                if not await signer.can_recover(error, answer.header("Date")):
                    raise
            except BaseException:
                answer.close()
                raise
            else:
                return answer
    except BedrockStreamError as error:
        call.describe(error)
        raise


async def _send(call: Call, transport: Transport, signer: Signer, turn: LaneTicket | None) -> HttpResponse:
    timeouts = call.timeouts
    first, content = timeouts.first_event, timeouts.first_content if call.streams else None
    sooner = content is not None and (first is None or content < first)
    try:
        return await transport.open(
            call.request,
            lambda: signer.authorize(call.request, transport.ask),
            pool=timeouts.pool,
            connect=timeouts.connect,
            headers_within=content if sooner else first,
            turn=turn,
        )
    except FirstEventTimeout as error:
        if sooner:
            raise FirstContentTimeout(error.limit, error.elapsed, detail="no headers came") from error
        raise


async def _check(call: Call, answer: HttpResponse) -> None:
    content_type = answer.header("Content-Type")
    kind = (content_type or "").partition(";")[0].strip().lower()
    if answer.status >= 400:
        body = await _read_some(call, answer, _ERROR_BODY)
        raise _http_error(answer, body)
    expected = EVENT_STREAM if call.streams else "application/json"
    if answer.status != 200 or kind not in ("", expected):  # a proxy may have dropped the header
        body = await _read_some(call, answer, 200)
        raise NotAnEventStream(answer.status, content_type, body[:200])


async def _read_some(call: Call, answer: HttpResponse, enough: int) -> bytes:
    """The beginning of a body; whatever has come when it breaks off or dawdles."""
    body = b""
    try:
        async with asyncio.timeout(min(call.timeouts.idle or _ERROR_PATIENCE, _ERROR_PATIENCE)):
            while len(body) < enough and (data := await answer.read()):
                body += data
    except (BedrockStreamError, TimeoutError):
        pass  # the status alone tells enough
    return body


def _http_error(answer: HttpResponse, body: bytes) -> BedrockStreamError:
    """A service error of an HTTP answer. Type: header, then body; a proxy may have left neither."""
    try:
        facts = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        facts = {"message": body[:200].decode("utf-8", "replace")}
    named = answer.header("x-amzn-ErrorType") or facts.get("code") or facts.get("__type") or ""
    code = str(named).partition(":")[0].rpartition("#")[2].partition(",")[0].strip()
    message = facts.get("message") or facts.get("Message") or ""
    error = service_error(code or None, str(message), answer.status, extra=facts)
    error.retry_after = _retry_after(answer)
    return error


def _retry_after(answer: HttpResponse) -> float | None:
    """Seconds to wait, as the service says: its own header in milliseconds, or HTTP's in seconds or as a date."""
    own, standard = answer.header("x-amz-retry-after"), answer.header("Retry-After")
    try:
        if own is not None:
            seconds = int(own) / 1000
        elif standard is None:
            return None
        elif standard.strip().isdigit():
            seconds = float(standard)
        else:
            sent = answer.header("Date") or ""
            seconds = (parsedate_to_datetime(standard) - parsedate_to_datetime(sent)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


class Attempts:
    """The attempts of one call. `calls` is the call once for each target, in their order."""

    __slots__ = (
        "_began",
        "_calls",
        "_chance",
        "_memory",
        "_past",
        "_place",
        "_policy",
        "_resumed",
        "_retries",
        "_signer",
        "_since",
        "_started",
        "_turn",
        "_untried",
        "observers",
    )

    def __init__(
        self,
        calls: Sequence[Call],
        policy: RetryPolicy,
        memory: Memory,
        observers: Sequence[Observer] = (),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._calls = calls
        self._policy = policy
        self._memory = memory
        self._chance = chance
        self._place = 0
        self._untried = list(range(1, len(calls)))
        self._retries = 0  # the first turns of the other targets are none
        self._past: list[Attempt] = []
        self._began: float | None = None
        self._since: float | None = None  # when the attempt under way began
        self._turn: LaneTicket | None = None
        self._signer: Signer | None = None  # of the attempt under way
        self._resumed = False  # whether that goes on, signed anew
        self._started = 0.0  # by a clock that needs no loop: a finaliser may tell the end
        self.observers: Observers | None = Observers(observers, self._subject) or None
        """Who looks on; None where nobody does, and once the call is over."""

    @property
    def call(self) -> Call:
        """The call as it goes to the target whose turn it is."""
        return self._calls[self._place]

    @property
    def began(self) -> float | None:
        """The loop's time at the first attempt's beginning."""
        return self._began

    def change(self, change: Callable[[Call], Call]) -> None:
        """Change the call for every target, before anything is sent."""
        self._calls = [change(call) for call in self._calls]

    def history(self) -> tuple[Attempt, ...]:
        """Every attempt so far, the one under way last."""
        if self._since is None:
            return tuple(self._past)
        return (*self._past, Attempt(number=len(self._past) + 1, target=self.call.target))

    async def open(self) -> HttpResponse:
        """Send, again where that is allowed, until the headers of an answer are here. Raises the last failure."""
        if self._began is None:
            self._began = asyncio.get_running_loop().time()
            self._pass_open_breakers()
            if self.observers:
                self._started = monotonic()
                self.observers.tell("began")
        while True:
            try:
                return await self._open()
            except BedrockStreamError as error:
                if not await self.again(error):
                    raise

    async def again(self, error: BedrockStreamError, answer: HttpResponse | None = None) -> bool:
        """Take a failure in, wait as long as need be, and say whether there may be another attempt.

        `answer` is the one that the failure came in: a refusal that a new signature cures stays unseen there, as it
        does where it is the answer's status. Raises what `on_retry` raises, and `ClientClosed`.
        """
        if (
            answer is not None
            and self._signer is not None
            and await self._signer.can_recover(error, answer.header("Date"))
        ):
            error.__traceback__ = None  # see below
            self._resumed = True
            return True
        self._blame(error)
        following = self._following(error)
        self.failed(error, 0.0 if following is None else following[1])
        if following is None:
            return False
        if self.observers:
            self.observers.tell("failed", self._past[-1])
        if self._policy.on_retry is not None:
            self._policy.on_retry(self._past[-1])
        index, wait = following
        if wait:
            transport = await self.call.transport()
            await transport.pause(wait)
        error.__traceback__ = None  # its frames hold the stream, which must go with its last reference
        self._place = index
        self._memory.retries += 1
        return True

    def failed(self, error: BedrockStreamError, wait: float = 0.0) -> None:
        """The attempt under way is over, if there is one."""
        if self._since is not None:
            if isinstance(error, Throttled) and self._turn is not None:
                self._turn.throttled()  # in the midst of an answer as well
            seconds = asyncio.get_running_loop().time() - self._since
            number, target = len(self._past) + 1, self.call.target
            self._past.append(Attempt(number=number, target=target, error=error, seconds=seconds, wait=wait))
            self._since = None

    def succeeded(self) -> None:
        """The answer has begun; from here on there is no other attempt."""
        self._memory.budget.succeeded(self._retries if self._policy.budget else 0)
        if len(self._calls) > 1:
            self._breaker(self._place).succeeded()
        if self._turn is not None:
            self._turn.succeeded()
        if self.observers:
            self.observers.tell("first", self.history()[-1])

    def ended(
        self,
        way: str,
        error: BaseException | None = None,
        request_id: str | None = None,
        response: Response | Callable[[], Response | None] | None = None,
    ) -> None:
        """The call is over; said once to whoever looks on, who alone needs the response. See `observing.Ending`."""
        looking, self.observers = self.observers, None
        if looking and self._started:
            ending = Ending(
                way=way,
                error=error,
                attempts=self.history(),
                request_id=request_id,
                response=response() if callable(response) else response,
                seconds=monotonic() - self._started,
            )
            looking.tell("ended", ending)

    # ------------------------------------------------------------------------------------------------ what it rests on

    def _subject(self) -> Subject:
        call = self.call
        return Subject(
            model=call.model,
            route=call.dialect.route,
            operation=call.operation,
            streaming=call.streaming,
            target=call.target,
            options=call.options,
            messages=call.messages,
            body=lambda: call.request.body.data,
        )

    async def _open(self) -> HttpResponse:
        call = self.call
        signer = self._signer if self._resumed else None
        if signer is None:
            self._since = asyncio.get_running_loop().time()
            self._memory.attempts += 1
            signer = self._signer = call.signer()
            if len(self._calls) > 1:
                self._breaker(self._place).try_again(self._memory.clock())
        self._resumed = False
        self._turn = LaneTicket((await call.transport()).lanes.lane(call.region, call.model)) if call.adaptive else None
        return await open_answer(call, signer, self._turn)

    def _blame(self, error: BedrockStreamError) -> None:
        if len(self._calls) == 1 or self._is_stale(error):
            return
        if _is_the_targets_fault(error):
            self._breaker(self._place).failed(self._memory.clock())
        elif isinstance(error, ServiceError):
            self._breaker(self._place).succeeded()  # what it refuses, it has answered

    def _following(self, error: BedrockStreamError) -> tuple[int, float] | None:
        """The place of the next attempt's target and the seconds until then, None for no more."""
        stale = self._is_stale(error)
        if not stale and _is_the_targets_fault(error):
            index = next(filter(self._is_up, self._untried), None)
            if index is not None:
                self._untried.remove(index)
                return index, 0.0
        elapsed = asyncio.get_running_loop().time() - (self._began or 0.0)
        wait = self._policy.wait(error, self._retries, elapsed, self._chance())
        if wait is None or (self._policy.budget and not self._memory.budget.take()):
            return None
        self._retries += 1
        if stale:
            return self._place, 0.0
        return next(filter(self._is_up, range(len(self._calls))), 0), wait

    def _is_stale(self, error: BedrockStreamError) -> bool:
        """Whether only an old connection was at fault; a new one is to be had at once, and once."""
        return isinstance(error, ConnectionFailed) and error.dropped and not self._past

    def _breaker(self, index: int) -> Breaker:
        return self._memory.breaker(self._calls[index])

    def _is_up(self, index: int) -> bool:
        """Whether a target is not known to be down."""
        return len(self._calls) == 1 or not self._breaker(index).is_open(self._memory.clock())

    def _pass_open_breakers(self) -> None:
        """Begin with the first target that is not known to be down; with the first one where all are."""
        index = next(filter(self._is_up, range(len(self._calls))), 0)
        if index:
            self._place = index
            self._untried.remove(index)


_R = TypeVar("_R")


class Approach:
    """The attempts of one stream, within `limit` seconds from the first one's beginning."""

    __slots__ = ("_attempts", "_errand", "_limit", "_why")

    def __init__(self, attempts: Attempts, limit: float | None) -> None:
        self._attempts = attempts
        self._limit = limit
        self._errand: asyncio.Timeout | None = None
        self._why: BedrockStreamError | None = None

    async def open(self) -> HttpResponse:
        """See `Attempts.open`. Raises `TotalTimeout` besides, and what it was broken off with."""
        answer = await self._run(self._attempts.open())
        if self._why is not None:
            answer.close()
            raise self._why
        return answer

    async def again(self, error: BedrockStreamError, answer: HttpResponse) -> bool:
        """See `Attempts.again`. Raises `TotalTimeout` besides, and what it was broken off with."""
        again = await self._run(self._attempts.again(error, answer), answer.bytes_received)
        if self._why is not None:
            raise self._why
        return again

    def break_off(self, why: BedrockStreamError) -> None:
        """From another task: whoever opens or waits gets this error now."""
        self._why = why
        if self._errand is not None and not self._errand.expired():
            self._errand.reschedule(0.0)

    async def _run(self, step: Coroutine[Any, Any, _R], bytes_received: int = 0) -> _R:
        loop, began = asyncio.get_running_loop(), self._attempts.began
        began = loop.time() if began is None else began
        try:
            async with asyncio.timeout_at(None if self._limit is None else began + self._limit) as errand:
                self._errand = errand
                return await step
        except TimeoutError:
            if self._why is not None:
                raise self._why from None
            if self._limit is None or not errand.expired():
                raise  # it is the caller's own, of `on_retry`
            raise TotalTimeout(self._limit, loop.time() - began, bytes_received) from None
        finally:
            self._errand = None
