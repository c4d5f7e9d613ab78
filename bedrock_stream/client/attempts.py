"""The attempts of one call: sends it, again where `Retries` says so, and reports each attempt to the observers.

A request that is refused for its signature (an expired token, clock skew) is signed and sent again within the same
attempt. Neither the caller nor an observer sees that, whether the refusal is a status or the first frame of a stream.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from ..auth.signer import Signer
from ..dialects.base import NO_HEADERS
from ..dialects.incoming import Incoming
from ..errors import BedrockStreamError, ValidationFailed
from ..observing import Attempt, Ending, Observer, Observers, Subject
from ..request.call import Call
from ..request.output_schema import note_refusal
from ..transport.hold import Hold
from ..transport.lanes import LaneTicket
from ..transport.opening import Opening
from ..types.events import Retrying
from ..types.response import Response, Timing
from .checks import check, request_id_of
from .reports import subject_of
from .retry import Retries
from .state import ClientState

if TYPE_CHECKING:
    from ..transport.http_response import HttpResponse
    from ..transport.quota import QuotaLike
    from ..transport.transport import Transport
    from .quotas import Spending

__all__ = ("Attempts",)


class Attempts:
    """The attempts of one call. `calls` holds the call once for each target, in their order."""

    __slots__ = (
        "_aborted",
        "_began",
        "_calls",
        "_date",
        "_is_counted",
        "_observers",
        "_opening",
        "_past",
        "_rerouted",
        "_responded",
        "_resumed",
        "_retries",
        "_retrying",
        "_shows_retries",
        "_signer",
        "_since",
        "_spending",
        "_started",
        "_state",
        "_ticket",
        "_wait_until",
        "answered",
        "call",
        "headers",
        "observers",
        "request_id",
        "sent",
    )

    def __init__(self, state: ClientState, calls: Sequence[Call], chance: Callable[[], float] = random.random) -> None:
        self._state = state
        self._calls = list(calls)
        self.call: Call = calls[0]
        """The call to the target that is being tried; without its request once no other attempt follows."""
        breakers = [state.breaker(call) for call in calls] if len(calls) > 1 else []
        self._retries = Retries(calls[0].destination.retry, state.budget, breakers, state.clock, chance)
        options = self.call.options
        self._shows_retries = options is not None and options.show_retries
        self._retrying: Retrying | None = None  # not delivered yet
        self._wait_until: float | None = None  # the loop's time; None unless the next attempt is a retry
        self._past: list[Attempt] = []
        self._began: float | None = None  # the loop's time
        self._since: float | None = None  # when the current attempt began
        self._signer: Signer | None = None  # of the current attempt
        self._is_counted = False  # whether the current attempt is in the client's number of requests
        self._resumed = False  # whether the current attempt is sent again, with a new signature
        self._rerouted: Call | None = None  # a call that is sent under the other prefix of its path
        self._ticket: LaneTicket | None = None
        self._responded = False  # whether the current attempt has a response
        self._date: str | None = None  # of that response
        self._opening: Opening | None = None  # around opening, and around a wait
        self._aborted: BedrockStreamError | None = None
        self._started = 0.0  # by a clock that needs no loop: a finalizer may report the end
        self.sent: bool = False
        """Whether the request of the current attempt was sent."""
        self.answered: bool = False
        """Whether content has been received, so that no other attempt follows."""
        self.request_id: str | None = None
        """The service's id of the last response."""
        self.headers: Mapping[str, str] = NO_HEADERS
        """The headers of the last response, until content has been received."""
        self._observers = Observers(state.settings.observers, self._subject)
        self.observers: Observers | None = self._observers or None
        """The observations of this call; None without any, and once the call is over."""
        quotas = state.quotas
        self._spending: Spending | None = None if quotas is None else quotas.spending(self.observers)

    @property
    def is_held_up(self) -> bool:
        """Whether the call waits for a quota or, with patience, for a model that is throttled."""
        if self._spending is not None and self._spending.is_waiting:
            return True
        return not self.sent and self._ticket is not None and self._ticket.is_refused

    @property
    def calls(self) -> tuple[Call, ...]:
        """The call to each target; empty once no other attempt follows."""
        return tuple(self._calls)

    @property
    def began(self) -> bool:
        """Whether the first attempt has begun."""
        return self._began is not None

    def observe(self, observer: Observer) -> None:
        """Add an observer of this call alone, before anything is sent."""
        self._observers.add(observer, self._subject())
        self.observers = self._observers or None

    def use_quota(self, quota: QuotaLike | None, tokens: int | None = None) -> None:
        """Add a quota of this call alone, before anything is sent; `tokens` are its input tokens, if they are known."""
        if quota is not None or self._spending is not None:
            self._spending = self._state.shared_quotas().spending(self.observers, quota, tokens)

    def history(self) -> tuple[Attempt, ...]:
        """Return every attempt so far, the current one last."""
        if self._since is None:
            return tuple(self._past)
        return (*self._past, Attempt(number=len(self._past) + 1, target=self.call.target))

    def elapsed(self) -> float | None:
        """Return the seconds since the first attempt began; None before."""
        return None if self._began is None else asyncio.get_running_loop().time() - self._began

    async def open(self, sending: Callable[[], None]) -> HttpResponse | None:
        """Send, with retries, until the headers of a response are here.

        Return None before the wait for a retry that is shown to the caller: see `take_retrying`. The next call of this
        function waits. `sending` is called before each request is sent. Raises the last failure, what `on_retry`
        raises, and what `abort` was passed.
        """
        self._begin()
        transports = self._state.transports
        while True:
            if self._wait_until is not None:
                await self._wait_before_retry(self._wait_until)
            try:
                call, signer = self._next()
                transport = await transports.current()
                self._ticket = self._lane_ticket(transport)
                opening = self._opening = Opening(transport.openings)
                async with opening:
                    for _ in call.request.body.steps():
                        await asyncio.sleep(0)  # a large body must not delay the other streams
                    hold = await self._hold(transport, call, signer)
                    try:
                        # Signed last, with the slot held: a request that waited for minutes is still valid.
                        authorized = signer.authorize(call.request)
                        sending()
                        self._note_sent()
                        response = await transport.send(call.request, authorized, hold, connect=call.timeouts.connect)
                    except BaseException:
                        hold.release()
                        raise
                    self._take(response)
                    await check(call, response)
                    if call is self._rerouted:
                        self._state.prefixes.learn(call)
                if opening.error is not None:
                    response.close()
                    raise opening.error
                self._opening = None
                return response
            except BedrockStreamError as error:
                if error is self._aborted or not await self._retry(error):
                    raise
            if self._retrying is not None:
                return None

    async def retry(self, error: BedrockStreamError) -> bool:
        """Take the failure of a response of which no event was delivered.

        Return whether another attempt follows, with the next `open`. Raises as `open` does, and `ClientClosed`.
        """
        retried = await self._retry(error)
        if self._aborted is not None:
            raise self._aborted
        return retried

    def take_retrying(self) -> Retrying | None:
        """Return the event of the retry that follows, once, if the caller asked for such events."""
        retrying, self._retrying = self._retrying, None
        return retrying

    def interrupt(self, error: BedrockStreamError) -> None:
        """Raise this error in the current attempt, which may be retried; called by the timer."""
        if self._opening is not None:
            self._opening.interrupt(error)

    def abort(self, error: BedrockStreamError) -> None:
        """Raise this error in the task that opens, or waits before a retry; called from another task or a timer."""
        self._aborted = error
        self.interrupt(error)

    def failed(
        self,
        error: BedrockStreamError,
        *,
        retried: bool = False,
        wait: float = 0.0,
        events: int = 0,
        partial: Response | None = None,
    ) -> None:
        """Put the facts of the call on its error, and end the current attempt if there is one."""
        call = self.call
        error.model, error.region = call.model.id, call.region
        error.request_id = self.request_id or error.request_id  # that of a header before that of the body
        error.events_received = events
        error.partial = partial if error.partial is None else error.partial
        if isinstance(error, ValidationFailed) and error.option is None:
            from ..request.refusal_words import explain_model, explain_refusal  # rarely needed

            explain_refusal(error, call.options, schema=call.output is not None)
            explain_model(error, call)
        if self._since is not None:
            pause = 0.0 if self._ticket is None else self._ticket.failed(error)  # in the middle of a response, too
            wait = max(wait, pause) if retried else 0.0
            seconds = asyncio.get_running_loop().time() - self._since
            number = len(self._past) + 1
            self._past.append(Attempt(number=number, target=call.target, error=error, seconds=seconds, wait=wait))
            self._since = None
            if self._spending is not None:
                received = error.partial
                usage = None if received is None or received.stop_reason is None else received.usage
                self._spending.failed(error, usage, sent=self.sent, answered=self.answered)

    def succeeded(self) -> None:
        """Note that content has been received, so that no other attempt follows."""
        self.answered = True
        self._retries.succeeded()
        if self._ticket is not None:
            self._ticket.succeeded()
        if self.observers:
            self.observers.tell("first", self.history()[-1])
        self.call = self.call.sent()  # an answer may take minutes, and the request may hold megabytes
        self._calls.clear()
        self._signer, self.headers = None, NO_HEADERS

    def ended(
        self,
        way: str,
        error: BaseException | None = None,
        response: Response | Callable[[], Response | None] | None = None,
    ) -> None:
        """Report the end of the call, once. See `observing.Ending`. A response that is a callable is made if needed."""
        observers, self.observers = self.observers, None
        if observers and self._started:
            request_id = error.request_id if isinstance(error, BedrockStreamError) else self.request_id
            ending = Ending(
                way=way,
                error=error,
                attempts=self.history(),
                request_id=request_id,
                response=response() if callable(response) else response,
                seconds=monotonic() - self._started,
            )
            observers.tell("ended", ending)

    async def settle(self, complete: Incoming | None = None) -> None:
        """Settle what ended attempts took of the quotas; `complete` is the response of the one that has succeeded."""
        if self._spending is not None:
            if complete is not None:
                self._spending.finished(complete.usage)
            await self._spending.settle()

    def finish(self, response: Response) -> Response:
        """Return the whole response with its cost and its parsed output; with its total time if it has no timing."""
        if response.timing is None:
            response = msgspec.structs.replace(response, timing=Timing(total=self.elapsed()))
        return self._state.finish(self.call, response)

    async def with_list_cost(self, response: Response) -> Response:
        """Return a finished response with its cost by genai-prices, if the client has no price table of its own."""
        return await self._state.with_list_cost(self.call, response)

    # ----------------------------------------------------------------------------------------------------- internals

    def _subject(self) -> Subject:
        return subject_of(self.call)

    def _begin(self) -> None:
        """Note the beginning of the first attempt."""
        if self._began is None:
            self._began = asyncio.get_running_loop().time()
            self._retries.begin()
            self.call = self._calls[self._retries.index]
            if self.observers:
                self._started = monotonic()
                self.observers.tell("began")

    def _next(self) -> tuple[Call, Signer]:
        """Return the call of the next attempt, or of the same one again, and its signer."""
        call, signer = self.call, self._signer if self._resumed else None
        self._responded, self._date, self.request_id = False, None, None
        self._resumed = self.sent = False
        if signer is None:
            self._since = asyncio.get_running_loop().time()
            self._is_counted = False
            there = call.destination
            name = there.service.signing_name
            signer = self._signer = Signer(self._state.resolver, there.key_source, there.region, name)
            self._retries.sending()
        return call, signer

    async def _hold(self, transport: Transport, call: Call, signer: Signer) -> Hold:
        """Wait for the credentials, and then for quotas and a slot: a source that hangs must not hold one.

        If the credentials have expired while it waited for the slot, the slot is released and they are fetched again.
        """
        spending = self._spending
        reserve = None if spending is None else (lambda: spending.reserve(call))
        while True:
            await signer.prepare(call.request, transport.ask, call.timeouts.credentials)
            hold = await transport.hold(self._ticket, call.timeouts.pool, reserve)
            try:
                if signer.is_ready:
                    return hold
            except BaseException:  # of the caller's clock
                hold.release()
                raise
            hold.release()

    def _lane_ticket(self, transport: Transport) -> LaneTicket | None:
        patience = self.call.destination.retry.patience
        if patience is None and not self._state.settings.adaptive:
            return None
        lane = transport.lanes.lane(self.call.region, self.call.model.id)
        first = self._ticket is not None and self._ticket.first
        return LaneTicket(lane, patience, self._began or 0.0, first=first)

    def _note_sent(self) -> None:
        self.sent = True
        if not self._is_counted:  # one that waited for a slot or a quota, and was closed, is not a request
            self._is_counted = True
            self._state.attempts += 1

    def _take(self, response: HttpResponse) -> None:
        self._responded, self._date = True, response.header("Date")
        self.request_id, self.headers = request_id_of(response), response.headers

    async def _retry(self, error: BedrockStreamError) -> bool:
        """Take the failure of an attempt. Return whether another one follows, after the wait."""
        transport = await self._state.transports.current()
        opening = self._opening = Opening(transport.openings)
        async with opening:
            if await self._recovers(error):
                error.__traceback__ = None  # see below
                self._resumed = True
                return True
        if opening.error is not None:
            raise opening.error
        following, fallback = self._following(error)
        if following is None:
            return False
        error.__traceback__ = None  # its frames hold the stream, which must be freed with its last reference
        index, wait = following
        self._wait_until = asyncio.get_running_loop().time() + wait
        self._retries.index = index
        if fallback is not None:
            self._calls[index] = fallback
        self.call = self._calls[index]
        if self._shows_retries:
            self._retrying = Retrying(len(self._past) + 1, self._past[-1].wait, type(error).__name__)
        return True

    async def _wait_before_retry(self, moment: float) -> None:
        """Wait for the moment of another attempt. Raises what ends the wait."""
        transport = await self._state.transports.current()
        opening = self._opening = Opening(transport.openings)
        async with opening:
            seconds = moment - asyncio.get_running_loop().time()
            if seconds > 0:
                await asyncio.sleep(seconds)
        if opening.error is not None:
            raise opening.error
        self._wait_until = None
        self._state.retries += 1

    def _following(self, error: BedrockStreamError) -> tuple[tuple[int, float] | None, Call | None]:
        """Return the target and the wait of the next attempt, if any, and its call if that is another one."""
        elapsed = self.elapsed() or 0.0
        if self._spending is not None:
            elapsed -= self._spending.waited
        fallback = self._fallback(error)
        following: tuple[int, float] | None = self._retries.index, 0.0
        if fallback is None:
            starved = elapsed if self._ticket is None else self._ticket.starved
            following = self._retries.following(error, elapsed, first=not self._past, starved=starved)
        policy = self.call.destination.retry
        self.failed(error, retried=following is not None, wait=0.0 if following is None else following[1])
        if following is not None:
            if self.observers:
                self.observers.tell("failed", self._past[-1])
            if policy.on_retry is not None:
                policy.on_retry(self._past[-1])
        return following, fallback

    def _fallback(self, error: BedrockStreamError) -> Call | None:
        """Return the call with its output schema in another form if the service refuses the form of this one."""
        call = self.call
        return call.fallback() if call.fallback is not None and note_refusal(call.model, error) else None

    async def _recovers(self, error: BedrockStreamError) -> bool:
        """Return whether the request may succeed with a new signature, or under another path.

        Only a response can refuse the old one.
        """
        if self._signer is None or not self._responded:
            return False
        other = None if self.call is self._rerouted else self._state.prefixes.other(self.call, error)
        if other is not None:
            self._calls[self._retries.index] = self.call = self._rerouted = other
            return True
        return await self._signer.can_recover(error, self._date)
