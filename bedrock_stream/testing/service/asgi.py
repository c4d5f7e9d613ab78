"""An ASGI test client that can disconnect early. It sends one request to an app without a server."""

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
    timeout: float | None = 10.0,  # noqa: ASYNC109 - a test that would hang fails instead
) -> bytes:
    """Send one request to an ASGI app (Starlette, FastAPI, ...) and return the response body received so far.

    `target` is the path and query. `body` is sent as JSON. With `leave_after=n` the client disconnects after n
    non-empty chunks of the response body, then waits until the app returns. Exceptions of the app propagate. Raises
    `TimeoutError` if the app has not returned after `timeout` seconds; it is cancelled then.
    """
    requests: list[_Message] = [{"type": "http.request", "body": body, "more_body": False}]
    chunks: list[bytes] = []
    disconnected = asyncio.Event()

    async def receive() -> _Message:
        if requests:
            return requests.pop()
        # ASGI: `receive` blocks after the request body until the client disconnects.
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(message: _Message) -> None:
        if message.get("body") and not disconnected.is_set():
            chunks.append(message["body"])
        if len(chunks) == leave_after or (message["type"] == "http.response.body" and not message.get("more_body")):
            disconnected.set()

    async with asyncio.timeout(timeout):
        await app(_scope(method, target), receive, send)
    return b"".join(chunks)


def _scope(method: str, target: str) -> dict[str, Any]:
    url = urlsplit(target)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},  # as uvicorn
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
