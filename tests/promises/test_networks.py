"""Proxies, certificates and small HTTP requests, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from bedrock_stream import Client, RetryPolicy, Timeouts, errors
from bedrock_stream.auth.sources import Http
from bedrock_stream.testing import Emulator, stall, text
from bedrock_stream.transport.certificates import Certificates
from bedrock_stream.transport.http_response import Traffic
from bedrock_stream.transport.transport import Transport
from tests.conftest import KEYS, QUICK_RETRIES
from tests.support.connect_proxy import ConnectProxy
from tests.support.socket_server import Answer, Connection, SocketServer, silence

HOST = "bedrock-runtime.us-east-1.amazonaws.com"
MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
PASSWORD = "s3cret/with:odd@signs"
ENCODED = "s3cret%2Fwith%3Aodd%40signs"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The path of a file with the CA that signed the emulator's certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    """A server context with a certificate for Bedrock's host name and 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST, "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
async def secure(certificate: ssl.SSLContext) -> AsyncIterator[Emulator]:
    async with Emulator(ssl=certificate) as running:
        yield running


@pytest.fixture
async def proxy(secure: Emulator) -> AsyncIterator[ConnectProxy]:
    """A proxy that connects to the emulator under Bedrock's host name."""
    async with ConnectProxy({f"{HOST}:443": _authority_of(secure)}, user="user", password=PASSWORD) as running:
        yield running


def _authority_of(emulator: Emulator) -> str:
    return emulator.url.partition("//")[2]


async def _stream(client: Client) -> str:
    return (await client.stream(MODEL, "Hi").response()).text


# -------------------------------------------------------------------------------------------------------------- proxies


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_stream_uses_the_proxy_tunnel_that_the_environment_names(
    variable: str, secure: Emulator, proxy: ConnectProxy, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, f"http://user:{ENCODED}@{proxy.address}")
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    async with Client(region="us-east-1", credentials=KEYS) as client:
        assert await _stream(client)
        assert await _stream(client)
    assert proxy.asked == [f"CONNECT {HOST}:443"]  # one tunnel, used twice
    assert "AWS4-HMAC" not in proxy.heads[0]
    for received in secure.requests:
        assert received.auth == "sigv4"
        assert received.headers["Host"] == HOST
        assert "Proxy-Authorization" not in received.headers


async def test_a_proxy_may_use_tls(
    secure: Emulator, emulator: Emulator, certificate: ssl.SSLContext, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle)
    plain = _authority_of(emulator)
    async with ConnectProxy({f"{HOST}:443": _authority_of(secure), plain: plain}, ssl=certificate) as proxy:
        url = f"https://{proxy.address}"
        async with Client(region="us-east-1", credentials=KEYS, proxy=url) as client:
            assert await _stream(client)
        async with Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS, proxy=url) as client:
            assert await _stream(client)
        assert [line.partition(" ")[0] for line in proxy.asked] == ["CONNECT", "POST"]


async def test_leaving_a_stream_frees_the_tunnel_at_once(secure: Emulator, proxy: ConnectProxy, bundle: str) -> None:
    secure.script(text("Hello"), stall())
    url = f"http://user:{ENCODED}@{proxy.address}"
    context = ssl.create_default_context(cafile=bundle)
    async with Client(region="us-east-1", credentials=KEYS, proxy=url, ssl=context) as client:
        async with client.stream(MODEL, "Hi") as stream:
            async for piece in stream.text_stream:
                assert piece
                break
        async with asyncio.timeout(5):
            await proxy.deserted()


async def test_an_explicit_proxy_is_used_even_for_this_machine(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    address = _authority_of(emulator)
    async with ConnectProxy({address: address}, user="user", password=PASSWORD) as proxy:
        url = f"user:{ENCODED}@{proxy.address}"
        async with Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS, proxy=url) as client:
            assert await _stream(client)
            assert await _stream(client)
        assert len(proxy.asked) == 2
        assert proxy.asked[0].startswith(f"POST {emulator.url}/model/")
    assert [received.auth for received in emulator.requests] == ["sigv4", "sigv4"]


async def test_this_machine_is_reached_without_the_environments_proxy(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    async with Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS) as client:
        assert await _stream(client)


