"""The loop of a model and its tools: stream, run what it calls, feed back, until it stops calling.

Only offered tools are run, with arguments checked against the function's own signature; a tool that fails becomes an
error result, of which the model sees the kind and the message and never a traceback. The number of rounds is bounded.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

import anyio
import msgspec
from anyio import to_thread

from ..errors import BedrockStreamError, ConfigurationError, StreamInterrupted, ToolRoundsExceeded
from ..types.events import Event
from ..types.messages import Json, Message, ResultBlock, ToolCall, ToolResult
from ..types.response import Response
from ..types.tools import Tool, read_foreign, signature_model
from .stream import Stream

__all__ = ("ToolRun",)

ToolRunEvent: TypeAlias = Event | ToolResult


class ToolRun:
    """One conversation with tools; made by `Client.run_tools()`.

    `async for` yields the events of every round, and between two rounds each `ToolResult` that goes back. `response()`
    runs to the end and returns the last answer. Raises what `Stream` raises, and `ToolRoundsExceeded`. What a function
    returns goes back as text, as a JSON object, or as the blocks it is made of; nothing at all as "Done.".
    """

    __slots__ = ("_failure", "_finished", "_made", "_pending", "_rounds", "_start", "_stream", "_tools", "messages")

    def __init__(
        self,
        start: Callable[[tuple[Message, ...]], Stream],
        messages: tuple[Message, ...],
        tools: tuple[Tool | dict[str, Any], ...],
        rounds: int,
    ) -> None:
        self._start = start
        self._tools = {tool.name: tool for tool in tools if isinstance(tool, Tool)}
        bare = [tool.name for tool in self._tools.values() if tool.function is None]
        bare += [tool["toolSpec"]["name"] for tool in tools if isinstance(tool, dict) and "toolSpec" in tool]
        if bare:
            raise ConfigurationError("tools", f"{bare[0]!r} has no function to run", "give Tool(function=...)")
        self._rounds = rounds
        self._made = 0
        self._finished = False
        self._failure: BedrockStreamError | None = None
        self._pending: list[ToolResult] = []
        self.messages: tuple[Message, ...] = messages
        """The conversation so far: the history for whatever comes next, so no call in it is without its result."""
        self._stream = start(messages)

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

    async def response(self) -> Response:
        """Run to the end and return the last answer."""
        async for _ in self:
            pass
        return await self._stream.response()

    async def aclose(self) -> None:
        """Close the round that is being read; no other is begun. Closing twice is fine."""
        if not self._finished and not isinstance(self._failure, ToolRoundsExceeded):
            self._failure = StreamInterrupted("the run was closed before its end")
        self._pending.clear()
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _next_round(self) -> None:
        """Run what the finished round calls and start the next; `StopAsyncIteration` where it calls nothing."""
        response = await self._stream.response()
        calls = response.tool_calls
        if not calls:
            self.messages = (*self.messages, response.message)
            self._finished = True
            raise StopAsyncIteration
        self._made += 1
        if self._made >= self._rounds:
            self._failure = self._exceeded(response)
            raise self._failure
        # Functions have effects: what is cancelled or closed in here never runs a second time.
        left = self._failure = StreamInterrupted("the run was left while its tools ran")
        results = await self._run_all(calls)
        self.messages = (*self.messages, response.message, Message("user", results))
        if self._failure is not left:  # closed by another task meanwhile
            raise self._failure
        self._stream = self._start(self.messages)
        self._pending = results
        self._failure = None

    def _exceeded(self, response: Response) -> ToolRoundsExceeded:
        error = ToolRoundsExceeded(self._rounds)
        error.partial, error.request_id, error.model = response, response.request_id, response.model
        error.events_received = self._stream.delivered
        return error

    async def _run_all(self, calls: tuple[ToolCall, ...]) -> list[ToolResult]:
        """Every call's result, in the calls' order; the calls run side by side."""
        results: dict[int, ToolResult] = {}

        async def run(index: int, call: ToolCall) -> None:
            results[index] = await self._run(call)

        async with anyio.create_task_group() as group:
            for index, call in enumerate(calls):
                group.start_soon(run, index, call)
        return [results[index] for index in range(len(calls))]

    async def _run(self, call: ToolCall) -> ToolResult:
        tool = self._tools.get(call.name)
        if tool is None or tool.function is None:
            return ToolResult(call.id, f"There is no tool {call.name!r}.", "error")
        try:
            arguments = checked(tool, call.input)
        except (msgspec.ValidationError, NotImplementedError, TypeError) as error:  # or annotated as JSON cannot be
            return ToolResult(call.id, f"The arguments do not fit the tool: {error}", "error")
        try:
            return ToolResult(call.id, _content(await _call(tool.function, arguments)), "success")
        except Exception as error:  # whatever a caller's function raises is the model's to hear
            return ToolResult(call.id, f"{type(error).__name__}: {error}", "error")


def checked(tool: Tool, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as the function's annotations want them. Raises `msgspec.ValidationError`."""
    try:
        model = signature_model(tool.function) if tool.function is not None else None
    except ConfigurationError:  # a function of **kwargs, whose schema was written by hand
        model = None
    if model is None:
        missing = [name for name in tool.input_schema.get("required", ()) if name not in given]
        if missing:
            raise msgspec.ValidationError(f"missing {', '.join(missing)}")
        return dict(given)
    unknown = set(given) - set(model.__struct_fields__)
    if unknown:
        raise msgspec.ValidationError(f"unknown {', '.join(sorted(unknown))}")
    value = msgspec.convert(dict(given), model, dec_hook=read_foreign)
    return {name: getattr(value, name) for name in model.__struct_fields__}


async def _call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Await an async function; a plain one runs in a thread, so that it may block."""
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    value = await to_thread.run_sync(lambda: function(**arguments))
    return await value if inspect.isawaitable(value) else value


def _content(value: Any) -> Any:
    """What a function returned, as a result's content. Raises `TypeError` for what cannot become JSON."""
    if value is None:
        return "Done."
    if isinstance(value, str) and value.strip():  # the service refuses a blank text
        return value
    items = value if isinstance(value, list | tuple) else (value,)
    if any(isinstance(item, ResultBlock) for item in items):
        return value
    plain = msgspec.to_builtins(value, enc_hook=_plain)
    # Converse takes objects only as JSON; one with a single key might be mistaken for a block.
    return Json(plain) if isinstance(plain, dict) else msgspec.json.encode(plain).decode()


def _plain(value: Any) -> Any:
    """A pydantic model among what a function returned."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"a {type(value).__name__} cannot become JSON")
