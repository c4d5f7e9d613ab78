"""The native routes with other clients: boto3, aiobotocore and Anthropic's client for Bedrock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from aiobotocore.session import get_session
from anthropic import APIStatusError, AsyncAnthropicBedrock
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    Step,
    citation,
    http_error,
    reasoning,
    stream_error,
    text,
    tool_call,
)
from tests.support.emulator_client import CLAUDE, GPT_OSS, LLAMA, NATIVE

SONNET_4 = "anthropic.claude-sonnet-4-20250514-v1:0"
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASK: Any = {"role": "user", "content": "What is the weather in Oslo?"}
THINK: Any = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


@pytest.fixture
async def anthropic(emulator: Emulator) -> AsyncIterator[AsyncAnthropicBedrock]:
    async with AsyncAnthropicBedrock(
        base_url=emulator.url,
        aws_access_key=ACCESS_KEY_ID,
        aws_secret_key=SECRET_ACCESS_KEY,
        aws_region=REGION,
        max_retries=0,
    ) as client:
        yield client


# ------------------------------------------------------------------------------------------------------------------ AWS


def settings(emulator: Emulator) -> dict[str, Any]:
    return {
        "endpoint_url": emulator.url,
        "region_name": REGION,
        "aws_access_key_id": ACCESS_KEY_ID,
        "aws_secret_access_key": SECRET_ACCESS_KEY,
        "config": Config(retries={"total_max_attempts": 1, "mode": "standard"}),
    }


def boto(emulator: Emulator, operation: str, model: str, **request: Any) -> Any:
    """Call an operation with boto3. Return a stream as the list of its documents."""
    with closing(boto3.client("bedrock-runtime", **settings(emulator))) as client:
        answer = getattr(client, operation)(modelId=model, **request)
        if operation == "invoke_model":
            with closing(answer["body"]) as stream:
                return json.loads(stream.read())
        if operation == "count_tokens":
            return answer["inputTokens"]
        with closing(answer["body"]) as events:
            return [json.loads(event["chunk"]["bytes"]) for event in events]


async def aioboto(emulator: Emulator, operation: str, model: str, **request: Any) -> Any:
    """Call an operation with aiobotocore. Return a stream as the list of its documents."""
    async with get_session().create_client("bedrock-runtime", **settings(emulator)) as client:
        answer = await getattr(client, operation)(modelId=model, **request)
        if operation == "invoke_model":
            async with answer["body"] as stream:
                return json.loads(await stream.read())
        if operation == "count_tokens":
            return answer["inputTokens"]
        return [json.loads(event["chunk"]["bytes"]) async for event in answer["body"]]


async def call(client: str, emulator: Emulator, operation: str, model: str, **request: Any) -> Any:
    if client == "boto3":
        return await asyncio.to_thread(boto, emulator, operation, model, **request)
    return await aioboto(emulator, operation, model, **request)


def text_of(document: dict[str, Any]) -> str:
    """Return the text of any family's document or chunk."""
    match document:
        case {"content": [{"text": text}]} | {"delta": {"text": text}} | {"generation": text}:
            return str(text)
        case {"choices": [{"message": {"content": text}}]} | {"choices": [{"delta": {"content": text}}]}:
            return str(text)
    return ""


AWS_CLIENTS = pytest.mark.parametrize("client", ["boto3", "aiobotocore"])


@AWS_CLIENTS
@pytest.mark.parametrize("model", [CLAUDE, GPT_OSS, LLAMA])
async def test_aws_clients_invoke_every_family_with_and_without_streaming(
    client: str, model: str, emulator: Emulator
) -> None:
    body = json.dumps(NATIVE[model])
    message = await call(client, emulator, "invoke_model", model, body=body)
    chunks = await call(client, emulator, "invoke_model_with_response_stream", model, body=body)
    assert text_of(message).startswith('You said: "Hello".')
    assert "".join(map(text_of, chunks)) == text_of(message)
    assert chunks[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] > 10
    assert [request.auth for request in emulator.requests] == ["sigv4", "sigv4"]


