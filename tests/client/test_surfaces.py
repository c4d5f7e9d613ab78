"""Calls by vendors' APIs on both endpoints: what is sent, what comes back, and paths that are learned."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bedrock_stream import Client, Message, RetryPolicy, Stream, Timeouts, errors, events, generate, stream
from bedrock_stream.observing import Attempt, Ending, Subject
from bedrock_stream.testing import (
    API_KEY,
    REGION,
    Emulator,
    cut,
    http_error,
    stream_error,
    text,
    tool_call,
    wrong_route,
)
from tests.support.clients import ONCE, client_of, collect
from tests.support.socket_server import Answer, Connection, SocketServer

CLAUDE, PROFILE = "anthropic.claude-haiku-4-5", "us.anthropic.claude-haiku-4-5-20251001-v1:0"
GPT_OSS, GPT, GPT_PROFILE = "openai.gpt-oss-120b", "openai.gpt-6-sol", "global.openai.gpt-6-sol"
SURFACES: list[tuple[str, str, Any, Any]] = [
    (CLAUDE, "/anthropic/v1/messages", "messages", "mantle"),
    (PROFILE, "/anthropic/v1/messages", "messages", "runtime"),
    (GPT_OSS, "/v1/chat/completions", "chat", "mantle"),
    ("openai.gpt-oss-20b-1:0", "/openai/v1/chat/completions", "chat", "runtime"),
    (GPT, "/openai/v1/responses", "responses", "mantle"),
    (GPT_PROFILE, "/openai/v1/responses", "responses", "runtime"),
]
SERVICES = {"mantle": "bedrock-mantle", "runtime": "bedrock"}
SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("model", "path", "api", "endpoint"), SURFACES)
async def test_each_api_is_called_at_its_path_with_the_name_of_its_service(
    model: str, path: str, api: Any, endpoint: Any, signed: bool
) -> None:
    keys: dict[str, Any] = {} if signed else {"credentials": None, "api_key": API_KEY}
    async with (
        Emulator(script=[[text("Hello")], [text("Hello")]]) as emulator,
        client_of(emulator.url, **keys) as client,
    ):
        async with client.stream(model, "hi", api=api, endpoint=endpoint) as answer:
            assert "".join([piece async for piece in answer.text_stream]) == "Hello"
            response = await answer.response()
        whole = await client.generate(model, "hi", api=api, endpoint=endpoint)
    assert (answer.route, response.route, whole.route, whole.text) == (api, api, api, "Hello")
    assert (response.stop_reason, response.usage) == (whole.stop_reason, whole.usage)
    assert whole.request_id
    for request, streamed in zip(emulator.requests, (True, False), strict=True):
        assert request.target == path
        authorization = request.headers["Authorization"]
        if signed:
            assert f"/{REGION}/{SERVICES[endpoint]}/aws4_request" in authorization
        else:
            assert authorization == f"Bearer {API_KEY}"
            assert "X-Api-Key" not in request.headers
        body = json.loads(request.body) if isinstance(request.body, bytes) else request.body
        assert (body["model"], body.get("stream", False)) == (model, streamed)


async def test_the_process_wide_client_takes_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Emulator(script=[[text("Hello")], [text("Hello")]]) as emulator:
        for name, value in emulator.environ.items():
            monkeypatch.setenv(name, value)
        assert (await generate(GPT_OSS, "hi", api="chat", endpoint="mantle")).text == "Hello"
        async with stream(CLAUDE, "hi", provider_options={"api": "messages", "endpoint": "mantle"}) as answer:
            assert (await answer.response()).text == "Hello"
    assert [request.target for request in emulator.requests] == ["/v1/chat/completions", "/anthropic/v1/messages"]


@pytest.mark.parametrize(("model", "api"), [(CLAUDE, "messages"), (GPT_OSS, "chat"), (GPT, "responses")])
async def test_failures_are_those_of_the_other_apis(model: str, api: Any) -> None:
    script: list[list[Any]] = [
        [http_error(429, "ThrottlingException", "Slow down")],
        [stream_error("throttlingException", "Slow down")],
        [text("Hello")],
        [text(["Hel", "lo"]), stream_error("internalServerException", "Oh no")],
        [text(["Hel", "lo"]), cut()],
    ]
    async with Emulator(script=script) as emulator, client_of(emulator.url) as client:
        answer = client.stream(model, "hi", api=api, endpoint="mantle")
        assert (await answer.response()).text == "Hello"
        assert [type(attempt.error) for attempt in answer.attempts] == [errors.Throttled, errors.Throttled, type(None)]
        for kind in (errors.InternalServerError, errors.StreamInterrupted):
            with pytest.raises(kind) as caught:
                await client.stream(model, "hi", api=api, endpoint="mantle").response()
            assert caught.value.partial is not None
            assert caught.value.partial.text == "Hello"
    assert len(emulator.requests) == 5


def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"Rain in {city}."


@pytest.mark.parametrize(("model", "api"), [(CLAUDE, "messages"), (GPT_OSS, "chat"), (GPT, "responses")])
async def test_tools_run_and_their_history_goes_to_another_api(model: str, api: Any) -> None:
    script: list[list[Any]] = [[tool_call("get_weather", {"city": "Oslo"})], [text("It rains.")], [text("Still.")]]
    async with Emulator(script=script) as emulator, client_of(emulator.url) as client:
        async with client.run_tools(model, "Weather?", tools=[get_weather], api=api, endpoint="mantle") as run:
            assert "".join([piece async for piece in run.text_stream]) == "It rains."
        history = [*run.messages, Message.user("And now?")]
        answer = await client.generate(PROFILE, history, tools=[get_weather])
    assert (answer.route, answer.text) == ("converse", "Still.")
    assert len({request.target for request in emulator.requests}) == 2


async def test_a_batch_takes_the_same_words() -> None:
    async with Emulator() as emulator, client_of(emulator.url) as client:
        async with client.map(GPT_OSS, ["a", "b"], api="chat", endpoint="mantle", max_tokens=20) as rows:
            routes = [row.response.route async for row in rows if row.response is not None]
        assert routes == ["chat", "chat"]


# ------------------------------------------------------------------------------------------------------ learned paths


class Watcher:
    """An observer of all steps of calls."""

    def __init__(self) -> None:
        self.failures: list[Attempt] = []
        self.endings: list[Ending] = []

    def watch(self, subject: Subject) -> Watcher:
        return self

    def began(self) -> None: ...

    def first(self, attempt: Attempt) -> None: ...

    def came(self, events: Any) -> None: ...

    def failed(self, attempt: Attempt) -> None:
        self.failures.append(attempt)

    def ended(self, ending: Ending) -> None:
        self.endings.append(ending)


CHUNKS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
ROUTE = "The model isn't supported on this route."
GLM = "zai.glm-9"


def served_at(path: str, status: int = 400, words: str = ROUTE) -> Answer:
    """Return a server that has Chat Completions at one path, and refuses the model at any other."""

    async def answer(connection: Connection) -> None:
        if connection.request_line == f"POST {path} HTTP/1.1":
            connection.write(SSE_HEAD)
            connection.chunk(CHUNKS)
            connection.end()
        else:
            body = json.dumps({"error": {"message": words, "type": "invalid_request_error"}}).encode()
            head = f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            connection.write(head.encode() + body)

    return answer


async def ask(client: Client, model: str = GLM) -> Stream[Any]:
    answer = client.stream(model, "hi", api="chat", endpoint="mantle")
    assert (await answer.response()).text == "Hello"
    return answer


def paths(server: SocketServer) -> list[str]:
    return [connection.request_line.split()[1].removesuffix("/chat/completions") for connection in server.connections]


@pytest.mark.parametrize(("status", "words"), [(400, ROUTE), (401, "The model is not enabled for your account.")])
async def test_a_path_that_does_not_serve_the_model_is_changed_once_and_learned(status: int, words: str) -> None:
    watcher = Watcher()
    answer = served_at("/openai/v1/chat/completions", status, words)
    async with SocketServer(answer) as server, client_of(server.url, retry=ONCE, observers=[watcher]) as client:
        first = await ask(client)
        await ask(client)
        assert "/openai/v1/" in client.explain(GLM, "hi", api="chat", endpoint="mantle").url
        assert "/openai/v1/" not in client.explain("zai.glm-8", "hi", api="chat", endpoint="mantle").url
        assert "/openai/v1/" not in client.explain(GLM, "hi", api="responses", endpoint="mantle").url
        stats = client.stats()
        assert paths(server) == ["/v1", "/openai/v1", "/openai/v1"]
    assert (len(first.attempts), watcher.failures, len(watcher.endings)) == (1, [], 2)
    assert (stats.attempts, stats.retries) == (2, 0)


async def test_what_was_learned_can_be_unlearned() -> None:
    async with SocketServer(served_at("/openai/v1/chat/completions")) as server, client_of(server.url) as client:
        await ask(client)
        server.answer = served_at("/v1/chat/completions")
        await ask(client)
        await ask(client)
        assert paths(server) == ["/v1", "/openai/v1", "/openai/v1", "/v1", "/v1"]


async def test_a_model_that_neither_path_serves_is_refused_by_the_service() -> None:
    async with SocketServer(served_at("/nowhere")) as server, client_of(server.url) as client:
        for _ in range(2):  # nothing was learned
            with pytest.raises(errors.ValidationFailed, match="isn't supported on this route"):
                await ask(client)
        assert paths(server) == ["/v1", "/openai/v1"] * 2


@pytest.mark.parametrize(
    ("model", "api", "endpoint", "refusal"),
    [
        (CLAUDE, "messages", "mantle", wrong_route(CLAUDE)),  # one path alone
        (GPT_PROFILE, "chat", "runtime", wrong_route(GPT_PROFILE)),
        (GPT_OSS, "chat", "mantle", http_error(400, "validation_error", "no such thing")),
        (GPT_OSS, "chat", "mantle", http_error(403, "permission_error", "is not enabled")),
    ],
)
async def test_no_other_refusal_changes_the_path(model: str, api: Any, endpoint: Any, refusal: Any) -> None:
    async with Emulator(script=[[refusal], [text("Hello")]]) as emulator, client_of(emulator.url, retry=ONCE) as client:
        with pytest.raises(errors.ServiceError):
            await client.generate(model, "hi", api=api, endpoint=endpoint)
    assert len(emulator.requests) == 1


# ------------------------------------------------------------------------------------------------------------- counting


async def test_mantle_counts_the_tokens_of_claude() -> None:
    async with Emulator() as emulator, client_of(emulator.url) as client:
        few = await client.count_tokens(CLAUDE, "Hello", endpoint="mantle", system="Be brief.", max_tokens=5)
        many = await client.count_tokens(CLAUDE, "Hello there. " * 50, endpoint="mantle", system="Be brief.")
    assert 0 < few < many
    request = emulator.requests[0]
    assert request.target == "/anthropic/v1/messages/count_tokens"
    assert f"/{REGION}/bedrock-mantle/aws4_request" in request.headers["Authorization"]
    body = json.loads(request.body) if isinstance(request.body, bytes) else request.body
    assert body.keys() == {"model", "messages", "system"}


@pytest.mark.parametrize("body", [b"{}", b'{"inputTokens":5}', b'{"input_tokens":"5"}', b"[]"])
async def test_a_count_without_a_number_is_an_invalid_answer(body: bytes) -> None:
    async def answer(connection: Connection) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        connection.write(head + body)

    async with SocketServer(answer) as server, client_of(server.url) as client:
        with pytest.raises(errors.InvalidFrame):
            await client.count_tokens(CLAUDE, "Hello", endpoint="mantle")


async def test_a_refused_count_names_the_endpoint_that_counts() -> None:
    refusal = http_error(400, "ValidationException", "The provided model doesn't support counting tokens.")
    async with Emulator(script=[[refusal], [refusal]]) as emulator, client_of(emulator.url) as client:
        with pytest.raises(errors.ValidationFailed, match='use endpoint="mantle"') as caught:
            await client.count_tokens(PROFILE, "Hello")
        assert caught.value.option == "model"
        with pytest.raises(errors.ValidationFailed) as caught:
            await client.count_tokens("amazon.nova-lite-v1:0", "Hello")
        assert caught.value.option is None


@pytest.mark.parametrize(
    ("model", "hinted"),
    [("zai.glm-9", True), ("no.such-model", True), ("us.zai.glm-9", False), ("amazon.nova-lite-v9:0", False)],
)
async def test_an_unknown_id_may_be_one_of_mantle(model: str, hinted: bool) -> None:
    refusal = http_error(400, "ValidationException", "The provided model identifier is invalid.")
    async with Emulator(script=[[refusal]]) as emulator, client_of(emulator.url) as client:
        with pytest.raises(errors.ValidationFailed) as caught:
            await client.generate(model, "Hello", use_converse=True)
    assert ('endpoint="mantle"' in str(caught.value)) is hinted


# -------------------------------------------------------------------------------------------------------------- waiting


async def test_keep_alives_are_bytes_and_no_content() -> None:
    """Comments and pings hold off the idle limit, and not the limit for the first content."""

    async def answer(connection: Connection) -> None:
        connection.write(SSE_HEAD)
        connection.chunk(b'data: {"type":"message_start","message":{"role":"assistant"}}\n\n')
        while not connection.closed.is_set():
            connection.chunk(b': hold\n\nevent: ping\ndata: {"type":"ping"}\n\n')
            await asyncio.sleep(0.02)

    timeouts = Timeouts(first_event=None, first_content=0.4, idle=0.3)
    async with SocketServer(answer) as server, client_of(server.url, timeouts=timeouts, retry=ONCE) as client:
        with pytest.raises(errors.FirstContentTimeout):
            await client.stream(CLAUDE, "hi", api="messages", endpoint="mantle").response()
        await server.deserted()


async def test_a_stream_of_another_type_is_not_read() -> None:
    async def answer(connection: Connection) -> None:
        connection.begin()  # frames
        connection.end()

    async with SocketServer(answer) as server, client_of(server.url, retry=RetryPolicy(max_attempts=1)) as client:
        with pytest.raises(errors.NotAnEventStream):
            await client.stream(CLAUDE, "hi", api="messages", endpoint="mantle").response()


async def test_an_observer_of_frames_gets_none_from_server_sent_events() -> None:
    class Frames(Watcher):
        seen = 0

        def watch(self, subject: Subject) -> Frames:
            return self

        def frames(self, frames: Any) -> None:
            self.seen += len(frames)

        def received(self, data: bytes) -> None:
            self.bytes = data

    watcher = Frames()
    async with Emulator(script=[[text("Hello")]]) as emulator, client_of(emulator.url, observers=[watcher]) as client:
        received = await collect(client.stream(CLAUDE, "hi", api="messages", endpoint="mantle"))
    assert "".join(event.text for event in received if isinstance(event, events.TextDelta)) == "Hello"
    assert (watcher.seen, type(watcher.bytes)) == (0, bytes)
