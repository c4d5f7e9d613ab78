"""One HTTP request as it will be sent, without its authorization.

The model id is one path segment, percent-encoded once here (`:` to `%3A`, `/` to `%2F`) and once more by the signer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec

from .._version import __version__
from ..dialects.encoding import Body, encode_body
from ..dialects.native import native_headers
from ..types.options import Options
from .endpoints import host_header

__all__ = ("EVENT_STREAM", "JSON", "Headers", "Request", "build_request", "headers_for")

EVENT_STREAM = "application/vnd.amazon.eventstream"
JSON = "application/json"

Headers: TypeAlias = tuple[tuple[str, str], ...]

_FIXED = (
    ("Content-Type", JSON),
    # Compression would hold small frames back until a block is full.
    ("Accept-Encoding", "identity"),
    ("User-Agent", f"bedrock-stream/{__version__}"),
)


class Request(msgspec.Struct, frozen=True):
    """Method, URL, headers and body: the exact bytes on the wire."""

    method: str
    url: str
    headers: Headers
    body: Body


def headers_for(*, streaming: bool, native: bool, options: Options | None = None) -> Headers:
    """Return all headers of a request, without its authorization.

    `native` is true on the Invoke API, where some options are sent as headers. Raises `ConfigurationError` for an
    option that cannot be sent in one.
    """
    headers: Headers = (("Accept", EVENT_STREAM if streaming else JSON),)
    if native:
        if options is not None:
            headers += native_headers(options)
        if streaming:  # the format of the model's documents; `Accept` is the format of the frames around them
            headers += (("X-Amzn-Bedrock-Accept", JSON),)
    return headers + _FIXED


def build_request(endpoint_url: str, model: str, operation: str, body: Any, *, headers: Headers) -> Request:
    """Return a POST to `/model/{model}/{operation}` under the endpoint's own path. Anything but a `Body` is encoded."""
    headers += host_header(endpoint_url)
    encoded = body if isinstance(body, Body) else encode_body(body)
    return Request("POST", _url(endpoint_url, model, operation), headers, encoded)


@lru_cache(maxsize=256)  # a program calls a few models at a few endpoints
def _url(endpoint_url: str, model: str, operation: str) -> str:
    return f"{endpoint_url}/model/{quote(model, safe='')}/{operation}"
