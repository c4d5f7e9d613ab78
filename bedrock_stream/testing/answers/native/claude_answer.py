"""Answers in the words of Claude's Messages API, as Bedrock streams them: every block is opened, text blocks too.

The stop reason and the count of tokens come in `message_delta`; Bedrock's metrics are on `message_stop`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ...service.families import maker_of
from ...steps import Citation, Step
from ..facts import Facts, last_metadata
from ..rendering import Form, whole_answer
from .chunks import STREAM_HEADERS, ChunkComposer, count_headers, extras, metrics

__all__ = ("form",)

_REVISION = re.compile(r"-v\d+(:\d+)?$")
# A kind of Converse location -> Claude's kind, its index, and the stem of its start and end.
_LOCATIONS = {
    "documentChar": ("char_location", "document_index", "{}_char_index"),
    "documentPage": ("page_location", "document_index", "{}_page_number"),
    "documentChunk": ("content_block_location", "document_index", "{}_block_index"),
    "searchResultLocation": ("search_result_location", "search_result_index", "{}_block_index"),
}

_WEB = "web"


def form(_body: dict[str, Any]) -> Form:
    """How Claude answers."""
    return Form(_Chunks, _whole, count_headers, STREAM_HEADERS, _is_unsayable)


def _place(members: dict[str, Any]) -> str | None:
    return next(iter(members.get("location") or {}), None)


def _is_unsayable(step: Step) -> bool:
    return isinstance(step, Citation) and _place(step.members) not in (None, _WEB, *_LOCATIONS)


def _own(facts: Facts) -> Facts:
    return facts._replace(call_prefix="toolu_bdrk_")


def _message(facts: Facts, **members: Any) -> dict[str, Any]:
    name = _REVISION.sub("", maker_of(facts.model)[1])
    identity = {"id": f"msg_bdrk_{facts.message_id()}", "type": "message", "role": "assistant", "model": name}
    return {**identity, "content": [], "stop_reason": None, "stop_sequence": None, **members}


def _input_usage(usage: dict[str, Any]) -> dict[str, Any]:
    written = {entry["ttl"]: entry["inputTokens"] for entry in usage.get("cacheDetails", ())}
    wrote = usage.get("cacheWriteInputTokens", 0)
    return {
        "input_tokens": usage.get("inputTokens", 0),
        "cache_creation_input_tokens": wrote,
        "cache_read_input_tokens": usage.get("cacheReadInputTokens", 0),
        "cache_creation": {
            "ephemeral_5m_input_tokens": written.get("5m", 0 if written else wrote),
            "ephemeral_1h_input_tokens": written.get("1h", 0),
        },
    }


def _stopped(reason: str, fields: Any) -> dict[str, Any]:
    met = fields.get("stop_sequence") if isinstance(fields, dict) else None
    return {"stop_reason": reason, "stop_sequence": met}


def _citation(members: dict[str, Any]) -> dict[str, Any]:
    """A citation as Claude spells it. Without a place it is the first search result where it has a source, since only
    those say one, else the beginning of the first document.
    """
    kind = _place(members) or ("searchResultLocation" if "source" in members else "documentChar")
    place: dict[str, Any] = members.get("location", {}).get(kind, {})
    cited = "".join(part.get("text", "") for part in members.get("sourceContent", ()))
    title, source = members.get("title"), members.get("source")
    if kind == _WEB:
        return {
            "type": "web_search_result_location", "url": place.get("url"), "title": title,
            "encrypted_index": "", "cited_text": cited,
        }  # fmt: skip
    name, index, stem = _LOCATIONS[kind]
    start, end = place.get("start", 0), place.get("end", len(cited))
    span = {stem.format("start"): start, stem.format("end"): end}
    named = {"title": title, "source": source} if kind == "searchResultLocation" else {"document_title": title}
    position = place.get("searchResultIndex", place.get("documentIndex", 0))
    return {"type": name, "cited_text": cited, index: position, **named, **span}


class _Chunks(ChunkComposer):
    names: ClassVar[dict[str, str]] = {
        "message_start": "messageStart", "message_delta": "messageStop", "message_stop": "metadata",
    }  # fmt: skip

    def __init__(self, steps: Sequence[Step], facts: Facts) -> None:
        super().__init__(steps, _own(facts))
        self._open: int | None = None
        self._pinged = False

    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match name:
            case "messageStart":
                usage = {**_input_usage(self.closing["usage"]), "output_tokens": 1}
                yield {"type": "message_start", "message": _message(self.facts, usage=usage)}
            case "contentBlockStart":
                call = payload["start"]["toolUse"]
                opened = {"type": "tool_use", "id": call["toolUseId"], "name": call["name"], "input": {}}
                yield from self._start(payload["contentBlockIndex"], opened)
            case "contentBlockDelta":
                yield from self._delta(payload["contentBlockIndex"], payload["delta"])
            case "contentBlockStop":
                yield from self._stop_block(payload["contentBlockIndex"])
            case "messageStop":
                counted = {"output_tokens": self.closing["usage"].get("outputTokens", 0)}
                fields = payload.get("additionalModelResponseFields")
                yield {"type": "message_delta", "delta": _stopped(payload["stopReason"], fields), "usage": counted}
                if self.said.absent:
                    yield {"type": "message_stop"}
            case "metadata":
                yield {"type": "message_stop", **metrics(payload)}

    def _start(self, index: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self._open = index
        yield {"type": "content_block_start", "index": index, "content_block": block}
        if not self._pinged:
            self._pinged = True
            yield {"type": "ping"}

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
        kind, said = _delta(delta)
        if self._open != index:
            yield from self._start(index, _opened(kind, said))
        if said:
            yield {"type": "content_block_delta", "index": index, "delta": said}

    def _stop_block(self, index: int) -> Iterator[dict[str, Any]]:
        if self._open is not None:  # a block without any delta was never opened
            self._open = None
            yield {"type": "content_block_stop", "index": index}


def _delta(delta: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind of block that a Converse delta belongs to, and Claude's delta; {} for redacted thinking and its data."""
    match delta:
        case {"text": text}:
            return "text", {"type": "text_delta", "text": text}
        case {"toolUse": {"input": fragment}}:
            return "tool_use", {"type": "input_json_delta", "partial_json": fragment}
        case {"citation": members}:
            return "text", {"type": "citations_delta", "citation": _citation(members)}
        case {"reasoningContent": {"text": text}}:
            return "thinking", {"type": "thinking_delta", "thinking": text}
        case {"reasoningContent": {"signature": signature}}:
            return "thinking", {"type": "signature_delta", "signature": signature}
    return _sealed(delta["reasoningContent"]["redactedContent"]), {}


