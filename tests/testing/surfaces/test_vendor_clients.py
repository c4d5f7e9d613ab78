"""The clients of Anthropic and OpenAI, unchanged, on the emulator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from anthropic import APIError as AnthropicError
from anthropic import AsyncAnthropic, AsyncAnthropicBedrockMantle, PermissionDeniedError, RateLimitError
from openai import APIError, AsyncOpenAI
from openai import PermissionDeniedError as OpenAIPermissionDenied
from openai import RateLimitError as OpenAIRateLimit
from openai.providers.bedrock import bedrock

from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    API_KEY,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    http_error,
    reasoning,
    stream_error,
    text,
    tool_call,
)
from tests.support.surface_client import CLAUDE, GPT, GPT_OSS

ASK: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"name": "get_weather", "description": "The weather of a city", "input_schema": SCHEMA}
CHAT_WEATHER: Any = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
FUNCTION: Any = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}
SCRIPT = (reasoning("Hm.", signature="c2ln"), text("Look."), tool_call("get_weather", {"city": "Oslo"}, fragments=3))


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


def mantle(emulator: Emulator, *, secret: str = SECRET_ACCESS_KEY) -> AsyncAnthropicBedrockMantle:
    return AsyncAnthropicBedrockMantle(
        base_url=emulator.url + "/anthropic",
        aws_access_key=ACCESS_KEY_ID,
        aws_secret_key=secret,
        aws_region=REGION,
        max_retries=0,
    )


@asynccontextmanager
async def openai_on(
    emulator: Emulator, endpoint: Any, path: str = "/openai/v1", *, secret: str = SECRET_ACCESS_KEY
) -> AsyncIterator[AsyncOpenAI]:
    """Open OpenAI's client: signed for an endpoint, or with the bearer key if that is None."""
    if endpoint is None:
        client = AsyncOpenAI(base_url=emulator.url + path, api_key=API_KEY, max_retries=0)
    else:
        provider = bedrock(
            endpoint=endpoint,
            base_url=emulator.url + path,
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=secret,
            region=REGION,
        )
        client = AsyncOpenAI(provider=provider, max_retries=0)
    async with client:
        yield client


# ------------------------------------------------------------------------------------------------------------ Anthropic


async def test_anthropics_client_for_mantle_runs_a_tool(emulator: Emulator) -> None:
    request: Any = {"model": CLAUDE, "max_tokens": 2000, "tools": [WEATHER]}
    for _ in range(2):
        emulator.script(*SCRIPT)
    async with mantle(emulator) as client:
        created = await client.messages.create(messages=ASK, **request)
        async with client.messages.stream(messages=ASK, **request) as stream:
            streamed = await stream.get_final_message()
        assert streamed.to_dict()["content"] == created.to_dict()["content"]
        assert [block.type for block in streamed.content] == ["thinking", "text", "tool_use"]
        assert streamed.stop_reason == created.stop_reason == "tool_use"
        call: Any = streamed.content[-1]
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
        turns: Any = [
            *ASK,
            {"role": "assistant", "content": streamed.content},
            {"role": "user", "content": [result]},
        ]
        async with client.messages.stream(messages=turns, **request) as stream:
            assert "".join([piece async for piece in stream.text_stream]) == "get_weather says: rain."
    assert {(request.auth, request.service) for request in emulator.requests} == {("sigv4", "bedrock-mantle")}


async def test_anthropics_client_counts_and_lists(emulator: Emulator) -> None:
    async with mantle(emulator) as client:
        few = await client.messages.count_tokens(model=CLAUDE, messages=ASK)
        many = await client.messages.count_tokens(model=CLAUDE, messages=[{"role": "user", "content": "a b " * 50}])
        answer = await client.messages.create(model=CLAUDE, max_tokens=9, messages=ASK)
    assert few.input_tokens == answer.usage.input_tokens < many.input_tokens
    async with AsyncAnthropic(base_url=emulator.url + "/anthropic", api_key=API_KEY) as plain:
        assert CLAUDE in [model.id async for model in plain.models.list()]
    assert emulator.requests[-1].auth == "bearer"


async def test_anthropics_client_raises_errors(emulator: Emulator) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Slow down"))
    emulator.script(text("a"), stream_error("throttlingException", "enough"))
    async with mantle(emulator) as client:
        with pytest.raises(RateLimitError, match="Slow down"):
            await client.messages.create(model=CLAUDE, max_tokens=9, messages=ASK)
        with pytest.raises(AnthropicError, match="enough"):
            async with client.messages.stream(model=CLAUDE, max_tokens=9, messages=ASK) as stream:
                await stream.get_final_message()
    async with mantle(emulator, secret="wrong") as client:
        with pytest.raises(PermissionDeniedError, match="signature"):
            await client.messages.create(model=CLAUDE, max_tokens=9, messages=ASK)


