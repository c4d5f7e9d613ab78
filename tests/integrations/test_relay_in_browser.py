"""A page that is reloaded, or that loses its connection, in the middle of an answer ends with the whole of it once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bedrock_stream import Client
from bedrock_stream.integrations.starlette import Relay
from bedrock_stream.testing import REGION, Emulator
from tests.conftest import KEYS
from tests.support.browser import launched
from tests.support.relayed_chat import Chat
from tests.support.web_app import serving

# One event loop and one browser serve both tests.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

# Reads a UI message stream with `fetch`; as `useChat` does, it asks for a running answer whenever it is loaded.
FETCH_PAGE = """<!doctype html><link rel="icon" href="data:,"><p id="answer"></p><script>
const answer = document.getElementById("answer");
async function show(response) {
  if (response.status === 204) return document.body.dataset.state = "idle";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", read; !(read = await reader.read()).done; ) {
    const events = (rest + read.value).split("\\n\\n");
    rest = events.pop();
    for (const data of events.map(event => event.split("data: ")[1]).filter(data => data !== "[DONE]")) {
      const part = JSON.parse(data);
      if (part.type === "text-delta") answer.textContent += part.delta;
    }
  }
  document.body.dataset.state = "done";
}
fetch("/chat/c/stream").then(show);
const ask = () => fetch("/chat/c", {method: "POST"}).then(show);
</script>"""

# Reads this library's events with `EventSource`, which reconnects by itself.
EVENT_SOURCE_PAGE = """<!doctype html><link rel="icon" href="data:,"><p id="answer"></p><script>
const answer = document.getElementById("answer");
const source = new EventSource("/chat/c");
source.addEventListener("text_delta", event => answer.textContent += JSON.parse(event.data).text);
source.addEventListener("done", () => { source.close(); document.body.dataset.state = "done"; });
</script>"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@asynccontextmanager
async def page_of(browser: Browser, chat: Chat, html: str, app: ASGIApp | None = None) -> AsyncIterator[Page]:
    async def show(request: Request) -> Response:
        return HTMLResponse(html)

    chat.app.router.routes.append(Route("/", show))
    async with serving(app or chat.app) as url:
        page = await browser.new_page()
        await page.goto(url)
        yield page
        await page.close()


@asynccontextmanager
async def chat_of(emulator: Emulator, protocol: str) -> AsyncIterator[Chat]:
    client = Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS)
    async with client, Relay() as relay:
        chat = Chat(client, relay, protocol)
        chat.script(emulator)
        yield chat


async def has_text(page: Page, text: str) -> None:
    await page.wait_for_function("text => document.getElementById('answer').textContent === text", arg=text)


async def in_state(page: Page, state: str) -> None:
    await page.wait_for_function("state => document.body.dataset.state === state", arg=state)


async def test_a_reload_in_the_middle_ends_with_the_whole_answer_once(browser: Browser) -> None:
    async with (
        Emulator() as emulator,
        chat_of(emulator, "ui-message") as chat,
        page_of(browser, chat, FETCH_PAGE) as page,
    ):
        await in_state(page, "idle")  # nothing to resume
        await page.evaluate("void ask()")
        await has_text(page, "One two ")
        await chat.waiting.wait()
        await page.reload()
        await has_text(page, "One two ")
        chat.go_on.set()
        await in_state(page, "done")
        await has_text(page, "One two three four.")
        await page.reload()
        await in_state(page, "idle")  # it has ended
        assert len(emulator.requests) == 2


async def test_an_event_source_that_loses_its_connection_ends_with_the_whole_answer_once(browser: Browser) -> None:
    async with Emulator() as emulator, chat_of(emulator, "events") as chat:
        connections = 0

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            """End the first response behind "two", without the end of the answer."""
            nonlocal connections
            cut = False

            async def send_until_cut(message: Message) -> None:
                nonlocal cut
                if cut:
                    return
                body = message.get("body", b"")
                cut = connections == 1 and b"two" in body
                if b"One" in body:
                    message["body"] = b"retry: 10\n\n" + body  # milliseconds until the browser reconnects
                await send({**message, "more_body": False} if cut else message)

            if scope["path"] == "/chat/c":
                connections += 1
                chat.go_on.set() if connections == 2 else None
            await chat.app(scope, receive, send_until_cut)

        async with page_of(browser, chat, EVENT_SOURCE_PAGE, app) as page:
            await in_state(page, "done")
            await has_text(page, "One two three four.")
        assert connections == 2
        assert len(emulator.requests) == 2
