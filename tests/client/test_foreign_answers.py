"""Answers that are not Bedrock's own: errors in any JSON, errors with HTTP 200, compressed bodies, two messages."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import ssl
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bedrock_stream import Client, RetryPolicy, Target, UnknownEvent, errors
from bedrock_stream.eventstream import Frame, encode_frame
from tests.support.clients import ONCE, collect, complete_stream, connected
from tests.support.reading import partial_of
from tests.support.socket_server import END, START, Answer, Connection, SocketServer, frame, text

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-3-5-sonnet-20241022-v2:0"
STREAM_TYPE = "application/vnd.amazon.eventstream"
WHOLE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
}


def http(status: int, body: bytes, content_type: str | None = "application/json", **headers: str) -> Answer:
    """Return what sends one response with a length."""
    kind = {} if content_type is None else {"Content-Type": content_type}
    fields = {**kind, "Content-Length": str(len(body)), **{name.replace("_", "-"): v for name, v in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())

    async def answer(connection: Connection) -> None:
        connection.write(f"HTTP/1.1 {status} Words\r\n{head}\r\n".encode() + body)

    return answer


def document(status: int, value: Any, **headers: str) -> Answer:
    return http(status, json.dumps(value).encode(), **headers)


OPERATIONS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "stream": lambda client: collect(client.stream(NOVA, "Hi")),
    "generate": lambda client: client.generate(NOVA, "Hi"),
    "native stream": lambda client: collect(client.stream(CLAUDE, "Hi")),
    "native": lambda client: client.generate(CLAUDE, "Hi"),
    "invoke": lambda client: client.invoke(CLAUDE, {"a": 1}),
    "invoke_stream": lambda client: collect(client.invoke_stream(CLAUDE, {"a": 1})),
    "count_tokens": lambda client: client.count_tokens(CLAUDE, "Hi"),
}


async def failure(answer: Answer, operation: str = "stream", **options: Any) -> Any:
    """Return the error that an operation raises for this answer."""
    async with connected(answer, **{"retry": ONCE, **options}) as (_, client):
        with pytest.raises(errors.BedrockStreamError) as caught:
            await OPERATIONS[operation](client)
    return caught.value


# ---------------------------------------------------------------------------------------------------- words and codes

SHAPES: list[tuple[Any, str, str]] = [
    ({"error": {"message": "no budget", "type": "budget_exceeded", "code": "400"}}, "no budget", "Budget_exceeded"),
    ({"error": "invalid_key"}, "invalid_key", ""),
    ({"error": "invalid_client", "error_description": "unknown client"}, "unknown client", ""),
    ({"detail": "not here"}, "not here", ""),
    ({"detail": [{"loc": ["body", "n"], "msg": "too big", "type": "x"}]}, "body.n: too big", ""),
    ({"errorMessage": "timed out", "errorType": "Sandbox.Timedout"}, "timed out", "Sandbox.Timedout"),
    ({"errors": [{"message": "one"}, {"detail": "two"}]}, "one; two", ""),
    ({"errors": {"max_tokens": ["too large"]}}, '{"errors": {"max_tokens": ["too large"]}}', ""),
    ({"fault": {"faultstring": "quota", "detail": {"errorcode": "policies.Quota"}}}, "quota", "Policies.Quota"),
    (
        {"message": ["a is wrong", "b is wrong"], "error": "Bad Request", "statusCode": 400},
        "a is wrong; b is wrong",
        "",
    ),
    ({"type": "https://example.com/full", "title": "Full", "status": 400, "detail": "no room"}, "no room", ""),
    ({"MESSAGE": "loud"}, "loud", ""),
    ({"message": None, "Message": "second"}, "second", ""),
    ({"message": "", "error": "Not Found"}, "Not Found", ""),
    ({"__type": "com.amazon.coral.service#SerializationException"}, "", "SerializationException"),
    (["plain", "words"], "plain; words", ""),
    ("plain words", "plain words", ""),
    ({"strange": {"shape": 1}}, '{"strange": {"shape": 1}}', ""),
    ({}, "", ""),
]


@pytest.mark.parametrize(("body", "words", "code"), SHAPES, ids=[json.dumps(shape[0])[:30] for shape in SHAPES])
async def test_an_error_of_any_shape_keeps_its_words(body: Any, words: str, code: str) -> None:
    for operation in ("stream", "invoke"):
        error = await failure(document(400, body), operation)
        assert type(error) is errors.ValidationFailed
        assert error.message == words
        assert (error.code if code else "") == code
        assert not str(error).rstrip().endswith(":")


async def test_a_deep_error_is_an_error_all_the_same() -> None:
    error = await failure(http(400, b'{"error":' * 5_000 + b"1" + b"}" * 5_000))
    assert type(error) is errors.ValidationFailed


@pytest.mark.parametrize("status", [502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529, 530])
async def test_a_status_of_a_gateway_is_retried_and_fails_over(status: int) -> None:
    page = http(status, b"<html>busy</html>", "text/html")

    async def once(connection: Connection) -> None:
        await (complete_stream if len(server.connections) > 1 else page)(connection)

    async with connected(once) as (server, client):
        assert (await client.stream(NOVA, "Hi").response()).text == "Hello"

    async def first_target(connection: Connection) -> None:
        await (complete_stream if "nova-pro" in connection.request_line else page)(connection)

    options: dict[str, Any] = {"retry": ONCE, "failover": [Target(model="amazon.nova-pro-v1:0")]}
    async with connected(first_target, **options) as (_, client):
        assert (await client.stream(NOVA, "Hi").response()).text == "Hello"
    error = await failure(page)
    assert (error.status, error.retryable) == (status, True)


@pytest.mark.parametrize("status", [413, 422, 451, 501, 505])
async def test_other_statuses_are_final(status: int) -> None:
    assert not (await failure(http(status, b""))).retryable


CODES: list[tuple[str, type[errors.ServiceError], int]] = [
    ("429", errors.Throttled, 429),
    ("503", errors.ServiceUnavailable, 503),
    ("529", errors.ServiceUnavailable, 529),
    ("com.amazonaws.bedrock#THROTTLINGexception", errors.Throttled, 429),
    ("com.amazonaws.bedrockruntime.ModelTimeoutException", errors.ModelTimeout, 408),
    ("ServiceUnavailableException:http://internal.amazon.com/coral/", errors.ServiceUnavailable, 503),
    ("600", errors.ServiceError, 500),
]


@pytest.mark.parametrize(("code", "cls", "status"), CODES)
@pytest.mark.parametrize("kind", ["exception", "error"])
async def test_a_code_in_a_frame_is_the_error_that_it_means(
    code: str, cls: type[errors.ServiceError], status: int, kind: str
) -> None:
    name = ":exception-type" if kind == "exception" else ":error-code"
    bad = encode_frame(Frame({":message-type": kind, name: code}, b'{"message": "words"}'))

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + text("Hel") + bad)
        connection.end()

    error = await failure(answer)
    assert (type(error), error.status, error.message, error.mid_stream) == (cls, status, "words", True)
    assert error.partial.text == "Hel"


@pytest.mark.parametrize("name", ["x-amzn-RequestId", "X-Request-ID", "x-amz-request-id"])
async def test_the_request_id_of_a_gateway_is_used(name: str) -> None:
    header = {name: "id-1"}
    assert (await failure(http(503, b"", **header))).request_id == "id-1"
    async with connected(document(200, WHOLE, **header)) as (_, client):
        assert (await client.generate(NOVA, "Hi")).request_id == "id-1"
    async with connected(http(200, START + text("a") + END, STREAM_TYPE, **header)) as (_, client):
        stream = client.stream(NOVA, "Hi")
        assert (await stream.response()).request_id == stream.request_id == "id-1"


async def test_the_services_own_request_id_takes_precedence() -> None:
    ids = {"x-request-id": "theirs", "x-amzn-RequestId": "ours"}
    assert (await failure(http(503, b"", **ids))).request_id == "ours"


async def test_headers_in_any_bytes_break_nothing() -> None:
    odd = "\u6f22 \xff"

    async def answer(connection: Connection) -> None:
        head = f"x-amzn-ErrorType: {odd}\r\nx-request-id: {odd}\r\nRetry-After: {odd}\r\nDate: {odd}\r\n"
        connection.write(f"HTTP/1.1 400 {odd}\r\n{head}Content-Length: 2\r\n\r\n{{}}".encode())

    error = await failure(answer)
    assert (type(error), error.status) == (errors.ValidationFailed, 400)
    str(error).encode()


# ------------------------------------------------------------------------------------------------ errors with HTTP 200

WITH_200: list[tuple[Any, type[errors.ServiceError], str]] = [
    (
        {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"},
        errors.ServiceError,
        "UnknownOperationException",
    ),
    ({"__type": "ThrottlingException", "message": "slow"}, errors.Throttled, "slow"),
    ({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}, errors.Throttled, "slow"),
    ({"message": "The model is gone"}, errors.ServiceError, "The model is gone"),
    ({"Message": "The model is gone", "requestId": "r"}, errors.ServiceError, "The model is gone"),
    ({"error": {"message": "busy", "code": 503}}, errors.ServiceUnavailable, "busy"),
    ({"errors": [{"message": "first"}]}, errors.ServiceError, "first"),
    ({"detail": "not known"}, errors.ServiceError, "not known"),
    (
        {"id": "r", "status": "failed", "error": {"code": "server_error", "message": "broke"}, "output": []},
        errors.InternalServerError,
        "broke",
    ),
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("body", "cls", "words"), WITH_200, ids=[json.dumps(case[0])[:30] for case in WITH_200])
async def test_an_error_with_status_200_is_a_service_error(
    body: Any, cls: type[errors.ServiceError], words: str, operation: str
) -> None:
    error = await failure(document(200, body), operation)
    assert type(error) is cls
    assert words in str(error)
    assert error.status >= 400


@pytest.mark.parametrize("content_type", [None, "application/x-amz-json-1.1", "application/problem+json", STREAM_TYPE])
async def test_an_error_with_status_200_is_one_under_any_content_type(content_type: str | None) -> None:
    error = await failure(http(200, b'{"__type": "ThrottlingException"}', content_type))
    assert type(error) is errors.Throttled


async def test_an_error_with_status_200_is_retried() -> None:
    async def once(connection: Connection) -> None:
        busy = document(200, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
        await (document(200, WHOLE) if len(server.connections) > 1 else busy)(connection)

    async with connected(once) as (server, client):
        assert (await client.generate(NOVA, "Hi")).text == "Hello"


@pytest.mark.parametrize(
    "answer",
    [
        {"message": {"role": "assistant"}},
        {"message": ["a"]},
        {"message": "text", "generation": "x"},
        {"error": None, "generation": "x"},
        {"error": None, "message": "text"},
        {"error": "", "text": "x"},
        {"errors": [], "results": [1]},
        {"status": "completed", "output": "x"},
        {"type": "error_report", "text": "x"},
        {"title": "a title"},
        {"detail": {"a": 1}},
        {},
    ],
    ids=json.dumps,
)
async def test_a_models_own_json_stays_an_answer(answer: Any) -> None:
    async with connected(document(200, answer)) as (_, client):
        assert await client.invoke(CLAUDE, {"a": 1}) == answer


async def test_an_answer_that_lacks_its_content_and_has_an_error_is_that_error() -> None:
    body = {"id": "c", "choices": [], "error": {"message": "overloaded", "code": 529}}
    async with connected(document(200, body), retry=ONCE) as (_, client):
        with pytest.raises(errors.ServiceUnavailable, match="overloaded"):
            await client.generate("openai.gpt-oss-20b-1:0", "Hi")


def chunk(value: Any) -> bytes:
    data = json.dumps(value).encode()
    return frame("chunk", {"bytes": base64.b64encode(data).decode()})


@pytest.mark.parametrize("model", [CLAUDE, "openai.gpt-oss-20b-1:0", "meta.llama3-8b-instruct-v1:0", "raw"])
async def test_an_error_document_in_a_native_stream_is_a_service_error(model: str) -> None:
    bad = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    async with connected(http(200, chunk(bad), STREAM_TYPE), retry=ONCE) as (_, client):
        stream = client.invoke_stream(CLAUDE, {}) if model == "raw" else client.stream(model, "Hi")
        with pytest.raises(errors.ServiceUnavailable, match="busy"):
            await collect(stream)


async def test_a_documents_own_message_in_a_raw_stream_is_passed_on() -> None:
    pieces = [{"message": "a"}, {"message": {"role": "assistant"}}, {"error": None}]
    body = b"".join(map(chunk, pieces))
    async with connected(http(200, body, STREAM_TYPE)) as (_, client):
        assert await collect(client.invoke_stream(CLAUDE, {})) == pieces


# ----------------------------------------------------------------------------------------------------- Content-Encoding


def deflated(data: bytes) -> bytes:
    """Return raw deflate, which some servers send in place of the zlib format."""
    raw = zlib.compressobj(wbits=-15)
    return raw.compress(data) + raw.flush()


def in_two_members(data: bytes) -> bytes:
    return gzip.compress(data[:10]) + gzip.compress(data[10:])


PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("X-GZIP", gzip.compress),
    ("gzip", in_two_members),
    ("gzip", lambda data: gzip.compress(data) + b"\0" * 9),
    ("deflate", zlib.compress),
    ("deflate", deflated),
    ("identity", bytes),
    ("utf-8", bytes),
    ("identity, gzip", gzip.compress),
]


@pytest.mark.parametrize(("coding", "pack"), PACKED)
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_compressed_body_is_decoded_as_it_arrives(
    coding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    def sent(body: bytes, status: str, content_type: str) -> Answer:
        async def answer(connection: Connection) -> None:
            head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Encoding: {coding}\r\n"
            connection.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
            packed = pack(body)
            for start in range(0, len(packed), size):
                connection.chunk(packed[start : start + size])
                if start % 50 == 0:
                    await asyncio.sleep(0)
            connection.end()

        return answer

    async with connected(sent(START + text("Hello" * 50_000) + END, "200 OK", STREAM_TYPE)) as (_, client):
        response = await client.stream(NOVA, "Hi").response()
        assert (len(response.text), response.usage is None) == (250_000, False)
    async with connected(sent(json.dumps(WHOLE).encode(), "200 OK", "application/json")) as (_, client):
        assert (await client.generate(NOVA, "Hi")).text == "Hello"
    error = await failure(sent(b'{"message": "no such model"}', "400 Bad", "application/json"))
    assert error.message == "no such model"


async def test_a_compressed_stream_is_delivered_before_its_end() -> None:
    packer = zlib.compressobj(wbits=31)

    async def answer(connection: Connection) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {STREAM_TYPE}\r\nContent-Encoding: gzip\r\n"
        connection.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        connection.chunk(packer.compress(START + text("first")) + packer.flush(zlib.Z_SYNC_FLUSH))
        await received.wait()
        connection.chunk(packer.compress(text("last") + END) + packer.flush())
        connection.end()

    received = asyncio.Event()
    async with connected(answer) as (_, client):
        pieces = []
        async for piece in client.stream(NOVA, "Hi").text_stream:
            pieces.append(piece)
            received.set()
        assert pieces == ["first", "last"]


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress", "new"])
async def test_a_coding_that_cannot_be_decoded_is_named(coding: str) -> None:
    for status, content_type in ((200, STREAM_TYPE), (200, "application/json"), (400, "application/json")):
        answer = http(status, b"\x1b\x00packed", content_type, Content_Encoding=coding)
        error = await failure(answer, "stream" if content_type == STREAM_TYPE else "generate")
        assert f"Content-Encoding {coding!r}" in str(error)
        assert not error.retryable
        assert isinstance(error, errors.ServiceError) == (status == 400)
    page = await failure(http(200, b"\x1b\x00packed", "text/html", Content_Encoding=coding))
    assert type(page) is errors.NotAnEventStream
    assert f"Content-Encoding {coding!r}" in str(page)


async def test_a_damaged_or_truncated_body_names_the_coding() -> None:
    whole = gzip.compress(START + text("Hello") + END)
    damaged = await failure(http(200, b"\0" + whole, STREAM_TYPE, Content_Encoding="gzip"))
    assert type(damaged) is errors.InvalidFrame
    assert "Content-Encoding 'gzip': the body is damaged" in str(damaged)
    torn = gzip.compress(json.dumps(WHOLE).encode())[:-12]
    error = await failure(http(200, torn, Content_Encoding="gzip"), "generate")
    assert type(error) is errors.StreamInterrupted
    assert "Content-Encoding 'gzip'" in str(error)


async def test_a_body_that_grows_beyond_all_measure_is_refused() -> None:
    bomb = gzip.compress(b" " * 64 * 1024 * 1024)
    for operation in ("generate", "invoke"):
        error = await failure(http(200, bomb, Content_Encoding="gzip"), operation)
        assert "Content-Encoding 'gzip'" in str(error)
        assert "decode to more than" in str(error)


# --------------------------------------------------------------------------------------- unknown events, two messages


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"", {}),
        (b"\x00\xff", b"\x00\xff"),
        (b"[1]", [1]),
        (b'"x"', "x"),
        (b"{", b"{"),
        (b"null", b"null"),
        (b"7", 7),
        (b'{"a": 1, "p": "abc"}', {"a": 1}),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
async def test_an_unknown_event_has_any_payload_anywhere(payload: bytes, value: Any, place: int) -> None:
    strange = encode_frame(Frame({":event-type": "news", ":message-type": "event"}, payload))
    frames = [START, text("Hello"), END]
    frames.insert(place, strange)
    async with connected(http(200, b"".join(frames), STREAM_TYPE)) as (_, client):
        stream = client.stream(NOVA, "Hi")
        events = await collect(stream)
        assert UnknownEvent("news", value) in events
        assert (await stream.response()).text == "Hello"


SECOND: dict[str, bytes] = {
    "a whole message": START + text("b") + END,
    "a start": START,
    "text": text("b"),
    "a block's start": frame("contentBlockStart", {"contentBlockIndex": 1, "start": {"image": {"format": "png"}}}),
    "a second end": END,
}


@pytest.mark.parametrize("second", SECOND)
async def test_what_follows_the_end_of_a_message_is_an_error(second: str) -> None:
    error = await failure(http(200, START + text("a") + END + SECOND[second], STREAM_TYPE))
    assert type(error) is errors.InvalidFrame
    assert "follows the end of the message" in str(error)
    assert partial_of(error).text == "a"


async def test_a_second_start_within_a_message_is_an_error() -> None:
    error = await failure(http(200, START + text("a") + START + text("b") + END, STREAM_TYPE))
    assert type(error) is errors.InvalidFrame
    assert "a second message starts" in str(error)


async def test_metadata_may_come_in_parts() -> None:
    more = frame("metadata", {"metrics": {"latencyMs": 9}})
    async with connected(http(200, START + text("a") + END + more, STREAM_TYPE)) as (_, client):
        assert (await client.stream(NOVA, "Hi").response()).text == "a"


def claude(words: str) -> list[Any]:
    return [
        {"type": "message_start", "message": {"role": "assistant", "usage": {"input_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ]


def chat(words: str, number: int = 1) -> list[Any]:
    def one(**choice: Any) -> Any:
        return {"id": f"c{number}", "choices": [{"index": 0, **choice}]}

    return [
        one(delta={"role": "assistant", "content": ""}),
        one(delta={"content": words}),
        one(delta={}, finish_reason="stop"),
    ]


def llama(words: str) -> list[Any]:
    return [
        {"generation": words, "prompt_token_count": 3, "generation_token_count": 1, "stop_reason": None},
        {"generation": words, "prompt_token_count": None, "generation_token_count": 2, "stop_reason": None},
        {"generation": "", "prompt_token_count": None, "generation_token_count": 3, "stop_reason": "stop"},
    ]


NATIVE: dict[str, tuple[str, list[Any]]] = {
    "claude, whole": (CLAUDE, claude("a") + claude("b")),
    "claude, a second start": (CLAUDE, claude("a")[:2] + claude("b")),
    "claude, late text": (CLAUDE, claude("a") + claude("b")[1:2]),
    "chat, whole": ("openai.gpt-oss-20b-1:0", chat("a") + chat("b")),
    "chat, a second start": ("openai.gpt-oss-20b-1:0", chat("a")[:2] + chat("b", 2)),
    "llama, whole": ("meta.llama3-8b-instruct-v1:0", llama("a") + llama("b")),
    "llama, a second start": ("meta.llama3-8b-instruct-v1:0", llama("a")[:2] + llama("b")),
}


@pytest.mark.parametrize("case", NATIVE)
async def test_two_native_messages_in_one_body_are_an_error(case: str) -> None:
    model, documents = NATIVE[case]
    async with connected(http(200, b"".join(map(chunk, documents)), STREAM_TYPE), retry=ONCE) as (_, client):
        with pytest.raises(errors.InvalidFrame, match="message"):
            await client.stream(model, "Hi").response()


@pytest.mark.parametrize(("model", "documents"), [(CLAUDE, claude("a")), ("openai.gpt-oss-20b-1:0", chat("a"))])
async def test_a_keep_alive_may_follow_the_end(model: str, documents: list[Any]) -> None:
    late = [{"type": "ping"}] if model == CLAUDE else [{"id": "c1", "choices": []}]
    async with connected(http(200, b"".join(map(chunk, documents + late)), STREAM_TYPE), retry=ONCE) as (_, client):
        assert (await client.stream(model, "Hi").response()).text == "a"


@pytest.mark.parametrize("model", [NOVA, CLAUDE])
async def test_two_whole_answers_in_one_body_are_an_error(model: str) -> None:
    body = json.dumps(WHOLE).encode() * 2
    async with connected(http(200, body), retry=ONCE) as (_, client):
        with pytest.raises(errors.InvalidFrame):
            await client.generate(model, "Hi")
        with pytest.raises(errors.InvalidFrame):
            await client.invoke(model, {})


# ------------------------------------------------------------------------------------------------- profiles, proxies


@pytest.mark.parametrize("apostrophe", ["'", "\u2019"])
@pytest.mark.parametrize(
    ("model", "region", "hint"),
    [
        (
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "ap-northeast-1",
            "'jp.anthropic.claude-sonnet-4-5-20250929-v1:0' or 'global.anthropic.claude-sonnet-4-5-20250929-v1:0'",
        ),
        ("amazon.nova-pro-v1:0", "ap-south-1", "'apac.amazon.nova-pro-v1:0'"),
        ("meta.llama3-3-70b-instruct-v1:0", "us-gov-west-1", "'us-gov.meta.llama3-3-70b-instruct-v1:0'"),
        ("amazon.nova-pro-v1:0", "me-south-1", "that contains this model"),
    ],
)
async def test_a_model_without_on_demand_throughput_names_its_profile(
    model: str, region: str, hint: str, apostrophe: str
) -> None:
    words = f"Invocation of model ID {model} with on-demand throughput isn{apostrophe}t supported."
    async with connected(document(400, {"message": words}), retry=ONCE, region=region) as (_, client):
        for call in (client.generate(model, "Hi"), client.invoke(model, {})):
            with pytest.raises(errors.ValidationFailed) as caught:
                await call
            assert hint in str(caught.value)
            assert (caught.value.option, caught.value.message) == ("model", words)


async def connects(status: bytes) -> tuple[errors.ConnectionFailed, int]:
    """Return the error of a call through a proxy that answers CONNECT like this, and how often it was asked."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    asked: list[bytes] = []
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with (
        server,
        Client(
            region="us-east-1",
            api_key="k" * 20,
            proxy=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            retry=RetryPolicy(max_attempts=3, base=0, cap=0),
        ) as client,
    ):
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.generate(NOVA, "Hi")
    return caught.value, len(asked)


