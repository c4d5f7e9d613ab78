"""Answers in the format of Chat Completions, as of gpt-oss on Bedrock.

Reasoning is part of the content, each delta in its own `<reasoning>` tags. Bedrock's metrics are in the last chunk: the
one with the finish reason, or the one with the usage if `stream_options` requests it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from ...steps import Citation, Reasoning, Step
from ..facts import CREATED, Facts, last_metadata
from ..rendering import Form, answer_document
from .chunks import STREAM_HEADERS, ChunkComposer, count_headers, extras, metrics

__all__ = ("FINISH", "call_of", "form")

FINISH = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls",
    "content_filtered": "content_filter", "guardrail_intervened": "content_filter",
}  # fmt: skip
"""The finish reasons of Chat Completions, by Converse's stop reasons."""


def form(body: dict[str, Any]) -> Form:
    """Return the form of gpt-oss's answer to this body."""
    include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    return Form(partial(_Chunks, include_usage), _document, count_headers, STREAM_HEADERS, _is_unsupported)


def _is_unsupported(step: Step) -> bool:
    return isinstance(step, Citation) or (isinstance(step, Reasoning) and step.redacted is not None)


def _with_call_prefix(facts: Facts) -> Facts:
    return facts._replace(call_prefix="chatcmpl-tool-")


def _envelope(kind: str, facts: Facts, choices: list[dict[str, Any]]) -> dict[str, Any]:
    identity = {"id": f"chatcmpl-{facts.message_id()}", "model": facts.model, "object": kind, "service_tier": "auto"}
    return {"choices": choices, "created": CREATED, **identity}


def _usage(metadata: dict[str, Any]) -> dict[str, int]:
    usage = metadata["usage"]
    prompt, completion = usage.get("inputTokens", 0), usage.get("outputTokens", 0)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _in_tags(reasoning: str) -> str:
    return f"<reasoning>{reasoning}</reasoning>"


class _Chunks(ChunkComposer):
    def __init__(self, include_usage: bool, steps: Sequence[Step], facts: Facts) -> None:
        super().__init__(steps, _with_call_prefix(facts))
        self._include_usage = include_usage
        self._calls = -1
        self._pending_call: dict[str, Any] | None = None  # id and name, sent together with the first fragment

    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match name:
            case "messageStart":
                yield self._chunk({"role": "assistant", "content": ""})
            case "contentBlockStart":
                call = payload["start"]["toolUse"]
                self._calls += 1
                self._pending_call = {"id": call["toolUseId"], "type": "function", "function": {"name": call["name"]}}
            case "contentBlockDelta":
                yield from self._delta(payload["delta"])
            case "messageStop":
                # The metrics are in this chunk unless the usage has a chunk of its own.
                without_metrics = self._include_usage or self.scripted_metadata.absent
                counts = {} if without_metrics else metrics(self.metadata)
                reason = FINISH.get(payload["stopReason"], payload["stopReason"])
                yield {**self._chunk({}, reason), **counts}
            case "metadata" if self._include_usage:
                chunk = _envelope("chat.completion.chunk", self.facts, [])
                yield {**chunk, "usage": _usage(payload), **metrics(payload)}

    def flush(self) -> Iterator[dict[str, Any]]:
        # A call without input is sent with empty arguments.
        if self._pending_call is not None:
            yield self._fragment("")

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _envelope("chat.completion.chunk", self.facts, [choice])

    def _delta(self, delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match delta:
            case {"text": text}:
                yield self._chunk({"content": text})
            case {"reasoningContent": {"text": text}}:
                yield self._chunk({"content": _in_tags(text)})
            case {"toolUse": {"input": fragment}}:
                yield self._fragment(fragment)
            # gpt-oss has no signatures, so they are dropped.

    def _fragment(self, arguments: str) -> dict[str, Any]:
        call, self._pending_call = self._pending_call or {"function": {}}, None
        function = {**call.pop("function"), "arguments": arguments}
        return self._chunk({"tool_calls": [{"index": self._calls, **call, "function": function}]})


# ---------------------------------------------------------------------------------------------------------- document


def _document(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    facts = _with_call_prefix(facts)
    answer = answer_document(steps, facts)
    blocks = answer["output"]["message"]["content"]
    message: dict[str, Any] = {"content": "".join(map(_text_of, blocks)) or None, "role": "assistant"}
    if calls := [call_of(block["toolUse"]) for block in blocks if "toolUse" in block]:
        message["tool_calls"] = calls
    reason = FINISH.get(answer["stopReason"], answer["stopReason"])
    document = _envelope("chat.completion", facts, [{"finish_reason": reason, "index": 0, "message": message}])
    metadata = facts.metadata(steps, last_metadata(steps))
    return {**document, "usage": _usage(metadata), **extras(metadata)}


def _text_of(block: dict[str, Any]) -> str:
    if "reasoningContent" in block:
        return _in_tags(block["reasoningContent"]["reasoningText"]["text"])
    return str(block.get("text", ""))


def call_of(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call of a tool, from Converse's form."""
    raw = call["input"] if isinstance(call["input"], str) else json.dumps(call["input"], ensure_ascii=False)
    return {"id": call["toolUseId"], "type": "function", "function": {"name": call["name"], "arguments": raw}}
