"""A visitor of an ASGI app who leaves early, as people do: one request without a server, then the disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ("visit",)

_Message = MutableMapping[str, Any]
_App = Callable[[dict[str, Any], Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Any]


async def visit(
    app: _App,
    target: str,
    *,
    method: str = "GET",
    body: bytes = b"",
    leave_after: int | None = None,
    timeout: float | None = 10.0,  # noqa: ASYNC109 - a test that hangs tells less than one that fails
) -> bytes:
    """Send one request to an ASGI app (Starlette, FastAPI, ...) and return the body until here.

    With `leave_after=n` the client disconnects once n pieces of the body are here, and then waits for the app to be
    done. `body` is sent as JSON. What the app raises comes through; an app that is not done after `timeout` seconds is
    cancelled, with `TimeoutError`.
    """
    url = urlsplit(target)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},  # what uvicorn says
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(url.path),
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    asked: list[_Message] = [{"type": "http.request", "body": body, "more_body": False}]
    pieces: list[bytes] = []
    left = asyncio.Event()

    async def receive() -> _Message:
        if asked:
            return asked.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: _Message) -> None:
        if message.get("body") and not left.is_set():
            pieces.append(message["body"])
        if len(pieces) == leave_after or (message["type"] == "http.response.body" and not message.get("more_body")):
            left.set()

    async with asyncio.timeout(timeout):
        await app(scope, receive, send)
    return b"".join(pieces)
