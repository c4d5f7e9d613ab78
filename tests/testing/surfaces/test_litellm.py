"""litellm, unchanged, on the emulator: Messages and Chat Completions of Bedrock Mantle, and Converse."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    http_error,
    stream_error,
    text,
    tool_call,
)

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import fetches a list of prices
litellm = pytest.importorskip("litellm", reason="litellm is installed in a step of its own")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ASK = [{"role": "user", "content": "Tell me of Oslo."}]
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
# The model, the path that is added to the origin, and the target of the request.
WAYS = [
    ("bedrock_mantle/anthropic.claude-opus-5-5", "", "/anthropic/v1/messages"),
    ("bedrock_mantle/openai.gpt-oss-120b", "/v1", "/v1/chat/completions"),
    ("bedrock/global.openai.gpt-6-sol", "", None),
]
every_way = pytest.mark.parametrize(("model", "base", "target"), WAYS)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    litellm.suppress_debug_info = True
    async with Emulator() as running:
        yield running


async def ask(emulator: Emulator, model: str, base: str, **members: Any) -> Any:
    return await litellm.acompletion(
        model=model,
        messages=ASK,
        max_tokens=50,
        api_base=emulator.url + base,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        aws_region_name=REGION,
        num_retries=0,
        **members,
    )


@every_way
async def test_text_streamed_and_whole(emulator: Emulator, model: str, base: str, target: str | None) -> None:
    for _ in range(2):
        emulator.script(text("Hello world"))
    stream = await ask(emulator, model, base, stream=True)
    streamed = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    whole = (await ask(emulator, model, base)).choices[0].message.content
    assert streamed == whole == "Hello world"
    assert target is None or {request.target for request in emulator.requests} == {target}
    assert {request.auth for request in emulator.requests} == {"sigv4"}


@every_way
async def test_a_tool_call(emulator: Emulator, model: str, base: str, target: str | None) -> None:
    emulator.script(tool_call("get_weather", {"city": "Oslo"}))
    answer = await ask(emulator, model, base, tools=[WEATHER])
    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Oslo"})


@every_way
async def test_errors(emulator: Emulator, model: str, base: str, target: str | None) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Slow down"))
    with pytest.raises(litellm.RateLimitError, match="Slow down"):
        await ask(emulator, model, base)
    emulator.script(text("Hello"), stream_error("throttlingException", "Slow down"))
    with pytest.raises(Exception, match="Slow down"):
        async for _ in await ask(emulator, model, base, stream=True):
            pass
