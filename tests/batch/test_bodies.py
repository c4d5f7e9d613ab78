"""Rows with a body of the caller's own: streamed or not, the answer is the same JSON of the model."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream import Ask, Client, Quota, errors
from bedrock_stream.testing import Emulator, Step, cut, reasoning, start, stop, text, tool_call
from tests.conftest import KEYS, QUICK_RETRIES
from tests.support.clients import connected
from tests.support.counting_server import rows_of
from tests.support.socket_server import START, Connection, frame

CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"
NOVA = "amazon.nova-lite-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
LLAMA = "meta.llama3-1-8b-instruct-v1:0"


def claude(most: int = 2000) -> dict[str, Any]:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    return {"anthropic_version": "bedrock-2023-05-31", "max_tokens": most, "messages": messages}


def converse(most: int | None = 2000) -> dict[str, Any]:
    config = {} if most is None else {"inferenceConfig": {"maxTokens": most}}
    return {"messages": [{"role": "user", "content": [{"text": "Hello"}]}], **config}


def openai(most: int = 2000) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hello"}], "max_completion_tokens": most}


def llama(most: int = 2000) -> dict[str, Any]:
    return {"prompt": "<|begin_of_text|>Hello", "max_gen_len": most}


CALL = tool_call("weather", {"city": "Bern", "days": [1, 2]}, id="tooluse_1")
THOUGHT = reasoning("I think.", signature="c2ln")
CASES: dict[str, tuple[str, dict[str, Any], tuple[Step, ...]]] = {
    "claude": (CLAUDE, claude(), (text(["Hel", "lo"]), stop("end_turn"))),
    "claude, a tool": (CLAUDE, claude(), (THOUGHT, text("So:"), CALL, stop("tool_use"))),
    "openai": (GPT, openai(), (text(["Hel", "lo"]), stop("end_turn"))),
    "openai, a tool": (GPT, openai(), (CALL, stop("tool_use"))),
    "llama": (LLAMA, llama(), (text(["Hel", "lo"]), stop("end_turn"))),
    "converse": (NOVA, converse(), (text(["Hel", "lo"]), stop("end_turn"))),
    "converse, a tool": (NOVA, converse(), (THOUGHT, text("So:"), CALL, stop("tool_use"))),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_streamed_answer_is_the_same_as_a_whole_one(case: str, emulator: Emulator, client: Client) -> None:
    model, body, script = CASES[case]
    ask = Ask(body=body, converse=case.startswith("converse"))
    answers = []
    for streamed in (True, False):
        emulator.script(*script)
        (row,) = await rows_of(client.map(model, [ask], stream=streamed))
        assert row.error is None
        answers.append(row)
    operations = [request.operation for request in emulator.requests]
    assert operations in (["InvokeModelWithResponseStream", "InvokeModel"], ["ConverseStream", "Converse"])
    streamed_answer, whole_answer = (without_ids(row.response) for row in answers)
    assert streamed_answer == whole_answer


def without_ids(answer: Any) -> Any:
    """Return an answer without what differs between two answers, and without Bedrock's additions to a stream."""
    if isinstance(answer, dict):
        left_out = {"id", "created", "latencyMs", "p"}
        return {
            name: without_ids(value)
            for name, value in answer.items()
            if name not in left_out and not name.startswith("amazon-bedrock")
        }
    return [without_ids(item) for item in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize(
    ("model", "body", "operation"),
    [
        (CLAUDE, claude(1024), "InvokeModel"),
        (CLAUDE, claude(1025), "InvokeModelWithResponseStream"),
        (NOVA, converse(1024), "Converse"),
        (NOVA, converse(None), "ConverseStream"),
    ],
)
async def test_long_answers_are_streamed(
    model: str, body: dict[str, Any], operation: str, emulator: Emulator, client: Client
) -> None:
    (row,) = await rows_of(client.map(model, [Ask(body=body, converse=model == NOVA)]))
    assert row.error is None
    assert emulator.requests[0].operation == operation


async def test_a_streamed_answer_that_was_cut_off_is_asked_again(emulator: Emulator) -> None:
    emulator.script(start(), text("Hel"), cut())
    emulator.script(text("Hello"), stop("end_turn"))
    async with Client(endpoint_url=emulator.url, credentials=KEYS, retry=QUICK_RETRIES) as client:
        (row,) = await rows_of(client.map(CLAUDE, [Ask(body=claude())]))
    assert row.error is None
    assert row.response["content"] == [{"type": "text", "text": "Hello"}]
    assert len(emulator.requests) == 2


async def test_a_body_that_ends_before_its_message_is_not_an_answer() -> None:
    async def half(connection: Connection) -> None:
        connection.begin()
        connection.chunk(START + frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hel"}}))
        connection.end()

    async with connected(half, retry=QUICK_RETRIES) as (server, client):
        (row,) = await rows_of(client.map(NOVA, [Ask(body=converse(), converse=True)]))
        assert isinstance(row.error, errors.StreamInterrupted)
        assert row.error.model == NOVA
        assert len(server.connections) == QUICK_RETRIES.max_attempts


async def test_the_usage_of_a_streamed_converse_body_settles_its_quota(emulator: Emulator) -> None:
    quota = Quota(tpm=60_000)
    async with Client(endpoint_url=emulator.url, credentials=KEYS, quotas={"": quota}) as client:
        (row,) = await rows_of(client.map(NOVA, [Ask(body=converse(), converse=True)]))
    assert quota.stats().settled == row.response["usage"]["totalTokens"]
