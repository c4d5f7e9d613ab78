"""Chat completions as HTTP responses, streamed or not.

The header `x-bedrock-stream-changes` says what was changed of the request, so that the model accepts it.
"""

from __future__ import annotations

from time import time
from typing import Any

import msgspec
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from ..client.stream import Stream
from ..errors import BedrockStreamError, ToolInputError
from ..integrations.asgi import CLIENT_CLOSED_REQUEST, run_until_disconnect
from ..integrations.http_errors import ErrorDetails, error_details
from ..integrations.protocols import request_id_headers
from ..integrations.protocols.openai import (
    OpenAIChunks,
    completion_id,
    error_json,
    finish_reason,
    malformed_output,
    reasoning_detail,
    usage_json,
)
from ..integrations.starlette import EventResponse
from ..types.messages import Reasoning
from ..types.response import Response as ModelResponse
from .logs import CompletionLog

__all__ = ("ChunksResponse", "CompletionResponse", "changes_headers", "completion_json")

_MAX_CHANGES = 2000  # characters; servers and proxies limit the size of headers


class ChunksResponse(EventResponse):
    """A streamed completion."""

    stream: Stream

    def __init__(
        self,
        stream: Stream,
        writer: OpenAIChunks,
        model: str,
        notes: tuple[str, ...],
        log: CompletionLog,
        *,
        heartbeat: float | None,
    ) -> None:
        super().__init__(stream, writer, heartbeat=heartbeat)
        self._model = model
        self._notes = notes
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        try:
            await super().__call__(scope, self._log.watch(receive, self.stream), send)
        finally:
            self._log.write(scope, self.stream)

    def _start(self) -> Message:
        # Known only now: after a failover, it is another target's request that was changed.
        self.headers.update(changes_headers(self._notes, self.stream, self._model))
        self._log.status = self.status_code
        if self.stream.delivered:  # else a heartbeat starts the response
            self._log.note_first_event()
        return super()._start()

    def _error_headers(self, details: ErrorDetails) -> dict[str, str]:
        self._log.status = self._log.status or details.status
        return {**super()._error_headers(details), **changes_headers(self._notes, self.stream, self._model)}


class CompletionResponse(Response):
    """A completion that is read to its end before its status and body are sent."""

    def __init__(
        self, stream: Stream, model: str, answer_tool: str | None, notes: tuple[str, ...], log: CompletionLog
    ) -> None:
        super().__init__()
        self._log = log
        self._notes = notes
        self._stream = stream
        self._model = model
        self._answer_tool = answer_tool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        response: Response

        async def read() -> None:
            nonlocal response
            response = await self._read()

        try:
            if not await run_until_disconnect(self._log.watch(receive, self._stream), read):
                # No client receives this, but middleware expects a response.
                response = Response(status_code=CLIENT_CLOSED_REQUEST)
            self._log.status = response.status_code
        finally:
            await self._stream.aclose()
            self._log.write(scope, self._stream)
        await response(scope, receive, send)

    async def _read(self) -> Response:
        try:
            async for _event in self._stream:
                self._log.note_first_event()
                break
            return self._completion(await self._stream.response())
        except ToolInputError as error:
            # The message is complete, and OpenAI's API carries arguments as text, valid JSON or not.
            return self._completion(error.partial)
        except BedrockStreamError as error:
            details = error_details(error)
            return self._error(details, details.request_id)

    def _completion(self, response: Any) -> Response:
        malformed = malformed_output(response.stop_reason)
        if malformed is not None:
            return self._error(malformed, response.request_id)
        body = completion_json(response, self._model, self._answer_tool)
        return JSONResponse(body, 200, self._completion_headers(response.request_id))

    def _error(self, details: ErrorDetails, request_id: str | None) -> Response:
        headers = self._completion_headers(request_id) | details.headers
        return JSONResponse(error_json(details), details.status, headers)

    def _completion_headers(self, request_id: str | None) -> dict[str, str]:
        return {
            "cache-control": "no-store",
            **request_id_headers(OpenAIChunks.request_id_headers, request_id),
            **changes_headers(self._notes, self._stream, self._model),
        }


def changes_headers(notes: tuple[str, ...], stream: Any, model: str) -> dict[str, str]:
    """Return the header that lists the changes of a request; none without changes. `model`: the requested name."""
    # The id behind a name may be an ARN with the number of the account.
    text = "; ".join([*notes, *(change.replace(stream.model, model) for change in stream.changes)])
    # Header values are ASCII without control characters; sentences may quote names of the request.
    safe = "".join(
        character if character.isprintable() else " " for character in text.encode("ascii", "replace").decode()
    )
    return {"x-bedrock-stream-changes": safe[:_MAX_CHANGES].strip()} if text else {}


def completion_json(response: ModelResponse, model: str, answer_tool: str | None = None) -> dict[str, Any]:
    """Build the JSON body of a `POST /v1/chat/completions` response without streaming.

    `model`: the name that the client requested. `answer_tool`: the name of the tool whose input is the text of the
    message, where structured output is implemented with a tool; see `request.output_schema`.
    """
    broken = [call for call in response.broken_tool_calls if not call.server]
    # OpenAI's API carries arguments as text, so arguments that are not valid JSON are passed on unchanged.
    calls = [_call(call.id, call.name, msgspec.json.encode(call.input).decode()) for call in response.tool_calls]
    calls += [_call(call.id, call.name, call.raw) for call in broken if call.name != answer_tool]
    # The input of the answer tool is already the message's text, unless it is truncated.
    truncated = "".join(call.raw for call in broken if call.name == answer_tool)
    text = response.text or response.message.text or truncated
    # `content` and `refusal` are required and nullable; `tool_calls` is omitted if there are no calls.
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    details = [
        reasoning_detail(block.text, block.signature, block.redacted)
        for block in response.message.content
        if isinstance(block, Reasoning)
    ]
    if details:
        message |= {"reasoning_content": response.reasoning, "reasoning_details": details}
    reason = finish_reason(response.stop_reason, calls=bool(calls))
    return {
        "id": completion_id(),
        "object": "chat.completion",
        "created": int(time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": usage_json(response.usage),
    }


def _call(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
