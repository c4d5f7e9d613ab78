"""Every way out of a command is an exit code and at most one line."""

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
from bedrock_stream.cli.exit_codes import outcome
from bedrock_stream.errors import BedrockStreamError, ConfigurationError, MissingCredentials
from tests.support.command_line import Screen, run


def _fails_with(error: BaseException) -> int:
    def action() -> None:
        raise error

    return outcome(action)


@pytest.mark.parametrize(
    ("error", "code", "complaint"),
    [
        (KeyboardInterrupt(), 130, ""),
        (asyncio.CancelledError(), 143, ""),
        (BrokenPipeError(), 141, ""),
        (MissingCredentials("credentials", "none"), 2, "bedrock-stream: credentials: none, or try --emulator\n"),
        (ConfigurationError("region", "wrong", "mend it"), 2, "bedrock-stream: --region: wrong; mend it\n"),
        (ConfigurationError("Emulator", "wrong"), 2, "bedrock-stream: Emulator: wrong\n"),
        (BedrockStreamError("no\nluck"), 1, "bedrock-stream: no luck\n"),
        (OSError(28, "No space left on device"), 1, "bedrock-stream: [Errno 28] No space left on device\n"),
    ],
)
def test_what_is_said(error: BaseException, code: int, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _fails_with(error) == code
    assert capsys.readouterr() == ("", complaint)


def test_ctrl_c_on_a_terminal_leaves_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    assert _fails_with(KeyboardInterrupt()) == 130
    assert screen.getvalue() == "\n"


def test_ctrl_c_before_and_beside_any_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def abort(*_: object, **__: object) -> None:
        raise typer.Abort

    monkeypatch.setattr(app_module, "app", abort)  # what typer makes of it
    assert invoke([]) == 130
    monkeypatch.setattr(app_module, "invoke", interrupt)
    assert main() == 130


def test_a_bug_is_one_line_too_unless_somebody_looks_for_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Flags:
        dev_mode = False

    monkeypatch.setattr(sys, "flags", Flags)
    assert _fails_with(ZeroDivisionError("by nothing")) == 1
    assert capsys.readouterr().err.startswith("bedrock-stream: unexpected ZeroDivisionError: by nothing; ")
    Flags.dev_mode = True
    with pytest.raises(ZeroDivisionError):
        _fails_with(ZeroDivisionError())


def test_success_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(lambda: None) == 0
    assert outcome(lambda: 1) == 1
    assert capsys.readouterr() == ("", "")


def test_version_and_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bedrock-stream", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"bedrock-stream {bedrock_stream.__version__}\n"
    assert invoke([]) == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in ("demo", "ask", "emulator", "decode"))
    assert invoke(["nonsense"]) == 2
    assert capsys.readouterr().err == "bedrock-stream: No such command 'nonsense' (see bedrock-stream --help)\n"


@pytest.mark.parametrize("absent", ["typer", "rich"])
def test_an_extra_that_is_missing(
    absent: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    assert main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f'bedrock-stream: {absent} is not installed; pip install "bedrock-stream[cli]", '
        'or "bedrock-stream[demo]" for the emulator too\n'
    )


@pytest.mark.parametrize("command", ["demo", "emulator"])
def test_the_emulator_needs_its_extra(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "crcmod.predefined", None)
    assert invoke([command]) == 2
    said = capsys.readouterr().err
    assert 'pip install "bedrock-stream[testing]"' in said
    assert said.count("\n") == 1


def test_uvloop_is_only_used_where_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert invoke(["ask", "some.model", "Hello", "--emulator"]) == 0
    assert capsys.readouterr().out.startswith("You said")


async def test_a_locale_that_lacks_characters() -> None:
    ended = await run("ask", "some.model", "Größe", "--emulator", env={"PYTHONIOENCODING": "ascii"})
    assert ended.code == 0
    assert "Gr??e" in ended.out


@pytest.mark.parametrize("arguments", [("demo", "--no-pace"), ("ask", "m", "Hello", "--emulator"), ("--help",)])
def test_a_closed_pipe_ends_silently(arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-W", "error", "-m", "bedrock_stream.cli", *arguments]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)  # noqa: S603 - our own command
    os.close(writer)
    assert ended.stderr == b""
    assert ended.returncode in (1, 141)  # 1 where typer itself was writing
