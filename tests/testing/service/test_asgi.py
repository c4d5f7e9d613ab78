"""The ASGI client: reads, disconnects early, and honors its timeout."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bedrock_stream.testing import visit


async def send_start(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def send_chunk(send: Any, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def test_the_complete_response_and_the_request() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = await receive()
        await send_start(send)
        for part in (scope["method"], scope["path"], scope["query_string"].decode(), request["body"].decode()):
            await send_chunk(send, f"{part}|".encode())
        await send_chunk(send, b"", more=False)
        assert await receive() == {"type": "http.disconnect"}

    assert await visit(app, "/a%20b?c=d", method="POST", body=b"{}") == b"POST|/a b|c=d|{}|"


async def test_an_early_disconnect_reaches_the_app() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        disconnect = asyncio.ensure_future(receive())
        await send_start(send)
        await send_chunk(send, b"one")
        await send_chunk(send, b"two")
        assert await disconnect == {"type": "http.disconnect"}
        await send_chunk(send, b"not received")

    assert await visit(app, "/", leave_after=2) == b"onetwo"


async def test_exceptions_of_the_app_propagate() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await visit(app, "/")


async def test_an_app_that_does_not_return_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        await visit(app, "/", timeout=0.01)
    assert cancelled.is_set()
