"""`ask`: only the response on stdout, one line on stderr for an error, and a clean exit."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bedrock_stream.cli import emulator as module
from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.ask import ask, read_question
from bedrock_stream.cli.terminal import clean
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    SECRET_ACCESS_KEY,
    Emulator,
    ReceivedRequest,
    Step,
    citation,
    cut,
    http_error,
    reasoning,
    stall,
    stop,
    stream_error,
    text,
    tool_call,
)
from tests.support.command_line import TIMEOUT, Screen, Terminal, run, started

MODEL = "us.amazon.nova-lite-v1:0"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 30


def _assert_one_line(err: str, *parts: str) -> None:
    assert err.count("\n") == 1
    assert err.startswith("bedrock-stream: ")
    for part in parts:
        assert part in err


# --------------------------------------------------------------------------------------------------------- as a process


async def test_stdout_has_only_the_text(emulator: Emulator) -> None:
    emulator.script(reasoning("Hm."), text("Grüße,\n[bold]\x1b[31mfriend"))
    completed = await run("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    assert completed.code == 0
    assert completed.out == "Grüße,\n[bold]\x1b[31mfriend\n"
    assert completed.err == "Hm.\n"


async def test_the_endpoint_and_the_options_reach_the_service(emulator: Emulator) -> None:
    environ = {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": emulator.url}
    completed = await run(
        "ask", MODEL, "-", "--system", "Be short.", "--max-tokens", "5", "-v", env=environ, stdin="Grüße\n".encode()
    )
    assert completed.code == 0
    (request,) = emulator.requests
    assert request.model == MODEL
    assert request.json["messages"] == [{"role": "user", "content": [{"text": "Grüße"}]}]
    assert request.json["system"] == [{"text": "Be short."}]
    assert request.json["inferenceConfig"] == {"maxTokens": 5}
    assert "the response stopped early: max_tokens\n" in completed.err
    assert "5 output tokens" in completed.err


async def test_json_lines(emulator: Emulator) -> None:
    completed = await run("ask", MODEL, "Hello", "--json", "--endpoint-url", emulator.url)
    events = [json.loads(line) for line in completed.out.splitlines()]
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "metadata"]
    assert "".join(event["text"] for event in events if event["type"] == "text_delta").startswith('You said: "Hello".')
    assert completed.err == ""


async def test_a_service_error(emulator: Emulator) -> None:
    emulator.script(http_error(400, "ValidationException", "Not\nthis way."))
    completed = await run("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    assert (completed.code, completed.out) == (1, "")
    _assert_one_line(completed.err, "ValidationException (HTTP 400): Not this way.", "request ")


async def test_an_error_in_the_stream(emulator: Emulator) -> None:
    emulator.script(text("It be"), stream_error("modelStreamErrorException", "Gone."))
    completed = await run("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    assert (completed.code, completed.out) == (1, "It be\n")
    _assert_one_line(completed.err, "ModelStreamErrorException", "Gone.")


async def test_a_truncated_response_is_an_error(emulator: Emulator) -> None:
    emulator.script(text("It be"), cut())
    completed = await run("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    assert completed.code == 1
    _assert_one_line(completed.err, "ended before the message did")


async def test_connection_refused() -> None:
    completed = await run("ask", MODEL, "Hello", "--endpoint-url", "http://127.0.0.1:9")
    assert (completed.code, completed.out) == (1, "")
    _assert_one_line(completed.err, "no response")


async def test_without_credentials() -> None:
    completed = await run(
        "ask", MODEL, "Hello", "--endpoint-url", "http://127.0.0.1:9", env=dict.fromkeys(_CREDENTIAL_VARIABLES, "")
    )
    assert (completed.code, completed.out) == (2, "")
    _assert_one_line(completed.err, "AWS_BEARER_TOKEN_BEDROCK", "--emulator")


_CREDENTIAL_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


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
        await emulator.wait_until_idle(TIMEOUT)
        assert await process.communicate() == (b"\n", b"")
    assert process.returncode == code


async def test_stdout_closed_by_its_reader(emulator: Emulator) -> None:
    emulator.script(text(["one\n"]), text(["two\n"] * 5000), stall())
    reader, writer = os.pipe()
    async with started("ask", MODEL, "Hello", "--endpoint-url", emulator.url, out=writer) as process:
        os.close(writer)
        await emulator.wait_for_streams(1, TIMEOUT)
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
    assert "output tokens" in lines[2]
    assert "end_turn" in " ".join(lines)


async def test_stdout_on_a_terminal_and_stderr_in_a_file(emulator: Emulator) -> None:
    """A note on stderr does not break a line on stdout, because they are not on the same screen."""
    emulator.script(text(["Half a line"]), citation(title="A source"), stop("end_turn"))
    arguments = ("ask", MODEL, "Hello", "--endpoint-url", emulator.url)
    with Terminal() as terminal:
        async with started(*arguments, out=terminal.end) as process:
            assert (await process.communicate())[1] == b"[A source]\n"
        assert terminal.read() == b"Half a line\r\n"


# ------------------------------------------------------------------------------------------------------ in this process


def test_with_a_local_emulator(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["ask", MODEL, "Hello", "--emulator", "--region", "eu-west-1", "--verbose"]) == 0
    output = capsys.readouterr()
    assert output.out.startswith('You said: "Hello".')
    assert output.out.endswith("\n")
    assert "input tokens" in output.err
    assert "stop reason end_turn (request " in output.err


def test_json_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["ask", MODEL, "Hello", "--emulator", "--json", "-v"]) == 0
    output = capsys.readouterr()
    assert all(json.loads(line)["type"] for line in output.out.splitlines())
    assert output.err.count("\n") == 1


@pytest.fixture
def script_emulator(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Script the answer of the emulator that `--emulator` starts."""

    def script(*steps: Step) -> None:
        monkeypatch.setattr(module, "Emulator", lambda **options: Emulator(**{**options, "script": [steps]}))

    return script


