"""Conversion of content blocks to and from Converse's JSON.

A received block can be sent back unchanged: with its signature, redacted bytes, citations and unknown members. The JSON
encoder encodes bytes as base64.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ...errors import ConfigurationError, InvalidFrame
from ...types.events import Citation
from ...types.media import Attachment, Audio, Document, Image, Video
from ...types.messages import (
    Block,
    CachePoint,
    CitedText,
    Guarded,
    Json,
    Raw,
    Reasoning,
    SearchResult,
    Text,
    ToolCall,
    ToolResult,
)
from ..encoding import blob, blob_data, encode_text
from ..payloads import take

__all__ = ("read_block", "read_citation", "write_block")

_Wire = dict[str, Any]


# ------------------------------------------------------------------------------------------------------------- writing


def write_block(block: Block | Json) -> _Wire:
    """Return a block in Converse's format."""
    return _WRITERS[type(block)](block)


def _write_tool_call(block: ToolCall) -> _Wire:
    # `caller` is a member of Claude's own format, which ToolUseBlock in the service model does not have.
    extra = {key: value for key, value in block.extra.items() if key != "caller"}
    call: _Wire = {"toolUseId": block.id, "name": block.name, "input": block.input, **extra}
    if block.server:
        call["type"] = "server_tool_use"
    return {"toolUse": call}


def _write_tool_result(block: ToolResult) -> _Wire:
    result: _Wire = {"toolUseId": block.id, "content": [write_block(item) for item in block.content]}
    if block.status is not None:
        result["status"] = block.status
    if block.kind is not None:
        result["type"] = block.kind
    return {"toolResult": result}


def _write_reasoning(block: Reasoning) -> _Wire:
    if block.redacted is not None:  # opaque to us; it must be sent back byte for byte
        return {"reasoningContent": {"redactedContent": block.redacted}}
    text = {"text": block.text}  # sent even if empty: the service rejects a signature alone
    if block.signature is not None:
        text["signature"] = block.signature
    return {"reasoningContent": {"reasoningText": text}}


def _write_cited_text(block: CitedText) -> _Wire:
    citations = [_write_citation(citation) for citation in block.citations]
    return {"citationsContent": {"content": [{"text": text} for text in block.texts], "citations": citations}}


def _write_citation(citation: Citation) -> _Wire:
    wire: _Wire = dict(citation.extra)
    if citation.title is not None:
        wire["title"] = citation.title
    if citation.source is not None:
        wire["source"] = citation.source
    if citation.source_content:
        wire["sourceContent"] = [{"text": text} for text in citation.source_content]
    if citation.location is not None:
        wire["location"] = citation.location
    return wire


def _write_guarded(block: Guarded) -> _Wire:
    if isinstance(block.content, Image):
        return {"guardContent": _write_attachment(block.content)}
    text: _Wire = {"text": block.content}
    if block.qualifiers:
        text["qualifiers"] = list(block.qualifiers)
    return {"guardContent": {"text": text}}


def _write_search_result(block: SearchResult) -> _Wire:
    content = [{"text": text} for text in block.content]
    wire: _Wire = {"source": block.source, "title": block.title, "content": content}
    if block.citations:
        wire["citations"] = {"enabled": True}
    return {"searchResult": wire}


def _write_attachment(block: Attachment) -> _Wire:
    source: _Wire
    if isinstance(block, Document) and block.text is not None:
        source = {"text": block.text}
    elif block.s3_uri is not None:
        owner = {"bucketOwner": block.bucket_owner} if block.bucket_owner else {}
        source = {"s3Location": {"uri": block.s3_uri, **owner}}
    else:
        source = {"bytes": blob(block.data or b"")}
    body: _Wire = {"format": block.format, "source": source}
    if isinstance(block, Document):
        body["name"] = block.name
        if block.context is not None:
            body["context"] = block.context
        if block.citations:
            body["citations"] = {"enabled": True}
    return {type(block).__name__.lower(): body}


def _write_json(block: Json) -> _Wire:
    """Return a JSON value. Converse accepts only objects in `json`, so any other value is sent as JSON text."""
    if block.value is None or isinstance(block.value, str | int | float | list | tuple):
        return {"text": encode_text(block.value)}
    return {"json": block.value}


_WRITERS: dict[type, Callable[[Any], _Wire]] = {
    Text: lambda block: {"text": block.text},
    CitedText: _write_cited_text,
    Reasoning: _write_reasoning,
    ToolCall: _write_tool_call,
    ToolResult: _write_tool_result,
    Json: _write_json,
    Raw: lambda block: block.value,
    CachePoint: lambda block: {"cachePoint": {"type": "default", **({"ttl": block.ttl} if block.ttl else {})}},
    Guarded: _write_guarded,
    SearchResult: _write_search_result,
    Image: _write_attachment,
    Document: _write_attachment,
    Video: _write_attachment,
    Audio: _write_attachment,
}


# ------------------------------------------------------------------------------------------------------------- reading


def read_block(wire: Any) -> Block:
    """Return a block of a response. A block that is unknown or has unknown members becomes `Raw`."""
    if not isinstance(wire, Mapping):
        raise InvalidFrame(f"content block: expected a JSON object, got {type(wire).__name__}")
    wire = dict(wire)
    if len(wire) == 1:  # a block is a union: its only key is its kind
        ((key, value),) = wire.items()
        read = _READERS.get(key)
        block = None if read is None else read(value)
        # Text and tool calls keep all that is sent back, though they may have another form than the wire's.
        if block is not None and (isinstance(block, Text | ToolCall) or _covers(wire, block)):
            return block
    return Raw(wire)


