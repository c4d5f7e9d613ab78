"""The calls of one round: hooks decide about them, the offered tools run them, and each call gets one result.

Only offered tools are run, with arguments checked against the function's signature. A tool that fails, in whatever way,
becomes an error result; only the cancellation of the run itself ends it. Hooks are the application's own code: they are
called one after another, and what they raise ends the run.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import anyio
import msgspec
from anyio import to_thread

from ..errors import ConfigurationError
from ..types.messages import ToolCall, ToolResult
from ..types.tools import Tool, read_foreign, signature_model
from .tool_results import check_encodable, describe_error, failed_result, message_of, result_of

__all__ = ("AfterCall", "BeforeCall", "Decision", "PlannedCall", "Toolbox")

Decision: TypeAlias = ToolCall | ToolResult | str | bool | None
"""What `before_call` returns: None or True runs the call as it is, a `ToolCall` runs it with another input. False, a
str, or a `ToolResult` refuse it: nothing is run, and a standard text, the str as an error, or the result is sent."""

BeforeCall: TypeAlias = Callable[[ToolCall], Decision | Awaitable[Decision]]
"""A function or an async function; see `Client.run_tools`."""

AfterCall: TypeAlias = Callable[[ToolCall, ToolResult], ToolResult | Awaitable[ToolResult | None] | None]
"""A function or an async function: it returns another result to send instead, or None. See `Client.run_tools`."""

_REFUSED = "The call was not approved, so the tool was not run."
_STOPPED = "The run was stopped while this tool ran. It may have had an effect."


class ReadyCall(NamedTuple):
    """A call that will be run, with the input that `before_call` chose."""

    call: ToolCall
    function: Callable[..., Any]
    arguments: Mapping[str, Any]


PlannedCall: TypeAlias = ReadyCall | ToolResult
"""A call that was decided about: it will be run, or it has its result already."""


class Toolbox:
    """The tools that a run may use, and its hooks."""

    __slots__ = ("_after", "_before", "_tools")

    def __init__(self, tools: Mapping[str, Tool], before: BeforeCall | None, after: AfterCall | None) -> None:
        for name, hook in (("before_call", before), ("after_call", after)):
            if hook is not None and not callable(hook):
                raise ConfigurationError(name, f"expected a function, got {type(hook).__name__}")
        self._tools, self._before, self._after = tools, before, after

    async def plan(self, calls: Sequence[ToolCall]) -> list[PlannedCall]:
        """Decide about each call, one after another in their order. Nothing is run before all are decided.

        A call that cannot be run is not offered to the hook. Raises what the hook raises, and `ConfigurationError` for
        a value that it must not return.
        """
        planned = []
        for call in calls:
            plan = self._check(call)
            if isinstance(plan, ReadyCall) and self._before is not None:
                plan = self._decided(plan, await _ask("before_call", self._before, call))
            planned.append(plan)
        return planned

    async def run(self, calls: Sequence[ToolCall], planned: Sequence[PlannedCall], results: list[ToolResult]) -> None:
        """Run the calls concurrently, and put the result of each into `results`, in the order of the calls.

        After a cancellation, `results` has those of the calls that had ended before it.
        """
        results[:] = [plan if isinstance(plan, ToolResult) else failed_result(plan.call, _STOPPED) for plan in planned]
        final = results if self._after is None else list(results)
        await _run_all(planned, final)
        if self._after is not None:
            for index, (call, plan) in enumerate(zip(calls, planned, strict=True)):
                call = plan.call if isinstance(plan, ReadyCall) else call
                seen = await _ask("after_call", self._after, call, final[index])
                results[index] = final[index] if seen is None else _checked("after_call", call, seen)

    def _check(self, call: ToolCall) -> PlannedCall:
        """Return a call with the arguments of its function, or the result that says why it cannot be run."""
        tool = self._tools.get(call.name)
        if tool is None or tool.function is None:
            return failed_result(call, f"Unknown tool {call.name!r}.")
        try:
            return ReadyCall(call, tool.function, check_arguments(tool, call.input))
        except Exception as error:  # also what the type of a parameter raises
            return failed_result(call, f"The arguments are invalid: {message_of(error)}")
        except BaseException as error:
            return _failed(call, error)

    def _decided(self, plan: ReadyCall, decision: Any) -> PlannedCall:
        call = plan.call
        match decision:
            case None | True:
                return plan
            case False:
                return failed_result(call, _REFUSED)
            case str():
                return _checked("before_call", call, failed_result(call, decision if decision.strip() else _REFUSED))
            case ToolResult():
                return _checked("before_call", call, decision)
            case ToolCall() if (decision.id, decision.name) == (call.id, call.name):
                return self._check(decision)
            case ToolCall():
                problem = f"expected the call {call.id!r} of {call.name!r}, got {decision.id!r} of {decision.name!r}"
                raise ConfigurationError("before_call", problem, "change its input alone")
        problem = f"expected None, a bool, a str, a ToolCall or a ToolResult, got {type(decision).__name__}"
        raise ConfigurationError("before_call", problem)


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


async def _ask(name: str, hook: Callable[..., Any], *arguments: Any) -> Any:
    """Return the answer of a hook. Raises what it raises."""
    try:
        return await _call(hook, *arguments)
    except StopAsyncIteration as error:  # it would end the caller's loop as if the run were complete
        raise RuntimeError(f"{name} raised StopAsyncIteration") from error


def _checked(name: str, call: ToolCall, result: Any) -> ToolResult:
    """Return a hook's result with the tool's name. Raises `ConfigurationError` for one that cannot be sent."""
    if not isinstance(result, ToolResult):
        raise ConfigurationError(name, f"expected None or a ToolResult, got {type(result).__name__}")
    if result.id != call.id:
        raise ConfigurationError(name, f"expected a result of the call {call.id!r}, got one of {result.id!r}")
    try:
        check_encodable(result)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(name, f"returned a result that cannot be sent: {message_of(error)}") from None
    return result if result.name is not None else msgspec.structs.replace(result, name=call.name)


async def _run_all(planned: Sequence[PlannedCall], results: list[ToolResult]) -> None:
    # Not a task group: it would end all calls where one of their tasks is cancelled.
    ready = {index: plan for index, plan in enumerate(planned) if isinstance(plan, ReadyCall)}
    tasks = {index: asyncio.create_task(_survive(plan)) for index, plan in ready.items()}
    try:
        if tasks:
            await asyncio.wait(tasks.values())
    finally:
        # Only a cancellation of the run leaves some unfinished.
        running = [task for task in tasks.values() if task.cancel()]
        if running:
            with anyio.CancelScope(shield=True):
                await asyncio.wait(running)
        for index, task in tasks.items():
            if task not in running:
                results[index] = _result(task, ready[index].call)


async def _survive(plan: ReadyCall) -> ToolResult:
    """Run a call and return its result; an error result for whatever it raises, which ends neither loop nor run."""
    try:
        return result_of(plan.call, await _call(plan.function, **plan.arguments))
    except BaseException as error:  # also CancelledError: if the run is cancelled, the result is not used
        return _failed(plan.call, error)


def _failed(call: ToolCall, error: BaseException) -> ToolResult:
    task = asyncio.current_task()
    if isinstance(error, KeyboardInterrupt) and task is not None and task.cancelling():
        raise error  # Ctrl-C cancels the run; this is the second one
    return failed_result(call, describe_error(error))


def _result(task: asyncio.Task[ToolResult], call: ToolCall) -> ToolResult:
    # A task that is cancelled before its first step runs none of its code.
    return failed_result(call, "CancelledError") if task.cancelled() else task.result()


async def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Await an async function, or run a plain function in a thread, where it may block."""
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    value = await to_thread.run_sync(lambda: function(*args, **kwargs))
    return await value if inspect.isawaitable(value) else value
