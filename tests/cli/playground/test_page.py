"""The page in a real browser.

Requires Chromium: from the system, or from `playwright install chromium`. Without it these tests are skipped, or fail
if REQUIRE_BROWSER is set.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from bedrock_stream.cli.playground.scenes import MARKUP, STARTERS, play_scene
from bedrock_stream.testing import (
    Emulator,
    cut,
    flip_bit,
    hang_before_headers,
    http_error,
    reasoning,
    stall,
    text,
    tool_call,
)
from tests.support.browser import launched
from tests.support.playground_page import TIMEOUT, ended, opened_page, ready, send

# One event loop and one browser serve all tests of this module; each test has a page and a server of its own.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),  # a browser on a busy machine
]

expect.set_options(timeout=TIMEOUT)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@pytest.fixture
def emulator() -> Emulator:
    """Return an emulator that the playground starts, slow enough for deltas to be drawn one by one."""
    return Emulator(pace=0.004, script=play_scene)


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, emulator: Emulator) -> AsyncIterator[Page]:
    async with opened_page(browser, emulator) as page:
        yield page


# ----------------------------------------------------------------------------------------------------------- streaming


async def test_tokens_arrive_one_by_one(page: Page) -> None:
    await page.evaluate(
        """() => {
            window.seen = [];
            const look = () => {
                const prose = document.querySelector(".turn.model .prose");
                if (prose && prose.textContent !== window.seen.at(-1)) window.seen.push(prose.textContent);
            };
            new MutationObserver(look).observe(document.getElementById("turns"), {childList: true, subtree: true});
        }"""
    )
    await send(page, "Hello there")
    await ended(page)
    seen: list[str] = await page.evaluate("window.seen")
    assert len(seen) > 10
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))
    assert seen[-1].startswith('You said: "Hello there".')
    measures = page.locator(".measures")
    for shown in ("first token", "tokens/s", "input tokens", "output tokens", "end_turn", "request id"):
        await expect(measures).to_contain_text(shown)


async def test_tool_input_is_shown_as_it_arrives(page: Page, emulator: Emulator) -> None:
    emulator.script(tool_call("get_weather", {"city": "Oslo"}, fragments=['{"city"', ': "Os', 'lo"}']), stall())
    await send(page, "Weather?")
    call = page.get_by_role("group", name="Tool call get_weather")
    await expect(call.locator(".input")).to_have_text('{"city": "Oslo"}')
    assert await call.locator(".fragment").all_text_contents() == ['{"city"', ': "Os', 'lo"}']
    await expect(call.locator(".state")).to_have_text("receiving input")
    await page.keyboard.press("Escape")
    await expect(call.locator(".state")).to_have_text("not finished")


async def test_a_tool_is_run_and_its_result_is_used(page: Page) -> None:
    await page.get_by_role("button", name="Call a tool").click()
    await ended(page)
    call = page.get_by_role("group", name="Tool call get_weather")
    await expect(call.locator(".state")).to_have_text("done")
    await expect(call.locator(".result")).to_contain_text('"city":"Oslo"')
    await expect(page.locator(".turn.model strong")).to_contain_text("degrees")


async def test_reasoning_is_collapsed(page: Page, emulator: Emulator) -> None:
    emulator.script(reasoning("Deep thoughts."), text("An answer."))
    await send(page, "Think")
    await ended(page)
    thought = page.locator("details.thought")
    await expect(thought.locator("summary")).to_contain_text("Thought for")
    await expect(thought.get_by_text("Deep thoughts.")).to_be_hidden()
    await thought.locator("summary").click()
    await expect(thought.get_by_text("Deep thoughts.")).to_be_visible()


async def test_the_conversation_is_sent(page: Page, emulator: Emulator) -> None:
    for prompt in ("First question", "Second question"):
        await send(page, prompt)
        await ended(page)
    history = emulator.requests[-1].json["messages"]
    assert [message["role"] for message in history] == ["user", "assistant", "user"]
    await page.get_by_role("button", name="New chat").click()
    await send(page, "Third question")
    await ended(page)
    assert len(emulator.requests[-1].json["messages"]) == 1


async def test_the_options_reach_the_service(page: Page, emulator: Emulator) -> None:
    await page.get_by_role("button", name="Options", exact=True).click()
    await page.get_by_label("System prompt").fill("Be brief.")
    await page.get_by_label("Maximum output tokens").fill("5")
    await page.get_by_label("Enable demo tools").uncheck()
    await page.get_by_label("Route").select_option("Converse")
    await page.get_by_label("Model", exact=True).select_option("Other model")
    await page.get_by_label("Model id").fill("amazon.nova-lite-v1:0")
    await send(page, "Hello")
    await expect(page.locator(".measures")).to_contain_text("max_tokens")
    request = emulator.requests[-1]
    assert (request.operation, request.model) == ("ConverseStream", "amazon.nova-lite-v1:0")
    assert request.json["system"] == [{"text": "Be brief."}]
    assert request.json["inferenceConfig"] == {"maxTokens": 5}
    assert "toolConfig" not in request.json


# ------------------------------------------------------------------------------------------------------------- stopping


@pytest.mark.parametrize("control", ["button", "escape"])
async def test_stopping_closes_the_stream_to_the_service(page: Page, emulator: Emulator, control: str) -> None:
    emulator.script(text("The beginning"), stall())
    await send(page, "Hello")
    await expect(page.locator(".turn.model .prose")).to_have_text("The beginning")
    assert emulator.open_streams == 1
    if control == "button":
        await page.get_by_role("button", name="Stop", exact=True).click()
    else:
        await page.keyboard.press("Escape")
    await emulator.wait_until_idle()
    await ended(page)
    await expect(page.locator(".turn.model")).to_contain_text("Stopped.")
    await send(page, "Go on")
    await ended(page)
    assert [m["role"] for m in emulator.requests[-1].json["messages"]] == ["user", "assistant", "user"]


async def test_stopping_before_the_first_token_drops_the_message(page: Page, emulator: Emulator) -> None:
    emulator.script(hang_before_headers())
    await send(page, "Hello")
    await emulator.wait_for_streams(1)
    await page.keyboard.press("Escape")
    await emulator.wait_until_idle()
    await send(page, "Again")
    await ended(page)
    assert len(emulator.requests[-1].json["messages"]) == 1


async def test_a_reload_closes_the_stream_to_the_service(page: Page, emulator: Emulator) -> None:
    emulator.script(text("The beginning"), stall())
    await send(page, "Hello")
    await expect(page.locator(".turn.model .prose")).to_have_text("The beginning")
    assert "token" not in page.url
    await page.reload()  # authorized by the cookie
    await ready(page)
    await emulator.wait_until_idle()
    await send(page, "Hello again")
    await ended(page)


# ------------------------------------------------------------------------------------------------------------ rendering


async def test_html_from_the_model_is_shown_as_text(page: Page) -> None:
    await page.get_by_role("button", name="Return HTML").click()
    await ended(page)
    prose = page.locator(".turn.model .prose")
    for line in MARKUP.split("\n\n")[1:3]:
        await expect(prose).to_contain_text(line)
    assert await prose.locator("script, img, [onerror]").count() == 0
    assert await page.title() == "bedrock-stream playground"
    links = prose.get_by_role("link")
    assert await links.evaluate_all("links => links.map(a => [a.href, a.rel])") == [
        ["https://example.com/", "noopener noreferrer nofollow"]
    ]


async def test_markdown_is_rendered(page: Page) -> None:
    await page.get_by_role("button", name="Write Markdown").click()
    await ended(page)
    prose = page.locator(".turn.model .prose")
    await expect(prose.get_by_role("heading", name="The AWS event stream")).to_be_visible()
    assert await prose.get_by_role("row").count() == 6
    assert await prose.locator("ol > li").count() == 3
    assert await prose.locator("ol > li ul > li").all_text_contents() == ["headers first,", "then the payload."]
    assert (await prose.locator("pre code").text_content() or "").startswith("async with stream(")
    assert await prose.locator("em").all_text_contents() == ["headers", "message CRC"]
    await expect(prose.get_by_role("link", name="the Smithy specification")).to_be_visible()


async def test_an_error_is_shown_with_its_remedy(page: Page, emulator: Emulator) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Slow down."))
    await send(page, "Hello")
    error = page.get_by_role("group", name="Error: Throttled")
    for shown in ("Slow down.", "429", "ThrottlingException", "request", "Wait a moment"):
        await expect(error).to_contain_text(shown)
    emulator.script(text("Only half"), cut(torn=True))
    await send(page, "Hello")
    await expect(page.get_by_role("group", name="Error: StreamInterrupted")).to_contain_text("incomplete")


async def test_the_inspector_opens_a_frame(page: Page, emulator: Emulator) -> None:
    emulator.script(text("Hi"), flip_bit(-40), text("damaged"))
    await page.get_by_role("button", name="Options", exact=True).click()
    await page.get_by_label("Enable demo tools").uncheck()  # with tools the route would be Converse
    await page.get_by_role("button", name="Frames 0").click()
    await send(page, "Hello")
    await ended(page)
    await expect(page.locator("#frames-sum")).to_contain_text("1 damaged")
    intact = page.locator(".frame").first
    await intact.locator("summary").press("Enter")
    for shown in (
        ":event-type",
        "string",
        "Prelude CRC",
        "matches",
        "Decoded chunk",
        "message_start",
        "0000  00 00",
    ):
        await expect(intact).to_contain_text(shown)
    broken = page.locator(".frame.broken")
    await broken.locator("summary").click()
    await expect(broken).to_contain_text("ChecksumMismatch")
    await expect(broken).to_contain_text("does not match")


# -------------------------------------------------------------------------------------------------------- accessibility


async def test_a_screen_reader_gets_sentences_and_not_tokens(page: Page) -> None:
    await page.evaluate(
        """() => {
            window.announced = [];
            const region = document.getElementById("announcer");
            new MutationObserver(() => window.announced.push(region.textContent)).observe(region, {childList: true});
        }"""
    )
    await send(page, "Hello")
    await ended(page)
    await expect(page.locator("#announcer")).to_contain_text("End of response.")
    announced: list[str] = await page.evaluate("window.announced")
    assert len(announced) < 5
    assert 'You said: "Hello".' in " ".join(announced)


SPEAKERS = {"You", "Model"}


async def test_a_screen_reader_gets_headings_for_the_speakers(page: Page, emulator: Emulator) -> None:
    code = "```python\nx = 1\n```\n\n```python\ny = 2\n```"
    emulator.script(text(code), tool_call("get_weather", {"city": "Oslo"}), tool_call("get_weather", {"city": "Rome"}))
    emulator.script(text("Rain."))
    await send(page, "Weather?")
    await ended(page)
    conversation = page.get_by_role("region", name="Conversation")
    headings = conversation.get_by_role("heading", level=2)
    assert [text for text in await headings.all_text_contents() if text in SPEAKERS] == ["You", "Model"]
    # Landmarks need unique names, so elements that may occur several times are not landmarks.
    names = await page.get_by_role("region").evaluate_all("all => all.map((one) => one.ariaLabel)")
    assert sorted(names) == ["Conversation"]
    assert await page.get_by_role("group", name="Code, python").count() == 2
    assert await page.get_by_role("group", name="Tool call get_weather").count() == 2


async def test_frame_headers_are_a_table_with_row_headers(page: Page, emulator: Emulator) -> None:
    await send(page, "Hello")
    await ended(page)
    await page.get_by_role("button", name="Frames").first.click()
    await page.locator(".frame summary").first.click()
    names = page.locator(".frame").first.get_by_role("rowheader")
    await expect(names).to_have_count(3)
    assert set(await names.all_text_contents()) == {":event-type", ":content-type", ":message-type"}


async def test_the_end_of_a_response_stays_visible_while_the_prompt_grows(page: Page) -> None:
    await page.get_by_role("button", name="Write Markdown").click()
    await ended(page)
    await page.get_by_label("Model", exact=True).select_option("other")
    await page.get_by_label("Your message").fill("1\n2\n3\n4\n5\n6\n7\n8")
    await expect(page.locator(".measures").last).to_be_in_viewport(ratio=1)
    await page.get_by_label("Model", exact=True).select_option(index=0)
    await send(page, "Again")
    await ended(page)
    assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")  # only the conversation scrolls


async def test_the_prompt_grows_while_the_end_is_scrolled_to(page: Page) -> None:
    await page.get_by_role("button", name="Write Markdown").click()
    await ended(page)
    await page.evaluate(
        """async () => {
            const frame = () => new Promise(requestAnimationFrame);
            const talk = document.getElementById("talk");
            talk.scrollTop -= 20;
            await frame();
            await new Promise((resolve) => setTimeout(resolve)); // between two frames
            talk.scrollTop = talk.scrollHeight; // its event comes after the prompt has grown
            document.getElementById("prompt").value = "1\\n2\\n3\\n4\\n5\\n6\\n7\\n8";
        }"""
    )
    await expect(page.locator(".measures").last).to_be_in_viewport(ratio=1)


async def test_a_reader_who_scrolled_up_stays_there(page: Page) -> None:
    await page.get_by_role("button", name="Write Markdown").click()
    await ended(page)
    top = await page.evaluate(
        """async () => {
            const frame = () => new Promise(requestAnimationFrame);
            const talk = document.getElementById("talk");
            talk.scrollTop = 0;
            await frame();
            await frame();
            document.getElementById("prompt").value = "1\\n2\\n3\\n4\\n5\\n6\\n7\\n8";
            for (let count = 0; count < 5; count++) await frame();
            return talk.scrollTop;
        }"""
    )
    assert top == 0


async def test_everything_is_reachable_by_keyboard(page: Page) -> None:
    await page.set_viewport_size({"width": 800, "height": 600})  # the prompt is not focused on load at this width
    await page.reload()
    await ready(page)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the prompt")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Your message")).to_be_focused()
    await page.keyboard.type("One")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("Two")
    await expect(page.get_by_label("Your message")).to_have_value("One\nTwo")
    await page.keyboard.press("Enter")
    await ended(page)
    await expect(page.locator(".turn.user .said")).to_have_text("One\nTwo")


async def test_elements_behind_a_panel_are_inert(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await send(page, "Hello")
    await ended(page)
    await page.get_by_role("button", name="Frames").first.click()
    await expect(page.get_by_role("button", name="Close frames")).to_be_focused()
    inside = "document.activeElement === document.body || document.activeElement.closest('#frames') !== null"
    for _ in range(8):
        await page.keyboard.press("Shift+Tab")  # backwards, towards the elements before the panel
        assert await page.evaluate(inside)
    await expect(page.get_by_label("Your message")).not_to_be_focused()
    await page.set_viewport_size({"width": 1280, "height": 800})  # the panel is next to the conversation
    await page.wait_for_function("() => !document.querySelector('.chat').inert")  # the page notices a frame later
    await page.get_by_label("Your message").focus()
    await expect(page.get_by_label("Your message")).to_be_focused()
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.get_by_role("button", name="Close frames").press("Enter")
    await expect(page.get_by_role("button", name="Frames").first).to_be_focused()
    await page.get_by_label("Your message").focus()
    await expect(page.get_by_label("Your message")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_fits_a_phone_in_either_theme(page: Page, scheme: str) -> None:
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    await page.get_by_role("button", name=STARTERS[1].title).click()
    await ended(page)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport()
    lines = """cells => cells.map((cell) => {
        const range = new Range();
        range.selectNodeContents(cell);
        return range.getClientRects().length;
    })"""
    assert await page.locator(".table th").evaluate_all(lines) == [1, 1, 1]  # narrow columns do not break words
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    system = await page.evaluate(ground)
    await page.get_by_role("button", name="Theme").click()  # to light
    await page.get_by_role("button", name="Theme").click()  # to dark
    selected = await page.evaluate(ground)
    assert (system == selected) is (scheme == "dark")
    await page.get_by_role("button", name="Frames").first.click()
    await expect(page.get_by_role("complementary", name="Frames")).to_be_in_viewport(ratio=1)
    await page.keyboard.press("Escape")
    await expect(page.get_by_label("Your message")).to_be_visible()
