"""Fixtures for the tests of credentials: a source's context, and an empty key store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from bedrock_stream import put_key
from tests.support.source_context import ContextHarness, open_harness


@pytest.fixture
async def harness() -> AsyncIterator[ContextHarness]:
    """Return a context to fetch from sources with, and records of how they use it."""
    async with open_harness() as opened:
        yield opened


class LookClock:
    """The clock of the looks at the shared files. Each reading of it takes `step` seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now

    def advance(self) -> None:
        """Let enough time pass for another look."""
        self.now += 1


@pytest.fixture
def look_clock(monkeypatch: pytest.MonkeyPatch) -> LookClock:
    """Return the clock of clients that are created from here on."""
    clock = LookClock()
    monkeypatch.setattr("bedrock_stream.auth.profiles.monotonic", clock)
    return clock


@pytest.fixture
def empty_key_store() -> Iterator[None]:
    """Empty the key store after a test."""
    yield
    put_key("aws_bedrock", None)
