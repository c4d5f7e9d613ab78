"""The tool loop: stream a response, run the tools that it calls, send the results back, until it calls none.

The history is valid for the next turn at any time: every call in it has its result. The number of rounds is bounded,
and no call is run twice, whatever ends a round. `tool_calls` has the rules of the calls themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeAlias

from ..errors import BedrockStreamError, ConfigurationError, StreamInterrupted, ToolRoundsExceeded
from ..observing import Attempt
from ..types.call_options import CallOptions
from ..types.checks import is_integer
from ..types.events import Event, StopReason, Usage
from ..types.messages import Message, Prompt, ToolResult, read_prompt
from ..types.options import Options
from ..types.response import Parsed, Response
from ..types.stopped import NOT_RUN, turns_of
from ..types.tools import Tool
from .async_only import AsyncFor, AsyncWith
from .stream import Stream, TextStream
from .tool_calls import AfterCall, BeforeCall, Toolbox
from .tool_results import failed_result

__all__ = ("ToolRun", "ToolRunEvent", "begin_run")

ToolRunEvent: TypeAlias = Event | ToolResult


class ToolRun(AsyncFor, AsyncWith, Generic[Parsed]):
    """A conversation with tools, created by `Client.run_tools()`.

    `async for` yields the events of every round, and between two rounds each `ToolResult` that is sent back.
    `response()` runs to the end and returns the last response. Raises what `Stream` raises, `ToolRoundsExceeded`, and
    what a hook raises. The value that a function returns is sent as text, as a JSON object, or as the content blocks
    that it consists of; None is sent as "Done.".
    """

    __slots__ = (
        "_attempts",
        "_costs",
        "_failure",
        "_finished",
        "_in_messages",
        "_keep_partial",
        "_max_rounds",
        "_messages",
        "_pending",
        "_results",
        "_running",
        "_start",
        "_stream",
        "_toolbox",
        "_usage",
        "left_out_text",
        "left_out_tools",
    )

    def __init__(
        self,
        start: Callable[[tuple[Message, ...]], Stream[Parsed]],
        messages: tuple[Message, ...],
        tools: tuple[Tool | dict[str, Any], ...],
        rounds: int,
        *,
        before_call: BeforeCall | None = None,
        after_call: AfterCall | None = None,
        keep_partial: bool = False,
    ) -> None:
        self._start = start
        self._toolbox = Toolbox(_runnable(tools), before_call, after_call)
        self._max_rounds = rounds
        self._keep_partial = keep_partial
        self._finished = False
        self._running = False
        self._failure: BedrockStreamError | None = None
        self._pending: list[ToolResult] = []
        self._results: list[ToolResult] = []  # of the round under way, while its tools run
        self._usage: Usage | None = None
        self._costs: list[float | None] = []  # of the finished rounds
        self._attempts: tuple[Attempt, ...] = ()
        self.left_out_text: str = ""  # see `stream.TextStream`
        self.left_out_tools: str = ""
        self._messages = messages
        self._in_messages = False  # whether the response of `_stream` and its results are
        self._stream = start(messages)

    # ------------------------------------------------------------------------------------------------------ attributes

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation so far, valid as the history of the next turn: every call in it has its result.

        With `keep_partial`, a run that ended early also has the answer so far, and an error result for each of its
        calls that has no other.
        """
        partial, ended = self._stream.partial, self._failure or self._stream.failure
        if not self._keep_partial or self._running or ended is None or self._in_messages or partial is None:
            return self._messages
        whole = partial.stop_reason is not None
        return (*self._messages, *turns_of(partial.message, whole=whole, results=self._results))

    @property
    def partial(self) -> Response[Any] | None:
        """The response of the round under way, as far as it was received; at the end of the run, the last response.

        After a failure or a close, it is the part that was received before.
        """
        return self._stream.partial

    @property
    def text_stream(self) -> TextStream:
        """The text of all rounds, as str chunks. See `Stream.text_stream`."""
        return TextStream(self)

    @property
    def usage(self) -> Usage | None:
        """The sum of the token counts that the rounds reported; `None` before the first report.

        A count that one of these reports lacks has the value `None`. A round that broke off before its report is not in
        the sum, although the service bills it.
        """
        return _sum(self._usage, self._stream.partial)

    @property
    def cost(self) -> float | None:
        """The cost of all finished rounds, by the client's price table; None if that of one is unknown."""
        known = [cost for cost in self._costs if cost is not None]
        return sum(known) if known and len(known) == len(self._costs) else None

    @property
    def stop_reason(self) -> StopReason | None:
        """The stop reason of the round under way, at the end of the last; None while its message is not complete."""
        partial = self._stream.partial
        return None if partial is None else partial.stop_reason

    @property
    def model(self) -> str:
        """The model id or ARN as it was sent in the round under way."""
        return self._stream.model

    @property
    def request_id(self) -> str | None:
        """The service's id of the request of the round under way; None before the response's headers are here."""
        return self._stream.request_id

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every attempt of every round so far, failed ones with their error."""
        return (*self._attempts, *self._stream.attempts)

    def __repr__(self) -> str:
        if self._finished:
            state = "finished"
        elif self._running:
            state = "running tools"
        else:
            state = "closed" if self._failure or self._stream.failure else "open"
        return f"<ToolRun {self.model}, round {len(self._costs) + (not self._finished)}, {state}>"

    # --------------------------------------------------------------------------------------------------------- reading

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ToolRunEvent:
        if self._failure is not None:
            raise self._failure
        while True:
            if self._pending:
                return self._pending.pop(0)
            try:
                return await anext(self._stream)
            except StopAsyncIteration:
                if self._finished:
                    raise
            await self._next_round()

    async def response(self) -> Response[Parsed]:
        """Run to the end and return the last response."""
        async for _ in self:
            pass
        return await self._stream.response()

    # --------------------------------------------------------------------------------------------------------- closing

    async def aclose(self) -> None:
        """Close the stream of the current round and start no other. Closing twice has no effect."""
        if not self._finished and not isinstance(self._failure, ToolRoundsExceeded):
            self._failure = StreamInterrupted("the run was closed before its end", closed=True)
        self._pending.clear()
        await self._stream.aclose()

    # ------------------------------------------------------------------------------------------------------- internals

    async def _next_round(self) -> None:
        """Run the calls of the finished round and start the next. Raises `StopAsyncIteration` without calls."""
        response = await self._stream.response()
        self._costs.append(response.cost)
        if not response.tool_calls:
            self._messages = (*self._messages, *response.to_history())
            self._finished = self._in_messages = True
            raise StopAsyncIteration
        if len(self._costs) >= self._max_rounds:
            # The response is not added to the messages: its calls have no results.
            self._failure = self._exceeded(response)
            raise self._failure
        results = await self._run_calls(response)
        following = self._start(self._messages)
        self._usage, self._attempts = _sum(self._usage, response), self.attempts
        self._stream, self._in_messages = following, False
        self._pending = results
        self._failure = None

    async def _run_calls(self, response: Response) -> list[ToolResult]:
        """Run the calls of a response, and add it and their results to the messages. Raises what ended the run."""
        calls = response.tool_calls
        results = self._results = [failed_result(call, NOT_RUN) for call in calls]
        # Functions may have side effects: after a cancellation or a close in here, none of them is run again.
        interrupted = self._failure = StreamInterrupted("the run was interrupted while its tools ran")
        self._running = True
        try:
            planned = await self._toolbox.plan(calls)
            if self._failure is not interrupted:  # closed by a hook or by another task
                raise self._failure
            await self._toolbox.run(calls, planned, results)
        finally:
            self._running = False
        # All results of a turn belong in the next user message.
        self._messages = (*self._messages, response.message, Message("user", results))
        self._results, self._in_messages = [], True
        if self._failure is not interrupted:
            raise self._failure
        return results

    def _exceeded(self, response: Response) -> ToolRoundsExceeded:
        error = ToolRoundsExceeded(self._max_rounds)
        error.partial, error.request_id, error.model = response, response.request_id, response.model
        error.events_received = self._stream.delivered
        return error


def begin_run(
    send: Callable[[tuple[Message, ...], CallOptions], Stream[Parsed]],
    prompt: Prompt,
    options: Options,
    max_rounds: int,
    *,
    before_call: BeforeCall | None,
    after_call: AfterCall | None,
    keep_partial: bool,
) -> ToolRun[Parsed]:
    """Return a run, whose rounds `send` starts with messages and changed options. Raises `ConfigurationError`."""
    if not is_integer(max_rounds) or max_rounds < 1:
        raise ConfigurationError("max_rounds", f"expected a positive int, got {max_rounds!r}")
    tools = options.tools
    if not tools:
        raise ConfigurationError("tools", "run_tools() needs at least one function", "use stream() instead")
    if not options.keep:
        raise ConfigurationError("keep", "is False, so no tool calls are assembled", "leave keep=False out")
    first = read_prompt(prompt)

    def start(messages: tuple[Message, ...]) -> Stream[Parsed]:
        changed: CallOptions = {"tools": tools}
        if messages is not first and options.tool_choice not in ("auto", "none"):
            changed["tool_choice"] = None
        return send(messages, changed)

    return ToolRun(
        start, first, tools, max_rounds, before_call=before_call, after_call=after_call, keep_partial=keep_partial
    )


def _runnable(tools: tuple[Tool | dict[str, Any], ...]) -> dict[str, Tool]:
    """Return the tools by their names. Raises `ConfigurationError` for one that has no function.

    Dicts are cache points, or tools that the service runs itself, except those in Converse's format for a tool.
    """
    by_name = {tool.name: tool for tool in tools if isinstance(tool, Tool)}
    not_runnable = [tool.name for tool in by_name.values() if tool.function is None]
    not_runnable += [tool["toolSpec"]["name"] for tool in tools if isinstance(tool, dict) and "toolSpec" in tool]
    if not_runnable:
        raise ConfigurationError("tools", f"{not_runnable[0]!r} has no function to run", "pass Tool(function=...)")
    return by_name


def _sum(usage: Usage | None, response: Response | None) -> Usage | None:
    latest = None if response is None else response.usage
    return latest if usage is None else usage if latest is None else usage + latest
