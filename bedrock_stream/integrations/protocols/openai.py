"""The `openai` protocol: chunks of OpenAI's chat completions, and the JSON that streamed and other responses share.

Events without an equivalent are omitted: citations, images, guardrail traces. Reasoning is sent as `reasoning_content`,
and once more as a complete block with its signature in `reasoning_details`, for the client to return on the next turn:
without it, models that reason before a tool call reject the tool's result. The input of a tool call is passed on as
text, valid JSON or not, as OpenAI's API does. Source: OpenAI's API reference, "Chat Completions" and its chunk object.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from time import time
from typing import Any
from uuid import uuid4

import msgspec

from ...errors import BedrockStreamError, ToolInputError
from ...types.events import (
    BlockStop,
    MessageStart,
    MessageStop,
    Metadata,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from ..http_errors import ErrorDetails, error_details
from ..usage import total_input_tokens
from . import DONE, StreamItem, server_sent

__all__ = (
    "OpenAIChunks",
    "completion_id",
    "error_json",
    "finish_reason",
    "malformed_output",
    "reasoning_detail",
    "usage_json",
)

_LENGTH = ("max_tokens", "model_context_window_exceeded")
_FILTERED = ("guardrail_intervened", "content_filtered", "refusal")
# Stop reasons of a message that the service could not read. OpenAI's API has no finish reason for them.
_MALFORMED = {
    "malformed_tool_use": "The model's tool call is malformed.",
    "malformed_model_output": "The model's output is malformed.",
}


class OpenAIChunks:
    """The writer of the `openai` protocol. The chunk with the finish reason is written by `end` only."""

    headers: Mapping[str, str] = {}
    # OpenAI's clients read x-request-id.
    request_id_headers: tuple[str, ...] = ("x-amzn-requestid", "x-request-id")

    def __init__(self, model: str, *, include_usage: bool = False, answer_tool: str | None = None) -> None:
        """`answer_tool`: the name of a tool whose input is the message's text; see `request.output_schema`."""
        # Every chunk of a completion repeats these.
        self._envelope = {
            "id": completion_id(),
            "object": "chat.completion.chunk",
            "created": int(time()),
            "model": model,
        }
        self._include_usage = include_usage
        self._answer_tool = answer_tool
        self._encode = msgspec.json.Encoder().encode
        self._calls: dict[int, int] = {}  # block index -> index in `tool_calls`
        self._answer_block: int | None = None  # block index of the answer tool's call
        self._reasoning: dict[int, ReasoningDelta] = {}
        self._metadata = Metadata()
        self._stop_reason: str | None = None

    def event(self, event: StreamItem) -> bytes:
        """See `Writer`."""
        match event:
            case TextDelta(text=text):
                return self._delta({"content": text})
            case MessageStart():
                # The first chunk names the role.
                return self._delta({"role": "assistant", "content": ""})
            case ReasoningDelta():
                return self._reason(event)
            case ToolCallStart() | ToolCallDelta() | ToolCallEnd():
                return self._call(event)
            # The signature is complete at the end of the block.
            case BlockStop(index=index) if index in self._reasoning:
                return self._delta({"reasoning_details": [_block_detail(self._reasoning.pop(index))]})
            case MessageStop(stop_reason=reason):
                self._stop_reason = reason
            case Metadata():
                self._metadata = self._metadata.merged(event)
        return b""

    def end(self) -> bytes:
        """See `Writer`."""
        if (malformed := malformed_output(self._stop_reason)) is not None:
            return server_sent(self.refusal(malformed))
        reason = finish_reason(self._stop_reason, calls=bool(self._calls))
        end = self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}])
        if self._include_usage:
            # The chunk with the usage is the last one, and has no choices.
            end += self._chunk([], usage=usage_json(self._metadata.usage))
        return end + DONE

    def failed(self, error: BedrockStreamError) -> bytes:
        """See `Writer`."""
        if isinstance(error, ToolInputError):
            return self.end()  # the message is complete, and clients parse the input themselves
        # OpenAI's clients raise an error for a chunk with `error`. [DONE] does not follow it.
        return server_sent(self.refusal(error_details(error)))

    def refusal(self, details: ErrorDetails) -> bytes:
        """See `Writer`."""
        return self._encode(error_json(details))

    def _reason(self, event: ReasoningDelta) -> bytes:
        block = self._reasoning.get(event.index) or ReasoningDelta(event.index)
        self._reasoning[event.index] = ReasoningDelta(
            event.index,
            _append(block.text, event.text),
            _append(block.signature, event.signature),
            _append(block.redacted, event.redacted),
        )
        return self._delta({"reasoning_content": event.text}) if event.text else b""

    def _call(self, event: ToolCallStart | ToolCallDelta | ToolCallEnd) -> bytes:
        index = event.index
        if isinstance(event, ToolCallStart):
            if event.name == self._answer_tool:
                self._answer_block = index
                return b""
            if event.server:
                return b""  # a client would try to run it
            # The first chunk of a call has id, type and name; the others are matched to it by the index.
            position = self._calls[index] = len(self._calls)
            function = {"name": event.name, "arguments": ""}
            return self._delta(
                {"tool_calls": [{"index": position, "id": event.id, "type": "function", "function": function}]}
            )
        if isinstance(event, ToolCallEnd) and event.raw:
            return b""  # its fragments are already sent
        # A call without input had no fragments, but clients parse the arguments as JSON.
        fragment = event.input_json if isinstance(event, ToolCallDelta) else "{}"
        if index == self._answer_block:
            return self._delta({"content": fragment})
        if index not in self._calls:
            return b""
        return self._delta({"tool_calls": [{"index": self._calls[index], "function": {"arguments": fragment}}]})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        chunk: dict[str, Any] = {**self._envelope, "choices": choices}
        # With `stream_options.include_usage`, every chunk has `usage`: null in all but the last.
        if self._include_usage:
            chunk["usage"] = usage
        return server_sent(self._encode(chunk))


