"""The library's own client on the emulator's newer surfaces: what it makes of faults, and what it records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bedrock_stream import Client, Credentials, RetryPolicy, Stream
from bedrock_stream.errors import (
    AccessDenied,
    BedrockStreamError,
    ConnectionFailed,
    InternalServerError,
    InvalidFrame,
    ModelTimeout,
    NotAnEventStream,
    ServiceError,
    StreamInterrupted,
    Throttled,
)
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    Step,
    comment,
    cut,
    end_block,
    expired_signature,
    flip_bit,
    http_error,
    late_fin,
    line_ends,
    no_done,
    raw_lines,
    read_recording,
    reasoning,
    rechunk,
    record,
    replay,
    reset,
    response_failed,
    slow_body,
    stop,
    stream_error,
    text,
    tool_call,
    typeless_error,
    unknown_operation,
    unmodeled_error,
    wrong_content_type,
    wrong_route,
)
from tests.support.surface_client import CLAUDE, GPT, GPT_OSS

MODELS = {"messages": CLAUDE, "chat": GPT_OSS, "responses": GPT}
every_api = pytest.mark.parametrize("api", list(MODELS))


@pytest.fixture
async def emulator_and_client() -> AsyncIterator[tuple[Emulator, Client]]:
    keys = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    async with (
        Emulator() as emulator,
        Client(region=REGION, endpoint_url=emulator.url, credentials=keys, retry=RetryPolicy(max_attempts=1)) as client,
    ):
        yield emulator, client


def ask(client: Client, api: Any) -> Stream:
    return client.stream(MODELS[api], "Hello", api=api, endpoint="mantle")


HELLO = text(["Hel", "lo"])
HARMLESS: dict[str, list[Step]] = {
    "CRLF": [line_ends("\r\n"), HELLO],
    "CR": [line_ends("\r"), HELLO],
    "comments": [comment(), comment("x", inside=True), HELLO, comment(inside=True)],
    "other fields": [raw_lines("id: 1\nretry: 5\n\nunknown\n"), HELLO],
    "no [DONE]": [HELLO, no_done()],
    "small chunks": [rechunk(3), HELLO],
    "a slow body": [slow_body(0.001), HELLO],
    "a late end": [HELLO, late_fin(0)],
}


@every_api
@pytest.mark.parametrize("steps", HARMLESS.values(), ids=HARMLESS)
async def test_harmless_steps_change_nothing(
    api: str, steps: list[Step], emulator_and_client: tuple[Emulator, Client]
) -> None:
    emulator, client = emulator_and_client
    emulator.script(*steps)
    response = await ask(client, api).response()
    assert (response.text, response.stop_reason) == ("Hello", "end_turn")


FAULTS: dict[str, tuple[list[Step], type[BedrockStreamError]]] = {
    "an error event": ([HELLO, stream_error("throttlingException", "Slow down")], Throttled),
    "an unmodeled error": ([HELLO, unmodeled_error("server_error", "Oh")], InternalServerError),
    "a typeless error": ([HELLO, typeless_error("Oh")], ServiceError),
    "a cut": ([HELLO, cut()], StreamInterrupted),
    "a torn body": ([HELLO, cut(torn=True, inside=9)], StreamInterrupted),
    "a reset": ([HELLO, reset()], StreamInterrupted),
    "broken JSON": ([text("Hello"), raw_lines('data: {"a\n\n')], InvalidFrame),
    "an HTTP error": ([http_error(408, "ModelTimeoutException", "Slow")], ModelTimeout),
    "an error in a word of the vendor": ([http_error(403, "permission_error", "No")], AccessDenied),
    "a login page": ([wrong_content_type()], NotAnEventStream),
    "the error document with HTTP 200": ([unknown_operation()], BedrockStreamError),
    "no response": ([reset(before_headers=True)], ConnectionFailed),
}


@every_api
@pytest.mark.parametrize(("steps", "kind"), FAULTS.values(), ids=FAULTS)
async def test_each_fault_has_its_error(
    api: str, steps: list[Step], kind: type[BedrockStreamError], emulator_and_client: tuple[Emulator, Client]
) -> None:
    emulator, client = emulator_and_client
    emulator.script(*steps)
    with pytest.raises(kind):
        await ask(client, api).response()


@pytest.mark.parametrize("step", [cut(), response_failed("boom")])
async def test_a_failure_behind_the_whole_output_of_responses(
    step: Step, emulator_and_client: tuple[Emulator, Client]
) -> None:
    emulator, client = emulator_and_client
    emulator.script(HELLO, end_block(), step)
    with pytest.raises(BedrockStreamError) as raised:
        await ask(client, "responses").response()
    assert raised.value.partial is not None
    assert raised.value.partial.text == "Hello"


@every_api
async def test_a_clock_that_is_off_is_learned(api: Any, emulator_and_client: tuple[Emulator, Client]) -> None:
    emulator, client = emulator_and_client
    emulator.script(expired_signature(1000))
    stream = client.stream(MODELS[api], "Hello", api=api, endpoint="mantle", retry=RetryPolicy(max_attempts=2))
    with pytest.raises(BedrockStreamError):  # the emulator's own clock is right again
        await stream.response()
    first, second = (request.headers["x-amz-date"] for request in emulator.requests[:2])
    assert second > first


@pytest.mark.parametrize("status", [400, 401])
async def test_a_model_on_the_other_prefix_is_found(status: Any, emulator_and_client: tuple[Emulator, Client]) -> None:
    emulator, client = emulator_and_client
    model = "newmaker.model-1"
    emulator.script(wrong_route(model, status=status))
    for _ in range(2):
        answer = await client.stream(model, "Hello", api="chat", endpoint="mantle").response()
        assert answer.text.startswith("You said")
    # The path that serves it is remembered.
    assert [request.target for request in emulator.requests] == [
        "/v1/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/v1/chat/completions",
    ]


RECORDED: dict[str, list[Step]] = {
    "text": [text(["Grüße", "\n", '"quoted"', "\u2028", "🎈"])],
    "a tool call": [reasoning("Hm."), text("Looking."), tool_call("f", {"city": "Oslo"}, fragments=3)],
    "a token limit": [text("Hal"), stop("max_tokens")],
    "an error event": [text("Hal"), stream_error("modelStreamErrorException", "broke")],
    "a cut": [text("Hal"), cut()],
    "a torn body": [text("Hal"), cut(torn=True, inside=20)],
    "a flipped bit": [text("Hal"), flip_bit(300), text("f", joined=True)],
    "a login page": [wrong_content_type()],
    "CR": [line_ends("\r"), text("Hello")],
    "no response": [reset(before_headers=True)],
}


async def read_all(stream: Stream) -> tuple[list[Any], str | None]:
    """Return all events, and the name of the error that followed them."""
    events = []
    try:
        while True:
            events.append(await anext(stream))
    except StopAsyncIteration:
        return events, None
    except BedrockStreamError as error:
        return events, type(error).__name__


@every_api
@pytest.mark.parametrize("steps", RECORDED.values(), ids=RECORDED)
async def test_a_replay_has_the_same_events_and_error(
    api: str, steps: list[Step], emulator_and_client: tuple[Emulator, Client], tmp_path: Path
) -> None:
    emulator, client = emulator_and_client
    file = tmp_path / "a.jsonl"
    emulator.script(*steps)
    async with record(ask(client, api), file) as stream:
        first = await read_all(stream)
    emulator.script(replay(file))
    async with ask(client, api) as stream:
        again = await read_all(stream)
    assert again == first
    recorded = read_recording(file)
    operation = {"messages": "Messages", "chat": "ChatCompletions", "responses": "Responses"}[api]
    assert (recorded.request["operation"], recorded.request["model"]) == (operation, MODELS[api])
    assert recorded.request["body"]["stream"] is True
