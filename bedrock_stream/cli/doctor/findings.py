"""The result of one check: a status, a fact in one sentence, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from ..exit_codes import FAILURE, USAGE_ERROR

__all__ = ("Finding", "Status", "exit_code", "failed", "ok", "skipped", "warning")

Status: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


class Finding(msgspec.Struct, frozen=True):
    """The result of one check."""

    check: str
    status: Status
    fact: str
    remedy: str | None = None
    exit_code: int = 0
    """What a failure means for the command: 2 if the user's own settings are to blame, else 1."""


def ok(check: str, fact: str) -> Finding:
    """Return the finding that nothing is wrong."""
    return Finding(check, "ok", fact)


def warning(check: str, fact: str, remedy: str) -> Finding:
    """Return the finding of something that may be wrong, and does not fail the command."""
    return Finding(check, "warning", fact, remedy)


def failed(check: str, fact: str, remedy: str, *, misuse: bool = False) -> Finding:
    """Return the finding that something is wrong. `misuse`: the user's own settings are to blame."""
    return Finding(check, "failed", fact, remedy, USAGE_ERROR if misuse else FAILURE)


def skipped(check: str, reason: str) -> Finding:
    """Return the finding that a check was left out."""
    return Finding(check, "skipped", reason)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the exit code of the command: that of the first failure, which is often the cause of the others."""
    return next((finding.exit_code for finding in findings if finding.status == "failed"), 0)
