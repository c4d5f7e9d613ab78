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


@pytest.fixture
def empty_key_store() -> Iterator[None]:
    """Empty the key store after a test."""
    yield
    put_key("aws_bedrock", None)
