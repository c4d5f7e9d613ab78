"""The request on the wire, and the errors of connections that fail."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from typing import Any
from urllib.parse import quote

import pytest

from bedrock_stream import Client, Credentials, Timeouts, errors
from bedrock_stream.auth.sigv4 import sign
from bedrock_stream.transport.connections import open_socket
from tests.conftest import KEYS
from tests.support.clients import client_of, complete_stream, connected
from tests.support.socket_server import Connection, SocketServer, silence

ODD_MODELS = [
    "anthropic.claude-3-sonnet-20240229-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3",
    "custom!*'()@,+=&$;~%25é",
]


@pytest.mark.parametrize("base", ["", "/base/path"])
@pytest.mark.parametrize("model", ODD_MODELS)
async def test_the_request_line_is_the_signed_one(model: str, base: str) -> None:
    credentials = Credentials("AKIDEXAMPLE", "secret", "FwoTOKEN==")
    async with (
        SocketServer(complete_stream) as server,
        Client(region="eu-west-1", endpoint_url=server.url + base, credentials=credentials) as client,
    ):
        await client.stream(model, "Hi", use_converse=True).response()
        (connection,) = server.connections
    target = f"{base}/model/{quote(model, safe='')}/converse-stream"
    assert connection.request_line == f"POST {target} HTTP/1.1"
    assert ":" not in target
    assert target.count("/") == base.count("/") + 3
    sent = connection.headers
    assert sent["host"] == server.url.removeprefix("http://")
    assert sent["x-amz-security-token"] == "FwoTOKEN=="
    assert sent["accept-encoding"] == "identity"
    assert sent["content-length"] == str(len(connection.body))
    names = sent["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert names == ["accept", "content-type", "host", "x-amz-date", "x-amz-security-token"]
    expected = sign(
        "POST",
        server.url + target,
        [(name, sent[name]) for name in names if not name.startswith("x-amz-")],
        connection.body,
        credentials=credentials,
        region="eu-west-1",
        now=dt.datetime.strptime(sent["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC),
    )
    assert sent["authorization"] == expected["Authorization"]


async def test_an_api_key_is_sent_as_a_bearer_token_without_a_signature() -> None:
    async with (
        SocketServer(complete_stream) as server,
        Client(region="us-east-1", endpoint_url=server.url, api_key="my-key") as client,
    ):
        await client.stream("model", "Hi").response()
        (connection,) = server.connections
    assert connection.headers["authorization"] == "Bearer my-key"
    assert not [name for name in connection.headers if name.startswith("x-amz")]


async def test_a_large_body_is_sent_completely_without_a_warning() -> None:
    async with connected(complete_stream) as (server, client):
        prompt = "x" * (3 * 1024 * 1024)
        await client.stream("model", prompt).response()
        (connection,) = server.connections
    assert len(connection.body) == int(connection.headers["content-length"]) > len(prompt)
    assert prompt.encode() in connection.body


async def test_a_refused_connection_is_connection_failed() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but not listening
        async with client_of(f"http://127.0.0.1:{unused.getsockname()[1]}") as client:
            for call in (client.stream("model", "Hi").open(), client.generate("model", "Hi")):
                with pytest.raises(errors.ConnectionFailed) as caught:
                    await call
                assert caught.value.model == "model"
                assert caught.value.__cause__ is not None


@pytest.mark.parametrize("end", [Connection.close, Connection.reset], ids=["close", "reset"])
async def test_a_connection_lost_before_the_response_is_connection_failed(end: Any) -> None:
    async def answer(connection: Connection) -> None:
        end(connection)

    async with connected(answer) as (_, client):
        with pytest.raises(errors.ConnectionFailed):
            await client.stream("model", "Hi").open()


async def test_a_response_that_is_not_http_is_connection_failed() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    async with connected(answer) as (_, client):
        with pytest.raises(errors.ConnectionFailed):
            await client.stream("model", "Hi").open()


async def test_a_handshake_that_does_not_finish_is_connect_timeout() -> None:
    async with SocketServer(silence) as server:
        url = server.url.replace("http://", "https://")
        async with client_of(url, timeouts=Timeouts(connect=0.1)) as client:
            with pytest.raises(errors.ConnectTimeout) as caught:
                await client.stream("model", "Hi").open()
            assert caught.value.limit == 0.1
        await server.deserted()


async def test_a_request_is_signed_once_its_slot_is_held_with_credentials_from_before() -> None:
    fetches, signatures = 0, 0

    async def provider() -> Credentials:
        nonlocal fetches
        fetches += 1
        return KEYS

    def clock() -> dt.datetime:
        nonlocal signatures
        signatures += 1
        return dt.datetime.now(dt.UTC)

    async with connected(silence, credentials=provider, clock=clock, max_connections=1) as (server, client):
        first = asyncio.create_task(client.stream("model", "Hi").open())
        await server.arrived(1)
        fetched, signed = fetches, signatures
        second = asyncio.create_task(client.stream("model", "Hi").open())
        while not client.stats().waiting:
            await asyncio.sleep(0)
        assert (fetches, signatures) == (fetched + 1, signed + 1)  # the clock of the cache, which keeps no such keys
        before = signatures
        first.cancel()
        await server.arrived(2)
        assert (fetches, signatures) == (fetched + 1, before + 1)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)


def test_sockets_use_keepalive() -> None:
    with open_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ())) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                assert sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
