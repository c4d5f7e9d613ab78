"""One HTTP request as it will leave, but for its authorization.

The model id is one path segment, percent-encoded once here (`:` to `%3A`, `/` to `%2F`) and once more by the signer.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from .._version import __version__
from ..dialects.encoding import Body, encode_body

__all__ = ("EVENT_STREAM", "Request", "build_request")

EVENT_STREAM = "application/vnd.amazon.eventstream"

_FIXED = (
    ("Content-Type", "application/json"),
    # Compression would hold small frames back until a block is full.
    ("Accept-Encoding", "identity"),
    ("User-Agent", f"bedrock-stream/{__version__}"),
)


class Request(msgspec.Struct, frozen=True):
    """Method, address, headers and body: exact wire bytes."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: Body


def build_request(
    endpoint_url: str, model: str, operation: str, body: Any, *, headers: tuple[tuple[str, str], ...]
) -> Request:
    """POST `/model/{model}/{operation}` below the endpoint's own path, with these headers and the fixed ones."""
    url = f"{endpoint_url}/model/{quote(model, safe='')}/{operation}"
    return Request("POST", url, (*headers, *_FIXED), encode_body(body))
