"""What the page shows as code sends the same requests, and what a model takes is asked from the capability table."""

from __future__ import annotations

import os
import subprocess
import sys
from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bedrock_stream
from bedrock_stream import Message, Reasoning, Text, ToolCall
from bedrock_stream.cli.playground.literals import WIDTH, literal
from bedrock_stream.cli.playground.scenes import STARTERS, play_scene
from bedrock_stream.testing import API_KEY, SECRET_ACCESS_KEY, Emulator, cut, text
from tests.support.playground_server import TOKEN, served

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
}


@pytest.fixture
def emulator() -> Emulator:
    """Return an emulator that the playground starts, not the test."""
    return Emulator(script=play_scene)


@pytest.fixture
async def browser(emulator: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session that has the access cookie."""
    jar = aiohttp.CookieJar(unsafe=True)  # accepts cookies from an IP address
    async with (
        served(emulator) as address,
        aiohttp.ClientSession(address, cookie_jar=jar, headers={"Origin": address}) as session,
    ):
        async with session.get("/", params={"token": TOKEN}):
            pass
        yield session


def question(prompt: str = "Hello", **options: Any) -> dict[str, Any]:
    return {"model": CLAUDE, "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}], **options}


async def ask(browser: aiohttp.ClientSession, asked: dict[str, Any]) -> list[dict[str, Any]]:
    async with browser.post("/chat", json=asked) as response:
        return [msgspec.json.decode(line) async for line in response.content]


async def code_of(browser: aiohttp.ClientSession, asked: dict[str, Any]) -> dict[str, Any]:
    async with browser.post("/code", json=asked) as response:
        assert response.status == 200
        view: dict[str, Any] = await response.json()
        return view


def run_program(source: str) -> str:
    root = Path(bedrock_stream.__file__).parent.parent
    environ = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------------------------------------------------------- code


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"system": 'Say "yes",\nor don\'t.', "max_tokens": 9, "temperature": 0.5, "stop_sequences": ["\nEND", "STOP"]},
        {"tools": True},
        {"route": "converse", "reasoning": "low", "prompt_cache": True},
        {"output_schema": SCHEMA},
        {"model": LLAMA},
    ],
    ids=["plain", "options", "tools", "reasoning", "schema", "llama"],
)
async def test_the_program_sends_the_requests_of_the_page(
    browser: aiohttp.ClientSession, emulator: Emulator, options: dict[str, Any]
) -> None:
    asked = question(STARTERS[0].prompt, **options)
    assert (await ask(browser, asked))[-1]["type"] == "done"
    sent = [(request.operation, request.json) for request in emulator.requests]
    view = await code_of(browser, asked)
    assert len(emulator.requests) == len(sent)  # showing the code sends nothing
    assert view["request"]["body"] == sent[0][1]
    assert await to_thread(run_program, view["python"])
    assert [(request.operation, request.json) for request in emulator.requests[len(sent) :]] == sent


async def test_the_program_has_the_history_with_its_tool_calls(
    browser: aiohttp.ClientSession, emulator: Emulator
) -> None:
    first = question(STARTERS[0].prompt, tools=True)
    added = (await ask(browser, first))[-1]["messages"]
    second = question("Thanks", tools=True)
    second["messages"] = [*first["messages"], *added, *second["messages"]]
    assert (await ask(browser, second))[-1]["type"] == "done"
    sent = emulator.requests[-1].json
    assert len(sent["messages"]) == 5
    program = (await code_of(browser, second))["python"]
    await to_thread(run_program, program)
    assert emulator.requests[-1].json == sent


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=12,
)
_MESSAGES = st.builds(
    Message.assistant,
    st.builds(Text, st.text(min_size=1)),
    st.builds(Reasoning, st.text(min_size=1), signature=st.none() | st.text()),
    st.builds(ToolCall, st.just("id"), st.just("name"), st.dictionaries(st.text(), _JSON, max_size=3)),
)


@given(st.lists(_MESSAGES, max_size=2), _JSON)
def test_a_value_is_written_as_python(messages: list[Message], value: Any) -> None:
    names: set[str] = set()
    for shown in (messages, value):
        source = literal(shown, names)
        assert eval(source, vars(bedrock_stream) | {name: getattr(bedrock_stream, name) for name in names}) == shown  # noqa: S307


def test_a_long_value_is_broken_into_lines() -> None:
    value = {"names": ["a" * 20, "b" * 20, "c" * 20], "empty": [], "nested": {"deep": ["d" * 60, "e" * 60]}}
    lines = literal(value, set()).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[1:3] == [f'    "names": ["{"a" * 20}", "{"b" * 20}", "{"c" * 20}"],', '    "empty": [],']


async def test_the_code_has_no_secrets(browser: aiohttp.ClientSession) -> None:
    view = await code_of(browser, question(tools=True))
    assert view["request"]["headers"]["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=...")
    shown = msgspec.json.encode(view).decode()
    assert SECRET_ACCESS_KEY not in shown
    assert API_KEY not in shown
    assert TOKEN not in shown


async def test_the_code_of_an_invalid_question_is_an_error(browser: aiohttp.ClientSession) -> None:
    for invalid in (question(max_tokens=0), question(reasoning="much"), question(tools=True, output_schema=SCHEMA)):
        async with browser.post("/code", json=invalid) as response:
            assert response.status == 400
            assert (await response.json())["type"] == "error"


# ----------------------------------------------------------------------------------------------------- what models take


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (CLAUDE, {"temperature": True, "schema": True, "caching": True, "native": True, "tools": True}),
        ("anthropic.claude-opus-4-8", {"temperature": False, "caching": True, "native": True}),
        (LLAMA, {"caching": False, "reasoning": [], "reasoning_field": "", "native": True}),
        ("us.amazon.nova-pro-v1:0", {"temperature": True, "native": False, "reasoning": []}),
        ("example.model-v1:0", {"native": False, "reasoning": [], "caching": False}),
    ],
)
async def test_the_options_of_a_model(browser: aiohttp.ClientSession, model: str, expected: dict[str, Any]) -> None:
    async with browser.get("/takes", params={"model": model}) as response:
        takes = await response.json()
    assert {name: takes[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("model", "field", "labels"),
    [
        (CLAUDE, "thinking.budget_tokens", ["Off", "1,024 tokens (low)", "2,048 tokens (medium)"]),
        ("anthropic.claude-opus-4-6", "output_config.effort", ["Off", "low", "medium", "high", "max"]),
        ("anthropic.claude-sonnet-5-5", "output_config.effort", ["Model default", "Off", "low"]),
        ("anthropic.claude-opus-5-5", "output_config.effort", ["Model default", "low", "medium"]),
        ("openai.gpt-oss-120b-1:0", "reasoning_effort", ["Model default", "low", "medium", "high"]),
    ],
)
async def test_reasoning_has_the_words_of_the_model(
    browser: aiohttp.ClientSession, model: str, field: str, labels: list[str]
) -> None:
    async with browser.get("/takes", params={"model": model}) as response:
        takes = await response.json()
    assert takes["reasoning_field"] == field
    assert [choice["label"] for choice in takes["reasoning"]][: len(labels)] == labels


async def test_an_id_of_no_model_is_an_error(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/takes", params={"model": " "}) as response:
        assert response.status == 400
        assert (await response.json())["remedy"]


# ------------------------------------------------------------------------------------------- answers of the new options


async def test_a_structured_answer_has_snapshots_between_its_events(
    browser: aiohttp.ClientSession, emulator: Emulator
) -> None:
    emulator.script(text(['{"city": "Os', 'lo", "peo', 'ple": 7', "17}"]))
    lines = await ask(browser, question(output_schema=SCHEMA))
    kinds = [line["type"] for line in lines if line["type"] not in ("frame", "measures")]
    assert kinds[:2] == ["round", "message_start"]
    assert kinds.count("text_delta") == 4
    snapshots = [line for line in lines if line["type"] == "snapshot"]
    assert snapshots[0] == {"type": "snapshot", "value": {"city": "Os"}, "complete": False}
    assert snapshots[-1] == {"type": "snapshot", "value": {"city": "Oslo", "people": 717}, "complete": True}
    assert lines[-1]["type"] == "done"
    assert lines[-1]["messages"][0]["role"] == "assistant"


async def test_a_structured_answer_that_fails_ends_with_its_error(
    browser: aiohttp.ClientSession, emulator: Emulator
) -> None:
    emulator.script(text('{"city": "Os'), cut(inside=20), text('lo"}'))
    lines = await ask(browser, question(output_schema=SCHEMA))
    assert lines[-1]["kind"] == "StreamInterrupted"
    assert any(line["type"] == "text_delta" for line in lines)
    assert [line["problem"] is None for line in lines if line["type"] == "frame"][-1] is False


async def test_the_cost_is_known_where_prices_are(browser: aiohttp.ClientSession) -> None:
    pytest.importorskip("genai_prices")
    for asked in (question(), question(output_schema=SCHEMA)):
        assert (await ask(browser, asked))[-1]["cost"] > 0
    assert (await ask(browser, question(model="example.model-v1:0")))[-1]["cost"] is None


@pytest.mark.parametrize("route", ["auto", "native"])
async def test_the_emulator_calls_tools_only_where_the_prompt_asks_for_them(
    browser: aiohttp.ClientSession, route: str
) -> None:
    # Each has a word of a tool's description.
    for prompt in ("Which city is always the same?", "Explain the next hours of data.", "Get the current state."):
        lines = await ask(browser, question(prompt, tools=True, route=route))
        assert not any(line["type"] == "tool_call_start" for line in lines), prompt
        assert prompt in "".join(line.get("text", "") for line in lines)
    for prompt, name in (("What is the weather in Rome?", "get_weather"), ("What time is it?", "get_time")):
        lines = await ask(browser, question(prompt, tools=True, route=route))
        assert [line["name"] for line in lines if line["type"] == "tool_call_start"] == [name]
