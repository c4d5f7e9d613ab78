"""The tool loop: stream a response, run the tools that it calls, send the results back, until it calls none.

Only offered tools are run, with arguments checked against the function's signature. A tool that fails, in whatever way,
becomes an error result with the type and the message of the exception, never with a traceback; only the cancellation of
the run itself ends it. The number of rounds is bounded.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

import anyio
import msgspec
from anyio import to_thread

from ..errors import BedrockStreamError, ConfigurationError, StreamInterrupted, ToolRoundsExceeded
from ..types.events import Event
from ..types.messages import Json, Message, Raw, ResultBlock, Text, ToolCall, ToolResult
from ..types.response import Response
from ..types.tools import Tool, read_foreign, signature_model
from .stream import Stream

__all__ = ("ToolRun",)

ToolRunEvent: TypeAlias = Event | ToolResult


class ToolRun:
    """A conversation with tools, created by `Client.run_tools()`.

    `async for` yields the events of every round, and between two rounds each `ToolResult` that is sent back.
    `response()` runs to the end and returns the last response. Raises what `Stream` raises, and `ToolRoundsExceeded`.
    The value that a function returns is sent as text, as a JSON object, or as the content blocks that it consists of;
    None is sent as "Done.".
    """

    __slots__ = (
        "_failure",
        "_finished",
        "_max_rounds",
        "_pending",
        "_round_count",
        "_start",
        "_stream",
        "_tools",
        "messages",
    )

    def __init__(
        self,
        start: Callable[[tuple[Message, ...]], Stream],
        messages: tuple[Message, ...],
        tools: tuple[Tool | dict[str, Any], ...],
        rounds: int,
    ) -> None:
        self._start = start
        self._tools = {tool.name: tool for tool in tools if isinstance(tool, Tool)}
        # Other dicts are cache points, or tools that the service runs itself.
        not_runnable = [tool.name for tool in self._tools.values() if tool.function is None]
        not_runnable += [tool["toolSpec"]["name"] for tool in tools if isinstance(tool, dict) and "toolSpec" in tool]
        if not_runnable:
            problem = f"{not_runnable[0]!r} has no function to run"
            raise ConfigurationError("tools", problem, "pass Tool(function=...)")
        self._max_rounds = rounds
        self._round_count = 0
        self._finished = False
        self._failure: BedrockStreamError | None = None
        self._pending: list[ToolResult] = []
        self.messages: tuple[Message, ...] = messages
        """The conversation so far, valid as the history of the next turn: every call in it has its result."""
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
        """Run to the end and return the last response."""
        async for _ in self:
            pass
        return await self._stream.response()

    async def aclose(self) -> None:
        """Close the stream of the current round and start no other. Closing twice has no effect."""
        if not self._finished and not isinstance(self._failure, ToolRoundsExceeded):
            self._failure = StreamInterrupted("the run was closed before its end", closed=True)
        self._pending.clear()
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _next_round(self) -> None:
        """Run the calls of the finished round and start the next. Raises `StopAsyncIteration` without calls."""
        response = await self._stream.response()
        calls = response.tool_calls
        if not calls:
            self.messages = (*self.messages, response.message)
            self._finished = True
            raise StopAsyncIteration
        self._round_count += 1
        if self._round_count >= self._max_rounds:
            # The response is not added to the messages: its calls have no results.
            self._failure = self._exceeded(response)
            raise self._failure
        # Functions may have side effects: after a cancellation or a close in here, none of them is run again.
        interrupted = self._failure = StreamInterrupted("the run was interrupted while its tools ran", closed=True)
        results = await self._run_all(calls)
        # All results of a turn belong in the next user message.
        self.messages = (*self.messages, response.message, Message("user", results))
        if self._failure is not interrupted:  # closed by another task while the tools ran
            raise self._failure
        self._stream = self._start(self.messages)
        self._pending = results
        self._failure = None

    def _exceeded(self, response: Response) -> ToolRoundsExceeded:
        error = ToolRoundsExceeded(self._max_rounds)
        error.partial, error.request_id, error.model = response, response.request_id, response.model
        error.events_received = self._stream.delivered
        return error

    async def _run_all(self, calls: tuple[ToolCall, ...]) -> list[ToolResult]:
        """Run the calls concurrently and return their results in the order of the calls."""
        # Not a task group: it would end all calls where one of their tasks is cancelled.
        tasks = [asyncio.create_task(self._survive(call)) for call in calls]
        try:
            await asyncio.wait(tasks)
        finally:
            # Only a cancellation of the run leaves some unfinished.
            running = [task for task in tasks if task.cancel()]
            if running:
                with anyio.CancelScope(shield=True):
                    await asyncio.wait(running)
        return [_result(task, call) for task, call in zip(tasks, calls, strict=True)]

    async def _survive(self, call: ToolCall) -> ToolResult:
        """Run a call and return its result; an error result for whatever it raises, which ends neither loop nor run."""
        try:
            return await self._run(call)
        except BaseException as error:  # also CancelledError: if the run is cancelled, the result is not used
            task = asyncio.current_task()
            if isinstance(error, KeyboardInterrupt) and task is not None and task.cancelling():
                raise  # Ctrl-C cancels the run; this is the second one
            return ToolResult(call.id, _describe(error), "error")

    async def _run(self, call: ToolCall) -> ToolResult:
        tool = self._tools.get(call.name)
        if tool is None or tool.function is None:
            return ToolResult(call.id, f"Unknown tool {call.name!r}.", "error")
        try:
            arguments = check_arguments(tool, call.input)
        except Exception as error:  # also what the type of a parameter raises
            return ToolResult(call.id, f"The arguments are invalid: {_message(error)}", "error")
        result = ToolResult(call.id, _content(await _call(tool.function, arguments)), "success")
        _check_encodable(result)
        return result


def _result(task: asyncio.Task[ToolResult], call: ToolCall) -> ToolResult:
    # A task that is cancelled before its first step runs none of its code.
    return ToolResult(call.id, "CancelledError", "error") if task.cancelled() else task.result()


def _describe(error: BaseException) -> str:
    """Return the type and the message of an exception for the model; of each exception in a group."""
    described = []
    for leaf in _leaves(error):
        text = _message(leaf)
        described.append(f"{type(leaf).__name__}: {text}" if text else type(leaf).__name__)
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return f"The tool tried to end the program, which is not allowed ({described[0]})."
    return "; ".join(described)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    waiting = [error]
    while waiting:
        current = waiting.pop()
        if isinstance(current, BaseExceptionGroup):
            waiting += reversed(current.exceptions)
        else:
            yield current


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # a __str__ that fails
        return ""
    # Paths in error messages may contain surrogates, which cannot be sent.
    return text.encode("utf-8", "replace").decode()


# How much deeper a result is nested in a request than on its own, and what the stack of the caller may need.
_NESTING = 100


def _check_encodable(result: ToolResult) -> None:
    """Raise `ValueError` or `RecursionError` for a result that would make the next request fail."""
    for block in result.content:
        match block:
            case Text(text):
                text.encode()
            case Json(value) | Raw(value):
                for _ in range(_NESTING):
                    value = [value]
                msgspec.json.encode(value)


def check_arguments(tool: Tool, values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a call's input to the types of the function's annotations. Raises `msgspec.ValidationError`."""
    try:
        model = signature_model(tool.function) if tool.function is not None else None
    except ConfigurationError:  # for example **kwargs with a schema written by hand
        model = None
    if model is None:
        missing = [name for name in tool.input_schema.get("required", ()) if name not in values]
        if missing:
            raise msgspec.ValidationError(f"missing {', '.join(missing)}")
        return dict(values)
    unknown = set(values) - set(model.__struct_fields__)
    if unknown:
        raise msgspec.ValidationError(f"unknown {', '.join(sorted(unknown))}")
    value = msgspec.convert(dict(values), model, dec_hook=read_foreign)
    return {name: getattr(value, name) for name in model.__struct_fields__}


async def _call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Await an async function, or run a plain function in a thread, where it may block."""
    if inspect.iscoroutinefunction(function):
        return await function(**arguments)
    value = await to_thread.run_sync(lambda: function(**arguments))
    return await value if inspect.isawaitable(value) else value


def _content(value: Any) -> Any:
    """Convert a function's return value to the content of a result. Raises `TypeError` if it is not JSON."""
    if value is None:
        return "Done."
    if isinstance(value, str) and value.strip():  # the service rejects blank text
        return value
    items = value if isinstance(value, list | tuple) else (value,)
    if any(isinstance(item, ResultBlock) for item in items):
        return value
    plain = msgspec.to_builtins(value, enc_hook=_plain)
    # A json block of Converse must be an object. It is wrapped, since a dict with one key looks like a content block.
    return Json(plain) if isinstance(plain, dict) else msgspec.json.encode(plain).decode()


def _plain(value: Any) -> Any:
    """Convert a pydantic model within a return value, for msgspec."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"cannot convert {type(value).__name__} to JSON")
