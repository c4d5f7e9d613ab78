"""The tool loop: which functions run, which results are sent back, and how a run ends."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import threading
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import msgspec
import pydantic
import pytest

from bedrock_stream import (
    Client,
    Image,
    Message,
    MessageStart,
    MessageStop,
    TextDelta,
    Tool,
    ToolCallEnd,
    ToolResult,
    ToolRun,
    errors,
)
from bedrock_stream.testing import Emulator, metadata, stall, stop, tool_call
from bedrock_stream.testing import text as say

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PNG = b"\x89PNG\r\n\x1a\n"


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


async def read(run: ToolRun) -> list[Any]:
    return [item async for item in run]


def calls(*named: tuple[str, Any]) -> tuple[Any, ...]:
    """Return the script of a round with these calls, with ids call-0, call-1, ..."""
    return tuple(tool_call(name, values, id=f"call-{index}") for index, (name, values) in enumerate(named))


def sent_results(emulator: Emulator, request: int = -1) -> list[dict[str, Any]]:
    """Return the tool results in the last message of a request."""
    content = emulator.requests[request].json["messages"][-1]["content"]
    return [block["toolResult"] for block in content]


async def result_of(emulator: Emulator, client: Client, tool: Any, values: Any, name: str = "") -> dict[str, Any]:
    """Return the result that is sent back for one call."""
    name = name or (tool.name if isinstance(tool, Tool) else tool.__name__)
    emulator.script(*calls((name, values)))
    emulator.script(say("Ah."))
    assert (await client.run_tools(NOVA, "Hi", tools=[tool]).response()).text == "Ah."
    (result,) = sent_results(emulator)
    return result


# --------------------------------------------------------------------------------------------------------------- rounds

CHOICES: list[tuple[Any, list[Any]]] = [
    ("any", [{"any": {}}, None]),
    ("add", [{"tool": {"name": "add"}}, None]),
    ({"tool": {"name": "add"}}, [{"tool": {"name": "add"}}, None]),
    ("auto", [{"auto": {}}] * 2),
]


@pytest.mark.parametrize(("choice", "sent"), CHOICES)
async def test_a_forced_tool_choice_applies_to_the_first_round_only(
    emulator: Emulator, client: Client, choice: Any, sent: list[Any]
) -> None:
    response = await client.run_tools(NOVA, "Add to 3", tools=[add], tool_choice=choice).response()
    assert response.text == "add says: 4."
    assert [request.json["toolConfig"].get("toolChoice") for request in emulator.requests] == sent
    emulator.requests.clear()
    options = {"tool_choice": choice}
    assert (await client.run_tools(NOVA, "Add to 3", tools=[add], provider_options=options).response()).text
    assert [request.json["toolConfig"].get("toolChoice") for request in emulator.requests] == sent


@pytest.mark.parametrize("model", [NOVA, CLAUDE])
async def test_a_function_is_run_and_its_result_is_sent_back(emulator: Emulator, client: Client, model: str) -> None:
    emulator.script(say("Let me see."), *calls(("add", {"a": 2, "b": 3})))
    emulator.script(say("It is 5."))
    run = client.run_tools(model, "What is 2 + 3?", tools=[add])
    assert (await run.response()).text == "It is 5."
    assert sent_results(emulator) == [{"toolUseId": "call-0", "content": [{"text": "5"}]}]
    offered = [request.json["toolConfig"]["tools"][0]["toolSpec"] for request in emulator.requests]
    assert offered[0] == offered[1]
    assert (offered[0]["name"], offered[0]["description"]) == ("add", "Add two numbers.")


async def test_the_emulator_s_own_answer_uses_the_tool(emulator: Emulator, client: Client) -> None:
    def weather(city: Annotated[str, "where"]) -> dict[str, Any]:
        """The weather in a city."""
        return {"city": city, "degrees": 21}

    response = await client.run_tools(NOVA, 'What is the weather in "Oslo"?', tools=[weather]).response()
    assert response.text == 'weather says: {"city": "Oslo", "degrees": 21}.'


async def test_the_results_are_yielded_between_the_events_of_the_rounds(emulator: Emulator, client: Client) -> None:
    emulator.script(*calls(("add", {"a": 1}), ("add", {"a": 5})))
    emulator.script(say(["Done"]))
    items = await read(client.run_tools(NOVA, "Hi", tools=[add]))
    kinds = [type(item).__name__ for item in items if not type(item).__name__.startswith("ToolCallDelta")]
    assert kinds == [
        "MessageStart", *["ToolCallStart", "ToolCallEnd", "BlockStop"] * 2, "MessageStop", "Metadata",
        "ToolResult", "ToolResult",
        "MessageStart", "TextDelta", "BlockStop", "MessageStop", "Metadata",
    ]  # fmt: skip
    assert [item for item in items if isinstance(item, ToolResult)] == [
        ToolResult("call-0", "2", "success", name="add"),
        ToolResult("call-1", "6", "success", name="add"),
    ]


async def test_an_answer_without_calls_is_the_only_round(emulator: Emulator, client: Client) -> None:
    emulator.script(say("No need."))
    run = client.run_tools(NOVA, "Hi", tools=[add], max_rounds=1)
    assert [item.text for item in await read(run) if isinstance(item, TextDelta)] == ["No", " need", "."]
    assert await read(run) == []
    assert (await run.response()).text == "No need."
    assert len(emulator.requests) == 1


async def test_the_calls_of_a_round_run_concurrently_and_results_keep_their_order(
    emulator: Emulator, client: Client
) -> None:
    barrier = asyncio.Barrier(3)
    finished: list[int] = []

    async def meet(number: int) -> int:
        await barrier.wait()
        await asyncio.sleep((3 - number) * 0.01)
        finished.append(number)
        return number

    emulator.script(*calls(*(("meet", {"number": number}) for number in range(3))))
    emulator.script(say("Met."))
    async with asyncio.timeout(5):
        await client.run_tools(NOVA, "Hi", tools=[meet]).response()
    assert finished == [2, 1, 0]
    assert [result["toolUseId"] for result in sent_results(emulator)] == ["call-0", "call-1", "call-2"]
    assert [result["content"] for result in sent_results(emulator)] == [[{"text": str(number)}] for number in range(3)]


async def test_plain_functions_run_concurrently_in_other_threads(emulator: Emulator, client: Client) -> None:
    barrier = threading.Barrier(2, timeout=5)
    threads: set[int] = set()

    def block() -> None:
        threads.add(threading.get_ident())
        barrier.wait()

    emulator.script(*calls(("block", {}), ("block", {})))
    emulator.script(say("Met."))
    await client.run_tools(NOVA, "Hi", tools=[block]).response()
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_async_functions_run_in_the_thread_of_the_event_loop(emulator: Emulator, client: Client) -> None:
    async def where() -> str:
        return str(threading.get_ident())

    class Callable:
        async def __call__(self) -> str:
            return "awaited"

    assert (await result_of(emulator, client, where, {}))["content"] == [{"text": str(threading.get_ident())}]
    tool = Tool(name="called", function=Callable())
    assert (await result_of(emulator, client, tool, {}))["content"] == [{"text": "awaited"}]


# ---------------------------------------------------------------------------------------------------------- the history


@pytest.mark.parametrize("model", [NOVA, CLAUDE])
async def test_the_messages_are_a_complete_history_for_the_next_turn(
    emulator: Emulator, client: Client, model: str
) -> None:
    emulator.script(say("First."), *calls(("add", {"a": 1})))
    emulator.script(say("Second."), tool_call("add", {"a": 2}, id="call-9"))
    emulator.script(say("Third."))
    run = client.run_tools(model, "Hi", tools=[add])
    assert [message.role for message in run.messages] == ["user"]
    response = await run.response()
    assert [message.role for message in run.messages] == ["user", "assistant", "user", "assistant", "user", "assistant"]
    assert run.messages[-1] == response.message
    # Like Bedrock, the emulator rejects calls without results and results without calls.
    assert (await client.generate(model, [*run.messages, Message.user("And now?")])).text
    assert (await client.run_tools(model, [*run.messages, Message.user("Well?")], tools=[add]).response()).text


async def test_exceeding_max_rounds_raises_with_the_last_response(emulator: Emulator, client: Client) -> None:
    ran: list[int] = []

    def again(n: int) -> None:
        ran.append(n)

    for n in range(3):
        emulator.script(say(f"Round {n}."), tool_call("again", {"n": n}))
    run = client.run_tools(NOVA, "Hi", tools=[again], max_rounds=3)
    with pytest.raises(errors.ToolRoundsExceeded, match="the model still calls tools after 3 rounds") as caught:
        await run.response()
    error = caught.value
    assert error.rounds == 3
    assert error.partial is not None
    assert (error.partial.text, error.partial.tool_calls[0].input) == ("Round 2.", {"n": 2})
    assert (error.request_id, error.model) == (error.partial.request_id, NOVA)
    assert ran == [0, 1]
    assert len(emulator.requests) == 3
    with pytest.raises(errors.ToolRoundsExceeded):  # raised again, and nothing is run or added a second time
        await anext(run)
    assert ran == [0, 1]
    assert [message.role for message in run.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert (await client.generate(NOVA, run.messages)).text


# -------------------------------------------------------------------------------------------------------------- results


async def test_a_tool_that_was_not_offered_is_an_error_result(emulator: Emulator, client: Client) -> None:
    result = await result_of(emulator, client, add, {}, name="os_system")
    assert result == {
        "toolUseId": "call-0",
        "content": [{"text": "Unknown tool 'os_system'."}],
        "status": "error",
    }


@dataclass
class Address:
    city: str
    zip_code: int = 0


class Point(msgspec.Struct):
    x: float
    y: float


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=2)
    age: int


INVALID_VALUES: list[tuple[Any, str]] = [
    ({}, "missing required field `number`"),
    ({"number": 1, "colour": "red"}, "unknown colour"),
    ({"number": "one"}, "Expected `int`, got `str` - at `$.number`"),
    ({"number": 1, "address": {"zip_code": 5}}, "missing required field `city` - at `$.address`"),
    ({"number": 1, "point": {"x": 1, "y": "up"}}, "Expected `float`, got `str` - at `$.point.y`"),
    ({"number": 1, "person": {"name": "A", "age": 3}}, "at least 2 characters"),
    ({"number": 1, "people": [{"name": "Ada"}]}, "age\n  Field required"),
]


@pytest.mark.parametrize(("values", "message"), INVALID_VALUES, ids=[message[:30] for _, message in INVALID_VALUES])
async def test_invalid_arguments_are_an_error_result_and_nothing_is_run(
    emulator: Emulator, client: Client, values: Any, message: str
) -> None:
    def take(
        number: int,
        address: Address | None = None,
        point: Point | None = None,
        person: Person | None = None,
        people: list[Person] | None = None,
    ) -> None:
        pytest.fail("it was run")

    result = await result_of(emulator, client, take, values)
    assert result["status"] == "error"
    assert result["content"][0]["text"].startswith("The arguments are invalid: ")
    assert message in result["content"][0]["text"]
    assert "Traceback" not in result["content"][0]["text"]


async def test_arguments_are_converted_to_the_annotated_types(emulator: Emulator, client: Client) -> None:
    received: list[Any] = []

    def take(address: Address, point: Point, person: Person, people: list[Person], count: int = 7) -> None:
        received.extend([address, point, person, people, count])

    values = {
        "address": {"city": "Oslo"},
        "point": {"x": 1, "y": 2.5},
        "person": {"name": "Ada", "age": 36},
        "people": [{"name": "Bob", "age": 1}],
    }
    assert "status" not in await result_of(emulator, client, take, values)  # it says only errors
    ada, bob = Person(name="Ada", age=36), Person(name="Bob", age=1)
    assert received == [Address("Oslo"), Point(1, 2.5), ada, [bob], 7]


async def test_an_exception_is_reported_by_type_and_message_without_a_traceback(
    emulator: Emulator, client: Client
) -> None:
    def fail() -> None:
        raise LookupError("no such city")

    async def fail_slowly() -> None:
        try:
            await asyncio.sleep(0)
            raise KeyError("inner secret")
        except KeyError as error:
            raise RuntimeError("no luck") from error

    emulator.script(*calls(("fail", {}), ("fail_slowly", {}), ("add", {"a": 1})))
    emulator.script(say("Ah."))
    await client.run_tools(NOVA, "Hi", tools=[fail, fail_slowly, add]).response()
    assert sent_results(emulator) == [
        {"toolUseId": "call-0", "content": [{"text": "LookupError: no such city"}], "status": "error"},
        {"toolUseId": "call-1", "content": [{"text": "RuntimeError: no luck"}], "status": "error"},
        {"toolUseId": "call-2", "content": [{"text": "2"}]},
    ]
    for forbidden in (b"Traceback", b".py", b"inner secret"):
        assert forbidden not in emulator.requests[-1].body


RETURNED: list[tuple[Any, list[dict[str, Any]]]] = [
    (None, [{"text": "Done."}]),
    ("sunny", [{"text": "sunny"}]),
    ("", [{"text": '""'}]),  # the service rejects blank text
    (" \n", [{"text": '" \\n"'}]),
    (21.5, [{"text": "21.5"}]),
    (True, [{"text": "true"}]),
    ([], [{"text": "[]"}]),
    ([1, {"a": 2}], [{"text": '[1,{"a":2}]'}]),  # a json block of Converse must be an object
    (["a", "b"], [{"text": '["a","b"]'}]),
    ({"degrees": 21}, [{"json": {"degrees": 21}}]),
    ({}, [{"json": {}}]),
    ({"text": 5}, [{"json": {"text": 5}}]),  # not a content block, although it has the shape of one
    (Address("Oslo"), [{"json": {"city": "Oslo", "zip_code": 0}}]),
    (Point(1, 2), [{"json": {"x": 1, "y": 2}}]),
    (Person(name="Ada", age=36), [{"json": {"name": "Ada", "age": 36}}]),
    ([Person(name="Ada", age=36)], [{"text": '[{"name":"Ada","age":36}]'}]),
    (Image(PNG), [{"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}]),
    ([Image(PNG), "A dot"], [{"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}, {"text": "A dot"}]),
]


@pytest.mark.parametrize(("value", "content"), RETURNED, ids=[repr(value)[:30] for value, _ in RETURNED])
async def test_a_return_value_is_sent_in_a_form_that_the_service_accepts(
    emulator: Emulator, client: Client, value: Any, content: list[dict[str, Any]]
) -> None:
    def function() -> Any:
        return value

    assert await result_of(emulator, client, function, {}) == {
        "toolUseId": "call-0",
        "content": content,
    }


async def test_a_return_value_that_is_not_json_is_an_error_result(emulator: Emulator, client: Client) -> None:
    def function() -> Any:
        return [object()]

    result = await result_of(emulator, client, function, {})
    assert result["status"] == "error"
    assert result["content"] == [{"text": "TypeError: cannot convert object to JSON"}]


# ------------------------------------------------------------------------------------------------ tools written by hand


async def test_a_function_of_kwargs_is_checked_against_its_own_schema(emulator: Emulator, client: Client) -> None:
    received: list[dict[str, Any]] = []

    async def take(**values: Any) -> str:
        received.append(values)
        return "taken"

    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = Tool(name="look_up", description="Looks up.", input_schema=schema, function=take)
    assert (await result_of(emulator, client, tool, {"city": "Oslo", "more": 1}))["content"] == [{"text": "taken"}]
    refused = await result_of(emulator, client, tool, {"more": 1})
    assert (refused["status"], refused["content"]) == (
        "error",
        [{"text": "The arguments are invalid: missing city"}],
    )
    assert received == [{"city": "Oslo", "more": 1}]


async def test_a_partial_function_and_a_method_can_be_tools(emulator: Emulator, client: Client) -> None:
    class Counter:
        count = 0

        def up(self, by: int) -> int:
            self.count += by
            return self.count

    counter = Counter()
    assert (await result_of(emulator, client, counter.up, {"by": 2}))["content"] == [{"text": "2"}]
    schema = {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}
    tool = Tool(name="add_five", input_schema=schema, function=functools.partial(add, 5))
    assert (await result_of(emulator, client, tool, {"b": 1}))["content"] == [{"text": "6"}]


async def test_an_annotation_that_is_not_a_json_type_is_an_error_result(emulator: Emulator, client: Client) -> None:
    def take(client: Client) -> None:
        pytest.fail("it was run")

    tool = Tool(name="take", function=take, input_schema={"type": "object"})
    result = await result_of(emulator, client, tool, {"client": {}})
    assert result["status"] == "error"


# -------------------------------------------------------------------------------------------------------------- refused


def by_place(a: int, /) -> int:
    return a


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "tools: run_tools\\(\\) needs at least one function; use stream\\(\\) instead"),
    ({"tools": []}, "tools: run_tools\\(\\) needs at least one function"),
    ({"tools": [Tool(name="bare")]}, r"tools: 'bare' has no function to run; pass Tool\(function=...\)"),
    ({"tools": [add, Point]}, "tools: 'Point' has no function to run"),
    ({"tools": [{"name": "bare"}]}, "tools: 'bare' has no function to run"),
    ({"tools": [{"toolSpec": {"name": "raw", "inputSchema": {"json": {}}}}]}, "tools: 'raw' has no function to run"),
    ({"tools": [by_place]}, r"tools: by_place\(\) has the positional-only parameter a; remove the /"),
    ({"tools": [add], "max_rounds": 0}, "max_rounds: expected a positive int, got 0"),
    ({"tools": [add], "max_rounds": True}, "max_rounds: expected a positive int, got True"),
    ({"tools": [add], "keep": False}, "keep: is False, so no tool calls are assembled"),
    ({"tools": [add], "max_tokens": 0}, "max_tokens: expected a positive int, got 0"),
    ({"tools": [add], "prompt": ""}, "prompt: expected a non-empty str, got ''"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
async def test_invalid_arguments_of_run_tools_are_refused_at_the_call(
    client: Client, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.ConfigurationError, match=message):
        client.run_tools(**{"model": NOVA, "prompt": "Hi", **options})


async def test_a_cache_point_among_the_tools_is_not_a_tool(emulator: Emulator, client: Client) -> None:
    emulator.script(*calls(("add", {"a": 1})))
    emulator.script(say("2"))
    run = client.run_tools(CLAUDE, "Hi", tools=[add, {"cachePoint": {"type": "default"}}])
    assert (await run.response()).text == "2"
    assert emulator.requests[1].json["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}


# ------------------------------------------------------------------------------------------------------- how a run ends


async def test_a_break_in_the_middle_of_a_round_closes_the_connection(emulator: Emulator, client: Client) -> None:
    emulator.script(*calls(("add", {"a": 1})))
    emulator.script(say("Now I"), stall())
    async with client.run_tools(NOVA, "Hi", tools=[add]) as run:
        rounds = 0
        async for item in run:
            rounds += isinstance(item, MessageStart)
            if rounds == 2 and isinstance(item, TextDelta):
                break
        assert emulator.open_streams == 1
    await emulator.wait_until_idle()
    with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
        await anext(run)
    await run.aclose()


async def test_a_run_that_is_closed_between_rounds_starts_no_other_round(emulator: Emulator, client: Client) -> None:
    emulator.script(*calls(("add", {"a": 1})))
    run = client.run_tools(NOVA, "Hi", tools=[add])
    async for item in run:
        if isinstance(item, ToolResult):
            break
    await run.aclose()
    with pytest.raises(errors.StreamInterrupted):
        await anext(run)
    assert len(emulator.requests) == 1
    assert [message.role for message in run.messages] == ["user", "assistant", "user"]


async def test_closing_a_finished_run_has_no_effect(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hi"))
    run = client.run_tools(NOVA, "Hi", tools=[add])
    await read(run)
    await run.aclose()
    assert (await run.response()).text == "Hi"


async def test_closing_before_the_first_event_sends_nothing(emulator: Emulator, client: Client) -> None:
    async with client.run_tools(NOVA, "Hi", tools=[add]) as run:
        pass
    with pytest.raises(errors.StreamInterrupted):
        await run.response()
    assert emulator.requests == []


async def test_cancellation_while_functions_run_cancels_them_and_reruns_nothing(
    emulator: Emulator, client: Client
) -> None:
    started, outcomes = asyncio.Event(), []

    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            outcomes.append("cancelled")
            raise

    emulator.script(*calls(("wait", {}), ("wait", {})))
    run = client.run_tools(NOVA, "Hi", tools=[wait])
    task = asyncio.create_task(read(run))
    await started.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert outcomes == ["cancelled"] * 2
    with pytest.raises(errors.StreamInterrupted, match="interrupted while its tools ran"):
        await anext(run)
    assert outcomes == ["cancelled"] * 2
    assert len(emulator.requests) == 1
    assert [message.role for message in run.messages] == ["user"]  # the call without a result is not added


async def weather(city: str) -> str:
    """Return the weather."""
    await asyncio.sleep(0)
    return f"Rain in {city}."


async def awaits_a_cancelled_future() -> str:
    """Await what somebody else cancelled."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return str(await future)


