"""A real browser for tests of pages.

Requires Chromium: from the system, or from `playwright install chromium`. Without it the test is skipped, or fails if
REQUIRE_BROWSER is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

__all__ = ("launched",)


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """Yield a running browser."""
    async with async_playwright() as playwright:
        path = _find_browser(playwright.chromium.executable_path)
        # The sandbox needs privileges that containers lack. The browser opens only pages of the tests.
        async with await playwright.chromium.launch(executable_path=path, chromium_sandbox=False) as browser:
            yield browser


def _find_browser(bundled: str) -> str:
    """Return the path of the system's Chromium or of Playwright's `bundled` one; skip the test if there is neither."""
    for path in (shutil.which("chromium"), shutil.which("google-chrome"), bundled):
        if path is not None and Path(path).exists():
            return path
    problem = "no browser: apt-get install chromium, or playwright install chromium"
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(problem)
    pytest.skip(problem)
