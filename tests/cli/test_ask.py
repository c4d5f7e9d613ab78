"""`ask`: the answer on stdout and nothing else, one line for what went wrong, a clean end whatever happens."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable

import pytest

from bedrock_stream.cli import emulator as module
from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.terminal import clean
from bedrock_stream.testing import (
    Emulator,
    Step,
    cut,
    http_error,
    reasoning,
    stall,
    stop,
    stream_error,
    text,
    tool_call,
)
from bedrock_stream.testing import citation as cite
from tests.support.command_line import PATIENCE, Screen, Terminal, run, started

MODEL = "us.amazon.nova-lite-v1:0"


def _one_line(err: str, *parts: str) -> None:
    assert err.count("\n") == 1
    assert err.startswith("bedrock-stream: ")
    for part in parts:
        assert part in err


# ------------------------------------------------------------------------------------------------- through the network


async def test_the_text_is_all_there_is_on_stdout(emulator: Emulator) -> None:
    emulator.script(reasoning("Hm."), text("Grüße,\n[bold]\x1b[31mfriend"))
    ended = await run("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    assert ended.code == 0
    assert ended.out == "Grüße,\n[bold]\x1b[31mfriend\n"
    assert ended.err == "Hm.\n"


async def test_the_endpoint_and_the_options_reach_the_service(emulator: Emulator) -> None:
    environ = {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": emulator.url}
    ended = await run(
        "ask", MODEL, "-", "--system", "Be short.", "--max-tokens", "5", "-v", env=environ, stdin="Grüße\n".encode()
    )
    assert ended.code == 0
    (request,) = emulator.requests
    assert request.model == MODEL
    assert request.json["messages"] == [{"role": "user", "content": [{"text": "Grüße"}]}]
    assert request.json["system"] == [{"text": "Be short."}]
    assert request.json["inferenceConfig"] == {"maxTokens": 5}
    assert "the answer stopped early: max_tokens\n" in ended.err
    assert "5 tokens out" in ended.err


async def test_json_lines(emulator: Emulator) -> None:
    ended = await run("ask", MODEL, "Hello", "--json", "--endpoint-url", emulator.url)
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "metadata"]
    assert "".join(event["text"] for event in events if event["type"] == "text_delta").startswith('You said: "Hello".')
    assert ended.err == ""


async def test_the_service_says_no(emulator: Emulator) -> None:
    emulator.script(http_error(400, "ValidationException", "Not\nthis way."))
    ended = await run("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    assert (ended.code, ended.out) == (1, "")
    _one_line(ended.err, "ValidationException (HTTP 400): Not this way.", "request ")


async def test_the_stream_fails(emulator: Emulator) -> None:
    emulator.script(text("It be"), stream_error("modelStreamErrorException", "Gone."))
    ended = await run("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    assert (ended.code, ended.out) == (1, "It be\n")
    _one_line(ended.err, "ModelStreamErrorException", "Gone.")


async def test_an_answer_that_is_cut_is_a_failure(emulator: Emulator) -> None:
    emulator.script(text("It be"), cut())
    ended = await run("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    assert ended.code == 1
    _one_line(ended.err, "ended before the message did")


async def test_nobody_listens() -> None:
    ended = await run("ask", MODEL, "Hello", "--endpoint-url", "http://127.0.0.1:9")
    assert (ended.code, ended.out) == (1, "")
    _one_line(ended.err, "no response")


async def test_without_keys() -> None:
    ended = await run("ask", MODEL, "Hello", "--endpoint-url", "http://127.0.0.1:9", env=dict.fromkeys(_KEYS, ""))
    assert (ended.code, ended.out) == (2, "")
    _one_line(ended.err, "AWS_BEARER_TOKEN_BEDROCK", "--emulator")


_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.mark.parametrize(
    ("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
async def test_an_interrupted_stream_closes_its_connection(
    emulator: Emulator, signal_number: signal.Signals, code: int
) -> None:
    emulator.script(text(["It begins"]), stall())
    async with started("ask", MODEL, "Hello", "--endpoint-url", emulator.url) as process:
        assert process.stdout is not None
        assert await process.stdout.readexactly(9) == b"It begins"
        assert emulator.open_streams == 1
        process.send_signal(signal_number)
        await emulator.wait_until_idle(PATIENCE)
        assert await process.communicate() == (b"\n", b"")
    assert process.returncode == code


async def test_nobody_reads_the_output(emulator: Emulator) -> None:
    emulator.script(text(["one\n"]), text(["two\n"] * 5000), stall())
    reader, writer = os.pipe()
    async with started("ask", MODEL, "Hello", "--endpoint-url", emulator.url, out=writer) as process:
        os.close(writer)
        await emulator.wait_for_streams(1, PATIENCE)
        os.close(reader)
        assert (await process.communicate())[1] == b""
    assert process.returncode == 141


async def test_on_a_terminal(emulator: Emulator) -> None:
    emulator.script(reasoning("Hm \x1b[5m"), text(["Look: \x1b]0;", "owned\x07", "[red]\x1b[2J plain"]))
    environ = {"NO_COLOR": "1", "TERM": "xterm"}
    arguments = ("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    with Terminal() as terminal:
        async with started(*arguments, env=environ, out=terminal.end, err=terminal.end) as process:
            assert await process.wait() == 0
        lines = terminal.read().decode().replace("\x1b[2m", "").replace("\x1b[0m", "").splitlines()
    assert lines[:2] == ["Hm ", "Look: [red] plain"]
    assert "tokens out" in lines[2]
    assert "end_turn" in " ".join(lines)


async def test_standard_error_may_be_elsewhere(emulator: Emulator) -> None:
    """With stdout on a terminal and stderr in a file, neither breaks the other's lines."""
    emulator.script(text(["Half a line"]), cite(title="A source"), stop("end_turn"))
    arguments = ("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    with Terminal() as terminal:
        async with started(*arguments, out=terminal.end) as process:
            assert (await process.communicate())[1] == b"[A source]\n"
        assert terminal.read() == b"Half a line\r\n"


# ------------------------------------------------------------------------------------------------------ in this process


def test_the_emulator_inside(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["ask", MODEL, "Hello", "--emulator", "--region", "eu-west-1", "--verbose"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith('You said: "Hello".')
    assert said.out.endswith("\n")
    assert "tokens in" in said.err
    assert "end_turn (request " in said.err


def test_json_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["ask", MODEL, "Hello", "--emulator", "--json", "-v"]) == 0
    said = capsys.readouterr()
    assert all(json.loads(line)["type"] for line in said.out.splitlines())
    assert said.err.count("\n") == 1


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say what `--emulator` answers."""

    def says(*steps: Step) -> None:
        monkeypatch.setattr(module, "Emulator", lambda **options: Emulator(**{**options, "script": [steps]}))

    return says


def test_what_is_not_text_stands_aside(says: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    says(text("One "), cite(source="A page"), reasoning("Hm"), tool_call("look", {"up": 1}), text("two"))
    assert invoke(["ask", MODEL, "Hello", "--emulator"]) == 0
    assert capsys.readouterr() == ("One two\n", '[A page]\nHm\nlook {"up": 1}\n')


def test_one_screen_for_both(says: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    says(text("One"), cite(), reasoning("Hm"), text("two \x1b[2J[red]"), stop("max_tokens"))
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("NO_COLOR", "1")
    assert invoke(["ask", MODEL, "Hello", "--emulator"]) == 0
    lines = clean(screen.getvalue()).splitlines()
    assert lines[:-1] == [
        "One", "[a source without a name]", "Hm", "two [red]", "the answer stopped early: max_tokens"
    ]  # fmt: skip
    assert "tokens out" in lines[-1]


def test_text_that_is_only_control_characters(says: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    says(reasoning("\x1b[2J"), text("\x1b[2J"))
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    assert invoke(["ask", MODEL, "Hello", "--emulator"]) == 0
    assert screen.getvalue() == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "MODEL"),
        ((MODEL,), "PROMPT"),
        ((MODEL, "Hello", "--nonsense"), "--nonsense"),
        ((MODEL, "Hello", "--max-tokens", "many"), "--max-tokens"),
        ((MODEL, "Hello", "--max-tokens", "0"), "--max-tokens: expected a positive int, got 0"),
        ((MODEL, "Hello", "--system", ""), "--system: expected non-empty text, got ''"),
        ((MODEL, "Hello", "--region", "no.such/place"), "--region: expected a region, got 'no.such/place'"),
        (
            (MODEL, "Hello", "--endpoint-url", "gopher://x"),
            "--endpoint-url: expected an endpoint URL, got 'gopher://x'",
        ),
        ((MODEL, "Hello", "--emulator", "--endpoint-url", "https://x"), "--endpoint-url: it excludes --emulator"),
        (("two words", "Hello"), "MODEL: 'two words' contains white space"),
        ((MODEL, ""), "PROMPT: expected a non-empty str, got ''"),
        ((MODEL, "\udcff"), "PROMPT: it is not UTF-8"),
    ],
)
def test_called_wrongly(arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    emulator = () if "--endpoint-url" in arguments or "--region" in arguments else ("--emulator",)
    assert invoke(["ask", *arguments, *emulator]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    _one_line(said.err, complaint)


@pytest.mark.parametrize(
    ("stdin", "complaint"), [(b"", "PROMPT: expected a non-empty str, got ''"), (b"\xff", "PROMPT: stdin is not UTF-8")]
)
def test_stdin_that_is_no_prompt(
    stdin: bytes, complaint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    assert invoke(["ask", MODEL, "-", "--emulator"]) == 2
    _one_line(capsys.readouterr().err, complaint)
