"""`demo`: runs to its end anywhere, says what it is, and leaves the terminal as it was."""

from __future__ import annotations

import signal
import sys

import pytest

from bedrock_stream.cli.app import invoke
from tests.support.command_line import Screen, Terminal, run, started

_XTERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize("options", [("--pace", "0"), ("--no-pace",)])
def test_to_its_end(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo", *options]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "\x1b" not in said.out
    for part in (
        "local emulator of Amazon Bedrock", "thinks", 'get_weather {"city": "Oslo", "units": "celsius"}', "fragments",
        "get_weather(city='Oslo', units='celsius')", "It is 11 degrees in Oslo", "usage", "first token", "tokens/s",
        "AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "bedrock-stream ask",
    ):  # fmt: skip
        assert part in said.out


def test_redrawn_as_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    assert invoke(["demo", "--no-pace"]) == 0
    shown = screen.getvalue()
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 4  # a block each: thinks, says, calls, says
    assert shown.count("thinks") > 10


async def test_in_a_process_whatever_the_environment_says() -> None:
    environ = {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_REGION": "no region", "HTTP_PROXY": "http://127.0.0.1:9"}
    ended = await run("demo", "--no-pace", env=environ)
    assert (ended.code, ended.err) == (0, "")
    assert "bedrock-stream ask" in ended.out


async def test_on_a_terminal() -> None:
    with Terminal() as terminal:
        async with started("demo", "--pace", "0", env=_XTERM, out=terminal.end, err=terminal.end) as process:
            await terminal.until(b"Hello")
            assert await process.wait() == 0
        shown = terminal.read()
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")  # the cursor is back
    assert b"AWS_REGION" in shown


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_interrupted_on_a_terminal(signal_number: signal.Signals, code: int) -> None:
    with Terminal() as terminal:
        async with started("demo", "--pace", "0.2", env=_XTERM, out=terminal.end, err=terminal.end) as process:
            await terminal.until(b"weath")
            process.send_signal(signal_number)
            assert await process.wait() == code
        shown = terminal.read()
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert b"Traceback" not in shown
    assert shown.removesuffix(b"\x1b[?25h").endswith(b"\n")


@pytest.mark.parametrize("pace", ["-1", "nan", "inf", "slow"])
def test_a_pace_that_is_none(pace: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo", f"--pace={pace}"]) == 2
    assert "--pace" in capsys.readouterr().err
