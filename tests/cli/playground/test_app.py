"""The playground over real sockets: access control, streaming, and disconnects."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest

from bedrock_stream import Client
from bedrock_stream.cli.playground import create_app, on_aws
from bedrock_stream.cli.playground.chat import MAX_BODY
from bedrock_stream.cli.playground.scenes import STARTERS, play_scene
from bedrock_stream.errors import ConfigurationError, MissingCredentials
from bedrock_stream.eventstream import Decoder
from bedrock_stream.testing import (
    Emulator,
    cut,
    flip_bit,
    hang_before_headers,
    http_error,
    stall,
    stream_error,
    text,
    tool_call,
)
from tests.support.playground_server import TOKEN, served

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
Line = dict[str, Any]


@pytest.fixture
def emulator() -> Emulator:
    """Return an emulator that the playground starts, not the test."""
    return Emulator()


@pytest.fixture
async def playground(emulator: Emulator) -> AsyncIterator[str]:
    async with served(emulator) as address:
        yield address


@pytest.fixture
async def browser(playground: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session that has the access cookie."""
    jar = aiohttp.CookieJar(unsafe=True)  # accepts cookies from an IP address
    async with aiohttp.ClientSession(playground, cookie_jar=jar, headers={"Origin": playground}) as session:
        async with session.get("/", params={"token": TOKEN}) as response:
            assert response.status == 200
        yield session


