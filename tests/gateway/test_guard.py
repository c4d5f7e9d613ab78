"""Access control: host names, origins and API keys are checked before a request is sent to Bedrock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from bedrock_stream import Client
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.gateway import create_gateway
from bedrock_stream.testing import Emulator
from tests.support.web_app import serving

KEY = "a-key-of-ones-own-0123456789"
OTHER = "another-key-0123456789"
BODY: dict[str, Any] = {"model": "amazon.nova-lite-v1:0", "messages": [{"role": "user", "content": "Hello"}]}


async def post(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.post(f"{url}/v1/chat/completions", json=BODY, headers=headers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:1234"}, 200),
        ({"host": "127.0.0.1"}, 200),
        ({"host": "[::1]:80"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:80"}, 403),
        ({"host": "localhost.evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "192.0.2.7"}, 403),
        ({"host": ""}, 403),
        ({"host": "[::1"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[::1"}, 403),
        ({"host": "user:secret@localhost"}, 403),
        ({"host": "localhost:80/evil"}, 403),
        ({"host": "localhost;evil.example"}, 403),
        ({"host": "localhost\\.evil.example"}, 403),
        ({"host": "localhost:80:80"}, 403),
        ({"host": "localhost:99999"}, 403),
        ({"host": "localhost:"}, 403),
        ({"host": "[::1].evil.example"}, 403),
        ({"host": "[localhost]"}, 403),
        ({"origin": "http://localhost:80/"}, 403),
        ({"origin": "http://evil.example:80@127.0.0.1"}, 403),
        ({"origin": "https://localhost https://evil.example"}, 403),
        ({"origin": "file://localhost"}, 403),
        ({"origin": "//localhost"}, 403),
        ({"origin": "localhost"}, 403),
        ({"origin": "HTTPS://[::1]:8443"}, 200),
    ],
)
async def test_without_keys_only_loopback_names_are_allowed(
    emulator: Emulator, client: Client, headers: dict[str, str], status: int
) -> None:
    async with serving(create_gateway(client)) as url:
        response = await post(url, **headers)
    assert response.status_code == status
    assert len(emulator.requests) == (status == 200)
    if status == 403:
        assert response.json()["error"]["type"] == "permission_error"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({"authorization": f"bearer {OTHER}"}, 200),
        ({}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": f"Bearer {KEY}x"}, 401),
        ({"authorization": f"Bearer {KEY[:-1]}"}, 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"authorization": KEY}, 401),
        ({"authorization": f"Bearer {KEY}", "host": "gateway.example"}, 200),
        ({"authorization": f"Bearer {KEY}", "host": "GATEWAY.example:8000"}, 200),
        ({"authorization": f"Bearer {KEY}", "host": "192.0.2.7:8000"}, 200),
        ({"authorization": f"Bearer {KEY}", "host": "evil.example"}, 403),
        ({"authorization": f"Bearer {KEY}", "origin": "https://app.example"}, 200),
        ({"authorization": f"Bearer {KEY}", "origin": "https://evil.example"}, 403),
    ],
)
async def test_with_keys_a_request_needs_one(
    emulator: Emulator, client: Client, headers: dict[str, str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app = create_gateway(client, keys=[KEY, OTHER], hosts=["gateway.example"], origins=["https://app.example"])
    async with serving(app) as url:
        response = await post(url, **headers)
    assert response.status_code == status
    assert len(emulator.requests) == (status == 200)
    assert KEY not in response.text + caplog.text
    if "origin" in headers and status == 200:
        assert response.headers["access-control-allow-origin"] == "https://app.example"
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["code"] == "invalid_api_key"


def test_the_repr_does_not_show_keys() -> None:
    app = create_gateway(keys=[KEY, OTHER])
    assert KEY not in repr(app.user_middleware)
    assert "<2 keys>" in repr(app.user_middleware)


async def test_every_path_is_guarded(client: Client) -> None:
    async with serving(create_gateway(client, keys=KEY)) as url, httpx.AsyncClient() as http:
        for path in ("/v1/models", "/v1/models/x", "/docs", "/"):
            assert (await http.get(f"{url}{path}")).status_code == 401


async def test_an_allowed_origin_passes_the_preflight_request(client: Client) -> None:
    app = create_gateway(client, keys=KEY, origins=["https://app.example"])
    preflight = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    async with serving(app) as url, httpx.AsyncClient() as http:
        for origin, status in (("https://app.example", 200), ("https://evil.example", 400)):
            response = await http.options(f"{url}/v1/chat/completions", headers={"origin": origin, **preflight})
            assert response.status_code == status


async def status_for(app: Any, peer: tuple[str, int], headers: list[tuple[bytes, bytes]]) -> int:
    """Return the status for a request of another machine. Called as ASGI, since a test has no other machine."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        return await asyncio.get_running_loop().create_future()

    scope = {
        "type": "http", "method": "GET", "path": "/v1/models", "raw_path": b"/v1/models", "query_string": b"",
        "headers": headers, "client": peer, "server": ("192.0.2.1", 80), "scheme": "http",
    }  # fmt: skip
    await app(scope, receive, send)
    status: int = messages[0]["status"]
    return status


