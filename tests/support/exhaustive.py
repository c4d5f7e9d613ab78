"""How much of an expensive sweep is tried: a part by default, all of it where EXHAUSTIVE is set, as `.ci/run` does."""

from __future__ import annotations

import os

import pytest

__all__ = ("exhaustive", "takes_long")


def exhaustive(*, whole: int, part: int) -> int:
    """Return the number of cases to try."""
    return whole if os.environ.get("EXHAUSTIVE") else part


takes_long = pytest.mark.skipif(not exhaustive(whole=1, part=0), reason="takes long: runs where EXHAUSTIVE is set")
"""Marks a test of which no part is tried by default."""
