"""The visitor of ASGI apps: reads, leaves early, and waits no longer than it was told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bedrock_stream.testing import visit


async def begin(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def say(send: Any, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def test_a_whole_answer_and_what_was_asked() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked = await receive()
        await begin(send)
        for said in (scope["method"], scope["path"], scope["query_string"].decode(), asked["body"].decode()):
            await say(send, f"{said}|".encode())
        await say(send, b"", more=False)
        assert await receive() == {"type": "http.disconnect"}

    assert await visit(app, "/a%20b?c=d", method="POST", body=b"{}") == b"POST|/a b|c=d|{}|"


async def test_a_visitor_who_leaves_is_gone_for_the_app() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        gone = asyncio.ensure_future(receive())
        await begin(send)
        await say(send, b"one")
        await say(send, b"two")
        assert await gone == {"type": "http.disconnect"}
        await say(send, b"nobody hears this")

    assert await visit(app, "/", leave_after=2) == b"onetwo"


async def test_what_the_app_raises_comes_through() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await visit(app, "/")


async def test_an_app_that_goes_on_is_cancelled() -> None:
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        await visit(app, "/", timeout=0.01)
    assert ended.is_set()
