"""One HTTP request as it will be sent, without its authorization."""

from __future__ import annotations

from typing import Any

import msgspec

from .._version import __version__
from ..dialects import Dialect
from ..dialects.base import JSON, Headers
from ..dialects.encoding import Body, encode_body
from ..types.options import Options
from .endpoints import host_header

__all__ = ("Headers", "Request", "build_request", "headers_for")

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


def headers_for(dialect: Dialect, *, streaming: bool, options: Options | None = None) -> Headers:
    """Return all headers of a request, without its authorization.

    Raises `ConfigurationError` for an option that cannot be sent in one.
    """
    accept = dialect.stream_type if streaming else JSON
    return (("Accept", accept), *dialect.headers(options, streaming=streaming), *_FIXED)


def build_request(url: str, body: Any, *, headers: Headers) -> Request:
    """Return a POST to a URL. Anything but a `Body` is encoded as JSON."""
    headers += host_header(url)
    return Request("POST", url, headers, body if isinstance(body, Body) else encode_body(body))
