"""`gateway`: serves OpenAI clients until Ctrl-C, and requires a key to listen off loopback."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import sys
from typing import Any

import pytest
from openai import AsyncOpenAI

from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.gateway import make_gateway, serve
from bedrock_stream.testing import SECRET_ACCESS_KEY, Emulator, delay, text
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
        url = emulator.url
    assert (process.returncode, err) == (code, b"")
    lines = out.decode().splitlines()
    assert "  models      fast -> amazon.nova-lite-v1:0" in lines
    assert "  region      eu-west-1, from --region" in lines
    assert f"  endpoint    {url}, from --endpoint-url" in lines
    assert KEY not in out.decode()
    assert SECRET_ACCESS_KEY not in out.decode()
    first, second = (line.partition("  ")[2] for line in lines[-2:])
    assert first.startswith("POST /v1/chat/completions fast -> amazon.nova-lite-v1:0 in eu-west-1: 200, ")
    assert second == "GET /v1/models: 200"


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


async def test_says_where_it_reaches_and_prints_no_requests_when_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    arguments: dict[str, Any] = {"keys": None, "models": None, "hosts": (), "origins": ()}
    app = make_gateway("127.0.0.1", region=None, endpoint_url=None, **arguments)
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, quiet=True))
    output = ""
    while not (match := re.search(r"http://\S+/v1", output)):
        await asyncio.sleep(0.01)
        output += capsys.readouterr().out
    async with AsyncOpenAI(base_url=match[0], api_key="unused", max_retries=0) as ai:
        assert [model.id async for model in await ai.models.list()] == []
    serving.cancel()
    await asyncio.wait([serving])
    assert capsys.readouterr().out == ""
    assert output.splitlines()[1:] == [
        f"  base_url    {match[0]}",
        "  routes      POST /v1/chat/completions, GET /v1/models",
        "  models      every model of the account",
        "  api_key     any: only this machine is served",
        "  region      eu-west-1, from AWS_REGION",
        "  credentials not found, so that every request fails; run `bedrock-stream doctor MODEL`",
    ]
    assert logging.getLogger("bedrock_stream.gateway").handlers == []


def test_an_invalid_setting_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_REGION", "no/region")
    assert invoke(["gateway", "--port", "0"]) == 2
    assert capsys.readouterr().err.startswith("bedrock-stream: AWS_REGION: expected a region")


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
