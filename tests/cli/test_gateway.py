"""`gateway`: serves OpenAI clients until Ctrl-C, and requires a key to listen off loopback."""

from __future__ import annotations

import asyncio
import re
import signal
import sys

import pytest
from openai import AsyncOpenAI

from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.gateway import make_gateway, serve
from bedrock_stream.testing import Emulator, delay, text
from tests.support.command_line import started

KEY = "a-custom-key-0123456789"


async def _address(output: asyncio.StreamReader | None) -> str:
    assert output is not None
    match = re.search(r"http://\S+/v1", (await output.readline()).decode())
    assert match
    return match[0]


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_serves_until_a_signal(signal_number: signal.Signals, code: int) -> None:
    async with (
        Emulator(region="eu-west-1") as emulator,
        started(
            "gateway", "--port", "0", "--model", "fast=amazon.nova-lite-v1:0",
            "--region", "eu-west-1", "--endpoint-url", emulator.url,
            env={"BEDROCK_STREAM_GATEWAY_KEY": KEY},
        ) as process,
    ):  # fmt: skip
        async with AsyncOpenAI(base_url=await _address(process.stdout), api_key=KEY, max_retries=0) as ai:
            answer = await ai.chat.completions.create(model="fast", messages=[{"role": "user", "content": "Hello"}])
            assert (answer.choices[0].message.content or "").startswith('You said: "Hello".')
            assert [model.id async for model in await ai.models.list()] == ["fast"]
        process.send_signal(signal_number)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (code, b"", b"")


async def test_open_responses_finish_before_the_server_stops(capsys: pytest.CaptureFixture[str]) -> None:
    async with Emulator() as emulator:
        emulator.script(text("Hello"), delay(0.2), text(" world", joined=True))
        client = {"region": "us-east-1", "endpoint_url": emulator.url}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-example")
            app = make_gateway("127.0.0.1", keys=None, models=None, hosts=(), origins=(), **client)
            serving = asyncio.create_task(serve(app, "127.0.0.1", 0))
            output = ""
            while not (match := re.search(r"http://\S+/v1", output)):
                await asyncio.sleep(0.01)
                output += capsys.readouterr().out
            async with AsyncOpenAI(base_url=match[0], api_key="unused", max_retries=0) as ai:
                answer = await ai.chat.completions.create(
                    model="amazon.nova-lite-v1:0", messages=[{"role": "user", "content": "Hello"}], stream=True
                )
                serving.cancel()
                pieces = [chunk.choices[0].delta.content or "" async for chunk in answer]
            await asyncio.wait([serving])
    assert "".join(pieces) == "Hello world"
    assert serving.cancelled()


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (["--host", "0.0.0.0"], "--key"),  # noqa: S104 - the subject of the test
        (["--host", "gateway.example"], "--key"),
        (["--allow-host", "gateway.example"], "--allow-host"),
        (["--key", "short-secret"], "--key"),
        (["--model", "fast="], "--model"),
        (["--port", "99999"], "--port"),
        (["--region", "no/region", "--endpoint-url", "ftp://x"], "--region"),
    ],
)
def test_usage_errors(options: list[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["gateway", *options]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert option in output.err
    assert output.err.count("\n") == 1
    assert "short-secret" not in output.err


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_package_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("bedrock_stream.gateway", "bedrock_stream.integr"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert invoke(["gateway", "--port", "0"]) == 2
    assert f'{missing} is not installed; pip install "bedrock-stream[gateway]"' in capsys.readouterr().err
