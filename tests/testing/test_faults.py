"""Faults of a script on every route, and the errors that the client raises for them."""

from __future__ import annotations

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
from tests.support.emulator_client import (
    CLAUDE,
    GPT_OSS,
    HELLO,
    LLAMA,
    MODEL,
    NATIVE,
    STREAM,
    RawResponse,
    assistant,
    open_request,
    play,
    post,
    user,
)
from tests.support.reading import partial_of

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


def client_of(emulator: Emulator, **settings: Any) -> Client:
    keys = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    return Client(region=REGION, endpoint_url=emulator.url, credentials=keys, **settings)


# -------------------------------------------------------------------------------------------------- before the headers


@every_route
async def test_a_login_page_has_status_200(model: str, operation: str, body: Any) -> None:
    page = await play(wrong_content_type(), model=model, operation=operation, body=body)
    assert (page.status, page.headers["content-type"]) == (200, "text/html")
    assert b"Sign in" in page.body
    other = await play(wrong_content_type("text/plain", body="no\n"), model=model, operation=operation, body=body)
    assert (other.headers["content-type"], other.body) == ("text/plain", b"no\n")


@every_route
async def test_a_server_clock_that_is_ahead_refuses_the_signature(model: str, operation: str, body: Any) -> None:
    async with Emulator(script=[expired_signature(900)]) as emulator:
        response = await post(emulator, body, operation, model)
        sent = emulator.requests[0].headers["x-amz-date"]
    status, code, document = response.error
    assert (status, code) == (403, "InvalidSignatureException")
    server = parsedate_to_datetime(response.headers["date"])
    limit = server - timedelta(minutes=5)
    form = "%Y%m%dT%H%M%SZ"
    assert document["message"] == (
        f"Signature expired: {sent} is now earlier than {limit.strftime(form)} ({server.strftime(form)} - 5 min.)"
    )
    assert timedelta(minutes=14) < server - datetime.strptime(sent, form).replace(tzinfo=UTC) < timedelta(minutes=16)


async def test_a_server_clock_that_is_behind_refuses_the_signature() -> None:
    message = (await play(expired_signature(-900))).error[2]["message"]
    assert message.startswith("Signature not yet current: ")


async def test_a_skew_below_five_minutes_is_accepted() -> None:
    assert (await play(expired_signature(200), text("accepted"))).status == 200


async def test_a_bearer_key_is_not_affected_by_skew() -> None:
    async with (
        Emulator(script=[[expired_signature(), text("accepted")]]) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, api_key=API_KEY) as client,
    ):
        assert (await client.generate(MODEL, "Hello")).text == "accepted"


@every_route
async def test_a_reset_before_the_headers_sends_no_response(model: str, operation: str, body: Any) -> None:
    async with Emulator(script=[reset(before_headers=True)]) as emulator:
        connection = await open_request(emulator, body, operation, model)
        with pytest.raises(ConnectionResetError):
            await connection.reader.readuntil(b"\r\n\r\n")
        connection.writer.close()


@every_route
async def test_hanging_before_the_headers_ends_when_the_client_disconnects(
    model: str, operation: str, body: Any
) -> None:
    async with Emulator(script=[hang_before_headers()]) as emulator:
        connection = await open_request(emulator, body, operation, model)
        await emulator.wait_for_streams(1)
        await connection.close()
        await emulator.wait_until_idle()


# -------------------------------------------------------------------------------------------------------- broken bodies


@every_stream
@pytest.mark.parametrize("after", [1, 11, 150])
async def test_a_reset_after_a_number_of_bytes(model: str, operation: str, body: Any, after: int) -> None:
    intact = await play(text("Hello there"), model=model, operation=operation, body=body)
    broken = await play(reset(after=after), text("Hello there"), model=model, operation=operation, body=body)
    assert broken.reset
    assert broken.body == intact.body[:after]


@every_document
async def test_a_reset_inside_a_document(model: str, operation: str, body: Any) -> None:
    broken = await play(reset(after=5), model=model, operation=operation, body=body)
    assert (broken.reset, len(broken.body)) == (True, 5)


async def test_a_body_shorter_than_the_reset_position_is_reset_at_its_end() -> None:
    intact, broken = await play(text("a")), await play(reset(after=10**6), text("a"))
    assert (broken.body, broken.reset) == (intact.body, True)


