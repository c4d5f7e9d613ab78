"""The `events` protocol: this library's own events, each as JSON, named by its type.

The last event is `done` for a complete response and `error` for any other one. Nothing follows it, so a page closes its
`EventSource` there; otherwise the browser would reconnect and send the request again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from ...errors import BedrockStreamError
from ..http_errors import ErrorDetails, error_details
from . import StreamItem, server_sent

__all__ = ("PlainEvents", "error_json")

_PUBLIC = ("type", "message", "code", "status", "retryable", "request_id")


class PlainEvents:
    """The writer of the `events` protocol."""

    headers: Mapping[str, str] = {}
    request_id_headers: tuple[str, ...] = ("x-amzn-requestid",)

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode

    def event(self, event: StreamItem) -> bytes:
        """See `Writer`."""
        # `EventSource` dispatches an event to the listeners of its name.
        return server_sent(self._encode(event), _tag(type(event)))

    def end(self) -> bytes:
        """See `Writer`."""
        return server_sent(b'{"type":"done"}', "done")

    def failed(self, error: BedrockStreamError) -> bytes:
        """See `Writer`."""
        return server_sent(self._encode({"type": "error", **error_json(error_details(error))}), "error")

    def refusal(self, details: ErrorDetails) -> bytes:
        """See `Writer`."""
        return self._encode(error_json(details))


@cache
def _tag(kind: type[StreamItem]) -> str:
    return str(kind.__struct_config__.tag)


def error_json(details: ErrorDetails) -> dict[str, Any]:
    """Build the JSON of an error."""
    return {"error": {name: getattr(details, name) for name in _PUBLIC}}
