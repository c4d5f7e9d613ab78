"""The operations that are served, one row each: how a request is read, and how its answer is sent.

A new operation is a new row; nothing else here or in the server names one. Whatever a body looks like, it is read as
the Converse body of the same conversation: that is what answers follow from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from aiohttp import web

from ..answers.counting import COUNT, read_count
from ..answers.native import read_native
from ..answers.player import Exchange, play_stream, play_whole
from ..answers.rendering import CONVERSE, Form
from .validation import check_converse

__all__ = ("Operation", "find_operation")


class Operation(NamedTuple):
    """One operation of Bedrock Runtime."""

    name: str
    read: Callable[[dict[str, Any], str], tuple[dict[str, Any], Form]]
    """Body and model id to a Converse body and the form of the answer; raises `Refusal`."""
    play: Callable[[Exchange], Awaitable[web.StreamResponse]]
    """Sends the steps."""
    prompts: bool = True
    """Whether a model reads the prompt, and so may cache it."""


def _read_converse(body: dict[str, Any], model: str) -> tuple[dict[str, Any], Form]:
    check_converse(body, model)
    return body, CONVERSE


def _read_count(body: dict[str, Any], model: str) -> tuple[dict[str, Any], Form]:
    return read_count(body, model), COUNT


_OPERATIONS = {
    "converse": Operation("Converse", _read_converse, play_whole),
    "converse-stream": Operation("ConverseStream", _read_converse, play_stream),
    "invoke": Operation("InvokeModel", read_native, play_whole),
    "invoke-with-response-stream": Operation("InvokeModelWithResponseStream", read_native, play_stream),
    "count-tokens": Operation("CountTokens", _read_count, play_whole, prompts=False),
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