@pytest.mark.parametrize("status", [b"502 Bad Gateway", b"503 ", b"504 Gateway Timeout", b"529 Busy"])
async def test_a_proxy_that_is_busy_is_asked_again(status: bytes) -> None:
    error, times = await connects(status)
    assert (error.retryable, times) == (True, 3)
    assert f"refused with {status.decode().strip()}" in str(error)


async def test_a_proxys_reason_in_any_bytes_can_be_printed() -> None:
    error, _ = await connects(b"403 Verb\xf6ten \xff")
    assert "refused with 403 Verb" in str(error)
    str(error).encode()


@pytest.mark.parametrize("status", [b"400 Bad Request", b"404 Not Found", b"407 Who", b"429 Slow", b"501 No"])
async def test_a_proxy_that_refuses_is_asked_once(status: bytes) -> None:
    error, times = await connects(status)
    assert (error.retryable, times) == (False, 1)


async def test_the_words_of_a_refused_connection_do_not_show_the_tls_context() -> None:
    async with SocketServer(complete_stream) as unused:
        closed = unused.url.removeprefix("http://")
    url = f"https://{closed}"
    async with Client(endpoint_url=url, api_key="k" * 20, ssl=ssl.create_default_context(), retry=ONCE) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await client.generate(NOVA, "Hi")
    assert "ssl" not in str(caught.value).lower()
    assert f"cannot connect to {closed}: " in str(caught.value)
