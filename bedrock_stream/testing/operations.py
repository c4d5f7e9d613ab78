"""The operations that are served, one row each: how a body is checked, what answers it unscripted, how that is sent.

A new operation is a new row; nothing else here or in the server names one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from aiohttp import web

from .answering import answer
from .player import Exchange, play_stream, play_whole
from .rendering import Facts
from .steps import Step
from .validation import check_converse

__all__ = ("Operation", "find_operation")


class Operation(NamedTuple):
    """One operation of Bedrock Runtime."""

    name: str
    check: Callable[[dict[str, Any], str], None]
    """Body and model id; raises `Refusal`."""
    answer: Callable[[dict[str, Any], str], list[Step]]
    """Body and model id to the steps of the unscripted answer."""
    facts: Callable[[dict[str, Any]], Facts]
    """Body to what an answer says about its request."""
    play: Callable[[Exchange], Awaitable[web.StreamResponse]]
    """Sends the steps."""


_OPERATIONS = {
    "converse": Operation("Converse", check_converse, answer, Facts.of, play_whole),
    "converse-stream": Operation("ConverseStream", check_converse, answer, Facts.of, play_stream),
}


def find_operation(method: str, target: str) -> tuple[Operation, str] | None:
    """The operation and the model id that a request line names: `POST /model/{modelId}/converse`.

    The model id is one segment, so the slashes of an ARN have to be percent-encoded.
    """
    path = target.partition("?")[0]
    segments = path.split("/")
    if method != "POST" or len(segments) != 4 or segments[:2] != ["", "model"] or not segments[2]:
        return None
    operation = _OPERATIONS.get(segments[3])
    return (operation, unquote(segments[2])) if operation else None
