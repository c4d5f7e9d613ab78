"""The other operations of a client: `explain`, `count_tokens`, and the raw calls `invoke` and `invoke_stream`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from bedrock_stream import Client, Credentials, Image, Message, Timeouts, errors
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    API_KEY,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    content_type,
    cut,
    delay,
    event,
    flip_bit,
    http_error,
    metadata,
    rechunk,
    stall,
    stream_error,
    tool_call,
    unmodeled_error,
)
from bedrock_stream.testing import text as say
from tests.conftest import KEYS
from tests.support.clients import collect
from tests.support.socket_server import STREAM_HEAD, Connection, SocketServer, frame

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "us.meta.llama3-2-3b-instruct-v1:0"
SECRET = "s3cr3t-s3cr3t-s3cr3t"
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}

# -------------------------------------------------------------------------------------------------------------- explain


def never_called() -> Any:
    raise AssertionError("a provider was called")


SOURCES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, str], str]] = [
    ("the call's API key", {}, {"api_key": SECRET}, {}, "bearer, the call's api_key"),
    (
        "the call's key pair",
        {},
        {"access_key_id": SECRET, "secret_access_key": SECRET, "session_token": SECRET},
        {},
        "sigv4, the call's access_key_id",
    ),
    ("the client's API key", {"api_key": SECRET}, {}, {}, "bearer, the client's api_key"),
    ("a provider of an API key", {"api_key": never_called}, {}, {}, "bearer, the client's api_key"),
    (
        "the client's credentials",
        {"credentials": Credentials(SECRET, SECRET, SECRET)},
        {},
        {},
        "sigv4, the client's cred",
    ),
    ("a provider of credentials", {"credentials": never_called}, {}, {}, "sigv4, the client's credentials"),
    ("an API key in the environment", {}, {}, {"AWS_BEARER_TOKEN_BEDROCK": SECRET}, "bearer, AWS_BEARER_TOKEN_BEDROCK"),
    (
        "a key pair in the environment",
        {},
        {},
        {"AWS_ACCESS_KEY_ID": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SECRET},
        "sigv4, AWS_ACCESS_KEY_ID",
    ),
    (
        "an explicit pair and an API key in the environment",
        {},
        {"provider_options": {"access_key_id": SECRET, "secret_access_key": SECRET}},
        {"AWS_BEARER_TOKEN_BEDROCK": SECRET},
        "sigv4, the call's access_key_id",
    ),
]


@pytest.mark.parametrize(
    ("client_options", "options", "environ", "source"), [row[1:] for row in SOURCES], ids=[row[0] for row in SOURCES]
)
async def test_it_shows_the_source_of_the_credentials_and_no_secret(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    client_options: dict[str, Any],
    options: dict[str, Any],
    environ: dict[str, str],
    source: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    async with Client(region=REGION, endpoint_url=emulator.url, **client_options) as client:
        explanation = client.explain(NOVA, "Hi", **options)
    assert explanation.auth.startswith(source)
    scheme = "Bearer" if source.startswith("bearer") else "AWS4-HMAC-SHA256"
    assert explanation.headers["Authorization"].split()[0] == scheme
    for shown in (repr(explanation), str(explanation), msgspec.json.encode(explanation).decode()):
        assert SECRET not in shown
        assert SECRET[:8] not in shown
    assert emulator.requests == []


ROUTES: list[tuple[str, dict[str, Any], str, str, str]] = [
    (NOVA, {}, "nova", "converse", "nova uses Converse"),
    (CLAUDE, {}, "claude", "invoke", "claude without tools uses its native format"),
    (CLAUDE, {"tools": [TOOL]}, "claude", "converse", "calls with tools use Converse"),
    (CLAUDE, {"use_converse": True}, "claude", "converse", "use_converse=True"),
    (CLAUDE, {"use_converse": False, "tools": [TOOL]}, "claude", "invoke", "use_converse=False"),
    (GPT_OSS, {}, "gpt-oss", "invoke", "gpt-oss without tools uses its native format"),
    (LLAMA, {}, "llama3", "invoke", "llama3 without tools uses its native format"),
    (LLAMA, {"stop_sequences": ["x"]}, "llama3", "converse", "stop_sequences"),
    ("cohere.command-r-plus-v1:0", {}, "command-r", "converse", "command-r uses Converse"),
    (CLAUDE, {"response_field_paths": ["/stop_sequence"]}, "claude", "converse", "only Converse supports"),
]


@pytest.mark.parametrize(("model", "options", "family", "route", "reason"), ROUTES)
async def test_it_shows_the_route_its_reason_and_the_request_of_stream(
    emulator: Emulator, client: Client, model: str, options: dict[str, Any], family: str, route: str, reason: str
) -> None:
    explanation = client.explain(model, "Hi", max_tokens=100, **options)
    assert emulator.requests == []
    assert (explanation.model, explanation.family, explanation.route) == (model, family, route)
    assert reason in explanation.reason
    await client.stream(model, "Hi", max_tokens=100, **options).response()
    (sent,) = emulator.requests
    assert explanation.body == sent.json
    assert explanation.url == emulator.url + sent.target
    assert explanation.method == sent.method
    for name, value in explanation.headers.items():
        if name != "Authorization":
            assert sent.headers[name] == value
    assert sent.headers["Authorization"].startswith(explanation.headers["Authorization"].split()[0])


async def test_it_shows_the_source_of_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Client(api_key=API_KEY) as client:
        explanation = client.explain(NOVA, "Hi", region="eu-west-1")
        assert (explanation.region, explanation.endpoint_source) == ("eu-west-1", "region")
        assert explanation.url == (
            "https://bedrock-runtime.eu-west-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse-stream"
        )
        assert client.explain(NOVA, "Hi").region == "us-east-1"
        monkeypatch.setenv("AWS_REGION", "ap-south-1")
        assert client.explain(NOVA, "Hi").region == "ap-south-1"
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://bedrock.example.com/base")
        explanation = client.explain(NOVA, "Hi")
        assert "AWS_ENDPOINT_URL_BEDROCK_RUNTIME" in explanation.endpoint_source
        assert explanation.url.startswith("https://bedrock.example.com/base/model/")
    async with Client(endpoint_url="https://other.example.com", api_key=API_KEY) as client:
        explanation = client.explain(NOVA, "Hi")
        assert "endpoint_url" in explanation.endpoint_source
        assert explanation.url.startswith("https://other.example.com/model/")


async def test_attachments_are_in_the_body_as_they_are_sent(client: Client) -> None:
    image = Image(b"\x89PNG\r\n\x1a\n" + bytes(300_000))
    body = client.explain(NOVA, Message.user("Look", image)).body
    data = body["messages"][0]["content"][1]["image"]["source"]["bytes"]
    assert msgspec.convert(data, bytes) == image.data


async def test_explain_refuses_the_same_arguments_as_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Client(region=REGION) as client:
        with pytest.raises(errors.MissingCredentials):
            client.explain(NOVA, "Hi")
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", API_KEY)
        for arguments, sentence in (
            ({"max_token": 5}, "did you mean max_tokens?"),
            ({"access_key_id": "AKID"}, "half of a key pair is missing"),
            ({"session_token": "t"}, "is set without access_key_id and secret_access_key"),
            ({"use_converse": False}, "has no native format in this library"),
        ):
            options: dict[str, Any] = arguments
            with pytest.raises(errors.ConfigurationError, match=sentence.replace("?", r"\?")):
                client.explain(NOVA, "Hi", **options)


# --------------------------------------------------------------------------------------------------------- count_tokens


async def test_tokens_are_counted_by_the_service(emulator: Emulator, client: Client) -> None:
    count = await client.count_tokens(CLAUDE, "How many are these?", system="Count.", tools=[TOOL], max_tokens=5)
    (sent,) = emulator.requests
    assert (sent.operation, sent.model) == ("CountTokens", CLAUDE)
    assert sent.headers["Accept"] == "application/json"
    assert sent.json == {
        "input": {
            "converse": {
                "messages": [{"role": "user", "content": [{"text": "How many are these?"}]}],
                "system": [{"text": "Count."}],
                "toolConfig": {
                    "tools": [
                        {
                            "toolSpec": {
                                "name": "look",
                                "description": "Looks.",
                                "inputSchema": {"json": {"type": "object", "properties": {}}},
                            }
                        }
                    ]
                },
            }
        }
    }
    response = await client.generate(CLAUDE, "How many are these?", system="Count.", tools=[TOOL], max_tokens=5)
    assert response.usage is not None
    assert response.usage.input_tokens == count
    emulator.script(metadata({"inputTokens": 7}))
    assert await client.count_tokens(CLAUDE, "Hi") == 7


async def test_reasoning_and_history_are_counted(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Looking."), tool_call("look", {}, id="call-1"))
    first = await client.generate(CLAUDE, "Hi", tools=[TOOL])
    result = {"role": "user", "content": [{"toolResult": {"toolUseId": "call-1", "content": [{"text": "there"}]}}]}
    assert await client.count_tokens(CLAUDE, [{"role": "user", "content": "Hi"}, first.message, result], tools=[TOOL])
    await client.count_tokens(CLAUDE, "Hi", reasoning=2000, max_tokens=4000)
    sent = emulator.requests[-1].json["input"]["converse"]
    assert sent["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2000}}


PROFILES = [
    f"bedrock:us.{CLAUDE}",
    f"global.{CLAUDE}",
    f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.{CLAUDE}",
    f"arn:aws:bedrock:us-east-1::foundation-model/{CLAUDE}",
]


@pytest.mark.parametrize("model", PROFILES, ids=["us", "global", "profile ARN", "model ARN"])
async def test_tokens_are_counted_by_the_model_of_a_profile(emulator: Emulator, client: Client, model: str) -> None:
    assert await client.count_tokens(model, "Hi") > 0
    assert [request.model for request in emulator.requests] == [CLAUDE]


async def test_credentials_and_region_of_the_call_are_used_for_counting() -> None:
    keys = {"access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY, "region": "eu-west-1"}
    async with Emulator(region="eu-west-1") as emulator, Client(endpoint_url=emulator.url, api_key="wrong") as client:
        assert await client.count_tokens(CLAUDE, "Hi", api_key=API_KEY)
        assert await client.count_tokens(CLAUDE, "Hi", **keys)  # type: ignore[arg-type]
        assert await client.count_tokens(CLAUDE, "Hi", provider_options=keys)
    assert [request.auth for request in emulator.requests] == ["bearer", "sigv4", "sigv4"]
    assert emulator.requests[-1].region == "eu-west-1"


@pytest.mark.parametrize("model", [NOVA, GPT_OSS, LLAMA, "cohere.command-r-plus-v1:0"])
async def test_models_that_cannot_count_tokens_raise(client: Client, model: str) -> None:
    with pytest.raises(errors.ValidationFailed, match="doesn't support counting tokens") as caught:
        await client.count_tokens(model, "Hi")
    assert (caught.value.status, caught.value.region) == (400, REGION)
    assert caught.value.request_id


async def test_a_response_without_a_valid_count_raises(emulator: Emulator, client: Client) -> None:
    for body in (b"{}", b'{"inputTokens":"7"}', b'{"inputTokens":true}', b"[]", b"{"):
        emulator.script(content_type("application/json", body))
        with pytest.raises(errors.InvalidFrame):
            await client.count_tokens(CLAUDE, "Hi")


# ------------------------------------------------------------------------------------------------------------ raw calls

BODIES: dict[str, dict[str, Any]] = {
    CLAUDE: {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hi"}],
    },
    GPT_OSS: {"messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 100},
    LLAMA: {"prompt": "Hi", "max_gen_len": 100},
}
FAMILIES = pytest.mark.parametrize("model", BODIES, ids=["Claude", "gpt-oss", "Llama"])


def streamed_text(model: str, documents: list[dict[str, Any]]) -> str:
    """Return the text in the documents of a family's stream."""
    if model == CLAUDE:
        return "".join(item["delta"].get("text", "") for item in documents if item["type"] == "content_block_delta")
    if model == GPT_OSS:
        return "".join(choice["delta"].get("content") or "" for item in documents for choice in item["choices"])
    return "".join(item["generation"] or "" for item in documents)