@pytest.mark.parametrize("inside", [None, 0, 20])
async def test_a_torn_chunk_is_shorter_than_its_announced_size(inside: int | None) -> None:
    async with Emulator(script=[[text("a"), cut(torn="chunk", inside=inside), text("b", joined=True)]]) as emulator:
        connection = await open_request(emulator)
        response = RawResponse()
        await connection.read_head(response)
        for _ in range(2):
            await connection.read_chunk(response)
        announced = int(await connection.reader.readline(), 16)
        assert len(await connection.reader.read()) == (inside or 0) < announced
        await connection.close()


@pytest.mark.parametrize("fault", [cut(), cut(torn=True), cut(torn="chunk"), reset(), reset(after=600)])
@pytest.mark.parametrize("route", [True, False])
async def test_the_client_never_accepts_a_broken_body_as_complete(fault: Step, route: bool) -> None:
    async with Emulator(script=[unscripted(fault, at=0.5)]) as emulator, client_of(emulator) as client:
        async with client.stream(CLAUDE, "Hello", use_converse=route) as stream:
            with pytest.raises(StreamInterrupted) as raised:
                await stream.response()
        assert partial_of(raised.value).text


@every_route
async def test_a_slow_body_has_the_same_bytes(model: str, operation: str, body: Any) -> None:
    steps = [tool_call("f", {"a": 1}, id="t1")] if operation == "converse" else [text("Hello")]
    intact = await play(*steps, model=model, operation=operation, body=body)
    slow = await play(slow_body(0.001), *steps, model=model, operation=operation, body=body)
    assert slow.body == intact.body
    assert slow.complete
    if "stream" in operation:
        assert len(slow.chunks) > 4 * len(slow.frames)


async def test_a_slow_body_in_chunks_of_a_given_size() -> None:
    intact, slow = await play(text("Hello")), await play(rechunk(50), slow_body(0.001), text("Hello"))
    assert slow.body == intact.body


# ----------------------------------------------------------------------------------------------------------- unscripted


async def test_a_fault_can_be_anywhere_in_the_unscripted_answer() -> None:
    complete = (await play(unscripted())).body
    async with Emulator() as emulator:
        assert (await post(emulator)).body == complete
    lengths = [len((await play(unscripted(cut(), at=at))).body) for at in (0, 0.3, 0.6, 1)]
    assert lengths == sorted(set(lengths))
    assert lengths[0] == 0
    assert lengths[-1] < len(complete)


@every_route
async def test_the_unscripted_answer_is_the_same_inside_a_script(model: str, operation: str, body: Any) -> None:
    async with Emulator() as emulator:
        expected = await post(emulator, body, operation, model)
    assert (await play(unscripted(), model=model, operation=operation, body=body)).body == expected.body


def test_a_position_outside_the_answer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at: expected a number from 0 to 1, got 2"):
        unscripted(at=2)


# -------------------------------------------------------------------------------------------------------- random faults


async def outcomes(emulator: Emulator, count: int) -> list[str]:
    async def outcome() -> str:
        try:
            async with client.stream(MODEL, "Hello") as stream:
                await stream.response()
        except BedrockStreamError as error:
            return type(error).__name__
        return "complete"

    async with client_of(emulator) as client:
        return [await outcome() for _ in range(count)]


async def test_random_faults_repeat_with_their_seed() -> None:
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
    assert set(seen[0]) == {"complete", "AccessDenied", "StreamInterrupted"}
    assert 4 < 40 - seen[0].count("complete") < 24


@pytest.mark.parametrize(("probability", "faulty"), [(0, 0), (1, 6)])
async def test_probabilities_of_0_and_1(probability: float, faulty: int) -> None:
    async with Emulator(script=chance(probability, cut())) as emulator:
        assert (await outcomes(emulator, 6)).count("StreamInterrupted") == faulty


def test_invalid_arguments_of_chance() -> None:
    with pytest.raises(ConfigurationError, match="probability"):
        chance(1.5, cut())
    with pytest.raises(ConfigurationError, match="faults"):
        chance(0.5)


