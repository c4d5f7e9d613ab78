"""LlamaIndex's own `BedrockConverse`: `async_client=client` moves its async calls here, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bedrock_stream import Client, errors
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    Step,
    cut,
    http_error,
    reasoning,
    stall,
    start,
    stream_error,
    text,
    tool_call,
)
from tests.support.clients import ONCE, client_of

bedrock = pytest.importorskip("llama_index.llms.bedrock_converse", reason="LlamaIndex is in the extra `frameworks`")
pytest.importorskip("aioboto3", reason="LlamaIndex takes an async client only where aioboto3 is installed")

from llama_index.core.agent.workflow import FunctionAgent  # noqa: E402
from llama_index.core.llms import ChatMessage  # noqa: E402
from llama_index.core.tools import FunctionTool  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pydantic.PydanticDeprecatedSince20")

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hello")]


def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    async with client_of(emulator.url, retry=ONCE) as made:
        yield made


def model_of(emulator: Emulator, **changed: Any) -> Any:
    return bedrock.BedrockConverse(
        model=MODEL,
        region_name=REGION,
        endpoint_url=emulator.url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        max_retries=1,
        **changed,
    )


async def chat(llm: Any) -> Any:
    response = await llm.achat(HELLO)
    return response.message.content


async def streamed(llm: Any) -> Any:
    return [piece.delta async for piece in await llm.astream_chat(HELLO)]


async def with_a_tool(llm: Any) -> Any:
    response = await llm.achat_with_tools(
        [FunctionTool.from_defaults(weather)], user_msg="What is the weather in Oslo?"
    )
    return [(call.tool_name, call.tool_kwargs) for call in llm.get_tool_calls_from_response(response)]


async def agent(llm: Any) -> Any:
    ran = FunctionAgent(tools=[FunctionTool.from_defaults(weather)], llm=llm, system_prompt="Be brief.")
    return str(await ran.run("What is the weather in Oslo?"))


@pytest.mark.parametrize("program", [chat, streamed, with_a_tool, agent])
async def test_a_program_gets_the_same_before_and_after(program: Any, emulator: Emulator, client: Client) -> None:
    before = await program(model_of(emulator))
    sent = len(emulator.requests)
    after = await program(model_of(emulator, async_client=client))
    assert after == before
    assert before
    bodies = [json.loads(request.body) for request in emulator.requests]
    assert bodies[sent:] == bodies[:sent]
    agents = {request.headers["User-Agent"].partition("/")[0] for request in emulator.requests[sent:]}
    assert agents == {"bedrock-stream"}


async def test_reasoning_and_tool_calls_are_read_from_the_dicts(emulator: Emulator, client: Client) -> None:
    answer: list[Step] = [
        reasoning("I look it up.", signature="c2ln"),
        text("Now."),
        tool_call("weather", {"city": "Oslo"}),
    ]
    seen = []
    for changed in ({}, {"async_client": client}):
        emulator.script(*answer)
        llm = model_of(emulator, **changed)
        last = [piece async for piece in await llm.astream_chat(HELLO)][-1]
        seen.append([type(block).__name__ for block in last.message.blocks])
        assert "I look it up." in str(last.message.blocks)
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "failure", [http_error(429, "ThrottlingException", "slow down"), stream_error("throttlingException", "slow down")]
)
async def test_a_failure_is_the_class_that_llama_index_looks_for(
    failure: Any, emulator: Emulator, client: Client
) -> None:
    from botocore.exceptions import ClientError

    emulator.script(failure)
    with pytest.raises(ClientError) as caught:
        await streamed(model_of(emulator, async_client=client))
    assert isinstance(caught.value, errors.Throttled)


async def test_its_own_retries_see_our_errors(emulator: Emulator, client: Client) -> None:
    from llama_index.llms.bedrock_converse.utils import _is_retryable_client_error

    for status, code in ((429, "ThrottlingException"), (403, "AccessDeniedException")):
        emulator.script(http_error(status, code, "no"))
        with pytest.raises(errors.ServiceError) as caught:
            await chat(model_of(emulator, async_client=client))
        assert _is_retryable_client_error(caught.value) is (status == 429)


async def test_a_cut_answer_raises(emulator: Emulator, client: Client) -> None:
    emulator.script(text("Hi"), cut())
    with pytest.raises(errors.StreamInterrupted):
        await streamed(model_of(emulator, async_client=client))


async def test_leaving_a_stream_frees_its_connection(emulator: Emulator, client: Client) -> None:
    emulator.script(start(), text("Hi"), stall())
    pieces = await model_of(emulator, async_client=client).astream_chat(HELLO)
    assert (await anext(pieces)).delta == "Hi"
    await pieces.aclose()
    del pieces
    await emulator.wait_until_idle()
