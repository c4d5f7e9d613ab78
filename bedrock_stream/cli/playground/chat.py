"""The streaming endpoint, as plain ASGI: a question as JSON in, lines of JSON out.

A disconnect of the browser is detected by a task that reads from `receive`, because a write fails only when there is
something to write, and a silent service gives nothing to write. It cancels the request to the service at once.
"""

from __future__ import annotations

from typing import Any

import msgspec
from anyio import CancelScope, create_task_group
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...errors import ConfigurationError
from .code import show_code
from .errors import describe_error
from .question import Question, read_question
from .session import answer

__all__ = ("MAX_BODY", "Chat", "answer_code")

MAX_BODY = 1_000_000
"""Size limit of a question in bytes, including the conversation history."""
_LINES = "application/x-ndjson"


class Chat:
    """ASGI app for `POST /chat`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        request = Request(scope, receive)
        try:
            question = read_question(await _read_body(request))
        except ClientDisconnect:
            return
        except ConfigurationError as error:
            await _rejection(error)(scope, receive, send)
            return
        await _stream(request, question, receive, send)


async def answer_code(request: Request) -> Response:
    """Answer `POST /code`: a question as JSON in, the code that reproduces its response out."""
    try:
        question = read_question(await _read_body(request))
        view = show_code(request.app.state.backend, question)
    except ConfigurationError as error:
        return _rejection(error)
    return Response(msgspec.json.encode(view), media_type="application/json")


def _rejection(error: ConfigurationError) -> Response:
    status = 413 if isinstance(error, _BodyTooLarge) else 400
    return Response(msgspec.json.encode(describe_error(error)), status, media_type="application/json")


class _BodyTooLarge(ConfigurationError):
    pass


async def _read_body(request: Request) -> bytes:
    """Read the body. Raises `ConfigurationError` if it is not JSON, and as soon as it exceeds the size limit."""
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip() != "application/json":
        raise ConfigurationError("content-type", f"expected application/json, got {content_type!r}")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise _BodyTooLarge("question", f"is larger than {MAX_BODY} bytes", "start a new chat")
    return bytes(body)


async def _stream(request: Request, question: Question, receive: Receive, send: Send) -> None:
    async def send_line(line: Any) -> None:
        await send({"type": "http.response.body", "body": msgspec.json.encode(line) + b"\n", "more_body": True})

    # The status is sent before the request to the service, so every later error is a line of the body.
    headers = [(b"content-type", _LINES.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async with create_task_group() as group:
        group.start_soon(_cancel_on_disconnect, receive, group.cancel_scope)
        await answer(request.app.state.backend.client, question, send_line)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        group.cancel_scope.cancel()


async def _cancel_on_disconnect(receive: Receive, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
