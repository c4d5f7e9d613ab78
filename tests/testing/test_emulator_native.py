"""InvokeModel and InvokeModelWithResponseStream: the behavior that all families share."""

from __future__ import annotations

import asyncio
import json

import pytest

from bedrock_stream.eventstream import Frame
from bedrock_stream.testing import (
    Emulator,
    Step,
    citation,
    content_type,
    cut,
    event,
    flip_bit,
    http_error,
    metadata,
    raw_frame,
    reasoning,
    rechunk,
    replay,
    reset,
    stall,
    stream_error,
    text,
    tool_call,
    unmodeled_error,
)
from tests.support.emulator_client import (
    CLAUDE,
    GPT_OSS,
    LLAMA,
    NATIVE,
    STREAM,
    post,
    request_bytes,
    send,
    signed_headers,
    target,
)
from tests.support.native_client import FIXED, ask

FAMILIES = pytest.mark.parametrize("model", [CLAUDE, GPT_OSS, LLAMA])


@FAMILIES
async def test_chunks_are_frames_with_padding_and_repeat_exactly(model: str) -> None:
    first, second = await ask(model), await ask(model)
    assert first.body == second.body
    assert first.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert first.headers["x-amzn-bedrock-content-type"] == "application/json"
    for frame in first.frames:
        assert list(frame.headers.items()) == [
            (":event-type", "chunk"),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ]
        assert sorted(json.loads(frame.payload)) == ["bytes", "p"]


@FAMILIES
async def test_documents_have_their_counts_in_headers(model: str) -> None:
    response = await ask(model, text("a"), FIXED, operation="invoke")
    assert response.headers["content-type"] == "application/json"
    counts = {name: value for name, value in response.headers.items() if name.startswith("x-amzn-bedrock-")}
    assert counts == {
        "x-amzn-bedrock-input-token-count": "5",
        "x-amzn-bedrock-output-token-count": "7",
        "x-amzn-bedrock-invocation-latency": "9",
    }
    response = await ask(model, text("a"), metadata(None), operation="invoke")
    assert not [name for name in response.headers if name.startswith("x-amzn-bedrock-")]


async def test_settings_in_headers_are_returned() -> None:
    headers = [("content-type", "application/json"), ("X-Amzn-Bedrock-Service-Tier", "flex")]
    raw, path = json.dumps(NATIVE[LLAMA]).encode(), target("invoke", LLAMA)
    async with Emulator() as emulator:
        response = await send(emulator, request_bytes(path, signed_headers(emulator, path, raw, headers=headers), raw))
    assert response.headers["x-amzn-bedrock-service-tier"] == "flex"


@FAMILIES
async def test_faults_apply_to_native_streams(model: str) -> None:
    intact = await ask(model, text(["a", "b"]))
    assert (await ask(model, rechunk(7), text(["a", "b"]))).body == intact.body
    flipped = await ask(model, flip_bit(70), text(["a", "b"]))
    assert (int.from_bytes(flipped.body) ^ int.from_bytes(intact.body)).bit_count() == 1
    for ending in (cut(), cut(torn=True), reset()):
        response = await ask(model, text("a"), ending)
        assert "a" in json.dumps(response.documents[-1])
        assert response.complete is (ending == cut())
    broken = await ask(model, text("a"), stream_error("modelTimeoutException", "late"))
    assert broken.events[-1] == ("modelTimeoutException", {"message": "late"})
    assert (await ask(model, unmodeled_error("Odd", "x"))).frames[-1].headers[":error-code"] == "Odd"
    frame = Frame({":message-type": "event"}, b"x")
    assert (await ask(model, raw_frame(frame), cut())).frames == [frame]
    assert (await ask(model, event("odd", b"{}"), cut())).events == [("odd", {})]
    assert (await ask(model, replay(intact.body[:50]))).body == intact.body[:50]
    short = await ask(model, stall(0.01), content_type("text/plain"), text("a"))
    assert short.headers["content-type"] == "text/plain"


@FAMILIES
@pytest.mark.parametrize("operation", ["invoke", STREAM])
async def test_errors_have_the_services_format(model: str, operation: str) -> None:
    response = await ask(model, http_error(403, "ExpiredTokenException", "expired"), operation=operation)
    assert response.error == (403, "ExpiredTokenException", {"message": "expired"})


@pytest.mark.parametrize(
    ("model", "step", "name"),
    [
        (LLAMA, reasoning("Hm"), "reasoning"),
        (LLAMA, tool_call("f"), "tool_call"),
        (LLAMA, citation(title="T"), "citation"),
        (CLAUDE, citation(nowhere={}), "citation"),
        (GPT_OSS, citation(title="T"), "citation"),
        (GPT_OSS, reasoning(redacted=b"x"), "reasoning"),
    ],
)
@pytest.mark.parametrize("operation", ["invoke", STREAM])
async def test_steps_that_a_family_does_not_support_are_refused(
    model: str, step: Step, name: str, operation: str
) -> None:
    status, code, document = (await ask(model, text("a"), step, operation=operation)).error
    assert (status, code) == (501, "ScriptError")
    assert f"{name}(...), which {model} does not support" in document["message"]


async def test_pace_delays_each_native_delta() -> None:
    loop = asyncio.get_running_loop()
    async with Emulator(pace=0.02, script=[text(["a", "b", "c"])]) as emulator:
        before = loop.time()
        assert (await post(emulator, NATIVE[CLAUDE], STREAM)).complete
        assert loop.time() - before >= 0.06


# ------------------------------------------------------------------------------------------------------------ families


ARN = "arn:aws:bedrock:us-east-1:123456789012:"


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("us." + CLAUDE, CLAUDE),
        (ARN + "inference-profile/us." + LLAMA, LLAMA),
        ("arn:aws:bedrock:us-east-1::foundation-model/" + GPT_OSS, GPT_OSS),
        (ARN + "application-inference-profile/abc", CLAUDE),
        (ARN + "provisioned-model/abc", LLAMA),
        (ARN + "imported-model/abc", GPT_OSS),
    ],
)
async def test_families_are_recognized_behind_prefixes_and_in_arns(model: str, family: str) -> None:
    async with Emulator() as emulator:
        assert (await post(emulator, NATIVE[family], "invoke", model)).status == 200


@pytest.mark.parametrize(
    ("model", "message"),
    [("amazon.nova-lite-v1:0", "doesn't support the model"), ("no.such", "model identifier is invalid")],
)
async def test_other_families_are_refused(model: str, message: str) -> None:
    async with Emulator() as emulator:
        for operation in ("invoke", STREAM):
            status, code, document = (await post(emulator, NATIVE[CLAUDE], operation, model)).error
            assert (status, code) == (400, "ValidationException")
            assert message in document["message"]