async def cancels_itself() -> str:
    """Be cancelled from elsewhere."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return "never"


async def exits() -> str:
    """End the program."""
    sys.exit(3)


def exits_in_a_thread() -> str:
    """End the program."""
    raise SystemExit("enough")


async def interrupts() -> str:
    """Act as Ctrl-C does."""
    raise KeyboardInterrupt


async def closes() -> str:
    """Raise what a closed generator raises."""
    raise GeneratorExit


def stops() -> str:
    """Raise what an exhausted iterator raises."""
    return str(next(iter(())))


async def fails_twice() -> str:
    """Fail in two tasks."""

    async def fail(error: Exception) -> None:
        raise error

    async with asyncio.TaskGroup() as group:
        group.create_task(fail(ValueError("no such city")))
        group.create_task(fail(KeyError("Oslo")))
    return "never"


def groups() -> str:
    """Raise groups of groups."""
    inner = BaseExceptionGroup("inner", [SystemExit(1), ExceptionGroup("innermost", [OSError("disk full")])])
    raise BaseExceptionGroup("outer", [inner, asyncio.CancelledError()])


class WordlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def wordless() -> str:
    """Raise an error that cannot be printed."""
    raise WordlessError


def undecodable() -> str:
    """Raise an error with a file name that is not UTF-8."""
    raise FileNotFoundError(2, "not found", os.fsdecode(b"/tmp/\xff"))


def returns_surrogates() -> str:
    """Return text that is not UTF-8."""
    return os.fsdecode(b"\xff")


def returns_a_deep_value() -> Any:
    """Return a value that is nested too deeply to be encoded."""
    return nested(200_000)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        (awaits_a_cancelled_future, "CancelledError"),
        (cancels_itself, "CancelledError"),
        (exits, "tried to end the program, which is not allowed (SystemExit: 3)"),
        (exits_in_a_thread, "tried to end the program, which is not allowed (SystemExit: enough)"),
        (interrupts, "tried to end the program, which is not allowed (KeyboardInterrupt)"),
        (closes, "GeneratorExit"),
        (stops, "StopIteration"),
        (fails_twice, "ValueError: no such city; KeyError: 'Oslo'"),
        (groups, "SystemExit: 1; OSError: disk full; CancelledError"),
        (wordless, "WordlessError"),
        (undecodable, "FileNotFoundError: [Errno 2] not found"),
        (returns_surrogates, "UnicodeEncodeError"),
        (returns_a_deep_value, "RecursionError"),
    ],
)
async def test_a_run_survives_whatever_a_tool_does(emulator: Emulator, client: Client, tool: Any, words: str) -> None:
    emulator.script(*calls(("weather", {"city": "Oslo"}), (tool.__name__, {}), ("weather", {"city": "Rome"})))
    emulator.script(say("Ah."))
    assert (await client.run_tools(NOVA, "Hi", tools=[tool, weather]).response()).text == "Ah."
    first, broken, last = sent_results(emulator)
    assert (first["content"], last["content"]) == ([{"text": "Rain in Oslo."}], [{"text": "Rain in Rome."}])
    assert broken["status"] == "error"
    assert words in broken["content"][0]["text"]


async def test_a_run_survives_a_value_that_can_be_encoded_only_on_its_own(emulator: Emulator, client: Client) -> None:
    """A request contains it some levels deeper. Python versions differ in the depth that they allow."""

    def deep() -> Any:
        """Return a deep value."""
        return nested(sys.getrecursionlimit() - 60)

    emulator.script(*calls(("weather", {"city": "Oslo"}), ("deep", {})))
    emulator.script(say("Ah."))
    assert (await client.run_tools(NOVA, "Hi", tools=[deep, weather]).response()).text == "Ah."
    assert sent_results(emulator)[0]["content"] == [{"text": "Rain in Oslo."}]


async def test_a_call_that_is_cancelled_before_it_begins_is_an_error_result(emulator: Emulator, client: Client) -> None:
    host = asyncio.current_task()

    async def cancels_others() -> str:
        """Cancel every other task of the loop."""
        for task in asyncio.all_tasks() - before - {asyncio.current_task()}:
            task.cancel()
        return "done"

    emulator.script(*calls(("cancels_others", {}), ("weather", {"city": "Oslo"})))
    emulator.script(say("Ah."))
    run = client.run_tools(NOVA, "Hi", tools=[cancels_others, weather])
    while not isinstance(await anext(run), MessageStop):
        pass
    before = asyncio.all_tasks() | ({host} if host else set())
    assert (await run.response()).text == "Ah."
    assert [result.get("status") for result in sent_results(emulator)] == [None, "error"]


async def test_a_cancel_scope_around_a_run_cancels_its_tools(emulator: Emulator, client: Client) -> None:
    """It cancels again and again until it is left, and the run still waits for the tool's own end."""
    ended: list[bool] = []

    async def slow() -> str:
        """Never return."""
        try:
            scope.cancel()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)
        return "never"

    emulator.script(*calls(("slow", {})))
    with anyio.CancelScope() as scope:
        await client.run_tools(NOVA, "Hi", tools=[slow]).response()
    assert (scope.cancelled_caught, ended) == (True, [True])


