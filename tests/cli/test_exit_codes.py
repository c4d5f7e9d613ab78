"""Every outcome of a command is an exit code and at most one line on stderr."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
import typer

import bedrock_stream
from bedrock_stream.cli import app as app_module
from bedrock_stream.cli import main
from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.exit_codes import run_command
from bedrock_stream.errors import BedrockStreamError, ConfigurationError, MissingCredentials
from tests.support.command_line import Screen, run


def _fails_with(error: BaseException) -> int:
    def action() -> None:
        raise error

    return run_command(action)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, ""),
        (asyncio.CancelledError(), 143, ""),
        (BrokenPipeError(), 141, ""),
        (
            MissingCredentials("credentials", "none"),
            2,
            "bedrock-stream: credentials: none, or use `bedrock-stream ask --emulator`\n",
        ),
        (ConfigurationError("region", "wrong", "fix it"), 2, "bedrock-stream: --region: wrong; fix it\n"),
        (ConfigurationError("Emulator", "wrong"), 2, "bedrock-stream: Emulator: wrong\n"),
        (BedrockStreamError("no\nluck"), 1, "bedrock-stream: no luck\n"),
        (OSError(28, "No space left on device"), 1, "bedrock-stream: [Errno 28] No space left on device\n"),
    ],
)
def test_error_messages(error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _fails_with(error) == code
    assert capsys.readouterr() == ("", message)


def test_ctrl_c_on_a_terminal_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    assert _fails_with(KeyboardInterrupt()) == 130
    assert screen.getvalue() == "\n"


def test_ctrl_c_outside_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def abort(*_: object, **__: object) -> None:
        raise typer.Abort

    monkeypatch.setattr(app_module, "app", abort)  # how typer reports Ctrl-C
    assert invoke([]) == 130
    monkeypatch.setattr(app_module, "invoke", interrupt)
    assert main() == 130


def test_an_unexpected_error_is_one_line_except_in_dev_mode(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Flags:
        dev_mode = False

    monkeypatch.setattr(sys, "flags", Flags)
    assert _fails_with(ZeroDivisionError("by zero")) == 1
    assert capsys.readouterr().err.startswith("bedrock-stream: unexpected ZeroDivisionError: by zero; ")
    Flags.dev_mode = True
    with pytest.raises(ZeroDivisionError):
        _fails_with(ZeroDivisionError())


def test_success_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: None) == 0
    assert run_command(lambda: 1) == 1
    assert capsys.readouterr() == ("", "")


def test_version_and_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bedrock-stream", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"bedrock-stream {bedrock_stream.__version__}\n"
    assert invoke([]) == 0
    shown = capsys.readouterr().out
    commands = ("demo", "ask", "explain", "models", "doctor", "emulator", "gateway", "play", "decode")
    lines = [line.strip("│ ").split("  ")[0] for line in shown.splitlines()]
    assert [line for line in lines if line in commands] == list(commands)  # one line each
    assert "Exit codes: 0 success" in shown
    assert invoke(["nonsense"]) == 2
    assert capsys.readouterr().err == "bedrock-stream: No such command 'nonsense' (see bedrock-stream --help)\n"


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_missing_extra(missing: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert main() == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        f'bedrock-stream: {missing} is not installed; pip install "bedrock-stream[cli]", '
        'or "bedrock-stream[demo]" to include the emulator\n'
    )


@pytest.mark.parametrize("command", ["demo", "emulator"])
def test_the_emulator_needs_its_extra(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "crcmod.predefined", None)
    assert invoke([command]) == 2
    output = capsys.readouterr().err
    assert 'pip install "bedrock-stream[testing]"' in output
    assert output.count("\n") == 1


def test_uvloop_is_optional(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert invoke(["ask", "some.model", "Hello", "--emulator"]) == 0
    assert capsys.readouterr().out.startswith("You said")


async def test_characters_that_the_locale_cannot_encode() -> None:
    completed = await run("ask", "some.model", "Größe", "--emulator", env={"PYTHONIOENCODING": "ascii"})
    assert completed.code == 0
    assert "Gr??e" in completed.out


@pytest.mark.parametrize("arguments", [("demo", "--no-pace"), ("ask", "m", "Hello", "--emulator"), ("--help",)])
def test_a_closed_pipe_is_silent(arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-W", "error", "-m", "bedrock_stream.cli", *arguments]
    completed = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)  # noqa: S603 - our own command
    os.close(writer)
    assert completed.stderr == b""
    assert completed.returncode in (1, 141)  # 1 where typer itself was writing
