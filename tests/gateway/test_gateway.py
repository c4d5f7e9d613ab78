"""OpenAI's own client against the gateway, over real sockets, with an emulator as Bedrock."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk

from bedrock_stream import Client
from bedrock_stream.gateway import create_gateway
from bedrock_stream.testing import (
    Emulator,
    cut,
    hang_before_headers,
    http_error,
    reasoning,
    stall,
    stop,
    text,
    tool_call,
)
from tests.support.soon import soon
from tests.support.web_app import serving

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 30).decode()
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@asynccontextmanager
async def gateway(client: Client, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    async with (
        serving(create_gateway(client, **options)) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as ai,
    ):
        yield ai


@pytest.fixture
async def ai(client: Client) -> AsyncIterator[AsyncOpenAI]:
    async with gateway(client) as ai:
        yield ai


async def streamed(ai: AsyncOpenAI, **request: Any) -> list[ChatCompletionChunk]:
    chunks = await ai.chat.completions.create(stream=True, **{"model": NOVA, "messages": HELLO, **request})
    return [chunk async for chunk in chunks]


def body(emulator: Emulator) -> dict[str, Any]:
    """Return the JSON body of the last request to Bedrock."""
    sent: dict[str, Any] = emulator.requests[-1].json
    return sent


# ----------------------------------------------------------------------------------------------------------------- text


async def test_text_streams(ai: AsyncOpenAI, emulator: Emulator) -> None:
    emulator.script(text(["Good", " day"]))
    chunks = await streamed(ai, stream_options={"include_usage": True})
    *deltas, end, usage = chunks
    assert "".join(chunk.choices[0].delta.content or "" for chunk in deltas) == "Good day"
    assert deltas[0].choices[0].delta.role == "assistant"
    assert end.choices[0].finish_reason == "stop"
    assert (usage.choices, usage.usage and usage.usage.completion_tokens) == ([], 2)
    assert {chunk.model for chunk in chunks} == {NOVA}


async def test_text_without_streaming(ai: AsyncOpenAI, emulator: Emulator) -> None:
    completion = await ai.chat.completions.create(model=NOVA, messages=HELLO)
    (choice,) = completion.choices
    assert choice.message.content is not None
    assert choice.message.content.startswith('You said: "Hello".')
    assert (choice.finish_reason, choice.message.role, choice.message.tool_calls) == ("stop", "assistant", None)
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion._request_id is not None
    assert len(completion._request_id) == 36


async def test_options_reach_bedrock(ai: AsyncOpenAI, emulator: Emulator) -> None:
    await ai.chat.completions.create(
        model=NOVA,
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "One"}]},
            {"role": "assistant", "content": "Two"},
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Three"},
        ],
        max_completion_tokens=7,
        temperature=0.5,
        top_p=0.25,
        stop=["never"],
        seed=1,
        user="me",
    )
    sent = body(emulator)
    assert sent["system"] == [{"text": "Be brief."}, {"text": "Be kind."}]
    assert [(turn["role"], turn["content"]) for turn in sent["messages"]] == [
        ("user", [{"text": "One"}]),
        ("assistant", [{"text": "Two"}]),
        ("user", [{"text": "Three"}]),
    ]
    assert sent["inferenceConfig"] == {
        "maxTokens": 7, "temperature": 0.5, "topP": 0.25, "stopSequences": ["never"],
    }  # fmt: skip


async def test_labels_and_neutral_values_are_ignored(ai: AsyncOpenAI, emulator: Emulator) -> None:
    refusal: Any = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    await ai.chat.completions.create(
        model=NOVA,
        messages=[*HELLO, refusal, {"role": "user", "content": "Why?"}],
        tool_choice="auto",
        response_format={"type": "text"},
        n=1,
        frequency_penalty=0,
        metadata={"a": "b"},
        store=True,
        parallel_tool_calls=True,
    )
    assert set(body(emulator)) == {"messages"}
    assert body(emulator)["messages"][1] == {"role": "assistant", "content": [{"text": "No."}]}


async def test_the_token_limit_is_reported(ai: AsyncOpenAI) -> None:
    completion = await ai.chat.completions.create(model=NOVA, messages=HELLO, max_tokens=3, stop="nothing")
    assert completion.choices[0].finish_reason == "length"
    assert (await streamed(ai, max_tokens=3))[-1].choices[0].finish_reason == "length"


# ---------------------------------------------------------------------------------------------------------------- tools


def calls_of(chunks: list[ChatCompletionChunk]) -> list[dict[str, str]]:
    calls: list[dict[str, str]] = []
    for chunk in chunks:
        for call in chunk.choices[0].delta.tool_calls or ():
            assert call.function is not None
            if call.id:
                assert call.index == len(calls)
                calls.append({"id": call.id, "name": call.function.name or "", "input": ""})
            calls[call.index]["input"] += call.function.arguments or ""
    return calls


async def test_a_tool_call_and_its_result(ai: AsyncOpenAI, emulator: Emulator) -> None:
    emulator.script(
        text("Let me look."), tool_call("weather", {"city": "Oslo"}), tool_call("weather", {"city": "Rome"})
    )
    question: list[Any] = [{"role": "user", "content": "The weather in Oslo and Rome?"}]
    first = await ai.chat.completions.create(model=NOVA, messages=question, tools=[WEATHER], tool_choice="required")
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    assert [json.loads(call.function.arguments) for call in message.tool_calls if call.type == "function"] == [
        {"city": "Oslo"}, {"city": "Rome"},
    ]  # fmt: skip
    assert body(emulator)["toolConfig"]["toolChoice"] == {"any": {}}
    question.append(message)
    question += [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in message.tool_calls]
    second = await ai.chat.completions.create(model=NOVA, messages=question, tools=[WEATHER])
    assert second.choices[0].message.content == "weather says: rain. weather says: rain."
    assert len(body(emulator)["messages"]) == 3  # both results in one message


async def test_tools_stream(ai: AsyncOpenAI, emulator: Emulator) -> None:
    emulator.script(tool_call("weather", {"city": "Oslo"}, fragments=4), tool_call("weather", ""))
    chunks = await streamed(ai, tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "weather"}})
    assert [call["input"] for call in calls_of(chunks)] == ['{"city": "Oslo"}', "{}"]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    assert body(emulator)["toolConfig"]["toolChoice"] == {"tool": {"name": "weather"}}


async def test_openais_own_accumulator_accepts_the_stream(ai: AsyncOpenAI, emulator: Emulator) -> None:
    emulator.script(text("Hm."), tool_call("weather", {"city": "Oslo"}))
    async with ai.chat.completions.stream(model=NOVA, messages=HELLO, tools=[WEATHER]) as chunks:
        completion = await chunks.get_final_completion()
    message = completion.choices[0].message
    assert message.content == "Hm."
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.arguments == '{"city": "Oslo"}'


@pytest.mark.parametrize("stream", [True, False])
async def test_arguments_that_are_not_json_are_passed_on_unchanged(
    ai: AsyncOpenAI, emulator: Emulator, stream: bool
) -> None:
    emulator.script(tool_call("weather", '{"city": "Os'), stop("max_tokens"))
    if stream:
        chunks = await streamed(ai, tools=[WEATHER])
        arguments, reason = calls_of(chunks)[0]["input"], chunks[-1].choices[0].finish_reason
    else:
        choice = (await ai.chat.completions.create(model=NOVA, messages=HELLO, tools=[WEATHER])).choices[0]
        assert choice.message.tool_calls is not None
        call = choice.message.tool_calls[0]
        assert call.type == "function"
        arguments, reason = call.function.arguments, choice.finish_reason
    assert (arguments, reason) == ('{"city": "Os', "length")


@pytest.mark.parametrize("stream", [True, False])
async def test_reasoning_is_sent_and_returned_with_its_signature(
    ai: AsyncOpenAI, emulator: Emulator, stream: bool
) -> None:
    emulator.script(reasoning("I should look.", signature="sig"), tool_call("weather", {"city": "Oslo"}, id="call_1"))
    request: dict[str, Any] = {
        "model": CLAUDE, "messages": HELLO, "tools": [WEATHER], "reasoning_effort": "low", "max_tokens": 4000,
    }  # fmt: skip
    if stream:
        deltas = [chunk.choices[0].delta.model_extra or {} for chunk in await streamed(ai, **request)]
        thought = "".join(delta.get("reasoning_content", "") for delta in deltas)
        details = [detail for delta in deltas for detail in delta.get("reasoning_details", ())]
    else:
        extra = (await ai.chat.completions.create(**request)).choices[0].message.model_extra or {}
        thought, details = extra["reasoning_content"], extra["reasoning_details"]
    assert thought == "I should look."
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    turn = {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_details": details}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "rain"}
    await ai.chat.completions.create(**{**request, "messages": [*HELLO, turn, result]})
    assert body(emulator)["messages"][1]["content"][0] == {
        "reasoningContent": {"reasoningText": {"text": "I should look.", "signature": "sig"}}
    }


@pytest.mark.parametrize("model", [NOVA, CLAUDE])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_response_follows_a_schema(ai: AsyncOpenAI, emulator: Emulator, model: str, stream: bool) -> None:
    schema = {
        "type": "object", "properties": {"city": {"type": "string"}},
        "required": ["city"], "additionalProperties": False,
    }  # fmt: skip
    form: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}}
    if stream:
        chunks = await streamed(ai, model=model, response_format=form)
        content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        reason = chunks[-1].choices[0].finish_reason
    else:
        choice = (await ai.chat.completions.create(model=model, messages=HELLO, response_format=form)).choices[0]
        content, reason = choice.message.content or "", choice.finish_reason
    assert set(json.loads(content)) == {"city"}
    assert reason == "stop"


# ---------------------------------------------------------------------------------------------------------------- files


async def test_an_image_and_a_file_are_sent(ai: AsyncOpenAI, emulator: Emulator) -> None:
    notes = base64.b64encode(b"Some notes").decode()
    content: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "file", "file": {"filename": "my notes_1.txt", "file_data": f"data:text/plain;base64,{notes}"}},
    ]
    await ai.chat.completions.create(model=NOVA, messages=[{"role": "user", "content": content}])
    sent = body(emulator)["messages"][0]["content"]
    assert sent[1] == {"image": {"format": "png", "source": {"bytes": PNG}}}
    assert sent[2] == {"document": {"format": "txt", "name": "my notes 1", "source": {"bytes": notes}}}


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "http://169.254.169.254/latest/meta-data/",
        "s3://somebody/secret.png",
        "file:///etc/passwd",
        f"data:image/png,{PNG}",
        "data:image/png;base64,@@@",
        "data:image/tiff;base64,AAAA",
    ],
)
async def test_nothing_is_fetched(ai: AsyncOpenAI, emulator: Emulator, url: str) -> None:
    content: Any = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]
    with pytest.raises(openai.BadRequestError) as caught:
        await ai.chat.completions.create(model=NOVA, messages=[{"role": "user", "content": content}])
    assert str(caught.value.param).startswith("messages[0].content[1]")
    assert emulator.requests == []


async def test_bedrocks_own_blocks_and_options_are_not_accepted(ai: AsyncOpenAI, emulator: Emulator) -> None:
    block = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://somebody/secret.png"}}}}
    foreign: Any = [{"role": "user", "content": [block]}]
    with pytest.raises(openai.BadRequestError):
        await ai.chat.completions.create(model=NOVA, messages=foreign)
    smuggled = {"region": "eu-west-1", "api_key": "x", "extra": {"a": 1}, "guardrail": {}, "provider_options": {"x": 1}}
    await ai.chat.completions.create(model=NOVA, messages=HELLO, extra_body=smuggled)
    assert set(body(emulator)) == {"messages"}
    assert emulator.requests[-1].region == "us-east-1"


# --------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("step", "kind", "code"),
    [
        (http_error(429, "ThrottlingException", "Slow down"), openai.RateLimitError, "rate_limit_exceeded"),
        (http_error(400, "ValidationException", "Bad"), openai.BadRequestError, "ValidationException"),
        (
            http_error(400, "ValidationException", "Input is too long for requested model."),
            openai.BadRequestError,
            "context_length_exceeded",
        ),
        (http_error(404, "ResourceNotFoundException", "None"), openai.NotFoundError, "model_not_found"),
        (http_error(403, "AccessDeniedException", "arn:..."), openai.PermissionDeniedError, "AccessDeniedException"),
        (http_error(503, "ServiceUnavailableException", "Down"), openai.InternalServerError, None),
    ],
)
async def test_bedrock_errors_become_openai_errors(
    ai: AsyncOpenAI, emulator: Emulator, step: Any, kind: type[openai.APIStatusError], code: str | None, stream: bool
) -> None:
    emulator.script(step)
    with pytest.raises(kind) as caught:
        await ai.chat.completions.create(model=NOVA, messages=HELLO, stream=stream)
    assert caught.value.code == (code or "ServiceUnavailableException")
    assert caught.value.request_id is not None
    assert "arn" not in str(caught.value)


async def test_an_error_in_the_stream_is_raised(ai: AsyncOpenAI, emulator: Emulator) -> None:
    emulator.script(text("Hello"), cut())
    with pytest.raises(openai.APIError, match="interrupted"):
        await streamed(ai)
    emulator.script(text("Hello"), cut())
    with pytest.raises(openai.InternalServerError, match="interrupted"):
        await ai.chat.completions.create(model=NOVA, messages=HELLO)


INVALID: list[tuple[dict[str, Any], str | None]] = [
    ({"n": 2}, "n"),
    ({"logprobs": True}, "logprobs"),
    ({"frequency_penalty": 1}, "frequency_penalty"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"temperature": 1.5}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_completion_tokens": 0}, "max_tokens"),
    ({"stop": [""]}, "stop"),
    ({"model": "no model"}, "model"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages"),
    ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "x"}]}, "messages"),
    ({"tools": [{"type": "function", "function": {"name": "no name"}}]}, "tools[0].function"),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
    ({"reasoning_effort": "wild"}, "reasoning_effort"),
    (
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
        "messages[0].content[0].file.file_data",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        "messages[0].content[0].type",
    ),
]


@pytest.mark.parametrize(("members", "param"), INVALID, ids=[str(members)[:60] for members, _ in INVALID])
async def test_an_invalid_request_is_rejected_with_its_param(
    ai: AsyncOpenAI, emulator: Emulator, members: dict[str, Any], param: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ai.chat.completions.create(**{"model": NOVA, "messages": HELLO, **members})
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert emulator.requests == []


async def test_arguments_that_are_not_json_are_rejected(ai: AsyncOpenAI) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{"}}
    turn: Any = {"role": "assistant", "tool_calls": [call]}
    with pytest.raises(openai.BadRequestError, match="expected a JSON object"):
        await ai.chat.completions.create(model=NOVA, messages=[*HELLO, turn])


async def test_server_configuration_errors_are_not_shown(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "no/region")
    async with Client() as client, gateway(client) as ai:
        with pytest.raises(openai.InternalServerError) as caught:
            await ai.chat.completions.create(model=NOVA, messages=HELLO)
    assert "region" not in str(caught.value)


# --------------------------------------------------------------------------------------------------------------- models


async def test_only_listed_models_can_be_requested(emulator: Emulator, client: Client) -> None:
    async with gateway(client, models={"fast": NOVA, "arn/like": CLAUDE}) as ai:
        assert [model.id async for model in await ai.models.list()] == ["fast", "arn/like"]
        assert (await ai.models.retrieve("arn/like")).id == "arn/like"
        assert (await ai.chat.completions.create(model="fast", messages=HELLO)).model == "fast"
        assert emulator.requests[-1].model == NOVA
        for name in (NOVA, "other"):
            with pytest.raises(openai.NotFoundError) as caught:
                await ai.chat.completions.create(model=name, messages=HELLO)
            assert caught.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError):
            await ai.models.retrieve(NOVA)


async def test_an_unknown_path_or_method(ai: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/embeddings"):
        await ai.embeddings.create(model=NOVA, input="x")
    async with httpx.AsyncClient() as http:
        response = await http.get(f"{ai.base_url}chat/completions")
    assert (response.status_code, response.json()["error"]["type"]) == (405, "invalid_request_error")


# ---------------------------------------------------------------------------------------------------------- disconnects


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("script", [[hang_before_headers()], [text("Hello"), stall()]], ids=["before", "inside"])
async def test_a_disconnect_closes_the_stream(
    ai: AsyncOpenAI, emulator: Emulator, stream: bool, script: list[Any]
) -> None:
    emulator.script(*script)
    task: asyncio.Task[Any] = asyncio.create_task(
        streamed(ai) if stream else ai.chat.completions.create(model=NOVA, messages=HELLO)
    )
    await emulator.wait_for_streams(1)
    task.cancel()
    await asyncio.wait([task])
    await soon(emulator.wait_for_streams(0, timeout=None))