def document_text(model: str, document: dict[str, Any]) -> Any:
    """Return the text in a family's complete response."""
    if model == CLAUDE:
        return document["content"][0]["text"]
    return document["choices"][0]["message"]["content"] if model == GPT_OSS else document["generation"]


@FAMILIES
async def test_a_native_body_returns_native_documents(emulator: Emulator, client: Client, model: str) -> None:
    emulator.script(say("Hello there"))
    emulator.script(say("Hello there"))
    async with client.invoke_stream(f"bedrock:{model}", BODIES[model]) as stream:
        documents = [item async for item in stream]
    document = await client.invoke(model, BODIES[model])
    assert all(type(item) is dict for item in documents)
    assert not any("p" in item or "bytes" in item for item in documents)
    assert "amazon-bedrock-invocationMetrics" in documents[-1]
    assert streamed_text(model, documents) == document_text(model, document) == "Hello there"
    assert (stream.route, stream.model, stream.partial) == ("invoke", model, None)
    assert stream.request_id
    streamed, invoked = emulator.requests
    assert streamed.json == invoked.json == BODIES[model]
    assert [request.operation for request in emulator.requests] == [
        "InvokeModelWithResponseStream",
        "InvokeModel",
    ]
    assert streamed.headers["Accept"] == "application/vnd.amazon.eventstream"
    assert streamed.headers["X-Amzn-Bedrock-Accept"] == invoked.headers["Accept"] == "application/json"


