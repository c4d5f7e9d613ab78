"""Hooks of a tool run: who decides about a call, in which order, and what the model and the history get."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from bedrock_stream import Client, Image, Message, ToolCall, ToolResult, ToolRun, errors
from bedrock_stream.client.tool_calls import AfterCall, BeforeCall, Decision
from bedrock_stream.testing import Emulator, tool_call
from bedrock_stream.testing import text as say
from bedrock_stream.types.stopped import NOT_RUN

NOVA = "amazon.nova-lite-v1:0"


class Journal:
    """What happened, in order, and the tools that write it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, a: int, b: int = 1) -> int:
        """Add two numbers."""
        self.lines.append(f"add {a}")
        return a + b

    async def fail(self) -> None:
        """Fail."""
        self.lines.append("fail")
        raise LookupError("no luck")


@pytest.fixture
def journal() -> Journal:
    return Journal()


def run_of(
    emulator: Emulator,
    client: Client,
    journal: Journal,
    *inputs: tuple[str, Any],
    before: BeforeCall | None = None,
    after: AfterCall | None = None,
    keep_partial: bool = False,
) -> ToolRun:
    """Return a run whose first round has these calls, with ids call-0, call-1, ..."""
    emulator.script(*(tool_call(name, values, id=f"call-{index}") for index, (name, values) in enumerate(inputs)))
    emulator.script(say("Ah."))
    return client.run_tools(
        NOVA, "Hi", tools=[journal.add, journal.fail], before_call=before, after_call=after, keep_partial=keep_partial
    )


def sent(emulator: Emulator) -> list[tuple[str | None, Any]]:
    """Return status and content of each result in the last request."""
    results = [block["toolResult"] for block in emulator.requests[-1].json["messages"][-1]["content"]]
    return [(result.get("status"), *result["content"]) for result in results]


# ---------------------------------------------------------------------------------------------------------- before_call

REFUSED = {"text": "The call was not approved, so the tool was not run."}
DECISIONS: list[tuple[Decision, tuple[str | None, Any], list[str]]] = [
    (None, (None, {"text": "3"}), ["add 2"]),
    (True, (None, {"text": "3"}), ["add 2"]),
    (False, ("error", REFUSED), []),
    ("", ("error", REFUSED), []),
    ("Ask for less.", ("error", {"text": "Ask for less."}), []),
    (ToolCall("call-0", "add", {"a": 7}), (None, {"text": "8"}), ["add 7"]),
    (ToolCall("call-0", "add", {"a": "x"}), ("error", {"text": "The arguments are invalid: "}), []),
    (ToolResult("call-0", {"cached": 3}), (None, {"json": {"cached": 3}}), []),
    (ToolResult("call-0", "no", "error", name="mine"), ("error", {"text": "no"}), []),
]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("decision", "result", "lines"), DECISIONS, ids=[repr(each[0])[:40] for each in DECISIONS])
async def test_a_hook_approves_changes_or_refuses_a_call(
    emulator: Emulator,
    client: Client,
    journal: Journal,
    decision: Decision,
    result: tuple[str | None, Any],
    lines: list[str],
    asynchronous: bool,
) -> None:
    asked: list[ToolCall] = []

    def decide(call: ToolCall) -> Decision:
        asked.append(call)
        return decision

    async def decide_later(call: ToolCall) -> Decision:
        await asyncio.sleep(0)
        return decide(call)

    run = run_of(emulator, client, journal, ("add", {"a": 2}), before=decide_later if asynchronous else decide)
    items = [item async for item in run]
    call = ToolCall("call-0", "add", {"a": 2})
    assert asked == [call]
    assert journal.lines == lines
    ((status, content),) = sent(emulator)
    assert (status, content if "text" not in content else {"text": content["text"][: len(result[1]["text"])]}) == result
    # The history has the call as the model wrote it.
    assert run.messages[1] == Message.assistant(call)
    (yielded,) = (item for item in items if isinstance(item, ToolResult))
    assert (run.messages[2], yielded.id) == (Message.user(yielded), "call-0")
    assert yielded.name == ("mine" if isinstance(decision, ToolResult) and decision.name else "add")


