"""Answers in the format of Claude's Messages API on Bedrock.

In a stream every block, text blocks included, begins with `content_block_start`. The stop reason and the output tokens
are in `message_delta`; Bedrock's metrics are in `message_stop`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ...service.families import maker_of
from ...steps import Citation, Step
from ..facts import Facts, last_metadata
from ..rendering import Form, answer_document
from .chunks import STREAM_HEADERS, ChunkComposer, count_headers, extras, metrics

__all__ = ("Chunks", "document", "form", "is_unsupported")

_REVISION = re.compile(r"-v\d+(:\d+)?$")
# A kind of Converse location -> Claude's kind, the name of its index, and the pattern of its start and end.
_LOCATIONS = {
    "documentChar": ("char_location", "document_index", "{}_char_index"),
    "documentPage": ("page_location", "document_index", "{}_page_number"),
    "documentChunk": ("content_block_location", "document_index", "{}_block_index"),
    "searchResultLocation": ("search_result_location", "search_result_index", "{}_block_index"),
}
_WEB = "web"  # a Converse location with a URL instead of a range


def form(_body: dict[str, Any]) -> Form:
    """Return the form of Claude's answers."""
    return Form(Chunks, document, count_headers, STREAM_HEADERS, is_unsupported)


def _location_kind(members: dict[str, Any]) -> str | None:
    return next(iter(members.get("location") or {}), None)


def is_unsupported(step: Step) -> bool:
    """Return True for a citation that Claude's format cannot express."""
    return isinstance(step, Citation) and _location_kind(step.members) not in (None, _WEB, *_LOCATIONS)


def _with_call_prefix(facts: Facts) -> Facts:
    return facts._replace(call_prefix="toolu_bdrk_")


def _message(facts: Facts, **members: Any) -> dict[str, Any]:
    name = _REVISION.sub("", maker_of(facts.model)[1])
    identity = {"id": f"msg_bdrk_{facts.message_id()}", "type": "message", "role": "assistant", "model": name}
    return {**identity, "content": [], "stop_reason": None, "stop_sequence": None, **members}