def _covers(wire: _Wire, block: Block) -> bool:
    """Return whether the typed form has all of the wire's members. Compares JSON, where bytes equal their base64."""
    encode = msgspec.json.Encoder(order="deterministic", enc_hook=blob_data).encode
    try:
        return encode(write_block(block)) == encode(wire)
    except TypeError:  # a dict of the caller, with values that are not JSON serializable
        return False


def _read_text(value: Any) -> Text | None:
    return Text(value) if isinstance(value, str) else None


def _read_tool_call(value: Any) -> ToolCall | None:
    match value:
        # Some models send "" for a call without arguments. Any other input that is not an object is an error.
        case {"toolUseId": str(id), "name": str(name), "input": dict() | "" as arguments}:
            known = {"toolUseId", "name", "input"}
            extra = {key: member for key, member in value.items() if key not in known}
            kind = extra.get("type")
            # Responses have `tool_use` in each call, but requests accept only `server_tool_use`.
            if kind in ("tool_use", "server_tool_use"):
                del extra["type"]
            return ToolCall(id, name, arguments or {}, kind == "server_tool_use", extra)
    return None


def _read_tool_result(value: Any) -> ToolResult | None:
    match value:
        case {"toolUseId": str(id), "content": list(content)}:
            try:
                items = [Raw(item) if isinstance(item, dict) else Json(item) for item in content]
                return ToolResult(id, items, value.get("status"), value.get("type"))
            except ConfigurationError:  # an unknown status
                return None
    return None


def _read_reasoning(value: Any) -> Reasoning | None:
    match value:
        case {"reasoningText": {"text": str(text), "signature": str(signature)}}:
            return Reasoning(text, signature)
        case {"reasoningText": {"text": str(text)}}:
            return Reasoning(text)
        case {"redactedContent": str(data)}:  # its bytes often look like base64 again; they are not decoded twice
            try:
                return Reasoning(redacted=b64decode(data, validate=True))
            except ValueError:
                return None
    return None


def _read_cited_text(value: Any) -> CitedText | Text | None:
    match value:
        # Without citations it is plain text, which models without support for citations accept in the next turn, too.
        case {"content": list(content), **rest} if rest in ({}, {"citations": None}) and all(map(_is_text, content)):
            return Text("".join(item["text"] for item in content))
        case {"content": list(content), "citations": list(citations)} if all(map(_is_text, content)):
            return CitedText(tuple(item["text"] for item in content), tuple(map(read_citation, citations)))
    return None


def _is_text(item: Any) -> bool:
    return isinstance(item, dict) and set(item) == {"text"} and isinstance(item["text"], str)


def read_citation(wire: Any) -> Citation:
    """Return a citation of a stream or a response. Unknown members become `extra`."""
    if not isinstance(wire, dict):
        raise InvalidFrame(f"citation: expected a JSON object, got {type(wire).__name__}")
    extra = dict(wire)
    content = extra.get("sourceContent")
    texts: tuple[str, ...] = ()
    if content and isinstance(content, list) and all(map(_is_text, content)):
        texts = tuple(item["text"] for item in extra.pop("sourceContent"))
    return Citation(
        title=take(extra, "title", str),
        source=take(extra, "source", str),
        source_content=texts,
        location=take(extra, "location", dict),
        extra=extra,
    )


def _read_cache_point(value: Any) -> CachePoint | None:
    match value:
        case {"type": "default", "ttl": "5m" | "1h" as ttl}:
            return CachePoint(ttl)
        case {"type": "default"}:
            return CachePoint()
    return None


def _read_search_result(value: Any) -> SearchResult | None:
    match value:
        case {"source": str(source), "title": str(title), "content": list(content)} if all(map(_is_text, content)):
            try:
                return SearchResult(source, title, [item["text"] for item in content], "citations" in value)
            except ConfigurationError:  # a blank member
                return None
    return None


def _attachment_reader(cls: type[Image | Document | Video | Audio]) -> Callable[[Any], Block | None]:
    def read(value: Any) -> Block | None:
        match value:
            case {"format": str(format), "source": {"bytes": bytes() | str() as data}}:
                fields: _Wire = {"data": data}
            case {"format": str(format), "source": {"s3Location": {"uri": str(uri), **rest}}}:
                fields = {"s3_uri": uri, "bucket_owner": rest.get("bucketOwner")}
            case {"format": str(format), "source": {"text": str(text)}} if cls is Document:
                fields = {"text": text}
            case _:
                return None
        if cls is Document:
            fields |= {"name": value.get("name"), "context": value.get("context"), "citations": "citations" in value}
        try:
            if isinstance(fields.get("data"), str):
                fields["data"] = b64decode(fields["data"], validate=True)
            return cls(format=format, **fields)
        except (ConfigurationError, ValueError):  # an unknown format, or not base64
            return None

    return read


_READERS: dict[str, Callable[[Any], Block | None]] = {
    "text": _read_text,
    "toolUse": _read_tool_call,
    "toolResult": _read_tool_result,
    "reasoningContent": _read_reasoning,
    "citationsContent": _read_cited_text,
    "cachePoint": _read_cache_point,
    "searchResult": _read_search_result,
    "image": _attachment_reader(Image),
    "document": _attachment_reader(Document),
    "video": _attachment_reader(Video),
    "audio": _attachment_reader(Audio),
}