async def test_calls_are_decided_one_after_another_before_any_is_run(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    async def decide(call: ToolCall) -> bool:
        journal.lines.append(f"asked {call.input['a']}")
        await asyncio.sleep(0)
        journal.lines.append(f"decided {call.input['a']}")
        return bool(call.input["a"] != 2)

    inputs = [("add", {"a": number}) for number in range(1, 4)]
    await run_of(emulator, client, journal, *inputs, before=decide).response()
    assert journal.lines[:6] == ["asked 1", "decided 1", "asked 2", "decided 2", "asked 3", "decided 3"]
    assert sorted(journal.lines[6:]) == ["add 1", "add 3"]
    assert [status for status, _ in sent(emulator)] == [None, "error", None]


async def test_a_call_that_cannot_be_run_is_not_offered(emulator: Emulator, client: Client, journal: Journal) -> None:
    asked: list[str] = []

    def decide(call: ToolCall) -> None:
        asked.append(call.id)

    inputs = [("unknown", {}), ("add", {"a": "x"}), ("add", {"a": 1})]
    await run_of(emulator, client, journal, *inputs, before=decide).response()
    assert asked == ["call-2"]
    assert [status for status, _ in sent(emulator)] == ["error", "error", None]


async def test_a_plain_hook_may_block(emulator: Emulator, client: Client, journal: Journal) -> None:
    """It runs in a thread, as a prompt in a terminal has to."""
    threads: list[threading.Thread] = []

    def decide(call: ToolCall) -> None:
        threads.append(threading.current_thread())

    def see(call: ToolCall, result: ToolResult) -> None:
        threads.append(threading.current_thread())

    await run_of(emulator, client, journal, ("add", {"a": 1}), before=decide, after=see).response()
    assert len(threads) == 2
    assert threading.current_thread() not in threads


# ----------------------------------------------------------------------------------------------------------- after_call


async def test_a_hook_sees_each_result_in_order_and_may_replace_it(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    seen: list[tuple[Any, str | None, str]] = []

    def decide(call: ToolCall) -> Decision:
        return False if call.id == "call-3" else ToolCall(call.id, call.name, {"a": 5}) if call.id == "call-0" else None

    async def see(call: ToolCall, result: ToolResult) -> ToolResult | None:
        seen.append((call.input, result.status, result.id))
        return ToolResult(call.id, "censored", "error") if call.name == "fail" else None

    inputs = [("add", {"a": 1}), ("fail", {}), ("unknown", {}), ("add", {"a": 2})]
    run = run_of(emulator, client, journal, *inputs, before=decide, after=see)
    await run.response()
    assert seen == [
        ({"a": 5}, "success", "call-0"),
        ({}, "error", "call-1"),
        ({}, "error", "call-2"),
        ({"a": 2}, "error", "call-3"),
    ]
    assert sent(emulator)[:2] == [(None, {"text": "6"}), ("error", {"text": "censored"})]
    assert [block.name for block in run.messages[2].content if isinstance(block, ToolResult)] == [
        "add", "fail", "unknown", "add",
    ]  # fmt: skip


# -------------------------------------------------------------------------------------------------------- what is wrong

WRONG_DECISIONS: list[tuple[Any, str]] = [
    ({"a": 1}, "before_call: expected None, a bool, a str, a ToolCall or a ToolResult, got dict"),
    (1, "before_call: expected None, a bool, a str, a ToolCall or a ToolResult, got int"),
    (ToolCall("call-1", "add", {}), "before_call: expected the call 'call-0' of 'add', got 'call-1' of 'add'; change"),
    (ToolCall("call-0", "fail", {}), "before_call: expected the call 'call-0' of 'add', got 'call-0' of 'fail'"),
    (ToolResult("call-1", "no"), "before_call: expected a result of the call 'call-0', got one of 'call-1'"),
    ("\udcff", "before_call: returned a result that cannot be sent"),
]


@pytest.mark.parametrize(("decision", "message"), WRONG_DECISIONS, ids=[repr(each)[:40] for each, _ in WRONG_DECISIONS])
async def test_a_decision_of_another_kind_ends_the_run(
    emulator: Emulator, client: Client, journal: Journal, decision: Any, message: str
) -> None:
    run = run_of(emulator, client, journal, ("add", {"a": 2}), before=lambda call: decision)
    with pytest.raises(errors.ConfigurationError) as caught:
        await run.response()
    assert message in str(caught.value)
    assert (journal.lines, len(emulator.requests)) == ([], 1)


WRONG_RESULTS: list[tuple[Any, str]] = [
    ("text", "after_call: expected None or a ToolResult, got str"),
    (ToolResult("call-1", "x"), "after_call: expected a result of the call 'call-0', got one of 'call-1'"),
    (ToolResult("call-0", {"a": object()}), "after_call: returned a result that cannot be sent: "),
]


@pytest.mark.parametrize(("result", "message"), WRONG_RESULTS, ids=[repr(each)[:40] for each, _ in WRONG_RESULTS])
async def test_a_result_of_another_kind_ends_the_run(
    emulator: Emulator, client: Client, journal: Journal, result: Any, message: str
) -> None:
    run = run_of(emulator, client, journal, ("add", {"a": 2}), after=lambda call, seen: result)
    with pytest.raises(errors.ConfigurationError) as caught:
        await run.response()
    assert message in str(caught.value)
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("name", ["before_call", "after_call"])
async def test_a_hook_must_be_a_function(client: Client, journal: Journal, name: str) -> None:
    hook: Any = {name: "yes"}
    with pytest.raises(errors.ConfigurationError, match=f"{name}: expected a function, got str"):
        client.run_tools(NOVA, "Hi", tools=[journal.add], **hook)


# ------------------------------------------------------------------------------------------------------ what ends a run


class NeedsApproval(Exception):
    """What an application raises to ask a human later."""


async def test_what_a_hook_raises_ends_the_run_before_any_tool_ran(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    def decide(call: ToolCall) -> None:
        if call.id == "call-1":
            raise NeedsApproval(call.id)

    run = run_of(emulator, client, journal, ("add", {"a": 1}), ("add", {"a": 2}), before=decide)
    with pytest.raises(NeedsApproval, match="call-1"):
        await run.response()
    assert journal.lines == []
    with pytest.raises(errors.StreamInterrupted, match="interrupted while its tools ran"):
        await anext(run)
    assert run.messages == (Message.user("Hi"),)
    assert run.partial is not None
    assert [call.id for call in run.partial.tool_calls] == ["call-0", "call-1"]
    # Approved later, the application runs the calls itself and goes on from there.
    results = [ToolResult(call.id, journal.add(**call.input)) for call in run.partial.tool_calls]
    history = [*run.messages, run.partial.message, Message.user(*results)]
    assert (await client.run_tools(NOVA, history, tools=[journal.add]).response()).text == "Ah."


async def test_what_the_second_hook_raises_ends_the_run_too(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    def see(call: ToolCall, result: ToolResult) -> None:
        raise NeedsApproval(call.id)

    run = run_of(emulator, client, journal, ("add", {"a": 1}), after=see)
    with pytest.raises(NeedsApproval):
        await run.response()
    assert (journal.lines, len(emulator.requests)) == (["add 1"], 1)


async def test_a_hook_cannot_end_a_run_as_if_it_were_complete(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    async def decide(call: ToolCall) -> None:
        raise StopAsyncIteration

    run = run_of(emulator, client, journal, ("add", {"a": 1}), before=decide)
    with pytest.raises(RuntimeError, match="before_call raised StopAsyncIteration"):
        async for _ in run:
            pass


async def test_a_run_that_is_closed_in_a_hook_runs_no_tool(
    emulator: Emulator, client: Client, journal: Journal
) -> None:
    async def decide(call: ToolCall) -> None:
        await run.aclose()

    run = run_of(emulator, client, journal, ("add", {"a": 1}), before=decide, keep_partial=True)
    with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
        await run.response()
    assert (journal.lines, len(emulator.requests)) == ([], 1)
    assert run.messages[2] == Message.user(ToolResult("call-0", NOT_RUN, "error", name="add"))


async def test_a_cancellation_in_a_hook_ends_the_run(emulator: Emulator, client: Client, journal: Journal) -> None:
    asked = asyncio.Event()

    async def decide(call: ToolCall) -> None:
        asked.set()
        await asyncio.Event().wait()

    run = run_of(emulator, client, journal, ("add", {"a": 1}), before=decide)
    task = asyncio.create_task(run.response())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (journal.lines, len(emulator.requests)) == ([], 1)


@pytest.mark.parametrize("hooked", [False, True])
async def test_results_of_ended_calls_are_kept_when_others_are_interrupted(
    emulator: Emulator, client: Client, hooked: bool
) -> None:
    """Unless a hook has still to see them: what it would have removed must not be in the history."""
    slow_began, quick_ended = asyncio.Event(), asyncio.Event()

    async def quick() -> str:
        """End at once."""
        quick_ended.set()
        return "secret"

    async def slow() -> None:
        """Never end."""
        slow_began.set()
        await asyncio.Event().wait()

    emulator.script(tool_call("quick", id="call-0"), tool_call("slow", id="call-1"))
    after: Any = {"after_call": lambda call, result: None} if hooked else {}
    run = client.run_tools(NOVA, "Hi", tools=[quick, slow], keep_partial=True, **after)
    task = asyncio.create_task(run.response())
    await quick_ended.wait()
    await slow_began.wait()
    before = run.messages
    assert before == (Message.user("Hi"),)  # while they run, nothing is lost yet
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stopped = "The run was stopped while this tool ran. It may have had an effect."
    assert run.messages[2] == Message.user(
        ToolResult("call-0", stopped, "error", name="quick")
        if hooked
        else ToolResult("call-0", "secret", "success", name="quick"),
        ToolResult("call-1", stopped, "error", name="slow"),
    )
    emulator.script(say("Sorry."))
    assert (await client.generate(NOVA, [*run.messages, Message.user("And?")])).text == "Sorry."


def test_the_name_of_a_result_is_stored_and_optional() -> None:
    message = Message.user(ToolResult("call-0", "x", name="add"), ToolResult("call-1", "y"))
    assert Message.from_json(message.to_json()) == message
    assert [block.get("name") for block in msgspec.json.decode(message.to_json())["content"]] == ["add", None]


@pytest.mark.parametrize("converse", [True, False])
def test_the_name_of_a_result_is_not_sent(client: Client, converse: bool) -> None:
    history = [
        Message.user("Hi"),
        Message.assistant(ToolCall("call-0", "add", {"a": 1})),
        Message.user(ToolResult("call-0", [Image(b"GIF89a")], name="the-name")),
    ]
    explained = client.explain("us.anthropic.claude-sonnet-4-5-20250929-v1:0", history, use_converse=converse)
    assert "the-name" not in str(explained.body)