async def test_documents_are_unchanged_by_any_split_of_the_bytes(emulator: Emulator, client: Client) -> None:
    documents: list[dict[str, Any]] = [{"type": "a", "p": "not padding"}, {"type": "b", "deep": [1, {"ü": None}]}, {}]
    emulator.script(rechunk(7), *(event("chunk", item) for item in documents), cut())
    async with client.invoke_stream(LLAMA, BODIES[LLAMA]) as stream:
        assert await collect(stream) == documents


async def test_a_raw_stream_ends_only_with_a_properly_ended_body(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["Hel", "lo"]), cut())
    assert streamed_text(LLAMA, await collect(client.invoke_stream(LLAMA, BODIES[LLAMA]))) == "Hello"
    for broken in (cut(torn=True), cut(inside=9), flip_bit(200)):
        emulator.script(say(["Hel", "lo"]), broken, say(["!"]))
        received: list[dict[str, Any]] = []
        stream = client.invoke_stream(LLAMA, BODIES[LLAMA])
        with pytest.raises((errors.StreamInterrupted, errors.InvalidFrame)) as caught:
            await collect(stream, received)
        assert streamed_text(LLAMA, received) == "Hello"
        assert (caught.value.model, caught.value.request_id) == (LLAMA, stream.request_id)
        assert caught.value.events_received == len(received)
        with pytest.raises(type(caught.value)):
            await anext(stream)


