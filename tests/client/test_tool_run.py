"""What a tool run shows of itself: its text, the answer so far, sums over the rounds, and its history when it ends."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream import Client, Message, MessageStop, Price, TextDelta, ToolCall, ToolResult, ToolRun, errors
from bedrock_stream.testing import REGION, Emulator, http_error, metadata, reasoning, stop, stream_error, tool_call
from bedrock_stream.testing import text as say
from bedrock_stream.types.stopped import NOT_RUN
from tests.conftest import KEYS, QUICK_RETRIES

NOVA = "amazon.nova-lite-v1:0"
FIRST = {"inputTokens": 10, "outputTokens": 4, "totalTokens": 14}
SECOND = {"inputTokens": 20, "outputTokens": 6, "totalTokens": 26}
BROKE = stream_error("modelStreamErrorException", "broke")


def add(a: int) -> int:
    """Add one."""
    return a + 1


def call(usage: dict[str, Any] | None = None, id: str = "call-0") -> tuple[Any, ...]:
    """Return the script of a round with text and a call."""
    return say("Let me see. "), tool_call("add", {"a": 1}, id=id), metadata(usage)


def counts(run: ToolRun) -> tuple[int | None, ...]:
    assert run.usage is not None
    return run.usage.input_tokens, run.usage.output_tokens, run.usage.total_tokens


async def test_a_run_shows_the_round_under_way(emulator: Emulator, client: Client) -> None:
    emulator.script(*call(FIRST))
    emulator.script(say(["Two", "!"]), metadata(SECOND))
    run = client.run_tools(NOVA, "Hi", tools=[add])
    assert repr(run) == f"<ToolRun {NOVA}, round 1, open>"
    assert (run.model, run.stop_reason, run.usage, run.cost, run.request_id, run.attempts) == (NOVA, *[None] * 4, ())
    assert run.partial is not None
    assert run.partial.text == ""
    ids = set()
    async for item in run:
        ids.add(run.request_id)
        if isinstance(item, MessageStop) and item.stop_reason == "tool_use":
            assert (run.stop_reason, run.partial.text) == ("tool_use", "Let me see. ")
        if isinstance(item, ToolResult):
            assert (repr(run), counts(run), run.stop_reason) == (f"<ToolRun {NOVA}, round 2, open>", (10, 4, 14), None)
        if isinstance(item, TextDelta) and item.text == "!":
            assert run.partial.text == "Two!"
    assert (run.stop_reason, counts(run), run.partial.text) == ("end_turn", (30, 10, 40), "Two!")
    assert len(ids) == 3  # None while the second request is not answered
    assert len(run.attempts) == 2
    assert repr(run) == f"<ToolRun {NOVA}, round 2, finished>"


async def test_the_text_of_all_rounds(emulator: Emulator, client: Client) -> None:
    emulator.script(*call())
    emulator.script(say("Two."))
    run = client.run_tools(NOVA, "Hi", tools=[add])
    assert "".join([piece async for piece in run.text_stream]) == "Let me see. Two."
    assert (await run.response()).text == "Two."
    with pytest.raises(errors.ConfigurationError, match=r"text_stream: the stream was read to its end before; use"):
        await anext(run.text_stream)


# ------------------------------------------------------------------------------------------------------- usage and cost


@pytest.mark.parametrize(
    ("first", "second", "total"),
    [
        (FIRST, SECOND, (30, 10, 40)),
        (FIRST, {"inputTokens": 20}, (30, None, None)),  # a count unknown on one side is unknown in the sum
        (None, SECOND, (20, 6, 26)),
        (FIRST, None, (10, 4, 14)),
    ],
)
async def test_usage_is_the_sum_of_what_the_rounds_reported(
    emulator: Emulator, client: Client, first: Any, second: Any, total: tuple[int | None, ...]
) -> None:
    emulator.script(*call(first))
    emulator.script(say("Two."), metadata(second))
    run = client.run_tools(NOVA, "Hi", tools=[add])
    await run.response()
    assert counts(run) == total


async def test_usage_without_any_report_is_unknown(emulator: Emulator, client: Client) -> None:
    emulator.script(*call())
    emulator.script(say("Two."), metadata(None))
    run = client.run_tools(NOVA, "Hi", tools=[add])
    await run.response()
    assert (run.usage, run.cost) == (None, None)


async def test_cost_is_that_of_the_finished_rounds(emulator: Emulator) -> None:
    prices = {NOVA: Price(input=1000.0, output=10_000.0)}
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, prices=prices) as client:
        emulator.script(*call(FIRST))
        emulator.script(*call(SECOND))
        emulator.script(say("Thr"), BROKE)
        run = client.run_tools(NOVA, "Hi", tools=[add])
        with pytest.raises(errors.ModelStreamError):
            await run.response()
        assert run.cost is not None
        assert run.cost == pytest.approx(0.13)
        emulator.script(*call(FIRST))
        emulator.script(say("Two."), metadata(None))
        run = client.run_tools(NOVA, "Hi", tools=[add])
        await run.response()
        assert run.cost is None


async def test_a_run_that_breaks_off_keeps_text_and_sums(emulator: Emulator, client: Client) -> None:
    emulator.script(*call(FIRST))
    emulator.script(say("Rai"), BROKE)
    run = client.run_tools(NOVA, "Hi", tools=[add])
    with pytest.raises(errors.ModelStreamError):
        await run.response()
    assert run.partial is not None
    assert (run.partial.text, run.stop_reason, counts(run)) == ("Rai", None, (10, 4, 14))
    assert repr(run) == f"<ToolRun {NOVA}, round 2, closed>"
    assert [message.role for message in run.messages] == ["user", "assistant", "user"]


async def test_attempts_are_those_of_all_rounds(emulator: Emulator) -> None:
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=QUICK_RETRIES) as client:
        emulator.script(http_error(503, "ServiceUnavailableException"))
        emulator.script(*call())
        emulator.script(say("Two."))
        run = client.run_tools(NOVA, "Hi", tools=[add])
        await run.response()
        assert [type(attempt.error) for attempt in run.attempts] == [errors.ServiceUnavailable, type(None), type(None)]


# ------------------------------------------------------------------------------------------------------ what came stays

CALL = ToolCall("call-0", "add", {"a": 1})


@pytest.mark.parametrize("keep", [False, True])
async def test_a_failed_answer_is_kept_on_demand(emulator: Emulator, client: Client, keep: bool) -> None:
    emulator.script(say("Rai"), BROKE)
    run = client.run_tools(NOVA, "Hi", tools=[add], keep_partial=keep)
    with pytest.raises(errors.ModelStreamError):
        await run.response()
    assert run.messages[1:] == ((Message.assistant("Rai"),) if keep else ())


async def test_the_calls_beyond_the_last_round_are_kept_on_demand(emulator: Emulator, client: Client) -> None:
    emulator.script(*call())
    run = client.run_tools(NOVA, "Hi", tools=[add], max_rounds=1, keep_partial=True)
    with pytest.raises(errors.ToolRoundsExceeded):
        await run.response()
    result = ToolResult("call-0", NOT_RUN, "error", name="add")
    assert run.messages[1:] == (Message.assistant("Let me see. ", CALL), Message.user(result))
    assert (await client.generate(NOVA, [*run.messages, Message.user("Go on.")])).text


async def test_a_call_that_cannot_be_read_is_not_kept(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Let me see. "), tool_call("add", "{", id="call-9"), tool_call("add", {"a": 1}, id="call-0"))
    run = client.run_tools(NOVA, "Hi", tools=[add], keep_partial=True)
    with pytest.raises(errors.ToolInputError):
        await run.response()
    assert run.messages[1] == Message.assistant("Let me see. ", CALL)
    assert (await client.generate(NOVA, [*run.messages, Message.user("Go on.")])).text


async def test_nothing_is_kept_twice(emulator: Emulator, client: Client) -> None:
    """A run that is closed between two rounds, or while its tools run, has its results in the messages already."""

    async def close() -> None:
        """Close the run."""
        await run.aclose()

    emulator.script(*call())
    run = client.run_tools(NOVA, "Hi", tools=[add], keep_partial=True)
    async for item in run:
        if isinstance(item, ToolResult):
            break
    await run.aclose()
    assert [message.role for message in run.messages] == ["user", "assistant", "user"]
    emulator.script(tool_call("close", id="call-0"))
    run = client.run_tools(NOVA, "Hi", tools=[close], keep_partial=True)
    with pytest.raises(errors.StreamInterrupted, match="closed"):
        await run.response()
    assert [message.role for message in run.messages] == ["user", "assistant", "user"]
    assert run.messages[-1] == Message.user(ToolResult("call-0", "Done.", "success", name="close"))


async def test_a_finished_run_keeps_its_answer_once(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hi."))
    async with client.run_tools(NOVA, "Hi", tools=[add], keep_partial=True) as run:
        await run.response()
    assert run.messages == (Message.user("Hi"), Message.assistant("Hi."))


async def test_a_last_answer_that_cannot_be_sent_back_is_not_in_the_history(emulator: Emulator, client: Client) -> None:
    emulator.script(reasoning("Hm."), stop("max_tokens"))
    run = client.run_tools(NOVA, "Hi", tools=[add])
    assert (await run.response()).reasoning == "Hm."
    assert run.messages == (Message.user("Hi"),)


async def test_a_run_that_never_began_keeps_nothing(client: Client) -> None:
    async with client.run_tools(NOVA, "Hi", tools=[add], keep_partial=True) as run:
        pass
    assert run.messages == (Message.user("Hi"),)
