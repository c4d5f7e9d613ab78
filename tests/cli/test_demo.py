"""`demo`: completes on any output, explains itself, and restores the terminal."""

from __future__ import annotations

import signal
import sys

import pytest

from bedrock_stream.cli.app import invoke
from tests.support.command_line import Screen, Terminal, run, started

_XTERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize("options", [("--pace", "0"), ("--no-pace",)])
def test_completes(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo", *options]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert "\x1b" not in output.out
    for part in (
        "local emulator of Amazon Bedrock", "reasoning",
        'get_weather {"city": "Oslo", "units": "celsius"}', "fragments", "get_weather(city='Oslo', units='celsius')",
        "It is 11 degrees in Oslo", "usage", "first token", "tokens/s",
    ):  # fmt: skip
        assert part in output.out


def test_ends_with_three_lines_about_what_is_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo", "--no-pace"]) == 0
    here, aws, docs = capsys.readouterr().out.splitlines()[-3:]
    assert here.endswith("bedrock-stream play")
    for name in ("AWS_REGION", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert name in aws
    assert docs.split()[-1].startswith("https://")


def test_blocks_are_redrawn_as_they_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    assert invoke(["demo", "--no-pace"]) == 0
    shown = screen.getvalue()
    assert (
        shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 4
    )  # one for each block: reasoning, text, tool call, text
    assert shown.count("reasoning") > 10


async def test_in_a_process_regardless_of_the_environment() -> None:
    environ = {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_REGION": "no region", "HTTP_PROXY": "http://127.0.0.1:9"}
    completed = await run("demo", "--no-pace", env=environ)
    assert (completed.code, completed.err) == (0, "")
    assert completed.out.splitlines()[-1].startswith("Documentation")


async def test_on_a_terminal() -> None:
    with Terminal() as terminal:
        async with started("demo", "--pace", "0", env=_XTERM, out=terminal.end, err=terminal.end) as process:
            await terminal.until(b"Documentation")
            assert await process.wait() == 0
        shown = terminal.read()
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")  # the cursor is visible again
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
def test_invalid_pace(pace: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["demo", f"--pace={pace}"]) == 2
    assert "--pace" in capsys.readouterr().err