async def test_a_document_that_is_truncated_or_not_an_object_raises(emulator: Emulator, client: Client) -> None:
    emulator.script(say("Hello"), cut())
    with pytest.raises(errors.StreamInterrupted):
        await client.invoke(LLAMA, BODIES[LLAMA])
    for body in (b"[1]", b"{", b"\xff"):
        emulator.script(content_type("application/json", body))
        with pytest.raises(errors.InvalidFrame) as caught:
            await client.invoke(LLAMA, BODIES[LLAMA])
        assert caught.value.request_id
    emulator.script(content_type("text/html", b"<html>"))
    with pytest.raises(errors.NotAnEventStream):
        await client.invoke(LLAMA, BODIES[LLAMA])


async def test_errors_are_typed_before_and_within_a_raw_stream(emulator: Emulator, client: Client) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Slow down."))
    emulator.script(http_error(429, "ThrottlingException", "Slow down."))
    with pytest.raises(errors.Throttled) as refused_call:
        await client.invoke_stream(LLAMA, BODIES[LLAMA]).open()
    with pytest.raises(errors.Throttled):
        await client.invoke(LLAMA, BODIES[LLAMA])
    assert (refused_call.value.status, refused_call.value.mid_stream) == (429, False)
    for broken in (
        stream_error("throttlingException", "Slow down."),
        unmodeled_error("throttlingException", "Slow down."),
    ):
        emulator.script(say(["Hi"]), broken)
        stream = client.invoke_stream(LLAMA, BODIES[LLAMA])
        assert (await anext(stream))["generation"] == "Hi"
        with pytest.raises(errors.Throttled) as interrupted:
            await anext(stream)
        assert (interrupted.value.mid_stream, interrupted.value.events_received) == (True, 1)
    await emulator.wait_until_idle()