@AWS_CLIENTS
async def test_aws_clients_count_tokens(client: str, emulator: Emulator) -> None:
    native = {"invokeModel": {"body": json.dumps(NATIVE[CLAUDE]).encode()}}
    converse = {"converse": {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}}
    assert await call(client, emulator, "count_tokens", CLAUDE, input=native) == 2
    assert await call(client, emulator, "count_tokens", CLAUDE, input=converse) == 2
    with pytest.raises(ClientError, match="doesn't support counting tokens"):
        await call(client, emulator, "count_tokens", "us." + CLAUDE, input=converse)


async def test_boto3_raises_errors_of_native_routes(emulator: Emulator) -> None:
    body = json.dumps(NATIVE[CLAUDE])
    emulator.script(text("a"), stream_error("throttlingException", "enough"))
    with pytest.raises(EventStreamError, match="enough"):
        await asyncio.to_thread(boto, emulator, "invoke_model_with_response_stream", CLAUDE, body=body)
    with pytest.raises(ClientError, match="max_tokens: Field required"):
        await asyncio.to_thread(
            boto, emulator, "invoke_model", CLAUDE, body='{"anthropic_version": "bedrock-2023-05-31"}'
        )


# ------------------------------------------------------------------------------------------------------------ Anthropic


async def test_anthropics_client_runs_a_tool_with_and_without_streaming(
    emulator: Emulator, anthropic: AsyncAnthropicBedrock
) -> None:
    request: Any = {"model": SONNET_4, "max_tokens": 2000, "tools": [WEATHER], "thinking": THINK}
    created = await anthropic.messages.create(messages=[ASK], **request)
    assert [block.type for block in created.content] == ["thinking", "text", "tool_use"]
    async with anthropic.messages.stream(messages=[ASK], **request) as stream:
        kinds = {event.type async for event in stream}
        streamed = await stream.get_final_message()
    assert {"text", "thinking", "signature", "input_json", "message_stop"} <= kinds
    assert streamed.to_dict()["content"] == created.to_dict()["content"]
    assert streamed.usage.output_tokens == created.usage.output_tokens
    call: Any = streamed.content[-1]  # a union of a dozen blocks
    assert (call.type, streamed.stop_reason) == ("tool_use", "tool_use")
    assert call.input == {"city": "Oslo"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "rain"}]}
    turns: list[Any] = [
        ASK,
        {"role": "assistant", "content": streamed.content},
        {"role": "user", "content": [result]},
    ]
    async with anthropic.messages.stream(messages=turns, **request) as stream:
        joined = "".join([piece async for piece in stream.text_stream])
    assert joined == "get_weather says: rain."
    assert {request.auth for request in emulator.requests} == {"sigv4"}


async def test_anthropics_client_reads_scripted_blocks(emulator: Emulator, anthropic: AsyncAnthropicBedrock) -> None:
    script: list[Step] = [
        reasoning("Hm", signature="c2ln"),
        reasoning(redacted=b"sealed"),
        text("According to it"),
        citation(title="T", sourceContent=[{"text": "it"}], documentChar={"documentIndex": 0, "start": 0, "end": 2}),
        tool_call("f", {"a": 1}, id="t1"),
    ]
    emulator.script(*script)
    emulator.script(*script)
    request: Any = {"model": CLAUDE, "max_tokens": 100, "messages": [ASK]}
    created = await anthropic.messages.create(**request)
    async with anthropic.messages.stream(**request) as stream:
        streamed = await stream.get_final_message()
    for message in (created, streamed):
        blocks: list[Any] = list(message.content)
        thinking, redacted, cited, used = blocks
        assert (thinking.type, thinking.thinking, thinking.signature) == ("thinking", "Hm", "c2ln")
        assert (redacted.type, redacted.data) == ("redacted_thinking", "sealed")
        assert cited.type == "text"
        assert cited.citations is not None
        assert cited.citations[0].cited_text == "it"
        assert (used.type, used.input) == ("tool_use", {"a": 1})


async def test_anthropics_client_raises_errors(emulator: Emulator, anthropic: AsyncAnthropicBedrock) -> None:
    request: Any = {"model": CLAUDE, "max_tokens": 100, "messages": [ASK]}
    emulator.script(http_error(429, "ThrottlingException", "slow down"))
    with pytest.raises(APIStatusError, match="slow down") as raised:
        await anthropic.messages.create(**request)
    assert raised.value.status_code == 429
    with pytest.raises(APIStatusError, match="text content blocks must be non-empty"):
        await anthropic.messages.create(**{**request, "messages": [{"role": "user", "content": ""}]})
