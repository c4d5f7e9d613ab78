"""CountTokens, and what the prompt cache does to the counts."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from bedrock_stream.testing import Emulator, Step, http_error, metadata, text
from tests.support.emulator_client import CLAUDE, LLAMA, NATIVE, STREAM, post

CONVERSE: dict[str, Any] = {
    "messages": [{"role": "user", "content": [{"text": "Count this, please"}]}],
    "system": [{"text": "Be brief"}],
    "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]},
}


def packed(body: Any) -> dict[str, Any]:
    return {"input": {"invokeModel": {"body": b64encode(json.dumps(body).encode()).decode()}}}


async def counted(emulator: Emulator, body: Any) -> int:
    answer = await post(emulator, body, "count-tokens")
    assert answer.status == 200, answer.body
    document = json.loads(answer.body)
    assert list(document) == ["inputTokens"]
    return int(document["inputTokens"])


async def usage(emulator: Emulator, body: Any, operation: str = "converse") -> dict[str, Any]:
    answer = await post(emulator, body, operation)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)["usage"]
    return found


async def test_a_count_is_what_the_answer_reports() -> None:
    async with Emulator() as emulator:
        expected = (await usage(emulator, CONVERSE))["inputTokens"]
        assert await counted(emulator, {"input": {"converse": CONVERSE}}) == expected > 0
        expected = (await usage(emulator, NATIVE[CLAUDE], "invoke"))["input_tokens"]
        assert await counted(emulator, packed(NATIVE[CLAUDE])) == expected > 0
        assert emulator.requests[-1].operation == "CountTokens"


async def test_a_script_may_say_the_count_or_an_error() -> None:
    script: list[Step] = [metadata({"inputTokens": 7}), http_error(429, "ThrottlingException", "slow"), text("unheard")]
    async with Emulator(script=script) as emulator:
        assert await counted(emulator, packed(NATIVE[CLAUDE])) == 7
        assert (await post(emulator, packed(NATIVE[CLAUDE]), "count-tokens")).error[0] == 429
        assert await counted(emulator, packed(NATIVE[CLAUDE])) == 2


@pytest.mark.parametrize(
    ("model", "body", "code", "words"),
    [
        ("us." + CLAUDE, {"input": {"converse": CONVERSE}}, "ValidationException", "support counting tokens"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/" + CLAUDE,
            {"input": {"converse": CONVERSE}},
            "ValidationException",
            "support counting tokens",
        ),
        (LLAMA, {"input": {"converse": CONVERSE}}, "ValidationException", "support counting tokens"),
        (CLAUDE, {"input": {}}, "ValidationException", "exactly one"),
        (CLAUDE, {}, "ValidationException", "exactly one"),
        (
            CLAUDE,
            {"input": {"converse": {**CONVERSE, "inferenceConfig": {}}}},
            "ValidationException",
            "extraneous key [inferenceConfig]",
        ),
        (CLAUDE, {"input": {"converse": {"messages": []}}}, "ValidationException", "must start with a user message"),
        (CLAUDE, packed({}), "ValidationException", "anthropic_version: Field required"),
        (CLAUDE, {"input": {"invokeModel": {"body": "%"}}}, "SerializationException", "unexpected type"),
    ],
)
async def test_what_is_not_counted(model: str, body: Any, code: str, words: str) -> None:
    async with Emulator() as emulator:
        status, found, document = (await post(emulator, body, "count-tokens", model)).error
        assert (status, found) == (400, code)
        assert words in document["message"]


# --------------------------------------------------------------------------------------------------------------- cache


def point(ttl: str | None = None) -> dict[str, Any]:
    return {"cachePoint": {"type": "default", **({"ttl": ttl} if ttl else {})}}


def turn(*content: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(content)}


async def test_a_prefix_is_written_once_and_then_read() -> None:
    body = {"system": [{"text": "one two three"}, point()], "messages": [turn({"text": "four"})]}
    async with Emulator() as emulator:
        plain = await usage(emulator, {"system": body["system"][:1], "messages": body["messages"]})
        first, second = await usage(emulator, body), await usage(emulator, body)
        other = await usage(emulator, {**body, "messages": [turn({"text": "five six"})]})
    assert "cacheReadInputTokens" not in plain
    assert (first["cacheReadInputTokens"], first["cacheWriteInputTokens"]) == (0, 3)
    assert first["cacheDetails"] == [{"ttl": "5m", "inputTokens": 3}]
    assert (second["cacheReadInputTokens"], second["cacheWriteInputTokens"]) == (3, 0)
    assert "cacheDetails" not in second
    assert other["cacheReadInputTokens"] == 3
    for found in (first, second):
        cached = found["cacheReadInputTokens"] + found["cacheWriteInputTokens"]
        assert found["inputTokens"] + cached == plain["inputTokens"]
        assert found["totalTokens"] == plain["totalTokens"]


async def test_a_point_that_moves_on_reads_what_was_written_before_it() -> None:
    first = [turn({"text": "one"}, point("1h"))]
    second = [turn({"text": "one"}), turn({"text": "two"}, role="assistant"), turn({"text": "three"}, point())]
    tools = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}, point("1h")]}
    async with Emulator() as emulator:
        assert (await usage(emulator, {"messages": first}))["cacheDetails"] == [{"ttl": "1h", "inputTokens": 2}]
        found = await usage(emulator, {"messages": second})
        assert (found["cacheReadInputTokens"], found["cacheWriteInputTokens"]) == (2, 5)
        mixed = await usage(emulator, {"messages": second, "toolConfig": tools})
        assert mixed["cacheReadInputTokens"] == 0
        assert [entry["ttl"] for entry in mixed["cacheDetails"]] == ["1h", "5m"]
        again = await usage(emulator, {"messages": second, "toolConfig": tools})
        assert again["cacheReadInputTokens"] == mixed["cacheWriteInputTokens"]


async def test_counting_and_errors_leave_the_cache_alone() -> None:
    body = {"messages": [turn({"text": "one"}, point())]}
    async with Emulator(script=[None, http_error(503, "ServiceUnavailableException")]) as emulator:
        whole = await counted(emulator, {"input": {"converse": body}})
        assert (await post(emulator, body)).status == 503
        found = await usage(emulator, body)
        assert found["cacheWriteInputTokens"] == whole
        assert await counted(emulator, {"input": {"converse": body}}) == whole


async def test_claude_reports_its_cache_natively() -> None:
    marked = {"type": "text", "text": "one two", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    body = {**NATIVE[CLAUDE], "system": [marked]}
    async with Emulator() as emulator:
        first = await post(emulator, body, "invoke")
        second = await post(emulator, body, STREAM)
    found = json.loads(first.body)["usage"]
    assert (found["cache_creation_input_tokens"], found["cache_read_input_tokens"]) == (2, 0)
    assert found["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2}
    assert first.headers["x-amzn-bedrock-cache-write-input-token-count"] == "2"
    assert first.headers["x-amzn-bedrock-cache-read-input-token-count"] == "0"
    said = second.documents
    assert said[0]["message"]["usage"]["cache_read_input_tokens"] == 2
    counts = said[-1]["amazon-bedrock-invocationMetrics"]
    assert (counts["cacheReadInputTokenCount"], counts["cacheWriteInputTokenCount"]) == (2, 0)
