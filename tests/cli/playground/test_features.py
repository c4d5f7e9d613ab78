"""What the page offers beside the conversation, in a real browser: on a desktop and on a phone, light and dark."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from bedrock_stream.cli.playground.scenes import STARTERS, play_scene
from bedrock_stream.testing import Emulator, stall, text, tool_call
from tests.support.axe import accessibility_problems
from tests.support.browser import launched
from tests.support.exhaustive import exhaustive, takes_long
from tests.support.playground_page import TIMEOUT, ended, opened_page, ready, send

# One event loop and one browser serve all tests of this module; each test has a page and a server of its own.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),  # a browser on a busy machine
]

expect.set_options(timeout=TIMEOUT)

DESKTOP, PHONE = (1280, 800), (390, 844)
VIEWS = ((DESKTOP, "light"), (PHONE, "dark"), (DESKTOP, "dark"), (PHONE, "light"))[: exhaustive(whole=4, part=1)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@pytest.fixture
def emulator() -> Emulator:
    """Return an emulator that the playground starts."""
    return Emulator(script=play_scene)


@pytest_asyncio.fixture(loop_scope="module", params=VIEWS, ids=lambda view: f"{view[0][0]}-{view[1]}")
async def page(browser: Browser, emulator: Emulator, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    (width, height), scheme = request.param
    async with opened_page(browser, emulator) as page:
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        yield page


def is_narrow(page: Page) -> bool:
    size = page.viewport_size
    assert size is not None
    return size["width"] < 861


async def open_panel(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name).first.click()
    await expect(page.get_by_role("complementary", name=name)).to_be_visible()


async def close_panel(page: Page, name: str) -> None:
    """Close a panel that covers the conversation."""
    if is_narrow(page):
        await page.get_by_role("button", name=f"Close {name.lower()}").click()


# ------------------------------------------------------------------------------------------------- what a turn offers


async def test_a_turn_shows_its_code(page: Page, emulator: Emulator) -> None:
    await page.get_by_role("button", name="Call a tool").click()
    await ended(page)
    await page.get_by_role("button", name="Show code").click()
    program = page.get_by_role("tabpanel", name="Python")
    await expect(program).to_contain_text("async with client.run_tools(")
    assert STARTERS[0].prompt in (await program.text_content() or "")
    assert await program.locator(".code-keyword").count() > 5
    await page.get_by_role("tab", name="Python").press("ArrowRight")
    request = page.get_by_role("tabpanel", name="JSON request")
    await expect(request).to_be_visible()
    shown = json.loads(await request.text_content() or "")
    assert shown["body"] == emulator.requests[0].json
    assert "..." in shown["headers"]["Authorization"]
    assert await accessibility_problems(page) == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_a_turn_is_copied(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Write Markdown").click()
    await ended(page)
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied: str = await page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("## The AWS event stream\n")


async def test_the_texts_of_two_rounds_are_copied_as_two_paragraphs(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Call a tool").click()
    await ended(page)
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "for that.\n\nIt is **" in await page.evaluate("navigator.clipboard.readText()")


async def test_a_turn_is_asked_again_with_the_selected_options(page: Page, emulator: Emulator) -> None:
    for prompt in ("First question", "Second question"):
        await send(page, prompt)
        await ended(page)
    await open_panel(page, "Options")
    await page.get_by_label("Temperature").fill("0.3")
    await close_panel(page, "Options")
    await page.get_by_role("button", name="Retry").first.click()
    await ended(page)
    assert await page.locator(".turn.user .said").all_text_contents() == ["First question"]
    sent = emulator.requests[-1].json
    assert len(sent["messages"]) == 1
    assert sent["inferenceConfig"]["temperature"] == 0.3


async def test_a_stopped_turn_is_shown_as_stopped(page: Page, emulator: Emulator) -> None:
    emulator.script(tool_call("get_weather", {"city": "Oslo"}))
    emulator.script(text("The beginning"), stall())
    await send(page, "Weather?")
    await expect(page.locator(".prose").last).to_have_text("The beginning")
    await expect(page.locator(".measures")).not_to_contain_text("tool_use")  # the stop reason of an earlier round
    await page.keyboard.press("Escape")
    await ended(page)
    await expect(page.locator(".measures")).to_contain_text("stop reasonStopped")
    await expect(page.locator(".note")).to_have_text("Stopped.")


async def test_the_request_ids_are_behind_a_button(page: Page, emulator: Emulator) -> None:
    await page.get_by_role("button", name="Call a tool").click()
    await ended(page)
    await expect(page.locator(".measures > dl")).to_contain_text("stop reasonend_turn")
    await expect(page.locator(".measures > dl")).not_to_contain_text("request")
    details = page.locator(".measures details")
    await expect(details.get_by_text("request id 2")).to_be_hidden()
    await details.locator("summary").click()
    await expect(details.get_by_text("request id 2")).to_be_visible()


async def test_the_cost_is_shown(page: Page) -> None:
    pytest.importorskip("genai_prices")
    await send(page, "Hello")
    await ended(page)
    await expect(page.locator(".measures")).to_contain_text("cost$0.00")


# ------------------------------------------------------------------------------------------------- the conversation


async def test_a_reload_keeps_the_conversation(page: Page, emulator: Emulator) -> None:
    await page.get_by_role("button", name="Call a tool").click()
    await ended(page)
    emulator.script(text("The beginning"), stall())
    await send(page, "Go on")
    await expect(page.locator(".prose").last).to_have_text("The beginning")
    before = await page.locator(".prose").all_text_contents()
    await page.reload()
    await ready(page)
    assert await page.locator(".prose").all_text_contents() == before
    await expect(page.locator(".tool .state")).to_have_text("done")
    await expect(page.locator(".measures").last).to_contain_text("Stopped")
    assert await page.get_by_role("button", name="Show code").count() == 2
    await send(page, "And now?")
    await ended(page)
    roles = [message["role"] for message in emulator.requests[-1].json["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user", "assistant", "user"]
    await page.get_by_role("button", name="New chat").click()
    await page.reload()
    await ready(page)
    await expect(page.locator(".turn")).to_have_count(0)


async def test_a_conversation_that_another_version_has_saved_is_forgotten(page: Page) -> None:
    for saved in ("{", "[1]", '[{"message": {}}]', "{}"):
        await page.evaluate("saved => sessionStorage.setItem('conversation', saved)", saved)
        await page.reload()
        await ready(page)
        await expect(page.locator(".turn")).to_have_count(0)
        await expect(page.get_by_role("button", name="Call a tool")).to_be_visible()


async def test_the_conversation_is_exported(page: Page, tmp_path: Path) -> None:
    await page.get_by_role("button", name="Call a tool").click()
    await ended(page)
    files = {}
    for kind, name in (("JSON", "conversation.json"), ("Markdown", "conversation.md")):
        await page.get_by_role("button", name="Export").click()
        async with page.expect_download() as waiting:
            await page.get_by_role("button", name=kind, exact=True).click()
        download = await waiting.value
        assert download.suggested_filename == name
        await download.save_as(tmp_path / name)
        files[kind] = (tmp_path / name).read_text(encoding="utf-8")
    exported = json.loads(files["JSON"])
    assert [message["role"] for message in exported["messages"]] == ["user", "assistant", "user", "assistant"]
    assert exported["turns"][0]["stop_reason"] == "end_turn"
    assert len(exported["turns"][0]["requests"]) == 2
    assert files["Markdown"].startswith(f"## You\n\n{STARTERS[0].prompt}\n\n## Model\n")
    assert 'get_weather {"city": "Oslo"' in files["Markdown"]


async def test_the_starters_stay_reachable(page: Page) -> None:
    await send(page, "Hello")
    await ended(page)
    await page.get_by_role("list", name="Examples").get_by_role("button", name="Write Markdown").click()
    await ended(page)
    code = page.get_by_role("group", name="Code, python")
    assert await code.evaluate("pre => getComputedStyle(pre, '::before').content") == '"python"'
    assert await code.locator(".code-keyword").all_text_contents() == [
        "async",
        "with",
        "as",
        "async",
        "for",
        "in",
        "True",
    ]
    assert await code.locator(".code-string").all_text_contents() == ['"Hello"', '""']


# ------------------------------------------------------------------------------------------------------- the inspector


async def test_the_inspector_opens_at_the_newest(page: Page) -> None:
    await page.get_by_role("button", name="Write Markdown").click()
    await ended(page)
    await open_panel(page, "Frames")
    await expect(page.locator("#frame-list > li").last).to_be_in_viewport()
    await page.get_by_role("tab", name="Events").click()
    await expect(page.locator("#event-list > li").last).to_be_in_viewport()


@pytest.mark.parametrize("route", ["Converse", "Native"])
async def test_a_piece_of_text_leads_to_its_frame(page: Page, emulator: Emulator, route: str) -> None:
    emulator.script(text(["One", " and", " and", " two"]))
    await open_panel(page, "Options")
    await page.get_by_label("Enable demo tools").uncheck()
    await close_panel(page, "Options")
    await page.get_by_label("Route").select_option(route)
    await send(page, "Hello")
    await ended(page)
    await open_panel(page, "Frames")
    await page.get_by_role("tab", name="Events").click()
    pieces = page.get_by_role("button", name="text_delta")
    assert len(set(await pieces.locator(".number").all_text_contents())) == 4  # equal pieces have frames of their own
    number = (await pieces.nth(2).locator(".number").text_content() or "").removeprefix("frame ")
    await pieces.nth(2).click()
    await expect(page.get_by_role("tab", name="Frames")).to_have_attribute("aria-selected", "true")
    frame = page.locator(".frame[open]")
    await expect(frame.locator(".number")).to_have_text(number)
    await expect(frame).to_contain_text('" and"')
    await expect(frame.locator("summary")).to_be_focused()
    linked = page.locator("#event-list button")
    assert await linked.count() == await page.locator("#event-list > li").count()


async def test_the_text_of_a_turn_leads_to_its_frames(page: Page, emulator: Emulator) -> None:
    emulator.script(text(["**One", "**", " two\n", "\nthree"]))
    await send(page, "Hello")
    await ended(page)
    await page.get_by_role("button", name="Pieces").click()
    pieces = page.get_by_role("group", name="Pieces of the text").get_by_role("button")
    assert await pieces.all_text_contents() == ["**One", "**", " two\n", "\nthree"]
    assert await accessibility_problems(page) == []
    await pieces.nth(2).click()
    frame = page.locator(".frame[open]")
    await expect(frame).to_contain_text('" two\\n"')
    await expect(frame).to_be_in_viewport()
    await expect(frame.locator("summary")).to_be_focused()
    await close_panel(page, "Frames")
    await page.get_by_role("button", name="Pieces").click()
    await expect(pieces).to_have_count(0)


# --------------------------------------------------------------------------------------------------------- the options


async def test_options_are_shown_only_where_the_model_takes_them(page: Page) -> None:
    await open_panel(page, "Options")
    reasoning, caching = page.get_by_label("Reasoning"), page.get_by_label("Cache the prompt")
    assert (await reasoning.locator("option").all_text_contents())[:2] == ["Off", "1,024 tokens (low)"]
    await expect(page.locator("#reasoning-field")).to_have_text("Sent as thinking.budget_tokens")
    await expect(caching).to_be_visible()
    await close_panel(page, "Options")
    await page.get_by_label("Model", exact=True).select_option("Llama 3.3 70B")
    await open_panel(page, "Options") if is_narrow(page) else None
    for label in ("Reasoning", "Cache the prompt"):
        await expect(page.get_by_label(label)).to_be_hidden()
    await expect(page.get_by_label("Temperature")).to_be_visible()
    await close_panel(page, "Options")
    await page.get_by_label("Model", exact=True).select_option("Other model")
    await page.get_by_label("Model id").fill("anthropic.claude-opus-4-8")
    await page.get_by_label("Model id").press("Tab")
    await open_panel(page, "Options") if is_narrow(page) else None
    await expect(page.get_by_label("Temperature")).to_be_hidden()
    await expect(page.locator("#reasoning-field")).to_have_text("Sent as output_config.effort")
    assert await reasoning.locator("option").all_text_contents() == ["Off", "low", "medium", "high", "xhigh", "max"]


async def test_the_new_options_reach_the_service(page: Page, emulator: Emulator) -> None:
    await open_panel(page, "Options")
    await page.get_by_label("System prompt").fill("Be brief.")
    await page.get_by_label("Stop sequences").fill("END\nSTOP")
    await page.get_by_label("Reasoning").select_option("1,024 tokens (low)")
    await page.get_by_label("Cache the prompt").check()
    await close_panel(page, "Options")
    await page.get_by_label("Route").select_option("Converse")
    await send(page, "Hello")
    await ended(page)
    sent = emulator.requests[-1].json
    assert sent["inferenceConfig"]["stopSequences"] == ["END", "STOP"]
    assert sent["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 1024
    assert "cachePoint" in json.dumps(sent["system"])


@pytest.mark.parametrize("model", ["Claude Sonnet 4.5", "Nova Pro"])  # by a field for the schema, and by a tool
async def test_a_structured_answer_fills_a_form(page: Page, emulator: Emulator, model: str) -> None:
    answer = '{"city": "Oslo", "population": 717710, "sights": ["Opera", "Fram"]}'
    whole, begun = answer[:24], answer[24:]
    if model == "Nova Pro":
        emulator.script(tool_call("structured_output", json.loads(answer), fragments=[whole, begun]))
    else:
        emulator.script(text([whole, begun]))
    await page.get_by_label("Model", exact=True).select_option(model)
    await open_panel(page, "Options")
    await page.get_by_role("checkbox", name="Structured output").check()
    await expect(page.get_by_role("checkbox", name="Enable demo tools")).to_be_disabled()
    schema = page.get_by_label("JSON Schema", exact=True)
    valid = await schema.input_value()
    await schema.fill("{")
    await expect(page.get_by_text("Not a JSON Schema")).to_be_visible()
    await schema.fill(valid)
    await close_panel(page, "Options")
    await page.evaluate(
        """() => {
            window.seen = [];
            const look = () => {
                const shown = [...document.querySelectorAll(".form textarea")].map((one) => one.value).join("|");
                if (shown && shown !== window.seen.at(-1)) window.seen.push(shown);
            };
            new MutationObserver(look).observe(document.getElementById("turns"), {childList: true, subtree: true});
        }"""
    )
    await send(page, "Oslo")
    await ended(page)
    form = page.get_by_role("group", name="Structured output")
    await expect(form.locator(".state")).to_have_text("matches the schema")
    await expect(form.get_by_label("city")).to_have_value("Oslo")
    await expect(form.get_by_label("population")).to_have_value("717710")
    assert await form.get_by_role("group", name="sights").get_by_role("textbox").count() == 2
    seen: list[str] = await page.evaluate("window.seen")
    assert seen[-1] == "Oslo|717710|Opera|Fram"
    assert any(shown.startswith("Oslo|") and "Fram" not in shown for shown in seen)  # filled while it was received
    assert await page.locator(".tool").count() == 0
    assert await accessibility_problems(page) == []


async def test_a_message_with_an_invalid_schema_is_not_sent(page: Page, emulator: Emulator) -> None:
    await open_panel(page, "Options")
    await page.get_by_role("checkbox", name="Structured output").check()
    await page.get_by_label("JSON Schema", exact=True).fill("[]")
    await close_panel(page, "Options")
    await send(page, "Hello")
    await expect(page.get_by_label("JSON Schema", exact=True)).to_be_focused()
    await expect(page.locator("#prompt")).to_have_value("Hello")
    assert not emulator.requests


# ---------------------------------------------------------------------------------------------------------- the layout


async def test_options_and_frames_are_side_by_side_where_there_is_room(page: Page) -> None:
    await open_panel(page, "Options")
    if is_narrow(page):
        await close_panel(page, "Options")
    await open_panel(page, "Frames")
    await expect(page.get_by_role("complementary", name="Options")).to_be_visible(visible=not is_narrow(page))
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.set_viewport_size({"width": 1000, "height": 800})
    await page.wait_for_function("() => document.getElementById('options').hidden")  # no room for both


async def test_the_header_is_one_row(page: Page) -> None:
    await send(page, "Hello")
    await ended(page)
    for width in (1280, 390, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        middles = await page.locator(".brand, .place, .bar-buttons > button").evaluate_all(
            "all => all.map((one) => one.getBoundingClientRect()).map(({top, bottom}) => (top + bottom) / 2)"
        )
        assert max(middles) - min(middles) <= 2
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await expect(page.get_by_role("button", name="Theme")).to_be_in_viewport(ratio=1)


@takes_long
async def test_every_view_is_accessible(page: Page) -> None:
    assert await accessibility_problems(page) == []
    for starter in ("Call a tool", "Write Markdown", "Damage a frame"):
        await page.get_by_role("button", name=starter).click()
        await ended(page)
    assert await accessibility_problems(page) == []
    await open_panel(page, "Options")
    await page.get_by_role("checkbox", name="Structured output").check()
    assert await accessibility_problems(page) == []
    await close_panel(page, "Options")
    await open_panel(page, "Frames")
    await page.locator(".frame summary").last.click()
    assert await accessibility_problems(page) == []
    await page.get_by_role("tab", name="Events").click()
    assert await accessibility_problems(page) == []
