"""The playground's page in a browser: opened, and driven as a user would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, ConsoleMessage, Page, expect

from bedrock_stream.testing import Emulator

from .playground_server import TOKEN, served

__all__ = ("TIMEOUT", "ended", "opened_page", "ready", "send")

TIMEOUT = 30_000
"""Milliseconds, on a busy machine."""


@asynccontextmanager
async def opened_page(browser: Browser, emulator: Emulator) -> AsyncIterator[Page]:
    """Yield the loaded page. Any error or warning of the browser fails the test."""
    problems: list[str] = []

    def record(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            problems.append(message.text)

    async with served(emulator) as address:
        opened = await browser.new_page()  # with cookies and storage of its own
        opened.set_default_timeout(TIMEOUT)
        opened.on("console", record)
        opened.on("pageerror", lambda error: problems.append(str(error)))
        await opened.goto(f"{address}/?token={TOKEN}")
        await ready(opened)
        yield opened
        await opened.close()
    assert not problems


async def ready(page: Page) -> None:
    """Wait until the page listens."""
    await page.wait_for_selector("[data-ready]")


async def send(page: Page, prompt: str) -> None:
    """Type a message and send it."""
    await page.get_by_label("Your message").fill(prompt)
    await page.keyboard.press("Enter")


async def ended(page: Page) -> None:
    """Wait for the end of the response."""
    # `expect` alone would notice up to a second late: it polls less and less often.
    await page.wait_for_function("() => !document.getElementById('send').hidden")
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
