"""`play`: prints an address that lets a browser in, serves it, and goes when it is told to."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.play import play
from tests.support.command_line import PATIENCE, run, started

QUESTION = {"model": "some.model", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]}


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_serves_until_it_is_told_to_go_even_while_it_streams(signal_number: signal.Signals, code: int) -> None:
    async with started("play", "--no-browser", "--port", "0", "--pace", "0.5") as process:
        assert process.stdout is not None
        told = (await process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=(\S{32,})", told)
        assert found is not None, told
        origin = found[0].partition("/?")[0]
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(found[0]) as page:
                assert page.status == 200
            async with session.post(f"{origin}/chat", json=QUESTION, headers={"Origin": origin}) as answer:
                assert await answer.content.readline()
                process.send_signal(signal_number)
                lines = (await answer.read()).splitlines()
        assert b"ClientClosed" in lines[-1]
        rest, err = await process.communicate()
    assert (process.returncode, err) == (code, b"")
    assert found[1].encode() not in rest  # told once


async def test_opens_the_browser_unless_told_not_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    seen = asyncio.Event()
    loop = asyncio.get_running_loop()

    def remember(address: str) -> bool:
        opened.append(address)
        loop.call_soon_threadsafe(seen.set)
        return True

    monkeypatch.setattr(webbrowser, "open", remember)
    serving = asyncio.create_task(play(aws=False, region=None, port=0, pace=0, browse=True))
    try:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            await seen.wait()
            async with session.get(opened[0]) as page:
                assert page.status == 200
    finally:
        serving.cancel()
        await asyncio.wait([serving])
    assert serving.cancelled()
    assert opened[0] in capsys.readouterr().out


@asynccontextmanager
async def welcomed(capsys: pytest.CaptureFixture[str], *, aws: bool, region: str | None) -> AsyncIterator[str]:
    """What a playground says at its start, while it serves."""
    serving = asyncio.create_task(play(aws=aws, region=region, port=0, pace=0, browse=False))
    said = ""
    try:
        async with asyncio.timeout(PATIENCE):
            while "Ctrl-C" not in said:
                await asyncio.sleep(0.01)
                said += capsys.readouterr().out
        yield said
    finally:
        serving.cancel()
        await asyncio.wait([serving])


@pytest.mark.parametrize("name", ["AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", None])
async def test_says_that_keys_are_there_and_spends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str | None
) -> None:
    if name is not None:
        monkeypatch.setenv(name, "my-own-key")
    async with welcomed(capsys, aws=False, region=None) as said:
        pass
    assert ("--aws" in said) is (name is not None)
    assert "emulator" in said
    assert "my-own-key" not in said


async def test_says_that_aws_costs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "my-own-key")
    async with welcomed(capsys, aws=True, region="eu-west-1") as said:
        address = re.search(r"http://\S+", said)
        assert address is not None
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(address[0]) as page:
                assert page.status == 200
            async with session.get(address[0].partition("?")[0] + "settings") as settings:
                told = await settings.json()
    assert "costs" in said
    assert "my-own-key" not in said + str(told)
    assert (told["place"], told["region"], told["starters"]) == ("aws", "eu-west-1", [])


def test_aws_without_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["play", "--aws", "--no-browser"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1


def test_without_its_packages(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert invoke(["play", "--no-browser"]) == 2
    assert "bedrock-stream[play]" in capsys.readouterr().err


@pytest.mark.parametrize("options", [("--port", "99999"), ("--pace", "-1"), ("--aws", "--region", "no/region")])
def test_called_wrongly(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["play", "--no-browser", *options]) == 2
    said = capsys.readouterr()
    assert options[-2] in said.err
    assert said.err.count("\n") == 1


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = await run("play", "--no-browser", "--port", str(server.getsockname()[1]))
    assert (ended.code, ended.out) == (1, "")
    assert "in use" in ended.err
