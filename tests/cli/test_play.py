"""`play`: prints an address with an access token, serves it, and stops on a signal."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.play import play
from tests.support.command_line import TIMEOUT, started

QUESTION = {"model": "some.model", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]}


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_serves_until_a_signal_even_while_streaming(signal_number: signal.Signals, code: int) -> None:
    async with started("play", "--no-browser", "--port", "0", "--pace", "0.5") as process:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        match = re.search(r"http://127\.0\.0\.1:\d+/\?token=(\S{32,})", line)
        assert match is not None, line
        origin = match[0].partition("/?")[0]
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(match[0]) as page:
                assert page.status == 200
            async with session.post(f"{origin}/chat", json=QUESTION, headers={"Origin": origin}) as response:
                assert await response.content.readline()
                process.send_signal(signal_number)
                lines = (await response.read()).splitlines()
        assert b"ClientClosed" in lines[-1]
        rest, err = await process.communicate()
    assert (process.returncode, err) == (code, b"")
    assert match[1].encode() not in rest  # the token is printed once


async def test_opens_the_browser(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    opened: list[str] = []
    was_opened = asyncio.Event()
    loop = asyncio.get_running_loop()

    def open_browser(address: str) -> bool:
        opened.append(address)
        loop.call_soon_threadsafe(was_opened.set)
        return True

    monkeypatch.setattr(webbrowser, "open", open_browser)
    serving = asyncio.create_task(play(aws=False, region=None, port=0, pace=0, browse=True))
    try:
        async with asyncio.timeout(TIMEOUT), aiohttp.ClientSession() as session:
            await was_opened.wait()
            async with session.get(opened[0]) as page:
                assert page.status == 200
    finally:
        serving.cancel()
        await asyncio.wait([serving])
    assert serving.cancelled()
    assert opened[0] in capsys.readouterr().out


@asynccontextmanager
async def welcome(capsys: pytest.CaptureFixture[str], *, aws: bool, region: str | None) -> AsyncIterator[str]:
    """Start a playground and yield what it prints, while it serves."""
    serving = asyncio.create_task(play(aws=aws, region=region, port=0, pace=0, browse=False))
    output = ""
    try:
        async with asyncio.timeout(TIMEOUT):
            while "Ctrl-C" not in output:
                await asyncio.sleep(0.01)
                output += capsys.readouterr().out
        yield output
    finally:
        serving.cancel()
        await asyncio.wait([serving])


@pytest.mark.parametrize("name", ["AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", None])
async def test_mentions_aws_credentials_without_using_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str | None
) -> None:
    if name is not None:
        monkeypatch.setenv(name, "my-own-key")
    async with welcome(capsys, aws=False, region=None) as output:
        pass
    assert ("--aws" in output) is (name is not None)
    assert "emulator" in output
    assert "my-own-key" not in output


async def test_warns_that_aws_is_billed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "my-own-key")
    async with welcome(capsys, aws=True, region="eu-west-1") as output:
        address = re.search(r"http://\S+", output)
        assert address is not None
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(address[0]) as page:
                assert page.status == 200
            async with session.get(address[0].partition("?")[0] + "settings") as response:
                settings = await response.json()
    assert "billed" in output
    assert "my-own-key" not in output + str(settings)
    assert (settings["place"], settings["region"], settings["starters"]) == ("aws", "eu-west-1", [])


def test_aws_without_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["play", "--aws", "--no-browser"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert invoke(["play", "--no-browser"]) == 2
    assert "bedrock-stream[play]" in capsys.readouterr().err


@pytest.mark.parametrize("options", [("--port", "99999"), ("--pace", "-1"), ("--aws", "--region", "no/region")])
def test_usage_errors(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["play", "--no-browser", *options]) == 2
    output = capsys.readouterr()
    assert options[-2] in output.err
    assert output.err.count("\n") == 1
