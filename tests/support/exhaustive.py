"""How much of an expensive sweep is tried: a part by default, all of it where EXHAUSTIVE is set, as `.ci/run` does."""

from __future__ import annotations

import os

__all__ = ("exhaustive",)


def exhaustive(*, whole: int, part: int) -> int:
    """Return the number of cases to try."""
    return whole if os.environ.get("EXHAUSTIVE") else part
