"""The table of operations: how each one reads its request and sends its answer.

Every body is converted to the Converse body of the same conversation, from which the answer is derived. A new operation
is a new row; no other module names one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from aiohttp import web

from ..answers.counting import COUNT, read_count
from ..answers.native import read_native
from ..answers.player import Exchange, play_document, play_stream
from ..answers.rendering import CONVERSE, Form
from .validation import check_converse

__all__ = ("Operation", "find_operation")


class Operation(NamedTuple):
    """One operation of Bedrock Runtime."""

    name: str
    read: Callable[[dict[str, Any], str], tuple[dict[str, Any], Form]]
    """Convert body and model id to a Converse body and the form of the answer. Raises `Refusal`."""
    play: Callable[[Exchange], Awaitable[web.StreamResponse]]
    """Send the answer."""
    uses_cache: bool = True
    """True if a model reads the prompt, so that the prompt cache applies."""


def _read_converse(body: dict[str, Any], model: str) -> tuple[dict[str, Any], Form]:
    check_converse(body, model)
    return body, CONVERSE


def _read_count(body: dict[str, Any], model: str) -> tuple[dict[str, Any], Form]:
    return read_count(body, model), COUNT


_OPERATIONS = {
    "converse": Operation("Converse", _read_converse, play_document),
    "converse-stream": Operation("ConverseStream", _read_converse, play_stream),
    "invoke": Operation("InvokeModel", read_native, play_document),
    "invoke-with-response-stream": Operation("InvokeModelWithResponseStream", read_native, play_stream),
    "count-tokens": Operation("CountTokens", _read_count, play_document, uses_cache=False),
}


def find_operation(method: str, target: str) -> tuple[Operation, str] | None:
    """Return the operation and the model id of a request line, `POST /model/{modelId}/converse`; None if unknown.

    The model id is one path segment, so the slashes of an ARN must be percent-encoded.
    """
    path = target.partition("?")[0]
    segments = path.split("/")
    if method != "POST" or len(segments) != 4 or segments[:2] != ["", "model"] or not segments[2]:
        return None
    operation = _OPERATIONS.get(segments[3])
    return (operation, unquote(segments[2])) if operation else None
