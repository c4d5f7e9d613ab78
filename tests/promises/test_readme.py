"""README is short, and its programs run unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedrock_stream.testing import ThreadedEmulator
from tests.support.doc_pages import README, blocks
from tests.support.doc_runs import environment, run_python

PROGRAMS = [block for block in blocks(README) if block.language == "python" and not block.tests]


def test_it_has_at_most_150_lines() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_each_command_is_one_line() -> None:
    commands = [block.code for block in blocks(README) if block.language == "sh"]
    assert all(command.count("\n") == 1 for command in commands)


def test_the_first_programs_are_short() -> None:
    assert [len(program.code.splitlines()) <= 12 for program in PROGRAMS] == [True, True]


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_program_runs_unchanged(number: int, tmp_path: Path) -> None:
    with ThreadedEmulator() as emulator:
        done = run_python(["-c", PROGRAMS[number].code], tmp_path, environment(emulator.url))
    # asyncio's debug mode warns of slow callbacks, which depend on how busy the machine is.
    warned = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (done.returncode, warned) == (0, [])
    assert done.stdout
