"""Agno's own `AwsBedrock`: `async_client=client` moves its async runs here, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bedrock_stream import Client
from bedrock_stream.testing import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Emulator, cut, http_error, text
from tests.support.clients import ONCE, client_of

aws = pytest.importorskip("agno.models.aws", reason="Agno is in the extra `frameworks`")
pytest.importorskip("aioboto3", reason="without a client of ours, Agno needs aioboto3")

from agno.agent import Agent  # noqa: E402
from agno.exceptions import ModelProviderError  # noqa: E402
from agno.models.message import Message  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


@pytest.fixture
async def emulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", running.url)
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    async with client_of(emulator.url, retry=ONCE) as made:
        yield made


def agent_of(*tools: Any, **changed: Any) -> Any:
    model = aws.AwsBedrock(
        id=MODEL,
        aws_region=REGION,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        **changed,
    )
    return Agent(model=model, tools=[*tools], instructions="Be brief.", telemetry=False, retries=0)


async def chat(changed: Any) -> Any:
    return (await agent_of(**changed).arun("Hello")).content


async def streamed(changed: Any) -> Any:
    run = agent_of(**changed).arun("Hello", stream=True)
    return [event.content async for event in run if event.event == "RunContent"]


async def with_a_tool(changed: Any) -> Any:
    return (await agent_of(weather, **changed).arun("What is the weather in Oslo?")).content


async def streamed_with_a_tool(changed: Any) -> Any:
    run = agent_of(weather, **changed).arun("What is the weather in Oslo?", stream=True)
    return "".join([event.content async for event in run if event.event == "RunContent" and event.content])


@pytest.mark.parametrize("program", [chat, streamed, with_a_tool, streamed_with_a_tool])
async def test_a_program_gets_the_same_before_and_after(program: Any, emulator: Emulator, client: Client) -> None:
    before = await program({})
    sent = len(emulator.requests)
    after = await program({"async_client": client})
    assert after == before
    assert before
    bodies = [json.loads(request.body) for request in emulator.requests]
    assert bodies[sent:] == bodies[:sent]
    agents = {request.headers["User-Agent"].partition("/")[0] for request in emulator.requests[sent:]}
    assert agents == {"bedrock-stream"}


async def test_a_refusal_is_told_as_the_service_said_it(emulator: Emulator, client: Client) -> None:
    """Agno puts `response` of a `ClientError` into its own error."""
    told = []
    for changed in ({}, {"async_client": client}):
        emulator.script(http_error(400, "ValidationException", "not like this"))
        model = agent_of(**changed).model
        with pytest.raises(ModelProviderError) as caught:
            await model.ainvoke([Message(role="user", content="Hello")], Message(role="assistant"))
        told.append("'Code': 'ValidationException'" in str(caught.value) and "not like this" in str(caught.value))
    assert told == [True, True]


async def test_a_cut_answer_is_an_error(emulator: Emulator, client: Client) -> None:
    emulator.script(text("Hi"), cut())
    model = agent_of(async_client=client).model
    with pytest.raises(ModelProviderError, match="ended before the message did"):
        async for _ in model.ainvoke_stream([Message(role="user", content="Hello")], Message(role="assistant")):
            pass
