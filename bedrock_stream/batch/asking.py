"""Asks one row: plans its call, reads the answer, and asks again where a part of the answer was lost.

A row is asked with patience, so throttling is waited out in the lane of its model (see `transport.lanes`). Other
failures before the answer's first event are retried by the call itself. A row is all or nothing, so that a failure
after the first event is retried here, unless `each` has received events.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, Protocol

import msgspec

from ..auth.credentials import without_frames
from ..client.attempts import Attempts
from ..client.base_stream import BaseStream
from ..client.document import DocumentStream, response_parser
from ..client.pricing import cost_of, price_for
from ..client.state import ClientState, FindDestination
from ..client.stream import Stream
from ..errors import BedrockStreamError, ConfigurationError, RowInvalid, UnsupportedOperation
from ..observing import Attempt
from ..request.call import Destination
from ..request.endpoints import Service
from ..request.models import describe
from ..request.output_schema import OutputSchema
from ..transport.quota import BaseQuota, QuotaLike
from ..types.events import Usage
from ..types.options import Options
from ..types.response import Response
from ..types.settings import THROTTLES, RetryPolicy, Timeouts, backoff
from .asks import Ask
from .bodies import WHOLE_TOKENS, is_streamed, receive_body
from .committed import Committed, bound_of

__all__ = ("Answer", "Asker", "Asking", "Calls", "Each")

Each = Callable[[Stream], Awaitable[Any]]
"""The caller's own reader of a row's stream; what it returns is the row's value."""

_LOOK_SECONDS = 1.0
_OF_A_BODY = ("access_key_id", "api_key", "region", "secret_access_key", "session_token", "project")


class Arguments(Protocol):
    """The arguments of a batch, which may contain keys; its `repr` does not."""

    @property
    def options(self) -> dict[str, Any]:
        """The options of the calls."""


class Calls(Protocol):
    """The client's part: plans calls. Arguments are masked once they were read."""

    @property
    def state(self) -> ClientState:
        """The client's state."""

    def read(self, arguments: dict[str, Any]) -> Options:
        """Return the options that arguments are. Raises `ConfigurationError`."""

    def prompt(
        self, model: str, prompt: Any, options: Options, *, streaming: bool, find: FindDestination | None = None
    ) -> Attempts:
        """Return the call of a prompt. Raises `ConfigurationError`."""

    def body(
        self, model: str, body: Mapping[str, Any], arguments: dict[str, Any], *, streaming: bool, converse: bool
    ) -> Attempts:
        """Return the call of a body in a model's own JSON or in that of Converse. Raises `ConfigurationError`."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a row."""

    response: Any
    value: Any = None
    usage: Usage | None
    cost: float | None
    request_id: str | None


class Asking:
    """One row while it is asked."""

    __slots__ = ("_on_call", "_past", "again", "attempts", "bound")

    def __init__(self, on_call: Callable[[Attempts], None]) -> None:
        """`on_call` is passed each call before it is sent."""
        self._on_call = on_call
        self._past = 0  # requests of earlier calls
        self.attempts: Attempts | None = None
        """The current call; None before it is planned."""
        self.again: int = 0
        """How often a part of an answer was lost."""
        self.bound: Committed | None = None
        """What the row may take at most; None before it is planned."""

    @property
    def requests(self) -> int:
        """Requests so far."""
        return self._past + (0 if self.attempts is None else len(self.attempts.history()))

    @property
    def is_answered(self) -> bool:
        """Whether a part of the current answer has been received."""
        return self.attempts is not None and self.attempts.answered

    @property
    def is_sent(self) -> bool:
        """Whether a request was sent and has not failed."""
        return self.attempts is not None and self.attempts.sent

    @property
    def is_held_up(self) -> bool:
        """Whether it waits for a model that is throttled."""
        return self.attempts is not None and self.attempts.is_held_up

    def begin(self, attempts: Attempts) -> None:
        """Note the next call."""
        self._on_call(attempts)
        self.attempts = attempts

    def begin_again(self) -> None:
        """Note that another call follows."""
        self._past, self.attempts = self.requests, None
        self.again += 1


