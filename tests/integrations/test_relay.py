"""Answers that outlive a connection: complete applications behind a real server, with an emulator as Bedrock."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bedrock_stream import Client
from bedrock_stream.errors import ClientClosed, ConfigurationError, InvalidRequest, RelayFull
from bedrock_stream.integrations.protocols import StreamItem
from bedrock_stream.integrations.protocols.plain import PlainEvents
from bedrock_stream.integrations.protocols.ui_message import UIMessageParts
from bedrock_stream.integrations.relay_log import MemoryLog
from bedrock_stream.integrations.responses import RelayResponse
from bedrock_stream.integrations.starlette import Relay, bedrock_lifespan, relay_response, resume_response
from bedrock_stream.testing import API_KEY, REGION, Emulator, http_error, stall, start, stream_error, text
from tests.conftest import KEYS
from tests.support.relayed_chat import MODEL, Chat
from tests.support.ui_reader import read_ui_message
from tests.support.web_app import parts, serving


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    async with Relay() as relay:
        yield relay


@pytest.fixture
def chat(client: Client, relay: Relay) -> Chat:
    return Chat(client, relay)


@asynccontextmanager
async def browser_of(chat: Chat) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(chat.app) as url, httpx.AsyncClient(base_url=url, timeout=20) as browser:
        yield browser


async def leave_in_the_middle(browser: httpx.AsyncClient, chat: Chat, key: str = "c") -> bytes:
    """Ask, and disconnect once the answer waits. Return what was received."""
    received = b""
    async with browser.stream("POST", f"/chat/{key}") as response:
        assert response.status_code == 200
        async for chunk in response.aiter_bytes():
            received += chunk
            if b"tool-input-available" in received or b"tool_call_end" in received:
                break
    await chat.waiting.wait()
    return received


def words(body: bytes) -> str:
    found = parts(body.decode())
    return "".join(part["delta"] for part in found if part != "[DONE]" and part["type"] == "text-delta")


def ids(body: str) -> list[str]:
    return [line.removeprefix("id: ") for line in body.split("\n") if line.startswith("id: ")]


# ------------------------------------------------------------------------------------------------------------- resuming


async def test_a_reload_in_the_middle_gets_the_whole_answer_once(emulator: Emulator, chat: Chat) -> None:
    chat.script(emulator)
    async with browser_of(chat) as browser:
        first = await leave_in_the_middle(browser, chat)
        assert words(first) == "One two "
        async with browser.stream("GET", "/chat/c/stream") as response:
            assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
            chat.go_on.set()
            whole = await response.aread()
        assert words(whole) == "One two three four."
        assert whole.startswith(first)
        message = read_ui_message(whole)
        assert [part["text"] for part in message["parts"] if part["type"] == "text"] == ["One two ", "three four."]
        assert (await browser.get("/chat/c/stream")).status_code == 204  # it has ended
    assert len(emulator.requests) == 2


async def test_all_readers_of_an_answer_get_the_same(emulator: Emulator, chat: Chat) -> None:
    chat.script(emulator)
    async with browser_of(chat) as browser, AsyncExitStack() as stack:
        responses = [await stack.enter_async_context(browser.stream("POST", "/chat/c"))]
        await chat.waiting.wait()
        readers = [browser.stream("GET", "/chat/c/stream") for _ in range(3)]
        responses += [await stack.enter_async_context(reader) for reader in readers]
        chat.go_on.set()
        bodies = [await response.aread() for response in responses]
    assert len(set(bodies)) == 1
    assert words(bodies[0]) == "One two three four."


@pytest.mark.parametrize("protocol", ["events", "openai", "ui-message"])
async def test_a_reader_goes_on_behind_any_event(emulator: Emulator, chat: Chat, protocol: Any) -> None:
    chat.protocol = protocol
    emulator.script(text(["One ", "two ", "three."]))
    async with browser_of(chat) as browser:
        whole = (await browser.get("/chat/c")).text
        events = [event + "\n\n" for event in whole.split("\n\n") if event]
        assert len(ids(whole)) == len(events) > 5
        for count, last in enumerate(ids(whole), 1):
            response = await browser.get("/chat/c/stream", headers={"Last-Event-ID": last})
            assert response.text == "".join(events[count:])
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("last", ["", "x-1", "\xb2-\xb2"])
async def test_the_id_of_another_answer_reads_from_the_start(emulator: Emulator, chat: Chat, last: str) -> None:
    chat.script(emulator)
    header = {b"Last-Event-ID": last.encode("latin-1")}
    async with browser_of(chat) as browser:
        await leave_in_the_middle(browser, chat)
        async with browser.stream("GET", "/chat/c/stream", headers=header) as response:
            chat.go_on.set()
            assert words(await response.aread()) == "One two three four."
        assert (await browser.get("/chat/c/stream", headers=header)).status_code == 204


async def test_an_event_source_that_reconnects_does_not_ask_again(emulator: Emulator, chat: Chat) -> None:
    chat.protocol = "events"
    chat.script(emulator)
    async with browser_of(chat) as browser:
        first = (await leave_in_the_middle(browser, chat)).decode()
        async with browser.stream("GET", "/chat/c", headers={"Last-Event-ID": ids(first)[-1]}) as response:
            chat.go_on.set()
            rest = (await response.aread()).decode()
    assert [part["type"] for part in parts(first + rest)].count("done") == 1
    texts = [part["text"] for part in parts(first + rest) if part["type"] == "text_delta"]
    assert "".join(texts) == "One two three four."
    assert len(emulator.requests) == 2


async def test_an_unknown_answer_is_not_resumed(chat: Chat) -> None:
    async with browser_of(chat) as browser:
        assert (await browser.get("/chat/c/stream")).status_code == 204
        assert (await browser.post("/chat/c/stop")).json() is False


async def test_head_starts_nothing(emulator: Emulator, chat: Chat) -> None:
    async with browser_of(chat) as browser:
        assert (await browser.head("/chat/c")).status_code == 200
        assert (await browser.get("/chat/c/stream")).status_code == 204
    assert emulator.requests == []


# ------------------------------------------------------------------------------------------------------------- stopping


async def test_stop_ends_the_answer_for_every_reader(emulator: Emulator, chat: Chat) -> None:
    emulator.script(text(["One "]), stall())
    async with browser_of(chat) as browser, asyncio.TaskGroup() as group:
        asked = group.create_task(browser.post("/chat/c"))
        await emulator.wait_for_requests(1)
        while (reader := await chat.relay.open("c")) is None:
            await asyncio.sleep(0)
        await reader.read()
        resumed = group.create_task(browser.get("/chat/c/stream"))
        assert (await browser.post("/chat/c/stop")).json() is True
        await emulator.wait_for_streams(0)
        for task in (asked, resumed):
            response = await task
            if response.status_code == 200:  # the second may have come too late
                types = [part if isinstance(part, str) else part["type"] for part in parts(response.text)]
                assert types[-2:] == ["abort", "[DONE]"]
        assert (await browser.post("/chat/c/stop")).json() is False


async def test_a_new_answer_stops_the_one_before(emulator: Emulator, chat: Chat) -> None:
    emulator.script(text(["One "]), stall())
    emulator.script(text(["Two."]))
    async with browser_of(chat) as browser, browser.stream("POST", "/chat/c") as first:
        lines = first.aiter_lines()
        async for line in lines:
            if "text-delta" in line:
                break
        second = await browser.post("/chat/c")
        rest = [line async for line in lines]
    assert words(second.content) == "Two."
    assert 'data: {"type":"abort"}' in rest
    assert not any("Two" in line for line in rest)
    await emulator.wait_for_streams(0)


async def test_the_end_of_the_application_stops_every_answer(emulator: Emulator) -> None:
    emulator.script(text(["One "]), stall())
    relay = Relay()
    lifespan = bedrock_lifespan(relay, region=REGION, endpoint_url=emulator.url, credentials=KEYS)
    async with lifespan(Starlette()) as state:
        answer = await relay.start("c", state["bedrock"].stream(MODEL, "Hi"), PlainEvents())
        await answer.reader.read()
        tasks = len(asyncio.all_tasks())
    assert b'"type":"error"' in b"".join(await answer.reader.read())
    assert await answer.reader.read() == []
    await emulator.wait_for_streams(0)
    assert len(asyncio.all_tasks()) < tasks
    with pytest.raises(ClientClosed):
        await relay.start("c", state["bedrock"].stream(MODEL, "Hi"), PlainEvents())
    await relay.aclose()


async def test_an_application_that_ends_does_not_wait_for_a_tool(
    emulator: Emulator, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bedrock_stream.integrations.relay._GRACE", 0.01)
    chat.script(emulator)
    async with chat.relay:
        answer = await chat.relay.start("c", chat.answer(), UIMessageParts())
        await chat.waiting.wait()
    body = b""
    while events := await answer.reader.read():
        body += b"".join(events)
    assert body.endswith(b"data: [DONE]\n\n")
    assert b'{"type":"abort"}' in body


# --------------------------------------------------------------------------------------------------------------- errors


async def test_a_failure_before_the_first_event_is_a_status(emulator: Emulator, chat: Chat) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Slow down"))
    async with browser_of(chat) as browser:
        response = await browser.post("/chat/c")
    assert (response.status_code, response.json()["error"]["type"]) == (429, "Throttled")
    reader = await chat.relay.open("c")
    assert reader is not None
    assert parts(b"".join(await reader.read()).decode())[0] == {"type": "error", "errorText": "Slow down"}


async def test_what_bedrock_breaks_off_is_an_error(emulator: Emulator, chat: Chat) -> None:
    emulator.script(text(["One "]), stream_error("modelStreamErrorException", "broke"))
    async with browser_of(chat) as browser:
        types = [
            part if isinstance(part, str) else part["type"] for part in parts((await browser.post("/chat/c")).text)
        ]
    assert types[-2:] == ["error", "[DONE]"]
    assert "abort" not in types


async def test_an_answer_that_is_too_large_ends_with_an_error(emulator: Emulator, client: Client) -> None:
    emulator.script(text(["word "] * 1000), stall())
    async with Relay(max_bytes=5000) as relay, browser_of(Chat(client, relay)) as browser:
        response = await browser.post("/chat/c")
    assert parts(response.text)[-2:] == [{"type": "error", "errorText": "The response was interrupted."}, "[DONE]"]
    assert 5000 < len(response.content) < 20_000
    await emulator.wait_for_streams(0)


async def test_a_full_relay_refuses_an_answer(emulator: Emulator, client: Client) -> None:
    emulator.script(text(["One "]), stall())
    async with Relay(MemoryLog(1)) as relay, browser_of(Chat(client, relay)) as browser:
        answer = await relay.start("a", client.stream(MODEL, "Hi"), PlainEvents())
        await answer.reader.read()
        response = await browser.post("/chat/b")
        assert (response.status_code, response.json()["error"]["message"]) == (503, "The server is busy.")
        assert await relay.stop("a")
        assert (await browser.post("/chat/b")).status_code == 200  # an ended one makes room
        assert await relay.open("a") is None
    assert len(emulator.requests) == 2


async def test_a_bug_ends_the_answer_and_is_logged(
    client: Client, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    class Buggy(UIMessageParts):
        def event(self, event: StreamItem) -> bytes:
            raise LookupError("a bug")

    async def ask(request: Request) -> Response:
        return RelayResponse(relay, "c", Buggy(), source=client.stream(MODEL, "Hi"))

    with caplog.at_level(logging.ERROR, "bedrock_stream.relay"):
        async with serving(Starlette(routes=[Route("/", ask)])) as url, httpx.AsyncClient() as browser:
            response = await browser.get(url)
    assert parts(response.text) == [{"type": "error", "errorText": "The response was interrupted."}, "[DONE]"]
    assert "LookupError" in caplog.text


# --------------------------------------------------------------------------------------------------------------- limits


async def test_an_answer_is_stopped_after_its_longest_time(emulator: Emulator, client: Client) -> None:
    emulator.script(start(), stall())
    async with Relay(max_age=0.05) as relay, browser_of(Chat(client, relay)) as browser:
        response = await browser.post("/chat/c")
    assert parts(response.text)[-2:] == [{"type": "abort"}, "[DONE]"]
    await emulator.wait_for_streams(0)


async def test_an_ended_answer_is_dropped(client: Client) -> None:
    async with Relay(keep=0.01) as relay:
        answer = await relay.start("c", client.stream(MODEL, "Hi"), PlainEvents())
        while await answer.reader.read():
            pass
        async with asyncio.timeout(5):
            while await relay.open("c") is not None:
                await asyncio.sleep(0.005)


async def test_a_reader_that_was_cancelled_does_not_disturb_the_others(emulator: Emulator, chat: Chat) -> None:
    chat.script(emulator)
    answer = await chat.relay.start("c", chat.answer(), PlainEvents())
    await chat.waiting.wait()
    other = await chat.relay.open("c")
    assert other is not None
    for reader in (answer.reader, other):
        async with asyncio.timeout(5):
            while b"tool_call_end" not in b"".join(await reader.read()):
                pass
    waiting = [asyncio.create_task(_read_on(reader)) for reader in (answer.reader, other)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    with suppress(asyncio.CancelledError):
        await waiting[0]
    chat.go_on.set()
    assert b"four." in await waiting[1]


async def _read_on(reader: Any) -> bytes:
    body = b""
    while events := await reader.read():
        body += b"".join(events)
    return body


@pytest.mark.parametrize("name", ["max_age", "keep", "max_bytes"])
def test_limits_must_be_positive(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected a positive number, got 0"):
        Relay(None, **{name: 0})


async def test_a_relay_that_is_full_says_so() -> None:
    log = MemoryLog(1)
    await log.begin("a", 60)
    with pytest.raises(RelayFull, match="1 running answers"):
        await log.begin("b", 60)
    await log.begin("a", 60)  # takes the place of its own


async def test_logs_that_are_large_together_make_room() -> None:
    log = MemoryLog(max_bytes=10_000)
    first = await log.begin("a", 60)
    await first.append([b"x" * 100] * 70)
    with pytest.raises(RelayFull):
        await log.begin("b", 60)
    await first.end(60)
    await log.begin("b", 60)
    assert await log.open("a", None) is None


@pytest.mark.parametrize("key", ["", "x" * 257, 5, None])
def test_a_key_of_a_browser_is_checked(client: Client, relay: Relay, key: Any) -> None:
    with pytest.raises(InvalidRequest, match="key: expected a str of 1 to 256 characters"):
        relay_response(relay, key, client.stream(MODEL, "Hi"))


async def test_an_unknown_protocol_is_not_resumed(chat: Chat) -> None:
    chat.protocol = "xml"
    with pytest.raises(ConfigurationError, match="protocol"):
        await resume_response(Request({"type": "http", "headers": []}), chat.relay, "c", chat.protocol)


async def test_the_program_in_the_guide(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "guides" / "backends.md").read_text(encoding="utf-8")
    (program,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "messages_from_ui" in code]
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", emulator.url)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", API_KEY)
    namespace: dict[str, Any] = {}
    exec(program, namespace)  # noqa: S102 - our own program
    emulator.script(text(["One "]), stall())
    body: dict[str, Any] = {"id": "c", "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]}
    async with serving(namespace["app"]) as url, httpx.AsyncClient(base_url=url) as browser:
        async with browser.stream("POST", "/api/chat", json=body) as response:
            async for line in response.aiter_lines():
                if "One" in line:
                    break
        async with browser.stream("GET", "/api/chat/c/stream") as response:
            await browser.delete("/api/chat/c")
            assert words(await response.aread()) == "One "
        body["messages"][0]["parts"] = [{"type": "file", "url": "https://example.com/a.png"}]
        assert (await browser.post("/api/chat", json=body)).status_code == 400
