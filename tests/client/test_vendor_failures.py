"""Failures of Messages, Chat Completions and Responses over a real connection: their classes, retries and facts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from bedrock_stream import Client, RetryPolicy, errors
from tests.support.clients import ONCE, collect, connected
from tests.support.socket_server import Answer, Connection
from tests.support.vendor_streams import APIS, Wire, encode, responses_answer

MODELS = {"messages": "anthropic.claude-opus-5-5", "chat": "openai.gpt-oss-120b", "responses": "openai.gpt-6-sol"}
UNKNOWN = {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}
FAST = RetryPolicy(max_attempts=3, base=0.001, cap=0.002)


def http(status: int, body: bytes, kind: str | None = "application/json", headers: str = "") -> Answer:
    """Return what sends one response with a length; `headers` are whole lines."""
    head = f"HTTP/1.1 {status} Words\r\nContent-Length: {len(body)}\r\n{headers}"
    head += f"Content-Type: {kind}\r\n" if kind else ""

    async def answer(connection: Connection) -> None:
        connection.write(head.encode() + b"\r\n" + body)

    return answer


def document(status: int, value: Any, **more: Any) -> Answer:
    return http(status, json.dumps(value).encode(), **more)


def stream(parts: Sequence[bytes]) -> Answer:
    return http(200, b"".join(parts), "text/event-stream", "x-request-id: r-1\r\n")


async def ask(client: Client, api: str, *, whole: bool = False) -> Any:
    options: Any = {"api": api, "endpoint": "mantle"}
    if whole:
        return await client.generate(MODELS[api], "Hi", **options)
    return await collect(client.stream(MODELS[api], "Hi", **options))


async def failure(answer: Answer, api: str, *, whole: bool = False, **options: Any) -> Any:
    async with connected(answer, **{"retry": ONCE, **options}) as (_, client):
        with pytest.raises(errors.BedrockStreamError) as caught:
            await ask(client, api, whole=whole)
    return caught.value


def openai(kind: str | None, code: str | None = None, message: str = "boom") -> Wire:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


STATUSES: list[tuple[int, Any, type[errors.ServiceError]]] = [
    (400, openai("invalid_request_error"), errors.ValidationFailed),
    (400, openai("invalid_request_error", "context_length_exceeded"), errors.ContextWindowExceeded),
    (400, openai("validation_error", None, "prompt tokens (9) exceed model maximum (8)"), errors.ContextWindowExceeded),
    (400, {"error": "boom"}, errors.ValidationFailed),
    (400, {"error": json.dumps({"message": "boom", "code": "rate_limit_exceeded"})}, errors.Throttled),
    (400, openai("invalid_request_error", None, json.dumps({"message": "boom"})), errors.ValidationFailed),
    (401, openai("invalid_request_error", "invalid_api_key"), errors.AccessDenied),
    (401, openai("invalid_request_error"), errors.AccessDenied),
    (404, openai("invalid_request_error", "model_not_found"), errors.ResourceNotFound),
    (413, {"type": "error", "error": {"type": "request_too_large", "message": "boom"}}, errors.ValidationFailed),
    (429, openai("insufficient_quota", "insufficient_quota"), errors.QuotaExceeded),
    (429, openai("requests", "rate_limit_exceeded"), errors.Throttled),
    (500, openai("server_error"), errors.InternalServerError),
    (503, openai("server_error"), errors.ServiceUnavailable),
    (529, {"type": "error", "error": {"type": "overloaded_error", "message": "boom"}}, errors.ServiceUnavailable),
]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("api", APIS)
async def test_an_error_status_is_of_the_class_that_its_body_tells(api: str, whole: bool) -> None:
    for status, body, cls in STATUSES:
        error = await failure(document(status, body), api, whole=whole)
        assert type(error) is cls, (status, body)
        assert (error.status, error.mid_stream, error.retryable) == (status, False, cls.retryable)
        assert "boom" in error.message or "exceed model maximum" in error.message


@pytest.mark.parametrize(
    ("headers", "expected"),
    [("x-amzn-RequestId: amz\r\nx-request-id: req\r\n", "amz"), ("x-request-id: req\r\n", "req"), ("", "req_body")],
)
async def test_the_request_id_of_a_header_precedes_that_of_the_body(headers: str, expected: str) -> None:
    body = {"type": "error", "request_id": "req_body", "error": {"type": "api_error", "message": "no"}}
    error = await failure(document(500, body, headers=headers), "messages")
    assert error.request_id == expected
    error = await failure(document(200, body, headers=headers), "messages", whole=True)
    assert error.request_id == expected


@pytest.mark.parametrize("kind", ["application/json", "application/x-amz-json-1.0", "text/event-stream", None])
@pytest.mark.parametrize("api", APIS)
async def test_a_path_that_is_unknown_is_never_an_empty_answer(api: str, kind: str | None) -> None:
    error = await failure(document(200, UNKNOWN, kind=kind), api)
    assert isinstance(error, errors.ServiceError | errors.StreamInterrupted)
    if kind != "text/event-stream":
        error = await failure(document(200, UNKNOWN, kind=kind), api, whole=True)
        assert "UnknownOperationException" in f"{error.code} {error}"


async def test_a_whole_answer_that_has_failed_is_tried_again() -> None:
    async def once(connection: Connection) -> None:
        error = {"code": "server_error", "message": "The request timed out."}
        failed = responses_answer((), status="failed", error=error, usage=None)
        part = {"type": "output_text", "text": "Hello", "annotations": []}
        good = responses_answer([{"type": "message", "id": "m", "role": "assistant", "content": [part]}])
        await document(200, good if len(server.connections) > 1 else failed)(connection)

    async with connected(once, retry=FAST) as (server, client):
        assert (await ask(client, "responses", whole=True)).text == "Hello"


@pytest.mark.parametrize("api", APIS)
async def test_an_error_before_any_content_is_tried_again_unseen(api: str) -> None:
    start = encode(api, APIS[api](("text", ["a"])))[:1]
    error = encode("responses", [openai("server_error")])

    async def once(connection: Connection) -> None:
        parts = encode(api, APIS[api](("text", ["Hello"])))
        await stream(parts if len(server.connections) > 1 else [*start, *error])(connection)

    async with connected(once, retry=FAST) as (server, client):
        events = await ask(client, api)
    assert [event.type for event in events].count("message_start") == 1
    assert len(server.connections) == 2


@pytest.mark.parametrize("api", APIS)
async def test_an_error_behind_content_has_what_came_before_it(api: str) -> None:
    parts = encode(api, APIS[api](("text", ["Hel", "lo"])))
    place = next(place for place, part in enumerate(parts) if b'"Hel"' in part) + 1
    bad = encode("responses", [openai("requests", "rate_limit_exceeded")])
    async with connected(stream([*parts[:place], *bad, *parts[place:]]), retry=FAST) as (server, client):
        with pytest.raises(errors.Throttled) as caught:
            await ask(client, api)
    error = caught.value
    assert (error.mid_stream, error.request_id, error.original_code) == (True, "r-1", "rate_limit_exceeded")
    assert error.partial is not None
    assert error.partial.text == "Hel"
    assert len(server.connections) == 1
