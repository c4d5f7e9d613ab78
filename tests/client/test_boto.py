"""Calls in boto3's form, held against aiobotocore on the same answers."""

from __future__ import annotations

import copy
import io
import json
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import Client, RetryPolicy, Target, errors
from bedrock_stream.dialects.boto import BLOBS, DOCUMENTS
from bedrock_stream.eventstream import Frame
from bedrock_stream.request.boto import plan_converse, plan_invoke
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    Step,
    citation,
    content_type,
    cut,
    end_block,
    event,
    headers,
    http_error,
    metadata,
    raw_frame,
    reasoning,
    replay,
    start,
    stop,
    stream_error,
    text,
    tool_call,
    unmodeled_error,
)
from tests.support.botocore_oracle import blobs_and_documents, written_by_botocore
from tests.support.clients import ONCE, client_of, connected
from tests.support.emulator_client import CLAUDE
from tests.support.planning import DESTINATION
from tests.support.socket_server import START, Connection
from tests.support.socket_server import text as text_bytes

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOVA = "amazon.nova-lite-v1:0"
ASK: Any = {"modelId": NOVA, "messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
BODY = json.dumps(
    {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]}
)
INVOKE: Any = {"modelId": CLAUDE, "body": BODY}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    async with client_of(emulator.url, retry=ONCE) as made:
        yield made


@cache
def aiobotocore_session() -> Any:
    """Return one session for all tests: it takes long to read the service model."""
    return get_session()


@pytest.fixture
async def botocore(emulator: Emulator) -> AsyncIterator[Any]:
    session = aiobotocore_session()
    session.set_credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    once = Config(retries={"max_attempts": 0})
    options: Any = {"region_name": REGION, "endpoint_url": emulator.url, "config": once}
    async with session.create_client("bedrock-runtime", **options) as made:
        yield made


def plan(emulator: Emulator, *answers: Step | list[Step]) -> None:
    """Script these answers, one after the other."""
    for answer in answers:
        emulator.script(*answer if isinstance(answer, list) else (answer,))


async def events_of(client: Any, operation: str = "converse_stream", **arguments: Any) -> list[Any]:
    """Return the events of a stream; a service error becomes the last one, as its code and message."""
    member = "stream" if operation == "converse_stream" else "body"
    events: list[Any] = []
    try:
        answer = await getattr(client, operation)(**arguments)
        async for one in answer[member]:
            events.append(one)  # noqa: PERF401 - those before an error are kept
    except ClientError as error:
        events.append((isinstance(error, EventStreamError), error.response["Error"]))
    return events