def _input_usage(usage: dict[str, Any]) -> dict[str, Any]:
    by_ttl = {entry["ttl"]: entry["inputTokens"] for entry in usage.get("cacheDetails", ())}
    written = usage.get("cacheWriteInputTokens", 0)
    return {
        "input_tokens": usage.get("inputTokens", 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.get("cacheReadInputTokens", 0),
        "cache_creation": {
            # 5 minutes is the default TTL.
            "ephemeral_5m_input_tokens": by_ttl.get("5m", 0 if by_ttl else written),
            "ephemeral_1h_input_tokens": by_ttl.get("1h", 0),
        },
    }


def _stop_members(reason: str, fields: Any) -> dict[str, Any]:
    sequence = fields.get("stop_sequence") if isinstance(fields, dict) else None
    return {"stop_reason": reason, "stop_sequence": sequence}


def _citation(members: dict[str, Any]) -> dict[str, Any]:
    """Convert a Converse citation to Claude's format."""
    # Without a location it cites the first search result if it has a source, which only search results have, else the
    # beginning of the first document.
    kind = _location_kind(members) or ("searchResultLocation" if "source" in members else "documentChar")
    location: dict[str, Any] = members.get("location", {}).get(kind, {})
    cited = "".join(part.get("text", "") for part in members.get("sourceContent", ()))
    title, source = members.get("title"), members.get("source")
    if kind == _WEB:
        return {
            "type": "web_search_result_location", "url": location.get("url"), "title": title,
            "encrypted_index": "", "cited_text": cited,
        }  # fmt: skip
    name, index, range_name = _LOCATIONS[kind]
    start, end = location.get("start", 0), location.get("end", len(cited))
    span = {range_name.format("start"): start, range_name.format("end"): end}
    named = {"title": title, "source": source} if kind == "searchResultLocation" else {"document_title": title}
    position = location.get("searchResultIndex", location.get("documentIndex", 0))
    return {"type": name, "cited_text": cited, index: position, **named, **span}


class Chunks(ChunkComposer):
    """The composer of Claude's stream."""

    names: ClassVar[dict[str, str]] = {
        "message_start": "messageStart", "message_delta": "messageStop", "message_stop": "metadata",
    }  # fmt: skip

    def __init__(self, steps: Sequence[Step], facts: Facts) -> None:
        super().__init__(steps, _with_call_prefix(facts))
        self._open: int | None = None
        self._pinged = False

    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """See `ChunkComposer`."""
        match name:
            case "messageStart":
                # The output count here is preliminary; `message_delta` has the final one.
                usage = {**_input_usage(self.metadata["usage"]), "output_tokens": 1}
                yield {"type": "message_start", "message": _message(self.facts, usage=usage)}
            case "contentBlockStart":
                call = payload["start"]["toolUse"]
                block = {"type": "tool_use", "id": call["toolUseId"], "name": call["name"], "input": {}}
                yield from self._start(payload["contentBlockIndex"], block)
            case "contentBlockDelta":
                yield from self._delta(payload["contentBlockIndex"], payload["delta"])
            case "contentBlockStop":
                yield from self._stop_block(payload["contentBlockIndex"])
            case "messageStop":
                usage = {"output_tokens": self.metadata["usage"].get("outputTokens", 0)}
                fields = payload.get("additionalModelResponseFields")
                yield {"type": "message_delta", "delta": _stop_members(payload["stopReason"], fields), "usage": usage}
                # Without metadata no other event would end the message.
                if self.scripted_metadata.absent:
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
        kind, converted = _convert_delta(delta)
        if self._open != index:
            yield from self._start(index, _empty_block(kind, converted))
        if converted:
            yield {"type": "content_block_delta", "index": index, "delta": converted}

    def _stop_block(self, index: int) -> Iterator[dict[str, Any]]:
        if self._open is not None:  # a block without any delta was never opened
            self._open = None
            yield {"type": "content_block_stop", "index": index}


def _convert_delta(delta: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind of block that a Converse delta belongs to, and Claude's delta.

    Redacted thinking has no deltas: its data is returned in place of the kind, with {}.
    """
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
    return _redacted_data(delta["reasoningContent"]["redactedContent"]), {}


def _redacted_data(encoded: str) -> str:
    # Converse encodes the data of redacted thinking as base64, Claude does not. Data that is not text stays base64.
    try:
        return b64decode(encoded).decode()
    except UnicodeDecodeError:
        return encoded


def _empty_block(kind: str, delta: dict[str, Any]) -> dict[str, Any]:
    if not delta:
        return {"type": "redacted_thinking", "data": kind}
    return {"type": "text", "text": ""} if kind == "text" else {"type": "thinking", "thinking": "", "signature": ""}


# ---------------------------------------------------------------------------------------------------------- document


def document(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    """Build Claude's message."""
    facts = _with_call_prefix(facts)
    answer = answer_document(steps, facts)
    usage = {**_input_usage(answer["usage"]), "output_tokens": answer["usage"].get("outputTokens", 0)}
    blocks = [_block(block) for block in answer["output"]["message"]["content"]]
    stop = _stop_members(answer["stopReason"], answer.get("additionalModelResponseFields"))
    message = _message(facts, content=blocks, **stop, usage=usage)
    return {**message, **extras(facts.metadata(steps, last_metadata(steps)))}


def _block(block: dict[str, Any]) -> dict[str, Any]:
    match block:
        case {"text": text}:
            return {"type": "text", "text": text}
        case {"toolUse": call}:
            return {"type": "tool_use", "id": call["toolUseId"], "name": call["name"], "input": call["input"]}
        case {"citationsContent": cited}:
            text = "".join(part["text"] for part in cited["content"])
            return {"type": "text", "text": text, "citations": [_citation(members) for members in cited["citations"]]}
        case {"reasoningContent": {"reasoningText": reasoning}}:
            return {"type": "thinking", "thinking": reasoning["text"], "signature": reasoning.get("signature", "")}
    return {"type": "redacted_thinking", "data": _redacted_data(block["reasoningContent"]["redactedContent"])}
