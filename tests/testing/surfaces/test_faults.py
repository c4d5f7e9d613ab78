"""Steps and faults of a script in SSE bodies and the documents beside them, and errors in each vendor's form."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bedrock_stream.errors import ConfigurationError
from bedrock_stream.eventstream import Frame
from bedrock_stream.testing import (
    Emulator,
    Step,
    comment,
    cut,
    delay,
    double_answer,
    event,
    expired_signature,
    flip_bit,
    garbage_chunk,
    hang_before_headers,
    headers,
    http_error,
    late_fin,
    line_ends,
    no_done,
    raw_frame,
    raw_lines,
    rechunk,
    replay,
    reset,
    response_failed,
    slow_body,
    stall,
    stream_error,
    text,
    typeless_error,
    unknown_operation,
    unmodeled_error,
    unscripted,
    wrong_content_type,
    wrong_route,
)
from tests.support.emulator_client import Connection, RawResponse, play, request_bytes, signed_headers
from tests.support.surface_client import CHAT, MESSAGES, PATHS, RESPONSES, ask, body_for, call, data, document, error

every_path = pytest.mark.parametrize("path", PATHS)
BEGIN = text(["Hel"])


async def whole(path: str) -> bytes:
    return (await ask(path, text(["Hel", "lo"]))).body


# ------------------------------------------------------------------------------------------------ the end of a body


@every_path
async def test_a_cut_ends_the_body_between_events_or_inside_one(path: str) -> None:
    expected = await whole(path)
    clean = await ask(path, text(["Hel"]), cut(), text(["lo"], joined=True))
    assert clean.complete
    assert expected.startswith(clean.body)
    assert clean.body.endswith(b"\n\n")
    inside = await ask(path, text(["Hel"]), cut(inside=5), text(["lo"], joined=True))
    assert inside.complete
    assert inside.body == expected[: len(clean.body) + 5]
    torn = await ask(path, text(["Hel"]), cut(torn=True), text(["lo"], joined=True))
    assert (torn.complete, torn.body) == (False, clean.body)


@every_path
async def test_a_reset_after_a_number_of_bytes(path: str) -> None:
    response = await ask(path, reset(after=50), text("Hello"))
    assert not response.complete
    assert len(response.body) <= 50


@every_path
@pytest.mark.parametrize("step", [rechunk(7), slow_body(0.001), delay(0.001), stall(0.001)])
async def test_steps_that_leave_the_bytes_as_they_are(path: str, step: Step) -> None:
    assert (await ask(path, step, text(["Hel", "lo"]))).body == await whole(path)


@every_path
async def test_a_flipped_bit_and_a_late_end(path: str) -> None:
    expected = await whole(path)
    flipped = (await ask(path, flip_bit(0), text(["Hel", "lo"]))).body
    assert flipped == bytes([expected[0] ^ 1]) + expected[1:]
    late = await ask(path, text(["Hel", "lo"]), late_fin(0))
    assert (late.complete, late.body) == (False, expected)


@every_path
@pytest.mark.parametrize("stream", [True, False])
async def test_garbage_and_second_answers(path: str, stream: bool) -> None:
    async with Emulator(script=[[text("a"), double_answer()], [garbage_chunk(b"<html>\r\n"), text("a")]]) as emulator:
        body = body_for(path, stream=stream)
        assert (await call(emulator, path, body)).complete
        if stream:
            with pytest.raises(ValueError, match="invalid literal"):
                await call(emulator, path, body)
        else:
            assert b"<html>" in (await call(emulator, path, body)).body


@every_path
async def test_a_stall_ends_when_the_client_disconnects(path: str) -> None:
    async with Emulator(script=[[BEGIN, stall()], hang_before_headers()]) as emulator:
        for _ in range(2):
            raw = json.dumps(body_for(path)).encode()
            own = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")]
            signed = signed_headers(emulator, path, raw, headers=own, service="bedrock-mantle")
            connection = await Connection.open(emulator)
            connection.writer.write(request_bytes(path, signed, raw))
            await emulator.wait_for_streams(1)
            await connection.close()
            await emulator.wait_until_idle()


# -------------------------------------------------------------------------------------------------- in front of a body


@every_path
@pytest.mark.parametrize("stream", [True, False])
async def test_replaced_headers_and_bodies(path: str, stream: bool) -> None:
    assert (await ask(path, headers({"a": "b"}), stream=stream)).headers["a"] == "b"
    page = await ask(path, wrong_content_type(), stream=stream)
    assert (page.status, page.headers["content-type"]) == (200, "text/html")
    assert (await ask(path, replay(b"data: 1\n\n"), stream=stream)).body == b"data: 1\n\n"
    coral = await ask(path, unknown_operation(), stream=stream)
    assert (coral.status, coral.headers["content-type"]) == (200, "application/json")
    assert json.loads(coral.body)["Output"]["__type"].endswith("UnknownOperationException")


@every_path
async def test_an_expired_signature_keeps_awss_header(path: str) -> None:
    async with Emulator(script=[expired_signature()]) as emulator:
        response = await call(emulator, path, service="bedrock-mantle")
    status, found = error(response)
    assert (status, found["type"]) == (403, "authentication_error")
    assert "Signature expired" in found["message"]
    assert response.headers["x-amzn-errortype"].startswith("InvalidSignatureException:")


ANTHROPIC_ERRORS = {
    "ThrottlingException": "rate_limit_error",
    "AccessDeniedException": "permission_error",
    "ModelTimeoutException": "timeout_error",
    "ServiceUnavailableException": "overloaded_error",
    "overloaded_error": "overloaded_error",
    "StrangeException": "rate_limit_error",
    None: "rate_limit_error",
}
OPENAI_ERRORS = {
    "ThrottlingException": ("rate_limit_error", "rate_limit_exceeded"),
    "ServiceQuotaExceededException": ("insufficient_quota", "insufficient_quota"),
    "InternalServerException": ("server_error", "server_error"),
    "context_length_exceeded": ("invalid_request_error", "context_length_exceeded"),
    "server_error": ("server_error", "server_error"),
    "overloaded_error": ("overloaded_error", None),
    "odd": ("rate_limit_error", "odd"),
    "StrangeException": ("rate_limit_error", "rate_limit_exceeded"),
    None: ("rate_limit_error", "rate_limit_exceeded"),
}


@pytest.mark.parametrize("stream", [True, False])
async def test_http_errors_have_the_vendors_words(stream: bool) -> None:
    for code, kind in ANTHROPIC_ERRORS.items():
        response = await ask(MESSAGES, http_error(429, code, "Slow down", {"retry-after": "3"}), stream=stream)
        assert error(response) == (429, {"type": kind, "message": "Slow down"})
        assert response.headers["retry-after"] == "3"
        assert "x-amzn-errortype" not in response.headers
    for code, (kind, word) in OPENAI_ERRORS.items():
        for path in (CHAT, RESPONSES):
            found = error(await ask(path, http_error(429, code, "Slow down"), stream=stream))
            assert found == (429, {"message": "Slow down", "type": kind, "param": None, "code": word})


@pytest.mark.parametrize(("status", "words"), [(400, "isn't supported on this route"), (401, "is not enabled")])
async def test_a_wrong_route_can_be_scripted(status: Any, words: str) -> None:
    found = error(await ask(CHAT, wrong_route("google.gemma-4-31b", status=status)))
    assert found[0] == status
    assert words in found[1]["message"]


# ----------------------------------------------------------------------------------------------------- errors in a body


async def test_a_stream_error_has_the_vendors_form_and_ends_the_body() -> None:
    step = stream_error("throttlingException", "Slow down", originalStatusCode=429)
    for path, expected in {
        MESSAGES: {
            "type": "error",
            "error": {"type": "rate_limit_error", "message": "Slow down", "originalStatusCode": 429},
        },
        CHAT: {"error": {
            "message": "Slow down", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded",
            "originalStatusCode": 429}},
        RESPONSES: {"type": "error", "sequence_number": 5, "error": {
            "message": "Slow down", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded",
            "originalStatusCode": 429}},
    }.items():  # fmt: skip
        response = await ask(path, BEGIN, step)
        assert response.complete
        assert data(response)[-1] == expected
        lines = response.body.decode().rstrip().split("\n")[-2:]
        assert ("event: error" in lines) == (path != CHAT)
        assert error(await ask(path, BEGIN, step, stream=False))[0] == 429


async def test_an_unmodeled_error_keeps_its_word() -> None:
    for path, expected in {
        MESSAGES: {"type": "error", "error": {"type": "odd", "message": "Oh"}},
        CHAT: {"error": {"type": "odd", "message": "Oh", "code": "odd", "param": None}},
        RESPONSES: {"type": "error", "code": "odd", "message": "Oh", "param": None, "sequence_number": 0},
    }.items():
        assert data(await ask(path, unmodeled_error("odd", "Oh")))[-1] == expected
        assert error(await ask(path, unmodeled_error("odd", "Oh"), stream=False))[0] == 500


@every_path
async def test_a_typeless_error_is_a_message_alone(path: str) -> None:
    response = await ask(path, BEGIN, typeless_error("Oh"))
    assert response.complete
    assert response.body.endswith(b'\n\ndata: {"message":"Oh"}\n\n')
    assert error(await ask(path, typeless_error("Oh"), stream=False))[0] == 500


@every_path
async def test_any_other_error_is_an_event_of_the_script(path: str) -> None:
    nested = {"message": '{"error":{"message":"Oh"}}'}
    assert nested in data(await ask(path, event("error", nested)))


# ------------------------------------------------------------------------------------------------------ lines of events


@every_path
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_lines_can_end_in_other_ways(path: str, end: Any) -> None:
    expected = (await whole(path)).replace(b"\n", end.encode())
    assert (await ask(path, line_ends(end), text(["Hel", "lo"]))).body == expected


@every_path
async def test_comments_between_events_and_inside_one(path: str) -> None:
    expected = await whole(path)
    response = await ask(path, comment("one"), comment("two", inside=True), text(["Hel", "lo"]))
    first, second, *rest = response.body.decode().split("\n\n")
    assert first == ": one"
    lines = second.split("\n")
    assert lines[1] == ": two"
    assert "\n\n".join(["\n".join([lines[0], *lines[2:]]), *rest]).encode() == expected


@every_path
async def test_lines_of_a_script_are_sent_unchanged(path: str) -> None:
    response = await ask(path, raw_lines("id: 1\nretry: 5\n\n"), raw_lines(b"\xff"), BEGIN)
    assert response.body.startswith(b"id: 1\nretry: 5\n\n\xff")


@every_path
async def test_steps_of_sse_leave_a_document_as_it_is(path: str) -> None:
    plain = document(await ask(path, BEGIN, stream=False))
    steps = (comment(), line_ends("\r"), no_done(), raw_lines("a"), BEGIN)
    assert document(await ask(path, *steps, stream=False)) == plain


@pytest.mark.parametrize("end", ["", "\n\n", None])
def test_other_ends_of_lines_are_refused(end: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"end: expected"):
        line_ends(end)


@pytest.mark.parametrize(
    "step", [comment(), line_ends("\r"), no_done(), raw_lines("a"), typeless_error("a"), response_failed()]
)
async def test_steps_of_sse_are_refused_in_an_event_stream(step: Step) -> None:
    response = await play(step)
    assert response.error[:2] == (501, "ScriptError")
    assert "which anthropic.claude" in response.error[2]["message"]


async def test_frames_are_refused_in_an_sse_body_and_failures_of_responses_elsewhere() -> None:
    for path in PATHS:
        status, found = error(await ask(path, raw_frame(Frame({}))))
        assert (status, "raw_frame(...)" in found["message"]) == (501, True)
    for path in (MESSAGES, CHAT):
        for stream in (True, False):
            status, found = error(await ask(path, response_failed(), stream=stream))
            assert (status, "response_failed(...)" in found["message"]) == (501, True)


# ----------------------------------------------------------------------------------------------------------- unscripted


def content(path: str, response: RawResponse) -> str:
    found = []
    for piece in data(response):
        match piece:
            case {"delta": {"text": str(said)}} | {"type": "response.output_text.delta", "delta": str(said)}:
                found.append(said)
            case {"choices": [{"delta": {"content": str(said)}}]}:
                found.append(said)
    return "".join(found)


@every_path
async def test_a_fault_can_be_anywhere_in_the_unscripted_answer(path: str) -> None:
    full = content(path, await ask(path))
    assert full.startswith('You said: "Hello".')
    half = content(path, await ask(path, unscripted(cut(), at=0.5)))
    assert full.startswith(half)
    assert 0 < len(half) < len(full)


@every_path
async def test_the_pace_and_the_quota_apply(path: str) -> None:
    async with Emulator(pace=0.001, quota={"rpm": 1}) as emulator:
        first, second = await asyncio.gather(*(call(emulator, path) for _ in range(2)))
        assert sorted((first.status, second.status)) == [200, 429]
        refused = first if first.status == 429 else second
        assert error(refused)[1]["type"] == "rate_limit_error"
        await emulator.wait_until_idle()
        assert (emulator.quota.answered, emulator.quota.throttled) == (1, 1)
        assert emulator.quota.tokens > 40
