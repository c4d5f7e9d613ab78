"""`events`: this library's own events, each as JSON under its type.

The last one is `done` for a whole answer and `error` for any other; either way nothing follows, so a page closes its
`EventSource` there, which else would ask again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ...errors import BedrockStreamError
from ..http_errors import Problem, problem_of
from . import Said, server_sent

__all__ = ("PlainEvents", "problem_json")


class PlainEvents:
    """The writer."""

    headers: Mapping[str, str] = {}
    request_id_headers: tuple[str, ...] = ("x-amzn-requestid",)

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode

    def event(self, event: Said) -> bytes:
        """See `Writer`."""
        return server_sent(self._encode(event), str(event.__struct_config__.tag))

    def end(self) -> bytes:
        """See `Writer`."""
        return server_sent(b'{"type":"done"}', "done")

    def failed(self, error: BedrockStreamError) -> bytes:
        """See `Writer`."""
        return server_sent(self._encode({"type": "error", **problem_json(problem_of(error))}), "error")

    def refusal(self, problem: Problem) -> bytes:
        """See `Writer`."""
        return self._encode(problem_json(problem))


def problem_json(problem: Problem) -> dict[str, Any]:
    """A failure as JSON."""
    shown = ("type", "message", "code", "status", "retryable", "request_id")
    return {"error": {name: getattr(problem, name) for name in shown}}
