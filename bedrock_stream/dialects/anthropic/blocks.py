"""Conversion of content blocks to and from the JSON of the Messages API.

Redacted reasoning is bytes in the typed form and text in this API: the same bytes that Converse sends in base64, so a
conversation can change its route between two turns. The bytes of attachments are encoded as base64 by the JSON encoder.
Source: Anthropic's Messages API reference, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...types.events import Citation
from ...types.media import TEXT_FORMATS, Document, Image
from ...types.messages import Block, CitedText, Json, Raw, Reasoning, SearchResult, Text, ToolCall, ToolResult
from ..encoding import blob, encode_text
from ..payloads import pop, take, without_nulls

__all__ = ("can_write", "read_block", "read_citation", "write_block")

_Wire = dict[str, Any]

# Kind of location in Converse -> type in the Messages API, and pairs of member names: Converse, Messages API.
_LOCATIONS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "documentChar": (
        "char_location",
        (("documentIndex", "document_index"), ("start", "start_char_index"), ("end", "end_char_index")),
    ),
    "documentPage": (
        "page_location",
        (("documentIndex", "document_index"), ("start", "start_page_number"), ("end", "end_page_number")),
    ),
    "documentChunk": (
        "content_block_location",
        (("documentIndex", "document_index"), ("start", "start_block_index"), ("end", "end_block_index")),
    ),
    "searchResultLocation": (
        "search_result_location",
        (("searchResultIndex", "search_result_index"), ("start", "start_block_index"), ("end", "end_block_index")),
    ),
    "web": ("web_search_result_location", (("url", "url"),)),
}
_BY_TYPE = {type_name: (kind, names) for kind, (type_name, names) in _LOCATIONS.items()}


# ------------------------------------------------------------------------------------------------------------- writing


def can_write(block: Block | Json) -> bool:
    """Return whether the Messages API on Bedrock supports this block."""
    match block:
        case Image():  # this API has no S3 sources
            return block.data is not None
        case Document(text=str()):
            return True
        case Document(data=bytes(data), format=format):  # PDF in base64, or plain text
            return format == "pdf" or (format in TEXT_FORMATS and _is_utf8(data))
        case ToolResult():
            return all(can_write(item) for item in block.content)
        case CitedText():
            return all(_can_cite(citation) for citation in block.citations)
        case Reasoning(redacted=bytes(data)):
            return _is_utf8(data)
        case Raw():  # in this API's format: Converse blocks have no `type`
            return isinstance(block.value.get("type"), str)
    return isinstance(block, Text | Reasoning | ToolCall | Json | SearchResult)


def _can_cite(citation: Citation) -> bool:
    """Return whether a citation has all members that Claude requires. One received through Converse may lack some."""
    location = citation.location or {}
    if len(location) != 1:
        return False
    ((kind, members),) = location.items()
    if kind not in _LOCATIONS:  # unknown to this version: all its members are in `extra`, see `read_citation`
        return bool(members == {})
    _, names = _LOCATIONS[kind]
    complete = isinstance(members, dict) and all(theirs in members for theirs, _ in names)
    # Claude requires the encrypted index of a web citation, which Converse does not send.
    return complete and (kind != "web" or "encrypted_index" in citation.extra)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def write_block(block: Block | Json) -> _Wire:
    """Return a block in the format of the Messages API."""
    return _WRITERS[type(block)](block)


def _write_cited_text(block: CitedText) -> _Wire:
    return {"type": "text", "text": block.text, "citations": [_write_citation(item) for item in block.citations]}


def _write_reasoning(block: Reasoning) -> _Wire:
    if block.redacted is not None:
        return {"type": "redacted_thinking", "data": block.redacted.decode()}
    # Claude requires both members, even empty ones.
    return {"type": "thinking", "thinking": block.text, "signature": block.signature or ""}


def _write_tool_call(block: ToolCall) -> _Wire:
    kind = "server_tool_use" if block.server else "tool_use"
    return {"type": kind, "id": block.id, "name": block.name, "input": block.input, **block.extra}


def _write_tool_result(block: ToolResult) -> _Wire:
    if block.kind is not None:  # of a tool that the service ran: the content is a single value, sent back unchanged
        content = [item.value if isinstance(item, Json) else write_block(item) for item in block.content]
        return {"type": block.kind, "tool_use_id": block.id, "content": content[0] if len(content) == 1 else content}
    result: _Wire = {
        "type": "tool_result",
        "tool_use_id": block.id,
        "content": [write_block(item) for item in block.content],
    }
    if block.status == "error":  # this API has no status for success
        result["is_error"] = True
    return result


def _write_json(block: Json) -> _Wire:
    return {"type": "text", "text": encode_text(block.value)}


def _write_image(block: Image) -> _Wire:
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": f"image/{block.format}", "data": blob(block.data or b"")},
    }


def _write_document(block: Document) -> _Wire:
    if block.format == "pdf":
        source: _Wire = {"type": "base64", "media_type": "application/pdf", "data": blob(block.data or b"")}
    else:
        text = (block.data or b"").decode() if block.text is None else block.text
        source = {"type": "text", "media_type": "text/plain", "data": text}
    wire: _Wire = {"type": "document", "source": source, "title": block.name}
    if block.context is not None:
        wire["context"] = block.context
    if block.citations:
        wire["citations"] = {"enabled": True}
    return wire


def _write_search_result(block: SearchResult) -> _Wire:
    content = [{"type": "text", "text": text} for text in block.content]
    wire: _Wire = {"type": "search_result", "source": block.source, "title": block.title, "content": content}
    if block.citations:
        wire["citations"] = {"enabled": True}
    return wire


def _write_citation(citation: Citation) -> _Wire:
    """Return a citation as Claude sent it, also if it was received through Converse."""
    ((kind, members),) = (citation.location or {}).items()
    if kind not in _LOCATIONS:
        return {"type": kind, **citation.extra}
    type_name, names = _LOCATIONS[kind]
    wire: _Wire = {"type": type_name, "cited_text": "".join(citation.source_content)}
    wire.update({ours: members[theirs] for theirs, ours in names})
    # The title of a document has another name than that of a search result or a web page, and null is allowed.
    if kind in ("searchResultLocation", "web"):
        wire["title"] = citation.title
        if kind == "searchResultLocation":
            wire["source"] = citation.source
    else:
        wire["document_title"] = citation.title
    return {**wire, **citation.extra}


_WRITERS: dict[type, Callable[[Any], _Wire]] = {
    Text: lambda block: {"type": "text", "text": block.text},
    CitedText: _write_cited_text,
    Reasoning: _write_reasoning,
    ToolCall: _write_tool_call,
    ToolResult: _write_tool_result,
    Json: _write_json,
    Image: _write_image,
    Document: _write_document,
    SearchResult: _write_search_result,
    Raw: lambda block: dict(block.value),  # a copy, since a cache point may add a member
}


# ------------------------------------------------------------------------------------------------------------- reading


def read_block(wire: _Wire) -> Block:
    """Return a block of a response. A block that is unknown or has unknown members becomes `Raw`."""
    match wire:
        case {"type": "text", "text": str(text), "citations": [_, *_] as citations}:  # else the list is null or absent
            return CitedText((text,), tuple(read_citation(citation) for citation in citations))
        case {"type": "text", "text": str(text)}:
            return Text(text)
        case {"type": "thinking", "thinking": str(text), "signature": str(signature), **rest} if not rest:
            return Reasoning(text, signature)
        case {"type": "redacted_thinking", "data": str(data), **rest} if not rest:
            return Reasoning(redacted=data.encode())
        case {"type": "tool_use" | "server_tool_use" as kind, "id": str(id), "name": str(name), "input": dict(input)}:
            known = {"type", "id", "name", "input"}
            extra = {key: value for key, value in wire.items() if key not in known}
            return ToolCall(id, name, input, kind == "server_tool_use", extra)
        # Each tool that the service runs has a result type of its own: `web_search_tool_result`, and so on. The call
        # of an `mcp_tool_result` has no typed form, and a typed result without a typed call would be rejected.
        case {"type": str(kind), "tool_use_id": str(id), "content": content, **rest} if not (
            rest or kind == "mcp_tool_result"
        ):
            return ToolResult(id, (Json(content),), kind=kind)
    return Raw(dict(wire))


def read_citation(wire: Any) -> Citation:
    """Return a citation with its location in Converse's format, which consumers receive on every route.

    If the kind is unknown, all members are also in `extra`, so that the citation can be sent back unchanged.
    """
    if not isinstance(wire, Mapping):
        raise TypeError(f"citation: expected a JSON object, got {type(wire).__name__}")
    rest = without_nulls(dict(wire))
    type_name = pop(rest, "type", str)
    known = type_name in _BY_TYPE
    kind, names = _BY_TYPE.get(type_name, (type_name, ()))
    extra = rest if known else dict(rest)
    location = {theirs: rest.pop(ours) for theirs, ours in names if ours in rest}
    title = take(rest, "document_title", str) or take(rest, "title", str)
    cited, source = take(rest, "cited_text", str), take(rest, "source", str)
    return Citation(title, source, () if cited is None else (cited,), {kind: location}, extra)