async def test_no_proxy_is_honoured_and_an_empty_proxy_means_none(
    proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Names under .invalid do not resolve: a client that looks one up does not use the proxy.
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{ENCODED}@{proxy.address}")
    url = "https://bedrock.invalid"
    once = RetryPolicy(max_attempts=1)
    async with Client(region="us-east-1", endpoint_url=url, credentials=KEYS, retry=once) as client:
        with pytest.raises(errors.ConnectionFailed, match="refused with 502"):
            await _stream(client)
    async with Client(region="us-east-1", endpoint_url=url, credentials=KEYS, proxy="", retry=QUICK_RETRIES) as client:
        with pytest.raises(errors.ConnectionFailed, match="no response"):
            await _stream(client)
    monkeypatch.setenv("NO_PROXY", "example.com, .invalid")
    async with Client(region="us-east-1", endpoint_url=url, credentials=KEYS, retry=QUICK_RETRIES) as client:
        with pytest.raises(errors.ConnectionFailed, match="no response"):
            await _stream(client)
    assert proxy.asked == ["CONNECT bedrock.invalid:443"]


@pytest.mark.parametrize("tunnelled", [True, False], ids=["tunnel", "plain"])
async def test_a_wrong_password_is_reported_and_never_shown(
    tunnelled: bool, emulator: Emulator, proxy: ConnectProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong, encoded = "wr0ng-password", "dXNlcjp3cjBuZy1wYXNzd29yZA=="
    endpoint = None if tunnelled else emulator.url
    url = f"http://user:{wrong}@{proxy.address}"
    async with Client(region="us-east-1", endpoint_url=endpoint, credentials=KEYS, proxy=url) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await _stream(client)
    assert encoded in proxy.heads[0]
    error = caught.value
    assert f"the proxy {proxy.address} (proxy) refused with 407" in str(error)
    assert error.model == MODEL
    shown = [caplog.text, *traceback.format_exception(error)]
    current: BaseException | None = error
    while current is not None:
        shown += [str(current), repr(current), repr(current.args), repr(vars(current))]
        current = current.__cause__ or current.__context__
    for shown_text in shown:
        assert wrong not in shown_text
        assert encoded not in shown_text
        assert "Credential=" not in shown_text


@pytest.mark.parametrize("name", ["127.0.0.1:1", "proxy.invalid:3128"], ids=["refused", "unknown"])
async def test_an_unreachable_proxy_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://user:{ENCODED}@{name}")
    async with Client(region="us-east-1", credentials=KEYS, retry=QUICK_RETRIES) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await _stream(client)
    assert str(caught.value).startswith(f"the proxy {name} (https_proxy) cannot be reached: ")
    assert ENCODED not in repr(caught.value.__cause__)


async def test_a_silent_proxy_is_connect_timeout() -> None:
    async with SocketServer(silence) as server:
        limits = Timeouts(connect=0.1)
        async with Client(
            region="us-east-1", credentials=KEYS, proxy=server.url, timeouts=limits, retry=QUICK_RETRIES
        ) as client:
            with pytest.raises(errors.ConnectTimeout, match=r"through the proxy 127\.0\.0\.1:\d+ \(proxy\)"):
                await _stream(client)
        await server.deserted()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
async def test_an_unusable_proxy_variable_is_named_before_anything_is_sent(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "socks5://user:secret@127.0.0.1:1080")
    async with Client(region="us-east-1", credentials=KEYS) as client:
        with pytest.raises(errors.ConfigurationError, match="http:// proxy") as caught:
            await _stream(client)
    assert caught.value.argument == variable
    assert "secret" not in str(caught.value)


async def test_a_client_rejects_an_invalid_proxy_and_an_invalid_context() -> None:
    with pytest.raises(errors.ConfigurationError, match="proxy: "):
        Client(proxy="socks5://127.0.0.1:1080")
    with pytest.raises(errors.ConfigurationError, match=r"ssl: expected an ssl\.SSLContext, got bool"):
        Client(ssl=False)  # type: ignore[arg-type]


async def test_a_netrc_file_is_never_read(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret\ndefault login user password s\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS) as client:
        assert await _stream(client)
    async with SocketServer(_answering(b"{}")) as server, _transport() as transport:
        await transport.ask("GET", server.url + "/", seconds=5)
        assert "authorization" not in server.connections[0].headers
    (received,) = emulator.requests
    assert received.headers.getall("Authorization")[0].startswith("AWS4-HMAC-SHA256")
    assert len(received.headers.getall("Authorization")) == 1


# --------------------------------------------------------------------------------------------------------- certificates


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
async def test_a_bundle_that_the_environment_names_is_trusted(
    variable: str, secure: Emulator, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, bundle)
    async with Client(region="us-east-1", endpoint_url=secure.url, credentials=KEYS) as client:
        assert await _stream(client)


async def test_a_bundle_of_the_profile_is_trusted(
    secure: Emulator, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(f"[default]\nca_bundle = {bundle}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    async with Client(region="us-east-1", endpoint_url=secure.url, credentials=KEYS) as client:
        assert await _stream(client)


async def test_the_context_of_the_caller_takes_precedence(
    secure: Emulator, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with Client(region="us-east-1", endpoint_url=secure.url, credentials=KEYS, ssl=context) as client:
        assert await _stream(client)


async def test_an_untrusted_certificate_is_reported_with_remedies(secure: Emulator) -> None:
    async with Client(region="us-east-1", endpoint_url=secure.url, credentials=KEYS) as client:
        with pytest.raises(errors.ConnectionFailed) as caught:
            await _stream(client)
    message = str(caught.value)
    assert message.startswith(f"the certificate of {_authority_of(secure)} is not trusted: ")
    assert "AWS_CA_BUNDLE" in message
    assert "ssl=" in message
    assert not secure.requests


async def test_a_bundle_that_cannot_be_read_is_named_at_the_first_tls_request(
    emulator: Emulator, secure: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    async with Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS) as client:
        assert await _stream(client)  # no TLS, no bundle
    async with Client(region="us-east-1", endpoint_url=secure.url, credentials=KEYS) as client:
        for _ in range(2):
            with pytest.raises(errors.ConfigurationError, match=r"'/nowhere/ca\.pem' cannot be read") as caught:
                await _stream(client)
            assert caught.value.argument == "AWS_CA_BUNDLE"
    assert not secure.requests


# ------------------------------------------------------------------------------------------------------- small requests


@asynccontextmanager
async def _transport(proxy: str | None = None) -> AsyncIterator[Transport]:
    trust = Certificates(None, lambda: ()).context
    transport = Transport(max_connections=1, trust=trust, traffic=Traffic(), proxy=proxy, environ={})
    try:
        yield transport
    finally:
        await transport.close()


def _answering(body: bytes, status: str = "200 OK") -> Answer:
    async def answer(connection: Connection) -> None:
        head = f"HTTP/1.1 {status}\r\nX-Kind: Odd\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\n"
        connection.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    return answer


async def test_a_small_request_is_sent_unchanged_and_its_response_returned_complete() -> None:
    async with SocketServer(_answering(b"not here", "302 Found")) as server, _transport() as transport:
        ask: Http = transport.ask
        for _ in range(2):
            answer = await ask(
                "PUT", server.url + "/a%3Ab?c=%2F", headers={"X-Token-TTL": "60"}, body=b"body", seconds=5
            )
            assert (answer.status, answer.headers["x-kind"], answer.body) == (302, "Odd", b"not here")
        assert transport.slots.taken == 0
        first, second = server.connections
        assert first.request_line == "PUT /a%3Ab?c=%2F HTTP/1.1"
        assert first.body == b"body"
        assert first.headers.keys() == {"host", "x-token-ttl", "content-length"}
        assert "cookie" not in second.headers
        assert len(server.peers) == 1  # the connection is reused


async def test_a_small_request_takes_no_slot(emulator: Emulator) -> None:
    emulator.script(text("Hello"), stall())
    async with (
        SocketServer(_answering(b"{}")) as server,
        Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS, max_connections=1) as client,
        client.stream(MODEL, "Hi") as stream,
    ):
        await stream.open()
        transport = await client._transports.current()
        assert (await transport.ask("GET", server.url, seconds=5)).status == 200


async def test_a_direct_request_never_uses_a_proxy() -> None:
    async with (
        ConnectProxy({}) as proxy,
        SocketServer(_answering(b"{}")) as server,
        _transport(proxy=f"http://{proxy.address}") as transport,
    ):
        assert (await transport.ask("GET", server.url + "/", seconds=5, direct=True)).status == 200
        assert not proxy.heads
        assert (await transport.ask("GET", server.url + "/", seconds=5)).status == 502
        assert proxy.asked == [f"GET {server.url}/"]


async def test_a_long_response_is_refused_before_it_is_read() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 70_000)
        await connection.closed.wait()

    async with SocketServer(answer) as server, _transport() as transport:
        with pytest.raises(errors.TransportError, match="longer than 65536"):
            await transport.ask("GET", server.url, seconds=5)
        await server.deserted()


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"], ids=["silent", "halfway"])
async def test_a_small_request_without_a_response_in_time_is_connection_failed(head: bytes) -> None:
    async def answer(connection: Connection) -> None:
        connection.write(head)
        await connection.closed.wait()

    async with SocketServer(answer) as server, _transport() as transport:
        with pytest.raises(
            errors.ConnectionFailed, match=r"no complete response from http://127\.0\.0\.1:\d+ within 0\.1"
        ):
            await transport.ask("GET", server.url + "/?secret", seconds=0.1)
        await server.deserted()


async def test_a_small_request_with_a_truncated_response_is_connection_failed() -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        connection.close()

    async with SocketServer(answer) as server, _transport() as transport:
        with pytest.raises(errors.ConnectionFailed):
            await transport.ask("GET", server.url, seconds=5)


async def test_a_closed_transport_sends_nothing() -> None:
    async with SocketServer(silence) as server, _transport() as transport:
        waiting = asyncio.ensure_future(transport.ask("GET", server.url, seconds=5))
        await server.arrived(1)
        await transport.close()
        with pytest.raises(errors.ClientClosed):
            await waiting
        with pytest.raises(errors.ClientClosed):
            await transport.ask("GET", server.url, seconds=5)
        gc.collect()
