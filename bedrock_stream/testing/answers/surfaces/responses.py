"""OpenAI's Responses: typed events that build up the output, which the last one has whole.

The document is the response of the stream's last event, so the two are equal. Reasoning of gpt-oss is text; that of
other models is a summary and, if the request includes it, encrypted.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar

import msgspec

from ...service.asked import Asked
from ...service.stored import StoredResponses
from ...steps import ResponseFailed, Start, Step
from ..facts import CREATED, Facts, reasoning_tokens
from ..native.chunks import ChunkComposer, extras
from ..rendering import Form, WireEvent, answer_document
from ..sse import SSE, Documents, ResponsesWriter
from .chat import number_calls
from .openai_rules import is_gpt_oss
from .response_items import Output
from .responses_request import read

__all__ = ("read_responses",)

_ECHOED: dict[str, Any] = {
    "background": False, "frequency_penalty": 0.0, "instructions": None, "max_output_tokens": None,
    "max_tool_calls": None, "metadata": {}, "parallel_tool_calls": True, "presence_penalty": 0.0,
    "previous_response_id": None, "prompt_cache_key": None, "safety_identifier": None, "store": True,
    "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled",
    "user": None,
}  # fmt: skip
_INCOMPLETE = {
    "max_tokens": "max_output_tokens", "content_filtered": "content_filter", "guardrail_intervened": "content_filter",
}  # fmt: skip


class _Request:
    """What an answer repeats of its request, and where it is stored."""

    def __init__(self, asked: Asked, converse: dict[str, Any]) -> None:
        body = asked.body
        digest = sha256(msgspec.json.encode([asked.model, converse, body.get("store")], order="deterministic"))
        self.id = "resp_" + _base32(digest.digest())
        self.echoed = {name: body[name] if body.get(name) is not None else value for name, value in _ECHOED.items()}
        self.echoed["reasoning"] = {"effort": None, "summary": None, **(body.get("reasoning") or {})}
        self.echoed["text"] = {"format": {"type": "text"}, "verbosity": "medium", **(body.get("text") or {})}
        self.is_encrypted = "reasoning.encrypted_content" in (body.get("include") or ())
        self.pads = (body.get("stream_options") or {}).get("include_obfuscation", True)
        self._messages: list[dict[str, Any]] = converse["messages"]
        self._stored: StoredResponses | None = None if body.get("store") is False else asked.stored

    def keep(self, steps: Sequence[Step], facts: Facts) -> None:
        """Store the conversation with its answer, unless the request says no."""
        if self._stored is not None:
            message = answer_document(steps, facts)["output"]["message"]
            turns = [message] if message["content"] else []
            self._stored.keep(self.id, [*self._messages, *turns])


def read_responses(asked: Asked) -> tuple[dict[str, Any], Form]:
    """Return the conversation as a Converse body, and the form of its answer. Raises `Refusal`."""
    converse = read(asked)
    request = _Request(asked, converse)
    return converse, Form(
        partial(_Events, request), partial(_document, request), writer=ResponsesWriter, content_type=SSE,
        streamed=bool(asked.body.get("stream")), prepare=number_calls,
    )  # fmt: skip


def _base32(digest: bytes) -> str:
    return b32encode(digest).decode().rstrip("=").lower()


class _Events(Documents, ChunkComposer):
    names: ClassVar[dict[str, str]] = {"response.created": "messageStart", "response.completed": "messageStop"}

    def __init__(self, request: _Request, steps: Sequence[Step], facts: Facts) -> None:
        super().__init__(steps, facts)
        self._request = request
        self._output = Output(
            request.id, steps, is_open=is_gpt_oss(facts.model), is_encrypted=request.is_encrypted, pads=request.pads
        )

    def compose(self, step: Step) -> Iterator[WireEvent]:
        if isinstance(step, ResponseFailed):
            yield from super().compose(Start())
            yield self.wire({"type": "response.failed", "response": self.failed(step)})
        else:
            yield from super().compose(step)

    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match name:
            case "messageStart":
                for kind in ("response.created", "response.in_progress"):
                    yield {"type": kind, "response": self._response("in_progress", service_tier="auto")}
            case "contentBlockStart":
                yield from self._output.begin_call(payload["start"]["toolUse"])
            case "contentBlockDelta":
                yield from self._output.delta(payload["delta"])
            case "contentBlockStop":
                yield from self._output.end()
            case "messageStop":
                self._request.keep(self.steps, self.facts)
                response = self.response(payload["stopReason"])
                yield {"type": f"response.{response['status']}", "response": response}

    def response(self, reason: str) -> dict[str, Any]:
        """Return the whole response."""
        usage = {} if self.scripted_metadata.absent else {"usage": self._usage()}
        if reason in _INCOMPLETE:
            return self._response("incomplete", incomplete_details={"reason": _INCOMPLETE[reason]}, **usage)
        return self._response("completed", completed_at=CREATED, **usage)

    def failed(self, step: ResponseFailed) -> dict[str, Any]:
        """Return the response of a failure."""
        return self._response("failed", error={"code": step.code, "message": step.message})

    def _response(self, status: str, **members: Any) -> dict[str, Any]:
        own = {
            "id": self._request.id, "object": "response", "created_at": CREATED, "completed_at": None, "error": None,
            "incomplete_details": None, "model": self.facts.model, "output": list(self._output.items),
            "service_tier": "default", "status": status, "usage": None,
        }  # fmt: skip
        return {**self._request.echoed, **own, **extras(self.metadata), **members}

    def _usage(self) -> dict[str, Any]:
        usage = self.metadata["usage"]
        cached, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
        # Cached tokens are part of the input's here, and not on Converse.
        total, output = usage.get("inputTokens", 0) + cached + written, usage.get("outputTokens", 0)
        # gpt-oss counts no reasoning.
        thoughts = 0 if is_gpt_oss(self.facts.model) else reasoning_tokens(self.steps)
        return {
            "input_tokens": total,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": thoughts},
            "total_tokens": total + output,
        }


def _document(request: _Request, steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    composer = _Events(request, steps, facts)
    for step in steps:
        if isinstance(step, ResponseFailed):
            # A document that failed has no output.
            return {**composer.failed(step), "output": []}
        for _ in composer.compose(step):
            pass
    for _ in composer.finish():
        pass
    return composer.response(composer.stop.reason)
