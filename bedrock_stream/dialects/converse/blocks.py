"""Content blocks between their typed form and Converse's JSON, both ways.

What came in goes back out: signatures, redacted bytes, citations, and blocks that this version does not know. Bytes
stay bytes here; the JSON encoder writes them as base64.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ...errors import ConfigurationError, InvalidFrame
from ...types.events import Citation
from ...types.media import Attachment, Audio, Document, Image, Video
from ...types.messages import Block, CachePoint, CitedText, Json, Raw, Reasoning, Text, ToolCall, ToolResult
from ..encoding import blob, plain
from ..payloads import take

__all__ = ("read_block", "read_citation", "write_block")

_Wire = dict[str, Any]


# ------------------------------------------------------------------------------------------------------------- writing


def write_block(block: Block | Json) -> _Wire:
    """A block as Converse takes it."""
    return _WRITERS[type(block)](block)


def _write_tool_call(block: ToolCall) -> _Wire:
    call: _Wire = {"toolUseId": block.id, "name": block.name, "input": block.input, **block.extra}
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
    if block.redacted is not None:
        return {"reasoningContent": {"redactedContent": block.redacted}}
    text = {"text": block.text}  # sent even where empty: a signature alone is refused
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


def _write_attachment(block: Attachment) -> _Wire:
    if block.s3_uri is not None:
        owner = {"bucketOwner": block.bucket_owner} if block.bucket_owner else {}
        source: _Wire = {"s3Location": {"uri": block.s3_uri, **owner}}
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
    """Converse takes an object only as JSON; any other value goes as its text."""
    if not (block.value is None or isinstance(block.value, str | int | float | list | tuple)):
        return {"json": block.value}
    try:
        return {"text": msgspec.json.encode(block.value).decode()}
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError("prompt", f"a tool's result cannot become JSON: {error}", "use JSON values") from None


_WRITERS: dict[type, Callable[[Any], _Wire]] = {
    Text: lambda block: {"text": block.text},
    CitedText: _write_cited_text,
    Reasoning: _write_reasoning,
    ToolCall: _write_tool_call,
    ToolResult: _write_tool_result,
    Json: _write_json,
    Raw: lambda block: block.value,
    CachePoint: lambda block: {"cachePoint": {"type": "default", **({"ttl": block.ttl} if block.ttl else {})}},
    Image: _write_attachment,
    Document: _write_attachment,
    Video: _write_attachment,
    Audio: _write_attachment,
}


# ------------------------------------------------------------------------------------------------------------- reading


def read_block(wire: Any) -> Block:
    """A block of an answer. What this version does not know, wholly or in part, stays `Raw`."""
    if not isinstance(wire, Mapping):
        raise InvalidFrame(f"a content block is a {type(wire).__name__}, not an object")
    wire = dict(wire)
    if len(wire) == 1:
        ((key, value),) = wire.items()
        read = _READERS.get(key)
        block = None if read is None else read(value)
        if block is not None and (isinstance(block, Text | ToolCall) or _covers(wire, block)):
            return block
    return Raw(wire)


def _covers(wire: _Wire, block: Block) -> bool:
    """Whether the typed form says all that the wire said, as JSON: bytes and their base64 are the same there."""
    encode = msgspec.json.Encoder(order="deterministic", enc_hook=plain).encode
    try:
        return encode(write_block(block)) == encode(wire)
    except TypeError:  # the caller's own dict, with what JSON cannot hold
        return False


def _read_text(value: Any) -> Text | None:
    return Text(value) if isinstance(value, str) else None


def _read_tool_call(value: Any) -> ToolCall | None:
    match value:
        case {"toolUseId": str(id), "name": str(name), "input": dict(arguments)}:
            known = {"toolUseId", "name", "input"}
            extra = {key: member for key, member in value.items() if key not in known}
            kind = extra.get("type")
            if kind in ("tool_use", "server_tool_use"):  # answers say the first of every call, requests may not
                del extra["type"]
            return ToolCall(id, name, arguments, kind == "server_tool_use", extra)
    return None


def _read_tool_result(value: Any) -> ToolResult | None:
    match value:
        case {"toolUseId": str(id), "content": list(content)}:
            try:
                items = [Raw(item) if isinstance(item, dict) else Json(item) for item in content]
                return ToolResult(id, items, value.get("status"), value.get("type"))
            except ConfigurationError:  # a status of tomorrow
                return None
    return None


def _read_reasoning(value: Any) -> Reasoning | None:
    match value:
        case {"reasoningText": {"text": str(text), "signature": str(signature)}}:
            return Reasoning(text, signature)
        case {"reasoningText": {"text": str(text)}}:
            return Reasoning(text)
        case {"redactedContent": str(data)}:
            try:
                return Reasoning(redacted=b64decode(data, validate=True))
            except ValueError:
                return None
    return None


def _read_cited_text(value: Any) -> CitedText | None:
    match value:
        case {"content": list(content), "citations": list(citations)} if all(map(_is_text, content)):
            return CitedText(tuple(item["text"] for item in content), tuple(map(read_citation, citations)))
    return None


def _is_text(item: Any) -> bool:
    return isinstance(item, dict) and set(item) == {"text"} and isinstance(item["text"], str)


def read_citation(wire: Any) -> Citation:
    """A citation of a stream or of a whole answer."""
    if not isinstance(wire, dict):
        raise InvalidFrame(f"a citation is a {type(wire).__name__}, not an object")
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


def _attachment_reader(cls: type[Image | Document | Video | Audio]) -> Callable[[Any], Block | None]:
    def read(value: Any) -> Block | None:
        match value:
            case {"format": str(format), "source": {"bytes": bytes() | str() as data}}:
                facts: _Wire = {"data": data}
            case {"format": str(format), "source": {"s3Location": {"uri": str(uri), **rest}}}:
                facts = {"s3_uri": uri, "bucket_owner": rest.get("bucketOwner")}
            case _:
                return None
        if cls is Document:
            facts |= {"name": value.get("name"), "context": value.get("context"), "citations": "citations" in value}
        try:
            if isinstance(facts.get("data"), str):
                facts["data"] = b64decode(facts["data"], validate=True)
            return cls(format=format, **facts)
        except (ConfigurationError, ValueError):  # a format of tomorrow, or no base64
            return None

    return read


_READERS: dict[str, Callable[[Any], Block | None]] = {
    "text": _read_text,
    "toolUse": _read_tool_call,
    "toolResult": _read_tool_result,
    "reasoningContent": _read_reasoning,
    "citationsContent": _read_cited_text,
    "cachePoint": _read_cache_point,
    "image": _attachment_reader(Image),
    "document": _attachment_reader(Document),
    "video": _attachment_reader(Video),
    "audio": _attachment_reader(Audio),
}
