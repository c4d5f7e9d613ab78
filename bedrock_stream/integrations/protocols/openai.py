"""`openai`: the chunks of OpenAI's chat completions, and the pieces that their streamed and whole answers share.

What the form has no words for is left out: citations, images, the traces of guardrails. Reasoning goes out as
`reasoning_content`, and once more, whole and with its signature, in `reasoning_details`, which goes back on the next
turn: without it a family that thinks before it calls a tool refuses the tool's result. A call's input is passed on as
the text that it came as, JSON or not, since this form promises no more. Source: OpenAI's API reference, chat chunks.
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
from ..http_errors import Problem, problem_of
from . import Said, server_sent

__all__ = ("OpenAIChunks", "completion_id", "error_json", "finish_reason", "reasoning_detail", "usage_json")

_DONE = b"data: [DONE]\n\n"
_LENGTH = ("max_tokens", "model_context_window_exceeded")
_FILTERED = ("guardrail_intervened", "content_filtered", "refusal")


class OpenAIChunks:
    """The writer. The chunk with the finish reason waits for the answer's proper end."""

    headers: Mapping[str, str] = {}
    request_id_headers: tuple[str, ...] = (
        "x-amzn-requestid",
        "x-request-id",
    )  # the second is where OpenAI's clients look

    def __init__(self, model: str, *, include_usage: bool = False, answer_tool: str | None = None) -> None:
        """`answer_tool`: the name of a tool whose input is the answer's text; see `output`."""
        self._frame = {
            "id": completion_id(),
            "object": "chat.completion.chunk",
            "created": int(time()),
            "model": model,
        }
        self._include_usage = include_usage
        self._answer_tool = answer_tool
        self._encode = msgspec.json.Encoder().encode
        self._calls: dict[int, int] = {}  # by the place of their block, their place among the calls
        self._answering: int | None = None  # the block of the answer tool
        self._reasoning: dict[int, ReasoningDelta] = {}
        self._metadata = Metadata()
        self._stop_reason: str | None = None

    def event(self, event: Said) -> bytes:
        """See `Writer`."""
        match event:
            case TextDelta(text=text):
                return self._delta({"content": text})
            case MessageStart():
                return self._delta({"role": "assistant", "content": ""})
            case ReasoningDelta():
                return self._reason(event)
            case ToolCallStart() | ToolCallDelta() | ToolCallEnd():
                return self._call(event)
            case BlockStop(index=index) if index in self._reasoning:
                return self._delta({"reasoning_details": [_detail_of(self._reasoning.pop(index))]})
            case MessageStop(stop_reason=reason):
                self._stop_reason = reason
            case Metadata():
                self._metadata = self._metadata.merged(event)
        return b""

    def end(self) -> bytes:
        """See `Writer`."""
        reason = finish_reason(self._stop_reason, calls=bool(self._calls))
        end = self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}])
        if self._include_usage:
            end += self._chunk([], usage=usage_json(self._metadata.usage))
        return end + _DONE

    def failed(self, error: BedrockStreamError) -> bytes:
        """See `Writer`."""
        if isinstance(error, ToolInputError):
            return self.end()  # the message is whole, and this form leaves judging the input to its reader
        return server_sent(self.refusal(problem_of(error)))

    def refusal(self, problem: Problem) -> bytes:
        """See `Writer`."""
        return self._encode(error_json(problem))

    def _reason(self, event: ReasoningDelta) -> bytes:
        before = self._reasoning.get(event.index) or ReasoningDelta(event.index)
        self._reasoning[event.index] = ReasoningDelta(
            event.index,
            _joined(before.text, event.text),
            _joined(before.signature, event.signature),
            _joined(before.redacted, event.redacted),
        )
        return self._delta({"reasoning_content": event.text}) if event.text else b""

    def _call(self, event: ToolCallStart | ToolCallDelta | ToolCallEnd) -> bytes:
        index = event.index
        if isinstance(event, ToolCallStart):
            if event.name == self._answer_tool:
                self._answering = index
                return b""
            if event.server:
                return b""
            place = self._calls[index] = len(self._calls)
            function = {"name": event.name, "arguments": ""}
            return self._delta(
                {"tool_calls": [{"index": place, "id": event.id, "type": "function", "function": function}]}
            )
        if isinstance(event, ToolCallEnd) and event.raw:
            return b""
        # No input at all is an empty object, which readers expect to be spelled out.
        piece = event.input_json if isinstance(event, ToolCallDelta) else "{}"
        if index == self._answering:
            return self._delta({"content": piece})
        if index not in self._calls:
            return b""
        return self._delta({"tool_calls": [{"index": self._calls[index], "function": {"arguments": piece}}]})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        chunk: dict[str, Any] = {**self._frame, "choices": choices}
        if self._include_usage:
            chunk["usage"] = usage
        return server_sent(self._encode(chunk))


def completion_id() -> str:
    """A new id of a completion."""
    return f"chatcmpl-{uuid4().hex}"


def finish_reason(stop_reason: str | None, *, calls: bool) -> str:
    """OpenAI's word. Models are known to call tools and to say that they merely ended; the calls count."""
    if stop_reason in _LENGTH:
        return "length"
    if stop_reason in _FILTERED:
        return "content_filter"
    return "tool_calls" if calls else "stop"


def usage_json(usage: Usage | None) -> dict[str, Any] | None:
    """The counts, None where the service did not give them all. OpenAI's prompt tokens include the cached ones."""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    prompt = usage.input_tokens + (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    counted = {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
    }
    cache = {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens}
    details = {name: count for name, count in cache.items() if count is not None}
    return {**counted, "prompt_tokens_details": details} if details else counted


def reasoning_detail(text: str | None, signature: str | None, redacted: bytes | None) -> dict[str, Any]:
    """A whole block of reasoning in the form that goes back on the next turn."""
    if redacted is not None:
        return {"type": "reasoning.encrypted", "data": b64encode(redacted).decode()}
    return {"type": "reasoning.text", "text": text or "", "signature": signature}


def error_json(problem: Problem, param: str | None = None) -> dict[str, Any]:
    """A failure in OpenAI's form."""
    kind = _KINDS.get(problem.status, "invalid_request_error" if problem.status < 500 else "server_error")
    code = _CODES.get(problem.type) or problem.code or None
    return {"error": {"message": problem.message, "type": kind, "code": code, "param": param}}


_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {
    "ContextWindowExceeded": "context_length_exceeded",
    "ResourceNotFound": "model_not_found",
    "Throttled": "rate_limit_exceeded",
}


def _detail_of(block: ReasoningDelta) -> dict[str, Any]:
    return reasoning_detail(block.text, block.signature, block.redacted)


def _joined(before: Any, piece: Any) -> Any:
    return before if piece is None else piece if before is None else before + piece
