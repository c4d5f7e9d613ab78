"""OpenAI's Chat Completions: chunks with the counts in a chunk of their own, and `[DONE]` at the end.

Reasoning has a member of its own, except on bedrock-runtime, where gpt-oss has it in the text, in tags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any

from msgspec.structs import replace

from ...service.asked import Asked
from ...steps import Citation, NoDone, Reasoning, ResponseFailed, Step, ToolUse
from ..facts import CREATED, Facts, last_metadata, reasoning_tokens
from ..native.chunks import ChunkComposer, extras
from ..native.openai_answer import FINISH, call_of
from ..rendering import Form, WireEvent, answer_document
from ..sse import SSE, ChatWriter, Documents
from .chat_request import read
from .openai_rules import is_gpt_oss

__all__ = ("number_calls", "read_chat")

_DONE = WireEvent("", b"[DONE]")


def read_chat(asked: Asked) -> tuple[dict[str, Any], Form]:
    """Return the conversation as a Converse body, and the form of its answer. Raises `Refusal`."""
    body = asked.body
    wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    in_tags = is_gpt_oss(asked.model) and asked.path.startswith("/openai/")
    own_ids = is_gpt_oss(asked.model) or asked.path.startswith("/v1/")
    return read(asked), Form(
        partial(_Events, wants_usage, in_tags), partial(_document, in_tags), unsupported=_is_unsupported,
        writer=ChatWriter, content_type=SSE, streamed=bool(body.get("stream")),
        prepare=list if own_ids else number_calls,
    )  # fmt: skip


def number_calls(steps: list[Step]) -> list[Step]:
    """Give the calls of an answer the ids `call_0`, `call_1`, which begin anew in each answer."""
    numbers = count()
    return [
        replace(step, id=f"call_{next(numbers)}") if isinstance(step, ToolUse) and step.id is None else step
        for step in steps
    ]


def _is_unsupported(step: Step) -> bool:
    return isinstance(step, Citation | ResponseFailed) or (isinstance(step, Reasoning) and step.redacted is not None)


def _with_call_prefix(facts: Facts) -> Facts:
    return facts._replace(call_prefix="chatcmpl-tool-")


def _envelope(kind: str, facts: Facts, choices: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    identity = {"id": f"chatcmpl-{facts.message_id()}", "object": kind, "created": CREATED, "model": facts.model}
    return {**identity, "choices": choices, **members}


def _usage(metadata: dict[str, Any], steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    usage = metadata["usage"]
    cached, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
    # Cached tokens are part of the prompt's here, and not on Converse.
    prompt, completion = usage.get("inputTokens", 0) + cached + written, usage.get("outputTokens", 0)
    counts: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if cached or written:
        counts["prompt_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": written}
    if not is_gpt_oss(facts.model):
        counts["completion_tokens_details"] = {"reasoning_tokens": reasoning_tokens(steps)}
    return counts


class _Events(Documents, ChunkComposer):
    def __init__(self, wants_usage: bool, in_tags: bool, steps: Sequence[Step], facts: Facts) -> None:
        super().__init__(steps, _with_call_prefix(facts))
        self._wants_usage, self._in_tags = wants_usage, in_tags
        self._calls = -1
        self._has_done = not any(isinstance(step, NoDone) for step in steps)

    def finish(self) -> Iterator[WireEvent]:
        yield from super().finish()
        if self._has_done:
            yield _DONE

    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match name:
            case "messageStart":
                yield self._chunk({"role": "assistant", "content": ""})
            case "contentBlockStart":
                self._calls += 1
                call = payload["start"]["toolUse"]
                function = {"name": call["name"], "arguments": ""}
                yield self._call(id=call["toolUseId"], type="function", function=function)
            case "contentBlockDelta":
                yield from self._delta(payload["delta"])
            case "messageStop":
                yield self._chunk({}, FINISH.get(payload["stopReason"], payload["stopReason"]))
            case "metadata" if self._wants_usage:
                usage = _usage(payload, self.steps, self.facts)
                yield _envelope("chat.completion.chunk", self.facts, [], usage=usage, **extras(payload))

    def _delta(self, delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match delta:
            case {"text": text}:
                yield self._chunk({"content": text})
            case {"reasoningContent": {"text": text}} if self._in_tags:
                yield self._chunk({"content": f"<reasoning>{text}</reasoning>"})
            case {"reasoningContent": {"text": text}}:
                yield self._chunk({"reasoning": text})
            case {"toolUse": {"input": fragment}}:
                yield self._call(function={"arguments": fragment})
            # There are no signatures, so they are dropped.

    def _call(self, **members: Any) -> dict[str, Any]:
        return self._chunk({"tool_calls": [{"index": self._calls, **members}]})

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        usage = {"usage": None} if self._wants_usage else {}
        return _envelope("chat.completion.chunk", self.facts, [choice], **usage)


def _document(in_tags: bool, steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    facts = _with_call_prefix(facts)
    answer = answer_document(steps, facts)
    blocks = answer["output"]["message"]["content"]
    thoughts = "".join(_thought(block) for block in blocks if "reasoningContent" in block)
    content = "".join(str(block["text"]) for block in blocks if "text" in block)
    if thoughts and in_tags:
        thoughts, content = "", f"<reasoning>{thoughts}</reasoning>{content}"
    message: dict[str, Any] = {"role": "assistant", "content": content or None, "refusal": None}
    if thoughts:
        message["reasoning"] = thoughts
    if calls := [call_of(block["toolUse"]) for block in blocks if "toolUse" in block]:
        message["tool_calls"] = calls
    reason = FINISH.get(answer["stopReason"], answer["stopReason"])
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    metadata = facts.metadata(steps, last_metadata(steps))
    usage = {"usage": None if last_metadata(steps).absent else _usage(metadata, steps, facts)}
    return _envelope("chat.completion", facts, [choice], service_tier="default", **usage, **extras(metadata))


def _thought(block: dict[str, Any]) -> str:
    return str(block["reasoningContent"]["reasoningText"]["text"])
