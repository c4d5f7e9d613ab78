"""Print findings as they are made: a line with a mark and a fact, and a line with the remedy; or lines of JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

import msgspec
from rich.console import Console
from rich.text import Text

from ..terminal import make_console, one_line
from .findings import Finding

__all__ = ("JsonReport", "Report", "TextReport")

# Words, so that the output is readable in a pipe and in a locale without other marks.
_MARKS = {
    "ok": ("ok", "green"),
    "warning": ("warn", "yellow"),
    "failed": ("FAIL", "bold red"),
    "skipped": ("skip", "dim"),
}


class Report(Protocol):
    """Interface for the output of the checks."""

    def show(self, finding: Finding) -> None:
        """Print the next finding."""

    def finish(self, findings: Sequence[Finding]) -> None:
        """Print what follows all findings."""


class TextReport:
    """One line for each finding, its remedy below it, and a summary."""

    def __init__(self) -> None:
        self._console: Console = make_console(sys.stdout)

    def show(self, finding: Finding) -> None:
        """See `Report`."""
        mark, style = _MARKS[finding.status]
        line = Text(f"{mark:<6}", style).append(f"{finding.check:<13}", "bold").append(one_line(finding.fact))
        self._console.print(line, soft_wrap=True)
        if finding.remedy:
            remedy = Text(" " * 19).append("remedy: ", "cyan").append(one_line(finding.remedy))
            self._console.print(remedy, soft_wrap=True)

    def finish(self, findings: Sequence[Finding]) -> None:
        """See `Report`."""
        failures = [finding.check for finding in findings if finding.status == "failed"]
        if failures:
            text = Text(f"{len(failures)} of {len(findings)} checks failed: {', '.join(failures)}", "bold red")
        elif any(finding.check == "call" and finding.status == "ok" for finding in findings):
            text = Text("The model answers.", "bold green")
        else:
            text = Text("No check failed. The model was not called.", "bold")
        self._console.print(text, soft_wrap=True)


class JsonReport:
    """One line of JSON for each finding."""

    def show(self, finding: Finding) -> None:
        """See `Report`."""
        members = {name: getattr(finding, name) for name in ("check", "status", "fact", "remedy")}
        print(msgspec.json.encode(members).decode(), flush=True)

    def finish(self, findings: Sequence[Finding]) -> None:
        """See `Report`."""