# ------------------------------------------------------------------------------------------------------- client errors


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (http_error(400, "ThrottlingException", "slow down"), Throttled),
        (expired_signature(), InvalidSignature),
        (wrong_content_type(), NotAnEventStream),
        (reset(before_headers=True), ConnectionFailed),
    ],
)
async def test_the_client_raises_a_specific_error_for_each_fault(fault: Step, kind: type[BedrockStreamError]) -> None:
    async with Emulator(script=lambda _: fault) as emulator, client_of(emulator, retry=QUICK_RETRIES) as client:
        with pytest.raises(kind):
            await client.generate(MODEL, "Hello")


# ------------------------------------------------------------------------------------------------------------- memory


def count_requests() -> int:
    gc.collect()
    return sum(isinstance(value, ReceivedRequest) for value in gc.get_objects())


async def test_an_emulator_keeps_its_last_requests_and_counts_all() -> None:
    before = count_requests()
    async with Emulator(keep_requests=10, script=lambda _: text("a")) as emulator, client_of(emulator) as client:
        for number in range(60):
            await client.generate(MODEL, f"number {number}" + "x" * 10_000)
        assert emulator.request_count == 60
        assert [request.json["messages"][0]["content"][0]["text"][:9] for request in emulator.requests] == [
            f"number {number}" for number in range(50, 60)
        ]
        assert await emulator.wait_for_requests(60) == emulator.requests
        assert count_requests() - before <= 11


@pytest.mark.parametrize(("keep", "expected"), [(0, 0), (1, 1), (None, 3)])
async def test_the_number_of_requests_that_are_kept(keep: int | None, expected: int) -> None:
    async with Emulator(keep_requests=keep) as emulator:
        for _ in range(3):
            await post(emulator)
        assert (len(emulator.requests), emulator.request_count) == (expected, 3)


async def test_waiting_for_requests_counts_the_dropped_ones() -> None:
    async with Emulator(keep_requests=1, script=lambda _: stall()) as emulator:
        first, second = await open_request(emulator), await open_request(emulator)
        assert len(await emulator.wait_for_requests(2)) == 1
        await first.close()
        await second.close()


# --------------------------------------------------------------------------------------------------------- validation


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"json": [1]}, "messages.2.content.0.toolResult.content.0.json is invalid. Provide a json object"),
        ({"json": "x"}, "Provide a json object"),
        ({"json": None}, "Provide a json object"),
        ({"text": ""}, "ToolResultContentBlock object at messages.2.content.0.toolResult.content.0 is blank."),
        ({"text": " \n"}, "is blank. Add text to the text field, and try again."),
    ],
)
async def test_tool_results_that_bedrock_refuses(content: Any, message: str) -> None:
    async with Emulator() as emulator:
        for operation in ("converse", "converse-stream"):
            status, code, document = (await post(emulator, with_result(content), operation)).error
            assert (status, code) == (400, "ValidationException")
            assert message in document["message"]


async def test_a_tool_result_whose_text_is_not_a_string_is_malformed() -> None:
    async with Emulator() as emulator:
        assert (await post(emulator, with_result({"text": 1}))).error[:2] == (400, "SerializationException")


async def test_blank_and_empty_text_is_refused_for_all() -> None:
    async with Emulator() as emulator:
        assert (await post(emulator, with_result({"text": " "}), model="amazon.nova-lite-v1:0")).status == 400
        assert (await post(emulator, with_result({"text": ""}), model="amazon.nova-lite-v1:0")).status == 400


async def test_native_claude_refuses_a_blank_tool_result() -> None:
    body = {
        **NATIVE[CLAUDE],
        "anthropic_version": "2026-10-21",
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "Hi"},
            assistant({"type": "tool_use", "id": "t1", "name": "f", "input": {}}),
            user({"type": "tool_result", "tool_use_id": "t1", "content": "fine"}),
        ],
    }
    async with Emulator() as emulator:
        assert (await post(emulator, body, STREAM, CLAUDE)).status == 200
        for content in ("", " ", [{"type": "text", "text": ""}]):
            raw = json.loads(json.dumps(body))
            raw["messages"][2]["content"][0]["content"] = content
            response = await post(emulator, raw, STREAM, CLAUDE)
            assert (response.status == 200) == (content == ""), response.body


def with_result(content: Any) -> dict[str, Any]:
    spec = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}
    return {
        "messages": [
            user({"text": "Hi"}),
            assistant({"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}),
            user({"toolResult": {"toolUseId": "t1", "content": [content]}}),
        ],
        "toolConfig": {"tools": [spec]},
    }
