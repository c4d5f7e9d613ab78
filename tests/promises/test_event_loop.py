"""The test setup: warnings as errors, failures for errors that are only logged, and in CI event loops in debug mode."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest

from tests.support.exhaustive import takes_long


@takes_long
async def test_the_loop_is_in_debug_mode() -> None:
    assert asyncio.get_running_loop().get_debug()


async def test_a_warning_is_an_error() -> None:
    with pytest.raises(ResourceWarning):
        warnings.warn("left open", ResourceWarning, stacklevel=1)


async def test_an_exception_that_is_never_retrieved_is_noticed(complaints: list[str]) -> None:
    async def fail() -> None:
        raise ValueError("not retrieved")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    assert complaints == []
    del task
    gc.collect()
    assert [message.splitlines()[0] for message in complaints] == ["Task exception was never retrieved"]
    complaints.clear()
