"""Faults that a script names beside the ones of every day, on every route, and what a client makes of them."""

from __future__ import annotations

import asyncio
import gc
import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from bedrock_stream import Client, Credentials
from bedrock_stream.errors import (
    BedrockStreamError,
    ConfigurationError,
    ConnectionFailed,
    InvalidSignature,
    NotAnEventStream,
    StreamInterrupted,
    Throttled,
)
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    API_KEY,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    ReceivedRequest,
    Step,
    chance,
    cut,
    expired_signature,
    hang_before_headers,
    http_error,
    rechunk,
    reset,
    slow_body,
    stall,
    text,
    tool_call,
    unscripted,
    wrong_content_type,
)
from tests.conftest import QUICK_RETRIES
from tests.support.emulator_client import CLAUDE, GPT_OSS, HELLO, LLAMA, MODEL, NATIVE, STREAM, RawAnswer, opened, post

ROUTES = [
    (MODEL, "converse-stream", HELLO),
    (MODEL, "converse", HELLO),
    *((model, operation, NATIVE[model]) for model in (CLAUDE, GPT_OSS, LLAMA) for operation in (STREAM, "invoke")),
    (MODEL, "count-tokens", {"input": {"converse": HELLO}}),
]
STREAMS = [route for route in ROUTES if "stream" in route[1]]
JSON = [route for route in ROUTES if "stream" not in route[1]]
every_route = pytest.mark.parametrize(("model", "operation", "body"), ROUTES)
every_stream = pytest.mark.parametrize(("model", "operation", "body"), STREAMS)
every_document = pytest.mark.parametrize(("model", "operation", "body"), JSON)


async def scripted(
    *steps: Step, model: str = MODEL, operation: str = "converse-stream", body: Any = HELLO
) -> RawAnswer:
    async with Emulator(script=[steps]) as emulator:
        return await asyncio.wait_for(post(emulator, body, operation, model), 10)


def client_of(emulator: Emulator, **settings: Any) -> Client:
    keys = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    return Client(region=REGION, endpoint_url=emulator.url, credentials=keys, **settings)


# ----------------------------------------------------------------------------------------------- decided before headers


@every_route
async def test_a_login_page_comes_with_status_200(model: str, operation: str, body: Any) -> None:
    page = await scripted(wrong_content_type(), model=model, operation=operation, body=body)
    assert (page.status, page.headers["content-type"]) == (200, "text/html")
    assert b"Sign in" in page.body
    other = await scripted(wrong_content_type("text/plain", body="no\n"), model=model, operation=operation, body=body)
    assert (other.headers["content-type"], other.body) == ("text/plain", b"no\n")


@every_route
async def test_the_front_doors_clock_is_off(model: str, operation: str, body: Any) -> None:
    async with Emulator(script=[expired_signature(900)]) as emulator:
        answer = await post(emulator, body, operation, model)
        sent = emulator.requests[0].headers["x-amz-date"]
    status, code, document = answer.error
    assert (status, code) == (403, "InvalidSignatureException")
    server = parsedate_to_datetime(answer.headers["date"])
    limit = server - timedelta(minutes=5)
    form = "%Y%m%dT%H%M%SZ"
    assert document["message"] == (
        f"Signature expired: {sent} is now earlier than {limit.strftime(form)} ({server.strftime(form)} - 5 min.)"
    )
    assert timedelta(minutes=14) < server - datetime.strptime(sent, form).replace(tzinfo=UTC) < timedelta(minutes=16)


async def test_a_clock_that_is_behind_sees_signatures_of_the_future() -> None:
    message = (await scripted(expired_signature(-900))).error[2]["message"]
    assert message.startswith("Signature not yet current: ")


async def test_a_clock_that_is_off_by_less_than_five_minutes_minds_nothing() -> None:
    assert (await scripted(expired_signature(200), text("in"))).status == 200


async def test_a_bearer_key_bears_no_date() -> None:
    async with (
        Emulator(script=[[expired_signature(), text("in")]]) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, api_key=API_KEY) as client,
    ):
        assert (await client.generate(MODEL, "Hello")).text == "in"


@every_route
async def test_a_reset_before_the_headers_is_no_answer(model: str, operation: str, body: Any) -> None:
    async with Emulator(script=[reset(before_headers=True)]) as emulator:
        connection = await opened(emulator, body, operation, model)
        with pytest.raises(ConnectionResetError):
            await connection.reader.readuntil(b"\r\n\r\n")
        connection.writer.close()


@every_route
async def test_nothing_is_said_until_the_client_leaves(model: str, operation: str, body: Any) -> None:
    async with Emulator(script=[hang_before_headers()]) as emulator:
        connection = await opened(emulator, body, operation, model)
        await emulator.wait_for_streams(1)
        await connection.leave()
        await emulator.wait_until_idle()


# ------------------------------------------------------------------------------------------------- what breaks the body


