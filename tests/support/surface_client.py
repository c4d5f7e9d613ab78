"""Helpers for the tests of the emulator's newer surfaces: raw requests, and the events of SSE bodies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from bedrock_stream.testing import API_KEY, Emulator, Step
from tests.support.emulator_client import RawResponse, request_bytes, send, signed_headers

CLAUDE = "anthropic.claude-opus-5-5"
GPT = "openai.gpt-6-sol"
GPT_OSS = "openai.gpt-oss-120b"
MESSAGES, CHAT, RESPONSES = "/anthropic/v1/messages", "/v1/chat/completions", "/v1/responses"
PATHS = (MESSAGES, CHAT, RESPONSES)
_ASK = [{"role": "user", "content": "Hello"}]


def body_for(path: str, *, stream: Any = True, **members: Any) -> dict[str, Any]:
    """Return a small body for a path; a member that is None is left out."""
    if path.startswith("/anthropic/"):
        body: dict[str, Any] = {"model": CLAUDE, "max_tokens": 1000, "messages": _ASK}
    elif path.endswith("/responses"):
        body = {"model": GPT if path.startswith("/openai/") else GPT_OSS, "input": "Hello"}
    else:
        body = {"model": GPT if path.startswith("/openai/") else GPT_OSS, "messages": _ASK}
    if stream is not False:
        body["stream"] = stream
    return {name: value for name, value in {**body, **members}.items() if value is not None}


async def call(
    emulator: Emulator,
    path: str,
    body: Any = None,
    *,
    service: str | None = None,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> RawResponse:
    """Send one request with the bearer key, or signed for a service, and read the complete response.

    A header that is empty is left out.
    """
    raw = b"" if method == "GET" else json.dumps(body_for(path) if body is None else body).encode()
    own = {"content-type": "application/json", "anthropic-version": "2023-06-01", **(headers or {})}
    own = {name: value for name, value in own.items() if value}
    if service is None:
        if not {"authorization", "x-api-key"} & own.keys():
            own["authorization"] = f"Bearer {API_KEY}"
        own["Host"] = emulator.url.partition("://")[2]
    else:
        own = signed_headers(emulator, path, raw, headers=own.items(), service=service, method=method)
    return await asyncio.wait_for(send(emulator, request_bytes(path, own, raw, method)), 10)


async def ask(path: str, *steps: Step, **members: Any) -> RawResponse:
    """Start an emulator with one scripted answer, or none, and send it one request."""
    async with Emulator(script=[steps] if steps else None) as emulator:
        return await call(emulator, path, body_for(path, **members))


def blocks(response: RawResponse) -> list[list[str]]:
    """Return the lines of each event of a body that has LF line ends and ended properly."""
    assert response.status == 200, response.body
    assert response.headers["content-type"] == "text/event-stream"
    *events, rest = response.body.decode().split("\n\n")
    assert rest == ""
    return [event.split("\n") for event in events]


def data(response: RawResponse) -> list[Any]:
    """Return the documents of the events; other data as it is."""
    found = []
    for lines in blocks(response):
        text = "\n".join(line.removeprefix("data: ") for line in lines if line.startswith("data: "))
        found.append(json.loads(text) if text.startswith("{") else text)
    return found


def document(response: RawResponse) -> Any:
    """Return the document of a response that is no stream."""
    assert response.status == 200, response.body
    return json.loads(response.body)


def error(response: RawResponse) -> tuple[int, dict[str, Any]]:
    """Return status and `error` of an HTTP error in a vendor's form."""
    return response.status, json.loads(response.body)["error"]
