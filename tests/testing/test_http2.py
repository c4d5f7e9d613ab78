"""The emulator over HTTP/2 with prior knowledge: the same answers and faults, windows, and refusals."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import trustme
from h2.errors import ErrorCodes

from bedrock_stream.eventstream import Decoder
from bedrock_stream.testing import (
    API_KEY,
    Emulator,
    Step,
    cut,
    delay,
    flip_bit,
    garbage_chunk,
    hang_before_headers,
    http_error,
    late_fin,
    rechunk,
    reset,
    slow_body,
    stall,
    stream_error,
    text,
)
from tests.support.emulator_client import HELLO, STREAM, play, post, target
from tests.support.http2_client import Http2Client, http2_client

BEARER = ("authorization", f"Bearer {API_KEY}")


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Http2Client]:
    async with http2_client(emulator.url) as connected:
        yield connected


async def test_a_signed_request_gets_the_same_answer_as_over_http_1(emulator: Emulator, client: Http2Client) -> None:
    response = await client.response(await client.post(emulator))
    old = await post(emulator, HELLO)
    assert response.status == old.status == 200
    assert response.complete
    assert response.events == old.events
    assert set(old.headers) - set(response.headers) == {"transfer-encoding", "connection"}
    assert response.headers["content-type"] == "application/vnd.amazon.eventstream"
    first, second = emulator.requests
    assert (first.operation, first.auth, first.body) == (second.operation, second.auth, second.body)
    assert not {"connection", "transfer-encoding"} & {name.lower() for name in first.headers}


async def test_a_document_and_a_body_without_an_announced_length(emulator: Emulator, client: Http2Client) -> None:
    number = client.request(target("converse"), [BEARER, ("content-type", "application/json")])
    data = json.dumps(HELLO).encode()
    await client.send(number, data[:10], end=False)
    await client.send(number, data[10:])
    response = await client.response(number)
    assert (response.status, response.complete) == (200, True)
    assert json.loads(response.body)["stopReason"] == "end_turn"
    assert int(response.headers["content-length"]) == len(response.body)
    assert emulator.requests[0].body == data


async def test_several_streams_share_a_connection(emulator: Emulator, client: Http2Client) -> None:
    for number in range(20):
        emulator.script(text(f"answer {number} " * 50))
    numbers = [await client.post(emulator) for _ in range(20)]
    responses = [await client.response(number) for number in numbers]
    texts = {
        "".join(payload["delta"]["text"] for name, payload in response.events if name == "contentBlockDelta")
        for response in responses
    }
    assert texts == {f"answer {number} " * 50 for number in range(20)}


async def test_a_stalled_stream_does_not_hold_up_another(emulator: Emulator, client: Http2Client) -> None:
    emulator.script(text("Hello"), stall())
    stalled = await client.post(emulator)
    await client.until(lambda: client.responses[stalled].chunks)
    assert (await client.response(await client.post(emulator))).complete
    assert not client.responses[stalled].complete
    client.cancel(stalled)
    await emulator.wait_until_idle()
    assert (await client.response(await client.post(emulator))).complete


async def test_a_disconnect_ends_the_answers(emulator: Emulator) -> None:
    async with http2_client(emulator.url) as client:
        for _ in range(3):
            emulator.script(text("Hello"), stall())
            await client.post(emulator)
        await emulator.wait_for_streams(3)
    await emulator.wait_until_idle()


async def test_closing_the_emulator_ends_the_connections(emulator: Emulator, client: Http2Client) -> None:
    emulator.script(text("Hello"), stall())
    number = await client.post(emulator)
    await emulator.wait_for_streams(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(emulator.url.rpartition(":")[2]))
    writer.write(b"PRI")
    async with http2_client(emulator.url) as idle:
        await emulator.close()
        assert (await client.response(number)).reset
        await idle.until(lambda: idle.closed)
        with suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()
    assert emulator.open_streams == 0


# --------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    "steps",
    [
        (text("Hello"), cut()),
        (text("Hello"), cut(torn=True)),
        (text("Hello"), cut(inside=7, torn=True), text("more")),
        (text("Hello"), reset()),
        (text("Hello"), late_fin(0.01)),
        (reset(before_headers=True),),
        (http_error(429, "ThrottlingException", "Slow down."),),
        (text("Hello"), stream_error("throttlingException", "Slow down.")),
        (flip_bit(100), text("Hello")),
        (rechunk(7), text("Hello")),
        (slow_body(0.01), text("Hello")),
        (hang_before_headers(0.01), text("Hello")),
    ],
    ids=lambda steps: "-".join(type(step).__name__ for step in steps),
)
async def test_a_fault_comes_through(emulator: Emulator, client: Http2Client, steps: tuple[Step, ...]) -> None:
    emulator.script(*steps)
    response = await client.response(await client.post(emulator))
    old = await play(*steps)
    assert response.status == old.status
    assert response.body == old.body
    assert response.complete == old.complete
    assert response.reset == (not old.complete)
    assert (await client.response(await client.post(emulator))).complete  # on the same connection


@pytest.mark.parametrize("fault", [cut(torn="chunk"), cut(inside=9, torn="chunk"), garbage_chunk()], ids=repr)
async def test_a_torn_or_invalid_chunk_resets_its_stream(emulator: Emulator, client: Http2Client, fault: Step) -> None:
    emulator.script(text("Hello"), fault, text("more"))
    response = await client.response(await client.post(emulator))
    assert (response.status, response.complete, response.reset) == (200, False, True)
    assert [frame.headers[":event-type"] for frame in Decoder().feed(response.body)][:1] == ["messageStart"]


async def test_a_refusal_has_its_status_and_type(emulator: Emulator, client: Http2Client) -> None:
    number = client.request(target(), [("authorization", "Bearer wrong"), ("content-length", "2")])
    await client.send(number, b"{}")
    response = await client.response(number)
    assert (response.status, "message" in str(response.error[2]).lower()) == (403, True)
    number = client.request("/nowhere", [BEARER], method="GET", end=True)
    assert (await client.response(number)).error[:2] == (404, "UnknownOperationException")
    number = client.request("/nowhere", [BEARER], method="HEAD", end=True)
    assert ((await client.response(number)).status, client.responses[number].body) == (404, b"")


async def test_a_page_of_another_host_is_refused(emulator: Emulator, client: Http2Client) -> None:
    client._authority = "evil.example"
    number = client.request(target(), [BEARER], end=True)
    assert (await client.response(number)).error[:2] == (403, "AccessDeniedException")


# -------------------------------------------------------------------------------------------------------------- windows


async def test_an_answer_waits_for_the_clients_window(emulator: Emulator) -> None:
    emulator.script(text("word " * 2_000))
    async with http2_client(emulator.url, window=1_000) as client:
        number = await client.post(emulator)
        response = client.responses[number]
        await client.until(lambda: len(response.body) == 1_000)
        # Another request is answered meanwhile, up to its own window.
        other = await client.post(emulator)
        await client.until(lambda: len(client.responses[other].body) == 1_000)
        assert len(response.body) == 1_000
        client.acknowledges = True
        client.acknowledge(number)
        client.acknowledge(other)
        for each in (number, other):
            whole = await client.response(each)
            assert whole.complete
            assert whole.frames


async def test_a_large_request_is_taken_part_by_part(emulator: Emulator, client: Http2Client) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "word " * 400_000}]}]}
    response = await client.response(await client.post(emulator, "converse", body))
    assert response.complete, response
    assert emulator.requests[0].json == body


async def test_a_request_that_is_too_large_is_refused_and_the_connection_works_on(
    emulator: Emulator, client: Http2Client
) -> None:
    number = client.request(target(), [BEARER, ("content-length", str(1 << 30))])
    sending = asyncio.create_task(client.send(number, bytes(200_000), end=False))
    response = await client.response(number)
    await asyncio.gather(sending, return_exceptions=True)
    assert response.status == 413
    for _ in range(3):
        assert (await client.response(await client.post(emulator))).complete


# ------------------------------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("path", "headers", "method"),
    [
        ("/a b", [BEARER], "POST"),
        ("/a\r\nx: y", [BEARER], "POST"),
        ("/a", [BEARER, ("x", "a\r\ny: z")], "POST"),
        ("/a", [BEARER, ("x y", "a")], "POST"),
        ("/a", [BEARER], "PO ST"),
        ("/a", [BEARER], "CONNECT"),
    ],
)
async def test_a_request_that_http_1_cannot_express_is_reset(
    emulator: Emulator, client: Http2Client, path: str, headers: list[tuple[str, str]], method: str
) -> None:
    client._http2.config.validate_outbound_headers = False
    client._http2.config.normalize_outbound_headers = False
    number = client.request(path, headers, method=method, end=True)
    assert (await client.response(number)).reset
    assert emulator.request_count == 0


async def test_a_client_that_begins_no_more_requests_gets_what_it_waits_for(
    emulator: Emulator, client: Http2Client
) -> None:
    emulator.script(delay(0.05), text("Hello"))
    number = await client.post(emulator)
    client.write_raw(b"\0\0\x08\7" + bytes(13))  # GOAWAY without an error
    response = await client.response(number)
    assert response.complete
    assert response.frames
    await client.until(lambda: client.closed)


@pytest.mark.parametrize("error", [0, 2])
async def test_a_client_without_requests_leaves(emulator: Emulator, client: Http2Client, error: int) -> None:
    await client.response(await client.post(emulator))
    client.write_raw(b"\0\0\x08\7" + bytes(12) + bytes([error]))
    await client.until(lambda: client.closed)


async def test_a_client_that_gives_up_ends_its_answers(emulator: Emulator, client: Http2Client) -> None:
    emulator.script(text("Hello"), stall())
    number = await client.post(emulator)
    await emulator.wait_for_streams(1)
    client.write_raw(b"\0\0\x08\7" + bytes(12) + b"\2")  # GOAWAY with an error
    await emulator.wait_until_idle()
    assert (await client.response(number)).reset


async def test_a_frame_that_is_too_long_ends_the_connection(emulator: Emulator, client: Http2Client) -> None:
    await client.response(await client.post(emulator))
    client.write_raw(b"\xff" * 9)
    await client.until(lambda: client.terminated is not None)
    assert client.terminated.error_code == ErrorCodes.FRAME_SIZE_ERROR


async def test_bytes_that_are_not_http_2_end_the_connection(emulator: Emulator, client: Http2Client) -> None:
    await client.response(await client.post(emulator))
    client.write_raw(b"\0\0\0\4\0\0\0\0\1")  # settings, which belong to no stream
    await client.until(lambda: client.terminated is not None)
    assert client.terminated.error_code != ErrorCodes.NO_ERROR


@pytest.mark.parametrize("first", [1, 2, 3, 15, 23])
async def test_the_first_bytes_may_arrive_in_pieces(emulator: Emulator, first: int) -> None:
    host, port = emulator.url.removeprefix("http://").split(":")
    for start in (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5),
        b"PUT /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(start[:first])
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(start[first:])
        answer = await reader.readexactly(9)
        if start.endswith(bytes(5)):
            assert answer[3] == 4  # a frame of settings
        else:
            assert answer == b"HTTP/1.1 "
        writer.close()


async def test_http_2_on_tls() -> None:
    authority = trustme.CA()
    server, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trust)
    async with Emulator(ssl=server) as emulator, http2_client(emulator.url, ssl=trust) as client:
        assert (await client.response(await client.post(emulator, STREAM.removeprefix("invoke-")))).status == 404
        assert (await client.response(await client.post(emulator))).complete


async def test_without_h2_the_connection_is_refused_in_its_words(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "bedrock_stream.testing.service.http2", None)
    async with http2_client(emulator.url) as client:
        await client.until(lambda: client.terminated is not None)
    words: Any = client.terminated.additional_data
    assert client.terminated.error_code == ErrorCodes.HTTP_1_1_REQUIRED
    assert words == b'HTTP/2 needs the package h2: pip install "bedrock-stream[testing]"'
    assert caplog.messages == [words.decode()]
    assert (await post(emulator, HELLO)).status == 200
