"""The emulator as other people's AWS clients see it, and what it tells a test about them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
import pytest
from aiobotocore.session import get_session
from botocore.config import Config
from botocore.exceptions import ClientError

from bedrock_stream.errors import ConfigurationError
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    Step,
    citation,
    delay,
    http_error,
    reasoning,
    stall,
    start,
    stream_error,
    text,
    tool_call,
)
from tests.support.emulator_client import (
    HELLO,
    MODEL,
    Connection,
    RawAnswer,
    opened,
    post,
    send,
    signed,
    target,
    written,
)

WEATHER: dict[str, Any] = {
    "tools": [
        {
            "toolSpec": {
                "name": "get_weather",
                "description": "The weather of a city",
                "inputSchema": {
                    "json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
                },
            }
        }
    ]
}
ASK: list[dict[str, Any]] = [{"role": "user", "content": [{"text": "What is the weather in Oslo?"}]}]
SCRIPT: list[Step] = [
    reasoning("Let me see."),
    text("Looking it up."),
    citation(title="T"),
    tool_call("get_weather", {"city": "Rome"}, id="t1"),
]


def settings(emulator: Emulator, **changes: Any) -> dict[str, Any]:
    return {
        "endpoint_url": emulator.url,
        "region_name": REGION,
        "aws_access_key_id": ACCESS_KEY_ID,
        "aws_secret_access_key": SECRET_ACCESS_KEY,
        "config": Config(retries={"total_max_attempts": 1, "mode": "standard"}),
        **changes,
    }


def boto(emulator: Emulator, operation: str, changes: dict[str, Any] | None = None, **request: Any) -> Any:
    """Call with boto3; a stream comes back as the list of its events."""
    with closing(boto3.client("bedrock-runtime", **settings(emulator, **changes or {}))) as client:
        answer = getattr(client, operation)(modelId=MODEL, **request)
        if "stream" not in answer:
            return answer
        with closing(answer["stream"]) as stream:
            return list(stream)


async def aioboto(emulator: Emulator, operation: str, **request: Any) -> Any:
    """The same with aiobotocore."""
    async with get_session().create_client("bedrock-runtime", **settings(emulator)) as client:
        answer = await getattr(client, operation)(modelId=MODEL, **request)
        return [event async for event in answer["stream"]] if "stream" in answer else answer


def assembled(events: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Text, tool input and stop reason of a stream."""
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    said = "".join(delta.get("text", "") for delta in deltas)
    raw = "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)
    stop = next(event["messageStop"]["stopReason"] for event in events if "messageStop" in event)
    return said, raw, stop


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


async def call(client: str, emulator: Emulator, operation: str, **request: Any) -> Any:
    if client == "boto3":
        return await asyncio.to_thread(boto, emulator, operation, **request)
    return await aioboto(emulator, operation, **request)


# ----------------------------------------------------------------------------------------------- other people's clients


@pytest.mark.parametrize("client", ["boto3", "aiobotocore"])
async def test_aws_clients_read_a_scripted_answer_both_ways(client: str, emulator: Emulator) -> None:
    emulator.script(*SCRIPT)
    emulator.script(*SCRIPT)
    whole = await call(client, emulator, "converse", messages=ASK, toolConfig=WEATHER)
    content = whole["output"]["message"]["content"]
    assert content[0]["reasoningContent"]["reasoningText"]["text"] == "Let me see."
    assert content[1]["citationsContent"] == {"content": [{"text": "Looking it up."}], "citations": [{"title": "T"}]}
    assert content[2] == {"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {"city": "Rome"}}}
    events = await call(client, emulator, "converse_stream", messages=ASK, toolConfig=WEATHER)
    assert assembled(events) == ("Looking it up.", '{"city": "Rome"}', "tool_use")
    assert events[-1]["metadata"]["usage"] == whole["usage"]


@pytest.mark.parametrize("client", ["boto3", "aiobotocore"])
async def test_aws_clients_run_a_tool_unscripted(client: str, emulator: Emulator) -> None:
    whole = await call(client, emulator, "converse", messages=ASK, toolConfig=WEATHER)
    message = whole["output"]["message"]
    use = message["content"][-1]["toolUse"]
    assert (whole["stopReason"], use["input"]) == ("tool_use", {"city": "Oslo"})
    result = {"toolResult": {"toolUseId": use["toolUseId"], "content": [{"json": {"sky": "grey"}}]}}
    turns = [*ASK, message, {"role": "user", "content": [result]}]
    events = await call(client, emulator, "converse_stream", messages=turns, toolConfig=WEATHER)
    assert assembled(events) == ('get_weather says: {"sky": "grey"}.', "", "end_turn")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aws_access_key_id": "AKIDOTHER"}, "UnrecognizedClientException"),
        ({"aws_session_token": "unknown"}, "UnrecognizedClientException"),
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ({"region_name": "eu-west-1"}, "InvalidSignatureException"),
    ],
)
async def test_boto3_is_refused_with_wrong_keys(changes: dict[str, Any], code: str, emulator: Emulator) -> None:
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(boto, emulator, "converse_stream", changes, messages=ASK)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert emulator.requests[0].auth is None


async def test_boto3_raises_scripted_errors(emulator: Emulator) -> None:
    emulator.script(http_error(429, "ThrottlingException", "slow down"))
    with pytest.raises(ClientError, match="slow down") as caught:
        await asyncio.to_thread(boto, emulator, "converse", messages=ASK)
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
    emulator.script(start(), stream_error("throttlingException", "enough"))
    with pytest.raises(ClientError, match="enough") as caught:
        await asyncio.to_thread(boto, emulator, "converse_stream", messages=ASK)
    assert caught.value.response["Error"]["Code"] == "throttlingException"


