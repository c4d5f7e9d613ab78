"""The endpoint that streams: a question in, lines of JSON out, as plain ASGI.

The browser's leaving is watched for beside the writing, since a service that is silent gives nothing to write, and
what is not written is never found to be unread. Whoever leaves ends the request to the service right then.
"""

from __future__ import annotations

from typing import Any

import msgspec
from anyio import CancelScope, create_task_group
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...errors import ConfigurationError
from .errors import trouble
from .session import Question, answer, read_question

__all__ = ("MAX_BODY", "Chat")

MAX_BODY = 1_000_000
"""The longest question, in bytes: its history goes along."""
_LINES = "application/x-ndjson"


class Chat:
    """`POST /chat`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        request = Request(scope, receive)
        try:
            question = read_question(await _read_body(request))
        except ClientDisconnect:
            return
        except ConfigurationError as error:
            status = 413 if isinstance(error, _TooLong) else 400
            refusal = Response(msgspec.json.encode(trouble(error)), status, media_type="application/json")
            await refusal(scope, receive, send)
            return
        await _stream(request, question, receive, send)


class _TooLong(ConfigurationError):
    pass


async def _read_body(request: Request) -> bytes:
    """The body. Raises `ConfigurationError` where it is no JSON, and where it is too long, before all of it is here."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise ConfigurationError("content-type", "it is no JSON", "send application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise _TooLong("question", f"it is longer than {MAX_BODY} bytes", "start a new chat")
    return bytes(body)


async def _stream(request: Request, question: Question, receive: Receive, send: Send) -> None:
    async def say(line: Any) -> None:
        await send({"type": "http.response.body", "body": msgspec.json.encode(line) + b"\n", "more_body": True})

    headers = [(b"content-type", _LINES.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async with create_task_group() as group:
        group.start_soon(_leave_with, receive, group.cancel_scope)
        await answer(request.app.state.upstream.client, question, say)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        group.cancel_scope.cancel()


async def _leave_with(receive: Receive, scope: CancelScope) -> None:
    """End the answer when the browser goes."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