def _sealed(wire: str) -> str:
    """Redacted thinking: Converse puts its text into base64, Claude does not. Bytes that are no text stay in base64."""
    try:
        return b64decode(wire).decode()
    except UnicodeDecodeError:
        return wire


def _opened(kind: str, said: dict[str, Any]) -> dict[str, Any]:
    if not said:
        return {"type": "redacted_thinking", "data": kind}
    return {"type": "text", "text": ""} if kind == "text" else {"type": "thinking", "thinking": "", "signature": ""}


# ---------------------------------------------------------------------------------------------------------- as JSON


def _whole(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    facts = _own(facts)
    answer = whole_answer(steps, facts)
    usage = {**_input_usage(answer["usage"]), "output_tokens": answer["usage"].get("outputTokens", 0)}
    blocks = [_block(block) for block in answer["output"]["message"]["content"]]
    stopped = _stopped(answer["stopReason"], answer.get("additionalModelResponseFields"))
    own = _message(facts, content=blocks, **stopped, usage=usage)
    return {**own, **extras(facts.metadata(steps, last_metadata(steps)))}


def _block(block: dict[str, Any]) -> dict[str, Any]:
    match block:
        case {"text": text}:
            return {"type": "text", "text": text}
        case {"toolUse": call}:
            return {"type": "tool_use", "id": call["toolUseId"], "name": call["name"], "input": call["input"]}
        case {"citationsContent": cited}:
            text = "".join(part["text"] for part in cited["content"])
            return {"type": "text", "text": text, "citations": [_citation(one) for one in cited["citations"]]}
        case {"reasoningContent": {"reasoningText": said}}:
            return {"type": "thinking", "thinking": said["text"], "signature": said.get("signature", "")}
    return {"type": "redacted_thinking", "data": _sealed(block["reasoningContent"]["redactedContent"])}
