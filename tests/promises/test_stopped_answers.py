"""Stopping keeps what came: wherever an answer is stopped, the next turn is valid on every family of models.

Every prefix of an answer is kept as history for a model of each row of the table, and the emulator's validation, which
has facts of its own, must accept what is sent next. Tool runs are stopped on real connections.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bedrock_stream import (
    BlockStop,
    Citation,
    CitationDelta,
    CitedText,
    Client,
    Event,
    Image,
    ImageDelta,
    ImageStart,
    Message,
    MessageStart,
    MessageStop,
    Metadata,
    Raw,
    Reasoning,
    ReasoningDelta,
    Response,
    RetryPolicy,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResult,
    ToolResultDelta,
    ToolResultStart,
    ToolRun,
    Usage,
)
from bedrock_stream.testing import REGION, Emulator, reasoning, tool_call
from bedrock_stream.testing import text as say
from bedrock_stream.testing.service.received import ReceivedRequest
from bedrock_stream.types.response import Assembly
from bedrock_stream.types.stopped import NOT_RUN
from tests.conftest import KEYS
from tests.promises.test_every_model import validated
from tests.support.table_differences import ONE_ID_PER_ROW

TOOL_EVENTS = (ToolCallStart, ToolCallDelta, ToolCallEnd)
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def weather(city: str) -> str:
    """Tell the weather."""
    return f"Rain in {city}."


def called(index: int, id: str, name: str = "weather") -> list[Event]:
    raw = '{"city": "Oslo"}'
    return [
        ToolCallStart(index, id, name),
        ToolCallDelta(index, raw[:7]),
        ToolCallDelta(index, raw[7:]),
        ToolCallEnd(index, id, name, {"city": "Oslo"}, raw),
        BlockStop(index),
    ]


ANSWER: list[Event] = [
    MessageStart("assistant"),
    *(ReasoningDelta(0, piece) for piece in ("The weather", " is asked.")),
    *(ReasoningDelta(0, signature=piece) for piece in ("c2ln", "bmVk")),
    BlockStop(0),
    *(TextDelta(1, piece) for piece in (" ", "\n", "Let me", " look. ")),
    BlockStop(1),
    *called(2, "call-0"),
    *called(3, "call-1"),
    MessageStop("tool_use"),
    Metadata(Usage(10, 20, 30)),
]
BROKEN: list[Event] = [  # a call whose input is not JSON, and nothing else that can be sent
    MessageStart("assistant"),
    ReasoningDelta(0, "Hm."),
    ReasoningDelta(1, redacted=b"secret"),
    ToolCallStart(2, "call-0", "weather"),
    ToolCallDelta(2, '{"city": '),
    ToolCallEnd(2, "call-0", "weather", None, '{"city": '),
    MessageStop("max_tokens"),
]


def response_of(events: list[Event], family: str | None = None) -> Response:
    assembly = Assembly()
    assembly.extend(events)
    return assembly.response(family=family)


@pytest.fixture(scope="module")
def planner() -> Client:
    """Return a client that only plans: it opens no connection."""
    return Client(api_key="key", region="us-east-1")


@pytest.mark.parametrize("model", ONE_ID_PER_ROW)
def test_the_next_turn_is_accepted_wherever_an_answer_was_stopped(planner: Client, model: str) -> None:
    facts = ONE_ID_PER_ROW[model].facts
    tried: list[tuple[Message, ...]] = []
    for answer in ANSWER, BROKEN:
        events = answer if facts.tools else [event for event in answer if type(event) not in TOOL_EVENTS]
        for stopped in range(len(events) + 1):
            turns = response_of(events[:stopped], facts.family).to_history()
            if turns not in tried:
                tried.append(turns)
                messages = [Message.user("Weather?"), *turns, Message.user("Go on.")]
                validated(planner.explain(model, messages))
                if facts.tools:
                    validated(planner.explain(model, messages, tools=[weather], reasoning="low", unsupported="drop"))
    assert len(tried) >= 3


def test_what_is_kept_of_each_part_of_an_answer() -> None:
    kept = [response_of(ANSWER[:stopped]).to_history() for stopped in range(len(ANSWER) + 1)]
    assert set(kept[:9]) == {()}  # reasoning alone, and blank text
    thought = Reasoning("The weather is asked.", "c2lnbmVk")
    assert kept[9] == (Message.assistant(thought, Text(" \nLet me")),)
    said = Message.assistant(thought, Text(" \nLet me look. "))
    assert kept[10] == kept[14] == (said,)  # the first call has not ended
    first, second = (ToolCall(f"call-{n}", "weather", {"city": "Oslo"}) for n in range(2))
    results = [ToolResult(call.id, NOT_RUN, "error", name="weather") for call in (first, second)]
    assert kept[15] == kept[19] == (Message.assistant(*said.content, first), Message.user(results[0]))
    assert kept[-1] == kept[20] == (Message.assistant(*said.content, first, second), Message.user(*results))
    assert response_of(BROKEN).to_history() == ()


def test_a_whole_answer_without_calls_is_kept_as_it_is() -> None:
    for last in Text("Hi."), Image(b"GIF89a"), ToolCall("s", "search", {}, server=True):
        response = Response(message=Message.assistant("So:", last), stop_reason="end_turn")
        assert response.to_history() == (response.message,)


SERVER = [
    ToolCallStart(1, "s-0", "search", server=True),
    ToolCallEnd(1, "s-0", "search", {}, "", server=True),
]
SERVED = [*SERVER, ToolResultStart(2, "s-0", "search_result"), ToolResultDelta(2, [{"text": "Rain"}])]
MCP = BlockStop(1, {"type": "mcp_tool_use", "id": "m-0", "name": "x", "input": {}})
MCP_RESULT = BlockStop(2, {"type": "mcp_tool_result", "tool_use_id": "m-0", "content": []})
END = TextDelta(3, "Rain.")


@pytest.mark.parametrize(
    ("events", "kinds"),
    [
        ([*SERVER], []),
        ([*SERVED], []),  # more of the result may have been under way
        ([*SERVED, END], [ToolCall, ToolResult, Text]),
        ([*SERVED[2:], END], [Text]),  # a result whose call is missing
        ([MCP], []),
        ([MCP, MCP_RESULT], [Raw, Raw]),
        ([MCP, MCP_RESULT, *called(3, "call-0")[:2]], [Raw, Raw]),
        ([ImageStart(1, "png"), ImageDelta(1, b"half")], []),
        ([ImageStart(1, "png"), ImageDelta(1, b"whole"), END], [Image, Text]),
        ([TextDelta(1, "Rain"), CitationDelta(1, Citation("Report"))], [CitedText]),
        ([BlockStop(1, {"type": "thinking", "thinking": "Hm.", "more": 1})], []),
    ],
)
def test_halves_of_what_the_service_adds_are_left_out(events: list[Event], kinds: list[type]) -> None:
    turns = response_of([TextDelta(0, "So: "), *events]).to_history()
    assert [type(block) for block in turns[0].content] == [Text, *kinds]
    assert len(turns) == 1


# ----------------------------------------------------------------------------------------------------------- tool runs

ROUND = (
    reasoning(["The weather", " is asked."]),
    say(["Let me", " look."]),
    tool_call("weather", {"city": "Oslo"}, id="call-0", fragments=2),
    tool_call("weather", {"city": "Rome"}, id="call-1", fragments=2),
)
GPT = "openai.gpt-oss-120b-1:0"
ROUTES = [
    ("amazon.nova-pro-v1:0", True),
    (CLAUDE, False),
    (GPT, False),
]


def script_of(request: ReceivedRequest) -> list[Any]:
    if b"Go on." in request.body:
        return [say("Going on.")]
    return [say(["It", " rains."])] if b"Rain in" in request.body else list(ROUND)


@pytest.mark.parametrize(("model", "converse"), ROUTES)
async def test_a_run_that_is_stopped_anywhere_leaves_a_history_for_the_next_turn(model: str, converse: bool) -> None:
    async with (
        Emulator(script=script_of, pace=0.0001) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=RetryPolicy(max_attempts=1)) as client,
    ):
        kept = set()
        for stopped in range(40):
            run = client.run_tools(model, "Weather?", tools=[weather], use_converse=converse, keep_partial=True)
            whole = await STOPS[stopped % len(STOPS)](run, stopped)
            await emulator.wait_until_idle()
            assert run.messages == run.messages
            history = [*run.messages, Message.user("Go on.")]
            again = client.run_tools(model, history, tools=[weather], use_converse=converse)
            assert (await again.response()).text == "Going on."
            kept.add(repr(run.messages))
            if whole:
                break
        assert whole
        assert [message.role for message in run.messages] == ["user", "assistant", "user", "assistant"]
        assert len(kept) > 5


async def close(run: ToolRun, events: int) -> bool:
    """Read so many events and close the run. Return whether it had no more of them."""
    read = [await anext(run, None) for _ in range(events)]
    await run.aclose()
    return None in read


async def leave(run: ToolRun, events: int) -> bool:
    async with run:
        read = [await anext(run, None) for _ in range(events)]
    return None in read


async def cancel(run: ToolRun, events: int) -> bool:
    reached = asyncio.Event()

    async def read() -> bool:
        if None in [await anext(run, None) for _ in range(events)]:
            return True
        reached.set()
        await anext(run, None)
        return False

    async with run:
        task = asyncio.create_task(read())
        waiting = asyncio.create_task(reached.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        waiting.cancel()
        await asyncio.wait([task, waiting])
    return not task.cancelled() and task.result()


STOPS = (close, leave, cancel)
