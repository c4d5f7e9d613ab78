"""The benchmarks run, and their contenders agree; what they measure is nobody's business here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_cpu_per_event_compares_contenders_that_agree(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.cpu_per_event", "--events", "50", "--rounds", "1", "--json", str(file)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1], timeout=55)  # noqa: S603 - ours
    figures = json.loads(file.read_text())["figures"]
    assert set(figures) == {"frame to typed event", "whole client, burst"}
    assert all(row["ratio"] > 0 for row in figures.values())


def test_side_by_side_tells_of_both_and_ours_lets_go_and_tells_the_truth(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks.side_by_side", "--wait", "1", "--json", str(file)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1], timeout=55)  # noqa: S603 - ours
    found = json.loads(file.read_text())["found"]
    assert all(theirs for theirs, _ in found.values())
    assert [ours for _, ours in found.values()] == [
        "answered at once, 0 of 10 still open",
        "answered at once, 0 of 10 still open",
        "StreamInterrupted after 'It is not'",
        "Throttled, status 429",
        "Throttled, status 429",
    ]