@every_stream
@pytest.mark.parametrize("after", [1, 11, 150])
async def test_a_reset_after_so_many_bytes(model: str, operation: str, body: Any, after: int) -> None:
    whole = await scripted(text("Hello there"), model=model, operation=operation, body=body)
    broken = await scripted(reset(after=after), text("Hello there"), model=model, operation=operation, body=body)
    assert broken.reset
    assert broken.body == whole.body[:after]


@every_document
async def test_a_reset_inside_a_document(model: str, operation: str, body: Any) -> None:
    broken = await scripted(reset(after=5), model=model, operation=operation, body=body)
    assert (broken.reset, len(broken.body)) == (True, 5)


async def test_a_body_shorter_than_that_is_reset_at_its_end() -> None:
    whole, broken = await scripted(text("a")), await scripted(reset(after=10**6), text("a"))
    assert (broken.body, broken.reset) == (whole.body, True)


@pytest.mark.parametrize("inside", [None, 0, 20])
async def test_a_torn_chunk_promises_more_than_comes(inside: int | None) -> None:
    async with Emulator(script=[[text("a"), cut(torn="chunk", inside=inside), text("b", joined=True)]]) as emulator:
        connection = await opened(emulator)
        answer = RawAnswer()
        await connection.read_head(answer)
        for _ in range(2):
            await connection.read_chunk(answer)
        promised = int(await connection.reader.readline(), 16)
        assert len(await connection.reader.read()) == (inside or 0) < promised
        await connection.leave()


@pytest.mark.parametrize("fault", [cut(), cut(torn=True), cut(torn="chunk"), reset(), reset(after=600)])
@pytest.mark.parametrize("route", [True, False])
async def test_a_broken_body_never_looks_finished_to_the_client(fault: Step, route: bool) -> None:
    async with Emulator(script=[unscripted(fault, at=0.5)]) as emulator, client_of(emulator) as client:
        async with client.stream(CLAUDE, "Hello", use_converse=route) as stream:
            with pytest.raises(StreamInterrupted) as raised:
                await stream.response()
        assert raised.value.partial.text


@every_route
async def test_a_slow_body_is_the_same_body(model: str, operation: str, body: Any) -> None:
    steps = [tool_call("f", {"a": 1}, id="t1")] if operation == "converse" else [text("Hello")]
    whole = await scripted(*steps, model=model, operation=operation, body=body)
    slow = await scripted(slow_body(0.001), *steps, model=model, operation=operation, body=body)
    assert slow.body == whole.body
    assert slow.complete
    if "stream" in operation:
        assert len(slow.chunks) > 4 * len(slow.frames)


async def test_a_slow_body_in_pieces_of_a_given_size() -> None:
    whole, slow = await scripted(text("Hello")), await scripted(rechunk(50), slow_body(0.001), text("Hello"))
    assert slow.body == whole.body


# -------------------------------------------------------------------------------------------------------- its own words


async def test_a_fault_stands_somewhere_in_the_emulators_own_answer() -> None:
    own = (await scripted(unscripted())).body
    async with Emulator() as emulator:
        assert (await post(emulator)).body == own
    ends = [len((await scripted(unscripted(cut(), at=at))).body) for at in (0, 0.3, 0.6, 1)]
    assert ends == sorted(set(ends))
    assert ends[0] == 0
    assert ends[-1] < len(own)


@every_route
async def test_its_own_answer_is_the_same_in_pieces(model: str, operation: str, body: Any) -> None:
    async with Emulator() as emulator:
        own = await post(emulator, body, operation, model)
    assert (await scripted(unscripted(), model=model, operation=operation, body=body)).body == own.body


def test_a_place_outside_an_answer_is_none() -> None:
    with pytest.raises(ConfigurationError, match="at: 2 is no part of an answer"):
        unscripted(at=2)


# ----------------------------------------------------------------------------------------------------------- by chance


async def outcomes(emulator: Emulator, count: int) -> list[str]:
    async def one() -> str:
        try:
            async with client.stream(MODEL, "Hello") as stream:
                await stream.response()
        except BedrockStreamError as error:
            return type(error).__name__
        return "fine"

    async with client_of(emulator) as client:
        return [await one() for _ in range(count)]


async def test_faults_by_chance_repeat_with_their_seed() -> None:
    faults: tuple[Step | list[Step], ...] = (
        http_error(403, "AccessDeniedException", "no"),
        cut(),
        [text("half"), cut(torn=True)],
    )
    seen = []
    for _ in range(2):
        async with Emulator(script=chance(0.3, *faults, seed=4)) as emulator:
            seen.append(await outcomes(emulator, 40))
    assert seen[0] == seen[1]
    assert set(seen[0]) == {"fine", "AccessDenied", "StreamInterrupted"}
    assert 4 < 40 - seen[0].count("fine") < 24


