"""All attempts of one call: which target is next, whether and when, and what the client remembers of it.

Nothing here knows what a caller has seen; whoever asks for another attempt has made sure that it is nothing. A target
that failed is left for the next one at once. Only when every target has had its turn, there is a wait.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from .assembly import Response
from .attempt import Call, open_answer, read_whole, request_id
from .errors import (
    BedrockStreamError,
    ClientClosed,
    ConnectionFailed,
    CredentialsUnavailable,
    FirstContentTimeout,
    FirstEventTimeout,
    QuotaExceeded,
    Throttled,
    TotalTimeout,
)
from .observing import Attempt, Ending, Observer, Observers, Subject
from .retry import Budget, RetryPolicy
from .slots import Lane
from .targets import Breaker, Target

if TYPE_CHECKING:
    from .transport import Answer

__all__ = ("Attempts", "Memory", "read_answer")

_T = TypeVar("_T")

# What another target may do better, though the same one would hardly.
_ELSEWHERE = (FirstEventTimeout, FirstContentTimeout, QuotaExceeded, CredentialsUnavailable)


class Memory:
    """What one client remembers of all its calls."""

    __slots__ = ("attempts", "breakers", "budget", "retries")

    def __init__(self) -> None:
        self.budget = Budget()
        self.breakers: dict[Target, Breaker] = {}
        self.attempts = 0
        self.retries = 0

    def breaker(self, target: Target) -> Breaker:
        """The breaker of a target."""
        found = self.breakers.get(target)
        if found is None:
            found = self.breakers[target] = Breaker()
        return found


class Attempts:
    """The attempts of one call. `calls` is the call once for each target, in their order."""

    __slots__ = (
        "_began",
        "_calls",
        "_chance",
        "_failed",
        "_lane",
        "_memory",
        "_place",
        "_policy",
        "_since",
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
        self._failed: list[Attempt] = []
        self._began: float | None = None
        self._since = 0.0
        self._lane: tuple[Lane, int] | None = None
        self.observers: Observers | None = Observers(observers, self._subject)
        """Who looks on; None once the call is over."""

    @property
    def call(self) -> Call:
        """The call as it goes to the target whose turn it is."""
        return self._calls[self._place]

    @property
    def since(self) -> float:
        """The loop's time at the beginning of the attempt under way."""
        return self._since

    @property
    def began(self) -> float:
        """The loop's time at the first attempt's beginning."""
        return self._began or 0.0

    def change(self, change: Callable[[Call], Call]) -> None:
        """Change the call for every target, before anything is sent."""
        self._calls = [change(call) for call in self._calls]

    def history(self) -> tuple[Attempt, ...]:
        """Every attempt so far, the one under way last."""
        if self._began is None:
            return ()
        return (*self._failed, Attempt(number=len(self._failed) + 1, target=self.call.target))

    async def open(self) -> Answer:
        """Send, again where that is allowed, until the headers of an answer are here. Raises the last failure."""
        if self._began is None:
            self._began = asyncio.get_running_loop().time()
            self._pass_open_breakers()
            if self.observers:
                self.observers.tell("began")
        while True:
            try:
                return await self._open()
            except BedrockStreamError as error:
                if not await self.again(error):
                    raise

    async def again(self, error: BedrockStreamError) -> bool:
        """Take a failure in, wait as long as need be, and say whether there may be another attempt."""
        now = asyncio.get_running_loop().time()
        self._blame(error)
        wait = self._wait(error, now)
        if wait is None:
            return False
        failed = Attempt(
            number=len(self._failed) + 1, target=self.call.target, error=error, seconds=now - self._since, wait=wait
        )
        self._failed.append(failed)
        self._memory.retries += 1
        if self.observers:
            self.observers.tell("failed", failed)
        if self._policy.on_retry is not None:
            self._policy.on_retry(failed)
        await asyncio.sleep(wait)
        self._place = self._next()
        return True

    def succeeded(self) -> None:
        """The answer has begun; from here on there is no other attempt."""
        self._memory.budget.succeeded(len(self._failed))
        if len(self._calls) > 1:
            self._memory.breaker(self.call.target).succeeded()
        if self._lane is not None:
            self._lane[0].succeeded()
        if self.observers:
            self.observers.tell("first")

    def ended(
        self,
        way: str,
        error: BaseException | None = None,
        request_id: str | None = None,
        response: Response | Callable[[], Response | None] | None = None,
    ) -> None:
        """The call is over; said once to whoever looks on, who alone needs the response. See `observing.Ending`."""
        looking, self.observers = self.observers, None
        if looking and self._began is not None:
            last = Attempt(number=len(self._failed) + 1, target=self.call.target, error=_own(error))
            ending = Ending(
                way=way,
                error=error,
                attempts=(*self._failed, last),
                request_id=request_id,
                response=response() if callable(response) else response,
                seconds=asyncio.get_running_loop().time() - self._began,
            )
            looking.tell("ended", ending)

    # ------------------------------------------------------------------------------------------------ what it rests on

    def _subject(self) -> Subject:
        call = self.call
        return Subject(
            model=call.model,
            route=call.dialect.route,
            streaming=call.streaming,
            target=call.target,
            options=call.options,
            body=lambda: call.request.body.data,
        )

    async def _open(self) -> Answer:
        call = self.call
        self._since = asyncio.get_running_loop().time()
        self._memory.attempts += 1
        if len(self._calls) > 1:
            self._memory.breaker(call.target).try_again(monotonic())
        if call.adaptive:
            lane = (await call.transport()).lane(call.region, call.model)
            self._lane = (lane, lane.epoch)
        return await open_answer(call)

    def _blame(self, error: BedrockStreamError) -> None:
        if isinstance(error, Throttled) and self._lane is not None:
            self._lane[0].throttled(self._lane[1])
        if len(self._calls) > 1 and _is_the_targets_fault(error):
            self._memory.breaker(self.call.target).failed(monotonic())

    def _wait(self, error: BedrockStreamError, now: float) -> float | None:
        """Seconds until the next attempt, None for no more."""
        if self._untried and _is_the_targets_fault(error):
            return 0.0
        retries = len(self._failed) - (len(self._calls) - 1)  # the turns of the other targets are no retries
        wait = self._policy.wait(error, max(retries, 0), now - self.began, self._chance())
        if wait is None or (self._policy.budget and not self._memory.budget.take()):
            return None
        if isinstance(error, ConnectionFailed) and error.dropped and not self._failed:
            return 0.0  # the connection was an old one; a new one is to be had at once
        return wait

    def _next(self) -> int:
        """The target whose turn it is: one that was not asked yet, else the first that is not known to be down."""
        if len(self._calls) == 1:
            return 0
        now, breaker = monotonic(), self._memory.breaker
        usable = [place for place in self._untried if not breaker(self._calls[place].target).is_open(now)]
        if usable or self._untried:
            place = usable[0] if usable else self._untried[0]
            self._untried.remove(place)
            return place
        up = (place for place, call in enumerate(self._calls) if not breaker(call.target).is_open(now))
        return next(up, 0)

    def _pass_open_breakers(self) -> None:
        """Begin with the first target that is not known to be down; with the first one where all are."""
        if len(self._calls) > 1 and self._memory.breaker(self.call.target).is_open(monotonic()):
            now = monotonic()
            for place in self._untried:
                if not self._memory.breaker(self._calls[place].target).is_open(now):
                    self._place = place
                    self._untried = [other for other in self._untried if other != place]
                    return


