"""`emulator`: prints the variables for its clients, logs each request, and serves until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal

import pytest

from bedrock_stream import Client, Credentials
from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.emulator import serve
from bedrock_stream.errors import AccessDenied
from tests.support.command_line import TIMEOUT, started


async def _variables(output: asyncio.StreamReader) -> dict[str, str]:
    """Read the variables that the command prints."""
    variables = {}
    while "AWS_BEARER_TOKEN_BEDROCK" not in variables:
        line = (await output.readline()).decode()
        assert line, "the command ended before it printed its variables"
        if line.startswith("export "):
            name, _, value = line.rstrip().removeprefix("export ").partition("=")
            variables[name] = value
    return variables


async def test_serves_until_ctrl_c() -> None:
    async with started("emulator", "--port", "0", "--region", "eu-west-1", "--pace", "0") as process:
        assert process.stdout is not None
        variables = await _variables(process.stdout)
        url, region = variables["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"], variables["AWS_REGION"]
        credentials = Credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
        async with Client(endpoint_url=url, region=region, credentials=credentials) as client:
            assert (await client.generate("some.model", "Hello")).text.startswith('You said: "Hello".')
        async with Client(endpoint_url=url, region=region, api_key=variables["AWS_BEARER_TOKEN_BEDROCK"]) as client:
            assert await client.stream("some.model", "Hello").response()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    lines = [line.split("  ")[1:] for line in out.decode().splitlines() if line]
    assert lines == [["Converse", "some.model", "sigv4"], ["ConverseStream", "some.model", "bearer"]]


async def test_each_request_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    output = ""
    serving = asyncio.create_task(serve(host="127.0.0.1", port=0, region="us-east-1", pace=0, api_key="key"))
    try:
        async with asyncio.timeout(TIMEOUT):
            while "TOKEN_BEDROCK=key\n" not in output:
                await asyncio.sleep(0.01)
                output += capsys.readouterr().out
        url = output.split("AWS_ENDPOINT_URL_BEDROCK_RUNTIME=")[1].split("\n")[0]
        assert "SECRET" not in output
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
    logged = [line.split("  ")[1:] for line in capsys.readouterr().out.splitlines()]
    assert logged == [
        ["Converse", "first", "bearer"], ["Converse", "second", "bearer"], ["Converse", "third", "rejected"],
    ]  # fmt: skip


async def test_a_custom_api_key() -> None:
    everywhere = "0.0.0.0"  # noqa: S104 - the subject of the test
    async with started("emulator", "--host", everywhere, "--api-key", "my-own-key") as process:
        assert process.stdout is not None
        variables = await _variables(process.stdout)
        assert variables["AWS_BEARER_TOKEN_BEDROCK"] == "my-own-key"
        assert "AWS_ACCESS_KEY_ID" not in variables
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 143


def test_example_credentials_are_for_loopback_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["emulator", "--host", "0.0.0.0"]) == 2  # noqa: S104 - the subject of the test
    output = capsys.readouterr()
    assert output.out == ""
    assert "pass --api-key" in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize("options", [("--region", "no/region"), ("--port", "99999"), ("--pace", "-1")])
def test_usage_errors(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["emulator", *options]) == 2
    output = capsys.readouterr()
    assert options[0] in output.err
    assert output.err.count("\n") == 1