def completion_id() -> str:
    """Return a new completion id."""
    return f"chatcmpl-{uuid4().hex}"


def finish_reason(stop_reason: str | None, *, calls: bool) -> str:
    """Return OpenAI's finish reason for a stop reason."""
    if stop_reason in _LENGTH:
        return "length"
    if stop_reason in _FILTERED:
        return "content_filter"
    # Some models call tools and report `end_turn`, so the calls decide.
    return "tool_calls" if calls else "stop"


def malformed_output(stop_reason: str | None) -> ErrorDetails | None:
    """Return the error for the stop reason of a malformed message, which must not look like a normal end."""
    message = _MALFORMED.get(stop_reason or "")
    if message is None:
        return None
    return ErrorDetails(status=502, type="ModelError", message=message, code=stop_reason or "")


def usage_json(usage: Usage | None) -> dict[str, Any] | None:
    """Build OpenAI's usage object; None if the service did not report both counts."""
    prompt = None if usage is None else total_input_tokens(usage)
    if usage is None or prompt is None or usage.output_tokens is None:
        return None
    # OpenAI's prompt tokens include the cached ones.
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
    }
    cache = {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens}
    details = {name: count for name, count in cache.items() if count is not None}
    return {**counts, "prompt_tokens_details": details} if details else counts


def reasoning_detail(text: str | None, signature: str | None, redacted: bytes | None) -> dict[str, Any]:
    """Build the JSON of a complete reasoning block, which the client returns on the next turn."""
    if redacted is not None:
        return {"type": "reasoning.encrypted", "data": b64encode(redacted).decode()}
    return {"type": "reasoning.text", "text": text or "", "signature": signature}


def error_json(details: ErrorDetails, param: str | None = None) -> dict[str, Any]:
    """Build OpenAI's error object."""
    kind = _TYPES.get(details.status, "invalid_request_error" if details.status < 500 else "server_error")
    code = _CODES.get(details.type) or details.code or None
    return {"error": {"message": details.message, "type": kind, "code": code, "param": param}}


# OpenAI's error types by HTTP status, and its error codes by this library's error class.
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {
    "ContextWindowExceeded": "context_length_exceeded",
    "ResourceNotFound": "model_not_found",
    "Throttled": "rate_limit_exceeded",
}


def _block_detail(block: ReasoningDelta) -> dict[str, Any]:
    return reasoning_detail(block.text, block.signature, block.redacted)


def _append(value: Any, fragment: Any) -> Any:
    return value if fragment is None else fragment if value is None else value + fragment
