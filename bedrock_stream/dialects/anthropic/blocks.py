"""Content blocks between their typed form and the Messages API, both ways.

Redacted reasoning is bytes here and text there: the same bytes that Converse sends in base64, so a conversation may
change its route between two turns. Bytes of attachments stay bytes; the JSON encoder writes them as base64.
Source: Anthropic's Messages API reference, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...types.events import Citation
from ...types.media import Document, Image
from ...types.messages import Block, CitedText, Json, Raw, Reasoning, Text, ToolCall, ToolResult
from ..encoding import blob
from ..payloads import pop, present, take

__all__ = ("can_write", "read_block", "read_citation", "write_block")

_Wire = dict[str, Any]

_TEXT_DOCUMENTS = frozenset({"txt", "md", "csv", "html"})

# Location kind of Converse -> (type, members in Converse, members here).
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
_BY_TYPE = {kind: (name, members) for name, (kind, members) in _LOCATIONS.items()}


# ------------------------------------------------------------------------------------------------------------- writing


def can_write(block: Block | Json) -> bool:
    """Whether the Messages API on Bedrock has a form for this block."""
    match block:
        case Image():
            return block.data is not None
        case Document(data=bytes(data), format=format):
            return format == "pdf" or (format in _TEXT_DOCUMENTS and _is_utf8(data))
        case ToolResult():
            return all(can_write(item) for item in block.content)
        case CitedText():
            return all(_can_cite(citation) for citation in block.citations)
        case Reasoning(redacted=bytes(data)):
            return _is_utf8(data)
        case Raw():  # of an answer of Claude's own, or written by the caller: no block of Converse's has a type
            return isinstance(block.value.get("type"), str)
    return isinstance(block, Text | Reasoning | ToolCall | Json)


def _can_cite(citation: Citation) -> bool:
    """Whether all is known that Claude demands of a citation: one that came by Converse may lack it."""
    location = citation.location or {}
    if len(location) != 1:
        return False
    ((name, place),) = location.items()
    if name not in _LOCATIONS:  # a kind of Claude's own, as `read_citation` leaves it
        return bool(place == {})
    _, names = _LOCATIONS[name]
    whole = isinstance(place, dict) and all(there in place for there, _ in names)
    return whole and (name != "web" or "encrypted_index" in citation.extra)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def write_block(block: Block | Json) -> _Wire:
    """A block as the Messages API takes it."""
    return _WRITERS[type(block)](block)


def _write_cited_text(block: CitedText) -> _Wire:
    return {"type": "text", "text": block.text, "citations": [_write_citation(item) for item in block.citations]}


def _write_reasoning(block: Reasoning) -> _Wire:
    if block.redacted is not None:
        return {"type": "redacted_thinking", "data": block.redacted.decode()}
    return {"type": "thinking", "thinking": block.text, "signature": block.signature or ""}


def _write_tool_call(block: ToolCall) -> _Wire:
    kind = "server_tool_use" if block.server else "tool_use"
    return {"type": kind, "id": block.id, "name": block.name, "input": block.input, **block.extra}


def _write_tool_result(block: ToolResult) -> _Wire:
    if block.kind is not None:  # of a tool that the service ran: its content is one value, as it came
        content = [item.value if isinstance(item, Json) else write_block(item) for item in block.content]
        return {"type": block.kind, "tool_use_id": block.id, "content": content[0] if len(content) == 1 else content}
    result: _Wire = {
        "type": "tool_result",
        "tool_use_id": block.id,
        "content": [write_block(item) for item in block.content],
    }
    if block.status == "error":
        result["is_error"] = True
    return result


def _write_json(block: Json) -> _Wire:
    import msgspec

    return {"type": "text", "text": msgspec.json.encode(block.value).decode()}


def _write_image(block: Image) -> _Wire:
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": f"image/{block.format}", "data": blob(block.data or b"")},
    }


def _write_document(block: Document) -> _Wire:
    if block.format == "pdf":
        source: _Wire = {"type": "base64", "media_type": "application/pdf", "data": blob(block.data or b"")}
    else:
        source = {"type": "text", "media_type": "text/plain", "data": (block.data or b"").decode()}
    wire: _Wire = {"type": "document", "source": source, "title": block.name}
    if block.context is not None:
        wire["context"] = block.context
    if block.citations:
        wire["citations"] = {"enabled": True}
    return wire


def _write_citation(citation: Citation) -> _Wire:
    """A citation as it came, whatever route it came by."""
    ((name, place),) = (citation.location or {}).items()
    if name not in _LOCATIONS:
        return {"type": name, **citation.extra}
    kind, names = _LOCATIONS[name]
    wire: _Wire = {"type": kind, "cited_text": "".join(citation.source_content)}
    wire.update({here: place[there] for there, here in names})
    if name in ("searchResultLocation", "web"):
        wire["title"] = citation.title
        if name == "searchResultLocation":
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
    Raw: lambda block: dict(block.value),  # a copy: a cache point may mark it
}


# ------------------------------------------------------------------------------------------------------------- reading


def read_block(wire: _Wire) -> Block:
    """A block of a whole answer; what this version does not know stays `Raw`."""
    match wire:
        case {"type": "text", "text": str(text), "citations": [_, *_] as citations}:
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
        case {"type": str(kind), "tool_use_id": str(id), "content": content, **rest} if not rest:
            return ToolResult(id, (Json(content),), kind=kind)
    return Raw(dict(wire))


def read_citation(wire: Any) -> Citation:
    """A citation with its place in Converse's words, so that consumers need not know the route.

    Of a kind that this version does not know, every member stays in `extra` too, to go back as it came.
    """
    if not isinstance(wire, Mapping):
        raise TypeError(f"a citation is a {type(wire).__name__}")
    rest = present(dict(wire))
    kind = pop(rest, "type", str)
    known = kind in _BY_TYPE
    name, names = _BY_TYPE.get(kind, (kind, ()))
    extra = rest if known else dict(rest)
    place = {there: rest.pop(here) for there, here in names if here in rest}
    title = take(rest, "document_title", str) or take(rest, "title", str)
    cited, source = take(rest, "cited_text", str), take(rest, "source", str)
    return Citation(title, source, () if cited is None else (cited,), {name: place}, extra)
