"""Answers in the words of Chat Completions, as gpt-oss gives them on Bedrock.

Reasoning stands inside the content, each delta of it in tags of its own. Bedrock's metrics are on the last chunk: the
one with the finish reason, or the one with the usage where `stream_options` asks for that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from ...steps import Citation, Reasoning, Step
from ..facts import Facts, last_metadata
from ..rendering import Form, whole_answer
from .chunks import STREAM_HEADERS, ChunkComposer, count_headers, extras, metrics

__all__ = ("form",)

_CREATED = 1751371200  # answers repeat exactly, so they are always as old as this
_FINISH = {
    "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls",
    "content_filtered": "content_filter", "guardrail_intervened": "content_filter",
}  # fmt: skip


def form(body: dict[str, Any]) -> Form:
    """How gpt-oss answers this body."""
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    return Form(partial(_Chunks, asked), _whole, count_headers, STREAM_HEADERS, _is_unsayable)


def _is_unsayable(step: Step) -> bool:
    return isinstance(step, Citation) or (isinstance(step, Reasoning) and step.redacted is not None)


def _own(facts: Facts) -> Facts:
    return facts._replace(call_prefix="chatcmpl-tool-")


def _envelope(kind: str, facts: Facts, choices: list[dict[str, Any]]) -> dict[str, Any]:
    identity = {"id": f"chatcmpl-{facts.message_id()}", "model": facts.model, "object": kind, "service_tier": "auto"}
    return {"choices": choices, "created": _CREATED, **identity}


def _usage(closing: dict[str, Any]) -> dict[str, int]:
    usage = closing["usage"]
    prompt, completion = usage.get("inputTokens", 0), usage.get("outputTokens", 0)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _tagged(thought: str) -> str:
    return f"<reasoning>{thought}</reasoning>"


class _Chunks(ChunkComposer):
    def __init__(self, usage_asked: bool, steps: Sequence[Step], facts: Facts) -> None:
        super().__init__(steps, _own(facts))
        self._usage_asked = usage_asked
        self._calls = -1
        self._begun: dict[str, Any] | None = None  # a call that is named together with its first fragment

    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match name:
            case "messageStart":
                yield self._said({"role": "assistant", "content": ""})
            case "contentBlockStart":
                call = payload["start"]["toolUse"]
                self._calls += 1
                self._begun = {"id": call["toolUseId"], "type": "function", "function": {"name": call["name"]}}
            case "contentBlockDelta":
                yield from self._delta(payload["delta"])
            case "messageStop":
                # The metrics are on this chunk unless the usage gets one of its own.
                counted = {} if self._usage_asked or self.said.absent else metrics(self.closing)
                reason = _FINISH.get(payload["stopReason"], payload["stopReason"])
                yield {**self._said({}, reason), **counted}
            case "metadata" if self._usage_asked:
                whole = _envelope("chat.completion.chunk", self.facts, [])
                yield {**whole, "usage": _usage(payload), **metrics(payload)}

    def settle(self) -> Iterator[dict[str, Any]]:
        if self._begun is not None:
            yield self._fragment("")

    def _said(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _envelope("chat.completion.chunk", self.facts, [choice])

    def _delta(self, delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match delta:
            case {"text": text}:
                yield self._said({"content": text})
            case {"reasoningContent": {"text": text}}:
                yield self._said({"content": _tagged(text)})
            case {"toolUse": {"input": fragment}}:
                yield self._fragment(fragment)
            # Signatures are Claude's; gpt-oss has none.

    def _fragment(self, arguments: str) -> dict[str, Any]:
        begun, self._begun = self._begun or {"function": {}}, None
        function = {**begun.pop("function"), "arguments": arguments}
        return self._said({"tool_calls": [{"index": self._calls, **begun, "function": function}]})


# ---------------------------------------------------------------------------------------------------------- as JSON


def _whole(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    facts = _own(facts)
    answer = whole_answer(steps, facts)
    blocks = answer["output"]["message"]["content"]
    message: dict[str, Any] = {"content": "".join(map(_spoken, blocks)) or None, "role": "assistant"}
    if calls := [_call(block["toolUse"]) for block in blocks if "toolUse" in block]:
        message["tool_calls"] = calls
    reason = _FINISH.get(answer["stopReason"], answer["stopReason"])
    own = _envelope("chat.completion", facts, [{"finish_reason": reason, "index": 0, "message": message}])
    closing = facts.metadata(steps, last_metadata(steps))
    return {**own, "usage": _usage(closing), **extras(closing)}


def _spoken(block: dict[str, Any]) -> str:
    if "reasoningContent" in block:
        return _tagged(block["reasoningContent"]["reasoningText"]["text"])
    return str(block.get("text", ""))


def _call(call: dict[str, Any]) -> dict[str, Any]:
    raw = call["input"] if isinstance(call["input"], str) else json.dumps(call["input"], ensure_ascii=False)
    return {"id": call["toolUseId"], "type": "function", "function": {"name": call["name"], "arguments": raw}}