def common(ours: Any, theirs: Any) -> Any:
    """Return a value of ours without the members that botocore dropped because its service model lacks them."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return {name: common(member, theirs[name]) for name, member in ours.items() if name in theirs}
    if isinstance(ours, list) and isinstance(theirs, list):
        return [common(*pair) for pair in zip(ours, theirs, strict=True)]
    return ours


# ------------------------------------------------------------------------------------------------------------- answers

ANSWERS: dict[str, list[Step]] = {
    "text": [text(["Hel", "lo"])],
    "reasoning": [reasoning("Let me think.", signature="c2lnbmF0dXJl"), text("Done.")],
    "redacted reasoning": [reasoning(redacted=b"\x00\xffhidden"), text("Done.")],
    "tool call": [text("I look."), tool_call("weather", {"city": "Oslo", "bytes": "not data"}, fragments=5)],
    "two calls": [tool_call("a", {}), tool_call("b", {"input": {"json": [None]}})],
    "citation": [text("It rains."), citation(title="Report", source="doc", location={"web": {"url": "https://a.no"}})],
    "fields of the model": [text("Hi"), stop("end_turn", fields={"bytes": "AAAA", "none": None})],
    "guardrail": [
        text("No."),
        stop("guardrail_intervened"),
        metadata(trace={"guardrail": {"modelOutput": ["a"], "actionReason": "blocked"}}),
    ],
    "counts of a cache": [
        text("Hi"),
        stop(),
        metadata(
            usage={"inputTokens": 1, "outputTokens": 2, "totalTokens": 3, "cacheReadInputTokens": 4},
            performanceConfig={"latency": "optimized"},
            serviceTier={"type": "flex"},
        ),
    ],
    "image": [
        start(),
        event("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": "iVBORw=="}}}}),
        end_block(),
        stop(),
    ],
    "result of a server tool": [
        start(),
        event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolResult": {"toolUseId": "t"}}}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolResult": [{"json": {"bytes": "AAAA"}}]}}),
        end_block(),
        stop(),
    ],
    "nulls": [
        start(),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi", "toolUse": None}}),
        end_block(),
        stop(),
    ],
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_scripted_stream_gives_the_dicts_of_aiobotocore(
    name: str, emulator: Emulator, client: Client, botocore: Any
) -> None:
    plan(emulator, ANSWERS[name], ANSWERS[name])
    expected = await events_of(botocore, **ASK)
    assert await events_of(client, **ASK) == expected
    assert expected


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("converse_*.bin")), ids=lambda path: path.stem)
async def test_a_recorded_stream_gives_the_dicts_of_aiobotocore(
    path: Path, emulator: Emulator, client: Client, botocore: Any
) -> None:
    plan(emulator, replay(path), replay(path))
    expected = await events_of(botocore, **ASK)
    events = [one for one in await events_of(client, **ASK) if "contentBlockMood" not in one]
    assert [common(ours, theirs) for ours, theirs in zip(events, expected, strict=True)] == expected


@pytest.mark.parametrize("name", ["text", "reasoning", "redacted reasoning", "tool call", "guardrail"])
async def test_a_whole_answer_is_the_dict_of_aiobotocore(
    name: str, emulator: Emulator, client: Client, botocore: Any
) -> None:
    plan(emulator, ANSWERS[name], ANSWERS[name])
    expected, answer = await botocore.converse(**ASK), await client.converse(**ASK)
    theirs, ours = expected.pop("ResponseMetadata"), answer.pop("ResponseMetadata")
    assert answer == expected
    assert ours.keys() == theirs.keys()
    assert ours["HTTPHeaders"].keys() == theirs["HTTPHeaders"].keys()
    assert (ours["RequestId"], ours["RetryAttempts"]) == (ours["HTTPHeaders"]["x-amzn-requestid"], 0)


async def test_invoke_gives_the_answer_of_aiobotocore(client: Client, botocore: Any) -> None:
    expected, answer = await botocore.invoke_model(**INVOKE), await client.invoke_model(**INVOKE)
    async with expected["body"] as body:
        document = await body.read()
    async with answer["body"] as body:
        assert await body.read() == document
        assert await body.read() == b""
    assert answer["contentType"] == expected["contentType"]
    assert answer.keys() == expected.keys()


async def test_a_stream_of_invoke_gives_the_chunks_of_aiobotocore(client: Client, botocore: Any) -> None:
    operation = "invoke_model_with_response_stream"
    expected = await events_of(botocore, operation, **INVOKE)
    assert await events_of(client, operation, **INVOKE) == expected
    assert json.loads(expected[0]["chunk"]["bytes"])["type"] == "message_start"
    assert (await client.invoke_model_with_response_stream(**INVOKE))["contentType"] == "application/json"


async def test_a_body_is_read_in_parts_and_lines(emulator: Emulator, client: Client) -> None:
    plan(emulator, *[content_type("application/json", b'{"a":\n1}')] * 3)
    body = (await client.invoke_model(**INVOKE))["body"]
    assert [await body.read(3), await body.read(-1)] == [b'{"a', b'":\n1}']
    assert [part async for part in (await client.invoke_model(**INVOKE))["body"]] == [b'{"a":\n1}']
    assert [line async for line in (await client.invoke_model(**INVOKE))["body"].iter_lines()] == [b'{"a":', b"1}"]


async def test_an_answer_of_another_type_is_received_where_it_was_asked_for(emulator: Emulator, client: Client) -> None:
    plan(emulator, *[content_type("image/png", PNG)] * 2)
    answer = await client.invoke_model(**INVOKE, accept="image/png")
    assert (answer["contentType"], await answer["body"].read()) == ("image/png", PNG)
    with pytest.raises(errors.NotAnEventStream):
        await client.invoke_model(**INVOKE)


async def test_unknown_events_and_members_are_passed_on(emulator: Emulator, client: Client) -> None:
    plan(emulator, [start(), event("news", {"a": {"b": None, "c": 1}}), text("Hi"), stop()])
    assert {"news": {"a": {"c": 1}}} in await events_of(client, **ASK)


# ------------------------------------------------------------------------------------------------------------ requests

DATA = {"image": {"format": "png", "source": {"bytes": PNG}}}
FULL: Any = {
    "modelId": CLAUDE,
    "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
    "messages": (
        {"role": "user", "content": [DATA, {"text": "What is it?"}]},
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"redactedContent": b"\x00\xff"}},
                {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"bytes": "as text", "n": 1.5}}},
            ],
        },
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "t1", "content": [{"json": {"bytes": "x"}}, DATA]}}],
        },
    ),
    "inferenceConfig": {"maxTokens": 10, "temperature": 0.5, "stopSequences": ["END"]},
    "toolConfig": {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}]},
    "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
    "additionalModelRequestFields": {"top_k": 5, "input": {"bytes": "x"}},
    "additionalModelResponseFieldPaths": ["/stop_sequence"],
    "promptVariables": {"name": {"text": "Ann"}},
    "requestMetadata": {"team": "a"},
    "performanceConfig": {"latency": "standard"},
    "serviceTier": {"type": "default"},
    "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{}"}}}},
}


def sent(arguments: dict[str, Any], *, streaming: bool = False) -> Any:
    return json.loads(plan_converse(arguments, DESTINATION, streaming=streaming).request.body.data)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_request_is_the_one_of_botocore(streaming: bool) -> None:
    before = copy.deepcopy(FULL)
    operation = "ConverseStream" if streaming else "Converse"
    assert sent(FULL, streaming=streaming) == written_by_botocore({**FULL, "messages": [*FULL["messages"]]}, operation)
    assert before == FULL


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), "abc", io.BytesIO(b"abc"), memoryview(b"abc")])
def test_data_has_any_type_that_botocore_takes(data: Any) -> None:
    body = sent({**ASK, "messages": [{"role": "user", "content": [{"image": {"source": {"bytes": data}}}]}]})
    assert body["messages"][0]["content"][0]["image"]["source"] == {"bytes": "YWJj"}


@given(st.binary(max_size=400_000))
def test_data_of_any_size_is_sent_in_base64(data: bytes) -> None:
    from base64 import b64encode

    body = sent({**ASK, "system": [{"guardContent": {"image": {"source": {"bytes": data}}}}]})
    assert body["system"][0]["guardContent"]["image"]["source"]["bytes"] == b64encode(data).decode()


def test_values_that_are_nested_too_deeply_are_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for arguments in ({"system": deep}, {"additionalModelRequestFields": {"a": deep}}):
        with pytest.raises(errors.ConfigurationError, match="request"):
            sent({**ASK, **arguments})


@pytest.mark.parametrize("operation", ["Converse", "ConverseStream"])
def test_the_names_of_data_and_documents_are_those_of_the_service_model(operation: str) -> None:
    """No other member has one of these names, which are looked for at any depth."""
    blobs, documents, others = blobs_and_documents(operation)
    assert blobs == BLOBS
    assert documents <= DOCUMENTS
    # The input of a call is streamed as text, which is passed on as it is.
    assert others & (BLOBS | DOCUMENTS) <= {"input"}


@pytest.mark.parametrize(("streaming", "accept"), [(False, "Accept"), (True, "X-Amzn-Bedrock-Accept")])
def test_arguments_of_invoke_are_headers(streaming: bool, accept: str) -> None:
    arguments: Any = {
        "accept": "image/png",
        "contentType": "text/plain",
        "trace": "ENABLED",
        "guardrailIdentifier": "g",
        "guardrailVersion": "1",
        "performanceConfigLatency": "optimized",
        "serviceTier": "flex",
        "requestMetadata": "{}",
    }
    call = plan_invoke({"modelId": CLAUDE, "body": b"\x00", **arguments}, DESTINATION, streaming=streaming)
    there = dict(call.request.headers)
    assert (there[accept], there["Content-Type"], call.request.body.data) == ("image/png", "text/plain", b"\x00")
    assert there["X-Amzn-Bedrock-Trace"] == "ENABLED"
    assert there["X-Amzn-Bedrock-Service-Tier"] == "flex"
    assert len(there) == len(call.request.headers)


@pytest.mark.parametrize(
    ("operation", "arguments", "words"),
    [
        ("converse", {}, "modelId: is missing"),
        ("converse_stream", {**ASK, "inferenceconfig": {}}, "did you mean inferenceConfig?"),
        ("converse", {**ASK, "x": True}, "known are modelId, messages"),
        ("invoke_model", {"modelId": CLAUDE, "body": {"a": 1}}, "expected bytes, str or a file of bytes, got dict"),
        ("invoke_model", {**INVOKE, "trace": True}, "trace: expected a str, got bool"),
        ("invoke_model", {**INVOKE, "trace": "a\nb"}, "not a valid header value"),
        ("invoke_model_with_response_stream", {**INVOKE, "accepts": "*/*"}, "did you mean accept?"),
    ],
)
async def test_a_bad_argument_is_named(operation: str, arguments: Any, words: str, client: Client) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        await getattr(client, operation)(**arguments)
    assert words in str(caught.value)


# -------------------------------------------------------------------------------------------------------------- errors

CODES = [
    ("AccessDeniedException", 403),
    ("InternalServerException", 500),
    ("ModelErrorException", 424),
    ("ModelNotReadyException", 429),
    ("ModelTimeoutException", 408),
    ("ResourceNotFoundException", 404),
    ("ServiceQuotaExceededException", 400),
    ("ServiceUnavailableException", 503),
    ("ThrottlingException", 429),
    ("ValidationException", 400),
]


@pytest.mark.parametrize("operation", ["converse", "converse_stream", "invoke_model"])
async def test_a_refusal_is_the_error_of_botocore(
    operation: str, emulator: Emulator, client: Client, botocore: Any
) -> None:
    for code, status in CODES:
        plan(emulator, *[http_error(status, code, "not now")] * 2)
        caught = []
        for caller in (botocore, client):
            with pytest.raises(ClientError) as raised:
                await getattr(caller, operation)(**INVOKE if operation == "invoke_model" else ASK)
            caught.append(raised.value)
        theirs, ours = caught
        assert isinstance(ours, errors.ServiceError)
        assert isinstance(ours, getattr(client.exceptions, code))
        assert ours.response["Error"] == theirs.response["Error"]
        assert ours.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert ours.response["ResponseMetadata"]["RequestId"] == ours.request_id
        assert ours.operation_name == theirs.operation_name


@pytest.mark.parametrize(
    "failure",
    [
        stream_error("throttlingException", "slow down"),
        stream_error("validationException", "no"),
        stream_error("modelStreamErrorException", "broke", originalStatusCode=500, originalMessage="m"),
        unmodeled_error("InternalFailure", "unknown"),
    ],
)
@pytest.mark.parametrize("before", [[], [text("Hi")]])
async def test_an_exception_in_a_stream_is_the_error_of_botocore(
    failure: Step, before: list[Step], emulator: Emulator, client: Client, botocore: Any
) -> None:
    plan(emulator, [*before, failure], [*before, failure])
    expected = await events_of(botocore, **ASK)
    assert await events_of(client, **ASK) == expected
    assert expected[-1][0]


async def test_an_error_is_the_same_at_every_read_and_survives_pickling(emulator: Emulator, client: Client) -> None:
    plan(emulator, [text("Hi"), stream_error("throttlingException", "slow down")])
    stream = (await client.converse_stream(**ASK))["stream"]
    caught = []
    for _ in range(2):
        with pytest.raises(errors.Throttled) as raised:
            async for _one in stream:
                pass
        caught.append(raised.value)
    assert caught[0].events_received == caught[1].events_received > 0
    for error in (*caught, pickle.loads(pickle.dumps(caught[0])), copy.copy(caught[0])):  # noqa: S301 - our own
        assert isinstance(error, ClientError)
        assert error.response["Error"] == {"Code": "throttlingException", "Message": "slow down"}
        assert error.operation_name == "ConverseStream"


def test_without_botocore_an_error_is_only_this_librarys() -> None:
    program = """
