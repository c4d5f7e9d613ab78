"""CountTokens, and the effect of the prompt cache on the counts."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from bedrock_stream.testing import Emulator, Step, http_error, metadata, text
from tests.support.emulator_client import CLAUDE, LLAMA, NATIVE, STREAM, post

SONNET_4 = "anthropic.claude-sonnet-4-20250514-v1:0"
"""A model that caches prompts and counts tokens."""
CONVERSE: dict[str, Any] = {
    "messages": [{"role": "user", "content": [{"text": "Count this, please"}]}],
    "system": [{"text": "Be brief"}],
    "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]},
}


def native(body: Any) -> dict[str, Any]:
    return {"input": {"invokeModel": {"body": b64encode(json.dumps(body).encode()).decode()}}}


async def count_tokens(emulator: Emulator, body: Any) -> int:
    response = await post(emulator, body, "count-tokens", SONNET_4)
    assert response.status == 200, response.body
    document = json.loads(response.body)
    assert list(document) == ["inputTokens"]
    return int(document["inputTokens"])


async def usage(emulator: Emulator, body: Any, operation: str = "converse") -> dict[str, Any]:
    response = await post(emulator, body, operation, SONNET_4)
    assert response.status == 200, response.body
    counts: dict[str, Any] = json.loads(response.body)["usage"]
    return counts


async def test_a_count_equals_the_input_tokens_that_the_answer_reports() -> None:
    async with Emulator() as emulator:
        expected = (await usage(emulator, CONVERSE))["inputTokens"]
        assert await count_tokens(emulator, {"input": {"converse": CONVERSE}}) == expected > 0
        expected = (await usage(emulator, NATIVE[CLAUDE], "invoke"))["input_tokens"]
        assert await count_tokens(emulator, native(NATIVE[CLAUDE])) == expected > 0
        assert emulator.requests[-1].operation == "CountTokens"


async def test_a_script_can_set_the_count_or_an_error() -> None:
    script: list[Step] = [metadata({"inputTokens": 7}), http_error(429, "ThrottlingException", "slow"), text("ignored")]
    async with Emulator(script=script) as emulator:
        assert await count_tokens(emulator, native(NATIVE[CLAUDE])) == 7
        assert (await post(emulator, native(NATIVE[CLAUDE]), "count-tokens")).error[0] == 429
        assert await count_tokens(emulator, native(NATIVE[CLAUDE])) == 2


@pytest.mark.parametrize(
    ("model", "body", "code", "message"),
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
        (CLAUDE, native({}), "ValidationException", "anthropic_version: Field required"),
        (CLAUDE, {"input": {"invokeModel": {"body": "%"}}}, "SerializationException", "unexpected type"),
    ],
)
async def test_requests_that_cannot_be_counted(model: str, body: Any, code: str, message: str) -> None:
    async with Emulator() as emulator:
        status, error_type, document = (await post(emulator, body, "count-tokens", model)).error
        assert (status, error_type) == (400, code)
        assert message in document["message"]


# --------------------------------------------------------------------------------------------------------------- cache


def cache_point(ttl: str | None = None) -> dict[str, Any]:
    return {"cachePoint": {"type": "default", **({"ttl": ttl} if ttl else {})}}


def turn(*content: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(content)}


async def test_a_prefix_is_written_once_and_then_read() -> None:
    body = {"system": [{"text": "one two three"}, cache_point()], "messages": [turn({"text": "four"})]}
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
    for counts in (first, second):
        cached = counts["cacheReadInputTokens"] + counts["cacheWriteInputTokens"]
        assert counts["inputTokens"] + cached == plain["inputTokens"]
        assert counts["totalTokens"] == plain["totalTokens"]


async def test_a_moved_cache_point_reads_the_prefix_written_before() -> None:
    first = [turn({"text": "one"}, cache_point("1h"))]
    second = [turn({"text": "one"}), turn({"text": "two"}, role="assistant"), turn({"text": "three"}, cache_point())]
    tools = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}, cache_point("1h")]}
    async with Emulator() as emulator:
        assert (await usage(emulator, {"messages": first}))["cacheDetails"] == [{"ttl": "1h", "inputTokens": 2}]
        moved = await usage(emulator, {"messages": second})
        assert (moved["cacheReadInputTokens"], moved["cacheWriteInputTokens"]) == (2, 5)
        mixed = await usage(emulator, {"messages": second, "toolConfig": tools})
        assert mixed["cacheReadInputTokens"] == 0
        assert [entry["ttl"] for entry in mixed["cacheDetails"]] == ["1h", "5m"]
        again = await usage(emulator, {"messages": second, "toolConfig": tools})
        assert again["cacheReadInputTokens"] == mixed["cacheWriteInputTokens"]


async def test_counting_and_errors_do_not_change_the_cache() -> None:
    body = {"messages": [turn({"text": "one"}, cache_point())]}
    async with Emulator(script=[None, http_error(503, "ServiceUnavailableException")]) as emulator:
        total = await count_tokens(emulator, {"input": {"converse": body}})
        assert (await post(emulator, body, model=SONNET_4)).status == 503
        counts = await usage(emulator, body)
        assert counts["cacheWriteInputTokens"] == total
        assert await count_tokens(emulator, {"input": {"converse": body}}) == total


async def test_claude_reports_the_cache_in_its_native_format() -> None:
    marked = {"type": "text", "text": "one two", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    body = {**NATIVE[CLAUDE], "system": [marked]}
    async with Emulator() as emulator:
        first = await post(emulator, body, "invoke")
        second = await post(emulator, body, STREAM)
    counts = json.loads(first.body)["usage"]
    assert (counts["cache_creation_input_tokens"], counts["cache_read_input_tokens"]) == (2, 0)
    assert counts["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2}
    assert first.headers["x-amzn-bedrock-cache-write-input-token-count"] == "2"
    assert first.headers["x-amzn-bedrock-cache-read-input-token-count"] == "0"
    documents = second.documents
    assert documents[0]["message"]["usage"]["cache_read_input_tokens"] == 2
    metrics = documents[-1]["amazon-bedrock-invocationMetrics"]
    assert (metrics["cacheReadInputTokenCount"], metrics["cacheWriteInputTokenCount"]) == (2, 0)
