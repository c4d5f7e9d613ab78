"""One HTTP request as it will leave, but for its authorization.

The model id is one path segment, percent-encoded once here (`:` to `%3A`, `/` to `%2F`) and once more by the signer.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from ._version import __version__
from .errors import ConfigurationError

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
    body: bytes


def build_request(endpoint_url: str, model: str, operation: str, body: dict[str, Any], *, accept: str) -> Request:
    """POST `/model/{model}/{operation}` below the endpoint's own path."""
    url = f"{endpoint_url}/model/{quote(model, safe='')}/{operation}"
    try:
        data = msgspec.json.encode(body)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ConfigurationError("request", f"its body cannot become JSON: {error}", "use JSON values") from None
    return Request("POST", url, (("Accept", accept), *_FIXED), data)