def question(prompt: str = "Hello", **options: Any) -> dict[str, Any]:
    return {"model": CLAUDE, "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}], **options}


async def ask(browser: aiohttp.ClientSession, prompt: str = "Hello", **options: Any) -> list[Line]:
    """Send a question and return every line of the response."""
    async with browser.post("/chat", json=question(prompt, **options)) as response:
        assert response.status == 200
        assert response.content_type == "application/x-ndjson"
        return [msgspec.json.decode(line) async for line in response.content]


def of(lines: list[Line], kind: str) -> list[Line]:
    return [line for line in lines if line["type"] == kind]


# ------------------------------------------------------------------------------------------------------- access control


async def test_the_token_becomes_a_cookie_that_scripts_cannot_read(playground: str) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(f"{playground}/?token={TOKEN}") as response:
            cookie = response.headers["Set-Cookie"]
            assert "bedrock-stream" in await response.text()
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert str(urlsplit(playground).port) in cookie.partition("=")[0]  # browsers share cookies between ports
        for path in ("/", "/settings", "/page/main.js"):
            async with session.get(playground + path) as response:
                assert response.status == 200
                assert TOKEN not in await response.text()


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=wrong", "/settings", "/page/main.js", f"/settings?token={TOKEN}"]
)
async def test_requests_without_the_token_are_rejected(playground: str, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(playground + path) as response:
        assert response.status == 401
        assert "Set-Cookie" not in response.headers
        assert "bedrock-stream play" in await response.text()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
        {"Host": ""},
        {"Host": "10.0.0.1"},
        {"Host": "10.0.0.1:port"},
        {"Host": "evil@localhost"},
        {"Host": "localhost/evil"},
        {"Host": "localhost#evil", "Origin": "http://localhost#evil"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},  # another server on this machine
    ],
)
async def test_a_foreign_host_or_origin_is_rejected(browser: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/settings"), ("POST", "/chat")):
        async with browser.request(method, path, headers=headers, json=question()) as response:
            assert response.status == 403


@pytest.mark.parametrize("cookie", ["a=b; =", "{name}=wrong", '{name}="unended', "{name}", "a b=c; {name}=x"])
async def test_an_invalid_cookie_is_rejected(playground: str, cookie: str) -> None:
    headers = {"Cookie": cookie.format(name=f"bedrock-stream-play-{urlsplit(playground).port}")}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(playground) as response:
        assert response.status == 401


@pytest.mark.parametrize("host", ["localhost:9999", "[::1]:9999", "localhost"])
async def test_a_tunnel_to_loopback_is_accepted(playground: str, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    async with aiohttp.ClientSession(playground, headers=headers) as session:
        async with session.get("/", params={"token": TOKEN}) as response:
            cookie = response.headers["Set-Cookie"].partition(";")[0]
        async with session.post("/chat", json=question(), headers={"Cookie": cookie}) as response:
            assert response.status == 200


async def test_a_post_needs_an_origin(playground: str, browser: aiohttp.ClientSession) -> None:
    async with aiohttp.ClientSession(cookie_jar=browser.cookie_jar) as session:
        async with session.get(f"{playground}/settings") as response:
            assert response.status == 200
        async with session.post(f"{playground}/chat", json=question()) as response:
            assert response.status == 403


@pytest.mark.parametrize("path", [f"/?token={TOKEN}", "/nothing", "/settings", "/page/main.js", "/page/..%2fapp.py"])
async def test_every_response_has_the_security_headers(playground: str, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(playground + path) as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("index.html", "text/html"),
        ("style.css", "text/css"),
        ("main.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ],
)
async def test_only_files_of_the_page_are_served(browser: aiohttp.ClientSession, name: str, kind: str) -> None:
    async with browser.get(f"/page/{name}") as response:
        assert (response.status, response.content_type) == (200, kind)
    async with browser.get("/page/..%2Fapp.py") as response:
        assert response.status == 404


# ------------------------------------------------------------------------------------------------------------ responses


async def test_events_are_sent_unchanged_after_their_frames(browser: aiohttp.ClientSession, emulator: Emulator) -> None:
    emulator.script(text(["Hel", "lo"]))
    lines = await ask(browser, system="Be brief.", max_tokens=7)
    assert [line["type"] for line in lines if line["type"] not in ("frame", "measures")] == [
        "round", "message_start", "text_delta", "text_delta", "block_stop", "message_stop", "metadata", "done",
    ]  # fmt: skip
    assert "".join(line["text"] for line in of(lines, "text_delta")) == "Hello"
    (started,) = of(lines, "round")
    assert started["route"] == "invoke"
    assert started["request_id"]
    assert of(lines, "done")[0]["messages"] == [{"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}]
    assert of(lines, "measures")[0]["first_content"] > 0
    sent = emulator.requests[-1].json
    assert sent["max_tokens"] == 7
    assert "Be brief." in str(sent["system"])


@pytest.mark.parametrize(
    ("route", "operation"),
    [
        ("converse", "ConverseStream"),
        ("native", "InvokeModelWithResponseStream"),
        ("auto", "InvokeModelWithResponseStream"),
    ],
)
async def test_the_page_chooses_the_route(
    browser: aiohttp.ClientSession, emulator: Emulator, route: str, operation: str
) -> None:
    assert of(await ask(browser, route=route), "done")
    assert emulator.requests[-1].operation == operation


async def test_each_frame_is_described_from_its_own_bytes(browser: aiohttp.ClientSession) -> None:
    frames = of(await ask(browser, route="converse"), "frame")
    assert [frame["number"] for frame in frames] == list(range(len(frames)))
    offset = 0
    for frame in frames:
        raw = b64decode(frame["raw"])
        (decoded,) = Decoder().feed(raw)
        assert (frame["offset"], frame["total"], frame["size"]) == (offset, len(raw), len(raw))
        assert frame["payload_length"] == len(decoded.payload)
        assert frame["total"] == 16 + frame["headers_length"] + frame["payload_length"]
        assert {header["name"]: header["value"] for header in frame["headers"]} == decoded.headers
        assert {header["type"] for header in frame["headers"]} == {"string"}
        assert frame["prelude_crc"]["matches"]
        assert frame["message_crc"]["received"] == raw[-4:].hex()
        assert frame["problem"] is None
        offset += len(raw)


async def test_a_tool_is_run_locally_and_its_result_is_sent_back(
    browser: aiohttp.ClientSession, emulator: Emulator
) -> None:
    emulator.script(tool_call("get_weather", {"city": "Oslo"}, fragments=4))
    emulator.script(text("It rains."))
    lines = await ask(browser, "Weather?", tools=True)
    assert len(of(lines, "tool_call_delta")) == 4
    (result,) = of(lines, "tool_result")
    assert (result["status"], result["content"][0]["value"]["city"]) == ("success", "Oslo")
    assert [line["number"] for line in of(lines, "round")] == [1, 2]
    assert {frame["round"] for frame in of(lines, "frame")} == {1, 2}
    added = of(lines, "done")[0]["messages"]
    assert [message["role"] for message in added] == ["assistant", "user", "assistant"]
    second = question("And now?")
    second["messages"] = [*question("Weather?")["messages"], *added, *second["messages"]]
    async with browser.post("/chat", json=second) as response:  # the service accepts the history
        last = msgspec.json.decode((await response.read()).splitlines()[-1])
    assert last["type"] == "done"
    assert len(emulator.requests[-1].json["messages"]) == 5


async def test_the_time_tool_reports_an_unknown_time_zone(browser: aiohttp.ClientSession, emulator: Emulator) -> None:
    emulator.script(tool_call("get_time", {"time_zone": "UTC"}), tool_call("get_time", {"time_zone": "Nowhere/At_all"}))
    emulator.script(text("So it is."))
    known, unknown = of(await ask(browser, tools=True), "tool_result")
    assert known["content"][0]["value"]["time_zone"] == "UTC"
    assert unknown["status"] == "error"


async def test_reasoning_is_requested_and_sent(browser: aiohttp.ClientSession) -> None:
    lines = await ask(browser, reasoning="low", max_tokens=4096)
    assert any(line.get("text") for line in of(lines, "reasoning_delta"))


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            [http_error(429, "ThrottlingException", "Slow down.")],
            {"kind": "Throttled", "code": "ThrottlingException", "status": 429, "message": "Slow down.",
             "retryable": True, "mid_stream": False},
        ),
        (
            [text("A"), stream_error("modelStreamErrorException", "It broke.")],
            {"kind": "ModelStreamError", "status": 424, "mid_stream": True},
        ),
        ([text("A"), flip_bit(-40), text("B")], {"kind": "ChecksumMismatch"}),
        ([text("A"), cut(inside=20), text("B")], {"kind": "StreamInterrupted"}),
    ],
)  # fmt: skip
async def test_an_error_is_the_last_line(
    browser: aiohttp.ClientSession, emulator: Emulator, steps: list[Any], expected: dict[str, Any]
) -> None:
    emulator.script(*steps)
    *_, last = await ask(browser)
    assert last["type"] == "error"
    assert {name: last[name] for name in expected} == expected
    assert last["request_id"]
    assert last["remedy"]


async def test_the_damaged_frame_is_sent(browser: aiohttp.ClientSession, emulator: Emulator) -> None:
    emulator.script(text("A"), flip_bit(-40), text("B"), text("C"))
    lines = await ask(browser)
    *intact, broken = of(lines, "frame")
    assert all(frame["problem"] is None for frame in intact)
    assert broken["problem"].startswith("ChecksumMismatch")
    assert broken["prelude_crc"]["matches"]
    assert not broken["message_crc"]["matches"]
    assert broken["size"] == broken["total"]


async def test_a_truncated_frame_is_sent_as_far_as_it_was_received(
    browser: aiohttp.ClientSession, emulator: Emulator
) -> None:
    emulator.script(text("A"), cut(inside=20), text("B"))
    broken = of(await ask(browser), "frame")[-1]
    assert broken["problem"].startswith("StreamInterrupted")
    assert broken["size"] == 20 < broken["total"]
    assert broken["message_crc"] is None


async def test_an_invalid_option_has_a_remedy(browser: aiohttp.ClientSession) -> None:
    (line,) = await ask(browser, reasoning="high", max_tokens=5)
    assert line["kind"] in ("ConfigurationError", "UnsupportedOperation")
    assert line["message"].startswith("max_tokens: ")
    assert line["remedy"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"model": 1, "messages": []}', "application/json", 400),
        (b'{"model": "m", "messages": [{"role": "unknown", "content": []}]}', "application/json", 400),
        (b'{"model": "m", "messages": [], "unknown": 1}', "application/json", 400),
        (b"{}", "text/plain", 400),
        (b" " * (MAX_BODY + 1), "application/json", 413),
    ],
    ids=["truncated", "nested", "model", "role", "unknown-field", "content-type", "too-large"],
)
async def test_an_invalid_body_is_rejected(
    browser: aiohttp.ClientSession, emulator: Emulator, body: bytes, kind: str, status: int
) -> None:
    async with browser.post("/chat", data=body, headers={"Content-Type": kind}) as response:
        assert response.status == status
        assert msgspec.json.decode(await response.read())["type"] == "error"
    assert not emulator.requests