async def test_a_body_that_the_model_rejects_is_a_validation_error(client: Client) -> None:
    with pytest.raises(errors.ValidationFailed, match="extraneous key"):
        await client.invoke(LLAMA, {"prompt": "Hi", "unknown": 1})
    with pytest.raises(errors.ValidationFailed):
        await client.invoke_stream(CLAUDE, {"max_tokens": 5}).open()


async def test_leaving_a_raw_stream_closes_its_connection(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["Hi"]), stall())
    async with client.invoke_stream(LLAMA, BODIES[LLAMA]) as stream:
        async for _ in stream:
            break
    await emulator.wait_until_idle()
    with pytest.raises(errors.StreamInterrupted):
        await anext(stream)


async def test_an_unknown_family_can_be_invoked(client: Client) -> None:
    """Its documents are passed through. A socket server answers, because the emulator does not know the family."""
    document = {"event_type": "text-generation", "text": "Bonjour", "is_finished": False}

    async def answer(connection: Connection) -> None:
        connection.write(STREAM_HEAD)
        connection.chunk(frame("chunk", {"bytes": b64encode(msgspec.json.encode(document)).decode(), "p": "abcdef"}))
        connection.chunk(frame("newEvent", {"a": 1}))
        connection.end()

    async with SocketServer(answer) as server, Client(endpoint_url=server.url, api_key=API_KEY) as raw_client:
        stream = raw_client.invoke_stream("cohere.command-r-plus-v1:0", {"message": "Salut"})
        items: list[Any] = [item async for item in stream]
    assert items[0] == document
    assert server.connections[0].body == b'{"message":"Salut"}'
    assert server.connections[0].request_line == (
        "POST /model/cohere.command-r-plus-v1%3A0/invoke-with-response-stream HTTP/1.1"
    )


# ------------------------------------------------------------------------------------------------- options of raw calls


async def test_the_project_of_a_raw_call_is_a_header(emulator: Emulator, client: Client) -> None:
    await client.invoke(LLAMA, BODIES[LLAMA], project="proj_1")
    async with client.invoke_stream(LLAMA, BODIES[LLAMA], project="proj_1") as documents:
        assert [document async for document in documents]
    assert [request.headers["X-Amzn-Bedrock-ProjectIdentifier"] for request in emulator.requests] == ["proj_1"] * 2


