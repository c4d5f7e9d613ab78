"""The emulator with other AWS clients, and the information that it offers to tests."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
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
    RawResponse,
    open_request,
    post,
    request_bytes,
    send,
    signed_headers,
    target,
)
from tests.support.soon import soon

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
    """Call an operation with boto3. Return a stream as the list of its events."""
    with closing(boto3.client("bedrock-runtime", **settings(emulator, **changes or {}))) as client:
        response = getattr(client, operation)(modelId=MODEL, **request)
        if "stream" not in response:
            return response
        with closing(response["stream"]) as stream:
            return list(stream)


async def aioboto(emulator: Emulator, operation: str, **request: Any) -> Any:
    """Call an operation with aiobotocore. Return a stream as the list of its events."""
    async with get_session().create_client("bedrock-runtime", **settings(emulator)) as client:
        response = await getattr(client, operation)(modelId=MODEL, **request)
        return [event async for event in response["stream"]] if "stream" in response else response


def assembled(events: list[dict[str, Any]]) -> tuple[str, str, str]:
    """Return text, tool input and stop reason of a stream."""
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    text = "".join(delta.get("text", "") for delta in deltas)
    raw = "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)
    stop = next(event["messageStop"]["stopReason"] for event in events if "messageStop" in event)
    return text, raw, stop


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


async def call(client: str, emulator: Emulator, operation: str, **request: Any) -> Any:
    if client == "boto3":
        return await asyncio.to_thread(boto, emulator, operation, **request)
    return await aioboto(emulator, operation, **request)


# ------------------------------------------------------------------------------------------------------- other clients


@pytest.mark.parametrize("client", ["boto3", "aiobotocore"])
async def test_aws_clients_read_a_scripted_answer_with_and_without_streaming(client: str, emulator: Emulator) -> None:
    emulator.script(*SCRIPT)
    emulator.script(*SCRIPT)
    response = await call(client, emulator, "converse", messages=ASK, toolConfig=WEATHER)
    content = response["output"]["message"]["content"]
    assert content[0]["reasoningContent"]["reasoningText"]["text"] == "Let me see."
    assert content[1]["citationsContent"] == {"content": [{"text": "Looking it up."}], "citations": [{"title": "T"}]}
    assert content[2] == {"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {"city": "Rome"}}}
    events = await call(client, emulator, "converse_stream", messages=ASK, toolConfig=WEATHER)
    assert assembled(events) == ("Looking it up.", '{"city": "Rome"}', "tool_use")
    assert events[-1]["metadata"]["usage"] == response["usage"]


@pytest.mark.parametrize("client", ["boto3", "aiobotocore"])
async def test_aws_clients_run_a_tool_without_a_script(client: str, emulator: Emulator) -> None:
    response = await call(client, emulator, "converse", messages=ASK, toolConfig=WEATHER)
    message = response["output"]["message"]
    use = message["content"][-1]["toolUse"]
    assert (response["stopReason"], use["input"]) == ("tool_use", {"city": "Oslo"})
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
async def test_boto3_is_refused_with_wrong_credentials(changes: dict[str, Any], code: str, emulator: Emulator) -> None:
    with pytest.raises(ClientError) as raised:
        await asyncio.to_thread(boto, emulator, "converse_stream", changes, messages=ASK)
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert emulator.requests[0].auth is None


async def test_boto3_raises_scripted_errors(emulator: Emulator) -> None:
    emulator.script(http_error(429, "ThrottlingException", "slow down"))
    with pytest.raises(ClientError, match="slow down") as raised:
        await asyncio.to_thread(boto, emulator, "converse", messages=ASK)
    assert raised.value.response["Error"]["Code"] == "ThrottlingException"
    emulator.script(start(), stream_error("throttlingException", "enough"))
    with pytest.raises(ClientError, match="enough") as raised:
        await asyncio.to_thread(boto, emulator, "converse_stream", messages=ASK)
    assert raised.value.response["Error"]["Code"] == "throttlingException"


async def test_boto3_authenticates_with_an_api_key(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-example")
    await asyncio.to_thread(boto, emulator, "converse", messages=ASK)
    assert emulator.requests[0].auth == "bearer"
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "another")
    with pytest.raises(ClientError, match="API Key is valid"):
        await asyncio.to_thread(boto, emulator, "converse", messages=ASK)


# ----------------------------------------------------------------------------------------------- information for tests


async def test_a_request_is_recorded_as_received(emulator: Emulator) -> None:
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


async def test_waiting_for_requests(emulator: Emulator) -> None:
    waiting = asyncio.create_task(emulator.wait_for_requests(2))
    await post(emulator)
    await post(emulator)
    assert len(await waiting) == 2
    await emulator.wait_until_idle()
    with pytest.raises(TimeoutError):
        await emulator.wait_for_requests(3, 0.01)


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
@pytest.mark.parametrize("abrupt", [False, True])
async def test_open_streams_decreases_when_a_client_disconnects(
    operation: str, abrupt: bool, emulator: Emulator
) -> None:
    emulator.script(text("a"), stall())
    connection = await open_request(emulator, operation=operation)
    await emulator.wait_for_streams(1)
    if abrupt:
        connection.writer.transport.abort()
    else:
        await connection.close()
    await soon(emulator.wait_until_idle(None))


async def test_open_streams_decreases_when_a_client_disconnects_during_a_long_answer() -> None:
    async with Emulator(script=[text(["x" * 1000] * 100_000)]) as emulator:
        connection = await open_request(emulator)
        response = RawResponse()
        await connection.read_head(response)
        await connection.read_chunk(response)
        connection.writer.transport.abort()
        await soon(emulator.wait_until_idle(None), 0.5)


async def test_many_streams_at_once(emulator: Emulator) -> None:
    connections = [await open_request(emulator, operation="converse-stream") for _ in range(50)]
    await emulator.wait_for_requests(50)
    for connection in connections:
        response = RawResponse()
        await connection.read_head(response)
        await connection.read_body(response)
        assert response.complete
        await connection.close()
    await emulator.wait_until_idle()


async def test_closing_cancels_open_answers() -> None:
    emulator = Emulator(script=[[text("a"), stall()]])
    await emulator.start()
    connection = await open_request(emulator)
    await emulator.wait_for_streams(1)
    await asyncio.wait_for(emulator.close(), 2)
    await emulator.close()
    assert emulator.open_streams == 0
    with pytest.raises(RuntimeError, match="not running"):
        _ = emulator.url
    await connection.close()


async def test_pace_delays_each_delta() -> None:
    loop = asyncio.get_running_loop()
    async with Emulator(pace=0.02, script=[text(["a", "b", "c"])]) as emulator:
        before = loop.time()
        assert (await post(emulator)).complete
        assert loop.time() - before >= 0.06


async def test_the_date_header_is_the_emulators_clock() -> None:
    then = datetime(2025, 7, 1, 12, tzinfo=UTC)
    async with Emulator(clock=lambda: then) as emulator:
        response = await post(emulator)
    assert response.status == 403
    assert parsedate_to_datetime(response.headers["date"]) == then


# ------------------------------------------------------------------------------------------------------------- security


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:80", "", "169.254.169.254", "[::2]",
        "evil@localhost", "localhost/evil", "localhost?evil", "localhost#evil", "[::1", "localhost:x",
    ],
)  # fmt: skip
async def test_another_host_name_is_refused(host: str, emulator: Emulator) -> None:
    path = target()
    response = await send(emulator, request_bytes(path, {**signed_headers(emulator, path, b"{}"), "Host": host}, b"{}"))
    assert response.error[:2] == (403, "AccessDeniedException")
    assert emulator.requests == []


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "evil://localhost", "http://evil@localhost", "http://[::1", "localhost"]
)
async def test_another_origin_is_refused(origin: str, emulator: Emulator) -> None:
    path = target()
    headers = {**signed_headers(emulator, path, b"{}"), "Origin": origin}
    response = await send(emulator, request_bytes(path, headers, b"{}"))
    assert response.error[:2] == (403, "AccessDeniedException")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_refused_before_the_caller_is_known(chunked: bool, emulator: Emulator) -> None:
    """A client without a key sends 300 MiB; it is refused as soon as that is known, and little of it is kept."""
    connection = await Connection.open(emulator)
    part = b"x" * (1 << 20)
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {300 << 20}"
    connection.writer.write(f"POST {target()} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n".encode())

    async def send_all() -> None:
        for _ in range(300):
            connection.writer.write(b"100000\r\n" + part + b"\r\n" if chunked else part)
            await connection.writer.drain()

    tracemalloc.start()
    sending = asyncio.create_task(send_all())
    try:
        response = RawResponse()
        await connection.read_head(response)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        sending.cancel()
        connection.writer.close()
        await asyncio.gather(sending, return_exceptions=True)
    assert response.status == 413
    assert peak < 120 << 20
    assert emulator.requests == []


def deep(depth: int, start: str = '{"a":', end: str = "}") -> str:
    return start * depth + "1" + end * depth


@pytest.mark.parametrize("depth", [300, 900, 3000])
@pytest.mark.parametrize(("start", "end"), [('{"a":', "}"), ("[", "]"), ('{"properties":{"a":', "}}")])
async def test_a_deeply_nested_body_is_answered_or_invalid(
    depth: int, start: str, end: str, emulator: Emulator
) -> None:
    value = f'{{"a":{deep(depth, start, end)}}}'
    result = f'{{"toolResult":{{"toolUseId":"a","content":[{{"json":{value}}}]}}}}'
    tool = f'{{"toolSpec":{{"name":"f","strict":true,"inputSchema":{{"json":{value}}}}}}}'
    said = '"messages":[{"role":"user","content":[{"text":"Use f"}]}]'
    bodies = [
        f'{{"messages":[{{"role":"user","content":[{result},{{"cachePoint":{{"type":"default"}}}}]}}]}}',
        f'{{{said},"additionalModelRequestFields":{value}}}',
        f'{{{said},"toolConfig":{{"tools":[{tool}]}}}}',
    ]
    for body in bodies:
        assert (await post(emulator, body.encode())).status in (200, 400)


async def test_a_body_that_costs_far_more_memory_than_its_size_is_invalid(emulator: Emulator) -> None:
    response = await post(emulator, b'{"messages":[' + b"[]," * (1 << 20) + b"[]]}")
    assert response.error[0] == 400
    assert emulator.requests[-1].json is None


async def test_the_public_credentials_are_not_accepted_off_loopback() -> None:
    with pytest.raises(ConfigurationError, match="credentials="):
        Emulator(host="0.0.0.0")  # noqa: S104  refused without credentials
    async with Emulator(host="0.0.0.0", api_key="mine") as emulator:  # noqa: S104
        port = emulator.url.rpartition(":")[2]
        request = request_bytes(
            "/model/m/converse", {"Host": f"somewhere:{port}", "Authorization": "Bearer mine"}, b"{}"
        )
        assert (await send(emulator, request)).status == 400
        assert (await post(emulator)).error[:2] == (403, "UnrecognizedClientException")


async def test_localhost_and_ipv6_loopback_can_be_used() -> None:
    async with Emulator(host="localhost", script=[delay(0)]) as emulator:
        assert emulator.url.startswith("http://127.0.0.1:")
        assert (await post(emulator)).complete
    async with Emulator(host="::1") as emulator:
        assert emulator.url.startswith("http://[::1]:")
        connection = await Connection.open(emulator)
        await connection.close()


def test_a_missing_crcmod_is_reported_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "crcmod.predefined", None)
    with pytest.raises(ConfigurationError, match=r"bedrock-stream\[testing\]"):
        Emulator()