import sys
from bedrock_stream.errors import Throttled, service_error
from bedrock_stream.errors.boto import boto_error
error = boto_error(service_error("ThrottlingException", "slow", 429), "Converse", {"RequestId": "r"})
assert type(error) is Throttled and "botocore" not in sys.modules
print(error.response["Error"]["Code"], error.response["ResponseMetadata"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50)  # noqa: S603 - our own code
    assert done.stdout == "ThrottlingException {'RequestId': 'r', 'HTTPStatusCode': 429}\n"


def test_the_exceptions_of_a_client_are_the_classes_of_this_library() -> None:
    exceptions = client_of("http://127.0.0.1:9").exceptions
    assert exceptions.ThrottlingException is errors.Throttled
    assert exceptions.ClientError is errors.ServiceError
    with pytest.raises(AttributeError, match="NoSuchException"):
        _ = exceptions.NoSuchException


# ----------------------------------------------------------------------------------------- retries, limits and honesty


async def test_a_call_is_retried_until_content_has_come(emulator: Emulator) -> None:
    slow = http_error(503, "ServiceUnavailableException", "later")
    plan(emulator, slow, [start(), stream_error("throttlingException", "slow down")], [text("Hi")], slow)
    async with client_of(emulator.url) as client:
        answer = await client.converse_stream(**ASK)
        assert answer["ResponseMetadata"]["RetryAttempts"] == 1
        events = [one async for one in answer["stream"]]
        whole = await client.converse(**ASK)
    assert [*events[0]] == ["messageStart"]
    assert sum("messageStart" in one for one in events) == 1
    assert whole["ResponseMetadata"]["RetryAttempts"] == 1


async def test_a_start_that_was_held_back_is_delivered_before_a_final_failure(
    emulator: Emulator, client: Client
) -> None:
    plan(emulator, [start(), stream_error("validationException", "no")])
    assert await events_of(client, **ASK) == [
        {"messageStart": {"role": "assistant"}},
        (True, {"Code": "validationException", "Message": "no"}),
    ]


@pytest.mark.parametrize("end", [[cut()], [cut(torn=True)]])
async def test_an_answer_that_was_cut_off_raises(end: list[Step], emulator: Emulator, client: Client) -> None:
    """Botocore ends such a stream as if the answer were complete."""
    plan(emulator, [text("Hi"), *end])
    stream = (await client.converse_stream(**ASK))["stream"]
    with pytest.raises(errors.StreamInterrupted):
        _ = [one async for one in stream]


@pytest.mark.parametrize(
    "bad",
    [
        event("messageStart", {"role": "assistant"}),  # a second one
        event("messageStop", {}),
        event("contentBlockDelta", {"delta": {"reasoningContent": {"redactedContent": "not base64!"}}}),
        event("contentBlockDelta", b"[]"),
        raw_frame(Frame({":message-type": "event"}, b"{}")),
    ],
)
async def test_a_malformed_event_raises(bad: Step, emulator: Emulator, client: Client) -> None:
    plan(emulator, [start(), text("Hi"), bad])
    stream = (await client.converse_stream(**ASK))["stream"]
    with pytest.raises(errors.InvalidFrame):
        _ = [one async for one in stream]


async def test_a_chunk_without_data_raises(emulator: Emulator, client: Client) -> None:
    frame = Frame({":message-type": "event", ":event-type": "chunk"}, b"{}")
    plan(emulator, [raw_frame(frame)])
    stream = (await client.invoke_model_with_response_stream(**INVOKE))["body"]
    with pytest.raises(errors.InvalidFrame):
        _ = [one async for one in stream]


@pytest.mark.parametrize("body", [b"{}", b'{"output": {}, "stopReason": "end_turn"}', b'{"output": {"message": {}}}'])
async def test_a_whole_answer_without_a_message_raises(body: bytes, emulator: Emulator, client: Client) -> None:
    plan(emulator, content_type("application/json", body))
    with pytest.raises(errors.InvalidFrame):
        await client.converse(**ASK)


async def test_an_error_that_came_with_http_200_raises(emulator: Emulator, client: Client) -> None:
    document = b'{"__type": "ThrottlingException", "message": "slow down"}'
    plan(emulator, *[content_type("application/json", document)] * 2)
    for call in (client.converse(**ASK), client.invoke_model(**INVOKE)):
        with pytest.raises(client.exceptions.ThrottlingException) as caught:
            await call
        assert caught.value.response["Error"]["Code"] == "ThrottlingException"


async def test_failover_serves_these_calls_too(emulator: Emulator) -> None:
    plan(emulator, http_error(503, "ServiceUnavailableException", "later"), [text("Hi")])
    async with client_of(emulator.url, retry=ONCE, failover=[Target(model=CLAUDE)]) as client:
        await client.converse(**ASK)
    assert [request.model for request in emulator.requests] == [NOVA, CLAUDE]


async def test_options_of_a_failover_target_are_refused() -> None:
    target = Target(model=CLAUDE, options={"max_tokens": 5})
    with pytest.raises(errors.ConfigurationError, match=r"failover\[0\].options: do not apply"):
        await client_of("http://127.0.0.1:9", failover=[target]).converse(**ASK)


@pytest.mark.parametrize("way", ["close", "aclose", "with", "drop"])
async def test_a_stream_that_is_left_frees_its_connection(way: str) -> None:
    async def endless(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text_bytes("Hello"))
        await connection.closed.wait()

    async with connected(endless) as (server, client):
        stream = (await client.converse_stream(**ASK))["stream"]
        assert "messageStart" in await anext(stream)
        if way == "close":
            stream.close()
            stream.close()
        elif way == "aclose":
            await stream.aclose()
        elif way == "with":
            async with stream:
                pass
        del stream  # without a warning
        await server.connections[0].closed.wait()
        assert client.stats().open_streams == 0


async def test_headers_of_an_answer_to_invoke_are_members(emulator: Emulator, client: Client) -> None:
    plan(emulator, [headers({"X-Amzn-Bedrock-Service-Tier": "flex"}), text("Hi")])
    assert (await client.invoke_model(**INVOKE))["serviceTier"] == "flex"


async def test_retries_of_the_client_apply_to_a_whole_answer(emulator: Emulator) -> None:
    plan(emulator, *[http_error(429, "ThrottlingException", "slow down")] * 2)
    async with client_of(emulator.url, retry=RetryPolicy(max_attempts=2, base=0)) as client:
        with pytest.raises(errors.Throttled) as caught:
            await client.converse(**ASK)
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 1