@contextmanager
def refused(sentence: str) -> Iterator[None]:
    with pytest.raises(errors.ConfigurationError, match=sentence):
        yield


BAD_RAW_CALLS: list[tuple[dict[str, Any], str]] = [
    (
        {"max_tokens": 5},
        "max_tokens: has no meaning where the body is the caller's own; known are api_key, region, access_key_id",
    ),
    ({"provider_options": {"use_converse": True}}, "use_converse: has no meaning where the body is the caller's own"),
    ({"provider_options": {"regoin": "x"}}, "regoin: unknown option; did you mean region?"),
    ({"provider_options": 5}, "provider_options: expected a dict, got int"),
    ({"regoin": "eu-west-1"}, "regoin: unknown option; did you mean region?"),
    ({"region": "evil.example.com/"}, "region: expected a region, got 'evil.example.com/'"),
    ({"api_key": " "}, "api_key: is blank"),
    ({"access_key_id": "AKID"}, "secret_access_key: half of a key pair is missing"),
    ({"timeouts": 5}, r"timeouts: expected Timeouts\(...\), got 5"),
    ({"model": ""}, "model: '' is not a model id"),
    ({"body": [1]}, "body: expected a dict, got list"),
    ({"body": "{}"}, "body: expected a dict, got str"),
    ({"body": {"a": {1}, "b": object()}}, "request: the body cannot be encoded as JSON"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_RAW_CALLS, ids=[sentence[:40] for _, sentence in BAD_RAW_CALLS])
async def test_a_bad_argument_of_a_raw_call_is_refused(
    emulator: Emulator, client: Client, arguments: dict[str, Any], sentence: str
) -> None:
    call = {"model": LLAMA, "body": BODIES[LLAMA], **arguments}
    with refused(sentence.replace("?", r"\?")):
        client.invoke_stream(**call)
    with refused(sentence.replace("?", r"\?")):
        await client.invoke(**call)
    assert emulator.requests == []


async def test_region_and_credentials_of_a_raw_call_are_used() -> None:
    pair = {"access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY}
    async with Emulator(region="eu-west-1") as emulator, Client(endpoint_url=emulator.url, api_key="wrong") as client:
        for options in (
            {"api_key": API_KEY},
            {**pair, "region": "eu-west-1"},
            {"provider_options": {**pair, "region": "eu-west-1"}},
        ):
            assert (await client.invoke(LLAMA, BODIES[LLAMA], **options))["generation"]
            assert [item async for item in client.invoke_stream(LLAMA, BODIES[LLAMA], **options)]
        with pytest.raises(errors.AccessDenied):
            await client.invoke(LLAMA, BODIES[LLAMA])
    assert [request.auth for request in emulator.requests] == ["bearer"] * 2 + ["sigv4"] * 4 + [None]
    assert {request.region for request in emulator.requests if request.auth == "sigv4"} == {"eu-west-1"}


async def test_timeouts_of_a_raw_call_are_applied(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["Hi"]), stall())
    with pytest.raises(errors.IdleTimeout):
        async for _ in client.invoke_stream(LLAMA, BODIES[LLAMA], timeouts=Timeouts(idle=0.05)):
            pass
    emulator.script(delay(5), say("Hi"))
    with pytest.raises(errors.FirstEventTimeout):
        await client.invoke(LLAMA, BODIES[LLAMA], timeouts=Timeouts(first_event=0.05))
    await emulator.wait_until_idle()


async def test_a_session_token_is_sent_with_a_raw_call() -> None:
    async with Emulator() as emulator:
        keys = Credentials(KEYS.access_key_id, KEYS.secret_access_key, "session-token")
        async with Client(region=REGION, endpoint_url=emulator.url, credentials=keys) as client:
            with pytest.raises(errors.ServiceError):  # the emulator's credentials have no session token
                await client.invoke(LLAMA, BODIES[LLAMA])
        assert emulator.requests[0].headers["X-Amz-Security-Token"] == "session-token"