async def test_without_keys_other_machines_are_rejected(client: Client) -> None:
    """The address of the peer decides, not `Host`."""
    assert await status_for(create_gateway(client), ("192.0.2.7", 1), [(b"host", b"localhost")]) == 403


@pytest.mark.parametrize("hosts", [[], [b"localhost", b"localhost"], [b"localhost", b"evil.example"]])
async def test_a_request_has_exactly_one_host(client: Client, hosts: list[bytes]) -> None:
    assert await status_for(create_gateway(client), ("127.0.0.1", 1), [(b"host", host) for host in hosts]) == 403


@pytest.mark.parametrize(
    "header",
    [
        "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded", "forwarded", "via", "x-real-ip",
        "cf-connecting-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "fastly-client-ip", "fly-client-ip",
        "x-original-forwarded-for", "x-envoy-external-address", "x-azure-socketip", "x-appengine-user-ip", "cdn-loop",
        "x_forwarded_for", "do-connecting-ip", "x-remote-addr", "wl-proxy-client-ip", "x-nf-client-connection-ip",
    ],
)  # fmt: skip
async def test_without_keys_a_forwarded_request_is_rejected(emulator: Emulator, client: Client, header: str) -> None:
    """Other machines may be behind a proxy on this one. An empty header was set by a proxy too."""
    async with serving(create_gateway(client)) as url:
        for value in ("127.0.0.1", ""):
            response = await post(url, **{header: value})
            assert (response.status_code, response.json()["error"]["code"]) == (403, "key_needed")
    assert emulator.requests == []
    async with serving(create_gateway(client, keys=KEY)) as url:
        response = await post(url, **{header: "127.0.0.1", "authorization": f"Bearer {KEY}"})
    assert response.status_code == 200


async def test_without_keys_ordinary_headers_of_clients_are_accepted(client: Client) -> None:
    headers = {"traceparent": "00-0-0-00", "x-stainless-runtime": "python", "openai-organization": "x", "user-id": "1"}
    async with serving(create_gateway(client)) as url:
        assert (await post(url, **headers)).status_code == 200


async def test_without_keys_an_address_that_a_server_took_from_a_header_is_rejected(client: Client) -> None:
    """Uvicorn reports such an address with port 0, also if another middleware removes the header."""
    app: Any = create_gateway(client)
    assert await status_for(app, ("127.0.0.1", 0), [(b"host", b"localhost")]) == 403
    trusting = ProxyHeadersMiddleware(app, trusted_hosts="*")
    forwarded = [(b"host", b"localhost"), (b"x-forwarded-for", b"::1, 127.0.0.1")]
    assert await status_for(trusting, ("192.0.2.7", 1), forwarded) == 403


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("text/plain", b"{}", 415),  # a page may send it to any origin without a preflight
        ("application/x-www-form-urlencoded", b"{}", 415),
        ("", b"{}", 415),
        ("application/json; charset=utf-8", b"{}", 400),
        ("application/json", b"{", 400),
        ("application/json", b"\xff", 400),
        ("application/json", b"[" * 200_000, 413),
        ("application/json", b"[" * 50_000, 400),
        ("application/json", b'"' + b"x" * 100_000 + b'"', 413),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_only_json_of_a_bounded_size_is_read(
    emulator: Emulator, client: Client, kind: str, content: bytes, status: int, chunked: bool
) -> None:
    async def chunks() -> Any:
        for start in range(0, len(content), 4096):
            yield content[start : start + 4096]

    body: Any = chunks() if chunked else content
    async with serving(create_gateway(client, max_body=60_000)) as url, httpx.AsyncClient() as http:
        response = await http.post(f"{url}/v1/chat/completions", content=body, headers={"content-type": kind})
    assert response.status_code == status
    assert response.json()["error"]["message"]
    assert emulator.requests == []


async def test_an_incomplete_body_sends_no_request_to_bedrock(
    emulator: Emulator, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(create_gateway(client)) as url:
        _, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        headers = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(headers + b"content-length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert emulator.requests == []
    assert [record.message for record in caplog.records if record.levelname not in ("DEBUG", "INFO")] == []


async def test_a_server_without_lifespan_gets_an_error() -> None:
    transport = httpx.ASGITransport(create_gateway())
    async with httpx.AsyncClient(transport=transport) as http:
        response = await http.post("http://localhost/v1/chat/completions", json=BODY)
    assert (response.status_code, "lifespan" in response.text) == (503, True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: create_gateway(hosts=["gateway.example"]),
        lambda: create_gateway(keys=[]),
        lambda: create_gateway(keys=""),
        lambda: create_gateway(keys=["short-secret"]),
        lambda: create_gateway(keys=[KEY, f" {KEY}"]),
        lambda: create_gateway(models="amazon.nova-lite-v1:0"),
    ],
)
def test_insecure_arguments_are_rejected(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert "short-secret" not in str(caught.value)
    assert KEY not in str(caught.value)


async def test_a_gateway_without_a_client_creates_one(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", emulator.url)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-example")
    async with serving(create_gateway()) as url:
        assert (await post(url)).status_code == 200
    assert emulator.requests[-1].auth == "bearer"
