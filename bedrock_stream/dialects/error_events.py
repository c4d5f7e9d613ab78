"""Errors in the server-sent events of OpenAI's APIs.

They have many forms there: under `error`, flat, without a type, as JSON in a text, or as plain text in an event with
the name `error`.
Source: reports of what clients of Bedrock received.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..errors import InvalidFrame, service_error
from .decoding import decode_any
from .payloads import decode_object, raise_if_failed

__all__ = ("decode_event",)


def decode_event(data: bytes, name: str, *, answer: Collection[str]) -> dict[str, Any]:
    """Return the JSON object in an event with this name; `answer` are members of which each document has one.

    Raises `ServiceError` if it is an error, and `InvalidFrame` if it is not an object.
    """
    if data.startswith(b'"') and isinstance(text := decode_any(data), str) and text.lstrip().startswith("{"):
        data = text.encode("utf-8", "replace")  # JSON in a text
    try:
        wire = decode_object(data, "an event")
    except InvalidFrame:
        if name == "error":
            raise service_error(None, data[:1000].decode("utf-8", "replace"), 500, mid_stream=True) from None
        raise
    raise_if_failed(wire, mid_stream=True)
    is_answer = any(member in wire for member in answer)
    has_words = isinstance(wire.get("message"), str)
    if "error" in (wire.get("type"), wire.get("object")) or (not is_answer and (name == "error" or has_words)):
        from .error_documents import foreign_error

        raise foreign_error(wire, mid_stream=True)
    return wire