def test_everything_except_text_goes_to_stderr(
    script_emulator: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    script_emulator(text("One "), citation(source="A page"), reasoning("Hm"), tool_call("look", {"up": 1}), text("two"))
    assert invoke(["ask", MODEL, "Hello", "--emulator"]) == 0
    assert capsys.readouterr() == ("One two\n", '[A page]\nHm\nlook {"up": 1}\n')


def test_stdout_and_stderr_on_one_terminal(
    script_emulator: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    script_emulator(text("One"), citation(), reasoning("Hm"), text("two \x1b[2J[red]"), stop("max_tokens"))
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("NO_COLOR", "1")
    assert invoke(["ask", MODEL, "Hello", "--emulator"]) == 0
    lines = clean(screen.getvalue()).splitlines()
    assert lines[:-1] == [
        "One", "[untitled source]", "Hm", "two [red]", "the response stopped early: max_tokens"
    ]  # fmt: skip
    assert "output tokens" in lines[-1]


def test_text_that_is_only_control_characters(
    script_emulator: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    script_emulator(reasoning("\x1b[2J"), text("\x1b[2J"))
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    assert invoke(["ask", MODEL, "Hello", "--emulator"]) == 0
    assert screen.getvalue() == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
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
        (
            (MODEL, "Hello", "--emulator", "--endpoint-url", "https://x"),
            "--endpoint-url: cannot be combined with --emulator",
        ),
        (("two words", "Hello"), "MODEL: 'two words' contains white space"),
        ((MODEL, ""), "PROMPT: expected a non-empty str, got ''"),
        ((MODEL, "\udcff"), "PROMPT: is not valid UTF-8"),
    ],
)
def test_usage_errors(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    emulator = () if "--endpoint-url" in arguments or "--region" in arguments else ("--emulator",)
    assert invoke(["ask", *arguments, *emulator]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    _assert_one_line(output.err, message)


@pytest.mark.parametrize(
    ("stdin", "message"),
    [(b"", "PROMPT: expected a non-empty str, got ''"), (b"\xff", "PROMPT: stdin is not valid UTF-8")],
)
def test_invalid_stdin(
    stdin: bytes, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    assert invoke(["ask", MODEL, "-", "--emulator"]) == 2
    _assert_one_line(capsys.readouterr().err, message)


# ------------------------------------------------------------------------------------------------- options and files


@pytest.fixture
def ask_emulator(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the bodies that the emulator of `--emulator` receives."""
    bodies: list[Any] = []

    def answer(request: ReceivedRequest) -> Step:
        bodies.append(request.json)
        return text('{"city": "Oslo"}')

    monkeypatch.setattr(module, "Emulator", lambda **options: Emulator(**{**options, "script": answer}))
    return bodies


def test_options_and_files_reach_the_model(ask_emulator: list[Any], tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(PNG)
    (tmp_path / "a plan.txt").write_text("Walk.")
    options = ["--temperature", "0.5", "--top-p", "0.25", "--stop", "END", "--stop", "STOP"]
    files = ["--image", str(tmp_path / "page.png"), "--document", str(tmp_path / "a plan.txt")]
    assert invoke(["ask", MODEL, "Look", "--emulator", *options, *files]) == 0
    (body,) = ask_emulator
    assert body["inferenceConfig"] == {"temperature": 0.5, "topP": 0.25, "stopSequences": ["END", "STOP"]}
    document, image, prompt = body["messages"][0]["content"]
    assert (document["document"]["format"], document["document"]["name"]) == ("txt", "a plan")
    assert (image["image"]["format"], prompt) == ("png", {"text": "Look"})


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def _answers(script: Callable[..., None], value: dict[str, Any]) -> None:
    script(tool_call("structured_output", value))


def test_a_schema_prints_the_parsed_value(
    script_emulator: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "city.json").write_text(json.dumps(SCHEMA))
    for schema in (str(tmp_path / "city.json"), json.dumps(SCHEMA)):
        _answers(script_emulator, {"city": "Oslo"})
        assert invoke(["ask", MODEL, "Where?", "--emulator", "--schema", schema, "-v"]) == 0
        output = capsys.readouterr()
        assert json.loads(output.out) == {"city": "Oslo"}
        assert output.err.count("\n") == 1  # the usage


@pytest.mark.parametrize("as_json", [True, False])
def test_an_answer_that_does_not_match(
    script_emulator: Callable[..., None], capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    script_emulator(text("I do not know."))
    arguments = ["ask", MODEL, "Where?", "--emulator", "--schema", json.dumps(SCHEMA), *(["--json"] if as_json else [])]
    assert invoke(arguments) == 1
    output = capsys.readouterr()
    assert bool(output.out) is as_json
    _assert_one_line(output.err, "the answer does not match the schema: ", "I do not know.")
    _answers(script_emulator, {"town": "Oslo"})
    assert invoke(arguments) == 1
    _assert_one_line(capsys.readouterr().err, "$: 'city' is a required property")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "/no/such.png"], "--image: cannot read /no/such.png: No such file or directory; pass the path"),
        (["--image", "{}/a plan.txt"], "a plan.txt: format: unknown format 'txt'; use png, jpeg, gif, webp"),
        (["--image", "{}/empty.png"], "empty.png is empty"),
        (["--document", "{}"], "--document: cannot read "),
        (["--document", "{}/unknown"], "--document: "),
        (["--schema", "/no/such.json"], "--schema: cannot read /no/such.json: No such file or directory"),
        (["--schema", "{}/a plan.txt"], "a plan.txt is not valid JSON"),
        (["--schema", '{"type": '], "--schema: the text is not valid JSON"),
        (["--schema", "{}/list.json"], "--schema: expected a JSON object in"),
        (["--temperature", "-1"], "--temperature: "),
        (["--top-p", "2"], "--top-p: "),
        (["--stop", ""], "--stop: "),
        (["--profile", "p"], "--profile: cannot be combined with --emulator"),
    ],
)
def test_options_that_cannot_be_used(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a plan.txt").write_text("Walk.")
    (tmp_path / "unknown").write_text("Walk.")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "empty.png").touch()
    arguments = [
        argument if argument.startswith('{"') else argument.replace("{}", str(tmp_path)) for argument in arguments
    ]
    assert invoke(["ask", MODEL, "Hello", "--emulator", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    _assert_one_line(output.err, message)


async def test_a_profile(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = f"aws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}"
    (tmp_path / "config").write_text(f"[profile work]\nregion = us-east-1\nendpoint_url = {emulator.url}\n{keys}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert await ask(read_question(MODEL, "Hello", profile="work"), as_json=False, verbose=False) == 0
    assert capsys.readouterr().out.startswith('You said: "Hello".')
