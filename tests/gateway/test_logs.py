"""One line for each request, without content and keys."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from bedrock_stream import Client
from bedrock_stream.gateway import create_gateway
from bedrock_stream.testing import Emulator, cut, http_error, stall, text, tool_call
from tests.support.web_app import serving

NOVA = "amazon.nova-lite-v1:0"
SECRET = "a secret of the prompt"
KEY = "a-custom-key-0123456789"
COMPLETION = rf"POST /v1/chat/completions fast -> {re.escape(NOVA)} in us-east-1: "
END = r", \d+\.\d\d s, request [0-9a-f-]{36}"


class Gateway:
    """A gateway, and the lines that it has logged."""

    def __init__(self, ai: AsyncOpenAI, caplog: pytest.LogCaptureFixture) -> None:
        self.ai = ai
        self._caplog = caplog

    async def lines(self, count: int = 1) -> list[str]:
        """Return the lines once there are so many; one is logged when the response has been sent."""
        async with asyncio.timeout(5):
            while len(self._records) < count:
                await asyncio.sleep(0.005)
        assert SECRET not in self._caplog.text
        assert KEY not in self._caplog.text
        return [f"{record.levelname} {record.getMessage()}" for record in self._records]

    @property
    def _records(self) -> list[logging.LogRecord]:
        return [record for record in self._caplog.records if record.name == "bedrock_stream.gateway"]

    async def ask(self, *, stream: bool) -> None:
        answer: Any = await self.ai.chat.completions.create(
            model="fast", messages=[{"role": "user", "content": SECRET}], stream=stream
        )
        if stream:
            async for _ in answer:
                pass


@pytest.fixture
async def gateway(client: Client, caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, "bedrock_stream.gateway")
    async with (
        serving(create_gateway(client, keys=KEY, models={"fast": NOVA})) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as ai,
    ):
        yield Gateway(ai, caplog)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_completion(gateway: Gateway, emulator: Emulator, stream: bool) -> None:
    emulator.script(text(["Good", " day"]))
    await gateway.ask(stream=stream)
    (line,) = await gateway.lines()
    assert re.fullmatch(rf"INFO {COMPLETION}200, \d+\+2 tokens, first event 0\.\d\d s{END}", line), line


@pytest.mark.parametrize("stream", [True, False])
async def test_a_refusal_of_bedrock(gateway: Gateway, emulator: Emulator, stream: bool) -> None:
    emulator.script(http_error(429, "ThrottlingException", SECRET))
    emulator.script(http_error(503, "ServiceUnavailableException", SECRET))
    for error in (openai.RateLimitError, openai.InternalServerError):
        with pytest.raises(error):
            await gateway.ask(stream=stream)
    refused, failed = await gateway.lines(2)
    assert re.fullmatch(rf"INFO {COMPLETION}429 Throttled, tokens unknown, first event none{END}", refused), refused
    assert re.fullmatch(rf"WARNING {COMPLETION}503 ServiceUnavailable, .*{END}", failed), failed


async def test_a_failure_after_the_status(gateway: Gateway, emulator: Emulator) -> None:
    emulator.script(text(["Good"]), cut())
    with pytest.raises(openai.APIError):
        await gateway.ask(stream=True)
    (line,) = await gateway.lines()
    assert re.fullmatch(rf"INFO {COMPLETION}200 StreamInterrupted, tokens unknown, first event .*{END}", line), line


async def test_broken_tool_input_is_named(gateway: Gateway, emulator: Emulator) -> None:
    emulator.script(tool_call("look", '{"up": '))
    await gateway.ask(stream=False)
    (line,) = await gateway.lines()
    assert f"{NOVA} in us-east-1: 200 ToolInputError, " in line


async def test_a_client_that_leaves(gateway: Gateway, emulator: Emulator) -> None:
    emulator.script(text(["Good"]), stall())
    answer = await gateway.ai.chat.completions.create(
        model="fast", messages=[{"role": "user", "content": SECRET}], stream=True
    )
    await anext(aiter(answer))
    await answer.close()
    (line,) = await gateway.lines()
    assert re.fullmatch(rf"INFO {COMPLETION}200 closed by the client, .*{END}", line), line


async def test_requests_without_a_call(gateway: Gateway, emulator: Emulator) -> None:
    async with httpx.AsyncClient(base_url=str(gateway.ai.base_url)) as http:
        authorized = {"authorization": f"Bearer {KEY}"}
        await http.get("models", headers=authorized)
        await http.get("models/other", headers=authorized)
        await http.get("models/other%0Aline", headers=authorized)
        await http.get("models", headers={"authorization": f"Bearer {SECRET}"})
        await http.put("models", headers=authorized)
        await http.post("chat/completions", headers=authorized, content=SECRET)
    assert await gateway.lines(6) == [
        "INFO GET /v1/models: 200",
        "INFO GET /v1/models/other: 404 model_not_found",
        "INFO GET /v1/models/other?line: 404",
        "INFO GET /v1/models: 401 invalid_api_key",
        "INFO PUT /v1/models: 405",
        "INFO POST /v1/chat/completions: 415",
    ]
    assert emulator.requests == []


async def test_nothing_is_logged_below_the_level(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "bedrock_stream.gateway")
    await gateway.ask(stream=True)
    await gateway.ask(stream=False)
    assert await gateway.lines(0) == []