async def test_closing_from_another_task_while_functions_run_starts_no_round(
    emulator: Emulator, client: Client
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        started.set()
        await go_on.wait()

    emulator.script(*calls(("wait", {})))
    run = client.run_tools(NOVA, "Hi", tools=[wait])
    task = asyncio.create_task(read(run))
    await started.wait()
    await run.aclose()
    go_on.set()
    with pytest.raises(errors.StreamInterrupted):
        await task
    assert len(emulator.requests) == 1


async def test_an_error_in_a_later_round_ends_the_run(emulator: Emulator, client: Client) -> None:
    emulator.script(*calls(("add", {"a": 1})))
    emulator.script(say("Now"), stop("end_turn"), metadata(None))
    run = client.run_tools(NOVA, "Hi", tools=[add])
    items = await read(run)
    assert isinstance(items[-1], MessageStop)
    emulator.script(*calls(("add", "[1, 2]")))
    run = client.run_tools(NOVA, "Hi", tools=[add])
    received: list[Any] = []
    with pytest.raises(errors.ToolInputError):
        async for item in run:
            received.append(item)  # noqa: PERF401 - a comprehension would lose the items when it raises
    assert [item.raw for item in received if isinstance(item, ToolCallEnd)] == ["[1, 2]"]
    with pytest.raises(errors.ToolInputError):
        await anext(run)
    assert [message.role for message in run.messages] == ["user"]
