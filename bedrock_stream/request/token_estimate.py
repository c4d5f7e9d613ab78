"""Estimate how many tokens a request takes of a quota, from its body alone, whatever the API. Pure.

Bedrock counts input and `max_tokens` when a request begins. A token is taken for four bytes of text in UTF-8, which a
client corrects by what it learns from usage; attachments have flat numbers, which are those of large ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from ..dialects.encoding import Body
from .models import Model

__all__ = ("Bound", "Estimate", "bound_tokens", "estimate_tokens", "output_limit", "output_maximum")

_BYTES_PER_TOKEN = 4
_AROUND = 64  # tokens that the models add to the text of a request
_MOST_INPUT = 1_000_000  # tokens; no model has a larger window
_UNKNOWN_MAXIMUM = 64_000  # tokens of output; what most current models have
_MOST_PARSED = 4 * 1024 * 1024  # bytes; parsing more would delay the event loop

# Tokens of an attachment. Claude takes up to 1,600 for an image, and 1,500 to 3,000 for a page of a PDF file, which
# has some 50 KB; Nova 1,300 for an image and 288 for a second of video.
_ATTACHMENTS = {"image": 1600, "video": 20_000, "audio": 2000}
_SIGNS = (b'"source"', b'"image_url"')  # a body with an attachment has one of these
_DOCUMENT, _DOCUMENT_BYTES_PER_TOKEN = 1500, 20
_PLAIN_DOCUMENTS = ("txt", "md", "csv", "html", "text/plain", "text/markdown", "text/csv", "text/html")

# Where the families have the limit of the output.
_LIMITS = (
    ("inferenceConfig", "maxTokens"),
    ("inferenceConfig", "max_new_tokens"),
    ("max_tokens",),
    ("max_completion_tokens",),
    ("max_output_tokens",),
    ("max_gen_len",),
    ("textGenerationConfig", "maxTokenCount"),
)


class Estimate(NamedTuple):
    """The tokens of one request."""

    input_tokens: float
    max_tokens: int | None
    """The limit of its output; None if it sets none."""


class Bound(NamedTuple):
    """The tokens of one request, at most."""

    input_tokens: int
    """A token for each byte that is not part of an attachment."""
    max_tokens: int | None


def estimate_tokens(body: Body) -> Estimate:
    """Return an estimate for a body in any API's format."""
    outline = body.outline
    wire = _decode(outline)
    if wire is None:
        return Estimate(min(len(outline) / _BYTES_PER_TOKEN, _MOST_INPUT), None)
    size, tokens = _input_of(wire)
    return Estimate(min(tokens + size / _BYTES_PER_TOKEN, _MOST_INPUT), output_limit(wire))


def bound_tokens(body: Body) -> Bound:
    """Return what a body in any API's format takes at most. What is around the text is more than what models add."""
    outline = body.outline
    wire = _decode(outline)
    if wire is None:
        return Bound(min(len(outline), _MOST_INPUT), None)
    size, tokens = len(outline), 0.0
    if any(sign in outline for sign in _SIGNS):
        size, tokens = _input_of(wire)
        size += _AROUND
    return Bound(min(size + math.ceil(tokens), _MOST_INPUT), output_limit(wire))


def _decode(outline: bytes) -> Any:
    """Return a body as JSON values; None if it is too large, or nested more deeply than can be parsed."""
    try:
        return msgspec.json.decode(outline) if len(outline) <= _MOST_PARSED else None
    except (ValueError, RecursionError):
        return None


def output_limit(wire: Any) -> int | None:
    """Return the limit of the output that a body sets, in any API's format; None without one."""
    for path in _LIMITS:
        value = wire
        for name in path:
            value = value.get(name) if type(value) is dict or isinstance(value, Mapping) else None
        if type(value) is int:
            return value
    return None


def output_maximum(model: Model) -> int:
    """Return the output tokens of a request that sets no limit, at most."""
    return model.facts.max_output or _UNKNOWN_MAXIMUM


def _input_of(wire: Any) -> tuple[int, float]:
    """Return the bytes of text, and the tokens of attachments."""
    size, tokens, waiting = 0, 0.0, [wire]
    while waiting:  # without recursion, since a tool's input may be nested deeply
        value = waiting.pop()
        if isinstance(value, str):
            size += _size(value)
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            kind, source = _attachment(value)
            if kind is not None:
                tokens += _attachment_tokens(kind, source)
                value = {name: member for name, member in value.items() if name not in ("source", kind, "image_url")}
            for name, member in value.items():
                if name in ("toolConfig", "tools"):  # the model reads the names in a schema, too
                    size += len(msgspec.json.encode(member))
                else:
                    waiting.append(member)
    return size, tokens


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _attachment(block: dict[str, Any]) -> tuple[str | None, Any]:
    """Return the kind of a block that is an attachment, and what describes it."""
    for kind in ("image", "document", "video", "audio"):
        inner = block.get(kind)  # Converse's form
        if isinstance(inner, dict) and "source" in inner:
            return kind, inner
    name = block.get("type")
    if name in ("image", "document") and isinstance(block.get("source"), dict):
        return name, block["source"]  # Claude's
    return ("image", block) if name == "image_url" else (None, None)


def _attachment_tokens(kind: str, described: Any) -> float:
    if kind != "document":
        return _ATTACHMENTS[kind]
    source = described.get("source", described)
    if not isinstance(source, dict):
        return _DOCUMENT
    data = next((source[name] for name in ("bytes", "data", "text") if isinstance(source.get(name), str)), "")
    size = int(data[1:]) if data[:1] == "#" and data[1:].isdigit() else len(data) * 3 // 4
    if "text" in source or described.get("format", described.get("media_type")) in _PLAIN_DOCUMENTS:
        return size / _BYTES_PER_TOKEN
    return max(_DOCUMENT, size / _DOCUMENT_BYTES_PER_TOKEN)
