"""axe-core, which checks the accessibility of a page: from the package axe-playwright-python, and never served.

Without it the test is skipped, or fails if REQUIRE_BROWSER is set.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import Page

__all__ = ("accessibility_problems",)


async def accessibility_problems(page: Page) -> list[str]:
    """Return what axe-core finds wrong with the page as it is shown now."""
    if not await page.evaluate("typeof axe !== 'undefined'"):
        await page.evaluate(_source())
    found: dict[str, Any] = await page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{problem['id']}: {problem['help']}: {[node['html'][:200] for node in problem['nodes']]}"
        for problem in found["violations"]
    ]


@cache
def _source() -> str:
    if not os.environ.get("REQUIRE_BROWSER"):
        pytest.importorskip("axe_playwright_python")
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
