"""What the client sends to a model of any row of its table, the emulator accepts: the two know the models separately.

The emulator's validation is called directly, without a socket; one test shows that a running emulator does the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedrock_stream import (
    CachePoint,
    Client,
    Document,
    Image,
    Message,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from bedrock_stream.client.reports import Explanation
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.testing import Emulator
from bedrock_stream.testing.service.asked import Asked
from bedrock_stream.testing.service.operations import find_operation
from bedrock_stream.testing.service.refusal import Refusal
from tests.support.emulator_client import post
from tests.support.exhaustive import exhaustive
from tests.support.table_differences import ONE_ID_PER_ROW

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
SCHEMAS = (
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 150}}},
    {"type": "object", "properties": {"code": {"type": "string", "pattern": r"^\d{3}$", "minLength": 3}}},
    {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}, "minItems": 2}}},
)
WEATHER = Tool(
    name="weather",
    description="Tells the weather.",
    input_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
CLOCK = Tool(name="clock", description="Tells the time.", input_schema={"type": "object", "properties": {}})
TEXTS = st.sampled_from(("Hello", "Hello. ", "Wait:\n", " ", "Oslo"))
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "system": st.sampled_from(("Be brief.", " ", ["Be brief.", Text(" ")], ["Be brief.", CachePoint()])),
    "tools": st.sampled_from(([WEATHER], [WEATHER, CLOCK])),
    "tool_choice": st.sampled_from(("auto", "any", "none", "weather")),
    "max_tokens": st.sampled_from((1, 16, 1000, 1025, 4000, 20_000, 64_000, 200_000)),
    "temperature": st.sampled_from((0, 0.5, 1)),
    "top_p": st.sampled_from((0.5, 0.95, 1)),
    "top_k": st.sampled_from((1, 40)),
    "stop_sequences": st.sampled_from((["END"], ["\n"], ["END", " "])),
    "reasoning": st.sampled_from(
        ("none", "minimal", "low", "medium", "high", "xhigh", "max", 1024, 1023, 4000, 32_000)
    ),
    "output_schema": st.sampled_from(SCHEMAS),
    "prompt_cache": st.sampled_from((True, "auto")),
    "prompt_cache_messages": st.sampled_from((True, 0)),
    "prompt_cache_ttl": st.sampled_from(("5m", "1h")),
    "use_converse": st.just(True),
}
REASONINGS = (
    Reasoning("I think.", signature="c2ln"),
    Reasoning("I think."),
    Reasoning(redacted=b"secret"),
)
ATTACHMENTS = (
    Image(data=PNG),
    Document(text="Oslo is rainy."),
    Document(data=b"%PDF-1.4 Oslo"),
    Document(data=b"a,b", format="csv"),
    Document(data=b"PK", format="docx"),
    CachePoint(),
    CachePoint("1h"),
)


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.sets(st.sampled_from(tuple(OPTIONS)), max_size=5))
    if names & {"prompt_cache_messages", "prompt_cache_ttl"}:
        names.add("prompt_cache")
    if "tool_choice" in names:
        names.add("tools")
    return {name: draw(OPTIONS[name]) for name in sorted(names)}


@st.composite
def user_turn(draw: st.DrawFn) -> Message:
    extra = draw(st.lists(st.sampled_from(ATTACHMENTS), max_size=2))
    blocks: list[Any] = [Text(draw(TEXTS)), *extra]
    return Message("user", draw(st.permutations(blocks)) if extra else blocks)


@st.composite
def exchange(draw: st.DrawFn, number: int) -> list[Message]:
    """Return a turn of the assistant and what follows it: the results of its calls, or another question."""
    said: list[Any] = draw(st.lists(st.sampled_from(REASONINGS), max_size=1))
    said += [Text(text) for text in draw(st.lists(TEXTS, max_size=1))]
    form = draw(st.sampled_from(("call-{}", "tooluse.{}:x")))
    ids = [form.format(f"{number}{index}") for index in range(draw(st.integers(0, 2)))]
    if not ids:
        return [Message("assistant", [*said, Text(draw(TEXTS))]), draw(user_turn())]
    calls = [ToolCall(id=name, name="weather", input={"city": "Oslo"}) for name in ids]
    answers: list[Any] = [draw(result(name)) for name in ids]
    answers += draw(st.lists(st.sampled_from((Text("And?"), Text(" "), *ATTACHMENTS)), max_size=1))
    return [Message("assistant", [*said, *calls]), Message("user", answers)]


@st.composite
def result(draw: st.DrawFn, name: str) -> ToolResult:
    contents: tuple[Any, ...] = (
        (),
        " ",
        "rain",
        {"sky": "grey"},
        [Text("rain"), Image(data=PNG)],
        [Document(text="x")],
    )
    return ToolResult(name, draw(st.sampled_from(contents)), status=draw(st.sampled_from((None, "success", "error"))))


@st.composite
def conversation(draw: st.DrawFn) -> list[Message]:
    messages = [draw(user_turn())]
    for number in range(draw(st.integers(0, 2))):
        messages += draw(exchange(number))
    if draw(st.integers(0, 4)) == 0:
        messages.append(Message("assistant", [Text(draw(TEXTS))]))
    return messages


def validated(explained: Explanation) -> None:
    """Read a request as the emulator does. Raises `Refusal`."""
    found = find_operation(explained.method, urlsplit(explained.url).path)
    assert found is not None
    operation, model = found
    operation.read(Asked(explained.body, model))


@pytest.fixture(scope="module")
def planner() -> Client:
    """Return a client that only plans: it opens no connection."""
    return Client(api_key="key", region="us-east-1")


@settings(
    max_examples=exhaustive(whole=250, part=100),
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(messages=conversation(), chosen=options(), mode=st.sampled_from(("error", "drop")))
def test_what_is_sent_to_any_model_is_accepted(
    planner: Client, messages: list[Message], chosen: dict[str, Any], mode: Any
) -> None:
    """With "drop" the same options reach more models: what is left of them must be accepted too."""
    refused = []
    for model in ONE_ID_PER_ROW:
        try:
            explained = planner.explain(model, messages, **chosen, unsupported=mode)
        except ConfigurationError:
            continue
        try:
            validated(explained)
        except Refusal as refusal:
            refused.append(f"{model} by {explained.route}: {refusal.message}\n{json.dumps(explained.body)[:2000]}")
    assert not refused, "\n".join(refused)


# A request for each operation that is refused, with the part of the body that is changed behind the library's back.
BROKEN: dict[str, tuple[str, dict[str, Any], Callable[[dict[str, Any]], None]]] = {
    "converse": (
        "amazon.nova-lite-v1:0",
        {"reasoning": "none", "temperature": 0.5},
        lambda body: body["inferenceConfig"].update(maxTokens=20_000),
    ),
    "invoke": (
        "anthropic.claude-opus-4-8-v1:0",
        {"max_tokens": 100},
        lambda body: body.update(temperature=0.5),
    ),
}


@pytest.mark.parametrize("route", BROKEN)
async def test_the_validation_is_that_of_a_running_emulator(route: str, planner: Client, emulator: Emulator) -> None:
    model, chosen, breaks = BROKEN[route]
    explained = planner.explain(model, "Hello", **chosen)
    assert explained.route == route
    validated(explained)
    operation = explained.url.rpartition("/")[2]
    answer = await post(emulator, explained.body, operation, model)
    assert answer.status == 200
    breaks(explained.body)
    with pytest.raises(Refusal) as caught:
        validated(explained)
    answer = await post(emulator, explained.body, operation, model)
    assert answer.error == (caught.value.status, caught.value.code, {"message": caught.value.message})


def test_the_sample_reaches_every_row(planner: Client) -> None:
    for model in ONE_ID_PER_ROW:
        validated(planner.explain(model, "Hello"))
