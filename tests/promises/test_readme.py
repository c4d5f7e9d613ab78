"""The README's programs run unchanged, and the first one is short."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bedrock_stream.testing import API_KEY, ThreadedEmulator

README = Path(__file__).parents[2] / "README.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_first_program_has_at_most_twelve_lines() -> None:
    assert len(PROGRAMS[0].splitlines()) <= 12


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_program_runs_unchanged(number: int) -> None:
    with ThreadedEmulator() as emulator:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environ |= {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": emulator.url, "AWS_ENDPOINT_URL_BEDROCK_MANTLE": emulator.url}
        environ |= {"AWS_BEARER_TOKEN_BEDROCK": API_KEY}
        environ |= {"AWS_CONFIG_FILE": os.devnull, "PYTHONWARNINGS": "error"}
        command = [sys.executable, "-X", "dev", "-c", PROGRAMS[number]]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50)  # noqa: S603 - our own program
    # asyncio's debug mode warns of slow callbacks, which depend on how busy the machine is.
    warned = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (done.returncode, warned) == (0, [])
    assert done.stdout or "asyncio.run" not in PROGRAMS[number]