# --------------------------------------------------------------------------------------------------------------- OpenAI

CHAT_WAYS = pytest.mark.parametrize(
    ("endpoint", "path", "model"),
    [
        ("mantle", "/openai/v1", GPT),
        ("mantle", "/v1", GPT_OSS),
        ("runtime", "/openai/v1", "openai.gpt-oss-20b-1:0"),
        (None, "/v1", GPT_OSS),
    ],
)
RESPONSE_WAYS = pytest.mark.parametrize(
    ("endpoint", "path", "model"),
    [
        ("mantle", "/openai/v1", GPT),
        ("mantle", "/v1", GPT_OSS),
        ("runtime", "/openai/v1", "global." + GPT),
        (None, "/openai/v1", GPT),
    ],
)


@CHAT_WAYS
async def test_openais_client_chats(emulator: Emulator, endpoint: Any, path: str, model: str) -> None:
    for _ in range(2):
        emulator.script(*SCRIPT)
    request: Any = {"model": model, "tools": [CHAT_WEATHER], "messages": ASK}
    async with openai_on(emulator, endpoint, path) as client:
        created = await client.chat.completions.create(**request)
        async with client.chat.completions.stream(**request, stream_options={"include_usage": True}) as stream:
            async for _ in stream:
                pass
            streamed = await stream.get_final_completion()
        whole, parts = created.choices[0].message, streamed.choices[0].message
        # In a stream, each delta of reasoning in the text has its own tags.
        assert [str(message.content).rpartition("</reasoning>")[2] for message in (whole, parts)] == ["Look."] * 2
        made: Any = (whole.tool_calls or [])[0]
        assert json.loads(made.function.arguments) == {"city": "Oslo"}
        assert created.usage is not None
        assert streamed.usage is not None
        assert created.usage.total_tokens == streamed.usage.total_tokens
        result = {"role": "tool", "tool_call_id": made.id, "content": "rain"}
        request["messages"] = [*ASK, {"role": "assistant", "tool_calls": [made.to_dict()]}, result]
        final = await client.chat.completions.create(**request)
    assert final.choices[0].message.content == "get_weather says: rain."
    assert {request.target for request in emulator.requests} == {path + "/chat/completions"}


@RESPONSE_WAYS
async def test_openais_client_responds(emulator: Emulator, endpoint: Any, path: str, model: str) -> None:
    for _ in range(2):
        emulator.script(*SCRIPT)
    request: Any = {"model": model, "tools": [FUNCTION]}
    async with openai_on(emulator, endpoint, path) as client:
        created = await client.responses.create(input=ASK, **request)
        async with client.responses.stream(input=ASK, **request) as stream:
            async for _ in stream:
                pass
            streamed = await stream.get_final_response()
        assert created.output_text == streamed.output_text == "Look."
        assert [item.type for item in streamed.output] == ["reasoning", "message", "function_call"]
        made: Any = created.output[-1]
        assert (made.call_id, json.loads(made.arguments)) == ("call_0", {"city": "Oslo"})
        result: Any = {"type": "function_call_output", "call_id": made.call_id, "output": "rain"}
        history: Any = [*ASK, *(item.to_dict() for item in created.output), result]
        final = await client.responses.create(input=history, **request)
        stored = await client.responses.create(input=[result], previous_response_id=created.id, **request)
    assert final.output_text == stored.output_text == "get_weather says: rain."
    assert {request.target for request in emulator.requests} == {path + "/responses"}


async def test_openais_client_lists_models_and_raises_errors(emulator: Emulator) -> None:
    async with openai_on(emulator, "mantle") as client:
        assert GPT in [model.id async for model in client.models.list()]
        for ask in (
            lambda: client.chat.completions.create(model=GPT, messages=ASK, stream=True),
            lambda: client.responses.create(model=GPT, input="Hello", stream=True),
        ):
            emulator.script(http_error(429, "ThrottlingException", "Slow down"))
            with pytest.raises(OpenAIRateLimit, match="Slow down"):
                await ask()
            emulator.script(text("a"), stream_error("internalServerException", "Oh no"))
            with pytest.raises(APIError, match="Oh no"):
                async for _ in await ask():
                    pass
    async with openai_on(emulator, "runtime", secret="wrong") as client:
        with pytest.raises(OpenAIPermissionDenied, match="signature"):
            await client.responses.create(model=GPT, input="Hello")