class Asker:
    """Asks the rows of one batch. `options` are the validated ones of `arguments`."""

    __slots__ = (
        "_arguments",
        "_calls",
        "_each",
        "_found",
        "_model",
        "_on_retry",
        "_options",
        "_patience",
        "_policy",
        "_quota",
        "_streaming",
        "_timeouts",
    )

    def __init__(
        self,
        calls: Calls,
        model: str,
        options: Options,
        arguments: Arguments,
        *,
        patience: float,
        each: Each | None,
        streaming: bool | None,
        on_retry: Callable[[Attempt], None],
        quota: QuotaLike | None,
    ) -> None:
        if each is None and not options.keep:
            raise ConfigurationError("keep", "is False, so no Response is assembled", "leave keep=False out")
        self._calls = calls
        self._model = model
        self._arguments = arguments
        self._patience = patience
        self._each = each
        self._streaming = True if each is not None else streaming
        self._on_retry = on_retry
        self._quota = quota
        self._policy = self._patient(options.retry or calls.state.settings.retry)
        self._timeouts = _unpooled(options.timeouts or calls.state.settings.timeouts)
        self._found: dict[str, tuple[float, Destination]] = {}  # by service, with the time
        self._options = msgspec.structs.replace(options, retry=self._policy, timeouts=self._timeouts)

    @property
    def state(self) -> ClientState:
        """The state of the client."""
        return self._calls.state

    @property
    def slowed(self) -> str | None:
        """Why the quota grants less than it has, in words, or None."""
        is_slowed = isinstance(self._quota, BaseQuota) and self._quota.stats().slowed
        return "throttled although the quota had room, so its rate is halved" if is_slowed else None

    def check_price(self, ask: Ask | None = None, index: int = 0) -> None:
        """Raise `ConfigurationError`, or `RowInvalid` for a row with a model of its own, if a cost will be unknown."""
        model = self._model if ask is None or ask.model is None else ask.model
        settings = self.state.settings
        if price_for(describe(model, settings.models.get(model)), settings.prices or {}) is None:
            problem = f"{model!r} has no price, so Stop(cost=...) cannot be kept"
            kind, name = (ConfigurationError, "prices") if ask is None else (RowInvalid, f"prompts[{index}]")
            raise kind(name, problem, "pass it to Client(prices=...)")

    def restore(self, ask: Ask, response: Response) -> Response:
        """Return a response that was recorded with its parsed output as the type that the row asked for."""
        arguments = {**self._arguments.options, **ask.options}
        schema = arguments.get("output_schema")
        if response.parsed is None or not isinstance(schema, type):
            return response
        model = ask.model or self._model
        output = OutputSchema(schema, describe(model, self.state.settings.models.get(model)))
        return msgspec.structs.replace(response, parsed=output.convert(response.parsed))

    def plan(self, ask: Ask, name: str, policy: RetryPolicy | None = None) -> Attempts:
        """Return the call of a row. Raises `RowInvalid`, `UnsupportedOperation`."""
        failure: BedrockStreamError
        try:
            attempts = self._plan(ask, policy)
        except UnsupportedOperation as error:
            failure = without_frames(error)
        except ConfigurationError as error:
            failure = RowInvalid(f"{name}.{error.argument}", error.problem, error.remedy)
        else:
            attempts.use_quota(self._quota, ask.tokens)
            return attempts
        raise failure

    async def ask(self, ask: Ask, name: str, asking: Asking) -> Answer:
        """Return the answer to a row. Raises `BedrockStreamError`, what `each` raises, and what `on_retry` raises."""
        policy, began = None, asyncio.get_running_loop().time()
        while True:
            attempts = self.plan(ask, name, policy)
            if asking.bound is None:
                asking.bound = bound_of(attempts, ask.tokens, self.state.settings.prices or {})
            asking.begin(attempts)
            try:
                return await self._read(ask, attempts)
            except BedrockStreamError as error:
                waited = asyncio.get_running_loop().time() - began
                policy = self._policy_after(error, attempts, waited)
                if policy is None:
                    raise
            wait = backoff(policy.base, policy.cap, asking.again)
            asking.begin_again()
            await asyncio.sleep(random.random() * wait)  # noqa: S311 - jitter

    def _policy_after(self, error: BedrockStreamError, attempts: Attempts, waited: float) -> RetryPolicy | None:
        """Return the policy of another call after one that failed, or None if the failure is the row's."""
        is_throttled = isinstance(error, THROTTLES)
        if not attempts.answered or self._each is not None or not (error.retryable or is_throttled):
            return None
        policy = attempts.call.destination.retry
        left = policy.max_attempts - sum(not isinstance(one.error, THROTTLES) for one in attempts.history())
        if left < 1 or (is_throttled and waited >= self._patience):
            return None
        return msgspec.structs.replace(policy, max_attempts=left)

    def _plan(self, ask: Ask, policy: RetryPolicy | None) -> Attempts:
        model = ask.model or self._model
        if ask.body is None:
            if policy is None and not ask.options:
                options, find = self._options, self._find
            else:
                options, find = self._calls.read(self._own(ask, policy)), None
            streaming = self._streams(options)
            return self._calls.prompt(model, ask.prompt, options, streaming=streaming, find=find)
        kept = {*_OF_A_BODY, *ask.options, "retry", "timeouts"}
        arguments = {name: value for name, value in self._own(ask, policy).items() if name in kept}
        described = describe(model, self.state.settings.models.get(model))
        wanted = None if self._each is not None else self._streaming
        streaming = is_streamed(described, ask.body, converse=ask.converse, wanted=wanted)
        return self._calls.body(model, ask.body, arguments, streaming=streaming, converse=ask.converse)

    def _find(self, service: Service) -> Destination:
        """Return where rows without options of their own are sent. The environment is looked at once a second."""
        now = monotonic()
        found = self._found.get(service.name)
        if found is None or now - found[0] >= _LOOK_SECONDS:
            found = self._found[service.name] = now, self.state.destination(self._options, service=service)
        return found[1]

    def _own(self, ask: Ask, policy: RetryPolicy | None) -> dict[str, Any]:
        """Return the arguments of a row's call."""
        arguments = {**self._arguments.options, **ask.options}
        arguments = {**(arguments.pop("provider_options", None) or {}), **arguments}
        own, limits = ask.options.get("retry"), ask.options.get("timeouts")
        if own is None or isinstance(own, RetryPolicy):  # else reading the options says what is wrong
            arguments["retry"] = policy or (self._policy if own is None else self._patient(own))
        if limits is None or isinstance(limits, Timeouts):
            arguments["timeouts"] = self._timeouts if limits is None else _unpooled(limits)
        return arguments

    def _streams(self, options: Options) -> bool:
        if self._streaming is not None:
            return self._streaming
        return options.max_tokens is None or options.max_tokens > WHOLE_TOKENS

    def _patient(self, policy: RetryPolicy) -> RetryPolicy:
        """Return a policy whose retries draw on no budget: a batch has time, and is not to lose rows for it."""

        def on_retry(attempt: Attempt) -> None:
            if policy.on_retry is not None:
                policy.on_retry(attempt)
            self._on_retry(attempt)

        return msgspec.structs.replace(policy, patience=self._patience, budget=False, total=None, on_retry=on_retry)

    async def _read(self, ask: Ask, attempts: Attempts) -> Answer:
        if ask.body is not None:
            return await self._read_body(attempts)
        value = None
        if not attempts.call.streaming:
            async with DocumentStream(attempts, response_parser(attempts)) as document:
                response: Response | None = await attempts.with_list_cost(await anext(document))
        else:
            async with Stream(attempts) as stream:
                if self._each is None:
                    response = await stream.response()
                else:
                    value = await self._each(stream)
                    response = _whole(stream, attempts)
                    if response is not None:
                        response = await attempts.with_list_cost(response)
        usage, cost = (None, None) if response is None else (response.usage, response.cost)
        return _answer(attempts, response=response, value=value, usage=usage, cost=cost)

    async def _read_body(self, attempts: Attempts) -> Answer:
        response, usage = await receive_body(attempts)
        price = price_for(attempts.call.model, self.state.settings.prices or {})
        cost = None if price is None else cost_of(usage, price)
        return _answer(attempts, response=response, usage=usage, cost=cost)


def _unpooled(timeouts: Timeouts) -> Timeouts:
    """Return time limits with which a row waits for a connection slot as long as it takes."""
    return msgspec.structs.replace(timeouts, pool=None)


def _answer(attempts: Attempts, **parts: Any) -> Answer:
    return Answer(request_id=attempts.request_id, **parts)


def _whole(stream: BaseStream[Any], attempts: Attempts) -> Response | None:
    """Return the response that `each` read, if it read it to the end of the message."""
    partial = stream.partial
    return None if partial is None or partial.stop_reason is None else attempts.finish(partial)