async def test_boto3_brings_an_api_key(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-example")
    await asyncio.to_thread(boto, emulator, "converse", messages=ASK)
    assert emulator.requests[0].auth == "bearer"
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "another")
    with pytest.raises(ClientError, match="API Key is valid"):
        await asyncio.to_thread(boto, emulator, "converse", messages=ASK)


# ----------------------------------------------------------------------------------------------------- what tests learn


async def test_a_request_is_recorded_as_it_arrived(emulator: Emulator) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-v1:0"
    await post(emulator, HELLO, "converse", arn)
    (request,) = emulator.requests
    assert request.target == target("converse", arn)
    assert "%3A" in request.target
    assert "%2F" in request.target
    assert (request.method, request.operation, request.model) == ("POST", "Converse", arn)
    assert (request.auth, request.access_key_id, request.region) == ("sigv4", ACCESS_KEY_ID, REGION)
    assert request.json == HELLO
    assert request.headers["content-type"] == "application/json"
    assert request.body.startswith(b"{")
    assert "AWS4" not in repr(request)


async def test_waiting_needs_no_sleep(emulator: Emulator) -> None:
    waiting = asyncio.create_task(emulator.wait_for_requests(2))
    await post(emulator)
    await post(emulator)
    assert len(await waiting) == 2
    await emulator.wait_until_idle()
    with pytest.raises(TimeoutError):
        await emulator.wait_for_requests(3, 0.01)


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
@pytest.mark.parametrize("abrupt", [False, True])
async def test_open_streams_falls_when_a_client_drops(operation: str, abrupt: bool, emulator: Emulator) -> None:
    emulator.script(text("a"), stall())
    connection = await opened(emulator, operation=operation)
    await emulator.wait_for_streams(1)
    if abrupt:
        connection.writer.transport.abort()
    else:
        await connection.leave()
    await emulator.wait_until_idle(0.25)


async def test_open_streams_falls_when_a_client_drops_in_the_middle_of_much() -> None:
    async with Emulator(script=[text(["x" * 1000] * 100_000)]) as emulator:
        connection = await opened(emulator)
        answer = RawAnswer()
        await connection.read_head(answer)
        await connection.read_chunk(answer)
        connection.writer.transport.abort()
        await emulator.wait_until_idle(0.5)


async def test_many_streams_at_once(emulator: Emulator) -> None:
    connections = [await opened(emulator, operation="converse-stream") for _ in range(50)]
    await emulator.wait_for_requests(50)
    for connection in connections:
        answer = RawAnswer()
        await connection.read_head(answer)
        await connection.read_body(answer)
        assert answer.complete
        await connection.leave()
    await emulator.wait_until_idle()


async def test_closing_breaks_off_open_answers() -> None:
    emulator = Emulator(script=[[text("a"), stall()]])
    await emulator.start()
    connection = await opened(emulator)
    await emulator.wait_for_streams(1)
    await asyncio.wait_for(emulator.close(), 2)
    await emulator.close()
    assert emulator.open_streams == 0
    with pytest.raises(RuntimeError, match="not running"):
        _ = emulator.url
    await connection.leave()


async def test_pace_stands_between_deltas() -> None:
    loop = asyncio.get_running_loop()
    async with Emulator(pace=0.02, script=[text(["a", "b", "c"])]) as emulator:
        before = loop.time()
        assert (await post(emulator)).complete
        assert loop.time() - before >= 0.06


async def test_the_date_is_the_emulators_own() -> None:
    then = datetime(2025, 7, 1, 12, tzinfo=UTC)
    async with Emulator(clock=lambda: then) as emulator:
        answer = await post(emulator)
    assert answer.status == 403
    assert parsedate_to_datetime(answer.headers["date"]) == then


# ------------------------------------------------------------------------------------------------------------- security


@pytest.mark.parametrize("named", ["evil.example", "evil.example:80", "", "169.254.169.254", "[::2]"])
async def test_another_host_name_is_refused(named: str, emulator: Emulator) -> None:
    path = target()
    answer = await send(emulator, written(path, {**signed(emulator, path, b"{}"), "Host": named}, b"{}"))
    assert answer.error[:2] == (403, "AccessDeniedException")
    assert emulator.requests == []


async def test_a_page_from_elsewhere_is_refused(emulator: Emulator) -> None:
    path = target()
    answer = await send(
        emulator, written(path, {**signed(emulator, path, b"{}"), "Origin": "https://evil.example"}, b"{}")
    )
    assert answer.error[:2] == (403, "AccessDeniedException")


async def test_off_loopback_the_published_keys_are_not_taken() -> None:
    with pytest.raises(ConfigurationError, match="credentials="):
        Emulator(host="0.0.0.0")  # noqa: S104  this is what is refused
    async with Emulator(host="0.0.0.0", api_key="mine") as emulator:  # noqa: S104
        port = emulator.url.rpartition(":")[2]
        request = written("/model/m/converse", {"Host": f"somewhere:{port}", "Authorization": "Bearer mine"}, b"{}")
        assert (await send(emulator, request)).status == 400
        assert (await post(emulator)).error[:2] == (403, "UnrecognizedClientException")


async def test_names_of_loopback_are_loopback() -> None:
    async with Emulator(host="localhost", script=[delay(0)]) as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")
        assert (await post(emulator)).complete
    async with Emulator(host="::1") as emulator:
        assert emulator.url.startswith("http://[::1]:")
        connection = await Connection.to(emulator)
        await connection.leave()


def test_without_crcmod_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "crcmod.predefined", None)
    with pytest.raises(ConfigurationError, match=r"bedrock-stream\[testing\]"):
        Emulator()