def _own(error: BaseException | None) -> BedrockStreamError | None:
    return error if isinstance(error, BedrockStreamError) else None


def _is_the_targets_fault(error: BedrockStreamError) -> bool:
    return (error.retryable or isinstance(error, _ELSEWHERE)) and not isinstance(error, ClientClosed)


async def read_answer(attempts: Attempts, read: Callable[[Call, bytes, str | None], _T]) -> _T:
    """Send, read the whole body and make something of it, again where that is allowed.

    The connection is given back on every way out. Raises what `read` raises besides.
    """
    total = attempts.call.timeouts.total
    try:
        async with asyncio.timeout(total):
            return await _read_answer(attempts, read)
    except TimeoutError:
        late = TotalTimeout(total or 0, asyncio.get_running_loop().time() - attempts.began)
        attempts.call.describe(late)
        attempts.ended("failed", late)
        raise late from None
    except BedrockStreamError as error:
        attempts.ended("failed", error, error.request_id)
        raise
    except BaseException as error:
        attempts.ended("cancelled", error)
        raise


async def _read_answer(attempts: Attempts, read: Callable[[Call, bytes, str | None], _T]) -> _T:
    while True:
        answer = await attempts.open()
        call, named = attempts.call, request_id(answer)
        try:
            value = read(call, await read_whole(call, answer), named)
        except BedrockStreamError as error:
            call.describe(error, named)
            answer.close()
            if not await attempts.again(error):
                raise
        else:
            attempts.succeeded()
            response = value if isinstance(value, Response) else None
            attempts.ended("finished", None, named, response)
            return value
        finally:
            answer.close()
