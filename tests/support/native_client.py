"""Helpers for the tests of native formats: one request to a family, the response as its documents."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from bedrock_stream.testing import Emulator, Step, metadata
from tests.support.emulator_client import NATIVE, STREAM, RawResponse, post

METRICS = "amazon-bedrock-invocationMetrics"
USAGE = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}
COUNTED = {"inputTokenCount": 5, "outputTokenCount": 7, "invocationLatency": 9, "firstByteLatency": 9}
FIXED = metadata(USAGE, latency_ms=9)


async def ask(model: str, *steps: Step, operation: str = STREAM, body: Any = None) -> RawResponse:
    async with Emulator(script=[steps] if steps else None) as emulator:
        return await asyncio.wait_for(post(emulator, body or NATIVE[model], operation, model), 5)


async def documents(model: str, *steps: Step, body: Any = None) -> list[Any]:
    response = await ask(model, *steps, body=body)
    assert (response.status, response.complete) == (200, True), response.body
    return response.documents


async def document(model: str, *steps: Step, body: Any = None) -> Any:
    response = await ask(model, *steps, operation="invoke", body=body)
    assert response.status == 200, response.body
    return json.loads(response.body)


TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
