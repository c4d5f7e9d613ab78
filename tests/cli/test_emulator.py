"""`emulator`: tells how to reach it, tells of each request, and serves until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest

from bedrock_stream import Client, Credentials
from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.emulator import serve
from bedrock_stream.errors import AccessDenied
from tests.support.command_line import PATIENCE, run, started


async def _variables(output: asyncio.StreamReader) -> dict[str, str]:
    """The variables it tells to set."""
    found = {}
    while "AWS_BEARER_TOKEN_BEDROCK" not in found:
        line = (await output.readline()).decode()
        assert line, "it ended before it said how to reach it"
        if line.startswith("export "):
            name, _, value = line.rstrip().removeprefix("export ").partition("=")
            found[name] = value
    return found


async def test_serves_until_ctrl_c() -> None:
    async with started("emulator", "--port", "0", "--region", "eu-west-1", "--pace", "0") as process:
        assert process.stdout is not None
        told = await _variables(process.stdout)
        url, region = told["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"], told["AWS_REGION"]
        keys = Credentials(told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"])
        async with Client(endpoint_url=url, region=region, credentials=keys) as client:
            assert (await client.generate("some.model", "Hello")).text.startswith('You said: "Hello".')
        async with Client(endpoint_url=url, region=region, api_key=told["AWS_BEARER_TOKEN_BEDROCK"]) as client:
            assert await client.stream("some.model", "Hello").response()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    lines = [line.split("  ")[1:] for line in out.decode().splitlines() if line]
    assert lines == [["Converse", "some.model", "sigv4"], ["ConverseStream", "some.model", "bearer"]]


async def test_each_request_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    said = ""
    serving = asyncio.create_task(serve(host="127.0.0.1", port=0, region="us-east-1", pace=0, api_key="key"))
    try:
        async with asyncio.timeout(PATIENCE):
            while "TOKEN_BEDROCK=key\n" not in said:
                await asyncio.sleep(0.01)
                said += capsys.readouterr().out
        url = said.split("AWS_ENDPOINT_URL_BEDROCK_RUNTIME=")[1].split("\n")[0]
        assert "SECRET" not in said
        async with Client(endpoint_url=url, api_key="key") as client:
            for model in ("first", "second"):
                await client.generate(model, "Hello")
        async with Client(endpoint_url=url, api_key="wrong") as client:
            with pytest.raises(AccessDenied):
                await client.generate("third", "Hello")
    finally:
        serving.cancel()
        await asyncio.wait([serving])
    assert serving.cancelled()
    told = [line.split("  ")[1:] for line in capsys.readouterr().out.splitlines()]
    assert told == [["Converse", "first", "bearer"], ["Converse", "second", "bearer"], ["Converse", "third", "refused"]]


async def test_a_key_of_ones_own() -> None:
    everywhere = "0.0.0.0"  # noqa: S104 - what it is about
    async with started("emulator", "--host", everywhere, "--api-key", "my-own-key") as process:
        assert process.stdout is not None
        told = await _variables(process.stdout)
        assert told["AWS_BEARER_TOKEN_BEDROCK"] == "my-own-key"
        assert "AWS_ACCESS_KEY_ID" not in told
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 143


def test_the_example_keys_stay_at_home(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["emulator", "--host", "0.0.0.0"]) == 2  # noqa: S104 - what it is about
    said = capsys.readouterr()
    assert said.out == ""
    assert "give --api-key" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("options", [("--region", "no/region"), ("--port", "99999"), ("--pace", "-1")])
def test_called_wrongly(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["emulator", *options]) == 2
    said = capsys.readouterr()
    assert options[0] in said.err
    assert said.err.count("\n") == 1


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = await run("emulator", "--port", str(server.getsockname()[1]))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert "in use" in ended.err