# ---------------------------------------------------------------------------------------------------------- disconnects


@pytest.mark.parametrize("steps", [[text("Hello"), stall()], [hang_before_headers()]])
async def test_a_disconnect_cancels_the_request_to_the_service(
    browser: aiohttp.ClientSession, emulator: Emulator, steps: list[Any]
) -> None:
    emulator.script(*steps)
    response = asyncio.ensure_future(browser.post("/chat", json=question()))
    await emulator.wait_for_streams(1)
    (await response).close()
    await emulator.wait_until_idle()


async def test_shutdown_cancels_open_requests(emulator: Emulator) -> None:
    emulator.script(text("Hello"), stall())
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with served(emulator) as address:
            async with session.get(f"{address}/?token={TOKEN}"):
                pass
            response = await session.post(f"{address}/chat", json=question(), headers={"Origin": address})
            await emulator.wait_for_streams(1)
        assert emulator.open_streams == 0
        response.close()


# -------------------------------------------------------------------------------------------------------------- scenes


@pytest.mark.parametrize("route", ["converse", "native"])
@pytest.mark.parametrize(
    ("starter", "ends"),
    [("Write Markdown", "done"), ("Return HTML", "done"), ("Damage a frame", "error"),
     ("Cut off the response", "error"), ("Throttle the request", "error")],
)  # fmt: skip
async def test_each_starter_ends_as_described(starter: str, ends: str, route: str) -> None:
    prompt = next(each.prompt for each in STARTERS if each.title == starter)
    async with served(Emulator(script=play_scene)) as address:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(address, cookie_jar=jar, headers={"Origin": address}) as session:
            async with session.get("/", params={"token": TOKEN}):
                pass
            *_, last = await ask(session, prompt, route=route)
    assert last["type"] == ends


async def test_the_first_starter_calls_a_tool_and_uses_its_result() -> None:
    async with served(Emulator(script=play_scene)) as address:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(address, cookie_jar=jar, headers={"Origin": address}) as session:
            async with session.get("/", params={"token": TOKEN}):
                pass
            lines = await ask(session, STARTERS[0].prompt, tools=True)
            settings = await (await session.get("/settings")).json()
    assert of(lines, "tool_result")[0]["content"][0]["value"]["city"] == "Oslo"
    assert "Oslo" in "".join(line["text"] for line in of(lines, "text_delta"))
    assert settings["place"] == "emulator"
    assert settings["models"]
    assert len(settings["starters"]) == len(STARTERS)


# ----------------------------------------------------------------------------------------------------------------- AWS


def test_aws_requires_credentials() -> None:
    with pytest.raises(MissingCredentials):
        on_aws("us-east-1")


async def test_the_aws_backend_has_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "key")
    async with on_aws("eu-west-1")() as backend:
        assert (backend.place, backend.region) == ("aws", "eu-west-1")
        assert isinstance(backend.client, Client)
    with pytest.raises(ConfigurationError):
        on_aws("no region")


def test_creating_the_app_starts_nothing() -> None:
    assert create_app(token=TOKEN).routes
