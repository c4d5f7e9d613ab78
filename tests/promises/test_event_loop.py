"""What every test rests on: loops in debug mode, warnings that are errors, and no complaint that only a log hears."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest


async def test_the_loop_is_in_debug_mode() -> None:
    assert asyncio.get_running_loop().get_debug()


async def test_a_warning_is_an_error() -> None:
    with pytest.raises(ResourceWarning):
        warnings.warn("left open", ResourceWarning, stacklevel=1)


async def test_an_exception_that_nobody_retrieves_is_noticed(complaints: list[str]) -> None:
    async def fail() -> None:
        raise ValueError("unheard")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    assert complaints == []
    del task
    gc.collect()
    assert [said.splitlines()[0] for said in complaints] == ["Task exception was never retrieved"]
    complaints.clear()
