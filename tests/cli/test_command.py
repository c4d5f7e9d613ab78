"""What the demo tells to type works from the folder in which it was typed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bedrock_stream.cli import command
from bedrock_stream.cli.command import command_name, play_command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a virtual environment that is not activated."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    script = tmp_path / ".venv" / "bin" / "bedrock-stream"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    return tmp_path


def test_a_script_beside_the_path_keeps_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/bedrock-stream", "demo"])
    assert command_name() == ".venv/bin/bedrock-stream"
    monkeypatch.chdir(folder / ".venv" / "bin")
    monkeypatch.setattr(sys, "argv", ["./bedrock-stream", "demo"])
    assert command_name() == "./bedrock-stream"
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "argv", [str(folder / ".venv/bin/bedrock-stream"), "demo"])
    assert command_name().endswith(f"{folder.name}/.venv/bin/bedrock-stream")


def test_a_script_on_the_path_is_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder / ".venv" / "bin"))
    monkeypatch.setattr(sys, "argv", [str(folder / ".venv/bin/bedrock-stream"), "demo"])
    assert command_name() == "bedrock-stream"


def test_a_module_is_run_by_its_interpreter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bedrock_stream/__main__.py", "demo"])
    monkeypatch.setattr(sys, "executable", str(folder / ".venv/bin/python"))
    assert command_name() == ".venv/bin/python -m bedrock_stream"


def test_what_the_playground_needs_is_installed_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/bedrock-stream", "demo"])
    assert play_command() == ".venv/bin/bedrock-stream play"
    monkeypatch.setattr(sys, "executable", str(folder / ".venv/bin/python"))
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    install = '.venv/bin/python -m pip install -q "bedrock-stream[play]"'
    assert play_command() == f"{install} && .venv/bin/bedrock-stream play"