@pytest.mark.parametrize(("probability", "faulty"), [(0, 0), (1, 6)])
async def test_never_and_always_are_chances_too(probability: float, faulty: int) -> None:
    async with Emulator(script=chance(probability, cut())) as emulator:
        assert (await outcomes(emulator, 6)).count("StreamInterrupted") == faulty


def test_chances_that_are_none() -> None:
    with pytest.raises(ConfigurationError, match="probability"):
        chance(1.5, cut())
    with pytest.raises(ConfigurationError, match="faults"):
        chance(0.5)


# ------------------------------------------------------------------------------------------ what the client calls them


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (http_error(400, "ThrottlingException", "slow down"), Throttled),
        (expired_signature(), InvalidSignature),
        (wrong_content_type(), NotAnEventStream),
        (reset(before_headers=True), ConnectionFailed),
    ],
)
async def test_the_client_has_a_name_for_each(fault: Step, kind: type[BedrockStreamError]) -> None:
    async with Emulator(script=lambda _: fault) as emulator, client_of(emulator, retry=QUICK_RETRIES) as client:
        with pytest.raises(kind):
            await client.generate(MODEL, "Hello")


# ------------------------------------------------------------------------------------------------------------- memory


def remembered() -> int:
    gc.collect()
    return sum(isinstance(thing, ReceivedRequest) for thing in gc.get_objects())


async def test_an_emulator_remembers_its_last_requests_and_counts_them_all() -> None:
    before = remembered()
    async with Emulator(keep_requests=10, script=lambda _: text("a")) as emulator, client_of(emulator) as client:
        for number in range(60):
            await client.generate(MODEL, f"number {number}" + "x" * 10_000)
        assert emulator.request_count == 60
        assert [request.json["messages"][0]["content"][0]["text"][:9] for request in emulator.requests] == [
            f"number {number}" for number in range(50, 60)
        ]
        assert await emulator.wait_for_requests(60) == emulator.requests
        assert remembered() - before <= 11


@pytest.mark.parametrize(("keep", "kept"), [(0, 0), (1, 1), (None, 3)])
async def test_how_many_requests_are_remembered(keep: int | None, kept: int) -> None:
    async with Emulator(keep_requests=keep) as emulator:
        for _ in range(3):
            await post(emulator)
        assert (len(emulator.requests), emulator.request_count) == (kept, 3)


async def test_waiting_for_requests_counts_the_forgotten_ones() -> None:
    async with Emulator(keep_requests=1, script=lambda _: stall()) as emulator:
        first, second = await opened(emulator), await opened(emulator)
        assert len(await emulator.wait_for_requests(2)) == 1
        await first.leave()
        await second.leave()


# --------------------------------------------------------------------------------------------------------- strictness


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"json": [1]}, "messages.2.content.0.toolResult.content.0.json is invalid. Provide a json object"),
        ({"json": "x"}, "Provide a json object"),
        ({"json": None}, "Provide a json object"),
        ({"text": ""}, "ToolResultContentBlock object at messages.2.content.0.toolResult.content.0 is blank."),
        ({"text": " \n"}, "is blank. Add text to the text field, and try again."),
    ],
)
async def test_results_that_bedrock_refuses(content: Any, words: str) -> None:
    async with Emulator() as emulator:
        for operation in ("converse", "converse-stream"):
            status, code, document = (await post(emulator, with_result(content), operation)).error
            assert (status, code) == (400, "ValidationException")
            assert words in document["message"]


async def test_a_result_whose_text_is_no_text_is_not_understood() -> None:
    async with Emulator() as emulator:
        assert (await post(emulator, with_result({"text": 1}))).error[:2] == (400, "SerializationException")


async def test_blank_is_refused_for_claude_and_empty_for_all() -> None:
    async with Emulator() as emulator:
        assert (await post(emulator, with_result({"text": " "}), model="amazon.nova-lite-v1:0")).status == 200
        assert (await post(emulator, with_result({"text": ""}), model="amazon.nova-lite-v1:0")).status == 400


async def test_claude_itself_refuses_a_blank_result() -> None:
    body = {
        **NATIVE[CLAUDE],
        "anthropic_version": "2026-10-21",
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "fine"}]},
        ],
    }
    async with Emulator() as emulator:
        assert (await post(emulator, body, STREAM, CLAUDE)).status == 200
        for content in ("", " ", [{"type": "text", "text": ""}]):
            raw = json.loads(json.dumps(body))
            raw["messages"][2]["content"][0]["content"] = content
            answer = await post(emulator, raw, STREAM, CLAUDE)
            assert (answer.status == 200) == (content == ""), answer.body


def with_result(content: Any) -> dict[str, Any]:
    spec = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}
    return {
        "messages": [
            {"role": "user", "content": [{"text": "Hi"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [content]}}]},
        ],
        "toolConfig": {"tools": [spec]},
    }
