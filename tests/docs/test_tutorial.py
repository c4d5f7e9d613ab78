"""The chat at the end of the tutorial: its two files are taken from the page, and do what the page says."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bedrock_stream.testing import API_KEY, REGION, Emulator, Step, stall, text, tool_call
from tests.support.browser import launched
from tests.support.doc_pages import DOCS, blocks
from tests.support.web_app import parts, serving

FILES = {block.title: block.code for block in blocks(DOCS / "tutorial" / "fastapi-chat.md") if block.title}
SCRIPT: list[list[Step]] = [
    [text("Let me look. "), tool_call("get_weather", {"city": "Oslo"})],
    [text("It rains in Oslo.")],
    [text(["Once upon a time"]), stall()],
    [text("As I said.")],
]


@pytest.fixture
async def emulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulator]:
    async with Emulator(script=SCRIPT) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", running.url)
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", API_KEY)
        monkeypatch.setenv("AWS_REGION", REGION)
        yield running


@pytest.fixture
def app(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        Path(name).write_text(content, encoding="utf-8")
    return runpy.run_path("app.py")["app"]


def test_the_first_page_sets_the_emulators_own_settings() -> None:
    page = (DOCS / "tutorial" / "first-stream.md").read_text(encoding="utf-8")
    for setting in (f"AWS_BEARER_TOKEN_BEDROCK={API_KEY}", f"AWS_REGION={REGION}"):
        assert f"export {setting}\n" in page


async def test_it_remembers_calls_a_tool_and_goes_on_after_a_stop(app: Any, emulator: Emulator) -> None:
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        assert (await http.get("/")).text == FILES["chat.html"]
        events = parts((await http.post("/chats/a", json={"text": "How is the weather in Oslo?"})).text)
        assert [event["type"] for event in events if event["type"] in {"tool_call_end", "tool_result", "done"}] == [
            "tool_call_end",
            "tool_result",
            "done",
        ]
        assert (await http.get("/chats/a/answer")).status_code == 204
        async with http.stream("POST", "/chats/a", json={"text": "Tell me a story"}) as story:
            async for line in story.aiter_lines():
                if "upon a time" in line:
                    break
        # The reader left, and the answer is still being written: another reader gets it from its start.
        reading = asyncio.create_task(http.get("/chats/a/answer"))
        assert (await http.delete("/chats/a/answer")).json() is True
        await reading
        await http.post("/chats/a", json={"text": "Go on"})
        history = (await http.get("/chats/a")).json()
    assert [message["role"] for message in history] == ["user", "assistant"] * 4
    assert history[5]["content"][0]["text"] == "Once upon a time"
    assert len(emulator.requests[-1].json["messages"]) == 7


async def test_its_page_shows_tools_stops_and_goes_on_after_a_reload(app: Any) -> None:
    async with serving(app) as url, launched() as browser:
        page = await browser.new_page()
        await page.goto(url)
        await page.get_by_role("button", name="Send").click()
        await page.get_by_text("It rains in Oslo.").wait_for()
        assert await page.locator(".tool").all_inner_texts() == ['get_weather({"city":"Oslo"})']
        await page.get_by_label("Message").fill("Tell me a story")
        await page.get_by_role("button", name="Send").click()
        await page.get_by_text("Once upon a time").wait_for()
        await page.reload()
        await page.get_by_text("Once upon a time").wait_for()
        shown = await page.locator("p").all_inner_texts()
        await page.get_by_role("button", name="Stop").click()
        await page.get_by_text("Stopped").wait_for()
        await page.reload()
        await page.get_by_text("Once upon a time").wait_for()
        assert await page.locator("p").all_inner_texts() == shown
    assert shown == [
        "What is the weather in Oslo?",
        "Let me look. ",
        'get_weather({"city":"Oslo"})',
        "It rains in Oslo.",
        "Tell me a story",
        "Once upon a time",
    ]
